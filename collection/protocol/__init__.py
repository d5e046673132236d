"""The protocol of a session: steps as data, a plan, one engine."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collection.protocol.consent import asked_scopes, consent_rows, consent_step
    from collection.protocol.facts import fact_rows
    from collection.protocol.order import order_index, stimulus_order, study_row
    from collection.protocol.plan import SessionPlan, make_plan
    from collection.protocol.self_report import count_checks, self_report_items

#: Module of each public name. Imported when asked for: the console needs the operator's words alone, not the plan.
_HOME = {
    "asked_scopes": "consent",
    "consent_rows": "consent",
    "consent_step": "consent",
    "fact_rows": "facts",
    "order_index": "order",
    "stimulus_order": "order",
    "study_row": "order",
    "SessionPlan": "plan",
    "make_plan": "plan",
    "count_checks": "self_report",
    "self_report_items": "self_report",
}

__all__ = [
    "SessionPlan",
    "asked_scopes",
    "consent_rows",
    "consent_step",
    "count_checks",
    "fact_rows",
    "make_plan",
    "order_index",
    "self_report_items",
    "stimulus_order",
    "study_row",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
