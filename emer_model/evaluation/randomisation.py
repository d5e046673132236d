"""Whether a difference between two runs is more than chance, and the correction for many.

If two runs did equally well, it would not matter which of them gave which answers. The
answers of whole participants are exchanged at random, and p is the share of exchanges
with a difference at least as large as the one that was found.

References
----------
Noreen (1989), "Computer-Intensive Methods for Testing Hypotheses": approximate randomisation.
Yeh (2000), "More accurate tests for the statistical significance of result differences",
COLING: the same for F1 and its like.
Phipson and Smyth (2010), "Permutation p-values should never be zero", Statistical
Applications in Genetics and Molecular Biology 9: one is added to both counts.
Holm (1979), "A simple sequentially rejective multiple test procedure", Scandinavian
Journal of Statistics 6.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from emer_model.evaluation.bootstrap import SubjectSums

#: Exchanges of the randomisation test: ours. The smallest p is then 0.0002.
EXCHANGES = 4999


def mean_figures(tables: Sequence[SubjectSums], times: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Average the figures of several tables (seeds), of the clips or of each resample."""
    each = [table.figures(times) for table in tables]
    return {name: np.mean([figures[name] for figures in each], axis=0) for name in each[0]}


def randomisation(
    one: Sequence[SubjectSums], other: Sequence[SubjectSums], *, exchanges: int = EXCHANGES, seed: int = 0
) -> dict[str, float]:
    """Test whether it matters which run gave which participant's answers.

    Parameters
    ----------
    one, other : sequence of SubjectSums
        Of two runs, or of the seeds of two, as many of each.
    exchanges : int
        Random exchanges of participants.
    seed : int

    Returns
    -------
    dict of float
        Two-sided p of each figure; NaN where the figure is undefined or the runs have
        different numbers of seeds. Exchanges in which it is undefined count against a difference.
    """
    observed = {name: float(value - mean_figures(other)[name]) for name, value in mean_figures(one).items()}
    if len(one) != len(other):
        return dict.fromkeys(observed, math.nan)
    s = len(one[0].sums)
    swap = np.random.default_rng([seed, 1]).integers(0, 2, size=(exchanges, s)).astype(np.float64)  # (R, S)
    sides: list[list[dict[str, np.ndarray]]] = [[], []]
    for a, b in zip(one, other, strict=True):
        flat_a, flat_b = a.sums.reshape(s, -1), b.sums.reshape(s, -1)
        moved = swap @ (flat_b - flat_a)  # (R, ...)
        sides[0].append(a.figures_of(flat_a.sum(axis=0) + moved))
        sides[1].append(b.figures_of(flat_b.sum(axis=0) - moved))
    result = {}
    for name, difference in observed.items():
        means = [np.mean([figures[name] for figures in side], axis=0) for side in sides]
        exchanged = np.abs(means[0] - means[1])
        # Exchanges that give the same difference differ in the last bits of a sum.
        as_large = ~(exchanged < abs(difference) - 1e-12)
        result[name] = math.nan if math.isnan(difference) else float((1 + as_large.sum()) / (1 + exchanges))
    return result


def holm(p_values: np.ndarray) -> np.ndarray:
    """Correct p values for their number by Holm's step-down procedure, shape (n,)."""
    p_values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected
