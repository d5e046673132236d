"""Training that is killed, and training in several processes."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_schema.errors import UsageError
from emer_model.training import RunConfig, RunFolder, train
from emer_model.training.fold_tasks import train_in_workers, train_task

#: Trains until the second epoch has been computed, and is killed before its state is stored.
KILLED = """
import os, signal, sys, json
from pathlib import Path
from emer_model.training import RunConfig, train

def kill(done, total, said):
    if "validation score" in said and done == 2:
        os.kill(os.getpid(), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)

config = RunConfig.from_json(json.loads(sys.argv[3]))
train(Path(sys.argv[1]), Path(sys.argv[2]), config, folds="0", device="cpu", threads=1, progress=kill)
"""


def quiet() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def test_a_killed_fold_goes_on_and_ends_with_the_same_bits(
    tiny_export: Path, tiny_run: Path, tiny_config, tmp_path: Path
) -> None:
    run, config = RunFolder(tmp_path / "run"), tiny_config()
    arguments = [str(tiny_export), str(run.root), json.dumps(config.as_json())]
    ended = subprocess.run([sys.executable, "-c", KILLED, *arguments], env=quiet(), timeout=100, check=False)
    assert ended.returncode == -getattr(signal, "SIGKILL", -ended.returncode)
    assert {path.name for path in run.fold(0).iterdir()} == {"state.pt"}
    train(tiny_export, run.root, config, folds="0", device="cpu", threads=1)
    assert "goes on after epoch 1" in run.log_path.read_text(encoding="utf-8")
    for name in ("best.safetensors", "last.safetensors", "predictions.parquet", "validation.parquet"):
        assert (run.fold(0) / name).read_bytes() == (tiny_run / "folds/fold-0" / name).read_bytes(), name
    assert not (run.fold(0) / "state.pt").exists()
    assert len(pd.read_csv(run.fold(0) / "curves.csv")) == 2


@pytest.fixture(scope="module")
def plain() -> RunConfig:
    """Without dropout, which differs between processes; 14 clips in batches of 13 leave a last batch of one."""
    given = {
        "epochs": 2,
        "dropout": 0.0,
        "modality_dropout": 0.0,
        "batch_size": 13,
        "learning_rate": 3e-3,
        "ema_decay": 0.9,
    }
    return RunConfig.of("er-7", "eyeface", model_arguments={"width": 16, "layers": 1}, **given)


@pytest.fixture(scope="module")
def alone(tiny_export: Path, plain: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one process."""
    run = tmp_path_factory.mktemp("alone") / "run"
    train(tiny_export, run, plain, folds="0,1", device="cpu", threads=1)
    return run


