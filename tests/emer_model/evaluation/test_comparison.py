from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from data_schema.errors import TrainingError
from emer_model.data.targets import target
from emer_model.evaluation import classification_metrics, subject_bootstrap
from emer_model.evaluation.bootstrap import Draws, SubjectSums
from emer_model.evaluation.comparison import DIFFERENCE_COLUMNS, Contender, compare_runs
from emer_model.evaluation.randomisation import holm, randomisation

EMOTION, VALENCE = target("er_emotion"), target("er_valence")


def pick(table: pd.DataFrame, **wanted) -> dict:
    for name, value in wanted.items():
        table = table[table[name].isna() if value is pd.NA else table[name] == value]
    (row,) = table.to_dict("records")
    return row


@pytest.fixture(scope="module")
def comparison(planted):
    tables = [("weak", 0.3, 0.6), ("strong", 0.6, 0.3), ("same", 0.3, 0.6)]
    runs = [
        Contender(name, (pd.concat([planted.classes(quality, i), planted.scale(noise, i)], ignore_index=True),))
        for i, (name, quality, noise) in enumerate(tables)
    ]
    return runs, compare_runs(runs, (EMOTION, VALENCE), planted.masked, exchanges=999)


def test_a_better_run_is_favoured_and_its_like_is_not(comparison) -> None:
    _, found = comparison
    assert tuple(found.differences.columns) == DIFFERENCE_COLUMNS
    assert found.against == {"er_emotion": "weak", "er_valence": "weak"}
    uar = pick(found.differences, run="strong", target_name="er_emotion", part="pooled", metric="uar", fold=pd.NA)
    assert uar["difference"] == pytest.approx(uar["value"] - uar["value_against"])
    assert 0 < uar["low"] < uar["difference"] < uar["high"] and uar["favours"] == "strong"
    assert uar["p"] <= uar["p_holm"] < 0.01
    # Less error is better: the difference is below 0 and speaks for the run.
    mae = pick(found.differences, run="strong", target_name="er_valence", part="pooled", metric="mae", fold=pd.NA)
    assert mae["high"] < 0 and mae["favours"] == "strong"
    like = pick(found.differences, run="same", target_name="er_emotion", part="pooled", metric="uar", fold=pd.NA)
    assert like["low"] < 0 < like["high"] and like["favours"] == "" and like["p_holm"] > 0.05


def test_parts_and_folds_hold_their_own_clips(comparison, planted) -> None:
    runs, found = comparison
    rows = found.figures[(found.figures["run"] == "weak") & (found.figures["metric"] == "war")].set_index("part")
    rows = rows[rows["target_name"] == "er_emotion"]
    masked, agreeing = int((planted.masked == True).sum()), int((planted.masked == False).sum())  # noqa: E712
    assert rows["n_clips"].to_dict() == {"pooled": 240, "agreeing": agreeing, "masked": masked}
    assert masked + agreeing == 220  # of 20 nobody knows
    table = runs[0].tables[0]
    table = table[(table["target_name"] == "er_emotion") & (table["fold"] == 1)]
    fold = pick(found.differences, run="strong", target_name="er_emotion", fold=1, metric="war")
    assert fold["value_against"] == pytest.approx((table["target"] == table["prediction"]).mean())
    assert fold["n_participants"] == 4 and math.isnan(fold["p"])
    right = pick(found.right, run="strong", part="pooled")
    whole = pick(found.differences, run="strong", target_name="er_emotion", part="pooled", metric="war", fold=pd.NA)
    assert (right["only_run"] - right["only_against"]) / 240 == pytest.approx(whole["difference"])
    assert right["both"] + right["only_run"] + right["only_against"] + right["neither"] == 240


def test_pairing_is_what_makes_the_interval_narrow(planted) -> None:
    """Where two runs answer alike but for a few clips, their difference is known far better than either figure."""
    one = planted.classes(0.4)
    other = one.copy()
    wrong = np.flatnonzero(one["target"] != one["prediction"])[::8]
    other.loc[wrong, "prediction"] = other.loc[wrong, "target"]
    found = compare_runs([Contender("one", (one,)), Contender("other", (other,))], (EMOTION,), by_fold=False)
    row = pick(found.differences, part="pooled", metric="war")
    alone = pick(found.figures, run="one", part="pooled", metric="war")
    assert row["difference"] == pytest.approx(len(wrong) / 240) and row["favours"] == "other"
    assert row["high"] - row["low"] < 0.5 * (alone["high"] - alone["low"])
    assert alone["low"] < pick(found.figures, run="other", part="pooled", metric="war")["low"] < alone["high"]


