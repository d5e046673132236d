from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from data_schema.errors import TrainingError, UsageError
from data_schema.exports.protocols import PROTOCOLS
from data_schema.exports.reading import TrainingExport
from emer_model.data import ClipStore, FoldData
from emer_model.runs.repeat import repeat_predictions
from emer_model.training import RunFolder, load_checkpoint, predict, read_info, train
from emer_model.training.plan import run_targets


def checkpoints(run: Path) -> dict[str, bytes]:
    return {p.relative_to(run).as_posix(): p.read_bytes() for p in sorted(run.rglob("*.safetensors"))}


# ---------------------------------------------------------------- the run folder


def test_run_folder_is_complete(tiny_run: Path, tiny_export: Path) -> None:
    run = RunFolder(tiny_run)
    assert run.finished_folds() == [0, 1, 2]
    config = run.config()
    assert config["settings"]["protocol"] == "er-7" and config["export"]["simulated"] is True
    assert {"torch", "lightning", "python", "emer-toolkit"} <= config["versions"].keys()
    assert "best epoch" in run.log_path.read_text(encoding="utf-8")
    predictions = run.predictions()
    # Each clip is tested once, by the fold that did not see its participant.
    assert sorted(predictions["clip_id"]) == sorted(pd.read_parquet(tiny_export / "clips.parquet")["clip_id"])
    folds = json.loads(run.folds_path.read_text(encoding="utf-8"))
    for row in predictions.itertuples():
        assert row.clip_id in folds[str(row.fold)]["test"]
        seen = folds[str(row.fold)]["train"] + folds[str(row.fold)]["validation"]
        assert not [clip for clip in seen if f"sub-{row.participant}_" in clip]
    probabilities = predictions.filter(regex="^p_").to_numpy()
    assert np.allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)
    names = np.array(PROTOCOLS["er-7"].classes)
    assert (names[probabilities.argmax(axis=1)] == predictions["prediction"]).all()
    curves = pd.read_csv(run.curves_path)
    assert len(curves) == 6 and {"fold", "epoch", "train_total", "train_shared", "val_loss", "val_score"} <= set(curves)
    info = read_info(run.fold(0) / "best.safetensors")
    assert (info.model, info.protocol, info.fold) == ("emert", "er-7", 0)
    assert info.features["eye"] == tuple(f"eye_{i}" for i in range(6))


def test_metrics_are_those_of_sklearn_on_all_test_clips_at_once(tiny_run: Path) -> None:
    rows = pd.read_parquet(tiny_run / "predictions.parquet")
    metrics = json.loads((tiny_run / "metrics.json").read_text(encoding="utf-8"))["targets"]["er_emotion"]
    assert metrics["pooled"]["war"] == pytest.approx(accuracy_score(rows["target"], rows["prediction"]))
    assert metrics["pooled"]["uar"] == pytest.approx(balanced_accuracy_score(rows["target"], rows["prediction"]))
    weighted = f1_score(rows["target"], rows["prediction"], average="weighted", zero_division=0)
    assert metrics["pooled"]["weighted_f1"] == pytest.approx(weighted)
    first = rows[rows["fold"] == 0]
    assert metrics["folds"]["0"]["war"] == pytest.approx(accuracy_score(first["target"], first["prediction"]))
    assert np.sum(metrics["confusion"]) == len(rows)
    assert metrics["masked"]["n_clips"] + metrics["agreeing"]["n_clips"] == len(rows)


def test_validation_score_is_over_the_whole_fold(tiny_export: Path, tiny_run: Path) -> None:
    settings = RunFolder(tiny_run).run_config()
    with TrainingExport.open(tiny_export) as export:
        best = load_checkpoint(tiny_run / "folds/fold-0/best.safetensors")
        split = export.splits("subject")[0]
        data = FoldData(ClipStore(export), export.targets, split, run_targets(settings), best.info.inputs)
    validation = data.dataset("validation")
    answers = predict(best.model, validation, 5, torch.device("cpu"))["er_emotion"]
    uar = balanced_accuracy_score(validation.labels("er_emotion"), answers.argmax(axis=1))
    assert best.info.score == pytest.approx(uar, abs=1e-6)
    curves = pd.read_csv(tiny_run / "curves.csv").query(f"fold == 0 and epoch == {best.info.epoch}")
    assert curves["val_er_emotion_uar"].item() == pytest.approx(uar, abs=1e-6)


# ---------------------------------------------------------------- exactness


