"""Which page the console shows, as the session goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from collection.console.messages import CALIBRATION_QUESTION, PREFLIGHT_QUESTION
from collection.console.model import ConsoleModel

WAITING, FORM, PREFLIGHT, LIVE, CALIBRATION, QUESTION, SUMMARY = (
    "waiting", "form", "preflight", "live", "calibration", "question", "summary",
)  # fmt: skip


def wanted_page(model: ConsoleModel) -> str:
    """Return the page that the state of the session asks for."""
    if model.ended is not None:
        return SUMMARY
    if model.question is not None:
        return question_page(model.question)
    if model.form.get("open"):
        return FORM
    state = model.progress.get("state")
    if state == "preflight" or (model.preflight.get("running") and state not in ("running", "paused")):
        return PREFLIGHT
    if state in ("running", "paused", "aborting", "ready", "consent") or model.is_recording:
        return LIVE
    return PREFLIGHT if model.preflight.get("checks") else WAITING


def question_page(question: Mapping[str, Any]) -> str:
    """Return the page on which a question is shown."""
    if question["id"] == PREFLIGHT_QUESTION:
        return PREFLIGHT
    data = question.get("data") or {}
    # The re-check's question carries one attempt, the one for single points the targets.
    if question["id"] == CALIBRATION_QUESTION or any(data.get(key) for key in ("attempts", "attempt", "targets")):
        return CALIBRATION
    return QUESTION
