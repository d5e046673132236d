from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from data_schema.cli import main

TRAINING = ["--model", "emert", "--face-backbone", "compact", "--epochs", "1", "--device", "cpu"]
FITTED = ["--model", "logistic-face", "--device", "cpu"]


def test_train_evaluate_report(tiny_export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert (
        main(["train", str(tiny_export), "--protocol", "er-7", "--folds", "0,2", "--json", "--out", str(run), *FITTED])
        == 0
    )
    captured = capsys.readouterr()
    printed = json.loads(captured.out)  # results alone on standard output
    assert printed["finished_folds"] == [0, 2] and printed["simulated"] is True
    assert printed["targets"]["er_emotion"]["pooled"]["n_clips"] == 28
    assert "emer report" in captured.err

    assert main(["evaluate", str(run), "--json"]) == 0
    evaluated = json.loads(capsys.readouterr().out)[0]
    assert evaluated["bit_identical"] is True
    assert evaluated["targets"]["er_emotion"]["pooled"] == printed["targets"]["er_emotion"]["pooled"]
    assert main(["evaluate", str(run)]) == 0
    assert "repeats the stored predictions bit for bit" in capsys.readouterr().out

    page = tmp_path / "report.html"
    assert main(["report", str(run), "--export", str(tiny_export), "--out", str(page)]) == 0
    assert capsys.readouterr().out.strip() == str(page)
    before = page.read_bytes()
    assert main(["report", str(run), "--export", str(tiny_export), "--out", str(page)]) == 2
    assert "--force" in capsys.readouterr().err and page.read_bytes() == before


def test_run_folder_by_default_is_in_the_study(fixture, tmp_path: Path) -> None:
    export = fixture.write_export(tmp_path / "study" / "exports" / "first", face_px=28, frames=2)
    assert (
        main(["train", str(export), "--protocol", "fer-7,er-7", "--folds", "0", "--allow-missing-classes", *FITTED])
        == 0
    )
    metrics = tmp_path / "study" / "models" / "er-7+fer-7_logistic-face" / "metrics.json"
    assert json.loads(metrics.read_text(encoding="utf-8"))["protocols"] == ["er-7", "fer-7"]


@pytest.fixture
def change_predictions(tiny_run: Path, tmp_path: Path, reseal):
    """Copy a run and change the predictions of a fold, hashes and merged table included."""

    def make(change) -> Path:
        run = tmp_path / "run"
        shutil.copytree(tiny_run, run)
        path = run / "folds/fold-0/predictions.parquet"
        table = pd.read_parquet(path)
        change(table)
        table.to_parquet(path, index=False)
        reseal(run)
        return run

    return make


def test_predictions_that_the_checkpoints_do_not_give(change_predictions, capsys: pytest.CaptureFixture[str]) -> None:
    def shift(table: pd.DataFrame) -> None:
        table["p_fear"] = table["p_fear"] + 0.1

    assert main(["evaluate", str(change_predictions(shift))]) == 1
    assert "do not give the stored predictions" in capsys.readouterr().err


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_stored_predictions_that_are_not_finite(
    change_predictions, capsys: pytest.CaptureFixture[str], value: float
) -> None:
    def damage(table: pd.DataFrame) -> None:
        table.loc[3, "p_fear"] = value

    run = change_predictions(damage)
    assert main(["evaluate", str(run), "--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)[0]["greatest_difference"] is None
    assert "do not give the stored predictions" in captured.err


def test_a_checkpoint_that_answers_nan(
    tiny_run: Path, tmp_path: Path, reseal, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    path = run / "folds/fold-1/best.safetensors"
    with safe_open(path, framework="np") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    for name, values in tensors.items():
        if name.startswith("model.") and values.dtype == np.float32:
            values[...] = np.nan
    save_file(tensors, path, metadata=metadata)
    reseal(run)
    assert main(["evaluate", str(run)]) == 1
    assert "a stored probability is not a number" in capsys.readouterr().err


def test_stored_classes_that_are_not_those_of_the_probabilities(
    change_predictions, capsys: pytest.CaptureFixture[str]
) -> None:
    def flatter(table: pd.DataFrame) -> None:
        table["prediction"] = table["target"]

    run = change_predictions(flatter)
    assert main(["evaluate", str(run)]) == 1
    assert "do not give the stored predictions" in capsys.readouterr().err


def test_rounding_of_another_machine_is_said_and_no_error(
    change_predictions, capsys: pytest.CaptureFixture[str]
) -> None:
    def round_otherwise(table: pd.DataFrame) -> None:
        table["p_fear"] = np.nextafter(table["p_fear"].to_numpy(), np.float32(0))

    run = change_predictions(round_otherwise)
    assert main(["evaluate", str(run)]) == 0
    assert re.search(r"repeats the stored predictions up to \S+e-\d+, 0 of them changed", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--protocol", "er7"], 2, "Did you mean 'er-7'"),
        (["--model", "emrt"], 2, "Did you mean 'emert'"),
        (["--folds", "7"], 2, "no fold of this export"),
        (["--device", "tpu"], 2, "expected one of auto, cpu, cuda"),
        (["--precision", "16"], 2, "'32' or 'bf16'"),
        (["--face-backbone", "resnet19"], 2, "no face backbone 'resnet19'"),
        (["--auxiliary", "er_mood"], 2, "there is no such target"),
        (["--set", "depth_of_thought=3"], 2, "no such argument"),
        (["--set", "ema_decay=1.5"], 2, "must lie in [0, 1)"),
        (["--set", "ema_decay=high"], 2, "must be a number"),
        (["--set", "pretrain_epochs=1.5"], 2, "must be a whole number"),
        (["--learning-rate", "inf"], 2, "must be a number"),
        (["--learning-rate", "1e30"], 1, "Lower --learning-rate"),
        (["--set", "eye_features=3"], 2, "comes from the export"),
        (["--set", "bgr=3"], 2, "true or false"),
        (["--seed", "-1"], 2, "from 0 to"),
        (["--threads", "9999"], 2, "1024 at most"),
        (["--protocol", "all,er-7"], 2, "all stands alone"),
        (["--face-weights", "nowhere.pt"], 2, "no such file"),
        (["--face-training", "frozen"], 2, "Name a weights file"),
        (["--face-backbone", "descriptor", "--face-training", "full"], 2, "nothing to train"),
        (["--face-size", "500"], 1, "holds 28 px"),
    ],
)
def test_one_sentence_for_what_was_mistyped(
    tiny_export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    common = ["train", str(tiny_export), "--out", str(tmp_path / "run")]
    training = [] if "--device" in arguments or "--face-backbone" in arguments else TRAINING
    assert main([*common, *training, *arguments]) == code
    captured = capsys.readouterr()
    assert message in captured.err and "Traceback" not in captured.err
    assert captured.out == ""
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("where", ["data.store.chunk_summaries", "data.normalising.measured", "training.fold.predict"])
def test_too_little_memory_anywhere_is_said(
    tiny_export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 9 GiB")

    monkeypatch.setattr(f"emer_model.{where}", exhausted)
    assert (
        main(["train", str(tiny_export), "--folds", "0", "--out", str(tmp_path / "run"), "--model", "logistic-eye"])
        == 1
    )
    assert "too little memory for this training" in capsys.readouterr().err


def test_folders_that_are_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(tmp_path / "none")]) == 2
    assert main(["evaluate", str(tmp_path / "none")]) == 2
    assert main(["train", str(tmp_path), "--out", str(tmp_path / "run")]) == 1
    assert main(["evaluate", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("error:") == 4
    assert not (tmp_path / "run").exists()


def test_help_loads_neither_torch_nor_plotly() -> None:
    code = (
        "import sys; from data_schema.cli import main; import emer_model.cli.train\n"
        "for verb in ('train', 'evaluate', 'report', 'models'): main([verb, '--help'])\n"
        "heavy = {'torch', 'lightning', 'plotly', 'sklearn', 'pandas'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "subject-independent folds" in done.stdout


def test_a_missing_extra_is_named(tiny_export: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    for name in [name for name in sys.modules if name.startswith("emer_model.training")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    assert main(["train", str(tiny_export)]) == 2
    assert 'pip install "emer-toolkit[train]"' in capsys.readouterr().err


def test_one_participant_after_the_other(tiny_export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    options = ["--scheme", "loso", "--folds", "1", "--out", str(run), *FITTED]
    assert main(["train", str(tiny_export), *options]) == 0
    people = sorted(set(pd.read_parquet(tiny_export / "clips.parquet")["participant"]))
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert (metrics["finished_folds"], metrics["n_folds"]) == ([1], len(people))
    assert set(pd.read_parquet(run / "predictions.parquet")["participant"]) == {people[1]}
    splits = json.loads((run / "folds.json").read_text(encoding="utf-8"))
    tested = [{clip.split("_")[0] for clip in splits[str(k)]["test"]} for k in range(len(people))]
    assert tested == [{f"sub-{name}"} for name in people]
    capsys.readouterr()
    assert main(["evaluate", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["bit_identical"] is True
    assert main(["train", str(tiny_export), "--out", str(run), *FITTED]) == 2
    assert "scheme" in capsys.readouterr().err
    assert main(["train", str(tiny_export), "--scheme", "across", "--out", str(tmp_path / "x")]) == 2
    assert "expected one of subject, loso, cross-stimulus" in capsys.readouterr().err
