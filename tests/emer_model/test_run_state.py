"""Runs that are damaged, unfinished, moved or never began."""

from __future__ import annotations

import json
import pickle
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_schema.cli import main
from data_schema.errors import EmerError, TrainingError
from emer_model.cli.train import read_names, read_settings
from emer_model.report.gather import gather
from emer_model.report.page import render
from emer_model.runs.repeat import repeat_predictions
from emer_model.training import RunFolder, train
from emer_model.training.config import RunConfig
from emer_model.training.run_state import train_command

Captured = pytest.CaptureFixture[str]


#: A model that trains again in no time; what is asked of its run holds for every model's.
QUICK = RunConfig.of("er-7", "logistic-face")


@pytest.fixture(scope="module")
def whole_run(tiny_export: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of all three folds; read only."""
    out = tmp_path_factory.mktemp("quick") / "logistic"
    train(tiny_export, out, QUICK, device="cpu", threads=1)
    return out


@pytest.fixture
def run(whole_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to damage."""
    shutil.copytree(whole_run, tmp_path / "run")
    return tmp_path / "run"


def flip_last_bit(path: Path) -> None:
    """Change the least bit of the last number in a file."""
    content = bytearray(path.read_bytes())
    content[-4] ^= 1
    path.write_bytes(bytes(content))


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps([1, 2, 3]))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def kill_in_fold(run: Path, *folds: int) -> None:
    """Leave a run as a kill leaves it: some folds without their mark, nothing merged."""
    for k in folds:
        (run / f"folds/fold-{k}/fold.json").unlink()
    for name in ("predictions.parquet", "curves.csv", "metrics.json"):
        (run / name).unlink()


# ---------------------------------------------------------------- damaged folds


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("best.safetensors", Path.unlink),
        ("best.safetensors", flip_last_bit),
        ("predictions.parquet", Path.unlink),
        ("curves.csv", Path.unlink),
        ("fold.json", cut),
    ],
)
def test_train_says_which_fold_is_damaged_and_trains_it_again(
    tiny_export: Path, whole_run: Path, run: Path, name: str, damage
) -> None:
    path = run / "folds/fold-1" / name
    damage(path)
    kept = {p: p.stat().st_mtime_ns for k in (0, 2) for p in run.glob(f"folds/fold-{k}/*")}
    told: list[str] = []
    train(tiny_export, run, QUICK, device="cpu", threads=1, tell=told.append)
    (damaged,) = (sentence for sentence in told if "damaged" in sentence)
    assert "fold 1 is damaged" in damaged and str(path) in damaged and "trained again" in damaged
    assert damaged in (run / "log.txt").read_text(encoding="utf-8")
    best = "folds/fold-1/best.safetensors"
    assert (run / best).read_bytes() == (whole_run / best).read_bytes()
    assert RunFolder(run).finished_folds() == [0, 1, 2]
    assert {p: p.stat().st_mtime_ns for p in kept} == kept


def test_train_prints_the_damage(tiny_export: Path, tmp_path: Path, capsys: Captured) -> None:
    command = ["train", str(tiny_export), "--model", "logistic-face", "--device", "cpu"]
    command += ["--folds", "0", "--json", "--out", str(tmp_path / "run")]
    assert main(command) == 0
    assert "1 of 3 folds finished" in capsys.readouterr().err
    (tmp_path / "run/folds/fold-0/predictions.parquet").unlink()
    assert main(command) == 0
    captured = capsys.readouterr()
    assert "fold 0 is damaged" in captured.err and "predictions.parquet is missing" in captured.err
    assert json.loads(captured.out)["finished_folds"] == [0]


def test_a_damaged_fold_that_was_not_asked_for_is_left_out(tiny_export: Path, run: Path) -> None:
    (run / "folds/fold-1/best.safetensors").unlink()
    told: list[str] = []
    metrics = train(tiny_export, run, QUICK, folds="0", device="cpu", threads=1, tell=told.append)
    assert metrics["finished_folds"] == [0, 2] and metrics["n_folds"] == 3
    assert "left out until --folds 1" in told[0]


