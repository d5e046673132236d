"""Active-learning-based annotation: how many labels each way of asking needs for the same recall.

A pool of unlabelled clips of some people, other people for the test, simulated annotators who err, and a quickly fitted
model. In each round the model guesses all clips, its table of guesses orders the annotator's queue by the code that the
annotation tool runs, and the first clips of the queue are labelled. Asked are the clips that the model is least sure of,
by each strategy that ``study.toml`` knows, against an order drawn by chance. Everything is simulated.

Printed: the labels that a strategy needs to reach what chance reaches with all of its labels, over the labels of chance; the
whole curves go to stderr, with 95 % intervals over the seeds.

    python -m benchmarks label_queries
    python -m benchmarks.label_queries --noise 3 --batch 80     other annotators, rarer training
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from annotation.active_learning.ordering import clip_uncertainty, query_order
from annotation.items import Block, Item
from benchmarks.figure import figure
from benchmarks.worlds.world import World, make_world
from data_schema.labels.guess_table import PROBABILITY_COLUMNS
from data_schema.labels.raters import PlantedTruth, SimulatedRater, rater_id
from data_schema.study.sections import AnnotationSection
from data_schema.vocabularies import EMOTIONS
from emer_model.data.normalisation import FeatureNormalisation, subtract_subject_baseline
from emer_model.prediction.uncertainty import class_belief

STRATEGIES = ("random", "least_confident", "margin", "entropy", "disagreement")
#: Of ``query_strategy`` in study.toml.
DEFAULT = str(AnnotationSection.model_fields["query_strategy"].default)
#: Models of an ensemble: each lacks the labels of a fifth of the people, as the models of five folds do.
N_MEMBERS = 5
#: Of the logistic regression: summaries are many and labels few. Ours.
_C = 0.02


#: Seeds from here on: the default strategy was chosen on the seeds 0 to 9, so these are judged.
FIRST_SEED = 100


@dataclass(frozen=True)
class Pool:
    """Clips to ask about and clips to test on, of different people.

    Parameters
    ----------
    features : ndarray of float64, shape (n, S)
        By person, without labels.
    participants, clip_ids : ndarray of str, shape (n,)
    truth : ndarray of int, shape (n,)
        Planted.
    said : ndarray of int, shape (n,)
        What an annotator says when asked; -1 where they skip.
    is_test : ndarray of bool, shape (n,)
    """

    features: np.ndarray
    participants: np.ndarray
    clip_ids: np.ndarray
    truth: np.ndarray
    said: np.ndarray
    is_test: np.ndarray


@dataclass(frozen=True)
class Curve:
    """What a strategy reached.

    Parameters
    ----------
    n_labels : ndarray of int, shape (rounds,)
    uar : ndarray of float64, shape (rounds,)
        On people who were never asked about.
    """

    n_labels: np.ndarray
    uar: np.ndarray

    @property
    def area(self) -> float:
        """Mean UAR over the labels from the first round to the last."""
        return float(np.trapezoid(self.uar, self.n_labels) / (self.n_labels[-1] - self.n_labels[0]))


def make_pool(world: World, *, task: str = "er", noise: float = 2.0, test_share: float = 0.35, seed: int = 0) -> Pool:
    """Make a pool of a planted world and let simulated annotators judge it.

    Parameters
    ----------
    world : World
    task : {'er', 'fer'}
    noise : float
        Multiplies the errors of the annotators; 2 makes about one label in five wrong.
    test_share : float
        Share of the people who are tested.
    seed : int
    """
    rng = np.random.default_rng([seed, 1])
    truth = world.felt if task == "er" else world.shown
    n = len(world)
    clip_ids = np.array([f"sub-{who}_ses-01_trial-{i:04d}" for i, who in enumerate(world.participants)])
    raters = [SimulatedRater.draw(rater_id(k + 1), seed, noise) for k in range(3)]
    who_judges = rng.integers(len(raters), size=n)
    said = np.full(n, -1)
    for i in range(n):
        planted = PlantedTruth(EMOTIONS[truth[i]], 0.0, 0.0, 1.0)
        label = raters[who_judges[i]].judge(
            str(clip_ids[i]), "0" * 64, task, planted, emotions=EMOTIONS, may_leave_out=False
        )
        if label is not None and label.emotion is not None:
            said[i] = EMOTIONS.index(label.emotion)
    people = rng.permutation(np.unique(world.participants))
    is_test = np.isin(world.participants, people[: round(test_share * len(people))])
    return Pool(_features(world), world.participants, clip_ids, truth, said, is_test)


def ask_in_rounds(
    pool: Pool, strategy: str, *, start: int = 40, batch: int = 40, total: int = 400, seed: int = 0
) -> Curve:
    """Label a pool in the order of a strategy, training anew after each batch.

    Parameters
    ----------
    pool : Pool
    strategy : str
        One of `STRATEGIES`.
    start : int
        Labels that the first model learns from, drawn by chance: the same ones for each strategy.
    batch, total : int
        Labels a round, and in the end.
    seed : int
        Of the annotator's own random order.
    """
    drawn = np.random.default_rng([seed, 2]).permutation(np.flatnonzero(~pool.is_test))
    items = tuple(
        Item(f"i{place:05d}", str(pool.clip_ids[i]), "0" * 64, "er", 0, Block.MAIN, place)
        for place, i in enumerate(drawn)
    )
    place_of = {str(name): i for i, name in enumerate(pool.clip_ids)}
    labelled = list(drawn[:start])
    n_labels, recalls = [], []
    while True:
        members = fit_members(pool, np.array(labelled), seed)
        recalls.append(uar(pool.truth[pool.is_test], members[:, pool.is_test].mean(axis=0).argmax(axis=1)))
        n_labels.append(len(labelled))
        if len(labelled) >= total:
            return Curve(np.array(n_labels), np.array(recalls))
        done = {int(i) for i in labelled}
        queue = items
        if strategy != "random":
            scores = clip_uncertainty(guess_rows(pool, members), strategy)
            finished = {item.item_id for item in items if place_of[item.clip_id] in done}
            queue = query_order(items, scores, distance=1, done=finished)
        waiting = [place_of[item.clip_id] for item in queue if place_of[item.clip_id] not in done]
        labelled += waiting[: min(batch, total - len(labelled))]


def fit_members(pool: Pool, labelled: np.ndarray, seed: int = 0) -> np.ndarray:
    """Fit an ensemble to the clips that are labelled and ask it about all.

    Returns
    -------
    ndarray of float64, shape (N_MEMBERS, n, 7)
    """
    people = np.random.default_rng([seed, 3]).permutation(np.unique(pool.participants[labelled]))
    usable = labelled[pool.said[labelled] >= 0]
    answers = np.full((N_MEMBERS, len(pool.truth), len(EMOTIONS)), 1e-9)
    for k in range(N_MEMBERS):
        own = usable[~np.isin(pool.participants[usable], people[k::N_MEMBERS])]
        model = LogisticRegression(C=_C, class_weight="balanced", max_iter=300).fit(pool.features[own], pool.said[own])
        answers[k][:, model.classes_] = model.predict_proba(pool.features)
    return answers / answers.sum(axis=2, keepdims=True)


def guess_rows(pool: Pool, members: np.ndarray) -> pd.DataFrame:
    """Return what `emer predict` would say of uncertainty."""
    belief = class_belief(members)
    table = pd.DataFrame(belief.probabilities, columns=list(PROBABILITY_COLUMNS))
    return table.assign(
        clip_id=pool.clip_ids,
        confidence=belief.confidence,
        entropy=belief.entropy,
        margin=belief.margin,
        mutual_information=belief.mutual_information,
    )


def uar(truth: np.ndarray, answer: np.ndarray) -> float:
    """Return the mean recall over the classes that occur."""
    return float(np.mean([(answer[truth == k] == k).mean() for k in np.unique(truth)]))


def labels_needed(curve: Curve, level: float) -> float:
    """Return the labels at which a curve first reaches a level, between rounds by a straight line; inf if never."""
    above = np.flatnonzero(curve.uar >= level)
    if not len(above):
        return float("inf")
    k = int(above[0])
    if k == 0:
        return float(curve.n_labels[0])
    low, high = curve.uar[k - 1], curve.uar[k]
    share = (level - low) / (high - low)
    return float(curve.n_labels[k - 1] + share * (curve.n_labels[k] - curve.n_labels[k - 1]))


def run(
    quick: bool = False,
    worlds: Sequence[str] = ("averages", "faces"),
    tasks: Sequence[str] = ("er", "fer"),
    noise: float = 2.0,
    batch: int = 40,
    first_seed: int = FIRST_SEED,
) -> Iterator[dict[str, Any]]:
    """Compare the strategies on seeds of some worlds; the strategy of study.toml is judged over all of them."""
    seeds = range(first_seed, first_seed + (2 if quick else 10))
    everything: dict[str, list[Curve]] = {name: [] for name in STRATEGIES}
    for world in worlds[:1] if quick else worlds:
        for task in tasks[:1] if quick else tasks:
            curves: dict[str, list[Curve]] = {name: [] for name in STRATEGIES}
            for seed in seeds:
                pool = make_pool(make_world(world, seed), task=task, noise=noise, seed=seed)
                for name in STRATEGIES:
                    curves[name].append(ask_in_rounds(pool, name, batch=batch, seed=seed))
            _print_curves(curves, f"world {world}, {task}, annotators' errors times {noise:g}")
            yield from _figures(curves, f"{world}, {task}")
            for name in STRATEGIES:
                everything[name] += curves[name]
    yield from _figures(everything, "all of these", judged=True)


def _figures(curves: dict[str, list[Curve]], where: str, *, judged: bool = False) -> Iterator[dict[str, Any]]:
    """Say how many labels each strategy needs for what chance reaches with all of its labels."""
    chance = mean_curve(curves["random"])
    last, reached = int(chance.n_labels[-1]), float(chance.uar[-1])
    for name in STRATEGIES[1:]:
        gain, half = interval([c.area - r.area for c, r in zip(curves[name], curves["random"], strict=True)])
        needed = labels_needed(mean_curve(curves[name]), reached)
        yield figure(
            f"labels for the UAR {reached:.3f} of {last} drawn by chance: {name}, {where}, simulated",
            needed if np.isfinite(needed) else float(last),
            "labels",
            baseline="drawn by chance",
            baseline_value=float(last),
            target="fewer labels than chance, interval of the gain in mean UAR above 0",
            met=bool(needed < last and gain - half > 0) if judged and name == DEFAULT else None,
        ) | {"gain_in_mean_uar": round(gain, 4), "half_interval": round(half, 4), "worlds_drawn": len(curves[name])}


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """Return the mean over seeds."""
    return Curve(curves[0].n_labels, np.mean([curve.uar for curve in curves], axis=0))


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and half the length of its 95 % interval (t distribution)."""
    from scipy.stats import t

    n = len(values)
    half = float(t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else float("inf")
    return float(np.mean(values)), half


def _features(world: World) -> np.ndarray:
    """Return summaries of eyes and face, each person standardised by their own clips."""
    arrays = world.arrays
    seen = arrays["face_mask"][:, :, None]
    face = np.where(seen, arrays["face_features"], 0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    there = np.broadcast_to(seen.any(axis=1), face.shape)
    values = np.concatenate([arrays["summary"], face], axis=1)[:, None]
    mask = np.concatenate([arrays["summary_mask"], there], axis=1)[:, None]
    scaled = FeatureNormalisation.fit(values, mask).apply(values, mask)
    return subtract_subject_baseline(scaled, mask, world.participants.tolist())[:, 0].astype(np.float64)


def _print_curves(curves: dict[str, list[Curve]], where: str) -> None:
    rounds = curves["random"][0].n_labels
    print(f"UAR on people never asked about, simulated, {where}, {len(curves['random'])} seeds:", file=sys.stderr)
    print("labels          " + "".join(f"{n:>14}" for n in rounds), file=sys.stderr)
    for name, found in curves.items():
        cells = [interval([curve.uar[k] for curve in found]) for k in range(len(rounds))]
        print(f"{name:<16}" + "".join(f"{mean:>8.3f}±{half:.3f}" for mean, half in cells), file=sys.stderr)


if __name__ == "__main__":
    import json

    parser = argparse.ArgumentParser()
    parser.add_argument("--worlds", nargs="+", default=["averages", "faces"])
    parser.add_argument("--tasks", nargs="+", default=["er", "fer"])
    parser.add_argument("--noise", type=float, default=2.0)
    parser.add_argument("--batch", type=int, default=40)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--quick", action="store_true")
    for line in run(**vars(parser.parse_args())):
        print(json.dumps(line))
