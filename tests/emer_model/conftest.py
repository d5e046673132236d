"""Tiny exports and runs for the tests of emer_model."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

pytest.importorskip("torch", reason="needs torch")


def _load(name: str) -> ModuleType:
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"emer_model_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def fixture() -> ModuleType:
    """The module that writes planted exports."""
    return _load("export_fixture")


@pytest.fixture(scope="session")
def tiny_export(fixture: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six participants of seven clips in three folds; read only."""
    return fixture.write_export(tmp_path_factory.mktemp("tiny") / "export", face_px=28, frames=2)


@pytest.fixture
def own_export(fixture: ModuleType, tmp_path: Path) -> Path:
    """The same export, for tests that damage it."""
    return fixture.write_export(tmp_path / "export", face_px=28, frames=2)


@pytest.fixture(scope="session")
def tiny_config():
    """Make settings that train a fold in a second."""
    from emer_model.training import RunConfig

    def make(**changes):
        settings = {"protocol": "er-7", "model": "emert", "epochs": 2, "learning_rate": 3e-3, "dropout": 0.2}
        faces = {"face_backbone": "compact", "face_training": "full"}
        return RunConfig.of(**(settings | faces | changes))

    return make


@pytest.fixture(scope="session")
def tiny_run(tiny_export: Path, tiny_config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of EMERT on all three folds; read only."""
    from emer_model.training import train

    out = tmp_path_factory.mktemp("runs") / "emert"
    train(tiny_export, out, tiny_config(), device="cpu", threads=1)
    return out


@pytest.fixture(scope="session")
def reseal():
    """Store the hashes of a run's folds anew and merge their predictions, as someone would who hides a change."""
    import json

    from emer_model.training.run_state import hash_files

    def make(run: Path) -> None:
        tables = []
        for path in sorted(run.glob("folds/fold-*/fold.json")):
            record = json.loads(path.read_text(encoding="utf-8")) | {"sha256": hash_files(path.parent)}
            path.write_text(json.dumps(record), encoding="utf-8")
            tables.append(pd.read_parquet(path.parent / "predictions.parquet"))
        pd.concat(tables, ignore_index=True).to_parquet(run / "predictions.parquet", index=False)

    return make
