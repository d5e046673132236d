"""Inner folds over the participants of a training part."""

from __future__ import annotations

import numpy as np

from data_schema.errors import TrainingError


def inner_folds(participants: np.ndarray, n_folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Deal participants out to folds, so that nobody is judged by a model that was fitted on them.

    Parameters
    ----------
    participants : ndarray of str, shape (n_clips,)
    n_folds : int
        At most; fewer participants make fewer folds.
    seed : int
        Of the order in which participants are dealt out.

    Returns
    -------
    list of (ndarray of int, ndarray of int)
        Places of the clips to fit on and of those to answer; each clip is answered once.

    Raises
    ------
    TrainingError
        If there are fewer than two participants.
    """
    people, owner = np.unique(participants, return_inverse=True)
    if len(people) < 2:
        raise TrainingError(
            f"The training part has clips of {len(people)} participant(s) ({', '.join(people)}), but members of a stack are "
            "judged on participants that they were not fitted on, which takes at least 2. Use fewer folds, export more "
            "participants, or choose a model without inner folds, such as extra-trees-eye."
        )
    n_folds = min(n_folds, len(people))
    fold_of = np.empty(len(people), dtype=np.int64)
    # Dealt out by their number of clips, most first, so that folds are of nearly equal size; ties fall by the seed.
    shuffled = np.random.default_rng(seed).permutation(len(people))
    clips = np.bincount(owner, minlength=len(people))
    ranked = shuffled[np.argsort(-clips[shuffled], kind="stable")]
    for place, person in enumerate(ranked):
        there, back = place % n_folds, (place // n_folds) % 2
        fold_of[person] = n_folds - 1 - there if back else there
    fold = fold_of[owner]
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(n_folds)]


def member_seed(seed: int, name: str) -> int:
    """Derive the seed of one part of a model from the run's, by the part's name."""
    words = np.frombuffer(name.encode("utf-8"), dtype=np.uint8).astype(np.uint32)
    return int(np.random.SeedSequence([seed, *words.tolist()]).generate_state(1)[0] % (2**31 - 1))
