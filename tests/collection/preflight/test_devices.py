"""What devices really deliver, against what the study asks for; and the test recording."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from collection.devices.base import CAMERA, EYE_TRACKER, DeviceInfo
from collection.preflight import Check, Preflight
from collection.preflight.devices import answered, check_devices, rate_check
from collection.preflight.screen import ScreenMeasurement, check_display_area, check_screen, check_sound
from collection.preflight.trial_recording import check_recording, remove_left_behind
from collection.recorder import RecorderSettings
from data_schema.clocks import SystemClock
from data_schema.session.layout import FRAMES, GAZE
from data_schema.session.lock import acquire_lock, release_lock
from data_schema.study.config import parse_config
from data_schema.study.folder import StudyFolder
from data_schema.study.sections import ScreenSection

PROJECT = Path(__file__).resolve().parents[3]
CONFIG = parse_config({"study": {"title": "t"}}, "test")
WEBCAM = DeviceInfo(CAMERA, "webcam", "Camera 0", rates_hz={FRAMES.path: 30.0})
TRACKER = DeviceInfo(EYE_TRACKER, "tobii", "Spectrum", rates_hz={GAZE.path: 600.0})


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def even_us(rate_hz: float, seconds: float) -> np.ndarray:
    return 7_000_000 + np.round(np.arange(0, seconds, 1 / rate_hz) * 1e6).astype(np.int64)


def test_devices_that_answer_and_deliver_are_good(settings: RecorderSettings) -> None:
    checks = by_name(check_devices(settings))
    assert {name: check.level for name, check in checks.items()} == {
        "eye_tracker": "good", "camera": "good", "gaze_rate": "good", "frame_rate": "good",
        "display_area": "good",
    }  # fmt: skip
    assert checks["gaze_rate"].value == pytest.approx(120, rel=0.05)


def test_a_device_that_is_not_there_is_one_sentence(settings: RecorderSettings, tmp_path: Path) -> None:
    checks = by_name(check_devices(replace(settings, camera=str(tmp_path / "none.mp4"))))
    assert checks["camera"].level == "error"
    assert "there is no such file" in checks["camera"].message
    assert checks["gaze_rate"].level == "good"


def test_a_silent_tracker_is_found_before_the_participant_sits_down(
    settings: RecorderSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collection.preflight.devices._FIRST_DATA_S", 0.5)
    checks = by_name(check_devices(replace(settings, eye_tracker="faulty:silence@0:simulated")))
    assert checks["gaze_rate"].level == "error"
    assert "delivered nothing" in checks["gaze_rate"].message


@pytest.mark.parametrize(("rate_hz", "level"), [(30.0, "good"), (29.0, "good"), (27.0, "error")])
def test_the_rate_may_lie_below_by_the_tolerance(rate_hz: float, level: str) -> None:
    check = rate_check(FRAMES.path, even_us(rate_hz, 3.0), 2.0, WEBCAM, CONFIG)
    assert check.level == level
    assert check.value == pytest.approx(rate_hz, abs=0.6)


def test_a_dark_room_that_halves_the_camera_is_recognised() -> None:
    """The driver goes on claiming 30; only the stamps tell."""
    halved = rate_check(FRAMES.path, even_us(15.0, 3.0), 2.0, WEBCAM, CONFIG)
    assert halved.level == "error"
    assert "dark room" in halved.message
    assert "exposure_ms" in halved.remedy
    times = even_us(30.0, 3.0)
    stalling = rate_check(FRAMES.path, np.delete(times, np.s_[10:40]), 2.0, WEBCAM, CONFIG)
    assert stalling.level == "error"
    assert "dark room" not in stalling.message


def test_a_replayed_recording_is_measured_against_itself() -> None:
    replayed = DeviceInfo(EYE_TRACKER, "replay", "x", replayed_from="x.h5", rates_hz={GAZE.path: 120.0})
    assert rate_check(GAZE.path, even_us(120, 3), 2.0, replayed, CONFIG).level == "good"
    assert rate_check(GAZE.path, even_us(120, 3), 2.0, TRACKER, CONFIG).level == "error"


def test_a_tracker_at_another_rate_or_one_of_two_is_said() -> None:
    slow = DeviceInfo(EYE_TRACKER, "tobii", "Spectrum", rates_hz={GAZE.path: 300.0})
    assert by_name(answered("eye_tracker", slow, CONFIG))["rate_setting"].level == "error"
    two = DeviceInfo(
        EYE_TRACKER, "tobii", "Spectrum", rates_hz={GAZE.path: 600.0}, details={"other_trackers": ["tet-tcp://b"]}
    )
    (check,) = answered("eye_tracker", two, CONFIG)
    assert check.level == "warning"
    assert "tet-tcp://b" in check.message
    assert "--eye-tracker tobii:" in check.remedy


def test_the_screen_is_compared_with_what_was_measured() -> None:
    screen = ScreenSection()
    (unmeasured,) = check_screen(screen, None)
    assert unmeasured.level == "note"
    assert "not measured" in unmeasured.message
    good = by_name(check_screen(screen, ScreenMeasurement(1920, 1080, 59.94)))
    assert {check.level for check in good.values()} == {"good"}
    bad = by_name(check_screen(screen, ScreenMeasurement(2560, 1440, 144.0)))
    assert bad["screen"].level == "error"
    assert bad["refresh"].level == "warning"


def test_the_trackers_idea_of_the_screen_is_compared() -> None:
    corners = {"top_left": [-264, 297, 0], "top_right": [264, 297, 0], "bottom_left": [-264, 0, 0]}
    assert check_display_area(ScreenSection(), corners)[0].level == "good"
    (check,) = check_display_area(ScreenSection(width_mm=600), corners)
    assert check.level == "warning"
    assert "528 x 297 mm" in check.message
    assert check_display_area(ScreenSection(), None) == []


def test_sound_is_asked_for_only_where_a_clip_has_some() -> None:
    assert check_sound(needed=False).level == "good"
    assert check_sound(needed=True).level in ("good", "note", "error")


def test_the_test_recording_is_made_checked_and_deleted(settings: RecorderSettings, study: StudyFolder) -> None:
    before = sorted(study.root.rglob("*"))
    checks = by_name(check_recording(settings, 3.0))
    assert {check.level for check in checks.values()} == {"good"}
    assert {"test_recording", "gaze_rate", "frame_rate", "frames", "gaps", "clock_residual"} <= set(checks)
    assert checks["frames"].value >= 80
    assert sorted(study.root.rglob("*")) == before


def test_frames_that_the_encoder_lost_are_not_blamed_on_the_cable(study: StudyFolder) -> None:
    slow = study.config.camera.model_copy(
        update={"width_px": 1280, "height_px": 720, "fps": 60.0, "preset": "placebo", "adapt": False}
    )
    recording = study.config.recording.model_copy(update={"queue_seconds": 0.1})
    config = study.config.model_copy(update={"camera": slow, "recording": recording})
    settings = RecorderSettings(
        path=study.session_path("P001", "01"), participant="P001", session="01", config=config,
        clock=SystemClock(), planned_s=600.0, participant_seed=1,
    )  # fmt: skip
    checks = by_name(check_recording(settings, 2.0))
    rate, whole, encoding = (checks[name] for name in ("frame_rate", "test_recording", "encoding"))
    assert rate.level == "error"
    assert "the encoder did not keep up" in rate.message
    for check in (rate, whole, encoding):
        assert "USB" not in check.remedy
        assert "lower [camera] width_px" in check.remedy
        assert "switch [camera] adapt on" in check.remedy
    # How far: by what a frame took.
    asked_px = int(rate.remedy.split("about ")[1].split(" ")[0])
    assert 16 <= asked_px < 1280


def test_a_tracker_that_dies_in_the_test_recording_is_found(settings: RecorderSettings) -> None:
    checks = by_name(check_recording(replace(settings, eye_tracker="faulty:silence@5:simulated"), 16.0))
    assert checks["gaze_rate"].level == "error"
    assert checks["test_recording"].level == "warning"


def test_a_whole_preflight_says_each_thing_once(
    settings: RecorderSettings, study: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A machine that runs tests has no loudspeaker.
    monkeypatch.setattr("collection.preflight.stimuli.any_sound", lambda _study: False)
    seen: list[str] = []
    report = Preflight(study, settings, on_check=lambda check: seen.append(check.name)).run(test_recording_s=0.0)
    assert seen == [check.name for check in report.checks]
    assert len(seen) == len(set(seen))
    assert report.errors == ()
    assert {"disk", "clock", "memory", "processors", "stimuli", "sound", "gaze_rate", "wall_clock"} <= set(seen)
    without = Preflight(study, settings).run(devices=False)
    assert "gaze_rate" not in {check.name for check in without.checks}


def test_an_error_refuses_until_a_reason_is_given(settings: RecorderSettings, study: StudyFolder) -> None:
    study.stimulus_path("fear-1").unlink()
    report = Preflight(study, settings).run(devices=False)
    assert report.refused
    assert "fear-1.mp4" in report.refusal()
    assert "--override-preflight" in report.refusal()
    overridden = report.overridden("the clip is not shown today")
    assert not overridden.refused
    rows = overridden.rows(5)
    levels = {row["check"]: (row["level"], row["override_reason"]) for row in rows}
    assert levels[b"stimuli"] == (b"error", b"the clip is not shown today")
    assert levels[b"disk"] == (b"good", b"")


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_test_recording_is_deleted_when_its_session_is_killed(settings: RecorderSettings, tmp_path: Path) -> None:
    program = tmp_path / "checks.py"
    program.write_text(KILLED_CHECK, encoding="utf-8")
    pickled = tmp_path / "settings.pickle"
    pickled.write_bytes(pickle.dumps(replace(settings, clock=SystemClock())))
    checks = subprocess.Popen(
        [sys.executable, str(program), str(pickled)], env={**os.environ, "PYTHONPATH": str(PROJECT)}
    )
    sessions = settings.path.parents[2]
    deadline = time.monotonic() + 60.0
    while not list(sessions.parent.glob("**/.preflight-*/*.h5")):
        assert time.monotonic() < deadline, "no test recording"
        time.sleep(0.02)
    checks.kill()
    checks.wait()
    while list(sessions.parent.glob("**/.preflight-*")):
        assert time.monotonic() < deadline, "the test recording stays"
        time.sleep(0.02)


#: A process that makes a test recording; imported again by the recorder that it spawns.
KILLED_CHECK = """
import pickle, sys
from pathlib import Path
from collection.preflight.trial_recording import check_recording

if __name__ == "__main__":
    check_recording(pickle.loads(Path(sys.argv[1]).read_bytes()), 60.0)
"""


def test_what_a_power_cut_left_of_a_test_recording_is_deleted_with_the_next_check(
    settings: RecorderSettings, caplog: pytest.LogCaptureFixture
) -> None:
    sessions = settings.path.parents[2]
    old, fresh, locked = (sessions / f".preflight-{name}" for name in ("old", "fresh", "locked"))
    for folder in (old, fresh, locked):
        folder.mkdir(parents=True)
        (folder / "sub-TEST_ses-00.h5").write_bytes(b"a face")
    lock = acquire_lock(locked / "sub-TEST_ses-00.h5")
    for folder in (old, locked):
        os.utime(folder, (1.0, 1.0))
    try:
        assert remove_left_behind(settings.path) == 1
    finally:
        release_lock(locked / "sub-TEST_ses-00.h5", lock)
    assert not old.exists()
    assert fresh.exists()
    assert locked.exists()
    assert "left behind" in caplog.text
