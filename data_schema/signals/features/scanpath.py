"""What a sequence of fixations tells: entropies over a grid, and coefficient K.

References
----------
Krejtz, Szmidt, Duchowski and Krejtz (2014), "Entropy-based statistical analysis of eye movement transitions", ETRA; Krejtz,
Duchowski, Szmidt, Krejtz, González Perilli, Pires, Vilaro and Villalobos (2015), "Gaze transition entropy", ACM Transactions
on Applied Perception 13(1).
Shiferaw, Downey and Crewther (2019), "A review of gaze entropy as a measure of visual scanning efficiency", Neuroscience and
Biobehavioral Reviews 96: entropies over a grid instead of areas of interest.
Krejtz, Duchowski, Krejtz, Szarkowska and Szarkowski (2016), "Discerning ambient/focal attention with coefficient K", ACM
Transactions on Applied Perception 13(3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_schema.signals.features.declaration import ENTROPY_GRID
from data_schema.signals.gaze import Bool, Float, Int, finite_rows

#: Below these there is no entropy worth the name (our choice).
MIN_FIXATIONS, MIN_STEPS = 5, 10
#: Coefficient K is the mean over fewer pairs of nothing (our choice).
MIN_PAIRS = 5


def grid_cells(points_norm: Float, grid: tuple[int, int] = ENTROPY_GRID) -> Int:
    """Return the cell of the grid that each point lies in, -1 where it is unknown.

    Parameters
    ----------
    points_norm : ndarray of float64, shape (n, 2)
        Shares of the screen; what lies beside it counts to the nearest cell.
    grid : tuple of int
        Columns and rows.

    Returns
    -------
    ndarray of int64, shape (n,)
        Row by row, from the upper left.
    """
    size = np.array(grid, dtype=np.float64)
    known: Bool = finite_rows(points_norm)
    place = np.clip(np.floor(np.where(known[:, None], points_norm, 0.0) * size), 0, size - 1).astype(np.int64)
    return np.where(known, place[:, 1] * grid[0] + place[:, 0], -1).astype(np.int64)


def _entropy(counts: npt.NDArray[np.int64]) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum() + 0.0)


def stationary_entropy(cells: Int) -> float:
    """Return the entropy of how often each cell is fixated, bits; NaN for fewer than :data:`MIN_FIXATIONS`.

    Parameters
    ----------
    cells : ndarray of int64, shape (n,)
        Cell of each fixation, in order.
    """
    if len(cells) < MIN_FIXATIONS:
        return float("nan")
    return _entropy(np.bincount(cells))


def transition_entropy(cells: Int) -> float:
    """Return the entropy of the next cell given the present one, bits; NaN for fewer than :data:`MIN_STEPS` steps.

    Krejtz et al. weigh the rows of the transition matrix by its stationary distribution, which a short scanpath seldom
    determines (a cell that is never left has no row); here a row weighs as often as its cell was left, which is the same in
    the long run and always defined. Steps within a cell count.

    Parameters
    ----------
    cells : ndarray of int64, shape (n,)
        Cell of each fixation, in order.
    """
    if len(cells) - 1 < MIN_STEPS:
        return float("nan")
    n_cells = int(cells.max()) + 1
    joint = np.bincount(cells[:-1] * n_cells + cells[1:])
    # The chain rule: H(next | present) = H(present, next) - H(present).
    return max(0.0, _entropy(joint) - _entropy(np.bincount(cells[:-1])))


@dataclass(frozen=True)
class FocalPairs:
    """Fixations, each with the saccade that follows it: what coefficient K is computed from.

    Parameters
    ----------
    start_us : ndarray of int64, shape (n,)
        Start of the fixation.
    duration_s : ndarray of float64, shape (n,)
    amplitude_deg : ndarray of float64, shape (n,)
    """

    start_us: Int
    duration_s: Float
    amplitude_deg: Float

    def __len__(self) -> int:
        return len(self.duration_s)


def focal_pairs(fixations: npt.NDArray[np.void], saccades: npt.NDArray[np.void]) -> FocalPairs:
    """Pair each fixation with the largest saccade between it and the next fixation; those without one are left out.

    Parameters
    ----------
    fixations, saccades : structured ndarray
        Of ``EyeMovements``, in the order of time.
    """
    if len(fixations) < 2 or not len(saccades):
        return FocalPairs(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    known = saccades[np.isfinite(saccades["amplitude_deg"])]
    owner = np.searchsorted(fixations["t_start_us"], known["t_start_us"], side="right") - 1
    usable = (owner >= 0) & (owner < len(fixations) - 1)
    owner, known = owner[usable], known[usable]
    # A saccade inside a fixation that was merged over it does not end that fixation; the half sample is rounding.
    after = known["t_end_us"] >= fixations["t_end_us"][owner]
    owner, known = owner[after], known[after]
    largest = np.full(len(fixations), -np.inf)
    np.maximum.at(largest, owner, known["amplitude_deg"])
    found = np.isfinite(largest)
    duration_s = (fixations["t_end_us"][found] - fixations["t_start_us"][found]) / 1e6
    return FocalPairs(fixations["t_start_us"][found].astype(np.int64), duration_s, largest[found])


def k_coefficient_change(pairs: FocalPairs, middle_us: float) -> float:
    """Return coefficient K of a clip's second half minus that of its first half.

    Over a whole set that it is standardised by, K is 0 by its definition: within one clip only its course has meaning.

    Parameters
    ----------
    pairs : FocalPairs
        Of the clip.
    middle_us : float
        Middle of the clip.

    Returns
    -------
    float
        NaN with fewer than :data:`MIN_PAIRS` pairs in a half, or where durations or amplitudes do not differ.
    """
    late = pairs.start_us >= middle_us
    if min(int(late.sum()), int((~late).sum())) < MIN_PAIRS:
        return float("nan")
    spread = pairs.duration_s.std(), pairs.amplitude_deg.std()
    if min(spread) <= 0:
        return float("nan")
    k = (pairs.duration_s - pairs.duration_s.mean()) / spread[0]
    k = k - (pairs.amplitude_deg - pairs.amplitude_deg.mean()) / spread[1]
    return float(k[late].mean() - k[~late].mean())
