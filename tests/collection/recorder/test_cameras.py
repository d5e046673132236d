"""One camera or two, and a recording that outlives them."""

from __future__ import annotations

import dataclasses
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from collection.devices.base import CapturedFrame, Sink
from collection.recorder.encoder import VideoEncoder
from collection.recorder.recording import Recording
from collection.recorder.settings import FRAMES_STREAM, SECOND_FRAMES_STREAM, RecorderSettings, registry_devices
from data_schema.clocks import SystemClock
from data_schema.errors import DeviceError, RecordingError, UsageError
from data_schema.session import markers
from data_schema.session.layout import FRAMES, GAZE, MARKERS, SECOND_FRAMES
from data_schema.session.reader import Session, open_session
from data_schema.session.validate import check_session


def marked(session: Session, kind: str) -> list[str]:
    frame = session.table(MARKERS).frame()
    return list(frame.loc[frame["kind"] == kind, "message"])


def recorded(recording: Recording, lab: SimpleNamespace, table: str, n: int) -> None:
    """Wait until `n` more rows of a table are on file, as the recorder's process would."""
    goal = recording.status().durable.get(table, 0) + n

    def enough() -> bool:
        recording.tick()
        return recording.status().durable.get(table, 0) >= goal

    lab.until(enough)


@pytest.fixture
def impatient(settings: RecorderSettings, lab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> RecorderSettings:
    """Settings with a short patience for silent streams, so that tests end."""
    monkeypatch.setattr("collection.recorder.cameras.REVIVE_EVERY_S", 0.1)
    monkeypatch.setattr("collection.recorder.encoder_stage._RETRY_FIRST_S", 0.05)
    return dataclasses.replace(settings, config=lab.make_config(recording={"silence_s": 0.4}))


def test_two_cameras_are_recorded_side_by_side(settings: RecorderSettings, lab: SimpleNamespace) -> None:
    def inverted(sink: Sink, stop: threading.Event) -> None:
        clock = SystemClock()
        while not stop.wait(0.03):
            sink.frame(CapturedFrame(clock.now_us(), 255 - lab.picture()))

    devices = [lab.tracker(lab.steady_gaze), lab.camera(lab.steady_frames), lab.camera(inverted, 20.0)]
    recording = Recording(settings, devices)
    recording.start()
    recorded(recording, lab, SECOND_FRAMES.path, 20)
    recorded(recording, lab, FRAMES.path, 20)
    status = recording.status()
    assert status.stream(SECOND_FRAMES_STREAM).expected_hz == 20.0
    assert status.stream(SECOND_FRAMES_STREAM).written == status.durable[SECOND_FRAMES.path]
    summary = recording.finish()
    assert (summary.problems, summary.status.dropped) == ((), 0)
    with open_session(settings.path) as session:
        assert session.video is not None
        assert session.second_video is not None
        assert len(session.second_video) == summary.status.stream(SECOND_FRAMES_STREAM).received
        assert len(session.video) == summary.status.stream(FRAMES_STREAM).received
        assert session.video.decode(-1)[:, 64:].mean() < 60 < 200 < session.second_video.decode(-1)[:, 64:].mean()
        rates = [device["rates_hz"] for device in session.devices if device["role"] == "camera"]
        assert rates == [{FRAMES.path: 30.0}, {SECOND_FRAMES.path: 20.0}]


def test_a_second_camera_that_gives_nothing_is_refused_at_the_start(
    settings: RecorderSettings, lab: SimpleNamespace
) -> None:
    devices = [lab.camera(lab.steady_frames), lab.camera(lambda sink, stop: stop.wait() and None)]
    quick = dataclasses.replace(settings, first_data_timeout_s=0.3, second_camera="1")
    with pytest.raises(DeviceError, match=r"the second camera \(1\) delivered no frame"):
        Recording(quick, devices).start()
    assert not settings.path.exists()
    with pytest.raises(RecordingError, match="2 cameras can be recorded, 3 were named"):
        Recording(settings, [lab.camera(lab.steady_frames) for _ in range(3)]).start()


def test_a_second_camera_comes_from_the_settings(settings: RecorderSettings) -> None:
    both = dataclasses.replace(settings, second_camera="simulated")
    assert [type(device).__name__ for device in registry_devices(both)] == [
        "SimulatedEyeTracker", "SimulatedCamera", "SimulatedCamera"
    ]  # fmt: skip
    with pytest.raises(UsageError, match="a second camera needs a first one"):
        registry_devices(dataclasses.replace(both, camera=""))


def test_an_encoder_that_fails_costs_frames_and_nothing_else(
    impatient: RecorderSettings, lab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = Recording(impatient, [lab.tracker(lab.steady_gaze), lab.camera(lab.steady_frames)])
    recording.start()
    recorded(recording, lab, FRAMES.path, 5)
    encode = VideoEncoder.encode

    def broken(*_: object) -> None:
        raise OSError("no codec today")

    monkeypatch.setattr(VideoEncoder, "encode", broken)
    lab.until(lambda: recording.status().stream(FRAMES_STREAM).lost)
    recorded(recording, lab, GAZE.path, 200)
    status = recording.status()
    assert status.stream(FRAMES_STREAM).lost == "its encoder failed (OSError: no codec today)"
    assert any("The camera is not recorded: its encoder failed" in text for text in status.alarms)
    monkeypatch.setattr(VideoEncoder, "encode", encode)
    recorded(recording, lab, FRAMES.path, 10)
    assert recording.status().stream(FRAMES_STREAM).lost == ""
    summary = recording.finish()
    assert (summary.reason, summary.problems) == ("complete", ())
    frames = summary.status.stream(FRAMES_STREAM)
    assert frames.dropped > 0
    with open_session(impatient.path) as session:
        assert session.status == "complete"
        (text,) = marked(session, markers.CAMERA_LOST)
        assert text == "the camera is not recorded: its encoder failed (OSError: no codec today)"
        assert marked(session, markers.STREAM_BACK) == ["frames: is encoded again"]
        rows = session.table(FRAMES)[:]
        assert len(rows) + frames.dropped == frames.received
        assert rows["missed_before"].sum() == frames.dropped
        assert np.all(np.diff(rows["pts"]) > 0)
        assert session.video is not None
        for _, image in session.video.decode_many(range(len(rows))):
            assert image.any()
    assert any("a camera was lost 1 times" in finding.message for finding in check_session(impatient.path))


class LooseCable:
    """A camera whose cable comes out: its thread ends, and for a while it cannot be opened."""

    def __init__(self, lab: SimpleNamespace, n_failures: int) -> None:
        self._lab = lab
        self._n_failures = n_failures
        self.out = threading.Event()
        self.n_connects = 0
        self._inner = lab.camera(self._deliver)

    def _deliver(self, sink: Sink, stop: threading.Event) -> None:
        clock = SystemClock()
        while not stop.wait(0.02):
            if self.out.is_set():
                sink.event(markers.DEVICE_FAULT, "camera 0 gives no more pictures; check its cable")
                return
            sink.frame(CapturedFrame(clock.now_us(), self._lab.picture(self.n_connects)))

    def connect(self) -> None:
        self.n_connects += 1
        if self.n_connects > 1:
            if self.n_connects <= 1 + self._n_failures:
                raise DeviceError("Camera 0 gives no picture.")
            self.out.clear()
            self._inner = self._lab.camera(self._deliver)

    def describe(self) -> object:
        return self._inner.describe()

    def start(self, sink: Sink) -> None:
        self._inner.start(sink)

    def stop(self) -> None:
        self._inner.stop()

    def close(self) -> None:
        self._inner.close()


def test_a_camera_that_comes_back_goes_on_being_recorded(impatient: RecorderSettings, lab: SimpleNamespace) -> None:
    camera = LooseCable(lab, n_failures=2)
    recording = Recording(impatient, [lab.tracker(lab.steady_gaze), camera])
    recording.start()
    recorded(recording, lab, FRAMES.path, 10)
    camera.out.set()

    def noticed() -> bool:
        recording.tick()
        return bool(recording.status().stream(FRAMES_STREAM).lost)

    lab.until(noticed)
    (alarm,) = recording.status().alarms
    assert alarm == (
        "The camera is not recorded: camera 0 gives no more pictures; check its cable. Check its cable; it is "
        "recorded again as soon as it delivers. The gaze goes on."
    )
    recorded(recording, lab, FRAMES.path, 10)
    recorded(recording, lab, GAZE.path, 50)
    assert recording.status().stream(FRAMES_STREAM).lost == ""
    summary = recording.finish()
    assert camera.n_connects >= 4
    assert (summary.reason, summary.problems) == ("complete", ())
    with open_session(impatient.path) as session:
        assert marked(session, markers.CAMERA_LOST) == [
            "the camera is lost: camera 0 gives no more pictures; check its cable; everything else is recorded"
        ]
        assert "frames: delivers again" in marked(session, markers.STREAM_BACK)
        assert session.video is not None
        assert session.video.decode(-1).any()
        gaps_us = np.diff(session.table(GAZE)[:]["t_system_us"].astype(np.int64))
        assert np.diff(session.video.frame_times_us).max() > 400_000 > gaps_us.max()


def test_a_camera_that_stays_away_leaves_a_valid_file_that_says_so(
    impatient: RecorderSettings, lab: SimpleNamespace
) -> None:
    camera = LooseCable(lab, n_failures=10**6)
    recording = Recording(impatient, [lab.tracker(lab.steady_gaze), camera])
    recording.start()
    recorded(recording, lab, FRAMES.path, 10)
    camera.out.set()
    lab.until(lambda: recording.tick() or camera.n_connects > 3)
    recorded(recording, lab, GAZE.path, 100)
    summary = recording.finish()
    assert (summary.reason, summary.problems) == ("complete", ())
    n_connects = camera.n_connects
    said = [finding.message for finding in check_session(impatient.path)]
    assert any(
        text.startswith("a camera was lost 1 times: the camera is lost: camera 0 gives no more") for text in said
    )
    with open_session(impatient.path) as session:
        assert session.status == "complete"
        assert len(session.table(GAZE)) == summary.status.stream(GAZE.path).received
    assert camera.n_connects == n_connects
