"""A run that is explained once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from emer_model.training import RunConfig, RunFolder, train
from emer_model.understanding import explain


@pytest.fixture(scope="session")
def explained_run(tiny_export: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One fold of a network that attends, on both tasks, explained; read only."""
    run = tmp_path_factory.mktemp("explained") / "eyeface"
    config = RunConfig.of(
        "er-7,fer-7,fer-intensity", "eyeface", epochs=6, learning_rate=5e-3, allow_missing_classes=True
    )
    train(tiny_export, run, config, folds="0", device="cpu", threads=1)
    explain(RunFolder(run), tiny_export, n_clips=8, device="cpu")
    return run