def test_the_interval_is_that_of_the_difference_in_each_resample(planted) -> None:
    one, other = planted.classes(0.3, 1), planted.classes(0.5, 2)
    found = compare_runs(
        [Contender("one", (one,)), Contender("other", (other,))], (EMOTION,), resamples=25, exchanges=9
    )
    people = one["participant"].to_numpy()
    draws = Draws.of(people, resamples=25)
    differences = []
    for times in draws.times:
        clips = np.concatenate(
            [np.flatnonzero(people == c) for c, n in zip(draws.participants, times, strict=True) for _ in range(int(n))]
        )
        index = {name: i for i, name in enumerate(EMOTION.classes)}
        sides = [
            classification_metrics(*(t[c].map(index).to_numpy()[clips] for c in ("target", "prediction")), 7)[
                "macro_f1"
            ]
            for t in (other, one)
        ]
        differences.append(sides[0] - sides[1])
    row = pick(found.differences, part="pooled", metric="macro_f1", fold=pd.NA)
    assert (row["low"], row["high"]) == pytest.approx(tuple(np.percentile(differences, [2.5, 97.5])))


def test_randomisation_is_the_exact_test_where_all_exchanges_can_be_listed() -> None:
    rng = np.random.default_rng(4)
    true, places = rng.integers(0, 2, 60), np.repeat(np.arange(6), 10)
    answers = [np.where(rng.random(60) < share, true, 1 - true) for share in (0.85, 0.65)]
    sums = [SubjectSums.of(true, answer, places, 6, 2) for answer in answers]
    right = np.stack([np.bincount(places, answer == true, minlength=6) for answer in answers])  # (2, 6)
    gain = right[0] - right[1]
    exact = np.mean([abs(np.dot(signs, gain)) >= abs(gain.sum()) for signs in itertools.product((1, -1), repeat=6)])
    found = randomisation([sums[0]], [sums[1]], exchanges=20000)["war"]
    assert found == pytest.approx(exact, abs=0.012)
    assert randomisation([sums[0]], [sums[0]], exchanges=200)["uar"] == 1.0
    assert math.isnan(randomisation([sums[0], sums[0]], [sums[1]], exchanges=10)["war"])


def test_holm_multiplies_by_how_many_are_left_and_never_falls() -> None:
    # By hand: 0.001 * 5, then 0.03 * 4 holds for the next ones, which 0.03 * 3 and 0.04 * 2 do not exceed.
    assert holm(np.array([0.04, 0.001, 0.03, 0.5, 0.03])) == pytest.approx([0.12, 0.005, 0.12, 0.5, 0.12])
    assert holm(np.array([0.7, 0.8])) == pytest.approx([1.0, 1.0])


def test_best_compares_with_the_run_whose_main_figure_is_greatest(comparison, planted) -> None:
    runs, _ = comparison
    found = compare_runs(runs, (EMOTION, VALENCE), best=True, by_fold=False, exchanges=19)
    assert found.against == {"er_emotion": "strong", "er_valence": "strong"}
    assert set(found.differences["run"]) == {"weak", "same"}
    assert (found.differences[found.differences["part"] == "masked"]["n_clips"] == 0).all()  # nobody said which


def test_seeds_are_averaged_within_each_resample(planted) -> None:
    seeds = tuple(planted.classes(0.4, seed) for seed in range(3))
    weak = tuple(planted.classes(0.2, seed) for seed in range(3))
    found = compare_runs([Contender("weak", weak), Contender("three", seeds)], (EMOTION,), by_fold=False, exchanges=99)
    war = pick(found.figures, run="three", part="pooled", metric="war")
    assert war["value"] == pytest.approx(np.mean([(t["target"] == t["prediction"]).mean() for t in seeds]))
    widths = []
    for table in seeds:
        index = {name: i for i, name in enumerate(EMOTION.classes)}
        sides = [table[c].map(index).to_numpy() for c in ("target", "prediction")]
        interval = subject_bootstrap(*sides, table["participant"].to_numpy(str), 7)["war"]
        widths.append(interval.high - interval.low)
    assert war["high"] - war["low"] < max(widths)
    assert pick(found.differences, part="pooled", metric="war")["p"] == pytest.approx(0.01)
    assert found.right.empty


def test_runs_on_other_clips_or_labels_are_refused(planted) -> None:
    one = planted.classes(0.4)
    other = one.copy()
    other.loc[0, "target"] = "fear" if other.loc[0, "target"] != "fear" else "anger"
    for table, message in ((one.iloc[:-3], "240 clips.*237"), (other, "1 clips have another label")):
        with pytest.raises(TrainingError, match=message):
            compare_runs([Contender("one", (one,)), Contender("other", (table,))], (EMOTION,))
    moved = one.assign(fold=0)
    found = compare_runs([Contender("one", (one,)), Contender("moved", (moved,))], (EMOTION,), exchanges=9)
    assert found.differences["fold"].isna().all()  # other folds: figures by fold would not be of the same clips
