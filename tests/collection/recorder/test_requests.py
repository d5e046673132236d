"""What the presenter asks of a tracker in the recorder's process, while the recording goes on."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from collection.recorder import Recorder, RecorderSettings
from collection.recorder.answers import FollowedRows, error_as_words, error_from_words
from collection.recorder.requests import RequestDesk
from data_schema.errors import DeviceError, RecordingError, SessionFileError
from data_schema.session import markers
from data_schema.session.layout import CALIBRATION_DATA, FLIPS, GAZE, MARKERS
from data_schema.session.reader import open_session

HERE = Path(__file__).parent


@pytest.fixture
def recorder(settings: RecorderSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    monkeypatch.syspath_prepend(HERE)
    with Recorder(dataclasses.replace(settings, device_factory="recorder_lab:calibrated")) as recorder:
        recorder.start()
        yield recorder


def test_a_calibration_through_the_process(recorder: Recorder) -> None:
    assert recorder.request("is_calibratable") is True
    recorder.request("calibration_begin", "both")
    assert recorder.request("calibration_collect", 0.5, 0.5) is True
    assert recorder.request("calibration_collect", 0.1, 0.9) is True
    recorder.request("calibration_discard", 0.1, 0.9)
    outcome = recorder.request("calibration_compute")
    assert (outcome.success, [sample.target_norm for sample in outcome.samples]) == (True, [(0.5, 0.5)])
    recorder.request("calibration_end")
    data = recorder.request("calibration_data")
    places = [recorder.request("store_calibration", piece) for piece in (b"first", data)]
    assert places == [(0, 5), (5, len(data))]
    recorder.request("calibration_apply", b"first")
    assert recorder.request("calibration_data") == b"first"
    recorder.request("set_display_area", {"width_mm": 600.0})
    assert recorder.request("display_area") == {"width_mm": 600.0}
    recorder.look_at(77, (0.25, 0.75))
    summary = recorder.stop()
    assert summary.problems == ()
    with open_session(recorder.settings.path) as session:
        assert session.file[CALIBRATION_DATA.path][:].tobytes() == b"first" + data
        notes = session.table(MARKERS).frame().query("kind == 'operator_note'")
        assert list(zip(notes["message"], notes["value"], strict=True)) == [("looks at (0.25, 0.75)", 77.0)]


def test_stored_calibration_data_survive_a_kill(recorder: Recorder) -> None:
    offset, size = recorder.request("store_calibration", b"x" * 300_000)
    os.kill(recorder.pid or 0, signal.SIGKILL)
    with pytest.raises(RecordingError, match="signal 9"):
        while True:
            recorder.status()
    with open_session(recorder.settings.path) as session:
        assert session.file[CALIBRATION_DATA.path][offset : offset + size].tobytes() == b"x" * 300_000


def test_what_the_device_says_comes_back_as_its_own_error(recorder: Recorder) -> None:
    with pytest.raises(DeviceError, match="cannot calibrate the left eye alone; set eyes = 'both'"):
        recorder.request("calibration_begin", "left")
    with pytest.raises(DeviceError, match="failed at 'calibration_collect': ZeroDivisionError: driver"):
        recorder.request("calibration_collect", 2.0, 0.0)
    with pytest.raises(DeviceError, match="no request 'calibration_colect'. Known: calibration_begin"):
        recorder.request("calibration_colect")
    assert recorder.stop().reason == "complete"


def test_a_tracker_that_hangs_in_calibration_does_not_stop_the_recording(
    recorder: Recorder, lab: SimpleNamespace
) -> None:
    with pytest.raises(DeviceError, match=r"did not answer 'calibration_collect' within 0\.3 s; the recording goes on"):
        recorder.request("calibration_collect", 0.0, 0.0, timeout_s=0.3)
    before = recorder.status().durable[GAZE.path]
    recorder.marker(markers.OPERATOR_NOTE, "still here")
    # What needs no tracker is answered, what needs it is not waited for longer than said.
    assert recorder.request("store_calibration", b"abc") == (0, 3)
    with pytest.raises(DeviceError, match="did not answer 'calibration_data'"):
        recorder.request("calibration_data", timeout_s=0.2)
    lab.until(lambda: recorder.status().durable[GAZE.path] > before + 100)
    summary = recorder.stop()
    assert (summary.reason, summary.problems) == ("complete", ())
    with open_session(recorder.settings.path) as session:
        assert "still here" in list(session.table(MARKERS).column("message"))


def test_requests_of_a_dead_recorder_fail_at_once(recorder: Recorder) -> None:
    errors: list[RecordingError] = []

    def ask() -> None:
        try:
            recorder.request("calibration_collect", 0.0, 0.0, timeout_s=60.0)
        except RecordingError as error:
            errors.append(error)

    waiting = threading.Thread(target=ask)
    waiting.start()
    started = time.monotonic()
    os.kill(recorder.pid or 0, signal.SIGKILL)
    waiting.join(20.0)
    assert not waiting.is_alive()
    with pytest.raises(RecordingError, match="signal 9"):
        recorder.request("calibration_data", timeout_s=60.0)
    assert time.monotonic() - started < 20.0
    assert [type(error) for error in errors] == [RecordingError]


def test_a_tracker_that_cannot_be_calibrated_says_so(
    settings: RecorderSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(HERE)
    with Recorder(dataclasses.replace(settings, device_factory="recorder_lab:pulses")) as recorder:
        with pytest.raises(RecordingError, match="was not started"):
            recorder.request("is_calibratable")
        recorder.start()
        assert recorder.request("is_calibratable") is False
        assert recorder.request("display_area") is None
        with pytest.raises(DeviceError, match=r"cannot be calibrated from here\. Set points = 0"):
            recorder.request("calibration_begin", "both")
        with pytest.raises(DeviceError, match="no display area that can be set"):
            recorder.request("set_display_area", {})
        recorder.stop()
        with pytest.raises(RecordingError, match="has ended"):
            recorder.request("is_calibratable")


def test_followed_rows_come_here_and_end_when_told(recorder: Recorder, lab: SimpleNamespace) -> None:
    start_us = recorder.settings.clock.now_us()
    assert len(recorder.recent(GAZE.path, 0)) == 0
    recorder.follow(GAZE.path, MARKERS.path)
    recorder.marker(markers.OPERATOR_NOTE, "seen", t_system_us=start_us)
    lab.until(lambda: len(recorder.recent(GAZE.path, start_us)) > 200)
    rows = recorder.recent(GAZE.path, start_us)
    later_us = int(rows["t_system_us"][-1])
    assert np.all(rows["t_system_us"] >= start_us)
    assert len(recorder.recent(GAZE.path, later_us)) >= 1
    lab.until(lambda: b"seen" in list(recorder.recent(MARKERS.path, start_us)["message"]))
    # Nothing at all must not end the thread that listens here.
    recorder.rows(MARKERS.path, MARKERS.empty(0))
    recorder.marker(markers.OPERATOR_NOTE, "still here")
    lab.until(lambda: b"still here" in list(recorder.recent(MARKERS.path, start_us)["message"]))
    recorder.follow()
    n_received = recorder.status().stream(GAZE.path).received
    lab.until(lambda: recorder.status().stream(GAZE.path).received > n_received + 100)
    n = len(recorder.recent(GAZE.path, start_us))
    n_received = recorder.status().stream(GAZE.path).received
    lab.until(lambda: recorder.status().stream(GAZE.path).received > n_received + 100)
    assert len(recorder.recent(GAZE.path, start_us)) == n
    with pytest.raises(RecordingError, match="cannot be followed"):
        recorder.follow("/stimulus/luminance")
    recorder.stop()
    with open_session(recorder.settings.path) as session:
        assert set(rows["t_system_us"]) <= set(session.table(GAZE)[:]["t_system_us"])


def test_followed_rows_are_forgotten_after_a_minute() -> None:
    followed = FollowedRows()
    for second in range(100):
        rows = FLIPS.empty(1)
        rows["t_flip_us"] = second * 1_000_000
        followed.add(FLIPS.path, rows)
    kept = followed.since(FLIPS.path, 0)["t_flip_us"]
    assert (kept[0], kept[-1], len(kept)) == (39_000_000, 99_000_000, 61)
    assert followed.since(FLIPS.path, 98_000_001)["t_flip_us"].tolist() == [99_000_000]
    assert len(followed.since(GAZE.path, 0)) == 0


def test_a_request_that_nobody_waits_for_any_more_is_left_out_except_the_end() -> None:
    """A hung verb that returns at last must not be followed by a queue of stale ones."""
    hangs, seen, answered = threading.Event(), [], threading.Event()

    class Tracker:
        def __getattr__(self, name: str) -> Callable[..., None]:
            if name == "is_calibratable":
                return lambda: True  # type: ignore[return-value]

            def verb(*_: object) -> None:
                if not seen:
                    hangs.wait(20.0)
                seen.append(name)

            return verb

    def answer(number: int, good: bool, value: object) -> None:
        if number == 3:
            answered.set()

    desk = RequestDesk(lambda: Tracker(), lambda data: (0, len(data)), answer)  # type: ignore[arg-type, return-value]
    desk.put(1, "calibration_begin", ("both",), 60.0)
    desk.put(2, "calibration_collect", (0.5, 0.5), -1.0)
    desk.put(3, "calibration_end", (), -1.0)
    hangs.set()
    assert answered.wait(20.0)
    desk.close()
    assert seen == ["calibration_begin", "calibration_end"]


def test_errors_pass_the_pipe_by_name() -> None:
    for error in (DeviceError("cable"), SessionFileError(Path("x.h5"), "is cut short")):
        again = error_from_words(*error_as_words(error))
        assert (type(again), str(again)) == (type(error), str(error))
    assert type(error_from_words("Path", "not an error")) is RecordingError
