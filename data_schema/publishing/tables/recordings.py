"""One row a recording: tracker, screen and how good the gaze is, measured on what is published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from data_schema.session.layout import CALIBRATION_ATTEMPTS, VALIDATION_POINTS

if TYPE_CHECKING:
    from data_schema.publishing.publication import PublishedRecording, PublishedSession

_ROWS = 60_000


def recording_row(recording: PublishedRecording) -> dict[str, Any]:
    """Return the cells of one row of the table ``recordings``; ``simulated`` is left to the caller.

    Parameters
    ----------
    recording : PublishedRecording
    """
    with recording.open() as session:
        return {
            "participant": recording.participant,
            "session": recording.session,
            "run": recording.run,
            "tracker": session.tracker.name,
            "rate_hz": session.tracker.rate_hz,
            "screen_width_px": session.screen.width_px,
            "screen_height_px": session.screen.height_px,
            "screen_width_mm": session.screen.width_mm,
            "screen_height_mm": session.screen.height_mm,
            "screen_distance_mm": session.screen.distance_mm,
            "faces": recording.faces,
            **_gaze(session),
            **_validation(session),
        }


def _gaze(session: PublishedSession) -> dict[str, Any]:
    n, lost = 0, np.zeros(3, dtype=np.int64)
    first = last = None
    for rows in session.gaze(_ROWS):
        if not len(rows):
            continue
        left, right = rows["left_gaze_valid"] == 0, rows["right_gaze_valid"] == 0
        lost += np.array([left.sum(), right.sum(), (left & right).sum()])
        n += len(rows)
        first = int(rows["t_system_us"][0]) if first is None else first
        last = int(rows["t_system_us"][-1])
    if first is None or last is None:
        return {"n_gaze": 0, "gaze_duration_s": 0.0}
    shares = lost / n
    return {
        "n_gaze": n,
        "gaze_duration_s": (last - first) / 1e6,
        "gaze_loss_left": float(shares[0]),
        "gaze_loss_right": float(shares[1]),
        "gaze_loss_both": float(shares[2]),
    }


def _validation(session: PublishedSession) -> dict[str, Any]:
    """Return accuracy and precision of the last validation that was made before the trials."""
    points = session.table(VALIDATION_POINTS.path)
    attempts = session.table(CALIBRATION_ATTEMPTS.path)
    if not len(points):
        return {}
    made = attempts[attempts["kind"] == "validation"]["attempt_id"]
    known = [attempt for attempt in made if (points["attempt_id"] == attempt).any()]
    chosen = points[points["attempt_id"] == (known[-1] if known else points["attempt_id"].max())]
    return {
        "accuracy_deg": float(chosen["accuracy_deg"].mean()),
        "precision_rms_s2s_deg": float(chosen["precision_rms_s2s_deg"].mean()),
    }
