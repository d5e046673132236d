"""Take a participant out of a study: every file, row and name, verified by a search of every byte."""

from __future__ import annotations

from data_schema.withdrawal.journal import RECORDS_NAME, read_records
from data_schema.withdrawal.plan import Action, Plan, make_plan
from data_schema.withdrawal.withdraw import Outcome, withdraw_participant

__all__ = ["RECORDS_NAME", "Action", "Outcome", "Plan", "make_plan", "read_records", "withdraw_participant"]
