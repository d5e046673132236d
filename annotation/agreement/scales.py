"""Agreement on numbers: interval alpha, ICC and CCC.

As for classes, everything is computed from sums over clips, for all resamples at once.

References
----------
Krippendorff (2011), Computing Krippendorff's Alpha-Reliability. Shrout and Fleiss
(1979), Psychol. Bull. 86; McGraw and Wong (1996), Psychol. Methods 1 (forms of the
ICC). Searle, Casella and McCulloch (1992), Variance Components, section 3.6 (one-way
analysis with unequal numbers). Lin (1989), Biometrics 45 (CCC).
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from annotation.agreement.ratings import Values
from annotation.agreement.resampling import Resamples, Sums, divided


def interval_alpha(values: Values, resamples: Resamples) -> Sums:
    """Return Krippendorff's alpha with squared differences.

    Parameters
    ----------
    values : ndarray of float64, shape (n_clips, n_raters)
        NaN where nothing was said.
    resamples : Resamples

    Returns
    -------
    ndarray of float64, shape (n_resamples + 1,)
    """
    n, total, squares = _moments(values, at_least=2)
    within = np.where(n >= 2, 2.0 * (n * squares - total**2) / np.maximum(n - 1, 1), 0.0)
    sums = resamples.sums(np.stack([n, total, squares, within], axis=1))
    count = sums[:, 0]
    expected = divided(2.0 * (count * sums[:, 2] - sums[:, 1] ** 2), count - 1)
    return 1.0 - divided(sums[:, 3], expected)


def icc_one_way(values: Values, resamples: Resamples) -> Sums:
    """Return ICC(1,1): one-way random, single rating.

    It asks nothing of who judged which clip, so it takes all clips with two
    ratings or more, also if their numbers differ.
    """
    n, total, squares = _moments(values, at_least=2)
    given = n >= 2
    mean_part = np.where(given, total**2 / np.maximum(n, 1), 0.0)
    sums = resamples.sums(np.stack([given.astype(np.float64), n, n**2, total, squares, mean_part], axis=1))
    clips, count, count2, whole, square, between = (sums[:, i] for i in range(6))
    ms_between = divided(between - divided(whole**2, count), clips - 1)
    ms_within = divided(square - between, count - clips)
    # The typical number of ratings of a clip; with equal numbers it is that number.
    typical = divided(count - divided(count2, count), clips - 1)
    return divided(ms_between - ms_within, ms_between + (typical - 1) * ms_within)


def icc_two_way(values: Values, resamples: Resamples) -> dict[str, Sums]:
    """Return ICC(A,1), ICC(C,1) and ICC(A,k) over the clips that all raters judged.

    Two-way random (A: absolute agreement, k: of the mean of all k raters) and
    consistency (C). Shrout and Fleiss call them ICC(2,1), ICC(3,1) and ICC(2,k).
    """
    k = values.shape[1]
    complete = ~np.isnan(values).any(axis=1)
    cells = np.where(complete[:, None], np.nan_to_num(values), 0.0)
    total = cells.sum(axis=1)
    columns = [complete.astype(np.float64), (cells**2).sum(axis=1), total**2 / max(k, 1)]
    sums = resamples.sums(np.concatenate([np.stack(columns, axis=1), cells], axis=1))
    n, square, rows = sums[:, 0], sums[:, 1], sums[:, 2]
    raters = sums[:, 3:]
    correction = divided(raters.sum(axis=1) ** 2, n * k)
    ss_rows = rows - correction
    ss_raters = divided((raters**2).sum(axis=1), n) - correction
    ms_rows = divided(ss_rows, n - 1)
    ms_raters = ss_raters / max(k - 1, 1)
    ms_error = divided(square - correction - ss_rows - ss_raters, (n - 1) * (k - 1))
    # Kept as a share of the rows, so that a resample of equal clips is undefined and not 0 / 0.
    shift = divided(ms_raters - ms_error, n)
    return {
        "icc_a1": divided(ms_rows - ms_error, ms_rows + (k - 1) * ms_error + k * shift),
        "icc_c1": divided(ms_rows - ms_error, ms_rows + (k - 1) * ms_error),
        "icc_ak": divided(ms_rows - ms_error, ms_rows + shift),
    }


def concordances(values: Values, resamples: Resamples) -> Sums:
    """Return Lin's concordance correlation of each pair of raters, with variances over n.

    Returns
    -------
    ndarray of float64, shape (n_pairs, n_resamples + 1)
    """
    pairs = list(combinations(range(values.shape[1]), 2))
    result = np.empty((len(pairs), resamples.n_resamples + 1))
    for place, (a, b) in enumerate(pairs):
        both = ~np.isnan(values[:, a]) & ~np.isnan(values[:, b])
        x, y = np.where(both, values[:, a], 0.0), np.where(both, values[:, b], 0.0)
        sums = resamples.sums(np.stack([both.astype(np.float64), x, y, x**2, y**2, x * y], axis=1))
        n = sums[:, 0]
        mean_x, mean_y, xx, yy, xy = (divided(sums[:, i], n) for i in range(1, 6))
        spread = xx - mean_x**2 + yy - mean_y**2 + (mean_x - mean_y) ** 2
        result[place] = divided(2.0 * (xy - mean_x * mean_y), spread)
    return result


def mean_absolute_difference(values: Values, resamples: Resamples) -> Sums:
    """Return the mean distance of two raters of a clip, averaged over clips, in units of the scale."""
    distance = np.zeros(len(values))
    n = np.zeros(len(values))
    for a, b in combinations(range(values.shape[1]), 2):
        gap = np.abs(values[:, a] - values[:, b])
        distance += np.nan_to_num(gap)
        n += ~np.isnan(gap)
    given = n > 0
    sums = resamples.sums(np.stack([np.where(given, distance / np.maximum(n, 1), 0.0), given], axis=1))
    return divided(sums[:, 0], sums[:, 1])


def _moments(values: Values, *, at_least: int) -> tuple[Values, Values, Values]:
    """Return number, sum and sum of squares of each clip's ratings; zeros where there are too few."""
    given = ~np.isnan(values)
    given &= given.sum(axis=1, keepdims=True) >= at_least
    cells = np.where(given, np.nan_to_num(values), 0.0)
    return given.sum(axis=1).astype(np.float64), cells.sum(axis=1), (cells**2).sum(axis=1)
