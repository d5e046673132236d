from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_schema.errors import TrainingError
from emer_model.data.targets import target
from emer_model.evaluation.calibration import (
    apply_temperature,
    calibrate,
    calibration_figures,
    calibration_summary,
    expected_calibration_error,
    fit_temperature,
    fold_temperatures,
    probabilities,
    reliability,
)

EMOTION = target("er_emotion")


@pytest.fixture(scope="module")
def too_sure():
    """4,000 answers whose logits are 2.5 times too large, and the classes drawn from the honest ones."""
    rng = np.random.default_rng(0)
    logits = 2.0 * rng.normal(size=(4000, 5))
    honest = apply_temperature(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), 2.5)
    true = (honest.cumsum(axis=1) > rng.random((4000, 1))).argmax(axis=1)
    return apply_temperature(honest, 1 / 2.5), honest, true


def test_the_temperature_that_was_planted_is_found(too_sure) -> None:
    sure, honest, true = too_sure
    fitted = fit_temperature(sure, true)
    assert fitted == pytest.approx(2.5, rel=0.06)
    assert fit_temperature(honest, true) == pytest.approx(fitted / 2.5, rel=1e-5)
    assert fit_temperature(sure.astype(np.float32), true) == pytest.approx(fitted, rel=1e-4)
    after = apply_temperature(sure, fitted)
    assert (after.argmax(axis=1) == sure.argmax(axis=1)).all()
    before, mended = calibration_figures(sure, true), calibration_figures(after, true)
    assert before["ece"] > 0.15 and mended["ece"] < 0.04
    assert all(mended[name] < before[name] for name in before)
    nearby = [calibration_figures(apply_temperature(sure, fitted * x), true)["nll"] for x in (0.98, 1.02)]
    assert mended["nll"] < min(nearby)


def test_figures_are_those_of_the_libraries(too_sure) -> None:
    import torch
    from sklearn.metrics import brier_score_loss, log_loss
    from torchmetrics.functional.classification import multiclass_calibration_error

    sure, _, true = too_sure
    figures = calibration_figures(sure, true, bins=12)
    theirs = multiclass_calibration_error(torch.tensor(sure), torch.tensor(true), num_classes=5, n_bins=12)
    assert figures["ece"] == pytest.approx(theirs.item(), abs=1e-6)
    assert figures["nll"] == pytest.approx(log_loss(true, sure))
    assert figures["brier"] == pytest.approx(sum(brier_score_loss(true == k, sure[:, k]) for k in range(5)))


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.25, 0.5, 0.7, 0.9, 1.0]), st.booleans()), min_size=1, max_size=40),
    st.integers(1, 15),
    st.booleans(),
)
def test_every_answer_is_in_one_bin(answers: list[tuple[float, bool]], bins: int, adaptive: bool) -> None:
    share, right = (np.array(x) for x in zip(*answers, strict=True))
    predicted = np.stack([share, 1 - share], axis=1)
    true = np.where(right, predicted.argmax(axis=1), 1 - predicted.argmax(axis=1))
    table = reliability(predicted, true, bins=bins, adaptive=adaptive)
    assert table["n_clips"].sum() == len(answers) and len(table) <= bins
    filled = table[table["n_clips"] > 0]
    assert ((filled["confidence"] > filled["low"]) & (filled["confidence"] <= filled["high"] + 1e-12)).all()
    assert (table["n_clips"] > 0).all() or not adaptive
    assert (filled["accuracy"] * filled["n_clips"]).sum() == pytest.approx(right.sum())
    ece = expected_calibration_error(predicted, true, bins=bins, adaptive=adaptive)
    assert 0 <= ece <= 1


def test_bins_of_as_many_clips_each(too_sure) -> None:
    sure, _, true = too_sure
    assert reliability(sure, true, bins=16, adaptive=True)["n_clips"].tolist() == [250] * 16


def test_answers_that_no_temperature_mends() -> None:
    true = np.array([0, 1, 2, 1])
    assert fit_temperature(np.eye(3)[true], true) == 0.05  # all right: as sure as may be
    assert fit_temperature(np.eye(3)[(true + 1) % 3], true) == 20.0
    assert fit_temperature(np.full((4, 3), 1 / 3), true) == 1.0
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, int)) == 1.0
    assert math.isnan(calibration_figures(np.zeros((0, 3)), np.zeros(0, int))["ece"])
    assert np.isfinite(calibration_figures(np.eye(3)[(true + 1) % 3], true)["nll"])
    with pytest.raises(TrainingError, match="above 0"):
        apply_temperature(np.eye(3), 0.0)


def test_each_fold_is_scaled_by_its_own_validation_clips_alone(planted) -> None:
    """The labels of the test clips decide nothing."""
    validation = planted.classes(0.4, 1, sharpness=3.0)
    validation.loc[validation["fold"] == 2, [c for c in validation if c.startswith("p_")]] = 1 / 7
    test = planted.classes(0.4, 2, sharpness=3.0)
    found = fold_temperatures(validation, (EMOTION, target("er_valence")))
    assert list(found) == ["er_emotion"]
    temperatures = found["er_emotion"]
    assert temperatures[0] > 1.5 and temperatures[1] > 1.5 and temperatures[2] == 1.0
    calibrated = calibrate(test, temperatures, EMOTION)
    before, _ = probabilities(test, EMOTION)
    for k in range(3):
        rows = (test["fold"] == k).to_numpy()
        assert calibrated.after[rows] == pytest.approx(apply_temperature(before[rows], temperatures[k]))
    other = test.assign(target=test["target"].to_numpy()[::-1])
    assert (calibrate(other, temperatures, EMOTION).after == calibrated.after).all()
    assert calibrate(test, {}, EMOTION).temperatures == {0: 1.0, 1: 1.0, 2: 1.0}

    summary = calibration_summary(calibrated)
    assert summary["temperatures"] == {str(k): t for k, t in temperatures.items()}
    assert summary["after"]["ece"] < summary["before"]["ece"]
    change = summary["change"]["nll"]
    assert change["low"] < change["difference"] < change["high"] < 0
    for side, predicted in (("before", calibrated.before), ("after", calibrated.after)):
        figures = summary[side]
        assert figures["ece"] == expected_calibration_error(predicted, calibrated.true)
        assert all(figures["intervals"][m]["low"] <= figures["intervals"][m]["high"] for m in ("ece", "brier", "nll"))
        assert figures["intervals"]["brier"]["low"] < figures["brier"] < figures["intervals"]["brier"]["high"]
        assert sum(row["n_clips"] for row in figures["reliability"]) == 240


def test_what_holds_no_probabilities_is_refused(planted) -> None:
    table = planted.classes(0.4)
    for damaged, message in (
        (table.drop(columns="p_fear"), "no column p_fear"),
        (table.assign(p_fear=np.nan), "not a number"),
        (table.assign(target="joy"), "none of happiness"),
    ):
        with pytest.raises(TrainingError, match=message):
            probabilities(damaged, EMOTION)
    with pytest.raises(TrainingError, match="only classes"):
        probabilities(planted.scale(0.1), target("er_valence"))
