from __future__ import annotations

import dataclasses
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from collection.devices.base import CapturedFrame, Sink
from collection.recorder.encoder import VideoEncoder
from collection.recorder.recording import Recording
from collection.recorder.settings import ABORTED, FRAMES_STREAM, PACKETS_STREAM, RecorderSettings
from data_schema.clocks import ScaledClock, SystemClock
from data_schema.errors import DeviceError, RecordingError
from data_schema.session import markers
from data_schema.session.layout import ANCHORS, FLIPS, FRAMES, GAZE, MARKERS
from data_schema.session.reader import Session, open_session
from data_schema.session.writer import SessionWriter


def _kinds(session: Session) -> list[str]:
    return list(session.table(MARKERS).column("kind"))


def _messages(session: Session, kind: str) -> list[str]:
    frame = session.table(MARKERS).frame()
    return list(frame.loc[frame["kind"] == kind, "message"])


def _values(session: Session, kind: str) -> list[float]:
    frame = session.table(MARKERS).frame()
    return list(frame.loc[frame["kind"] == kind, "value"])


def test_rows_and_frames_end_in_a_valid_file(settings: RecorderSettings, lab: SimpleNamespace) -> None:
    recording = Recording(settings, [lab.tracker(lab.steady_gaze), lab.camera(lab.steady_frames)])
    started = recording.start()
    flips = FLIPS.empty(3)
    flips["t_flip_us"] = [1, 2, 3]
    recording.rows(FLIPS.path, flips)
    recording.marker(markers.OPERATOR_NOTE, "hello", 1.5, 42, 7)
    lab.until(lambda: recording.status().durable.get(FRAMES.path, 0) >= 30)
    recording.tick()
    status = recording.status()
    assert status.stream(FRAMES_STREAM).rate_hz > 0
    assert status.memory_bytes > 1e6
    summary = recording.finish()

    assert summary.problems == ()
    assert summary.t_started_us == started.t_started_us < summary.t_ended_us
    with open_session(settings.path) as session:
        assert session.status == "complete"
        assert session.simulated
        n_gaze, n_frames = len(session.table(GAZE)), len(session.table(FRAMES))
        assert n_gaze == summary.status.stream(GAZE.path).received == summary.status.stream(GAZE.path).written
        assert n_frames == summary.status.stream(FRAMES_STREAM).received
        assert summary.status.dropped == 0
        assert session.table(FLIPS)[:]["t_flip_us"].tolist() == [1, 2, 3]
        note = session.table(MARKERS).frame().query("kind == 'operator_note'").iloc[0]
        assert (note["message"], note["value"], note["t_system_us"], note["trial_id"]) == ("hello", 1.5, 42, 7)
        assert _kinds(session)[0] == markers.RECORDING_STARTED
        assert _kinds(session)[-1] == markers.RECORDING_CLOSED
        assert len(session.table(ANCHORS)) >= 2
        assert session.video is not None
        assert session.video.decode(n_frames - 1).shape == (lab.height, lab.width, 3)


def test_nothing_arrives_before_the_file_is_made(settings: RecorderSettings, lab: SimpleNamespace) -> None:
    recording = Recording(settings, [lab.tracker(lab.steady_gaze)])
    started = recording.start()
    lab.until(lambda: recording.status().durable.get(GAZE.path, 0) > 0)
    recording.finish()
    with open_session(settings.path) as session:
        assert session.table(GAZE)[0]["t_system_us"] >= started.t_started_us - 20_000
        assert session.video is None


def test_a_silent_tracker_is_refused_before_a_file_exists(settings: RecorderSettings, lab: SimpleNamespace) -> None:
    tracker = lab.tracker(lambda sink, stop: stop.wait() and None)
    camera = lab.camera(lab.steady_frames)
    recording = Recording(dataclasses.replace(settings, first_data_timeout_s=0.2), [tracker, camera])
    with pytest.raises(DeviceError, match=r"no gaze sample within .* --eye-tracker simulated"):
        recording.start()
    assert not settings.path.exists()
    assert list(settings.path.parent.iterdir()) == []
    assert tracker.n_closed == camera.n_closed == 1


