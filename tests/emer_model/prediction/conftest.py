"""Runs of fitted models, and recordings that are in no export."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def linear_run(tiny_export: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of logistic regressions on both passes; read only."""
    from emer_model.training import RunConfig, train

    out = tmp_path_factory.mktemp("runs") / "linear"
    config = RunConfig.of(protocol="er-7,fer-7,fer-intensity", model="logistic-eye", allow_missing_classes=True)
    train(tiny_export, out, config, device="cpu", threads=1)
    return out


@pytest.fixture(scope="session")
def recorded(fixture: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an export of synthetic sessions (run/export), a run on it (run/run), and session files (sessions)."""
    from data_schema.exports.shards import ShardSettings
    from data_schema.session.synthetic import make_synthetic_session
    from data_schema.vocabularies import EMOTIONS
    from emer_model.prediction.recordings import compute_recordings
    from emer_model.training import RunConfig, train

    root = tmp_path_factory.mktemp("recorded")
    (root / "sessions").mkdir()
    codes = [f"P{i + 1:03d}" for i in range(6)]
    for i, code in enumerate(codes):
        path = root / "sessions" / f"sub-{code}_ses-01.h5"
        make_synthetic_session(path, participant=code, n_trials=3, trial_s=1.0, rate_hz=120.0, with_video=False, seed=i)
    export = root / "export"
    export.mkdir()
    settings = ShardSettings(face_frames=2, eye_chunks=8, max_fixations=8)
    compute_recordings(sorted((root / "sessions").iterdir()), settings, export)
    targets = pd.read_parquet(export / "targets.parquet")
    rng = np.random.default_rng(0)
    targets["er_emotion"] = rng.choice(EMOTIONS[:3], len(targets))
    targets["er_n_raters"] = 3
    targets.to_parquet(export / "targets.parquet")
    folds = {"seed": 0, "n_folds": 3, "assignment": {code: i % 3 for i, code in enumerate(codes)}}
    (export / "folds.json").write_text(json.dumps(folds), encoding="utf-8")
    fixture.write_manifest(export)
    config = RunConfig.of(protocol="er-7", model="logistic-eye", allow_missing_classes=True)
    train(export, root / "run", config, device="cpu", threads=1)
    for path in sorted((root / "sessions").iterdir())[1:]:
        path.unlink()
    return root
