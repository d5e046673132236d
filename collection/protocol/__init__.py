"""The protocol of a session: steps as data, a plan, one engine."""

from __future__ import annotations

from collection.protocol.order import order_index, stimulus_order
from collection.protocol.plan import SessionPlan, make_plan, self_report_items

__all__ = ["SessionPlan", "make_plan", "order_index", "self_report_items", "stimulus_order"]
