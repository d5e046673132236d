"""An export loses nobody's files, whatever interrupts it."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from data_schema.clips.index import build_clip_index
from data_schema.errors import ExportError
from data_schema.exports import folds, shards, training
from data_schema.exports.manifest import FACE_FEATURES_FOLDER
from data_schema.exports.reading import TrainingExport
from data_schema.exports.training import export_training

from ..studies import add_session, make_study


def files_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# ---------------------------------------------------------------- what is in it


def test_workers_change_nothing(made, tmp_path):
    study, out = made
    again = export_training(study, tmp_path / "parallel", workers=2).path
    first, second = files_of(out), files_of(again)
    assert set(first) == set(second)
    differing = {name for name in first if first[name] != second[name]}
    assert differing == {"manifest.json"} or not differing  # created_utc


def test_unchanged_sessions_are_taken_over(copied):
    study, out = copied
    before = files_of(out)
    add_session(study, "P004", seed=9)
    (study.labels_dir / "sim-01.sqlite").unlink()
    build_clip_index(study)
    assignment = json.loads(study.folds_path.read_text())["assignment"]
    with pytest.raises(ExportError, match="--force"):
        export_training(study, out)
    assert files_of(out) == before
    result = export_training(study, out, force=True)
    assert result.n_reused == 3
    with TrainingExport.open(out) as export:
        assert len(export) == 8
        assert export.targets["er_n_raters"].max() == 1
        assert {k: v for k, v in export.folds["assignment"].items() if k != "P004"} == assignment
    after = files_of(out)
    for name in before:
        if name.startswith("shards/"):
            assert after[name] == before[name]


def test_a_changed_setting_is_computed_again(copied):
    study, out = copied
    text = study.config_path.read_text(encoding="utf-8")
    study.config_path.write_text(text.replace("[folds]", "[export]\neye_chunks = 16\n[folds]"), encoding="utf-8")
    result = export_training(type(study)(study.root), out, force=True)
    assert result.n_reused == 0
    with TrainingExport.open(out) as export:
        assert export.read(export.clips["clip_id"][0])["eye"].shape[0] == 16


def test_a_damaged_shard_is_not_taken_over(copied):
    study, out = copied
    shard = out / "shards" / "sub-P001_ses-01.h5"
    content = shard.read_bytes()
    with h5py.File(shard, "r+") as file:
        file["eye"][0, 0, 0] = 99.0
    with pytest.raises(ExportError, match=r"sub-P001_ses-01\.h5 has changed"):
        TrainingExport.open(out)
    assert export_training(study, out, force=True).n_reused == 2
    assert shard.read_bytes() == content


def test_an_interrupted_export_looks_unfinished_and_goes_on(copied, tmp_path, monkeypatch):
    study, _ = copied
    out = tmp_path / "out"
    real = training.compute_shard
    calls = []

    def stops(task):
        calls.append(task)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(task)

    monkeypatch.setattr(training, "compute_shard", stops)
    with pytest.raises(KeyboardInterrupt):
        export_training(study, out)
    assert not out.exists()
    with pytest.raises(ExportError, match="was interrupted"):
        TrainingExport.open(out)
    with pytest.raises(ExportError, match="was interrupted"):
        TrainingExport.open(tmp_path / "out.partial")
    monkeypatch.setattr(training, "compute_shard", real)
    (tmp_path / "out.partial" / "stray.txt").write_text("x")
    assert export_training(study, out).n_reused == 2
    assert not (tmp_path / "out.partial").exists()
    assert not (out / "stray.txt").exists()
    TrainingExport.open(out).close()


def test_a_full_disk_leaves_the_old_export_alone(copied, monkeypatch):
    study, out = copied
    before = files_of(out)
    usage = shutil.disk_usage(out)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(ExportError, match="are free"):
        export_training(study, out, force=True)
    monkeypatch.undo()

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shards, "_fill", full)
    text = study.config_path.read_text(encoding="utf-8")
    study.config_path.write_text(text.replace("[folds]", "[export]\neye_chunks = 16\n[folds]"), encoding="utf-8")
    with pytest.raises(ExportError, match="disk is full"):
        export_training(type(study)(study.root), out, force=True)
    assert files_of(out) == before
    assert not list(out.with_name("training.partial").rglob("*.partial"))


# ---------------------------------------------------------------- bad input


def change_in_place(path: Path) -> None:
    """Change one answer in a recording without changing the file's size: only its hash tells."""
    size = path.stat().st_size
    with h5py.File(path, "r+") as file:
        row = file["/responses/items"][0]
        row["value"] += 1
        file["/responses/items"][0] = row
    assert path.stat().st_size == size


