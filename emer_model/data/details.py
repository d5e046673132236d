"""Further summaries of a clip's eyes, one kind of feature a table: averages, extremes, course, rhythm, places of fixations.

Averages miss what happens once, in an order, or at a place. Each kind is a table of its own, because one model over all
columns at once is worse than one model a kind whose answers are weighed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Chunks in a row over which a short event is averaged: ours, a tenth of the clip.
EVENT_CHUNKS = 3
#: Cosines of the course, from half a wave over the clip on. Ours: slower than the events that `extremes` sees.
N_COSINES = 6
#: Chunks between which a feature is compared with itself.
LAGS = (1, 2, 3, 4)
#: Bands of its spectrum, of one width.
N_BANDS = 8
#: Added to a band's share before its logarithm: ours, a quarter of an eighth's share by chance.
BAND_FLOOR = 0.02
#: Cells of the screen, across and down, on which fixations are counted; and the width of a fixation, in cells.
GRID, FIXATION_WIDTH_CELLS = (5, 4), 0.6
#: Share of the chunks with a value that a course or a rhythm needs at least. Ours.
MIN_SHARE = 0.5

Table = tuple[np.ndarray, np.ndarray, tuple[str, ...]]


def averages(eye: np.ndarray, mask: np.ndarray, names: Sequence[str]) -> Table:
    """Average each feature over the clip, and nothing else: few columns for small studies; see `extremes`."""
    mean = np.where(mask, eye, 0.0).sum(axis=1, dtype=np.float64) / np.maximum(mask.sum(axis=1), 1)
    return _table("averages", {"mean": mean}, mask.any(axis=1), names)


def extremes(eye: np.ndarray, mask: np.ndarray, names: Sequence[str]) -> Table:
    """Take the largest and the smallest value over chunks, and over the means of `EVENT_CHUNKS` chunks in a row.

    Parameters
    ----------
    eye : ndarray of float32, shape (n_clips, n_chunks, n_features)
    mask : ndarray of bool, the same shape
    names : sequence of str
        Of the features.

    Returns
    -------
    values : ndarray of float32, shape (n_clips, n_features * 4)
        In the feature's unit, those of events as differences from the clip's mean; zero where masked.
    mask : ndarray of bool, the same shape
    names : tuple of str
        Such as ``extremes/pupil_mm/highest_event``.
    """
    there = mask.any(axis=1)
    highest = np.where(mask, eye, -np.inf).max(axis=1)
    lowest = np.where(mask, eye, np.inf).min(axis=1)
    centred = _centred(eye, mask)
    width = min(EVENT_CHUNKS, eye.shape[1])
    # A missing chunk counts as the clip's mean, so that an event beside a gap is not blown up.
    events = np.lib.stride_tricks.sliding_window_view(centred, width, axis=1).mean(axis=-1)
    parts = {
        "highest": highest,
        "lowest": lowest,
        "highest_event": events.max(axis=1),
        "lowest_event": events.min(axis=1),
    }
    return _table("extremes", parts, there, names)


def course(eye: np.ndarray, mask: np.ndarray, names: Sequence[str]) -> Table:
    """Write the course of each feature as `N_COSINES` slow cosines; arguments and results as of `extremes`."""
    there = mask.mean(axis=1) >= MIN_SHARE
    n_chunks = eye.shape[1]
    phase = (np.arange(n_chunks) + 0.5) / n_chunks
    cosines = np.cos(np.pi * np.outer(np.arange(1, N_COSINES + 1), phase)) * np.sqrt(2.0 / n_chunks)
    coefficients = np.einsum("kc,nce->nke", cosines, _centred(eye, mask))
    parts = {f"cosine_{k + 1}": coefficients[:, k] for k in range(N_COSINES)}
    return _table("course", parts, there, names)


def rhythm(eye: np.ndarray, mask: np.ndarray, names: Sequence[str]) -> Table:
    """Compare each feature with itself some chunks later, and share its power out to bands.

    Arguments and results as of `extremes`; correlations lie in [-1, 1], bands are logarithms of shares. A feature that
    does not vary in a clip has no rhythm and is masked.
    """
    centred = _centred(eye, mask)
    power = (centred**2).sum(axis=1)
    size = np.where(mask, np.abs(eye), 0.0).max(axis=1)
    there = (mask.mean(axis=1) >= MIN_SHARE) & (np.sqrt(power) > 1e-5 * size)
    safe = np.where(there, power, 1.0)
    parts = {
        f"lag_{lag}": (centred[:, lag:] * centred[:, :-lag]).sum(axis=1) / safe
        for lag in LAGS
        if lag < centred.shape[1]
    }
    spectrum = np.abs(np.fft.rfft(centred, axis=1))[:, 1:] ** 2
    share = spectrum / np.where(there, spectrum.sum(axis=1), 1.0)[:, None]
    for number, band in enumerate(np.array_split(np.arange(share.shape[1]), N_BANDS), start=1):
        if len(band):
            parts[f"band_{number}"] = np.log(share[:, band].sum(axis=1) + BAND_FLOOR)
    return _table("rhythm", parts, there, names)


def fixation_places(fixations: np.ndarray, mask: np.ndarray) -> Table:
    """Summarise where fixations lie, how long they are, and how far apart.

    Parameters
    ----------
    fixations : ndarray of float32, shape (n_clips, n_fixations, 4)
        x and y (shares of the screen), onset and duration (s).
    mask : ndarray of bool, shape (n_clips, n_fixations)

    Returns
    -------
    values, mask, names
        As of `extremes`: spreads and percentiles of place and duration, distances of one fixation from the next, and the
        share of fixations in each cell of the screen (square root, so that rare cells count).
    """
    x, y = (np.where(mask, fixations[:, :, i], np.nan).astype(np.float64) for i in (0, 1))
    duration = np.log(np.where(mask, np.maximum(fixations[:, :, 3], 0.02), np.nan).astype(np.float64))
    columns: dict[str, np.ndarray] = {}
    for name, values in (("x_norm", x), ("y_norm", y), ("log_duration", duration)):
        count, mean = _nan_mean(values)
        columns[f"fixations/{name}/mean"] = mean
        columns[f"fixations/{name}/spread"] = np.sqrt(_nan_mean((values - mean[:, None]) ** 2)[1])
        for percent in (10, 50, 90):
            columns[f"fixations/{name}/percentile_{percent}"] = _percentile(values, count, percent)
    distance = np.hypot(np.diff(x, axis=1), np.diff(y, axis=1))
    steps, columns["fixations/distance/mean"] = _nan_mean(distance)
    columns["fixations/distance/percentile_50"] = _percentile(distance, steps, 50)
    first_half = mask.cumsum(axis=1) * 2 <= mask.sum(axis=1, keepdims=True)
    early, late = (_nan_mean(np.where(half, duration, np.nan))[1] for half in (first_half, ~first_half))
    columns["fixations/log_duration/early_minus_late"] = early - late
    columns["fixations/number"] = mask.sum(axis=1).astype(np.float64)
    cells = _cell_shares(x, y, mask)
    for i, cell in enumerate(cells.T):
        columns[f"fixations/cell_{i % GRID[0] + 1}_{i // GRID[0] + 1}"] = cell
    there = mask.any(axis=1)
    values = np.stack(list(columns.values()), axis=1)
    valid = np.isfinite(values) & there[:, None]
    return np.where(valid, values, 0.0).astype(np.float32), valid, tuple(columns)


def _cell_shares(x: np.ndarray, y: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the square root of the share of fixations in each cell, with soft borders, shape (n_clips, cells)."""
    weights = []
    for place, cells in ((x, GRID[0]), (y, GRID[1])):
        centres = (np.arange(cells) + 0.5) / cells
        away = (np.where(mask, place, 0.0)[:, :, None] - centres) * cells / FIXATION_WIDTH_CELLS
        weights.append(np.where(mask[:, :, None], np.exp(-0.5 * np.minimum(away**2, 100.0)), 0.0))
    counts = np.einsum("nma,nmb->nba", *weights).reshape(len(x), -1)
    return np.sqrt(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12))


