"""Write attempts into the session file: rows as they are known, markers for beginning, end and choice."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from collection.calibration.results import RECHECK, Attempt, DriftResult
from collection.protocol.engine import SessionLog
from data_schema.session import markers
from data_schema.session.layout import (
    CALIBRATION_ATTEMPTS,
    CALIBRATION_POINTS,
    CALIBRATION_TARGETS,
    VALIDATION_POINTS,
    make_row,
)
from data_schema.session.stored_validation import point_row


class AttemptStore:
    """Store attempts; every row is written once, and in order of time.

    What was shown and measured is written when it was measured. The rows of the attempts themselves follow in
    `finish`, when it is known which one is in use, what the gate says and which reason was given: an earlier attempt
    may be chosen at the very end. A process that is killed in between leaves the measurements and the markers.

    Parameters
    ----------
    log : SessionLog
        The recorder.
    """

    def __init__(self, log: SessionLog) -> None:
        self._log = log
        self._owed: list[Attempt] = []

    def begin(self, attempt: Attempt) -> None:
        """Mark that an attempt begins."""
        self._owed.append(attempt)
        self._log.marker(
            markers.CALIBRATION_STARTED, attempt.kind, float(attempt.attempt_id), t_system_us=attempt.t_start_us
        )

    def measured(self, attempt: Attempt) -> None:
        """Write what an attempt showed and measured, and mark its end."""
        if attempt.shown:
            self._log.rows(CALIBRATION_TARGETS.path, _target_rows(attempt))
        if attempt.samples:
            self._log.rows(CALIBRATION_POINTS.path, _sample_rows(attempt))
        if attempt.points:
            rows = [point_row(attempt.attempt_id, point) for point in attempt.points]
            self._log.rows(VALIDATION_POINTS.path, np.concatenate(rows))
        said = attempt.message or attempt.status
        self._log.marker(
            markers.CALIBRATION_ENDED,
            f"{attempt.kind}: {said}",
            float(attempt.attempt_id),
            t_system_us=attempt.t_end_us,
        )

    def finish(self) -> None:
        """Write the rows of the attempts since the last time."""
        owed, self._owed = self._owed, []
        if owed:
            self._log.rows(CALIBRATION_ATTEMPTS.path, np.concatenate([_attempt_row(attempt) for attempt in owed]))

    def chosen(self, attempt: Attempt, message: str) -> None:
        """Mark that a calibration is in use from here on."""
        self._log.marker(markers.CALIBRATION_CHOSEN, message, float(attempt.attempt_id))

    def drift(self, result: DriftResult) -> None:
        """Mark the result of a re-check."""
        self._log.marker(markers.DRIFT_CHECKED, result.message, result.offset_deg)

    def left_out(self, text: str) -> None:
        """Mark that nothing was tried, and why: an end without a beginning, of no attempt."""
        self._log.marker(markers.CALIBRATION_ENDED, text, 0.0)

    def note(self, text: str) -> None:
        """Write a sentence that whoever reads the file should know."""
        self._log.marker(markers.OPERATOR_NOTE, text)


def _attempt_row(attempt: Attempt) -> npt.NDArray[np.void]:
    offset, size = attempt.blob_place
    return make_row(
        CALIBRATION_ATTEMPTS,
        t_system_us=attempt.t_start_us,
        attempt_id=attempt.attempt_id,
        kind=attempt.kind,
        status=attempt.status,
        chosen=attempt.chosen,
        blob_offset=offset,
        blob_size=size,
        t_end_us=attempt.t_end_us,
        eyes=attempt.eyes,
        n_points=attempt.n_points,
        validates=attempt.validates,
        gate="" if attempt.kind == RECHECK else attempt.gate,
        note=attempt.note,
    )


def _target_rows(attempt: Attempt) -> npt.NDArray[np.void]:
    rows = CALIBRATION_TARGETS.empty(len(attempt.shown))
    rows["attempt_id"] = attempt.attempt_id
    for row, shown in zip(rows, attempt.shown, strict=True):
        row["target_norm"] = shown.target_norm
        row["t_shown_us"], row["t_collected_us"] = shown.t_shown_us, shown.t_collected_us
        row["outcome"] = shown.outcome.value.encode()
    return rows


def _sample_rows(attempt: Attempt) -> npt.NDArray[np.void]:
    rows = CALIBRATION_POINTS.empty(len(attempt.samples))
    rows["attempt_id"] = attempt.attempt_id
    rows["eye"] = [sample.eye.encode() for sample in attempt.samples]
    rows["target_norm"] = [sample.target_norm for sample in attempt.samples]
    rows["gaze_norm"] = [sample.gaze_norm for sample in attempt.samples]
    rows["validity"] = [sample.validity for sample in attempt.samples]
    return rows
