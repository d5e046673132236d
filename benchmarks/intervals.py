"""Intervals over participants: all figures of 1,303 clips of 121 people, and the comparison of two runs.

The baseline draws people and computes the same figures of their clips in a plain loop, 20 resamples
scaled to as many as ours.

Run it: python -m benchmarks.intervals
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.figure import figure

N_CLIPS, N_PEOPLE, N_FOLDS = 1303, 121, 5  # those kept in EMER (arXiv 2512.16485)
#: Ours: an interval should cost nothing that a person notices.
LIMIT_S = 0.5
_LOOP_RESAMPLES = 20


def predictions(quality: float, seed: int) -> pd.DataFrame:
    """Make answers to felt emotion and valence that are right as often as asked for."""
    from data_schema.vocabularies import EMOTIONS

    world, own = np.random.default_rng(0), np.random.default_rng(seed)
    people = world.integers(N_PEOPLE, size=N_CLIPS)
    true, value = world.integers(7, size=N_CLIPS), world.uniform(-1, 1, N_CLIPS)
    names = np.array(EMOTIONS, dtype=object)
    answers = np.where(own.random(N_CLIPS) < quality, true, own.integers(7, size=N_CLIPS))
    base = pd.DataFrame(
        {
            "clip_id": [f"clip-{i:04d}" for i in range(N_CLIPS)],
            "fold": people % N_FOLDS,
            "participant": [f"P{i:03d}" for i in people],
        }
    )
    guesses = quality * value + 0.3 * own.normal(size=N_CLIPS)
    return pd.concat(
        [
            base.assign(target_name="er_emotion", target=names[true], prediction=names[answers]),
            base.assign(target_name="er_valence", target_value=value, prediction_value=guesses),
        ],
        ignore_index=True,
    )


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Time the intervals of all figures and a comparison."""
    from emer_model.data.targets import target
    from emer_model.evaluation.answers import true_and_predicted
    from emer_model.evaluation.bootstrap import RESAMPLES, subject_bootstrap
    from emer_model.evaluation.comparison import Contender, compare_runs

    table = predictions(0.6, 1)
    targets = (target("er_emotion"), target("er_valence"))
    rows = {t.name: table[table["target_name"] == t.name] for t in targets}
    people = rows["er_emotion"]["participant"].to_numpy(str)
    answers = {t.name: (*true_and_predicted(rows[t.name], t), len(t.classes)) for t in targets}

    def ours() -> None:
        for true, predicted, k in answers.values():
            subject_bootstrap(true, predicted, people, k)

    def pair() -> None:
        runs = [Contender("one", (table,)), Contender("other", (predictions(0.65, 2),))]
        masked = pd.Series(np.arange(N_CLIPS) % 5 < 2, index=rows["er_emotion"]["clip_id"], dtype="boolean")
        compare_runs(runs, targets, masked)

    repeats = 1 if quick else 5
    loop = _loop(answers, people) * RESAMPLES / _LOOP_RESAMPLES
    taken = _best_of(ours, repeats)
    size = f"{N_CLIPS} clips of {N_PEOPLE} people"
    return [
        figure(
            f"intervals of all nine figures, {RESAMPLES} resamples, {size}",
            taken,
            "s",
            baseline="a plain loop over resamples",
            baseline_value=loop,
            target=f"at most {LIMIT_S} s",
            met=taken <= LIMIT_S,
        ),
        figure(
            "comparison of two runs: nine figures, three parts, five folds, with 4,999 exchanges",
            _best_of(pair, repeats),
            "s",
        ),
    ]


def _loop(answers: dict[str, tuple[np.ndarray, np.ndarray, int]], people: np.ndarray) -> float:
    """Return how long the plain loop takes for `_LOOP_RESAMPLES`."""
    from emer_model.evaluation.metrics import classification_metrics, continuous_metrics

    rng = np.random.default_rng(0)
    own = [np.flatnonzero(people == code) for code in np.unique(people)]
    began = time.perf_counter()
    for _ in range(_LOOP_RESAMPLES):
        clips = np.concatenate([own[i] for i in rng.integers(len(own), size=len(own))])
        for true, predicted, k in answers.values():
            if k:
                classification_metrics(true[clips], predicted[clips], k)
            else:
                continuous_metrics(true[clips], predicted[clips])
    return time.perf_counter() - began


def _best_of(work: Callable[[], None], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


if __name__ == "__main__":
    for line in run(quick="--quick" in sys.argv):
        print(json.dumps(line))
