from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from collection.devices.base import PlantedReaction
from collection.recorder import ABORTED, Recorder, RecorderSettings
from data_schema.errors import DeviceError, RecordingError
from data_schema.session import markers
from data_schema.session.layout import FLIPS, FRAMES, GAZE, MARKERS
from data_schema.session.reader import open_session
from data_schema.session.repair import repair_session

HERE = Path(__file__).parent


@pytest.fixture
def settings_for(settings: RecorderSettings, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], RecorderSettings]:
    # The recorder's process inherits sys.path, so it finds recorder_lab.py.
    monkeypatch.syspath_prepend(HERE)
    return lambda name: dataclasses.replace(settings, device_factory=f"recorder_lab:{name}")


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="needs POSIX signal masks")
def test_ctrl_c_while_the_recorder_starts_does_not_kill_it(
    settings_for: Callable[[str], RecorderSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal sends Ctrl-C to the child too, which cannot ignore it before it has imported itself."""
    start = multiprocessing.get_context("spawn").Process.start

    def start_and_interrupt(process: multiprocessing.Process) -> None:
        start(process)
        os.kill(process.pid or 0, signal.SIGINT)

    monkeypatch.setattr(multiprocessing.get_context("spawn").Process, "start", start_and_interrupt)
    recorder = Recorder(settings_for("pulses"))
    with recorder:
        assert recorder.start().devices
        assert recorder.stop().reason == "complete"


def test_a_session_through_the_process(settings_for: Callable[[str], RecorderSettings], lab: SimpleNamespace) -> None:
    settings = settings_for("pulses")
    recorder = Recorder(settings)
    with recorder:
        started = recorder.start()
        assert recorder.pid not in (None, os.getpid())
        assert [info.role for info in started.devices] == ["eye_tracker", "camera"]
        flips = FLIPS.empty(5)
        flips["t_flip_us"] = range(5)
        recorder.rows(FLIPS.path, flips)
        recorder.marker(markers.OPERATOR_NOTE, "note", 2.0, 77, 3)
        recorder.react(PlantedReaction(123, 1, "fear"))
        lab.until(lambda: all(recorder.status().durable.get(path, 0) >= 10 for path in (GAZE.path, FRAMES.path)))
        acknowledged = dict(recorder.status().durable)
        # Ctrl-C reaches the whole process group; the recorder leaves the decision to its parent.
        os.kill(recorder.pid, signal.SIGINT)
        before = recorder.status().stream(GAZE.path).received
        lab.until(lambda: recorder.status().stream(GAZE.path).received > before + 100)
        summary = recorder.stop()
    assert summary.reason == "complete"
    assert summary.problems == ()
    assert summary.status.dropped == 0
    assert summary.rate_hz(FRAMES.path) >= 0
    with open_session(settings.path) as session:
        assert session.status == "complete"
        assert len(session.table(FLIPS)) == 5
        for path in (GAZE.path, FRAMES.path):
            assert len(session.table(path)) >= acknowledged[path] >= 10
        notes = session.table(MARKERS).frame().query("kind == 'operator_note'")
        assert [(m, v) for m, v in zip(notes["message"], notes["value"], strict=True)] == [
            ("note", 2.0),
            ("reacts with fear", 123.0),
        ]
    assert "closed: complete" in settings.path.with_suffix(".log").read_text(encoding="utf-8")
    with pytest.raises(RecordingError, match="has ended"):
        recorder.marker(markers.OPERATOR_NOTE, "too late")


def test_leaving_the_block_aborts_in_good_order(settings_for: Callable[[str], RecorderSettings]) -> None:
    settings = settings_for("pulses")
    with pytest.raises(ZeroDivisionError), Recorder(settings) as recorder:
        recorder.start()
        raise ZeroDivisionError("presenter")
    with open_session(settings.path) as session:
        assert session.status == "aborted"
        row = session.table(MARKERS).frame().query("kind == 'recording_aborted'").iloc[0]
        assert row["message"] == "ZeroDivisionError: presenter"


def test_a_killed_recorder_is_noticed_and_repair_is_named(
    settings_for: Callable[[str], RecorderSettings], lab: SimpleNamespace
) -> None:
    settings = settings_for("pulses")
    with Recorder(settings) as recorder:
        recorder.start()
        lab.until(lambda: recorder.status().durable.get(GAZE.path, 0) > 0)
        os.kill(recorder.pid, signal.SIGKILL)
        with pytest.raises(RecordingError, match=r"signal 9.*emer repair .*sub-T1_ses-01\.h5"):
            lab.until(lambda: recorder.marker(markers.OPERATOR_NOTE, "anybody there?"))
        with pytest.raises(RecordingError, match="emer repair"):
            recorder.stop()
    with open_session(settings.path) as session:
        assert session.status == "interrupted"
    assert repair_session(settings.path).repaired


def test_asking_the_process_to_terminate_closes_the_file(
    settings_for: Callable[[str], RecorderSettings], lab: SimpleNamespace
) -> None:
    settings = settings_for("pulses")
    with Recorder(settings) as recorder:
        recorder.start()
        os.kill(recorder.pid, signal.SIGTERM)
        lab.until(lambda: _is_closed(settings.path))
    with open_session(settings.path) as session:
        assert session.status == "aborted"


def _is_closed(path: Path) -> bool:
    with open_session(path) as session:
        return session.status not in ("recording", "interrupted")


@pytest.mark.parametrize(
    ("factory", "error", "message"),
    [
        ("unplugged", DeviceError, "No eye tracker answered. Check the USB cable"),
        ("broken_driver", RecordingError, "could not start: ZeroDivisionError: driver"),
        ("dies_at_once", RecordingError, r"ended before it began to write \(signal 9\)"),
    ],
)
def test_what_keeps_a_recording_from_starting_is_told(
    settings_for: Callable[[str], RecorderSettings], factory: str, error: type[Exception], message: str
) -> None:
    settings = settings_for(factory)
    with Recorder(settings) as recorder, pytest.raises(error, match=message):
        recorder.start()
    assert list(settings.path.parent.iterdir()) == []


def test_devices_that_hang_at_the_end_cost_nothing(
    settings_for: Callable[[str], RecorderSettings], lab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collection.recorder.handle._PATIENCE_S", 20.0)
    settings = settings_for("stuck_devices")
    with Recorder(settings) as recorder:
        recorder.start()
        lab.until(lambda: recorder.status().durable.get(GAZE.path, 0) > 0)
        summary = recorder.stop()
    assert (summary.reason, summary.problems) == ("complete", ())
    with open_session(settings.path) as session:
        assert session.status == "complete"
        assert "a device did not stop and was left behind" in list(session.table(MARKERS).frame()["message"])


def test_a_recorder_that_reports_but_gets_nowhere_is_given_up(
    settings_for: Callable[[str], RecorderSettings], lab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collection.recorder.handle._PATIENCE_S", 3.0)
    settings = settings_for("stuck_disk")
    with Recorder(settings) as recorder:
        recorder.start()
        lab.until(lambda: recorder.status().durable.get(GAZE.path, 0) > 0)
        acknowledged = recorder.acknowledged[GAZE.path]
        stamps: set[int] = set()
        with pytest.raises(RecordingError, match=r"no progress for 3 s .* and was ended.*emer repair"):
            recorder.stop(on_status=lambda status: stamps.add(status.t_us))
        assert len(stamps) > 3  # it reported to the end
        with pytest.raises(RecordingError, match="signal 9"):
            recorder.status()
    with open_session(settings.path) as session:
        assert session.status == "interrupted"
        assert len(session.table(GAZE)) >= acknowledged
    assert repair_session(settings.path).repaired


def test_an_existing_file_is_refused_before_a_process_is_started(settings: RecorderSettings) -> None:
    settings.path.write_bytes(b"precious")
    recorder = Recorder(settings)
    with pytest.raises(RecordingError, match="never overwritten"):
        recorder.start()
    assert recorder.pid is None
    assert settings.path.read_bytes() == b"precious"


def test_orders_need_a_recorder(settings: RecorderSettings) -> None:
    with pytest.raises(RecordingError, match="was not started"):
        Recorder(settings).marker(markers.OPERATOR_NOTE)


def test_stopping_twice_returns_the_same_summary(settings_for: Callable[[str], RecorderSettings]) -> None:
    with Recorder(settings_for("pulses")) as recorder:
        recorder.start()
        first = recorder.stop(ABORTED, "enough")
        assert recorder.stop() is first
    assert first.reason == "aborted"


_ORPHAN = """
import os, sys
from pathlib import Path
sys.path.insert(0, {here!r})
from collection.recorder import Recorder, RecorderSettings
from data_schema.study.config import parse_config

if __name__ == "__main__":
    config = parse_config({{"study": {{"title": "x"}}, "recording": {{"min_free_gb": 0.0}}}}, "test")
    recorder = Recorder(RecorderSettings(
        Path({path!r}), "T1", "01", config, planned_s=5.0, device_factory="recorder_lab:pulses"))
    recorder.start()
    {end}
"""


@pytest.mark.parametrize("end", ["os._exit(3)", "sys.exit(3)", "os.kill(os.getpid(), 9)"])
def test_a_parent_that_disappears_leaves_a_closed_file(tmp_path: Path, lab: SimpleNamespace, end: str) -> None:
    path, script = tmp_path / "sub-T1_ses-01.h5", tmp_path / "orphan.py"
    script.write_text(textwrap.dedent(_ORPHAN.format(here=str(HERE), path=str(path), end=end)), encoding="utf-8")
    root = HERE.parents[2]
    result = subprocess.run(
        [sys.executable, str(script)], cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, timeout=60
    )
    assert result.returncode in (3, -9)
    lab.until(lambda: _is_closed(path))
    with open_session(path) as session:
        assert session.status == "aborted"
        row = session.table(MARKERS).frame().query("kind == 'recording_aborted'").iloc[0]
        assert row["message"] == "the process that controls the recorder has ended"
