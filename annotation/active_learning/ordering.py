"""The order of a queue by what a model is least sure of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from annotation.items import Block, Item
from data_schema.errors import MissingExtraError

#: The study's word and that of scikit-activeml, whose functions compute the uncertainty.
STRATEGIES = {"least_confident": "least_confident", "margin": "margin_sampling", "entropy": "entropy"}


def uncertainty(probabilities: npt.NDArray[np.float64], strategy: str) -> npt.NDArray[np.float64]:
    """Return how unsure a model is of each clip.

    Parameters
    ----------
    probabilities : ndarray of float64, shape (n_clips, n_classes)
        Rows sum to 1.
    strategy : {'least_confident', 'margin', 'entropy'}

    Returns
    -------
    ndarray of float64, shape (n_clips,)
        Larger is less sure; comparable within one strategy.

    Raises
    ------
    MissingExtraError
        If scikit-activeml is not installed.

    References
    ----------
    Settles (2009), "Active Learning Literature Survey", section 3.1.
    """
    if not len(probabilities):
        return np.zeros(0)
    try:
        from skactiveml.pool import uncertainty_scores
    except ImportError as error:
        raise MissingExtraError("ala", error.name or "skactiveml", "Ordering a queue by a model's guesses") from error
    # Probabilities were rounded when they were written; the library wants sums of exactly 1.
    exact = probabilities / probabilities.sum(axis=1, keepdims=True)
    scores: npt.NDArray[np.float64] = np.asarray(uncertainty_scores(exact, method=STRATEGIES[strategy]), np.float64)
    return scores


def query_order(
    items: Sequence[Item],
    probabilities: Mapping[str, npt.NDArray[np.float64]],
    strategy: str,
    *,
    distance: int,
    done: Collection[str] = (),
) -> tuple[Item, ...]:
    """Order the open items of the main block: the least sure first, repeats at a distance from their clip.

    Parameters
    ----------
    items : sequence of Item
        In the annotator's own random order.
    probabilities : mapping
        Of each clip that the model judged, shape (n_classes,).
    strategy : {'random', 'least_confident', 'margin', 'entropy'}
        random leaves the order as it is.
    distance : int
        Items that lie between a clip and its repeat, at least, as long as enough are left.
    done : collection of str
        `item_id` of what is labelled already: it comes first, in the old order.

    Returns
    -------
    tuple of Item
        The same items with new positions. Clips without a guess come before all others:
        of them the model knows least.
    """
    if strategy == "random" or not probabilities:
        return tuple(items)
    before = [item for item in items if item.block is not Block.MAIN]
    main = [item for item in items if item.block is Block.MAIN]
    finished = [item for item in main if item.item_id in done]
    left = [item for item in main if item.item_id not in done]
    first = [item for item in left if not item.repetition]
    clips = [item.clip_id for item in first if item.clip_id in probabilities]
    scores = dict(zip(clips, uncertainty(np.array([probabilities[clip] for clip in clips]), strategy), strict=True))
    # Python's sort is stable, so that equals stay in the annotator's own random order.
    ordered = sorted(first, key=lambda item: -scores.get(item.clip_id, np.inf))
    main = _put_repeats(finished + ordered, [item for item in left if item.repetition], main, distance)
    return tuple(replace(item, position=place) for place, item in enumerate([*before, *main]))


def _put_repeats(ordered: list[Item], repeats: list[Item], drawn: list[Item], distance: int) -> list[Item]:
    """Put each repeat where it was drawn, or later if its clip comes later now."""
    rank = {item.item_id: place for place, item in enumerate(drawn)}
    result = list(ordered)
    for repeat in sorted(repeats, key=lambda item: rank[item.item_id]):
        shown = max(
            (place for place, item in enumerate(result) if item.clip_id == repeat.clip_id), default=-1 - distance
        )
        result.insert(min(max(rank[repeat.item_id], shown + distance + 1), len(result)), repeat)
    return result
