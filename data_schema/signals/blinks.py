"""Blinks, from eye openness where the tracker gives it, else from the loss of both eyes.

References
----------
Nyström, Andersson, Niehorster, Hessels and Hooge (2024), "What is a blink?
Classifying and characterizing blinks in eye openness signals", Behavior Research
Methods: openness is the better source; pupil and gaze loss include other causes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_schema.signals.gaze import Bool, Float, Int, sample_interval_us, true_runs


@dataclass(frozen=True)
class BlinkParameters:
    """Parameters of the blink detector. All are our choice; they are stored with the result.

    Parameters
    ----------
    closed_share : float
        An eye is closed while its openness is below this share of its own
        median: half open is the usual mark in the literature.
    min_ms, max_ms : float
        Shorter losses are noise, longer ones are looking away or closed eyes.
    merge_ms : float
        Closures separated by less are one blink (the openness signal flickers at
        the lids' turning point).
    """

    closed_share: float = 0.5
    min_ms: float = 50.0
    max_ms: float = 600.0
    merge_ms: float = 50.0


#: One blink.
BLINK_DTYPE = np.dtype([("t_start_us", "<i8"), ("t_end_us", "<i8")])


def closed_by_openness(left_mm: Float, right_mm: Float, closed_share: float) -> Bool:
    """Tell for each sample whether the lids are closed.

    Parameters
    ----------
    left_mm, right_mm : ndarray of float64, shape (n,)
        Openness; NaN where invalid. An eye without any value is left out.
    closed_share : float
        See :class:`BlinkParameters`.

    Returns
    -------
    ndarray of bool, shape (n,)
        True where every eye that has values is below its mark or gives none.
    """
    closed = np.ones(len(left_mm), dtype=np.bool_)
    usable = False
    for side in (left_mm, right_mm):
        finite = np.isfinite(side)
        if not finite.any():
            continue
        usable = True
        mark = closed_share * float(np.median(side[finite]))
        closed &= ~finite | (np.where(finite, side, 0.0) < mark)
    return closed if usable else np.zeros(len(left_mm), dtype=np.bool_)


def find_blinks(t_us: Int, closed: Bool, parameters: BlinkParameters | None = None) -> npt.NDArray[np.void]:
    """Find blinks in a closed-or-open signal.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
    closed : ndarray of bool, shape (n,)
        From :func:`closed_by_openness`, or True where both eyes are lost.
    parameters : BlinkParameters, optional

    Returns
    -------
    structured ndarray of BLINK_DTYPE
    """
    parameters = parameters or BlinkParameters()
    starts, ends = true_runs(closed)
    if not len(starts):
        return np.zeros(0, dtype=BLINK_DTYPE)
    interval_us = sample_interval_us(t_us) if len(t_us) > 1 else 0.0
    spans: list[tuple[int, int]] = []
    for start, end in zip(t_us[starts].tolist(), (t_us[ends] + round(interval_us)).tolist(), strict=True):
        if spans and start - spans[-1][1] < parameters.merge_ms * 1000.0:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    kept = [
        (start, end) for start, end in spans if parameters.min_ms * 1000.0 <= end - start <= parameters.max_ms * 1000.0
    ]
    return np.array(kept, dtype=BLINK_DTYPE)


def blink_mask(t_us: Int, blinks: npt.NDArray[np.void], padding_ms: float = 0.0) -> Bool:
    """Mark the samples that lie in a blink.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
        Increasing.
    blinks : structured ndarray of BLINK_DTYPE
    padding_ms : float
        Time added before and after each blink.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    mask = np.zeros(len(t_us), dtype=np.bool_)
    padding_us = round(padding_ms * 1000.0)
    first = np.searchsorted(t_us, blinks["t_start_us"] - padding_us, side="left")
    last = np.searchsorted(t_us, blinks["t_end_us"] + padding_us, side="left")
    for a, b in zip(first.tolist(), last.tolist(), strict=True):
        mask[a:b] = True
    return mask
