"""Whole sessions through real processes: consent, quality page, refusals, overrides, ends of all kinds."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from data_schema.clips.index import index_sessions
from data_schema.session import markers
from data_schema.session.layout import (
    CALIBRATION_ATTEMPTS,
    CONSENT,
    FACTS,
    FRAMES,
    GAZE,
    LUMINANCE,
    MARKERS,
    PREFLIGHT,
    RESPONSES,
)
from data_schema.session.reader import open_session
from data_schema.session.validate import check_session
from data_schema.study.folder import StudyFolder

from .session_processes import (
    EMER,
    kill_group,
    make_study,
    recorder_of,
    run,
    start,
    wait_for_clip,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    return make_study(tmp_path / "s")


def test_a_session_from_consent_to_quality_page(study: StudyFolder) -> None:
    command = [
        *EMER, "record", "rehearse", str(study.root), "-p", "P001", "--headless", "--speed", "5",
        "--fact", "age_years=24", "--fact", "vision_aid=glasses",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    path = study.session_path("P001", "01")
    assert done.stdout.strip() == str(path)
    assert check_session(path) == []
    with open_session(path) as session:
        consent = session.table(CONSENT).frame()
        assert dict(zip(consent["scope"], consent["granted"], strict=True)) == {"gaze": 1, "video": 1, "sharing": 1}
        assert set(consent["way"]) == {"simulated"}
        assert consent["text_sha256"].str.len().tolist() == [64, 64, 64]
        assert set(session.table(FACTS).frame()["key"]) == {"age_years", "vision_aid"}
        checks = session.table(PREFLIGHT).frame()
        assert {"disk", "memory", "stimuli", "gaze_rate", "frame_rate", "screen"} <= set(checks["check"])
        assert len(session.table(LUMINANCE)) == 5 * 30
        assert set(session.table(CALIBRATION_ATTEMPTS).frame()["kind"]) == {"calibration", "validation"}
        assert set(session.table(RESPONSES).frame()["occasion"]) == {"", "before", "after"}
        # Consent and facts are there before anything is shown.
        first_step = session.table(MARKERS).frame().query("kind == 'step_started'")["t_system_us"].min()
        assert consent["t_system_us"].max() <= first_step
    page = path.with_name(f"{path.stem}_quality.html")
    assert f"quality page: {page}" in done.stderr
    assert "<svg" in page.read_text(encoding="utf-8")


def test_without_consent_to_gaze_nothing_is_recorded_and_that_is_no_error(study: StudyFolder) -> None:
    done = run(study, "rehearse", "-p", "P001", "--consent", "video")
    assert done.returncode == 0
    assert done.stdout == ""
    assert "nothing was recorded" in done.stderr
    assert list(study.sessions_dir.iterdir()) == []


def test_without_consent_to_video_there_is_not_one_frame(study: StudyFolder) -> None:
    done = run(study, "rehearse", "-p", "P001", "--consent", "gaze", "--second-camera", "simulated")
    assert done.returncode == 0, done.stderr
    assert "the camera stays off" in done.stderr
    path = study.session_path("P001", "01")
    with open_session(path) as session:
        assert len(session.table(FRAMES)) == 0
        assert session.file["/face/packets"].shape[0] == 0
        assert session.file["/camera_2/packets"].shape[0] == 0
        assert [device["role"] for device in session.devices] == ["eye_tracker"]
        assert len(session.table(GAZE)) > 100
        consent = session.table(CONSENT).frame()
        assert set(consent["way"]) == {"paper"}


def test_a_code_that_was_used_gets_one_sentence_and_changes_nothing(study: StudyFolder) -> None:
    assert run(study, "rehearse", "-p", "P001").returncode == 0
    path = study.session_path("P001", "01")
    before = path.read_bytes()
    again = run(study, "rehearse", "-p", "P001")
    assert again.returncode == 1
    assert "a recording is never overwritten" in again.stderr
    assert "--session 02" in again.stderr
    assert path.read_bytes() == before
    assert run(study, "resume", "-p", "P001").returncode == 1
    assert len(study.session_files()) == 1


def test_a_stimulus_that_breaks_off_is_refused_and_can_be_overridden_with_a_stored_reason(study: StudyFolder) -> None:
    path = study.stimulus_path("sadness-1")
    data = bytearray(path.read_bytes())
    # The pictures of the second half; header, index and first frame stay whole.
    begin, end = data.index(b"mdat"), data.index(b"moov")
    middle = (begin + end) // 2
    data[middle : end - 8] = b"\x00" * (end - 8 - middle)
    path.write_bytes(bytes(data))
    refused = run(study, "rehearse", "-p", "P001")
    assert refused.returncode == 1
    assert "sadness-1" in refused.stderr
    assert "Put the file there again" in refused.stderr
    assert list(study.sessions_dir.iterdir()) == []
    run(study, "rehearse", "-p", "P001", "--override-preflight", "piloting without that clip")
    with open_session(study.session_path("P001", "01")) as session:
        checks = session.table(PREFLIGHT).frame().set_index("check")
        assert checks.loc["stimuli", "level"] == "error"
        assert checks.loc["stimuli", "override_reason"] == "piloting without that clip"
        marks = session.table(MARKERS).frame()
        assert marks.loc[marks["kind"] == markers.PREFLIGHT_OVERRIDDEN, "message"].tolist() == [
            "piloting without that clip"
        ]


def test_a_missing_stimulus_stops_before_anything_is_touched(study: StudyFolder) -> None:
    study.stimulus_path("anger-1").unlink()
    done = run(study, "rehearse", "-p", "P001")
    assert done.returncode == 1
    assert "anger-1.mp4, which does not exist" in done.stderr
    assert list(study.sessions_dir.iterdir()) == []


def test_a_recorder_that_is_killed_is_said_with_what_to_do(study: StudyFolder) -> None:
    process = start(study, "rehearse", "-p", "P001")
    path = study.session_path("P001", "01")
    wait_for_clip(path, 2, process)
    recorder_of(process).kill()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "the recorder's process ended unexpectedly" in err
    assert f"emer record resume {study.root} --participant P001 --session 01" in err
    assert "Traceback" not in err
    assert out.strip() == str(path)


def test_termination_ends_in_good_order(study: StudyFolder) -> None:
    process = start(study, "rehearse", "-p", "P001")
    path = study.session_path("P001", "01")
    wait_for_clip(path, 1, process)
    os.kill(process.pid, signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "SIGTERM" in err
    assert out.strip() == str(path)
    assert [finding for finding in check_session(path) if finding.level == "error"] == []
    with open_session(path) as session:
        assert session.status == "aborted"


def test_ctrl_c_twice_leaves_at_once_and_still_prints_the_path(study: StudyFolder) -> None:
    process = start(study, "rehearse", "-p", "P001", speed=1.0)
    path = study.session_path("P001", "01")
    wait_for_clip(path, 1, process)
    os.kill(process.pid, signal.SIGINT)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=90)
    assert process.returncode in (1, 130), err
    assert out.strip() == str(path)
    assert "Traceback" not in err


def test_a_clip_that_was_cut_off_gives_its_reason_in_the_index(study: StudyFolder) -> None:
    process = start(study, "rehearse", "-p", "P001", speed=1.0)
    wait_for_clip(study.session_path("P001", "01"), 2, process)
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    clips, _ = index_sessions(study)
    clips = clips.set_index("trial_id")
    assert bool(clips.loc[1, "included"])
    assert not bool(clips.loc[2, "included"])
    assert "stopped by the operator (Ctrl-C)" in clips.loc[2, "exclusion_reason"]


def test_a_power_cut_leaves_what_emer_status_explains(study: StudyFolder) -> None:
    from data_schema.study.status import study_status

    process = start(study, "rehearse", "-p", "P001")
    wait_for_clip(study.session_path("P001", "01"), 1, process)
    kill_group(process)
    status = study_status(study)
    assert status.sessions == {"interrupted": 1}
    assert status.unfinished == [("P001", "01")]
