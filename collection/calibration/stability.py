"""When gaze has come to rest, so that what the tracker sees is a look at the target."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from data_schema.signals.gaze import ScreenGeometry, finite_rows
from data_schema.signals.quality import sd_deg
from data_schema.signals.validation import eye_gaze_norm


@dataclass(frozen=True)
class Pace:
    """Times and limits of a calibration. Seconds are those of the session's clock but for those called real.

    Parameters
    ----------
    move_s : float
        Time that the target takes from one place to the next; ours, slow enough for smooth pursuit (about 20 degrees
        in half a second are not, so the last part is a saccade that ends before the target is used).
    settle_s : float
        Earliest use of a target after it stood still. The latency of a saccade is about 0.2 s (Carpenter 1988).
    stable_s : float
        Length of the look that must be at rest; fixations are seldom shorter.
    stable_limit_s : float
        A target is used, or given up, after this time although gaze never came to rest; ours.
    window_s : float
        Samples that a validation uses; Titta's 0.5 s.
    max_shift_deg : float
        Largest distance between the medians of the first and the second half of the look. A saccade or a drift
        between them is larger, noise of a working tracker smaller; ours.
    max_sd_deg : float
        Largest spread of the look; ours: twice that of poor data (Holmqvist et al. 2023 report SD up to 0.5).
    min_valid : float
        Share of the look that must have gaze.
    near_deg : float
        Largest distance of the look from the target. Before a calibration a tracker is off by a few degrees.
    silence_s, silence_real_s : float
        A tracker without any sample for both of these is silent.
    request_real_s : float
        Real time that the tracker has for answering.
    """

    move_s: float = 0.6
    settle_s: float = 0.3
    stable_s: float = 0.2
    stable_limit_s: float = 3.0
    window_s: float = 0.5
    max_shift_deg: float = 0.5
    max_sd_deg: float = 1.0
    min_valid: float = 0.8
    near_deg: float = 8.0
    silence_s: float = 2.0
    silence_real_s: float = 2.0
    request_real_s: float = 30.0


class Look(str, Enum):
    """What gaze does at a target."""

    STABLE = "stable"
    NO_GAZE = "no gaze"
    MOVING = "moving"
    ELSEWHERE = "elsewhere"


def judge_look(
    rows: npt.NDArray[Any],
    target_norm: tuple[float, float],
    eyes: str,
    screen: ScreenGeometry,
    pace: Pace,
) -> Look:
    """Tell whether gaze rests at a target.

    Parameters
    ----------
    rows : structured ndarray, shape (n,)
        The last ``pace.stable_s`` of ``/eye/gaze``.
    target_norm : tuple of float
        Shares of the display area.
    eyes : str
        'both' (their average), 'left' or 'right'.
    screen : ScreenGeometry
    pace : Pace
        Limits.
    """
    if len(rows) < 4:
        return Look.NO_GAZE
    gaze = screen.norm_to_deg(eye_gaze_norm(rows, eyes))
    seen = finite_rows(gaze)
    half = len(gaze) // 2
    if seen.mean() < pace.min_valid or not seen[:half].any() or not seen[half:].any():
        return Look.NO_GAZE
    first, second = (np.nanmedian(part, axis=0) for part in (gaze[:half], gaze[half:]))
    if np.hypot(*(second - first)) > pace.max_shift_deg or sd_deg(gaze) > pace.max_sd_deg:
        return Look.MOVING
    away = np.nanmedian(gaze, axis=0) - screen.norm_to_deg(target_norm)
    return Look.STABLE if np.hypot(*away) <= pace.near_deg else Look.ELSEWHERE
