"""The order of a queue by what a model is least sure of."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from annotation.items import Block, Item
from data_schema.errors import MissingExtraError
from data_schema.labels.guess_table import PROBABILITY_COLUMNS

_log = logging.getLogger(__name__)

#: The table's column that says how unsure the model is, by the study's word; with True, less of it is less sure.
_COLUMNS = {
    "least_confident": ("confidence", True),
    "margin": ("margin", True),
    "entropy": ("entropy", False),
    "disagreement": ("mutual_information", False),
}
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


def clip_uncertainty(table: pd.DataFrame, strategy: str) -> dict[str, float]:
    """Return how unsure a model is of each clip, by what its table says or else by its probabilities.

    Where the members of an ensemble were not compared (one model alone, or a table of an earlier toolkit), disagreement is
    not known, and the margin takes its place.

    Parameters
    ----------
    table : DataFrame
        From `data_schema.labels.guess_table.read_guesses`.
    strategy : {'least_confident', 'margin', 'entropy', 'disagreement'}

    Returns
    -------
    dict of str to float
        By clip; larger is less sure. Clips of which nothing is known are left out.

    Raises
    ------
    MissingExtraError
        If the table is of an earlier toolkit, which says probabilities alone, and scikit-activeml is not installed.
    """
    if not len(table):
        return {}
    column, is_sureness = _COLUMNS[strategy]
    scores = table[column].to_numpy(dtype=np.float64) if column in table.columns else np.full(len(table), np.nan)
    scores = -scores if is_sureness else scores
    if np.isnan(scores).all():
        if strategy == "disagreement":
            _log.warning(
                "query_strategy = 'disagreement': the table of guesses does not say how much models contradict each other; "
                "the queue is ordered by margin. Train all folds, or predict with --mc-dropout."
            )
            return clip_uncertainty(table, "margin")
        scores = uncertainty(table[list(PROBABILITY_COLUMNS)].to_numpy(dtype=np.float64), strategy)
    known = zip(table["clip_id"].astype(str), scores.tolist(), strict=True)
    return {clip: score for clip, score in known if not np.isnan(score)}


def query_order(
    items: Sequence[Item], scores: Mapping[str, float], *, distance: int, done: Collection[str] = ()
) -> tuple[Item, ...]:
    """Order the open items of the main block: the least sure first, repeats at a distance from their clip.

    Parameters
    ----------
    items : sequence of Item
        In the annotator's own random order.
    scores : mapping
        From `clip_uncertainty`, by clip; without any, the order stays.
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
    if not scores:
        return tuple(items)
    before = [item for item in items if item.block is not Block.MAIN]
    main = [item for item in items if item.block is Block.MAIN]
    finished = [item for item in main if item.item_id in done]
    left = [item for item in main if item.item_id not in done]
    first = [item for item in left if not item.repetition]
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