def test_a_silent_camera_is_refused(settings: RecorderSettings, lab: SimpleNamespace) -> None:
    devices = [lab.tracker(lab.steady_gaze), lab.camera(lambda sink, stop: stop.wait() and None)]
    recording = Recording(dataclasses.replace(settings, first_data_timeout_s=0.2), devices)
    with pytest.raises(DeviceError, match=r"camera .* delivered no frame"):
        recording.start()
    assert not settings.path.exists()


def test_an_existing_session_is_left_alone(settings: RecorderSettings, lab: SimpleNamespace) -> None:
    settings.path.write_bytes(b"precious")
    with pytest.raises(RecordingError, match="exists already"):
        Recording(settings, [lab.tracker(lab.steady_gaze)]).start()
    assert settings.path.read_bytes() == b"precious"


def test_a_full_disk_is_refused_with_numbers(settings: RecorderSettings, lab: SimpleNamespace) -> None:
    hour = dataclasses.replace(settings, planned_s=3600.0)
    recording = Recording(hour, [lab.tracker(lab.steady_gaze)], probe_free=lambda path: 10_000_000)
    with pytest.raises(RecordingError, match=r"0\.0 GB free; 60 min of recording"):
        recording.start()
    assert not settings.path.exists()


def test_a_disk_that_fills_up_is_marked_and_ends_the_recording(
    settings: RecorderSettings, lab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collection.recorder.watch._DISK_EVERY_S", 0.0)
    free = [10**12]
    config = lab.make_config(recording={"min_free_gb": 1.0})
    recording = Recording(
        dataclasses.replace(settings, config=config), [lab.tracker(lab.steady_gaze)], probe_free=lambda path: free[0]
    )
    recording.start()
    recording.tick()
    free[0] = 900_000_000
    recording.tick()
    recording.tick()
    free[0] = 1_000_000
    with pytest.raises(RecordingError, match="only 1 MB are left"):
        recording.tick()
    recording.finish(ABORTED, "disk full")
    with open_session(settings.path) as session:
        assert _values(session, markers.DISK_LOW) == [9e8]
        assert session.status == "aborted"


def test_what_does_not_fit_is_counted_and_marked(settings: RecorderSettings, lab: SimpleNamespace) -> None:
    """A burst that the queue cannot hold: written + dropped is what was delivered."""
    burst = threading.Event()

    def deliver(sink: Sink, stop: threading.Event) -> None:
        clock = SystemClock()
        sink.rows(GAZE.path, lab.gaze_rows(1, clock.now_us()))
        burst.wait(10)
        first = clock.now_us()
        for number in range(4):
            # Larger than the queue (600 Hz x 1 s) each; only the first may meet an empty one.
            sink.rows(GAZE.path, lab.gaze_rows(900, first + number * 2_000_000))
        stop.wait(10)

    config = lab.make_config(recording={"queue_seconds": 1.0})
    recording = Recording(dataclasses.replace(settings, config=config), [lab.tracker(deliver)])
    recording.start()
    burst.set()
    lab.until(lambda: recording.status().stream(GAZE.path).received >= 3600)
    summary = recording.finish()
    gaze = summary.status.stream(GAZE.path)
    assert gaze.written + gaze.dropped == gaze.received
    assert gaze.dropped > 0
    with open_session(settings.path) as session:
        assert len(session.table(GAZE)) == gaze.written
        assert sum(_values(session, markers.SAMPLES_DROPPED)) == gaze.dropped
        assert all(text == "/eye/gaze: queue full" for text in _messages(session, markers.SAMPLES_DROPPED))


def test_frames_that_do_not_fit_are_counted_before_they_are_encoded(
    settings: RecorderSettings, lab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, may_encode = threading.Event(), threading.Event()
    encode = VideoEncoder.encode

    def late(*arguments: object) -> object:
        may_encode.wait(10)
        return encode(*arguments)

    monkeypatch.setattr(VideoEncoder, "encode", late)

    def deliver(sink: Sink, stop: threading.Event) -> None:
        first = SystemClock().now_us()
        sink.frame(CapturedFrame(first, lab.picture()))
        go.wait(10)
        for number in range(1, 400):
            sink.frame(CapturedFrame(first + number * 1000, lab.picture(number), missed_before=0))
        may_encode.set()
        # Once there is room again, the next frame says how many were lost.
        lab.until(lambda: recording.status().stream(FRAMES_STREAM).waiting == 0)
        sink.frame(CapturedFrame(first + 500_000, lab.picture(3)))
        stop.wait(10)

    fixed = dataclasses.replace(
        settings, config=lab.make_config(camera={"adapt": False}, recording={"queue_seconds": 1.0})
    )
    recording = Recording(fixed, [lab.camera(deliver)])
    recording.start()
    go.set()
    lab.until(lambda: recording.status().stream(FRAMES_STREAM).received >= 400)
    summary = recording.finish()
    frames = summary.status.stream(FRAMES_STREAM)
    assert frames.dropped > 0
    assert frames.peak <= frames.capacity <= 30
    assert summary.status.stream(PACKETS_STREAM).dropped == 0
    with open_session(settings.path) as session:
        rows = session.table(FRAMES)[:]
        assert len(rows) + frames.dropped == frames.received
        assert rows["missed_before"].sum() == frames.dropped == sum(_values(session, markers.FRAMES_DROPPED))
        assert session.video is not None
        for _, image in session.video.decode_many(range(len(rows))):
            assert image.any()


def test_a_paced_recording_waits_instead_of_dropping(settings: RecorderSettings, lab: SimpleNamespace) -> None:
    n_frames = 150
    started = threading.Event()

    def deliver(sink: Sink, stop: threading.Event) -> None:
        sink.frame(CapturedFrame(0, lab.picture()))
        started.wait(10)
        first_us = paced.clock.now_us()
        for number in range(n_frames):
            sink.frame(CapturedFrame(first_us + 1000 * number, lab.picture(number)))

    paced = dataclasses.replace(settings, clock=ScaledClock.starting_now(50.0))
    recording = Recording(paced, [lab.camera(deliver)])
    recording.start()
    started.set()
    summary = recording.finish()
    assert summary.status.stream(FRAMES_STREAM).written == n_frames
    assert summary.status.dropped == 0
    assert summary.problems == ()


def test_rows_out_of_order_are_kept_as_they_came_and_marked(settings: RecorderSettings, lab: SimpleNamespace) -> None:
    def deliver(sink: Sink, stop: threading.Event) -> None:
        sink.rows(GAZE.path, lab.gaze_rows(1, 0))
        while not stop.wait(0.01):
            rows = lab.gaze_rows(4, 1_000_000)
            rows["t_system_us"] = [1_000_000, 1_000_500, 999_000, 1_000_600]
            sink.rows(GAZE.path, rows)

    recording = Recording(settings, [lab.tracker(deliver)])
    recording.start()
    lab.until(lambda: recording.status().stream(GAZE.path).received >= 40)
    summary = recording.finish()
    gaze = summary.status.stream(GAZE.path)
    assert gaze.written == gaze.received
    assert gaze.dropped == 0
    with open_session(settings.path) as session:
        stamps = session.table(GAZE)[:]["t_system_us"]
        assert set(stamps[1:]) == {1_000_000, 1_000_500, 999_000, 1_000_600}
        assert set(_messages(session, markers.TIME_WENT_BACK)) == {"/eye/gaze"}
        assert len(session.table(GAZE).between(999_000, 999_001)) == np.count_nonzero(stamps == 999_000)
    assert summary.problems == ()


def test_one_stamp_far_ahead_does_not_flood_the_markers(settings: RecorderSettings, lab: SimpleNamespace) -> None:
    def deliver(sink: Sink, stop: threading.Event) -> None:
        sink.rows(GAZE.path, lab.gaze_rows(1, SystemClock().now_us()))
        number = 0
        while not stop.wait(0.005):
            number += 1
            ahead_us = 10**12 if number == 20 else 0
            sink.rows(GAZE.path, lab.gaze_rows(1, SystemClock().now_us() + ahead_us))

    recording = Recording(settings, [lab.tracker(deliver)])
    recording.start()
    lab.until(lambda: recording.status().stream(GAZE.path).received >= 300)
    recording.finish()
    with open_session(settings.path) as session:
        n_later = len(session.table(GAZE)) - 1 - int(np.argmax(session.table(GAZE)[:]["t_system_us"]))
        told = _values(session, markers.TIME_WENT_BACK)
    assert sum(told) == n_later >= 200
    assert len(told) <= 5


def test_silence_and_return_are_marked_once(settings: RecorderSettings, lab: SimpleNamespace) -> None:
    quiet = threading.Event()

    def deliver(sink: Sink, stop: threading.Event) -> None:
        while not stop.wait(0.01):
            if not quiet.is_set():
                sink.rows(GAZE.path, lab.gaze_rows(1, SystemClock().now_us()))

    config = lab.make_config(recording={"silence_s": 0.3})
    recording = Recording(dataclasses.replace(settings, config=config), [lab.tracker(deliver)])
    recording.start()
    quiet.set()

    def silent() -> bool:
        recording.tick()
        return recording.status().stream(GAZE.path).silent_s > 0.4

    lab.until(silent)
    quiet.clear()

    def back() -> bool:
        recording.tick()
        return recording.status().stream(GAZE.path).silent_s == 0

    lab.until(back)
    recording.finish()
    with open_session(settings.path) as session:
        assert len(_values(session, markers.STREAM_SILENT)) == 1
        assert _values(session, markers.STREAM_SILENT)[0] > 0.3
        assert len(_values(session, markers.STREAM_BACK)) == 1


def test_a_writer_that_fails_leaves_what_was_safe_and_does_not_hang(
    settings: RecorderSettings, lab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    paced = dataclasses.replace(settings, clock=ScaledClock.starting_now(1.5))
    recording = Recording(paced, [lab.tracker(lab.steady_gaze), lab.camera(lab.steady_frames)])
    recording.start()
    lab.until(lambda: recording.status().durable.get(GAZE.path, 0) >= 100)
    safe = recording.status().durable[GAZE.path]

    def full(*_: object, **__: object) -> dict[str, int]:
        raise RecordingError("disk full; run: emer repair")

    monkeypatch.setattr("data_schema.session.writer.SessionWriter.flush", full)
    lab.until(lambda: recording.failure is not None)
    with pytest.raises(RecordingError, match="emer repair"):
        recording.tick()
    summary = recording.finish(ABORTED, "disk full")
    assert summary.problems
    with open_session(settings.path) as session:
        assert session.status == "interrupted"
        assert len(session.table(GAZE)) >= safe


def test_a_device_that_fails_while_stopping_does_not_cost_the_file(
    settings: RecorderSettings, lab: SimpleNamespace
) -> None:
    tracker = lab.tracker(lab.steady_gaze)
    stop = tracker.stop

    def broken_stop() -> None:
        stop()
        raise RuntimeError("driver says no")

    recording = Recording(settings, [tracker])
    recording.start()
    lab.until(lambda: recording.status().durable.get(GAZE.path, 0) > 0)
    tracker.stop = broken_stop
    recording.finish()
    with open_session(settings.path) as session:
        assert session.status == "complete"
        assert "stopping failed: driver says no" in _messages(session, markers.DEVICE_FAULT)


def test_the_folder_is_made_with_the_file(settings: RecorderSettings, lab: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "sub-T1" / "ses-01" / "sub-T1_ses-01.h5"
    recording = Recording(dataclasses.replace(settings, path=path), [lab.tracker(lab.steady_gaze)])
    recording.start()
    recording.finish()
    assert path.is_file()
    assert not path.with_name(path.name + ".lock").exists()


@pytest.mark.parametrize(
    "broken",
    [
        "collection.recorder.recording.FileSyncer",
        "collection.recorder.stages.WriterStage.start",
        "collection.recorder.encoder_stage.EncoderStage.start",
    ],
)
def test_a_start_that_fails_after_the_file_was_made_leaves_none(
    settings: RecorderSettings, lab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no more threads")

    before = set(threading.enumerate())
    monkeypatch.setattr(broken, refuse)
    devices = [lab.tracker(lab.steady_gaze), lab.camera(lab.steady_frames)]
    with pytest.raises(OSError, match="no more threads"):
        Recording(settings, devices).start()
    assert list(settings.path.parent.iterdir()) == []
    assert [device.n_closed for device in devices] == [1, 1]
    assert set(threading.enumerate()) <= before
    monkeypatch.undo()
    again = Recording(settings, [lab.tracker(lab.steady_gaze)])
    again.start()
    assert again.finish().problems == ()


def test_only_the_presenter_waits_for_room_among_the_markers(
    settings: RecorderSettings, lab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever says something first, a device is never kept waiting and the presenter loses nothing."""
    monkeypatch.setattr("collection.recorder.recording._EVENT_ROWS", 4)
    may_write, speak, spoken = threading.Event(), threading.Event(), threading.Event()
    flush = SessionWriter.flush
    monkeypatch.setattr(SessionWriter, "flush", lambda self, force=False: may_write.wait(30) and flush(self, force))

    def deliver(sink: Sink, stop: threading.Event) -> None:
        sink.rows(GAZE.path, lab.gaze_rows(1, SystemClock().now_us()))
        speak.wait(10)
        for number in range(50):
            sink.event(markers.DEVICE_FAULT, "says the device", number)
        spoken.set()
        stop.wait(10)

    recording = Recording(settings, [lab.tracker(deliver)])
    recording.start()
    recording.marker(markers.OPERATOR_NOTE, "before the device", 0.0, None, 0)
    speak.set()
    lab.until(spoken.is_set)

    def present() -> None:
        for number in range(20):
            recording.marker(markers.OPERATOR_NOTE, f"note {number}", 0.0, None, 0)

    presenter = threading.Thread(target=present, daemon=True)
    presenter.start()
    may_write.set()
    presenter.join(20.0)
    assert not presenter.is_alive()
    recording.finish()
    with open_session(settings.path) as session:
        notes = _messages(session, markers.OPERATOR_NOTE)
        assert notes == ["before the device", *(f"note {number}" for number in range(20))]
        assert len(_messages(session, markers.DEVICE_FAULT)) + sum(_values(session, markers.SAMPLES_DROPPED)) == 50


def test_observers_that_come_at_the_same_moment_all_see(settings: RecorderSettings, lab: SimpleNamespace) -> None:
    class Observer:
        def rows(self, table: str, rows: np.ndarray) -> None:
            """See nothing."""

        def frame(self, stream: str, frame: CapturedFrame) -> None:
            """See nothing."""

    recording = Recording(settings, [lab.tracker(lab.steady_gaze)])
    mine = [Observer() for _ in range(3)]
    together = threading.Barrier(3)
    missed: list[Observer] = []

    def come_and_go(observer: Observer) -> None:
        together.wait(10.0)
        for _ in range(20_000):
            recording.observe(observer)
            missed.extend([observer] * (observer not in recording._sink.observers))
            recording.ignore(observer)
            missed.extend([observer] * (observer in recording._sink.observers))

    threads = [threading.Thread(target=come_and_go, args=(observer,)) for observer in mine]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60.0)
    finally:
        sys.setswitchinterval(interval)
    assert not missed
    assert recording._sink.observers == ()
