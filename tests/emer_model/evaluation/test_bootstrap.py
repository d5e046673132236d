from __future__ import annotations

import math
import time

import numpy as np
import pytest

from data_schema.exports.protocols import CLASS_METRICS, CONTINUOUS_METRICS
from emer_model.evaluation import classification_metrics, continuous_metrics, subject_bootstrap
from emer_model.evaluation.bootstrap import Draws, SubjectSums


@pytest.fixture(scope="module")
def clips():
    """Eight participants with 12 clips each: classes, predicted classes, values, predicted values."""
    rng = np.random.default_rng(0)
    participants = np.repeat([f"P{i}" for i in range(8)], 12)
    true = rng.integers(0, 3, 96)
    predicted = np.where(rng.random(96) < 0.6, true, rng.integers(0, 3, 96))
    value = rng.uniform(-1, 1, 96)
    return participants, (true, predicted), (value, value + 0.4 * rng.normal(size=96) + 0.1 * np.arange(96) / 96)


def test_participants_are_drawn_not_clips() -> None:
    # Two participants, one always right, one always wrong: by clips the interval would be narrow.
    true, participants = np.zeros(200, int), np.repeat(["A", "B"], 100)
    predicted = np.repeat([0, 1], 100)
    interval = subject_bootstrap(true, predicted, participants, 2, resamples=500)["war"]
    assert (interval.low, interval.high) == (0.0, 1.0)
    assert subject_bootstrap(true, predicted, participants, 2, resamples=500)["war"] == interval
    alone = subject_bootstrap(true, predicted, np.repeat("A", 200), 2)
    assert list(alone) == list(CLASS_METRICS) and all(math.isnan(i.low) for i in alone.values())


@pytest.mark.parametrize("n_classes", [3, 0])
def test_each_resample_has_the_figures_of_its_clips(clips, n_classes: int) -> None:
    """Sums over participants give what the metrics give for the drawn clips, one by one."""
    participants, classes, values = clips
    true, predicted = classes if n_classes else values
    draws = Draws.of(participants, resamples=20, seed=3)
    centre = 0.0 if n_classes else 0.7
    sums = SubjectSums.of(true, predicted, draws.places(participants), len(draws.participants), n_classes, centre)
    fast = sums.figures(draws.times)
    assert list(fast) == list(CLASS_METRICS if n_classes else CONTINUOUS_METRICS)
    for r, times in enumerate(draws.times):
        chosen = np.concatenate(
            [
                np.flatnonzero(participants == code)
                for code, n in zip(draws.participants, times, strict=True)
                for _ in range(int(n))
            ]
        )
        if n_classes:
            plain = classification_metrics(true[chosen], predicted[chosen], n_classes)
        else:
            plain = continuous_metrics(true[chosen], predicted[chosen])
        assert {name: values[r] for name, values in fast.items()} == pytest.approx(
            {name: plain[name] for name in fast}, abs=1e-10
        )


def test_intervals_are_those_of_scipy(clips) -> None:
    from scipy.stats import bootstrap

    participants, _, (value, answer) = clips
    error = np.abs(value - answer).reshape(8, 12).mean(axis=1)  # all have as many clips
    theirs = bootstrap(
        (error,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    ours = subject_bootstrap(value, answer, participants, resamples=4000)["mae"]
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.004)


def test_what_is_undefined_has_no_interval_and_rare_gaps_do_not_count(clips) -> None:
    participants, _, (value, _) = clips
    flat = subject_bootstrap(value, np.zeros(96), participants)
    assert math.isnan(flat["pearson"].low) and flat["ccc"].low == pytest.approx(0.0, abs=1e-9)
    assert flat["mae"].low < flat["mae"].high
    # Of one class alone, UAR is the recall of that class; a part may miss in some resamples.
    part = np.isin(participants, ["P0", "P1", "P2"])
    draws = Draws.of(participants)
    inside = subject_bootstrap(value[part], value[part] + 0.1, participants[part], draws=draws)
    without = (draws.times[:, :3] == 0).all(axis=1)
    assert 0 < without.mean() < 0.1 and inside["mae"].low == pytest.approx(0.1)


def test_all_figures_of_a_study_take_under_half_a_second() -> None:
    """2,000 resamples of 121 participants and 1,303 clips: as many loops would take minutes."""
    rng = np.random.default_rng(0)
    participants = np.array([f"P{i:03d}" for i in rng.integers(0, 121, 1303)])
    true, predicted = rng.integers(0, 7, (2, 1303))
    subject_bootstrap(true[:9], predicted[:9], participants[:9], 7, resamples=2)
    began = time.process_time()
    subject_bootstrap(true, predicted, participants, 7)
    subject_bootstrap(true / 7, predicted / 7, participants)
    assert time.process_time() - began < 0.5
