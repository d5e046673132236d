"""What the operator is asked after an attempt, and which answer is the advised one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from collection.calibration.as_json import attempt_as_json, limits_as_json
from collection.calibration.results import CALIBRATION, FAILED, VALIDATION, Attempt
from collection.calibration.targets import Target
from collection.protocol.operator import Question
from data_schema.study.sections import CalibrationSection

#: Identifiers of the questions.
QUESTION, REDO_QUESTION, DRIFT_QUESTION = "calibration", "calibration_points", "recheck"
#: A choice ``use_3`` takes attempt 3 of the list that the console shows.
USE = "use_"
#: A choice ``point_3`` of the question for points picks the third target shown.
POINT = "point_"
#: Calibrations after which a script that nobody watches gives up; ours.
UNATTENDED_CALIBRATIONS = 3
#: Redos of points that are advised for one calibration; ours.
_ADVISED_REDOS = 1


class Choice(str, Enum):
    """What can be done after an attempt."""

    ACCEPT = "accept"
    OVERRIDE = "override"
    REDO = "redo"
    REDO_OTHER = "redo_other"
    RECALIBRATE = "recalibrate"
    LEFT_ONLY = "left_only"
    RIGHT_ONLY = "right_only"
    VALIDATE = "validate"
    POSITION = "position"
    GO_ON = "go_on"
    STOP = "stop"


@dataclass(frozen=True)
class Standing:
    """Where the calibration stands when the operator is asked.

    Parameters
    ----------
    calibration : Attempt or None
        In use on the tracker; None if there is none.
    validation : Attempt or None
        The one that speaks for it.
    failure : str
        Why the last attempt gave nothing; empty if it gave something.
    calibratable : bool
        The tracker can be calibrated from here.
    advised_eye : str
        The one eye to go on with; empty for both.
    advised_points : tuple of Target
        Calibration targets that are worth collecting again.
    shown_points : tuple of Target
        Calibration targets that can be collected again; empty if the tracker has forgotten them.
    earlier : tuple of Attempt
        Attempts that can be chosen instead.
    n_calibrations, n_redos : int
        Made so far.
    eyes : str
        Eyes that are calibrated.
    """

    calibration: Attempt | None
    validation: Attempt | None
    failure: str
    calibratable: bool
    advised_eye: str
    advised_points: tuple[Target, ...]
    shown_points: tuple[Target, ...]
    earlier: tuple[Attempt, ...]
    n_calibrations: int
    n_redos: int
    eyes: str

    @property
    def gate_failed(self) -> bool:
        """True if the validation is outside the study's limits."""
        return self.validation is not None and self.validation.gate == FAILED


def make_question(standing: Standing, attempts: Sequence[Attempt], config: CalibrationSection) -> Question:
    """Return the question after an attempt; its first choice is the advised one, which a script takes."""
    offered = _offered(standing, config)
    first = advised_choice(standing, config)
    ordered = [first, *(choice for choice in offered if choice is not first)]
    choices = [(choice.value, _label(choice, standing)) for choice in ordered]
    choices += [(f"{USE}{attempt.attempt_id}", _use_label(attempt)) for attempt in standing.earlier]
    current = standing.validation or standing.calibration
    return Question(
        QUESTION,
        _text(standing),
        tuple(choices),
        reason_for=(Choice.OVERRIDE.value, Choice.GO_ON.value),
        data={
            "attempts": [attempt_as_json(attempt, config) for attempt in listed(attempts)],
            "current": current.attempt_id if current is not None else 0,
            "limits": limits_as_json(config),
            "advised_points": [list(target) for target in standing.advised_points],
            "failure": standing.failure,
        },
    )


