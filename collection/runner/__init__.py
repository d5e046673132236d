"""Run one session from the participant's form to the quality page."""

from __future__ import annotations

from collection.runner.request import (
    DECLINED,
    FAILED,
    NOT_STARTED,
    SessionEvents,
    SessionRequest,
    SessionResult,
    parse_consent,
    parse_facts,
)
from collection.runner.resume import Resumption, prepare_resume
from collection.runner.session_runner import SessionRunner

__all__ = [
    "DECLINED",
    "FAILED",
    "NOT_STARTED",
    "Resumption",
    "SessionEvents",
    "SessionRequest",
    "SessionResult",
    "SessionRunner",
    "parse_consent",
    "parse_facts",
    "prepare_resume",
]
