from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from data_schema.errors import TrainingError
from data_schema.vocabularies import EMOTIONS
from emer_model.evaluation import agreement_matrix, masked_clips
from emer_model.evaluation.gap import (
    masking_figures,
    predicted_gap,
    predicted_labels,
    scale_gap,
    scale_gap_figures,
)


@pytest.fixture
def targets() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "clip_id": ["a", "b", "c", "d"],
            "er_emotion": ["sadness", "fear", None, "anger"],
            "fer_emotion": ["happiness", "fear", "fear", None],
        }
    )


def test_masked_clips_are_those_where_felt_and_shown_differ(targets: pd.DataFrame) -> None:
    masked = masked_clips(targets)
    assert masked["a"] and not masked["b"]
    assert masked[["c", "d"]].isna().all()
    matrix = agreement_matrix(targets, EMOTIONS)
    assert matrix.sum() == 2 and matrix[EMOTIONS.index("sadness"), EMOTIONS.index("happiness")] == 1


@pytest.fixture
def gap(planted) -> pd.DataFrame:
    er, fer = planted.classes(0.5, 1), planted.classes(0.8, 2, target="fer_emotion")
    return predicted_gap(er.sample(frac=1, random_state=0), pd.concat([planted.scale(0.1), fer.iloc[6:]]))


def test_both_answers_stand_by_their_clip(gap: pd.DataFrame, planted) -> None:
    er, fer = planted.classes(0.5, 1), planted.classes(0.8, 2, target="fer_emotion")
    assert len(gap) == 234  # six clips have no FER answer
    row = gap.iloc[17]
    one, other = (t.set_index("clip_id").loc[row["clip_id"]] for t in (er, fer))
    assert (row["er"], row["predicted_er"], row["participant"]) == (
        one["target"],
        one["prediction"],
        one["participant"],
    )
    assert row["predicted_masked"] == (one["prediction"] != other["prediction"])
    same = sum(float(one[f"p_{name}"]) * float(other[f"p_{name}"]) for name in EMOTIONS)
    assert row["p_masked"] == pytest.approx(1 - same, abs=1e-5)
    matrix = agreement_matrix(predicted_labels(gap), EMOTIONS)
    assert matrix.sum() == 234 and np.trace(matrix) == (~gap["predicted_masked"]).sum()
    with pytest.raises(TrainingError, match="hold no fer_emotion; they hold er_emotion"):
        predicted_gap(er, er)
    with pytest.raises(TrainingError, match="share no clip"):
        predicted_gap(er.iloc[:9], fer.iloc[9:])


def test_figures_of_masking_are_those_of_sklearn(gap: pd.DataFrame) -> None:
    figures = masking_figures(gap)
    true, said = gap["masked"], gap["predicted_masked"]
    assert figures["precision"] == pytest.approx(precision_score(true, said))
    assert figures["recall"] == pytest.approx(recall_score(true, said))
    assert figures["f1"] == pytest.approx(f1_score(true, said))
    assert figures["auc"] == pytest.approx(roc_auc_score(true, gap["p_masked"]))
    assert figures["share"] == pytest.approx(true.mean()) and figures["share_predicted"] == pytest.approx(said.mean())
    for name, interval in figures["intervals"].items():
        assert interval["low"] < figures[name] < interval["high"], name
    rounded = gap.assign(p_masked=gap["p_masked"].round(1))  # with ties
    assert masking_figures(rounded)["auc"] == pytest.approx(roc_auc_score(true, rounded["p_masked"]))


def test_the_interval_of_auc_is_that_of_drawn_participants(gap: pd.DataFrame) -> None:
    rng = np.random.default_rng(0)
    people = gap["participant"].unique()
    values = []
    own = {p: gap.loc[gap["participant"] == p, ["masked", "p_masked"]].to_numpy(float) for p in people}
    for _ in range(100):
        drawn = np.concatenate([own[p] for p in rng.choice(people, len(people))])
        values.append(roc_auc_score(drawn[:, 0], drawn[:, 1]))
    interval = masking_figures(gap)["intervals"]["auc"]
    assert (interval["low"], interval["high"]) == pytest.approx(tuple(np.percentile(values, [2.5, 97.5])), abs=0.03)


def test_nothing_masked_has_no_recall(gap: pd.DataFrame) -> None:
    figures = masking_figures(gap[~gap["masked"]])
    assert math.isnan(figures["recall"]) and math.isnan(figures["auc"]) and figures["share"] == 0
    alone = masking_figures(gap[gap["participant"] == "P00"])
    assert alone["intervals"] == {}


def test_the_valence_gap(planted) -> None:
    er, fer = planted.scale(0.1, 1), planted.scale(0.1, 2, target="fer_valence")
    gap = scale_gap(er.sample(frac=1, random_state=1), fer)
    row = gap.iloc[5]
    one, other = (t.set_index("clip_id").loc[row["clip_id"]] for t in (er, fer))
    assert row["gap"] == pytest.approx(one["target_value"] - other["target_value"])
    assert row["predicted_gap"] == pytest.approx(one["prediction_value"] - other["prediction_value"])
    figures = scale_gap_figures(gap)
    assert figures["pearson"] == pytest.approx(np.corrcoef(gap["gap"], gap["predicted_gap"])[0, 1])
    assert figures["intervals"]["ccc"]["low"] < figures["ccc"] < figures["intervals"]["ccc"]["high"]
