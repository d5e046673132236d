"""The numbers of the quality page, against what was planted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from collection.quality.gaps import find_losses, summarise_losses
from collection.quality.measures import measure
from collection.quality.series import read_series
from collection.quality.wording import methods_text, verdict
from data_schema.session.reader import open_session
from data_schema.session.synthetic import make_synthetic_session
from data_schema.study.folder import StudyFolder


@pytest.fixture(scope="module")
def data(session_path: Path, study: StudyFolder) -> dict:
    with open_session(session_path) as session:
        return measure(session, study.config)


def test_each_loss_has_its_cause(session_path: Path) -> None:
    with open_session(session_path) as session:
        found = {row.cause: row for row in summarise_losses(find_losses(session), 30.0)}
    assert {cause: row.n for cause, row in found.items()} == {
        "connection lost": 1, "tracker silent": 1, "blink": 3, "eyes not found": 1, "flicker": 1,
    }  # fmt: skip
    assert found["blink"].total_s == pytest.approx(0.65, abs=0.02)
    assert found["connection lost"].longest_s == pytest.approx(2.0, abs=0.01)
    assert found["eyes not found"].share == pytest.approx(1.5 / 30.0, abs=0.001)


def test_trials_are_judged_by_the_rule_of_the_study_and_practice_is_left_out(data: dict) -> None:
    trials = {trial["trial_id"]: trial for trial in data["trials"]}
    assert sorted(trials) == [1, 2, 3]
    assert trials[1]["included"]
    assert not trials[2]["included"]
    assert "gaze lost" in trials[2]["reason"]
    assert not trials[3]["included"]
    assert trials[3]["reason"] == "skipped by the operator"


def test_the_validation_of_the_calibration_in_use_counts(data: dict) -> None:
    validation = data["calibration"]["validation"]
    assert validation["attempt_id"] == 4
    assert validation["eyes_mean"]["all"]["accuracy_deg"] == pytest.approx(1.2)
    assert validation["eyes_mean"]["left"]["accuracy_deg"] == pytest.approx(1.2)
    assert [attempt["in_use"] for attempt in data["calibration"]["attempts"]] == [False, False, True, False]
    assert data["calibration"]["drift_checks"][0]["offset_deg"] == pytest.approx(0.7)


def test_the_verdict_names_what_an_operator_must_know(data: dict) -> None:
    assert data["verdict"]["level"] == "bad"
    said = " ".join(data["verdict"]["sentences"])
    for words in ("1 of 3 trials", "Accuracy is 1.20", "glasses <thick>", "Gaze is missing in 1"):
        assert words in said, said


def test_the_verdict_names_what_was_overridden_and_the_screen_that_was_used(data: dict) -> None:
    assert any("disk" in said and "disk is <fine>" in said for said in data["verdict"]["sentences"])
    assert "really had" not in data["methods_text"]
    message = "1920 x 1080 px (study.toml: 2560 x 1440 px, 60 Hz)"
    check = {"check": "screen", "level": "error", "message": message, "override_reason": "another room"}
    wrong = {**data, "preflight": [check]}
    assert f"Overridden at the pre-flight: screen: {message}. Reason: another room." in verdict(wrong)["sentences"]
    assert "the window really had 1920 x 1080 px" in methods_text(wrong)


def test_missed_refreshes_are_told_of_those_that_were_due(data: dict) -> None:
    flips = data["flips"]
    assert flips["n_due"] == flips["n_flips"] + flips["n_dropped"]
    said = " ".join(data["verdict"]["sentences"])
    assert f"{flips['n_dropped']} of {flips['n_due']} screen refreshes were missed" in said


def test_a_clip_that_ended_early_says_what_was_not_shown(data: dict) -> None:
    said = {trial["trial_id"]: trial.get("end_not_shown") for trial in data["trials"]}
    assert said[2] == "the last 3 frames (0.10 s)"
    assert said[1] == ""
    assert "The end of 1 clip was not shown" in " ".join(data["verdict"]["sentences"])


def test_the_methods_text_states_what_was_measured(data: dict) -> None:
    text = data["methods_text"]
    assert "Spectrum at 300 Hz" in text
    assert "5-point calibration (both eyes), validation on 2 other points gave a mean accuracy of 1.20°" in text
    assert "1 of 3 trials met the study's inclusion rule" in text
    assert "No face video was recorded." in text
    assert "simulated" not in text


def test_everything_is_json(data: dict) -> None:
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert data["consent"] == {"video": False, "gaze": True}
    assert data["flips"]["n_dropped"] == 404
    assert data["camera"]["rate_hz"] is None


def test_a_simulated_session_is_named_as_such(tmp_path: Path, study: StudyFolder) -> None:
    path = make_synthetic_session(tmp_path / "sub-P009_ses-01.h5", participant="P009", n_trials=1, rate_hz=60.0)
    with open_session(path) as session:
        data = measure(session, study.config)
    assert data["session"]["simulated"]
    assert "simulated: these are no data of a person" in data["methods_text"]


def test_an_imported_recording_is_not_said_to_be_recorded_by_us(tmp_path: Path, shared_data: Path) -> None:
    from data_schema.importers import Codes, ImportOptions, plan_import, write_sessions

    (tmp_path / "study.toml").write_text('[study]\ntitle = "Imported"\n', encoding="utf-8")
    folder = StudyFolder(tmp_path)
    options = ImportOptions(codes=Codes("P001", "01"), tracker="Tobii Pro Spectrum")
    export = shared_data / "tobii_prolab_ivt" / "ivt_300Hz.tsv.gz"
    (one,) = write_sessions(folder, plan_import(folder, "prolab", [export], options), options)
    with open_session(one.path) as session:
        text = methods_text(measure(session, folder.config))
        distance_mm = read_series(session).distance_mm
    assert "with Tobii Pro Spectrum at 300 Hz" in text
    assert "with Tobii Pro Lab 24.21.435, and imported with emer-toolkit" in text
    assert "The export says nothing of a validation" in text
    # From the screen's plane, not from its corner, from which the eyes are 60 mm farther.
    assert 540 < np.nanmedian(distance_mm) < 575
