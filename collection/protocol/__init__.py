"""The protocol of a session: steps as data, a plan, one engine."""

from __future__ import annotations

from collection.protocol.consent import SCOPES, consent_rows, consent_step
from collection.protocol.facts import fact_rows
from collection.protocol.order import order_index, stimulus_order, study_row
from collection.protocol.plan import SessionPlan, make_plan
from collection.protocol.self_report import count_checks, self_report_items

__all__ = [
    "SCOPES",
    "SessionPlan",
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
