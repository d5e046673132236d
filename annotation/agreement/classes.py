"""Agreement on classes: alpha, Cohen's and Fleiss' kappa, AC1.

Clips that fewer than two raters judged say nothing about agreement; a rater who
skipped a clip or did not get it is simply not there. All figures are computed for
every resample at once, from sums over clips; collapsing the sums to one class
against the rest gives the figures of that class.

References
----------
Krippendorff (2011), Computing Krippendorff's Alpha-Reliability. Cohen (1960),
Educ. Psychol. Meas. 20; (1968), Psychol. Bull. 70 (weights). Light (1971),
Psychol. Bull. 76 (mean of pairs). Fleiss (1971), Psychol. Bull. 76. Gwet (2008),
Br. J. Math. Stat. Psychol. 61 (AC1); (2014), Handbook of Inter-Rater Reliability,
4th ed., sections 2.4 and 4.3 for AC1 and Fleiss' kappa with missing ratings.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from annotation.agreement.ratings import Codes
from annotation.agreement.resampling import Resamples, Sums, divided

#: Pairs whose tables are summed at a time; bounds the memory with many raters.
_PAIRS_AT_A_TIME = 12


@dataclass(frozen=True)
class ClassSums:
    """Sums over the clips of each resample; the first axis counts resamples.

    Parameters
    ----------
    coincidences : ndarray, shape (r, k, k)
        Krippendorff's: ordered pairs of ratings of one clip, each clip weighted by 1 / (ratings - 1).
    pairs : ndarray, shape (r, k, k)
        The same pairs as shares of the clip's pairs.
    shares : ndarray, shape (r, k)
        Share of each class among the ratings of a clip.
    n_rated, n_pairable : ndarray, shape (r,)
        Clips with at least one and at least two ratings.
    tables : ndarray, shape (n_pairs, r, k, k)
        Of each pair of raters, what the one (rows) and the other (columns) said.
    """

    coincidences: Sums
    pairs: Sums
    shares: Sums
    n_rated: Sums
    n_pairable: Sums
    tables: Sums

    def of_class(self, index: int) -> ClassSums:
        """Collapse to one class against all others."""
        shares = np.stack([self.shares[:, index], self.shares.sum(axis=1) - self.shares[:, index]], axis=1)
        return ClassSums(
            _collapsed(self.coincidences, index), _collapsed(self.pairs, index), shares,
            self.n_rated, self.n_pairable, _collapsed(self.tables, index),
        )  # fmt: skip


def class_sums(codes: Codes, n_classes: int, resamples: Resamples) -> ClassSums:
    """Sum what the coefficients need over the clips of each resample.

    Parameters
    ----------
    codes : ndarray of int16, shape (n_clips, n_raters)
        -1 where nothing was said.
    n_classes : int
    resamples : Resamples
    """
    n_clips, n_raters = codes.shape
    said = np.zeros((n_clips, n_raters, n_classes))
    rows, columns = np.nonzero(codes >= 0)
    said[rows, columns, codes[rows, columns]] = 1.0
    counts = said.sum(axis=1)
    n = counts.sum(axis=1)
    # Ordered pairs of two raters: all products of counts, less each rating with itself.
    ordered = counts[:, :, None] * counts[:, None, :]
    ordered[:, np.arange(n_classes), np.arange(n_classes)] -= counts
    pairable = n >= 2
    by_pairs = np.where(pairable, n * (n - 1), 1.0)[:, None, None]
    by_raters = np.where(pairable, n - 1, 1.0)[:, None, None]
    pairs = resamples.sums(np.where(pairable[:, None, None], ordered / by_pairs, 0.0))
    coincidences = resamples.sums(np.where(pairable[:, None, None], ordered / by_raters, 0.0))
    shares = resamples.sums(counts / np.maximum(n, 1.0)[:, None])
    both = resamples.sums(np.stack([n >= 1, pairable], axis=1).astype(np.float64))
    return ClassSums(coincidences, pairs, shares, both[:, 0], both[:, 1], _tables(said, resamples))


def _tables(said: npt.NDArray[np.float64], resamples: Resamples) -> Sums:
    n_clips, n_raters, n_classes = said.shape
    chosen = list(combinations(range(n_raters), 2))
    tables = np.empty((len(chosen), resamples.n_resamples + 1, n_classes, n_classes))
    for start in range(0, len(chosen), _PAIRS_AT_A_TIME):
        part = chosen[start : start + _PAIRS_AT_A_TIME]
        first, second = said[:, [a for a, _ in part]], said[:, [b for _, b in part]]
        products = first[:, :, :, None] * second[:, :, None, :]
        tables[start : start + len(part)] = np.moveaxis(resamples.sums(products), 1, 0)
    return tables


def _collapsed(tables: Sums, index: int) -> Sums:
    hit = tables[..., index, index]
    row = tables[..., index, :].sum(axis=-1) - hit
    column = tables[..., :, index].sum(axis=-1) - hit
    rest = tables.sum(axis=(-1, -2)) - hit - row - column
    return np.stack([np.stack([hit, row], axis=-1), np.stack([column, rest], axis=-1)], axis=-2)


def observed_agreement(sums: ClassSums) -> Sums:
    """Return the share of pairs of ratings that agree, averaged over clips."""
    return divided(np.trace(sums.pairs, axis1=-2, axis2=-1), sums.n_pairable)


def alpha(sums: ClassSums, *, ordinal: bool = False) -> Sums:
    """Return Krippendorff's alpha, nominal or ordinal."""
    marginals = sums.coincidences.sum(axis=-1)
    n = marginals.sum(axis=-1)
    distance = _ordinal_distance(marginals) if ordinal else 1.0 - np.eye(marginals.shape[-1])[None]
    observed = (sums.coincidences * distance).sum(axis=(-1, -2))
    expected = divided((marginals[:, :, None] * marginals[:, None, :] * distance).sum(axis=(-1, -2)), n - 1)
    return 1.0 - divided(observed, expected)