def test_the_last_checkpoint_may_be_deleted(tiny_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(tiny_run, tmp_path / "run")
    (run / "folds/fold-0/last.safetensors").unlink()
    assert RunFolder(run).finished_folds() == [0, 1, 2]


@pytest.mark.parametrize("damage", [flip_last_bit, pickled])
def test_evaluate_names_run_fold_file_and_command(run: Path, damage, capsys: Captured) -> None:
    path = run / "folds/fold-2/best.safetensors"
    damage(path)
    assert main(["evaluate", str(run), "--json"]) == 1
    captured = capsys.readouterr()
    result = json.loads(captured.out)[0]
    assert result["finished_folds"] == [0, 1] and list(result["damaged_folds"]) == ["2"]
    assert str(path) in captured.err and "fold 2 is damaged" in captured.err and str(run) in captured.err
    assert "emer train " in captured.err and "--folds 2" in captured.err


def test_the_command_that_is_suggested_mends_the_run(run: Path, capsys: Captured) -> None:
    (run / "folds/fold-2/best.safetensors").unlink()
    command = RunFolder(run).command().split()
    assert main([*command[1:], "--folds", "2", "--device", "cpu", "--threads", "1"]) == 0
    assert main(["evaluate", str(run)]) == 0
    capsys.readouterr()


# ---------------------------------------------------------------- the merged table


def test_the_merged_table_is_shown_nowhere(
    tiny_export: Path, whole_run: Path, run: Path, tmp_path: Path, capsys: Captured
) -> None:
    table = pd.read_parquet(run / "predictions.parquet")
    table["prediction"] = table["target"]
    table.to_parquet(run / "predictions.parquet", index=False)
    metrics = json.loads((whole_run / "metrics.json").read_text(encoding="utf-8"))
    before = metrics["targets"]["er_emotion"]["pooled"]
    assert before["uar"] < 1.0

    page = tmp_path / "report.html"
    assert main(["report", str(run), "--export", str(tiny_export), "--out", str(page)]) == 0
    assert "differs from the predictions of fold 0" in capsys.readouterr().err
    assert gather([run], tiny_export).runs[0].summary["er_emotion"]["pooled"] == before
    assert "differs from the predictions of fold 0" in page.read_text(encoding="utf-8")

    assert main(["evaluate", str(run), "--json"]) == 1
    captured = capsys.readouterr()
    result = json.loads(captured.out)[0]
    assert result["merged_predictions_differ"] is True and result["bit_identical"] is True
    assert result["targets"]["er_emotion"]["pooled"] == before
    assert "predictions.parquet differs from the predictions of fold 0" in captured.err


def test_a_merged_table_that_cannot_be_read(run: Path, tiny_export: Path) -> None:
    pickled(run / "predictions.parquet")
    assert any("predictions.parquet cannot be read" in note for note in gather([run], tiny_export).runs[0].notes)


def test_a_merged_table_that_lacks_a_fold_is_said_and_no_error(run: Path, capsys: Captured) -> None:
    table = pd.read_parquet(run / "predictions.parquet")
    table[table["fold"] != 1].to_parquet(run / "predictions.parquet", index=False)
    assert main(["evaluate", str(run), "--json"]) == 0
    captured = capsys.readouterr()
    assert "predictions.parquet differs: it lacks fold 1" in captured.err
    assert json.loads(captured.out)[0]["finished_folds"] == [0, 1, 2]


def test_a_fold_that_was_being_trained_again(run: Path, capsys: Captured) -> None:
    (run / "folds/fold-1/fold.json").unlink()  # killed; the merged table is the one of before
    assert main(["evaluate", str(run)]) == 0
    assert "2 of 3 folds finished" in capsys.readouterr().err


# ---------------------------------------------------------------- unfinished runs


def test_unfinished_runs_are_worked_with(tiny_export: Path, run: Path, tmp_path: Path, capsys: Captured) -> None:
    kill_in_fold(run, 2)
    assert main(["evaluate", str(run)]) == 0
    captured = capsys.readouterr()
    assert "2 of 3 folds finished; run `emer train " in captured.err and "(2 of 3 finished)" in captured.out
    page = tmp_path / "report.html"
    assert main(["report", str(run), "--export", str(tiny_export), "--out", str(page)]) == 0
    assert "2 of 3 folds finished" in capsys.readouterr().err


def test_predict_says_that_a_fold_is_damaged(tiny_export: Path, run: Path, capsys: Captured) -> None:
    flip_last_bit(run / "folds/fold-1/best.safetensors")
    assert main(["predict", str(run), str(tiny_export), "--out", str(run / "mine.parquet")]) == 0
    assert "fold 1 is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("lost", ["settings", "export"])
@pytest.mark.parametrize("command", [["evaluate"], ["predict"], ["explain"], ["export-onnx", "--out", "graphs"]])
def test_a_configuration_that_lost_a_part(run: Path, capsys: Captured, lost: str, command: list[str]) -> None:
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    config.pop(lost)
    (run / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert main([command[0], str(run), *command[1:]]) == 1
    assert "config.json is damaged" in capsys.readouterr().err


def test_a_run_without_a_finished_fold(tiny_export: Path, run: Path, capsys: Captured) -> None:
    kill_in_fold(run, 0, 1, 2)
    for command in (["evaluate", str(run)], ["report", str(run), "--export", str(tiny_export), "--out", "x.html"]):
        assert main(command) == 1
        assert "0 of 3 folds finished; run `emer train " in capsys.readouterr().err


def test_the_page_says_that_folds_lack(tiny_export: Path, whole_run: Path, run: Path) -> None:
    kill_in_fold(run, 1, 2)
    html = render(gather([run, whole_run], tiny_export))
    banner = html[html.index('id="summary"') : html.index('id="comparison"')]
    assert "run: 1 of 3 folds finished" in banner and "logistic: " not in banner
    assert "<td>1 of 3</td>" in html and "<td>3 of 3</td>" in html
    partial = render(gather([run], tiny_export))
    assert "logistic-face (1 of 3 folds finished) has UAR" in partial
    assert "folds finished) has UAR" not in render(gather([whole_run], tiny_export))


# ---------------------------------------------------------------- starts that fail


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"auxiliary_targets": ("er_mood",)}, "there is no such target"),
        ({"face_backbone": "resnet19"}, "no face backbone"),
        ({"face_size_px": 500}, "holds 28 px"),
    ],
)
def test_wrong_settings_leave_nothing(tiny_export: Path, tiny_config, tmp_path: Path, changes, message: str) -> None:
    with pytest.raises(EmerError, match=message):
        train(tiny_export, tmp_path / "run", tiny_config(**changes), device="cpu", threads=1)
    assert not (tmp_path / "run").exists()


