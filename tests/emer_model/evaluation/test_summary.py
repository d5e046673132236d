from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from emer_model.data.targets import target
from emer_model.evaluation import masked_clips, subject_bootstrap, summarise
from emer_model.evaluation.calibration import fold_temperatures


@pytest.fixture
def targets() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "clip_id": ["a", "b", "c", "d"],
            "er_emotion": ["sadness", "fear", None, "anger"],
            "fer_emotion": ["happiness", "fear", "fear", None],
        }
    )


def test_summary_parts_clips_by_the_gap(targets: pd.DataFrame) -> None:
    predictions = pd.DataFrame(
        {
            "clip_id": ["a", "b", "c"],
            "fold": [0, 0, 1],
            "participant": ["P1", "P2", "P3"],
            "target_name": "er_emotion",
            "target": ["sadness", "fear", "fear"],
            "prediction": ["happiness", "fear", "fear"],
        }
    )
    summary = summarise(predictions, (target("er_emotion"),), masked_clips(targets))["er_emotion"]
    assert summary["pooled"]["war"] == pytest.approx(2 / 3)
    assert summary["folds"]["0"]["war"] == 0.5 and summary["mean_of_folds"]["war"] == 0.75
    assert (summary["masked"]["war"], summary["agreeing"]["war"]) == (0.0, 1.0)
    assert summary["masked"]["n_clips"] == summary["agreeing"]["n_clips"] == 1


def test_every_figure_of_every_protocol_has_its_interval(planted) -> None:
    predictions = pd.concat([planted.classes(0.4), planted.scale(0.3)], ignore_index=True)
    targets = (target("er_emotion"), target("er_valence"))
    summary = summarise(predictions, targets, planted.masked, planted.classes(0.4, 7))
    json.dumps(summary, allow_nan=False)
    assert list(summary) == ["er_emotion", "er_valence"]
    for declared in targets:
        found = summary[declared.name]
        names = {name for name in found["pooled"] if not name.startswith("n_")}
        for figures, bounds in (
            (found["pooled"], found["intervals"]),
            (found["agreeing"], found["agreeing_intervals"]),
            (found["masked"], found["masked_intervals"]),
            *((found["folds"][k], found["fold_intervals"][k]) for k in ("0", "1", "2")),
        ):
            assert set(bounds) == names
            assert all(bounds[name]["low"] <= figures[name] <= bounds[name]["high"] for name in names)
    rows = predictions[predictions["target_name"] == "er_valence"]
    alone = subject_bootstrap(
        rows["target_value"].to_numpy(), rows["prediction_value"].to_numpy(), rows["participant"].to_numpy(str)
    )["ccc"]
    assert summary["er_valence"]["intervals"]["ccc"]["low"] == pytest.approx(alone.low)
    # The masked clips are judged in resamples of all participants: a part of the same study.
    assert summary["er_emotion"]["masked_intervals"]["war"]["low"] < summary["er_emotion"]["masked"]["war"]


def test_temperatures_come_from_validation_and_are_stored(planted) -> None:
    predictions, validation = planted.classes(0.4, sharpness=3.0), planted.classes(0.4, 7, sharpness=3.0)
    both = (target("er_emotion"), target("er_valence"))
    predictions = pd.concat([predictions, planted.scale(0.3)], ignore_index=True)
    summary = summarise(predictions, both, planted.masked, validation)
    stored = summary["er_emotion"]["calibration"]["temperatures"]
    fitted = fold_temperatures(validation, both)["er_emotion"]
    assert stored == {str(k): fitted[k] for k in (0, 1, 2)} and min(fitted.values()) > 1.5
    assert "calibration" not in summary["er_valence"]
    assert "calibration" not in summarise(predictions, both, planted.masked)["er_emotion"]


def test_a_fold_of_one_person_has_no_interval(planted) -> None:
    predictions = planted.classes(0.4)
    predictions["fold"] = predictions["participant"].str[1:].astype(int)  # one participant a fold
    found = summarise(predictions, (target("er_emotion"),), planted.masked)["er_emotion"]
    assert found["fold_intervals"]["3"]["uar"] == {"low": None, "high": None, "level": 0.95}
    assert not math.isnan(found["mean_of_folds"]["uar"]) and np.isfinite(found["intervals"]["uar"]["low"])
