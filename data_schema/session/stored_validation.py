"""Validations of the eye tracker in a session file: stored, read, and measured again from the samples.

A file keeps the window of ``/eye/gaze`` behind every row of ``/calibration/validation``, so
:func:`recompute_validation` gets the stored figures again from the samples alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from data_schema.errors import SessionFileError
from data_schema.session.layout import (
    CALIBRATION_ATTEMPTS,
    GAZE,
    VALIDATION_POINTS,
    decode_text,
)
from data_schema.session.reader import Session
from data_schema.session.screen import recorded_screen
from data_schema.signals.validation import BOTH, Drift, PointQuality, drift_between, judged_eyes, measure_point


def point_row(attempt_id: int, point: PointQuality) -> npt.NDArray[np.void]:
    """Return the row of ``/calibration/validation`` for a point, shape (1,)."""
    row = VALIDATION_POINTS.empty(1)
    row["attempt_id"] = attempt_id
    for field in fields(PointQuality):
        value = getattr(point, field.name)
        row[field.name] = value.encode() if isinstance(value, str) else value
    return row


def points_of_rows(rows: npt.NDArray[Any]) -> list[PointQuality]:
    """Return rows of ``/calibration/validation`` as they were stored."""
    eyes = decode_text(rows["eye"])
    points = []
    for row, eye in zip(rows, eyes, strict=True):
        values: dict[str, Any] = {"eye": str(eye)}
        for field in fields(PointQuality):
            if field.name == "eye":
                continue
            cell = row[field.name]
            values[field.name] = tuple(float(v) for v in cell) if cell.shape else cell.item()
        points.append(PointQuality(**values))
    return points


def stored_validation(session: Session, attempt_id: int) -> list[PointQuality]:
    """Return the points of a validation or re-check as the session file has them, in the order of the rows."""
    rows = session.table(VALIDATION_POINTS)[:]
    return points_of_rows(rows[rows["attempt_id"] == attempt_id])


def recompute_validation(session: Session, attempt_id: int, eyes: Sequence[str] = ()) -> list[PointQuality]:
    """Measure a stored validation or re-check again, from the gaze samples of the file.

    Parameters
    ----------
    session : Session
        An open session file.
    attempt_id : int
        Number of the validation or re-check.
    eyes : sequence of str, optional
        Eyes that are measured at each target: 'left', 'right', 'both'; by default those that were stored.

    Returns
    -------
    list of PointQuality
        In the order of the rows. Rounded to float32 they equal what is stored, provided that the recorder lost no
        sample of the window.

    Raises
    ------
    SessionFileError
        If there is no such validation, or the file is of a format before 1.1, which kept no windows.
    """
    stored = stored_validation(session, attempt_id)
    if not stored:
        known = sorted({int(number) for number in session.table(VALIDATION_POINTS)[:]["attempt_id"]})
        raise SessionFileError(
            session.path,
            f"there is no validation with the number {attempt_id}; there are: {', '.join(map(str, known)) or 'none'}.",
            VALIDATION_POINTS.path,
        )
    if any(point.t_until_us <= point.t_from_us for point in stored):
        raise SessionFileError(
            session.path,
            f"validation {attempt_id} was stored without its windows (format before 1.1), so it cannot be measured "
            "again. Use the stored figures.",
            VALIDATION_POINTS.path,
        )
    screen = recorded_screen(session)
    gaze = session.table(GAZE)
    measured: list[PointQuality] = []
    for point in stored:
        if eyes and any(m.target_norm == point.target_norm and m.t_from_us == point.t_from_us for m in measured):
            continue
        rows = gaze.between(point.t_from_us, point.t_until_us)
        measured += [
            measure_point(rows, point.target_norm, eye, screen, point.t_from_us, point.t_until_us)
            for eye in (eyes or (point.eye,))
        ]
    return measured


def stored_drift(session: Session, recheck_id: int) -> Drift:
    """Return the drift that a stored re-check shows against the validation of the calibration then in use.

    Raises
    ------
    SessionFileError
        If the file has no such re-check.
    """
    rows = session.table(CALIBRATION_ATTEMPTS)[:]
    kinds = decode_text(rows["kind"])
    here = [row for row, kind in zip(rows, kinds, strict=True) if row["attempt_id"] == recheck_id and kind == "recheck"]
    if not here:
        raise SessionFileError(
            session.path, f"there is no re-check with the number {recheck_id}.", CALIBRATION_ATTEMPTS.path
        )
    row = here[-1]
    eyes = judged_eyes(bytes(row["eyes"]).decode() or BOTH)
    chosen = [
        int(other["attempt_id"])
        for other, kind in zip(rows, kinds, strict=True)
        if kind == "validation"
        and other["chosen"]
        and other["validates"] == row["validates"]
        and other["attempt_id"] < recheck_id
    ]
    before = stored_validation(session, chosen[-1]) if chosen else []
    return drift_between(before, stored_validation(session, recheck_id), eyes)
