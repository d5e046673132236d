"""Draw folds that are even: as many members each, and of each class about as many clips.

Which fold a member gets depends on the seed, on the names and on their labels, never on the order in which they are given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from data_schema.signals.gaze import Float, Int

#: A swap that gains less is rounding.
_GAIN = 1e-12
#: Passes over all newcomers; a few dozen participants settle in two or three.
_MAX_PASSES = 20


def _draw(seed: int, *names: str) -> int:
    """Return a number that depends on seed and names alone, not on who else is there."""
    digest = hashlib.sha256("\0".join([str(seed), *names]).encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big")


def draw_folds(
    names: Sequence[str],
    n_folds: int,
    seed: int,
    existing: Mapping[str, int] | None = None,
    label_counts: pd.DataFrame | None = None,
) -> dict[str, int]:
    """Give each name a fold; those who have one keep it.

    Newcomers go, those with the most clips first, into one of the folds with the fewest members, there into the one where
    classes stay most even; then newcomers change places two by two as long as that makes the classes more even. All classes
    weigh the same, however rare: it is the rare ones that chance leaves out of a fold.

    Parameters
    ----------
    names : sequence of str
        All who have clips now.
    n_folds : int
    seed : int
    existing : mapping of str to int, optional
        Also of those who have no clips now; they come back unchanged.
    label_counts : DataFrame, optional
        One row a name (index), one column a class: numbers of clips.

    Returns
    -------
    dict of str to int
    """
    present = sorted(set(names))
    shares, clips = _class_shares(present, label_counts)
    place = {name: i for i, name in enumerate(present)}
    assignment = {str(name): int(fold) for name, fold in (existing or {}).items()}
    sizes = np.zeros(n_folds, dtype=np.int64)
    held = np.zeros((n_folds, shares.shape[1]))
    for name in present:
        if name in assignment:
            sizes[assignment[name]] += 1
            held[assignment[name]] += shares[place[name]]
    new = [name for name in present if name not in assignment]
    new.sort(key=lambda name: (-clips[place[name]], _draw(seed, name)))
    for name in new:
        own = shares[place[name]]
        options = [
            (round(float(2.0 * (held[fold] @ own)), 12), _draw(seed, name, str(fold)), int(fold))
            for fold in np.flatnonzero(sizes == sizes.min())
        ]
        best = min(options)[2]
        assignment[name] = best
        sizes[best] += 1
        held[best] += own
    if shares.shape[1] and len(new) > 1:
        folds = np.array([assignment[name] for name in new])
        _swap(folds, shares[[place[name] for name in new]], held)
        assignment.update(zip(new, folds.tolist(), strict=True))
    return assignment


def _class_shares(names: Sequence[str], label_counts: pd.DataFrame | None) -> tuple[Float, Float]:
    """Return how much of each class each name has, and how many clips."""
    if label_counts is None:
        return np.zeros((len(names), 0)), np.zeros(len(names))
    counts: Float = label_counts.reindex(list(names)).fillna(0).to_numpy(dtype=np.float64)
    return counts / np.maximum(counts.sum(axis=0), 1.0), counts.sum(axis=1)


def _swap(folds: Int, shares: Float, held: Float) -> None:
    """Let newcomers change places while the sum of squared shares over folds and classes falls; `folds` is changed."""
    square = (shares**2).sum(axis=1)
    for _ in range(_MAX_PASSES):
        moved = False
        for i in range(len(folds)):
            away = shares - shares[i]
            apart = held[folds[i]] - held[folds]
            gain = 2.0 * (away * apart).sum(axis=1) + 2.0 * (square + square[i] - 2.0 * (shares @ shares[i]))
            gain = np.where(folds == folds[i], 0.0, np.round(gain, 12))
            j = int(np.argmin(gain))
            if gain[j] < -_GAIN:
                held[folds[i]] += away[j]
                held[folds[j]] -= away[j]
                folds[i], folds[j] = folds[j], folds[i]
                moved = True
        if not moved:
            return


def unevenness(assignment: Mapping[str, int], n_folds: int, label_counts: pd.DataFrame) -> float:
    """Return how unevenly classes are spread over folds: the coefficient of variation over folds, mean over classes.

    0 is even; a class that is missing in some folds of five has about 0.5 and more.

    Parameters
    ----------
    assignment : mapping of str to int
    n_folds : int
    label_counts : DataFrame
        One row a name (index), one column a class: numbers of clips. Classes without clips do not count.
    """
    counts = label_counts.loc[:, label_counts.sum(axis=0) > 0]
    if not counts.shape[1]:
        return 0.0
    folds = np.array([assignment[str(name)] for name in counts.index], dtype=np.int64)
    held = np.zeros((n_folds, counts.shape[1]))
    np.add.at(held, folds, counts.to_numpy(dtype=np.float64))
    return float((held.std(axis=0) / held.mean(axis=0)).mean())
