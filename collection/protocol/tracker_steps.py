"""The steps of the eye tracker: positioning, calibration, re-check, and what becomes of a tracker that fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from collection.presenter.base import ShouldStop
from collection.protocol.operator import Operator, Question
from collection.protocol.steps import Positioning, Recheck, Step
from collection.protocol.storing import SessionLog
from data_schema.errors import DeviceError
from data_schema.session import markers


class CalibrationSteps(Protocol):
    """What the engine calls for positioning, calibration and re-check."""

    def run_positioning(self, text: str) -> Any:
        """Bring the head into the track box."""
        ...

    def run(self) -> Any:
        """Calibrate and validate until the gate lets the session pass."""
        ...

    def recheck(self) -> Any:
        """Measure the drift since then."""
        ...


def use_tracker(
    step: Step,
    calibration: CalibrationSteps,
    operator: Operator | None,
    log: SessionLog,
    should_stop: ShouldStop,
    request_abort: Callable[[str], None],
) -> None:
    """Position, calibrate or re-check, again if the tracker fails and the operator says so.

    Raises
    ------
    DeviceError
        If the tracker fails and there is no operator to ask.
    """
    while True:
        try:
            result = _once(step, calibration)
        except DeviceError as error:
            if operator is None:
                raise
            if _try_again(step, error, operator, log, should_stop, request_abort):
                continue
            return
        if getattr(result, "stopped", False) or getattr(result, "ended_by", "") == "stopped":
            request_abort(getattr(result, "reason", "") or f"stopped during the {step.name}")
        return


def _once(step: Step, calibration: CalibrationSteps) -> Any:
    if isinstance(step, Positioning):
        return calibration.run_positioning(step.text)
    return calibration.recheck() if isinstance(step, Recheck) else calibration.run()


def _try_again(
    step: Step,
    error: DeviceError,
    operator: Operator,
    log: SessionLog,
    should_stop: ShouldStop,
    request_abort: Callable[[str], None],
) -> bool:
    log.marker(markers.DEVICE_FAULT, f"{step.name}: {error}")
    question = Question(
        "tracker",
        f"The eye tracker failed during the {step.name}: {error}",
        (("again", "Try again"), ("go_on", "Go on without it"), ("stop", "Stop the session")),
        reason_for=("go_on",),
    )
    decision = operator.decide(question, should_stop)
    if decision is None or decision.choice == "stop":
        request_abort(f"the eye tracker failed during the {step.name}")
    elif decision.choice == "go_on":
        log.marker(markers.OPERATOR_NOTE, f"went on without the {step.name}: {decision.reason}")
    return decision is not None and decision.choice == "again"
