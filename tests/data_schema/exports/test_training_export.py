from __future__ import annotations

import errno
import hashlib
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from data_schema.cli import main
from data_schema.errors import ExportError
from data_schema.exports import folds, shards, training
from data_schema.exports.clips import build_clip_index
from data_schema.exports.columns import EXPORTED_CLIPS, EXPORTED_LABELS, EXPORTED_TARGETS, SESSION_QUALITY
from data_schema.exports.reading import TrainingExport
from data_schema.exports.shards import face_slots
from data_schema.exports.training import export_training
from data_schema.signals.features import EYE_FEATURE_NAMES

from .studies import add_face_session, add_session, label_all, make_study, read_frames


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study of three participants with labels, and its export."""
    study = make_study(tmp_path_factory.mktemp("made") / "study", n_participants=3)
    label_all(study)
    return study, export_training(study, study.exports_dir / "training").path


@pytest.fixture
def copied(made, tmp_path):
    """The same, to change."""
    root = tmp_path / "study"
    shutil.copytree(made[0].root, root)
    return type(made[0])(root), root / "exports" / "training"


def files_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# ---------------------------------------------------------------- what is in it


def test_round_trip(made):
    study, out = made
    with TrainingExport.open(out) as export:
        clips = export.clips
        assert len(export) == 6
        assert export.manifest["format"] == "emer-training-export"
        assert export.manifest["simulated"] is True
        assert export.manifest["study_title"] == "Tiny study"
        assert [feature["name"] for feature in export.manifest["eye_features"]] == list(EYE_FEATURE_NAMES)
        assert clips["duration_s"].between(0.9, 1.1).all()
        for clip_id in clips["clip_id"]:
            arrays = export.read(clip_id)
            assert arrays["faces"].shape == (8, 112, 112, 3)
            assert arrays["faces"].dtype == np.uint8
            assert arrays["eye"].shape == arrays["eye_mask"].shape == (32, len(EYE_FEATURE_NAMES))
            assert arrays["eye"].dtype == np.float32
            assert np.isfinite(arrays["eye"]).all()
            assert not arrays["eye"][~arrays["eye_mask"]].any()
            assert arrays["eye_mask"].mean() > 0.5
            assert arrays["fixations"].shape == (32, 4)
            assert arrays["fixation_mask"].any()
            assert not arrays["fixations"][~arrays["fixation_mask"]].any()
            assert arrays["fixation_map"].sum() == pytest.approx(1.0, abs=1e-5)
            assert arrays["gaze_points_mask"].mean() > 0.9
            assert arrays["gaze_points"][arrays["gaze_points_mask"]].min() > 0
            assert not arrays["face_mask"].any()  # a gradient is no face
        assert set(export.quality["participant"]) == {"P001", "P002", "P003"}
        assert (export.quality["n_included"] == 2).all()
        assert export.folds["n_folds"] == 3
        assert export.fold_assignment.splits(0).test
        assert json.loads(study.folds_path.read_text())["assignment"] == export.folds["assignment"]


def test_targets_are_those_of_the_annotators(made):
    with TrainingExport.open(made[1]) as export:
        merged = export.clips.merge(export.targets, on="clip_id")
        assert set(merged.loc[merged["trial_id"] == 1, "er_emotion"]) == {"sadness"}
        assert set(merged.loc[merged["trial_id"] == 2, "er_emotion"]) == {"fear"}
        assert (merged["fer_intensity"] == 0.75).all()
        assert (merged["er_n_raters"] == 2).all()
        assert len(export.clips_of("fer-intensity")) == 6
        assert len(export.clips_of("fer-va")) == 0
        with pytest.raises(ExportError, match="er-7"):
            export.clips_of("er-8")
        assert set(export.labels["source"]) == {"annotator", "self_report"}


def test_nothing_planted_and_no_target_emotion_leaks(made):
    for name in ("clips.parquet", "targets.parquet", "quality.parquet", "labels.parquet"):
        columns = set(pd.read_parquet(made[1] / name).columns)
        assert not {"target_emotion", "felt_emotion", "shown_emotion", "masked"} & columns
    with h5py.File(next((made[1] / "shards").glob("*.h5"))) as file:
        assert set(file) == {*shards.array_shapes(shards.ShardSettings()), "clip_id"}
        # One uncompressed chunk a clip.
        assert file["faces"].chunks == (1, 8, 112, 112, 3)
        assert file["faces"].compression is None


def test_the_data_card_has_the_real_numbers(made):
    text = (made[1] / "data_card.md").read_text(encoding="utf-8")
    assert "SIMULATED" in text
    assert "6 clips of 3 participants" in text
    assert "| sadness | 3 | 0 |" in text
    assert "| neutral | 0 | 6 |" in text
    assert "differ in 100.0% of the 6 clips" in text
    assert "`pupil_change_mean`" in text


def test_real_faces_are_exported_aligned(tmp_path, shared_data):
    frames = read_frames(shared_data / "face_video" / "single_face.mp4")
    study = make_study(tmp_path / "study", n_participants=0, more="[quality]\nmax_gaze_loss = 1.0")
    for number in (1, 2, 3):
        add_face_session(study, f"P{number:03d}", frames)
    build_clip_index(study)
    out = export_training(study, tmp_path / "out").path
    with TrainingExport.open(out) as export:
        assert (export.clips["n_faces"] == 8).all()
        assert (export.quality["face_found_share"] == 1.0).all()
        assert export.quality["replayed"].all()
        assert (export.quality["camera"] == "replay:single_face.mp4").all()
        arrays = export.read(export.clips["clip_id"][0])
        assert arrays["face_mask"].all()
        skin = arrays["faces"][:, 60:90, 40:70].reshape(-1, 3).mean(axis=0)
        assert skin[0] > skin[2] + 15  # RGB, not BGR: skin is red rather than blue
        assert not arrays["eye_mask"].any()  # no gaze was recorded
        assert arrays["fixation_map"].sum() == 0
    assert "replay a recording made elsewhere" in (out / "data_card.md").read_text(encoding="utf-8")


def test_face_frames_are_the_nearest_inside_the_clip():
    times = np.arange(0, 4_000_000, 33_333)
    slots = face_slots(times, 1_000_000, 3_000_000, 8)
    assert np.abs(times[slots] - (1_000_000 + (np.arange(8) + 0.5) * 250_000)).max() <= 16_667
    assert_array_equal(face_slots(times[:40], 1_000_000, 3_000_000, 8)[2:], -1)
    assert_array_equal(face_slots(times[:0], 0, 1, 4), -1)


# ---------------------------------------------------------------- again, faster, in parallel


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


def test_a_changed_recording_is_refused(copied):
    study, out = copied
    path = study.session_path("P002", "01")
    with h5py.File(path, "r+") as file:
        file.attrs["note"] = "changed"
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
    with h5py.File(study.session_path("P002", "01"), "r+") as file:
        file.attrs["note"] = "changed"
    with pytest.raises(ExportError, match="has changed since the clip index"):
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
from data_schema.exports.locks import sole_writer

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


@pytest.mark.parametrize("step", ["compute_shard", "_finish", "_swap"])
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
    export_training(study, out, force=True)


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


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda out: (out / "targets.parquet").unlink(), r"targets\.parquet is missing"),
        (lambda out: (out / "folds.json").write_text("{}"), r"folds\.json has 2 bytes"),
        (lambda out: (out / "manifest.json").unlink(), "no manifest.json"),
        (lambda out: (out / "manifest.json").write_text("{"), "cut off .* copy it again"),
        (lambda out: (out / "manifest.json").write_text('{"format": "x"}'), "expected 'emer-training-export'"),
        (
            lambda out: (out / "manifest.json").write_text(
                json.dumps({"format": "emer-training-export", "format_version": "2.0", "files": {}})
            ),
            "export format 2.0",
        ),
        (
            lambda out: (out / "manifest.json").write_text(
                json.dumps({"format": "emer-training-export", "format_version": "1.0", "files": {"../x": {}}})
            ),
            "outside the export",
        ),
    ],
)
def test_damage_is_named(copied, damage, message):
    _, out = copied
    damage(out)
    with pytest.raises(ExportError, match=message):
        TrainingExport.open(out)


def test_a_shard_alone_can_be_understood(made):
    export = TrainingExport.open(made[1])
    shard = export.clips["shard"].iloc[0]
    mine = export.clips[export.clips["shard"] == shard].sort_values("row")
    with h5py.File(made[1] / shard) as file:
        assert [name.decode() for name in file["clip_id"][:]] == mine["clip_id"].tolist()
        assert file.attrs["participant"] == mine["participant"].iloc[0]
        for name in shards.array_shapes(shards.ShardSettings()):
            attributes = file[name].attrs
            assert attributes["meaning"].endswith(".")
            axes = json.loads(attributes["axes"])
            assert len(axes) == file[name].ndim
            assert axes[0] == "clip"
            if axes[-1] == "feature":
                features = json.loads(attributes["features"])
                assert len(features) == file[name].shape[-1]
                assert all(feature["name"] and feature["unit"] and feature["definition"] for feature in features)
        assert [feature["name"] for feature in json.loads(file["eye"].attrs["features"])] == list(EYE_FEATURE_NAMES)


def rehash(out: Path) -> None:
    """Let the manifest agree with the files as they are, as somebody might who edits an export."""
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    for name, entry in manifest["files"].items():
        content = (out / name).read_bytes()
        entry |= {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (out / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def edit_clips(out: Path, change) -> None:
    clips = pd.read_parquet(out / "clips.parquet")
    change(clips)
    clips.to_parquet(out / "clips.parquet", index=False)
    rehash(out)


def test_a_recording_cannot_be_split_over_participants(copied):
    _, out = copied
    edit_clips(out, lambda clips: clips.__setitem__("participant", ["P003", *clips["participant"][1:]]))
    with pytest.raises(ExportError, match="sub-P001_ses-01_trial-001 is said to be of participant P003"):
        TrainingExport.open(out)
    edit_clips(out, lambda clips: clips.__setitem__("clip_id", ["sub-P003_ses-09_trial-001", *clips["clip_id"][1:]]))
    with pytest.raises(ExportError, match=r"sub-P001_ses-01\.h5 .* several participants: P001, P003"):
        TrainingExport.open(out)
    edit_clips(out, lambda clips: clips.__setitem__("clip_id", [clips["clip_id"][1], *clips["clip_id"][1:]]))
    with pytest.raises(ExportError, match="listed twice"):
        TrainingExport.open(out)


def test_rows_that_are_other_clips_are_refused(copied):
    _, out = copied
    edit_clips(out, lambda clips: clips.__setitem__("row", [1, 0, *clips["row"][2:]]))
    with TrainingExport.open(out) as export, pytest.raises(ExportError, match=r"row 1 holds .*002, expected .*001"):
        export.read(export.clips["clip_id"][0])


def test_shards_without_names_are_read(copied):
    _, out = copied
    for shard in (out / "shards").iterdir():
        with h5py.File(shard, "r+") as file:
            del file["clip_id"]
    rehash(out)
    with TrainingExport.open(out) as export:
        assert export.read(export.clips["clip_id"][0])["eye"].any()


@pytest.mark.parametrize(
    ("name", "declared"),
    [
        ("clips", EXPORTED_CLIPS),
        ("labels", EXPORTED_LABELS),
        ("targets", EXPORTED_TARGETS),
        ("quality", SESSION_QUALITY),
    ],
)
def test_the_tables_have_the_declared_columns_and_types(made, name, declared):
    table = pd.read_parquet(made[1] / f"{name}.parquet")
    assert list(table.columns) == [column.name for column in declared]
    for column in declared:
        kind = "text" if pd.api.types.is_string_dtype(table[column.name]) else str(table[column.name].dtype)
        assert kind in (column.dtype, "object"), column.name
        assert (kind == "object") <= (column.dtype == "text"), column.name


def test_the_data_card_says_what_a_stimulus_id_may_name(made):
    text = (made[1] / "data_card.md").read_text(encoding="utf-8")
    assert "no column with the emotion that a stimulus was meant to induce" in text
    assert "may name that emotion" in text


def test_unknown_clip_and_missing_array(copied):
    _, out = copied
    export = TrainingExport.open(out)
    with pytest.raises(ExportError, match="no clip 'x'"):
        export.read("x")
    with h5py.File(out / export.clips["shard"][0], "r+") as file:
        del file["eye"]
    with pytest.raises(ExportError, match="lacks eye"):
        export.read(export.clips["clip_id"][0])
    export.close()


def test_an_export_can_be_sent_to_a_worker(made):
    with TrainingExport.open(made[1]) as export:
        name = export.clips["clip_id"][0]
        eye = export.read(name)["eye"]
        with pickle.loads(pickle.dumps(export)) as other:
            assert_array_equal(other.read(name, ("eye",))["eye"], eye)


def test_the_verb(made, tmp_path, capsys):
    study, _ = made
    out = tmp_path / "out"
    assert main(["export", "training", str(study.root), str(out), "--workers", "1"]) == 0
    assert "6 clips of 3 participants" in capsys.readouterr().out
    assert main(["export", "training", str(study.root), str(out), "--workers", "1"]) == 1
    captured = capsys.readouterr()
    assert "--force" in captured.err
    assert "Traceback" not in captured.err
    assert main(["export", "training", str(study.root), str(out), "--workers", "1", "--force"]) == 0
    assert "3 of 3 sessions taken over" in capsys.readouterr().err