def _centred(eye: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Take the clip's mean off each feature, float64; zero where nothing was measured."""
    exact = np.where(mask, eye, 0.0).astype(np.float64)
    mean = exact.sum(axis=1) / np.maximum(mask.sum(axis=1), 1)
    return np.where(mask, exact - mean[:, None], 0.0)


def _table(kind: str, parts: dict[str, np.ndarray], there: np.ndarray, names: Sequence[str]) -> Table:
    """Put parts (n_clips, n_features) side by side."""
    valid = np.tile(there, (1, len(parts)))
    values = np.where(valid, np.concatenate(list(parts.values()), axis=1), 0.0)
    return values.astype(np.float32), valid, tuple(f"{kind}/{name}/{part}" for part in parts for name in names)


def _nan_mean(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count and average over the second axis what is no NaN; NaN where nothing is."""
    there = ~np.isnan(values)
    count = there.sum(axis=1)
    mean = np.where(there, values, 0.0).sum(axis=1) / np.maximum(count, 1)
    return count, np.where(count > 0, mean, np.nan)


def _percentile(values: np.ndarray, count: np.ndarray, percent: float) -> np.ndarray:
    """Interpolate a percentile of the `count` values of each row that are no NaN; NaN where there are none."""
    if values.shape[1] == 0:
        return np.full(len(values), np.nan)
    ordered = np.sort(values, axis=1)  # NaN last
    place = np.maximum(count - 1, 0) * percent / 100.0
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    rows = np.arange(len(values))
    between = ordered[rows, low] * (1 - (place - low)) + ordered[rows, high] * (place - low)
    return np.where(count > 0, between, np.nan)