def test_checkpoints_repeat_the_predictions_bit_for_bit(tiny_run: Path) -> None:
    repeated = repeat_predictions(RunFolder(tiny_run), device="cpu")
    assert repeated.identical and repeated.changed == 0 and repeated.greatest_difference == 0.0


def test_a_changed_checkpoint_is_noticed(tiny_run: Path, tmp_path: Path, reseal) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    shutil.copy(run / "folds/fold-1/best.safetensors", run / "folds/fold-0/best.safetensors")
    reseal(run)
    with pytest.raises(TrainingError, match="Was it copied here"):
        repeat_predictions(RunFolder(run), device="cpu")
    table = pd.read_parquet(tiny_run / "folds/fold-0/predictions.parquet")
    table["p_anger"] = np.nextafter(table["p_anger"].to_numpy(), np.float32(2))
    shutil.copy(tiny_run / "folds/fold-0/best.safetensors", run / "folds/fold-0/best.safetensors")
    table.to_parquet(run / "folds/fold-0/predictions.parquet", index=False)
    reseal(run)
    repeated = repeat_predictions(RunFolder(run), device="cpu")
    assert not repeated.identical and 0 < repeated.greatest_difference < 1e-6


def test_training_twice_gives_the_same_bytes(tiny_export: Path, tiny_run: Path, tiny_config, tmp_path: Path) -> None:
    before = checkpoints(tiny_run)
    train(tiny_export, tmp_path / "again", tiny_config(), folds="1", device="cpu", threads=1)
    again = checkpoints(tmp_path / "again")
    assert set(again) == {"folds/fold-1/best.safetensors", "folds/fold-1/last.safetensors"}
    assert all(before[name] == content for name, content in again.items())


def test_the_best_epoch_is_that_of_the_validation_score(tiny_run: Path) -> None:
    curves = pd.read_csv(tiny_run / "curves.csv")
    for k in range(3):
        rows = curves[curves["fold"] == k].sort_values(["val_score", "val_loss"], ascending=[False, True])
        info = read_info(tiny_run / f"folds/fold-{k}/best.safetensors")
        assert (info.epoch, info.score) == (rows.iloc[0]["epoch"], pytest.approx(rows.iloc[0]["val_score"]))
        assert read_info(tiny_run / f"folds/fold-{k}/last.safetensors").epoch == 2


# ---------------------------------------------------------------- going on


def test_finished_folds_are_kept_and_others_added(
    tiny_export: Path, tiny_run: Path, tiny_config, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    (run / "folds/fold-2/fold.json").unlink()  # as a kill leaves it
    kept = {p: p.stat().st_mtime_ns for p in run.glob("folds/fold-[01]/*")}
    said: list[str] = []
    train(tiny_export, run, tiny_config(), device="cpu", threads=1, progress=lambda *a: said.append(a[2]))
    assert {p: p.stat().st_mtime_ns for p in run.glob("folds/fold-[01]/*")} == kept
    assert any("fold 2 (1 of 1)" in sentence for sentence in said)
    assert checkpoints(run) == checkpoints(tiny_run)
    assert (run / "predictions.parquet").read_bytes() == (tiny_run / "predictions.parquet").read_bytes()


def test_another_run_is_not_overwritten(tiny_export: Path, tiny_run: Path, tiny_config, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="epochs: 2 there, 3 now"):
        train(tiny_export, tiny_run, tiny_config(epochs=3), device="cpu")
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="holds other files"):
        train(tiny_export, tmp_path, tiny_config(), device="cpu", overwrite=True)
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert RunFolder(tiny_run).finished_folds() == [0, 1, 2]


