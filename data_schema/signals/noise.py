"""Noise reduction of a gaze signal before its velocity is computed: moving average and moving median.

Both run over a window of an odd number of samples centred on each sample. Beside a loss, a hole in time and the ends of
the data the window shrinks on both sides alike until it fits: a lopsided window would shift gaze in time. With three
samples that means that the first and the last sample of a stretch keep their own value.

References
----------
Olsen (2012), "The Tobii I-VT Fixation Filter: Algorithm description", section 3.1.3 "Noise reduction". How the windows
end beside a loss is not said there; that they shrink on both sides is our reading (docs/signals.md).
"""

from __future__ import annotations

import numpy as np

from data_schema.signals.gaze import Bool, Float, Int, contiguous_runs, finite_rows

#: Ways to reduce noise.
NOISE_REDUCTIONS: tuple[str, ...] = ("none", "moving_average", "median")


def check_window(method: str, window_samples: int) -> None:
    """Refuse what is no noise reduction.

    Raises
    ------
    ValueError
        If `method` is unknown or the window is not an odd number of samples.
    """
    if method not in NOISE_REDUCTIONS:
        raise ValueError(f"noise_reduction must be one of {', '.join(NOISE_REDUCTIONS)}, got '{method}'")
    if window_samples < 1 or window_samples % 2 == 0:
        raise ValueError(f"noise_window_samples must be odd, so that a window has a middle; got {window_samples}")


def half_windows(t_us: Int, valid: Bool, window_samples: int) -> Int:
    """Return how many samples the window of each sample reaches to both sides, shape (n,); -1 where not valid.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
    valid : ndarray of bool, shape (n,)
    window_samples : int
        Odd.
    """
    reach = np.full(len(t_us), -1, dtype=np.int64)
    starts, ends = contiguous_runs(t_us, valid)
    lengths = ends - starts + 1
    index = np.flatnonzero(valid)
    to_start = index - np.repeat(starts, lengths)
    to_end = np.repeat(ends, lengths) - index
    reach[index] = np.minimum(np.minimum(to_start, to_end), window_samples // 2)
    return reach


def reduce_noise(t_us: Int, values: Float, method: str, window_samples: int) -> Float:
    """Smooth a signal.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
        Microseconds, increasing.
    values : ndarray of float64, shape (n, k)
        NaN where missing (in all columns at once).
    method : {"none", "moving_average", "median"}
    window_samples : int
        Samples in a window; odd.

    Returns
    -------
    ndarray of float64, shape (n, k)
        Missing where `values` is. The median is taken of each column by itself.

    Raises
    ------
    ValueError
        See :func:`check_window`.
    """
    check_window(method, window_samples)
    smooth: Float = values.copy()
    if method == "none" or window_samples == 1 or not len(values):
        return smooth
    reach = half_windows(t_us, finite_rows(values), window_samples)
    for half in range(1, window_samples // 2 + 1):
        index = np.flatnonzero(reach == half)
        if not len(index):
            continue
        if method == "moving_average":
            total = values[index].copy()
            for step in range(1, half + 1):
                total += values[index - step]
                total += values[index + step]
            smooth[index] = total / (2 * half + 1)
        elif half == 1:
            before, here, after = values[index - 1], values[index], values[index + 1]
            # The middle of three without sorting them.
            smooth[index] = np.maximum(np.minimum(before, here), np.minimum(np.maximum(before, here), after))
        else:
            windows = np.stack([values[index + step] for step in range(-half, half + 1)])
            smooth[index] = np.median(windows, axis=0)
    return smooth
