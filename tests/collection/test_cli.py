"""`emer record`, as a user calls it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from data_schema.cli import main
from data_schema.errors import SessionFileError
from data_schema.session import markers
from data_schema.session.layout import FLIPS, FRAMES, GAZE, MARKERS, PLANTED, PRESENTATIONS, RESPONSES
from data_schema.session.reader import open_session
from data_schema.session.validate import check_session
from data_schema.study.folder import StudyFolder
from data_schema.study.scaffold import init_study


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template") / "study"
    init_study(
        root,
        clips_per_emotion=1,
        clip_s=1.0,
        emotions=("happiness", "sadness", "neutral"),
        settings={
            "camera": {"width_px": 160, "height_px": 120},
            "eye_tracker": {"rate_hz": 300.0},
            "recording": {"min_free_gb": 0.0},
            "protocol": {"baseline_s": 0.5, "fixation_s": 0.3, "washout_s": 0.2, "questionnaires_after": []},
            "calibration": {"points": 0, "validation_points": 0},
            "preflight": {"test_recording_s": 0.0, "min_free_memory_gb": 0.0},
        },
    )
    return root


#: Without a window, and without what these tests do not look at.
HEADLESS = ["--headless", "--no-quality-page"]


@pytest.fixture
def study(template: Path, tmp_path: Path) -> StudyFolder:
    root = tmp_path / "study"
    shutil.copytree(template, root)
    return StudyFolder(root)


def test_the_plan_is_printed_and_nothing_is_touched(study: StudyFolder, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(study.root.rglob("*"))
    assert main(["record", "plan", str(study.root), "--participant", "P003"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "sub-P003 ses-01: 3 clips"
    for stimulus in study.config.stimuli:
        assert out.count(f"{stimulus.id} ({stimulus.target_emotion})") == 1
    assert "self_report" in out
    assert "min (reading and answering are estimates)" in out.splitlines()[-1]
    assert sorted(study.root.rglob("*")) == before
    assert main(["record", "plan", str(study.root), "--participant", "P003"]) == 0
    assert capsys.readouterr().out == out


def test_a_rehearsal_records_a_whole_valid_session(study: StudyFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", "rehearse", str(study.root), "-p", "P001", *HEADLESS, "--speed", "5"]) == 0
    captured = capsys.readouterr()
    path = study.session_path("P001", "01")
    assert captured.out == f"{path}\n"
    assert "complete: 3 of 3 trials" in captured.err
    assert "dropped 0" in captured.err
    assert check_session(path) == []
    with open_session(path) as session:
        assert (session.status, session.simulated, session.participant) == ("complete", True, "P001")
        assert session.config() == study.config
        trials = session.trials()
        assert [trial.trial_id for trial in trials] == [1, 2, 3]
        assert all(trial.completed for trial in trials)
        assert len(session.table(PLANTED)) == 3
        answers = session.table(RESPONSES).frame()
        n_answers = answers[(answers["occasion"] == "") & (answers["trial_id"] > 0)].groupby("trial_id").size()
        # Eleven questions a clip, and one with a prescribed answer in the session.
        assert sorted(n_answers) == [11, 11, 12]
        assert set(answers.loc[answers["occasion"] == "before", "questionnaire"]) == {"mood"}
        assert len(session.table(FLIPS)) == session.table(PRESENTATIONS)[:]["n_flips"].sum() == 240
        gaze, frames = session.table(GAZE)[:], session.table(FRAMES)[:]
        # Faster than real time, yet each stream runs at its own rate on the session's clock and covers every trial.
        assert np.median(np.diff(gaze["t_system_us"])) == pytest.approx(1e6 / 300, rel=0.05)
        assert np.median(np.diff(frames["t_capture_us"])) == pytest.approx(1e6 / 30, rel=0.15)
        for stream in (gaze["t_system_us"], frames["t_capture_us"]):
            assert stream[0] < trials[0].t_onset_us
            assert stream[-1] > trials[-1].t_offset_us
        assert frames["missed_before"].sum() == 0
        seen = session.table(MARKERS).frame()["kind"].tolist()
        assert seen.count(markers.STIMULUS_ONSET) == 4
        assert session.seeds.keys() == {"study", "order", "order_row", "devices"}
    assert main(["record", "rehearse", str(study.root), "-p", "P001", *HEADLESS, "--speed", "5"]) == 1
    assert "already, and a recording is never overwritten" in capsys.readouterr().err


def test_the_planted_feeling_reaches_eyes_and_answers_in_time(study: StudyFolder) -> None:
    """The answers follow the felt emotion of each trial, not the one before it."""
    assert main(["record", "rehearse", str(study.root), "-p", "P002", *HEADLESS, "--speed", "5"]) == 0
    with open_session(study.session_path("P002", "01")) as session:
        planted = session.table(PLANTED).frame().set_index("trial_id")
        answers = session.table(RESPONSES).frame()
        for trial in session.trials():
            rated = answers[answers["trial_id"] == trial.trial_id].set_index("scale")
            felt = planted.loc[trial.trial_id, "felt_emotion"]
            emotions = rated.loc[[name for name in rated.index if name in set(planted["felt_emotion"])], "value"]
            assert rated.loc[felt, "value"] == emotions.max()
            assert abs(rated.loc["valence", "value"] - planted.loc[trial.trial_id, "valence"]) <= 0.5
            assert rated["t_shown_us"].min() >= trial.t_offset_us


def test_a_participant_without_a_code_gets_a_random_one(study: StudyFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", "rehearse", str(study.root), *HEADLESS, "--speed", "5", "--session", "02"]) == 0
    files = study.session_files()
    assert [Path(capsys.readouterr().out.strip())] == files
    assert files[0].stem.startswith("sub-P")
    assert files[0].stem.endswith("_ses-02")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--speed", "0"], 2, "--speed must be larger than 0"),
        (["-p", "Jane Doe"], 2, "letters and digits"),
        (["--eye-tracker", "eyelink"], 2, "no eye tracker 'eyelink'"),
        (["--camera", "nowhere.mp4"], 1, "nowhere.mp4: there is no such file"),
        (["--camera", "{study}/study.toml"], 1, "cannot be read as a video"),
        (["--eye-tracker", "faulty:silence@0:simulated"], 1, "delivered nothing within 5 s"),
    ],
)
def test_bad_input_gets_one_message_and_leaves_nothing(
    study: StudyFolder, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    filled = [text.replace("{study}", str(study.root)) for text in arguments]
    assert main(["record", "rehearse", str(study.root), *HEADLESS, *filled]) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert list(study.sessions_dir.iterdir()) == []


def test_a_broken_stimulus_is_named(study: StudyFolder, capsys: pytest.CaptureFixture[str]) -> None:
    clip = study.stimulus_path("sadness-1")
    clip.write_bytes(b"no video")
    assert main(["record", "plan", str(study.root)]) == 1
    assert "sadness-1.mp4: this is no video" in capsys.readouterr().err
    clip.unlink()
    assert main(["record", "rehearse", str(study.root), *HEADLESS]) == 1
    assert "sadness-1.mp4, which does not exist" in capsys.readouterr().err
    assert list(study.sessions_dir.iterdir()) == []


def test_too_little_room_is_refused(study: StudyFolder, capsys: pytest.CaptureFixture[str]) -> None:
    text = study.config_path.read_text(encoding="utf-8").replace("min_free_gb = 0.0", "min_free_gb = 1e9")
    study.config_path.write_text(text, encoding="utf-8")
    assert main(["record", "rehearse", str(study.root), *HEADLESS]) == 1
    assert "1000000.0 TB must stay free" in capsys.readouterr().err
    assert list(study.sessions_dir.iterdir()) == []


@pytest.mark.skipif(importlib.util.find_spec("psychopy") is not None, reason="needs an environment without PsychoPy")
@pytest.mark.parametrize("verb", ["run", "rehearse"])
def test_without_psychopy_the_way_out_is_named(
    study: StudyFolder, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    assert main(["record", verb, str(study.root), "--no-console"]) == 2
    err = capsys.readouterr().err
    assert 'pip install "emer-toolkit[lab]"' in err
    assert "--headless" in err
    assert list(study.sessions_dir.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rehearse", "--windows", "--speed", "5"], "add --headless"),
        (["rehearse", "--headless", "--eye-tracker", "tobii"], "would record nobody"),
        (["rehearse", "--headless", "--consent", "video,face"], "name what the participant agreed to"),
        (["rehearse", "--headless", "--fact", "age_years"], "KEY=VALUE"),
        (["rehearse", "--headless", "--fact", "name=Jane"], "may identify a person"),
        (["resume"], "name the participant"),
        (["resume", "-p", "P001"], "nothing to go on with"),
        (["console"], "no session runs in this study"),
    ],
)
def test_options_that_cannot_be_meant_are_answered(
    study: StudyFolder, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    verb, *options = arguments
    assert main(["record", verb, str(study.root), *options]) in (1, 2)
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert list(study.sessions_dir.iterdir()) == []


def test_doctor_makes_the_checks_of_a_preflight(
    study: StudyFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A machine that runs tests has no loudspeaker.
    monkeypatch.setattr("collection.preflight.stimuli.any_sound", lambda _study: False)
    assert main(["doctor", str(study.root), "--no-devices", "--json"]) == 0
    found = {item["check"]: item["level"] for item in json.loads(capsys.readouterr().out)}
    assert {"Python", "encoder", "disk", "memory", "stimuli", "sound", "clock"} <= set(found)
    assert "gaze_rate" not in found
    assert main(["doctor", str(study.root)]) == 0
    assert "gaze_rate: gaze: 300" in capsys.readouterr().out
    study.stimulus_path("sadness-1").write_bytes(b"no video")
    assert main(["doctor", str(study.root), "--no-devices"]) == 1
    assert "sadness-1.mp4" in capsys.readouterr().out


def test_doctor_closes_with_what_may_start(
    study: StudyFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from collection.preflight import Check, screen

    sound = Check("sound", "good", "loudspeakers")
    monkeypatch.setattr(screen, "check_sound", lambda *_, **__: sound)
    doctor = ["doctor", str(study.root), "--no-devices"]
    assert main(doctor) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("A recording may start")
    sound = Check("sound", "error", "no sound device", "Plug in loudspeakers.")
    assert main(doctor) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert "A recording must not start before this is mended: sound" in last
    assert "A rehearsal with simulated devices may start" in last
    study.stimulus_path("sadness-1").write_bytes(b"no video")
    assert main(doctor) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("Neither a recording nor a rehearsal may start")


def test_ctrl_c_closes_a_valid_file(study: StudyFolder) -> None:
    code = "import sys; from data_schema.cli import main; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "record", "rehearse", str(study.root), "-p", "P009", *HEADLESS],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    path = study.session_path("P009", "01")
    deadline = time.monotonic() + 40
    while process.poll() is None and time.monotonic() < deadline and not _has_started_a_clip(path):
        time.sleep(0.05)
    # As a terminal does: the whole process group gets it.
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=40)
    assert process.returncode == 1, err
    assert out.strip() == str(path)
    assert "aborted: " in err
    assert "stopped by the operator (Ctrl-C)" in err
    assert "Traceback" not in err
    assert [finding for finding in check_session(path) if finding.level == "error"] == []
    with open_session(path) as session:
        assert session.status == "aborted"
        assert len(session.table(GAZE)) > 0


def _has_started_a_clip(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with open_session(path) as session:
            return len(session.table(FLIPS)) > 0
    except SessionFileError:
        # For a moment, between its creation and single-writer mode, the file is the recorder's alone.
        return False


def test_a_tracker_that_falls_silent_is_an_alarm_a_warning_and_exit_code_1(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A dead tracker leaves a sound file: the operator must hear of it before the participant leaves."""
    study = init_study(
        tmp_path / "s",
        clips_per_emotion=1,
        clip_s=1.5,
        emotions=["fear", "anger"],
        settings={
            "camera": {"width_px": 320, "height_px": 240},
            "eye_tracker": {"rate_hz": 120.0},
            "protocol": {"baseline_s": 0.5, "fixation_s": 0.2, "washout_s": 0.2},
            "recording": {"min_free_gb": 0.1, "silence_s": 0.5},
            "calibration": {"points": 0, "validation_points": 0},
            "preflight": {"test_recording_s": 0.0, "min_free_memory_gb": 0.0},
        },
    )
    faulty = "faulty:silence@1+1.2:simulated"
    assert main(["record", "rehearse", str(study.root), "-p", "P001", "--eye-tracker", faulty, *HEADLESS]) == 1
    said = capfd.readouterr()
    assert "ALARM: the eye tracker" in said.err
    assert "delivers again" in said.err
    assert "a stream fell silent" in said.err
    assert said.out.strip().endswith("sub-P001_ses-01.h5")