def _ordinal_distance(marginals: Sums) -> Sums:
    """Return Krippendorff's squared ordinal differences: ranks between two classes, ties halved."""
    up_to = np.cumsum(marginals, axis=-1)
    middle = up_to - marginals / 2.0
    return (middle[:, :, None] - middle[:, None, :]) ** 2


def fleiss_kappa(sums: ClassSums) -> Sums:
    """Return Fleiss' kappa; where clips have different numbers of ratings, in Gwet's generalisation."""
    shares = divided(sums.shares, sums.n_rated[:, None])
    return _above_chance(observed_agreement(sums), (shares**2).sum(axis=-1))


def gwet_ac1(sums: ClassSums) -> Sums:
    """Return Gwet's AC1."""
    shares = divided(sums.shares, sums.n_rated[:, None])
    chance = (shares * (1.0 - shares)).sum(axis=-1) / (shares.shape[-1] - 1)
    return _above_chance(observed_agreement(sums), chance)


def cohen_kappas(sums: ClassSums, *, power: int = 0) -> Sums:
    """Return Cohen's kappa of each pair of raters.

    Parameters
    ----------
    sums : ClassSums
    power : int
        0: a miss is a miss. 1 and 2: by the distance of the classes, linear or squared.

    Returns
    -------
    ndarray of float64, shape (n_pairs, r)
    """
    k = sums.tables.shape[-1]
    steps = np.abs(np.subtract.outer(np.arange(k), np.arange(k)))
    weights = (steps > 0).astype(np.float64) if power == 0 else steps.astype(np.float64) ** power
    n = sums.tables.sum(axis=(-1, -2))
    expected = divided(
        sums.tables.sum(axis=-1)[..., :, None] * sums.tables.sum(axis=-2)[..., None, :], n[..., None, None]
    )
    return 1.0 - divided((sums.tables * weights).sum(axis=(-1, -2)), (expected * weights).sum(axis=(-1, -2)))


def mean_of_pairs(figures: Sums) -> Sums:
    """Return the mean over the pairs for which a figure is defined (Light 1971)."""
    defined = np.isfinite(figures)
    return divided(np.where(defined, figures, 0.0).sum(axis=0), defined.sum(axis=0).astype(np.float64))


def _above_chance(observed: Sums, chance: Sums) -> Sums:
    return divided(observed - chance, 1.0 - chance)
