from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import precision_recall_fscore_support

from data_schema.errors import TrainingError
from data_schema.exports.reading import TrainingExport
from emer_model.data.targets import target
from emer_model.evaluation.breakdowns import (
    by_class,
    by_eye_data,
    by_participant,
    by_session,
    by_stimulus,
    spread,
    valid_eye_shares,
)

EMOTION, VALENCE = target("er_emotion"), target("er_valence")


def test_participants(planted) -> None:
    table = pd.concat([planted.classes(0.5), planted.scale(0.3)], ignore_index=True)
    people = by_participant(table, EMOTION, planted.masked)
    own = table[(table["participant"] == "P03") & (table["target_name"] == "er_emotion")]
    assert len(people) == 12 and people["n_clips"].sum() == 240
    assert people.loc["P03", "war"] == pytest.approx((own["target"] == own["prediction"]).mean())
    known = planted.masked.reindex(own["clip_id"]).dropna()
    assert people.loc["P03", "share_masked"] == pytest.approx(known.astype(bool).mean())
    over = spread(people, EMOTION)
    assert (over["metric"], over["n"]) == ("war", 12)
    assert over["min"] == people["war"].min() <= over["q25"] <= over["median"] <= over["max"] == people["war"].max()
    assert over["sd"] == pytest.approx(people["war"].std())
    values = by_participant(table, VALENCE)
    assert spread(values, VALENCE)["mean"] == pytest.approx(values["mae"].mean())
    with pytest.raises(TrainingError, match="hold no fer_polarity"):
        by_participant(table, target("fer_polarity"))


def test_stimuli_and_sessions(planted) -> None:
    table = planted.classes(0.5)
    films = by_stimulus(table, planted.clips, EMOTION, planted.masked)
    assert films.index.tolist() == [f"film-{i}" for i in range(5)] and (films["n_participants"] == 12).all()
    own = table[table["clip_id"].isin(planted.clips[planted.clips["stimulus_id"] == "film-2"]["clip_id"])]
    assert films.loc["film-2", "war"] == pytest.approx((own["target"] == own["prediction"]).mean())
    assert ((films["low"] < films["war"]) & (films["war"] < films["high"])).all()
    sessions = by_session(table, planted.clips, EMOTION)
    assert sessions.index[0] == "P00 01" and sessions["low"].isna().all() and sessions["n_clips"].sum() == 240
    with pytest.raises(TrainingError, match="another export"):
        by_stimulus(table, planted.clips.iloc[1:], EMOTION)


def test_by_how_much_of_the_eyes_was_seen(planted) -> None:
    table = planted.scale(0.2)
    shares = pd.Series(np.linspace(0, 1, 240), index=table["clip_id"])
    groups = by_eye_data(table, shares, VALENCE, edges=(0, 0.25, 0.5, 1))
    assert groups.index.tolist() == ["0-25 %", "25-50 %", "50-100 %"]
    assert groups["n_clips"].tolist() == [int(((shares > low) & (shares <= high)).sum()) + (low == 0)
                                          for low, high in ((0, 0.25), (0.25, 0.5), (0.5, 1))]  # fmt: skip
    few = by_eye_data(table, shares.clip(lower=0.95), VALENCE)
    assert few.index.tolist() == ["90-100 %"]
    with pytest.raises(TrainingError, match="not known"):
        by_eye_data(table, shares.iloc[5:], VALENCE)


def test_classes_are_those_of_sklearn(planted) -> None:
    table = planted.classes(0.5)
    classes = by_class(table, EMOTION)
    expected = precision_recall_fscore_support(
        table["target"], table["prediction"], labels=list(EMOTION.classes), zero_division=np.nan
    )
    for name, values in zip(("precision", "recall", "f1", "n_clips"), expected, strict=True):
        assert classes[name].to_numpy() == pytest.approx(values)
    assert ((classes["recall_low"] <= classes["recall"]) & (classes["recall"] <= classes["recall_high"])).all()
    never = by_class(table[table["target"] != "fear"], EMOTION)
    assert np.isnan(never.loc["fear", ["recall", "recall_low"]].to_numpy(float)).all()


def test_shares_are_those_of_the_masks(tiny_export: Path) -> None:
    with TrainingExport.open(tiny_export, verify=False) as export:
        shares = valid_eye_shares(export)
        clip = shares.index[9]
        assert len(shares) == 42 and shares[clip] == export.read(clip, ("eye_mask",))["eye_mask"].mean()
        assert 0.85 < shares.mean() < 0.95
