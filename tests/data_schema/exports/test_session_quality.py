"""A recording is judged over the whole session: what died early must show."""

from __future__ import annotations

import json

import h5py
import pytest

from data_schema.cli import main
from data_schema.exports.session_quality import measure_session
from data_schema.session import open_session

from ..studies import add_session, make_study


@pytest.fixture
def study(tmp_path):
    return make_study(tmp_path / "study", n_participants=0)


def cut(path, table, share):
    """Let a stream stop after a share of its rows."""
    with h5py.File(path, "r+") as file:
        file[table].resize((int(file[table].shape[0] * share),))


def measured(path):
    with open_session(path) as session:
        return measure_session(session)


def test_a_sound_session_has_no_loss_from_its_ends(study):
    quality = measured(add_session(study, "P001", n_trials=4))
    assert quality.duration_s == pytest.approx(6.5, abs=0.05)
    assert quality.gaze.loss_both == pytest.approx(0.02, abs=0.02)
    assert quality.gaze.effective_rate_hz == pytest.approx(120 * (1 - quality.gaze.loss_both), rel=0.01)
    assert (quality.gaze.n_gaps, quality.frames.n_gaps) == (0, 0)
    assert quality.frames.loss == pytest.approx(0.0, abs=0.01)
    assert quality.warnings == ()


def test_a_tracker_that_died_shows_as_loss_gap_and_warning(study):
    path = add_session(study, "P001", n_trials=4)
    before = measured(path)
    cut(path, "/eye/gaze", 0.3)
    quality = measured(path)
    assert quality.duration_s == pytest.approx(before.duration_s, abs=0.05)
    for loss in (quality.gaze.loss_left, quality.gaze.loss_right, quality.gaze.loss_both):
        assert loss == pytest.approx(0.7, abs=0.03)
    assert quality.gaze.effective_rate_hz == pytest.approx(36, abs=3)
    assert quality.gaze.rate_hz == pytest.approx(120, rel=0.01)
    assert quality.gaze.n_gaps == 1
    assert quality.gaze.longest_loss_s == pytest.approx(4.55, abs=0.1)
    assert any("/eye/gaze: ends 4.5 s early" in warning for warning in quality.warnings)
    assert not any(str(path.parent) in warning for warning in quality.warnings)


def test_a_hole_counts_as_loss(study):
    path = add_session(study, "P001", n_trials=4)
    with h5py.File(path, "r+") as file:
        rows = file["/eye/gaze"][:]
        kept = [i for i in range(len(rows)) if not 300 <= i < 600]
        file["/eye/gaze"].resize((len(kept),))
        file["/eye/gaze"][:] = rows[kept]
    quality = measured(path)
    assert quality.gaze.n_gaps == 1
    assert quality.gaze.loss_both == pytest.approx(300 / len(rows), abs=0.03)
    assert quality.gaze.longest_loss_s == pytest.approx(2.5, abs=0.1)


def test_a_camera_that_died_and_a_tracker_that_never_delivered_show(study):
    path = add_session(study, "P001", n_trials=4, with_gaze=False)
    frames = measured(path).frames
    cut(path, "/face/frames", 0.5)
    quality = measured(path)
    assert quality.gaze.loss_both == 1.0
    assert quality.gaze.effective_rate_hz == 0.0
    assert quality.gaze.n_gaps == 1
    assert quality.frames.loss == pytest.approx(0.5, abs=0.1)
    assert quality.frames.rate_hz == pytest.approx(frames.rate_hz / 2, rel=0.1)
    assert quality.frames.n_gaps == 1


def test_the_verb_shows_completed_of_started_trials_and_warnings(study, capsys):
    path = add_session(study, "P001", n_trials=4)
    cut(path, "/eye/gaze", 0.3)
    with h5py.File(path, "r+") as file:
        rows = file["/stimulus/presentations"][:]
        rows["completed"][-1] = 0
        file["/stimulus/presentations"][:] = rows
    assert main(["quality", str(study.root)]) == 0
    out = capsys.readouterr().out
    assert "3 of 4" in out
    assert "sub-P001_ses-01: warning: /eye/gaze: ends 4.5 s early" in out
    assert main(["quality", str(study.root), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["n_trials"], row["n_trials_started"]) == (3, 4)
    assert row["gaze_loss_both"] > 0.6
    assert "ends 4.5 s early" in row["warnings"]
