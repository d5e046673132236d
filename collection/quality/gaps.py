"""Why gaze is missing: each loss of a session with its cause.

Two kinds of loss are told apart first. A *hole* is a time in which the tracker's stream
brought no samples at all; what else was recorded then says why. A *loss* is a time in
which samples came, but neither eye was found; its length says what it most likely was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_schema.session import markers
from data_schema.session.layout import GAZE, MARKERS, NOTIFICATIONS, decode_text
from data_schema.session.reader import Session
from data_schema.signals.gaze import true_runs

#: Stamps further apart than this are a hole in the stream.
HOLE_S = 0.1
#: Losses of this length are most likely blinks: closure lasts 100 to 400 ms, and trackers lose
#: the eye a little earlier and find it a little later. Chosen after Holmqvist et al. (2011), "Eye
#: tracking: a comprehensive guide", chapter 5 (blinks), with a margin.
BLINK_S = (0.05, 0.5)
#: What else was recorded explains a hole if it was noted so near to it.
_NEAR_S = 1.5

#: Causes in the order of the table, and what each means.
CAUSES: dict[str, str] = {
    "connection lost": "the tracker said that its connection was lost",
    "dropped": "samples came, but the recorder could not take them in time; counted while recording",
    "tracker silent": "the tracker delivered nothing and said nothing",
    "blink": f"both eyes lost for {BLINK_S[0] * 1e3:.0f} to {BLINK_S[1] * 1e3:.0f} ms",
    "eyes not found": f"both eyes lost for more than {BLINK_S[1]:g} s: looked away, closed, or out of the track box",
    "flicker": f"both eyes lost for less than {BLINK_S[0] * 1e3:.0f} ms",
}


@dataclass(frozen=True)
class GapCause:
    """All losses of one cause.

    Parameters
    ----------
    cause : str
        One of :data:`CAUSES`.
    n : int
        How many.
    total_s, longest_s : float
        Together, and the longest.
    share : float
        Of the session's length.
    """

    cause: str
    n: int
    total_s: float
    longest_s: float
    share: float


@dataclass(frozen=True)
class Loss:
    """One time without gaze, host microseconds."""

    cause: str
    t_start_us: int
    t_end_us: int


def find_losses(session: Session) -> list[Loss]:
    """Return every time without gaze from either eye, in order of time."""
    rows = session.table(GAZE)[:]
    if len(rows) < 2:
        return []
    order = np.argsort(rows["t_system_us"], kind="stable")
    t_us = rows["t_system_us"][order].astype(np.int64)
    valid = ((rows["left_gaze_valid"] == 1) | (rows["right_gaze_valid"] == 1))[order]
    found = [*_holes(session, t_us), *_lost_runs(t_us, valid)]
    return sorted(found, key=lambda loss: loss.t_start_us)


def summarise_losses(losses: list[Loss], duration_s: float) -> list[GapCause]:
    """Return one row a cause that occurred, in the order of :data:`CAUSES`."""
    rows = []
    for cause in CAUSES:
        lengths = [(loss.t_end_us - loss.t_start_us) / 1e6 for loss in losses if loss.cause == cause]
        if lengths:
            total_s = float(sum(lengths))
            share = total_s / duration_s if duration_s > 0 else float("nan")
            rows.append(GapCause(cause, len(lengths), total_s, max(lengths), share))
    return rows


def _lost_runs(t_us: npt.NDArray[np.int64], valid: npt.NDArray[np.bool_]) -> Iterator[Loss]:
    interval_us = int(np.median(np.diff(t_us)))
    starts, ends = true_runs(~valid)
    for start, end in zip(starts, ends, strict=True):
        inside = t_us[start : end + 1]
        # A run does not reach across a hole: that is counted by itself.
        breaks = np.flatnonzero(np.diff(inside) > HOLE_S * 1e6)
        edges = [0, *(breaks + 1), len(inside)]
        for first, last in zip(edges[:-1], edges[1:], strict=True):
            begin, finish = int(inside[first]), int(inside[last - 1]) + interval_us
            yield Loss(_cause_of_loss((finish - begin) / 1e6), begin, finish)


def _cause_of_loss(duration_s: float) -> str:
    if duration_s < BLINK_S[0]:
        return "flicker"
    return "blink" if duration_s <= BLINK_S[1] else "eyes not found"


def _holes(session: Session, t_us: npt.NDArray[np.int64]) -> Iterator[Loss]:
    notes = session.table(NOTIFICATIONS)[:]
    lost_kinds = np.array(["connection_lost" in kind.lower() for kind in decode_text(notes["kind"])], dtype=bool)
    lost_us = notes["t_system_us"][lost_kinds] if len(notes) else np.empty(0, dtype=np.int64)
    rows = session.table(MARKERS)[:]
    about_gaze = np.array([GAZE.path in text for text in decode_text(rows["message"])], dtype=bool)
    dropped_us = rows["t_system_us"][(rows["kind"] == markers.SAMPLES_DROPPED.encode()) & about_gaze]
    for at in np.flatnonzero(np.diff(t_us) > HOLE_S * 1e6):
        start, end = int(t_us[at]), int(t_us[at + 1])
        near = _NEAR_S * 1e6
        if np.any((lost_us >= start - near) & (lost_us <= end + near)):
            cause = "connection lost"
        elif np.any((dropped_us >= start - near) & (dropped_us <= end + near)):
            cause = "dropped"
        else:
            cause = "tracker silent"
        yield Loss(cause, start, end)