def listed(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Return the attempts among which an operator chooses: validations, and calibrations that none tested."""
    validated = {attempt.validates for attempt in attempts if attempt.kind == VALIDATION}
    return [
        attempt
        for attempt in attempts
        if attempt.kind == VALIDATION or (attempt.kind == CALIBRATION and attempt.attempt_id not in validated)
    ]


def advised_choice(standing: Standing, config: CalibrationSection) -> Choice:
    """Return what helps most; it never passes a required gate, and it comes to an end if nobody watches."""
    one_eye = {"left": Choice.LEFT_ONLY, "right": Choice.RIGHT_ONLY}.get(standing.advised_eye)
    if standing.failure:
        if one_eye is not None:
            return one_eye
        if standing.calibratable and standing.n_calibrations < UNATTENDED_CALIBRATIONS:
            return Choice.RECALIBRATE
        return Choice.STOP
    if not standing.gate_failed:
        return Choice.ACCEPT
    if one_eye is not None:
        return one_eye
    if config.gate == "warn":
        return Choice.ACCEPT
    if not standing.calibratable:
        return Choice.STOP
    few = 0 < len(standing.advised_points) <= max(1, len(standing.shown_points) // 3)
    if few and standing.n_redos < _ADVISED_REDOS:
        return Choice.REDO
    return Choice.RECALIBRATE if standing.n_calibrations < UNATTENDED_CALIBRATIONS else Choice.STOP


def _offered(standing: Standing, config: CalibrationSection) -> list[Choice]:
    offered: list[Choice] = []
    if not standing.failure:
        passable = not standing.gate_failed or config.gate == "warn"
        offered.append(Choice.ACCEPT if passable else Choice.OVERRIDE)
        if standing.shown_points:
            offered += [Choice.REDO, Choice.REDO_OTHER] if standing.advised_points else [Choice.REDO_OTHER]
        if standing.validation is not None:
            offered.append(Choice.VALIDATE)
    if standing.calibratable:
        offered.append(Choice.RECALIBRATE)
        if standing.eyes == "both":
            offered += [Choice.LEFT_ONLY, Choice.RIGHT_ONLY]
    if standing.failure:
        offered.append(Choice.GO_ON)
        if not standing.calibratable:
            offered.append(Choice.VALIDATE)
    return [*offered, Choice.POSITION, Choice.STOP]


def _label(choice: Choice, standing: Standing) -> str:
    n = len(standing.advised_points)
    labels = {
        Choice.ACCEPT: "Use this calibration" if standing.calibration is not None else "Go on",
        Choice.OVERRIDE: "Go on in spite of it (say why)",
        Choice.REDO: f"Collect {n} point{'s' if n != 1 else ''} again",
        Choice.REDO_OTHER: "Collect a point of your choice again",
        Choice.RECALIBRATE: "Calibrate again",
        Choice.LEFT_ONLY: "Left eye only",
        Choice.RIGHT_ONLY: "Right eye only",
        Choice.VALIDATE: "Validate again",
        Choice.POSITION: "Look at the head's position again",
        Choice.GO_ON: "Go on without it (say why)",
        Choice.STOP: "Stop the session",
    }
    return labels[choice]


def _use_label(attempt: Attempt) -> str:
    accuracy = attempt.mean_accuracy_deg
    figure = f", {accuracy:.2f} deg" if accuracy == accuracy else ""
    return f"Use attempt {attempt.attempt_id}{figure}"


def _text(standing: Standing) -> str:
    if standing.failure:
        return f"{standing.failure[:1].upper()}{standing.failure[1:].rstrip('.')}."
    if standing.validation is None:
        return "The calibration was made; the study validates none." if standing.calibration else "There is nothing."
    if standing.gate_failed:
        return "The validation is outside the study's limits: " + "; ".join(standing.validation.problems) + "."
    return f"The validation is good: mean offset {standing.validation.mean_accuracy_deg:.2f} deg."


def make_redo_question(shown: Sequence[Target], picked: Sequence[Target]) -> Question:
    """Return the question for a point to collect again; asked until the operator has picked all.

    A choice's place is its key: each target keeps the place of its number in the picture.
    """
    choices = [
        (f"{POINT}{number}", f"Target {number}: picked. Again: begin")
        if target in picked
        else (f"{POINT}{number}", f"Target {number} at {target[0]:.0%}, {target[1]:.0%}")
        for number, target in enumerate(shown, start=1)
    ]
    begin = ("begin", f"Begin with {len(picked)}") if picked else ("cancel", "None")
    return Question(
        REDO_QUESTION,
        "Which target is to be collected again?",
        (*choices, begin),
        data={"targets": [list(target) for target in shown], "picked": [list(target) for target in picked]},
    )
