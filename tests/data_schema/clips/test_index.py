from __future__ import annotations

import hashlib
import json
import shutil

import h5py
import pandas as pd
import pytest

from data_schema.cli import main
from data_schema.clips.index import CLIP_COLUMNS, build_clip_index, index_sessions, load_clip_index
from data_schema.errors import ExportError
from data_schema.session import open_session

from ..studies import add_session, make_study


def test_each_stimulus_is_a_clip(tmp_path):
    study = make_study(tmp_path / "study", n_participants=2, n_trials=3)
    table = build_clip_index(study)
    assert list(table.columns) == list(CLIP_COLUMNS)
    assert len(table) == 6
    assert table["included"].all()
    first = table.iloc[0]
    assert first["clip_id"] == "sub-P001_ses-01_trial-001"
    path = study.root / first["session_file"]
    assert first["session_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    with open_session(path) as session:
        trial = session.trials()[0]
        assert (first["t_start_us"], first["t_end_us"]) == (trial.t_onset_us, trial.t_offset_us)
    assert 28 <= first["n_face_frames"] <= 31
    assert 0.9 < first["gaze_valid_share"] <= 1.0
    pd.testing.assert_frame_equal(load_clip_index(study), table)
    pd.testing.assert_frame_equal(load_clip_index(study.clip_index_path), table)


@pytest.mark.parametrize(
    ("options", "rule", "reason"),
    [
        ({"with_gaze": False}, "", "gaze lost in 100%"),
        ({"with_video": False}, "", "0% of the camera frames"),
        ({"with_gaze": False}, "[quality]\nmax_gaze_loss = 1.0", ""),
        ({"with_video": False}, "[quality]\nmin_frames_share = 0.0", ""),
        ({"with_video": False}, '[quality]\nwithout_camera = "include"', ""),
    ],
)
def test_the_quality_rule_decides_and_says_why(tmp_path, options, rule, reason):
    study = make_study(tmp_path / "study", n_participants=1, more=rule, **options)
    table = build_clip_index(study)
    assert len(table) == 2
    assert (table["included"] == (not reason)).all()
    assert table["exclusion_reason"].str.startswith(reason).all()


def test_a_camera_that_failed_is_judged_whatever_is_said_of_recordings_without_one(tmp_path):
    study = make_study(tmp_path / "study", n_participants=1, more='[quality]\nwithout_camera = "include"')
    with h5py.File(study.session_path("P001", "01"), "r+") as file:
        frames = file["/face/frames"]
        frames.resize(len(frames) // 3, axis=0)
    assert build_clip_index(study)["exclusion_reason"].str.contains("of the camera frames").any()


def test_one_bad_session_does_not_stop_the_study(tmp_path):
    study = make_study(tmp_path / "study", n_participants=2)
    add_session(study, "P003", n_trials=0)
    cut = study.session_path("P001", "01")
    cut.write_bytes(cut.read_bytes()[:5000])
    table, skipped = index_sessions(study)
    assert set(table["participant"]) == {"P002"}
    assert [item.path.stem for item in skipped] == ["sub-P001_ses-01", "sub-P003_ses-01"]
    assert "no stimulus was shown" in skipped[1].reason


def test_a_renamed_session_is_refused(tmp_path):
    study = make_study(tmp_path / "study", n_participants=1)
    other = study.session_path("P009", "01")
    other.parent.mkdir(parents=True)
    shutil.copy(study.session_path("P001", "01"), other)
    with pytest.raises(ExportError, match=r"sub-P009.*participant P001"):
        build_clip_index(study)
    assert not study.clip_index_path.exists()


def test_a_study_without_sessions_says_how_to_record(tmp_path):
    study = make_study(tmp_path / "study", n_participants=0)
    with pytest.raises(ExportError, match="emer record rehearse"):
        build_clip_index(study)
    with pytest.raises(ExportError, match="emer clips"):
        load_clip_index(study)


def test_a_damaged_index_is_refused(tmp_path):
    study = make_study(tmp_path / "study", n_participants=1)
    build_clip_index(study).drop(columns="included").to_parquet(study.clip_index_path)
    with pytest.raises(ExportError, match="included"):
        load_clip_index(study)
    study.clip_index_path.write_bytes(b"no parquet")
    with pytest.raises(ExportError, match="cannot be read"):
        load_clip_index(study)


def test_the_verbs(tmp_path, capsys):
    study = make_study(tmp_path / "study", n_participants=2)
    assert main(["clips", str(study.root)]) == 0
    assert "4 included" in capsys.readouterr().out
    assert main(["quality", str(study.root)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "sub-P002_ses-01" in lines[2]
    assert main(["quality", str(study.root), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[0]["gaze_rate_hz"] == pytest.approx(120.0, rel=0.01)
    assert rows[0]["clock_drift_ppm"] == pytest.approx(12.0, abs=1.0)
    assert rows[0]["frames_missed"] == 0


def test_quality_of_a_session_without_gaze_and_video(tmp_path, capsys):
    study = make_study(tmp_path / "study", n_participants=1, with_gaze=False, with_video=False)
    assert main(["quality", str(study.root), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)[0]
    assert row["gaze_rate_hz"] is None
    # Both devices were announced and delivered nothing.
    assert (row["frame_rate_hz"], row["gaze_effective_rate_hz"]) == (0.0, 0.0)
    assert (row["frame_loss"], row["gaze_loss_both"]) == (1.0, 1.0)
    study.session_path("P001", "01").write_bytes(b"")
    assert main(["quality", str(study.root)]) == 1
    assert "empty" in capsys.readouterr().err


def test_an_interrupted_session_is_named_and_passed_over(tmp_path):
    study = make_study(tmp_path / "study", n_participants=1)
    path = study.session_path("P001", "01")
    with h5py.File(path, "r+") as file:
        table = file["events/markers"]
        table.resize((1,))  # recording_started alone is left
    table, skipped = index_sessions(study)
    assert len(table) == 0
    assert "emer repair" in skipped[0].reason
