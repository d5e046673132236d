"""What a calibration procedure has done: its attempts, what was chosen, and how far gaze has drifted since."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum

from collection.calibration.targets import Target
from collection.devices.base import CalibrationSample
from data_schema.signals.validation import EyeSummary, PointQuality, judged_eyes, summarise

CALIBRATION, VALIDATION, RECHECK = "calibration", "validation", "recheck"
#: What the gate said of a validation.
PASSED, FAILED, OVERRIDDEN = "passed", "failed", "overridden"


class Outcome(str, Enum):
    """What became of a target."""

    COLLECTED = "collected"
    FAILED = "failed"
    #: Its data were thrown away and collected again, with success.
    REDONE = "redone"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class TargetShown:
    """A target and what became of it; times are host microseconds."""

    target_norm: Target
    t_shown_us: int
    t_collected_us: int
    outcome: Outcome


@dataclass(frozen=True)
class Spread:
    """What a plot shows of one eye at one target; shares of the display area.

    Parameters
    ----------
    eye : str
        'left' or 'right'.
    target_norm : tuple of float
    gaze_norm : tuple of float or None
        Mean gaze point; None if there was no gaze.
    outline_norm : tuple of (float, float)
        Corners of the ellipse that holds 68 % of gaze; empty with fewer than two samples.
    accuracy_deg : float
        Offset of the mean gaze point; NaN without gaze.
    """

    eye: str
    target_norm: Target
    gaze_norm: Target | None
    outline_norm: tuple[Target, ...]
    accuracy_deg: float


@dataclass
class Attempt:
    """One calibration, validation or re-check.

    Parameters
    ----------
    attempt_id : int
        From 1 in each session file.
    kind, eyes, status : str
        As in ``/calibration/attempts``; `status` is the tracker's own word, or ours.
    t_start_us, t_end_us : int
        Host clock.
    n_points : int
        Targets that were to be shown.
    success : bool
        The tracker uses this calibration, or the validation was measured to its end.
    message : str
        One sentence for the operator.
    shown : list of TargetShown
        Targets in the order in which they were shown.
    samples : tuple of CalibrationSample
        Of a calibration: what the tracker computed it from.
    points : list of PointQuality
        Of a validation or re-check: gaze at each target, for each eye that counts.
    spreads : list of Spread
        For plots.
    blob : bytes
        The tracker's calibration data, empty if there are none.
    blob_place : tuple of int
        Offset and size in ``/calibration/data``; offset -1 if there are none.
    validates : int
        Number of the calibration that was tested, 0 for none.
    gate : str
        'passed', 'failed', 'overridden' or empty.
    problems : tuple of str
        Why the gate did not let it pass.
    note : str
        The operator's reason.
    chosen : bool
        In use when its row was written.
    """

    attempt_id: int
    kind: str
    eyes: str
    t_start_us: int
    n_points: int
    t_end_us: int = 0
    status: str = ""
    success: bool = False
    message: str = ""
    shown: list[TargetShown] = field(default_factory=list)
    samples: tuple[CalibrationSample, ...] = ()
    points: list[PointQuality] = field(default_factory=list)
    spreads: list[Spread] = field(default_factory=list)
    blob: bytes = b""
    blob_place: tuple[int, int] = (-1, 0)
    validates: int = 0
    gate: str = ""
    problems: tuple[str, ...] = ()
    note: str = ""
    chosen: bool = False

    def summary(self, eye: str) -> EyeSummary:
        """Return the means of an eye over the targets."""
        return summarise(self.points, eye)

    @property
    def mean_accuracy_deg(self) -> float:
        """Mean offset over targets and eyes that count; NaN without gaze."""
        means = [self.summary(eye).accuracy_deg for eye in judged_eyes(self.eyes)]
        finite = [mean for mean in means if math.isfinite(mean)]
        return sum(finite) / len(finite) if finite else math.nan


@dataclass(frozen=True)
class PositioningResult:
    """How positioning ended.

    Parameters
    ----------
    ended_by : str
        'participant', 'operator', 'time', 'stopped', or 'skipped' where no tracker shows a head.
    advice : str
        The last advice, a value of ``collection.calibration.head.Advice``; empty if there was none.
    distance_mm : float
        The last distance of the eyes from the tracker; NaN if it is not known.
    """

    ended_by: str
    advice: str = ""
    distance_mm: float = math.nan


@dataclass(frozen=True)
class CalibrationResult:
    """How a calibration ended.

    Parameters
    ----------
    attempts : tuple of Attempt
        All so far, in order.
    chosen : Attempt or None
        The calibration in use; None if the tracker was not calibrated here.
    validation : Attempt or None
        The validation that speaks for it.
    gate : str
        'passed', 'failed' (the study only warns), 'overridden', or empty without a validation.
    eyes : str
        'both', 'left' or 'right': the eyes to analyse.
    stopped : bool
        The operator or the participant ended it; the session should end.
    reason : str
        Why it was stopped, or why the gate was passed over.
    """

    attempts: tuple[Attempt, ...]
    chosen: Attempt | None
    validation: Attempt | None
    gate: str
    eyes: str
    stopped: bool = False
    reason: str = ""


@dataclass(frozen=True)
class DriftResult:
    """What a quick re-check showed.

    Parameters
    ----------
    attempt : Attempt or None
        The re-check; None if it could not be measured.
    drift_deg : float
        How far gaze moved since the validation that was accepted, of the eye that moved most; NaN if unknown.
    offset_deg : float
        Mean offset from the targets.
    per_eye_deg : dict of str to tuple of float
        Drift of each eye, right and down positive.
    advised : bool
        A new calibration is advised.
    message : str
        One sentence for the operator.
    calibration : CalibrationResult or None
        The new calibration, where the operator asked for one: it was made within the re-check.
    stopped : bool
        The operator or the participant ended it; the session should end.
    """

    attempt: Attempt | None
    drift_deg: float
    offset_deg: float
    per_eye_deg: dict[str, tuple[float, float]]
    advised: bool
    message: str
    calibration: CalibrationResult | None = None
    stopped: bool = False