def test_wrong_data_leave_nothing(own_export: Path, fixture, tiny_config, tmp_path: Path) -> None:
    def damage(values: np.ndarray) -> np.ndarray:
        values[...] = np.nan
        return values

    fixture.change_shard(own_export, "eye", damage)
    with pytest.raises(TrainingError, match="is nan at step"):
        train(own_export, tmp_path / "run", tiny_config(), device="cpu", threads=1)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("emotion", ["joy", None])
def test_wrong_targets_leave_nothing(own_export: Path, fixture, tiny_config, tmp_path: Path, emotion) -> None:
    fixture.change_targets(own_export, lambda t: t.assign(er_emotion=emotion))
    with pytest.raises(TrainingError, match="er_emotion" if emotion else "no clip takes part in er-7"):
        train(own_export, tmp_path / "run", tiny_config(), device="cpu", threads=1)
    assert not (tmp_path / "run").exists()


def test_wrong_settings_do_not_touch_the_run_that_is_there(tiny_export: Path, run: Path, tiny_config) -> None:
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name != "run.lock"}
    config = tiny_config(face_backbone="resnet19")
    with pytest.raises(EmerError, match="no face backbone"):
        train(tiny_export, run, config, device="cpu", threads=1, overwrite=True)
    assert {p: p.read_bytes() for p in before} == before


# ---------------------------------------------------------------- exports and studies


@pytest.fixture
def study(fixture, tmp_path: Path) -> Path:
    """A study with an export and a run in it."""
    root = tmp_path / "study"
    root.mkdir()
    (root / "study.toml").touch()
    export = fixture.write_export(root / "exports/first", face_px=28, frames=2)
    train(export, root / "models/faces", QUICK, folds="0", device="cpu", threads=1)
    return root


def test_a_copied_study_uses_its_own_export(study: Path, tmp_path: Path, capsys: Captured) -> None:
    run = RunFolder(study / "models/faces")
    assert run.config()["export"]["path"] == "../../exports/first"
    copy = tmp_path / "copy"
    shutil.copytree(study, copy)
    shutil.rmtree(study)
    assert main(["evaluate", str(copy / "models/faces")]) == 0
    assert f"export {copy.resolve() / 'exports/first'}" in capsys.readouterr().err


def test_an_export_elsewhere_is_named_in_full(tiny_run: Path, tiny_export: Path) -> None:
    assert RunFolder(tiny_run).config()["export"]["path"] == str(tiny_export.resolve())


def test_a_folder_that_is_no_export(run: Path, tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "d2").mkdir()
    assert main(["evaluate", str(run), "--export", str(tmp_path / "d2")]) == 2
    assert "d2: this folder is no training export" in capsys.readouterr().err