def test_a_changed_recording_is_refused(copied):
    study, out = copied
    change_in_place(study.session_path("P002", "01"))
    text = study.config_path.read_text(encoding="utf-8")
    study.config_path.write_text(text.replace("[folds]", "[export]\neye_chunks = 16\n[folds]"), encoding="utf-8")
    with pytest.raises(ExportError, match="has changed since the clip index"):
        export_training(type(study)(study.root), out, force=True, workers=2)
    build_clip_index(study)
    with pytest.raises(ExportError, match="labels were given to another version"):
        export_training(study, out, force=True)
    assert export_training(study, out, force=True, accept_changed=True).counts["clips"] == 6


def test_a_recording_changed_after_the_index_is_not_taken_over_silently(copied):
    study, out = copied
    change_in_place(study.session_path("P002", "01"))
    # Where size and time are the same, hashing again is all that helps.
    with pytest.raises(ExportError, match="has changed since the clip index was built. Run `emer clips --hash-all`"):
        export_training(study, out, force=True)


def test_nothing_to_export(tmp_path):
    study = make_study(tmp_path / "study", n_participants=3, with_video=False)
    with pytest.raises(ExportError, match="emer clips"):
        export_training(study, tmp_path / "out")
    build_clip_index(study)
    with pytest.raises(ExportError, match=r"none of the 6 clips .* camera frames"):
        export_training(study, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.partial").exists()


# ---------------------------------------------------------------- one writer, and folds that leave no set empty

_HOLDER = """
import sys
from pathlib import Path
from data_schema.locks import sole_writer

with sole_writer(Path(sys.argv[1]), ""):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold():
    """Let another process hold the lock of a path, until the test is over or the process is killed."""
    holders = []

    def start(path: Path) -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", _HOLDER, str(path)]
        holders.append(subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        assert holders[-1].stdout.readline().strip() == "held"
        return holders[-1]

    yield start
    for holder in holders:
        holder.kill()
        holder.communicate()


def test_a_second_export_to_the_same_folder_is_refused(copied, tmp_path, monkeypatch, hold):
    study, _ = copied
    out = tmp_path / "new" / "out"
    holder = hold(out)
    partial = out.with_name("out.partial")
    partial.mkdir()
    (partial / "clips.parquet").write_text("the other's")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExportError, match="another export is writing there"):
        export_training(study, Path("new/../new/out"))
    assert (partial / "clips.parquet").read_text() == "the other's"
    holder.kill()
    holder.wait()
    # The lock ends with the process, and its file is no part of the export.
    export_training(study, out)
    with TrainingExport.open(out):
        assert not list(out.rglob("*.lock"))


def test_an_export_waits_for_the_folds_and_then_says_so(copied, tmp_path, monkeypatch, hold):
    study, _ = copied
    before = study.folds_path.read_bytes()
    monkeypatch.setattr(folds, "_FOLDS_WAIT_S", 0.05)
    hold(study.folds_path)
    with pytest.raises(ExportError, match="another export is writing the folds"):
        export_training(study, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert study.folds_path.read_bytes() == before


def test_folds_without_a_training_set_are_refused_before_the_work(copied, tmp_path, monkeypatch):
    study, _ = copied
    assignment = {"P001": 0, "P002": 1, "P003": 1, "P009": 2}
    study.folds_path.write_text(json.dumps({"seed": 1, "n_folds": 3, "assignment": assignment}), encoding="utf-8")
    before = study.folds_path.read_bytes()
    monkeypatch.setattr(training, "compute_shard", lambda task: pytest.fail("a shard was computed"))
    with pytest.raises(ExportError, match="no participant in the"):
        export_training(study, tmp_path / "out")
    assert study.folds_path.read_bytes() == before
    assert not (tmp_path / "out.partial").exists()


@pytest.mark.parametrize("step", ["compute_shard", "_finish", "replace_folder"])
def test_a_failed_export_freezes_no_folds(copied, tmp_path, monkeypatch, step):
    study, out = copied

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = study.folds_path.read_bytes()
    add_session(study, "P004", seed=9)
    build_clip_index(study)
    with monkeypatch.context() as patch:
        patch.setattr(training, step, full)
        with pytest.raises(ExportError, match="disk is full"):
            export_training(study, out, force=True)
        assert study.folds_path.read_bytes() == before
        study.folds_path.unlink()
        with pytest.raises(ExportError, match="disk is full"):
            shutil.move(out, tmp_path / "moved")
            export_training(study, out)
        assert not study.folds_path.exists()
    shutil.move(tmp_path / "moved", out)
    study.folds_path.write_bytes(before)
    export_training(study, out, force=True)
    assert "P004" in json.loads(study.folds_path.read_text(encoding="utf-8"))["assignment"]


def test_too_few_participants_leave_nothing_behind(tmp_path):
    study = make_study(tmp_path / "study", n_participants=2)
    build_clip_index(study)
    with pytest.raises(ExportError, match="Record more participants"):
        export_training(study, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not study.folds_path.exists()


def test_a_folder_of_other_files_is_never_touched(made, tmp_path):
    study, _ = made
    (tmp_path / "thesis.docx").write_text("years of work")
    with pytest.raises(ExportError, match="holds other files"):
        export_training(study, tmp_path, force=True)
    assert (tmp_path / "thesis.docx").read_text() == "years of work"
    with pytest.raises(ExportError, match="is a file"):
        export_training(study, tmp_path / "thesis.docx", force=True)
    with pytest.raises(ExportError, match="name the folder to make"):
        export_training(study, ".", force=True)


def test_own_files_in_an_export_are_never_deleted(copied, monkeypatch):
    study, out = copied
    (out / "notes").mkdir()
    (out / "notes" / "mine.txt").write_text("figures for chapter 3")
    (out / ".DS_Store").write_text("left by a file manager")
    (out / FACE_FEATURES_FOLDER).mkdir()
    for name in (f"resnet18-{'3c' * 16}.npy", f"resnet18-{'3c' * 16}.json", ".resnet18.npy.0a1b2c3d.partial"):
        (out / FACE_FEATURES_FOLDER / name).write_bytes(b"what training keeps of the faces of this export")
    before = files_of(out)
    with pytest.raises(ExportError, match=r"no export wrote.*: notes/mine\.txt\. Move them elsewhere"):
        export_training(study, out, force=True)
    assert files_of(out) == before
    (out / "notes" / "mine.txt").unlink()
    real = training._finish

    def meanwhile(*args, **kwargs):
        (out / "late.txt").write_text("written while the export ran")
        real(*args, **kwargs)

    monkeypatch.setattr(training, "_finish", meanwhile)
    with pytest.raises(ExportError, match=r"late\.txt"):
        export_training(study, out, force=True)
    assert (out / "late.txt").read_text() == "written while the export ran"
    (out / "late.txt").unlink()
    monkeypatch.undo()
    (out / FACE_FEATURES_FOLDER / "mine.npy").write_bytes(b"")
    with pytest.raises(ExportError, match=r"no export wrote.*: face_features/mine\.npy\. Move them elsewhere"):
        export_training(study, out, force=True)
    (out / FACE_FEATURES_FOLDER / "mine.npy").unlink()
    export_training(study, out, force=True)
    assert not (out / FACE_FEATURES_FOLDER).exists()


def test_lost_folds_are_not_drawn_anew_beside_exports_that_have_them(copied, tmp_path):
    study, out = copied
    study.folds_path.unlink()
    for target, force in ((out, True), (study.exports_dir / "second", False), (tmp_path / "elsewhere", False)):
        with pytest.raises(ExportError, match=r"Copy .*training.folds\.json to .*folds\.json") as caught:
            export_training(study, target, force=force)
        assert "move or delete the exports" in str(caught.value)
        assert not study.folds_path.exists()
    shutil.copyfile(out / "folds.json", study.folds_path)
    export_training(study, tmp_path / "elsewhere")
    assert json.loads(study.folds_path.read_text())["assignment"] == TrainingExport.open(out).folds["assignment"]
    # Drawn anew on purpose.
    study.folds_path.unlink()
    shutil.rmtree(study.exports_dir)
    export_training(study, out)
    # An export outside the study that is to be replaced has the folds as well.
    study.folds_path.unlink()
    shutil.rmtree(study.exports_dir)
    with pytest.raises(ExportError, match="is missing, but"):
        export_training(study, tmp_path / "elsewhere", force=True)
