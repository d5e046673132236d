"""Fitted models through training, the checkpoint and its evaluation."""

from __future__ import annotations

import pytest

from emer_model.runs.repeat import repeat_predictions
from emer_model.training import RunConfig, train
from emer_model.training.run_folder import RunFolder


@pytest.mark.parametrize(
    ("model", "protocol", "arguments"),
    [
        ("stack", "er-3", {"trees": 5, "inner_folds": 2}),
        ("eyeface-stack", "er-3", {"trees": 5, "inner_folds": 2}),
        ("logistic-eye", "er-va", {}),
    ],
)
def test_a_run_of_a_fitted_model_repeats_to_the_bit(tiny_export, tmp_path, model, protocol, arguments):
    out = tmp_path / "run"
    config = RunConfig.of(
        protocol=protocol, model=model, epochs=1, allow_missing_classes=True, model_arguments=arguments
    )
    metrics = train(tiny_export, out, config, folds="0", device="cpu", threads=1)
    assert metrics["finished_folds"] == [0]
    assert (out / "folds" / "fold-0" / "best.safetensors").stat().st_size < 2e6
    repeated = repeat_predictions(RunFolder(out), device="cpu")
    assert repeated.identical