def test_two_processes_of_torchrun_learn_what_one_learns(tiny_export: Path, alone: Path, tmp_path: Path) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]
    command += ["-m", "emer_model", "train", str(tiny_export), "--like", str(alone), "--out", str(tmp_path / "run")]
    ended = subprocess.run(
        [*command, "--folds", "0", "--device", "cpu", "--threads", "1", "--json"],
        env=quiet(), timeout=100, check=False, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    # The first process alone talks and writes.
    assert json.loads(ended.stdout)["finished_folds"] == [0] and ended.stderr.count("Run folder:") == 1
    run, single = RunFolder(tmp_path / "run"), RunFolder(alone)
    assert run.fold_records([0])[0]["processes"] == 2 and single.fold_records([0])[0]["processes"] == 1
    ours, theirs = run.fold_predictions([0]), single.fold_predictions([0])
    assert ours["clip_id"].tolist() == theirs["clip_id"].tolist()
    columns = [name for name in ours if name.startswith("p_")]
    assert np.allclose(ours[columns], theirs[columns], atol=1e-4)
    curves = [f.fold_curves([0]).drop(columns=["seconds"]) for f in (run, single)]
    assert np.allclose(curves[0], curves[1], atol=1e-4)


def test_folds_of_workers_are_those_of_one_process(
    tiny_export: Path, alone: Path, plain: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_tasks(function, tasks, *, workers: int, scheduler: str):
        assert (workers, scheduler) == (2, "") and function is train_task
        for name, task in tasks.items():
            yield name, function(pickle.loads(pickle.dumps(task)))  # as it travels to another process

    monkeypatch.setattr("emer_model.training.fold_tasks.run_tasks", run_tasks)
    said: list[tuple[int, int, str]] = []
    train(
        tiny_export, tmp_path / "run", plain, folds="0,1", device="cpu", threads=1, workers=2,
        progress=lambda *now: said.append(now),
    )  # fmt: skip
    assert said[-1] == (4, 4, "")  # two folds of two epochs
    for k in (0, 1):
        for name in ("best.safetensors", "predictions.parquet"):
            path = Path(f"folds/fold-{k}") / name
            assert (tmp_path / "run" / path).read_bytes() == (alone / path).read_bytes()
        assert not (tmp_path / f"run/folds/fold-{k}/progress.json").exists()


def test_workers_and_torchrun_exclude_each_other(
    tiny_export: Path, plain: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("TORCHELASTIC_RUN_ID", "x"), ("WORLD_SIZE", "2"), ("RANK", "0")):
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="use one of them"):
        train(tiny_export, tmp_path / "run", plain, workers=2)
    assert train_in_workers.__module__ and not (tmp_path / "run").exists()


def test_a_second_machine_repeats_a_run(tiny_export: Path, alone: Path, tmp_path: Path, capsys) -> None:
    from data_schema.cli import main

    moved = shutil.copytree(alone, tmp_path / "elsewhere/run")
    command = ["train", str(tiny_export), "--like", str(moved), "--folds", "0", "--device", "cpu"]
    assert main(command) == 2 and "--out" in capsys.readouterr().err
    assert main([*command, "--out", str(tmp_path / "again")]) == 0
    for name in ("best.safetensors", "predictions.parquet"):
        path = Path("folds/fold-0") / name
        assert (tmp_path / "again" / path).read_bytes() == (alone / path).read_bytes()
    assert main([*command, "--out", str(tmp_path / "other"), "--model", "majority"]) == 2
    assert "is a run of 'eyeface'" in capsys.readouterr().err


# ---------------------------------------------------------------- what lies beside the folds


def test_the_model_card_says_what_a_reader_must_know(alone: Path) -> None:
    card = (alone / "model_card.md").read_text(encoding="utf-8")
    metrics = json.loads((alone / "metrics.json").read_text(encoding="utf-8"))
    config = json.loads((alone / "config.json").read_text(encoding="utf-8"))
    assert card.startswith("# eyeface: er-7\n") and "**Simulated.**" in card and "no diagnosis" in card
    assert config["export"]["manifest_sha256"] in card and config["versions"]["torch"] in card
    found, bounds = (metrics["targets"]["er_emotion"][key]["uar"] for key in ("pooled", "intervals"))
    assert f"| `er_emotion` | uar | {found:.3f} | {bounds['low']:.3f} to {bounds['high']:.3f} |" in card
    assert "emer train EXPORT --like run --out run_again" in card and "2 of 3 folds" in card


def test_tensorboard_has_the_curves(alone: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    read = events.EventAccumulator(str(alone / "tensorboard/fold-1"))
    read.Reload()
    curves = pd.read_csv(alone / "folds/fold-1/curves.csv")
    assert [e.step for e in read.Scalars("validation/score")] == [1, 2]
    assert np.allclose([e.value for e in read.Scalars("training/total")], curves["train_total"], atol=1e-5)


def test_without_tensorboard_training_goes_on(
    tiny_export: Path, plain: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emer_model.training.tensorboard.find_spec", lambda name: None)
    said: list[str] = []
    train(tiny_export, tmp_path / "run", plain, folds="0", device="cpu", threads=1, tell=said.append)
    assert any("tensorboard is not installed" in sentence for sentence in said)
    assert not (tmp_path / "run/tensorboard").exists()