def test_an_export_that_is_gone(study: Path) -> None:
    (study / "exports/first").rename(study / "exports/other")
    with pytest.raises(TrainingError, match="Say where it is with --export"):
        repeat_predictions(RunFolder(study / "models/faces"), device="cpu")
    assert "exports/other " in RunFolder(study / "models/faces").command(study / "exports/other")
    assert repeat_predictions(RunFolder(study / "models/faces"), study / "exports/other", device="cpu").identical


@pytest.mark.parametrize("relative", [True, False])
def test_the_next_command_writes_into_the_study(
    study: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch, relative: bool
) -> None:
    (study / "reports").mkdir()
    monkeypatch.chdir(study)
    start = Path() if relative else study
    command = ["train", str(start / "exports/first"), "--out", str(start / "models/faces")]
    command += ["--model", "logistic-face"]
    assert main([*command, "--folds", "0", "--device", "cpu"]) == 0
    line = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("Next: emer "))
    assert line.endswith(f"--out {start / 'reports/faces.html'}")
    assert main(line.removeprefix("Next: emer ").split()) == 0
    assert (study / "reports/faces.html").is_file()


# ---------------------------------------------------------------- warnings of sessions


@pytest.mark.parametrize("listed", [True, False])
def test_the_page_shows_warnings_of_sessions(own_export: Path, fixture, tmp_path: Path, listed: bool) -> None:
    quality = pd.read_parquet(own_export / "quality.parquet")
    said = [""] * len(quality)
    said[2] = "the <camera> fell silent\nclock reset"
    quality["warnings"] = [text.splitlines() for text in said] if listed else said
    quality.to_parquet(own_export / "quality.parquet")
    fixture.write_manifest(own_export)
    train(own_export, tmp_path / "run", RunConfig.of("er-7", "majority"), folds="0", device="cpu", threads=1)
    html = render(gather([tmp_path / "run"], own_export))
    assert "<h3>Warnings</h3>" in html
    assert "<strong>P003, session 01</strong>: the &lt;camera&gt; fell silent</li>" in html
    assert "<strong>P003, session 01</strong>: clock reset</li>" in html
    assert html.count(", session 01</strong>") == 2


def test_an_export_without_warnings(tiny_run: Path, tiny_export: Path) -> None:
    assert "<h3>Warnings</h3>" not in render(gather([tiny_run], tiny_export))


def test_the_suggested_command_names_the_scheme(tmp_path: Path) -> None:
    usual, alone = RunConfig.of("er-7", "emert"), RunConfig.of("er-7", "emert", scheme="loso")
    assert "--scheme loso" in train_command(tmp_path, tmp_path, alone)
    assert "--scheme" not in train_command(tmp_path, tmp_path, usual)
    assert RunConfig.from_json(alone.as_json()) == alone


def test_the_suggested_command_gives_the_same_settings(tmp_path: Path) -> None:
    given = {"ema_decay": 0.5, "head_widths": (8, 4), "auxiliary_targets": (), "model_arguments": {"width": 32}}
    config = RunConfig.of("er-7,fer-va", "eyeface", subject_normalisation=False, weight_decay=0.25, seed=3, **given)
    words = shlex.split(train_command(tmp_path / "run", tmp_path / "export", config))
    pairs = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
    again = RunConfig.of(
        words[words.index("--protocol") + 1], words[words.index("--model") + 1], subject_normalisation=False, seed=3,
        auxiliary_targets=read_names(words[words.index("--auxiliary") + 1]), **read_settings(pairs),
    )  # fmt: skip
    assert again == config and "--no-subject-normalisation" in words


def test_a_run_that_learnt_from_somebody_who_withdrew_says_so(run: Path, tiny_export: Path, tmp_path: Path) -> None:
    (run / "withdrawn.json").write_text("{}", encoding="utf-8")
    folder = RunFolder(run)
    said = "somebody whose data this run learnt from.*has withdrawn.*train again: emer train .* --force"
    assert re.search(said, folder.notes(folder.state(), tiny_export)[0])
    # The withdrawal changes the export as well: that the manifest differs is not all there is to say.
    export = shutil.copytree(tiny_export, tmp_path / "export")
    manifest = json.loads((export / "manifest.json").read_text(encoding="utf-8"))
    (export / "manifest.json").write_text(json.dumps({**manifest, "study_title": "x"}), encoding="utf-8")
    with pytest.raises(TrainingError, match=said):
        repeat_predictions(folder, export_path=export)