def test_a_run_that_has_learned_something_is_not_overwritten(
    tiny_export: Path, tiny_run: Path, tiny_config, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    for path in run.glob("folds/fold-*/fold.json"):
        path.unlink()  # no fold is finished, but there are checkpoints
    with pytest.raises(UsageError, match=r"other settings \(epochs: 2 there, 3 now\).*or pass --force"):
        train(tiny_export, run, tiny_config(epochs=3), device="cpu")
    assert checkpoints(run) == checkpoints(tiny_run)


def test_a_begun_run_with_a_file_of_the_user_is_not_overwritten(
    tiny_export: Path, tiny_run: Path, tiny_config, tmp_path: Path
) -> None:
    shutil.copy(tiny_run / "config.json", tmp_path / "config.json")
    (tmp_path / "folds").mkdir()
    (tmp_path / "folds/notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="epochs: 2 there, 3 now"):
        train(tiny_export, tmp_path, tiny_config(epochs=3), device="cpu")
    assert (tmp_path / "folds/notes.txt").read_text(encoding="utf-8") == "mine"


def test_force_removes_the_run_and_no_file_of_the_user(
    tiny_export: Path, tiny_run: Path, tiny_config, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    shutil.copytree(run / "folds/fold-0", run / "folds/fold-0-old")
    own = [run / "notes.txt", run / "folds/fold-0/notes.txt", run / "folds/fold-1/notes.txt"]
    for path in own:
        path.write_text("mine", encoding="utf-8")
    (run / "folds/fold-2/.curves.csv.0123abcd.partial").touch()  # as a kill leaves it
    config = tiny_config(epochs=1)
    train(tiny_export, run, config, folds="1", device="cpu", threads=1, overwrite=True)
    assert [path.read_text(encoding="utf-8") for path in own] == ["mine"] * 3
    assert RunFolder(run).finished_folds() == [1]
    assert set(pd.read_parquet(run / "predictions.parquet")["fold"]) == {1}
    assert [p.name for p in (run / "folds/fold-0").iterdir()] == ["notes.txt"]
    assert not (run / "folds/fold-2").exists()
    kept = run / "folds/fold-0-old"
    assert {p.name: p.read_bytes() for p in kept.iterdir()} == {
        p.name: p.read_bytes() for p in (tiny_run / "folds/fold-0").iterdir()
    }


def test_nothing_is_written_outside_the_run_folder(
    tiny_export: Path, tiny_config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    exported = {p: p.stat().st_mtime_ns for p in tiny_export.rglob("*")}
    train(tiny_export, tmp_path / "run", tiny_config(epochs=1), folds="0", device="cpu", threads=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["here", "run"] and not list((tmp_path / "here").iterdir())
    assert {p: p.stat().st_mtime_ns for p in tiny_export.rglob("*")} == exported
    written = {p.relative_to(tmp_path / "run").as_posix() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    fold = {
        "best.safetensors",
        "last.safetensors",
        "predictions.parquet",
        "validation.parquet",
        "curves.csv",
        "fold.json",
    }
    tables = {
        "config.json",
        "folds.json",
        "log.txt",
        "predictions.parquet",
        "curves.csv",
        "metrics.json",
        "model_card.md",
    }
    board = {name for name in written if name.startswith("tensorboard/fold-0/events.out.tfevents.")}
    assert len(board) == 1
    assert written - {"run.lock"} - board == tables | {f"folds/fold-0/{name}" for name in fold}


# ---------------------------------------------------------------- two at once


def test_a_second_training_in_the_same_folder_is_refused(
    tiny_export: Path, tiny_run: Path, tiny_config, tmp_path: Path
) -> None:
    refused: list[str] = []

    def begin_another(_done: int, _total: int, sentence: str) -> None:
        if not sentence.startswith("fold "):
            return
        with pytest.raises(TrainingError, match="another `emer train` is working in this folder") as caught:
            train(tiny_export, tmp_path / "run", tiny_config(), device="cpu", threads=1, overwrite=True)
        refused.append(str(caught.value))

    train(tiny_export, tmp_path / "run", tiny_config(), folds="1", device="cpu", threads=1, progress=begin_another)
    assert refused
    assert {name: checkpoints(tiny_run)[name] for name in checkpoints(tmp_path / "run")} == checkpoints(
        tmp_path / "run"
    )
    assert RunFolder(tmp_path / "run").finished_folds() == [1]


def test_a_killed_training_gives_the_folder_back(tmp_path: Path) -> None:
    code = (
        "import sys; from filelock import FileLock; lock = FileLock(sys.argv[1], timeout=0); lock.acquire()\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "run.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline().strip() == b"held"
        with pytest.raises(TrainingError, match="Wait until it has ended"), RunFolder(tmp_path).lock():
            pass
        other.kill()
    (tmp_path / ".config.json.0123abcd.partial").touch()  # killed while it wrote the first file
    with RunFolder(tmp_path).lock():
        assert not RunFolder(tmp_path).config_path.exists()


# ---------------------------------------------------------------- other protocols and settings


@pytest.mark.parametrize("protocol", ["fer-3", "er-va", "fer-intensity"])
def test_each_kind_of_protocol_trains(tiny_export: Path, tiny_config, tmp_path: Path, protocol: str) -> None:
    small = {"model": "lstm-concatenation", "face_backbone": "descriptor", "face_training": "frozen"}
    config = tiny_config(protocol=protocol, epochs=1, auxiliary_targets=("fer_emotion",), **small)
    metrics = train(tiny_export, tmp_path / "run", config, folds="0", device="cpu", threads=1)
    assert set(metrics["targets"]) == set(PROTOCOLS[protocol].targets)
    for summary in metrics["targets"].values():
        assert set(PROTOCOLS[protocol].metrics) <= set(summary["pooled"])
        assert summary["pooled"]["n_clips"] == 14
    assert repeat_predictions(RunFolder(tmp_path / "run"), device="cpu").identical


def test_bf16_trains_and_repeats(tiny_export: Path, tiny_config, tmp_path: Path) -> None:
    train(tiny_export, tmp_path / "run", tiny_config(epochs=1, precision="bf16"), folds="0", device="cpu", threads=1)
    assert repeat_predictions(RunFolder(tmp_path / "run"), device="cpu").identical


def test_a_gpu_that_is_not_there(
    tiny_export: Path, tiny_config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match="--device cuda"):
        train(tiny_export, tmp_path / "run", tiny_config(), device="cuda")
    assert not (tmp_path / "run").exists()


def test_a_loss_that_diverges(tiny_export: Path, tiny_config, tmp_path: Path) -> None:
    config = tiny_config(learning_rate=1e38, batch_size=4)
    with pytest.raises(TrainingError, match=r"The loss became \S+ in epoch 1. Lower --learning-rate"):
        train(tiny_export, tmp_path / "run", config, folds="0", device="cpu", threads=1)
    assert not (tmp_path / "run").exists()
    train(tiny_export, tmp_path / "run", tiny_config(epochs=1), folds="0", device="cpu", threads=1)


def test_too_little_memory_says_what_to_change(
    tiny_export: Path, tiny_config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("emer_model.faces.compact.CompactFaceEncoder.forward", exhausted)
    with pytest.raises(TrainingError, match="smaller --batch-size"):
        train(tiny_export, tmp_path / "run", tiny_config(), folds="0", device="cpu", threads=1)


def test_unknown_names(tiny_export: Path, tiny_config, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'er-7'"):
        train(tiny_export, tmp_path / "run", tiny_config(protocol="er7"))
    with pytest.raises(UsageError, match="Did you mean 'face-only'"):
        train(tiny_export, tmp_path / "run", tiny_config(model="face_only"))
    with pytest.raises(UsageError, match="epochs must be greater than 0"):
        tiny_config(epochs=0)


def test_a_run_without_its_export(tiny_run: Path, fixture, tmp_path: Path) -> None:
    other = fixture.write_export(tmp_path / "other", face_px=28, frames=2, seed=9)
    with pytest.raises(TrainingError, match="not the export that"):
        repeat_predictions(RunFolder(tiny_run), other)
    with pytest.raises(UsageError, match=r"--export \S+nowhere: this folder is no training export"):
        repeat_predictions(RunFolder(tiny_run), tmp_path / "nowhere")
    with pytest.raises(TrainingError, match="does not exist"):
        RunFolder(tmp_path).config()


@pytest.mark.gpu
def test_gpu_trains_and_repeats(tiny_export: Path, tiny_config, tmp_path: Path) -> None:
    train(tiny_export, tmp_path / "run", tiny_config(precision="bf16"), folds="0", device="cuda")
    assert repeat_predictions(RunFolder(tmp_path / "run"), device="cuda").identical


# ---------------------------------------------------------------- a planted answer


def test_eyes_tell_what_masked_faces_hide(fixture, tiny_config, tmp_path: Path) -> None:
    """The planted world: felt emotion in the eyes, shown emotion in the face."""
    export = fixture.write_export(
        tmp_path / "export", participants=9, clips=12, emotions=("happiness", "sadness", "neutral"), face_px=28,
        frames=2, masking_share=0.5, seed=5,
    )  # fmt: skip
    masked = {}
    for model in ("lstm-concatenation", "face-only"):
        config = tiny_config(model=model, epochs=12, patience=12)
        metrics = train(export, tmp_path / model, config, folds="0", device="cpu", threads=1)
        masked[model] = metrics["targets"]["er_emotion"]["masked"]["war"]
    assert masked["lstm-concatenation"] > 0.8
    assert masked["face-only"] < 0.5
