"""Faults in the middle of a session: each ends in a valid file that says what happened, and in a sentence to act on.

Devices fail by themselves (`faulty:`), signals and limits are real; only the wall
clock's step is injected, since a test must not set the machine's clock. What
concerns cameras is in test_cameras.py, what concerns a dead parent in test_handle.py.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from collection.recorder import Recorder, RecorderSettings
from data_schema.errors import RecordingError
from data_schema.session import markers
from data_schema.session.layout import ANCHORS, GAZE, MARKERS, NOTIFICATIONS, PRESENTATIONS, make_row
from data_schema.session.reader import Session, open_session
from data_schema.session.repair import repair_session
from data_schema.session.validate import check_session

HERE = Path(__file__).parent


def marked(session: Session, kind: str) -> list[str]:
    frame = session.table(MARKERS).frame()
    return list(frame.loc[frame["kind"] == kind, "message"])


def warned(path: Path) -> str:
    """Return what `emer check` says, after making sure that none of it is an error."""
    findings = check_session(path)
    assert [finding.level for finding in findings] == ["warning"] * len(findings)
    return "\n".join(finding.message for finding in findings)


def alarm(recorder: Recorder, word: str, deadline_s: float = 20.0) -> tuple[str, float]:
    """Wait for a sentence with `word` in the status; return it and how long it took."""
    began = time.monotonic()
    while time.monotonic() - began < deadline_s:
        for text in recorder.status().alarms:
            if word in text:
                return text, time.monotonic() - began
        time.sleep(0.005)
    pytest.fail(f"no alarm with '{word}': {recorder.status().alarms}")


def test_a_tracker_unplugged_and_plugged_again_in_a_trial(settings: RecorderSettings, lab: SimpleNamespace) -> None:
    settings = dataclasses.replace(settings, eye_tracker="faulty:disconnect@4+2.5:simulated")
    with Recorder(settings) as recorder:
        recorder.start()
        began_us = settings.clock.now_us()
        recorder.marker(markers.TRIAL_STARTED, "s01", trial_id=1)
        text, _ = alarm(recorder, "eye tracker has been silent")
        assert text.endswith("Check its cable and its lights; pause, and end the session if it does not come back.")
        lab.until(lambda: not recorder.status().stream(GAZE.path).silent_s)
        n = recorder.status().durable[GAZE.path]
        lab.until(lambda: recorder.status().durable[GAZE.path] > n + 600)
        assert not any("eye tracker" in text for text in recorder.status().alarms)
        recorder.marker(markers.TRIAL_ENDED, "s01", trial_id=1)
        ended_us = settings.clock.now_us()
        recorder.rows(
            PRESENTATIONS.path,
            make_row(PRESENTATIONS, trial_id=1, stimulus_id="s01", t_onset_us=began_us, t_offset_us=ended_us),
        )
        summary = recorder.stop()
    assert (summary.reason, summary.problems) == ("complete", ())
    with open_session(settings.path) as session:
        assert session.status == "complete"
        kinds = list(session.table(NOTIFICATIONS).column("kind"))
        assert kinds[0].endswith("connection_lost")
        assert kinds[-1].endswith("connection_restored")
        assert "/eye/gaze: nothing arrived" in marked(session, markers.STREAM_SILENT)
        assert "/eye/gaze: delivers again" in marked(session, markers.STREAM_BACK)
        times = session.table(GAZE)[:]["t_system_us"].astype(np.int64)
        gaps_s = np.diff(times) / 1e6
        assert gaps_s.max() == pytest.approx(2.5, abs=0.3)
        assert began_us < times[gaps_s.argmax()] < times[gaps_s.argmax() + 1] < ended_us
        # The camera went on.
        assert session.video is not None
        assert np.diff(session.video.frame_times_us).max() < 1_500_000
    assert "a stream fell silent" in warned(settings.path)


def test_a_silent_tracker_is_said_within_two_seconds(settings: RecorderSettings) -> None:
    """As the study's default has it: not one setting is changed for this test."""
    settings = dataclasses.replace(settings, eye_tracker="faulty:silence@3:simulated", camera="")
    with Recorder(settings) as recorder:
        recorder.start()
        recorder.follow(GAZE.path)
        text, _ = alarm(recorder, "eye tracker has been silent")
        last_us = int(recorder.recent(GAZE.path, 0)["t_received_us"][-1])
        assert (settings.clock.now_us() - last_us) / 1e6 < 2.0
        assert recorder.status().stream(GAZE.path).silent_s > 0
        assert recorder.stop().problems == ()
    assert "a stream fell silent" in warned(settings.path)


def test_a_tracker_at_half_its_rate_is_said(
    settings: RecorderSettings, monkeypatch: pytest.MonkeyPatch, lab: SimpleNamespace
) -> None:
    monkeypatch.syspath_prepend(HERE)
    settings = dataclasses.replace(settings, device_factory="recorder_lab:half_rate")
    with Recorder(settings) as recorder:
        recorder.start()
        text, _ = alarm(recorder, "instead of 600")
        assert "Set its rate in Eye Tracker Manager" in text
        assert recorder.status().stream(GAZE.path).slow
        assert recorder.stop().problems == ()
    with open_session(settings.path) as session:
        (text,) = marked(session, markers.RATE_LOW)
        assert text.endswith("a second, announced are 600")
    assert "a stream was too slow 1 times: /eye/gaze" in warned(settings.path)


