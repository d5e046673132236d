"""A study whose faces MediaPipe found, in MediaPipe's own environment; the others read what it stored."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from data_schema.cli.dispatch import main
from data_schema.clips.index import build_clip_index
from data_schema.derived import open_derived
from tests.data_schema.studies import add_face_session, make_study, read_frames

MEDIAPIPE = importlib.util.find_spec("mediapipe") is not None
SETTINGS = '[faces]\ndetector = "mediapipe"\n[quality]\nmax_gaze_loss = 1.0\n'


@pytest.fixture
def study(tmp_path: Path, shared_data: Path):
    study = make_study(tmp_path / "study", n_participants=0, more=SETTINGS)
    add_face_session(study, "P001", read_frames(shared_data / "face_video" / "single_face.mp4")[::2], n_trials=1)
    assert main(["clips", str(study.root)]) == 0
    return study


@pytest.mark.skipif(not MEDIAPIPE, reason="mediapipe lives in an environment of its own")
def test_emer_signals_runs_with_mediapipe(study, capfd):
    assert main(["signals", str(study.root)]) == 0
    assert "1 computed" in capfd.readouterr().out
    clip = build_clip_index(study).iloc[0]["clip_id"]
    faces = open_derived(study, clip).faces
    assert faces["found"].mean() > 0.9
    assert main(["signals", str(study.root)]) == 0
    assert "1 fresh" in capfd.readouterr().out


@pytest.mark.skipif(MEDIAPIPE, reason="mediapipe is installed")
def test_without_mediapipe_emer_signals_names_the_extra(study, capfd):
    assert main(["signals", str(study.root)]) != 0
    assert "emer-toolkit[mediapipe]" in capfd.readouterr().err