def test_a_wall_clock_that_is_set_leaves_the_stamps_alone(
    settings: RecorderSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(HERE)
    settings = dataclasses.replace(settings, device_factory="recorder_lab:clock_is_set")
    with Recorder(settings) as recorder:
        recorder.start()
        text, _ = alarm(recorder, "clock was set by +3600.0 s")
        assert text.endswith("switch automatic time setting off for the next session.")
        assert recorder.stop().problems == ()
    with open_session(settings.path) as session:
        assert marked(session, markers.CLOCK_STEPPED) == [
            "the wall clock was set by +3600.000 s; stamps are not affected"
        ]
        anchors = session.table(ANCHORS)[:]
        offsets = anchors["t_utc_us"] - anchors["t_system_us"]
        assert np.ptp(offsets) == pytest.approx(3.6e9, abs=1e5)
        assert np.diff(session.table(GAZE)[:]["t_system_us"].astype(np.int64)).max() < 1_500_000
    assert "the wall clock was set 1 times" in warned(settings.path)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits on the size of a file")
def test_a_disk_that_is_full_leaves_everything_acknowledged(
    settings: RecorderSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel itself refuses a write in the middle of the session."""
    monkeypatch.syspath_prepend(HERE)
    settings = dataclasses.replace(settings, device_factory="recorder_lab:disk_fills_up")
    with Recorder(settings) as recorder:
        recorder.start()
        with pytest.raises(RecordingError, match=_FULL):
            while True:
                recorder.status()
                time.sleep(0.01)
        acknowledged = recorder.acknowledged
        with pytest.raises(RecordingError, match="emer repair"):
            recorder.request("display_area")
    assert acknowledged[GAZE.path] > 100
    result = repair_session(settings.path)
    assert result.repaired
    with open_session(settings.path) as session:
        assert session.status == "repaired"
        for table, n in acknowledged.items():
            if table in result.rows:
                assert len(session.table(table)) >= n, table
    assert "was repaired" in warned(settings.path)


def test_a_presenter_that_is_killed_while_it_calibrates_leaves_a_closed_file(
    settings: RecorderSettings, tmp_path: Path, lab: SimpleNamespace
) -> None:
    """SIGKILL for the parent, with a verb of the tracker hanging and a live feed open."""
    import subprocess

    script = tmp_path / "presenter.py"
    script.write_text(_PRESENTER.format(here=str(HERE), path=str(settings.path)), encoding="utf-8")
    root = HERE.parents[2]
    result = subprocess.run(
        [sys.executable, str(script)], cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, timeout=60
    )
    assert result.returncode == -signal.SIGKILL

    def closed() -> bool:
        with open_session(settings.path) as session:
            return session.status not in ("recording", "interrupted")

    lab.until(closed, 40.0)
    with open_session(settings.path) as session:
        assert session.status == "aborted"
        assert marked(session, markers.RECORDING_ABORTED) == ["the process that controls the recorder has ended"]
    assert "ended before its protocol" in warned(settings.path)


_FULL = r"ses-01\.h5: writing failed: File too large\. What was written before is safe\. Free some disk, then run: emer repair"
_PRESENTER = """
import os, sys, threading, time
from pathlib import Path
sys.path.insert(0, {here!r})
from collection.live import LiveClient
from collection.recorder import Recorder, RecorderSettings
from data_schema.study.config import parse_config

if __name__ == "__main__":
    config = parse_config({{"study": {{"title": "x"}}, "recording": {{"min_free_gb": 0.0}}}}, "test")
    recorder = Recorder(RecorderSettings(
        Path({path!r}), "T1", "01", config, planned_s=5.0, device_factory="recorder_lab:calibrated"))
    recorder.start()
    client = LiveClient(recorder.live)
    while client.receive(5.0) is None:
        pass
    threading.Thread(target=recorder.request, args=("calibration_collect", 0.0, 0.0), daemon=True).start()
    while not recorder.status().durable.get("/eye/gaze"):
        time.sleep(0.01)
    os.kill(os.getpid(), 9)
"""


def test_every_alarm_names_a_step() -> None:
    """The sentences themselves, for all streams and states."""
    from collection.recorder.alarms import _NAMES, alarm_sentences
    from collection.recorder.settings import StreamStatus

    class Disk:
        low = True

        def say_low(self) -> str:
            return "1.00 GB are left on the disk: make room, or end after this trial"

    class Clock:
        last_step = (-2_000_000, time.monotonic())

    states: list[Callable[[], StreamStatus]] = [
        lambda: StreamStatus(silent_s=3.0),
        lambda: StreamStatus(lost="its encoder failed (x)"),
        lambda: StreamStatus(slow=True, rate_hz=15.0, expected_hz=30.0),
    ]
    for state in states:
        said = alarm_sentences({name: state() for name in _NAMES}, Clock(), Disk())  # type: ignore[arg-type]
        assert len(said) == len(_NAMES) + 2
        assert all(text.endswith(".") and text.count(".") >= 1 for text in said)
    assert "-2.0 s" in said[-1]
