"""A disk that stands still, an encoder that is too slow: nothing is lost while there is room, everything is counted."""

from __future__ import annotations

import dataclasses
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from collection.devices.base import CapturedFrame, Sink
from collection.recorder.encoder import VideoEncoder
from collection.recorder.recording import Recording
from collection.recorder.settings import FRAMES_STREAM, PACKETS_STREAM, RecorderSettings
from data_schema.clocks import SystemClock
from data_schema.session import markers
from data_schema.session.buffers import BlobBuffer, TableBuffer
from data_schema.session.layout import FRAMES, GAZE, MARKERS
from data_schema.session.reader import open_session


class Disk:
    """A disk that stands still while it is told to, and every so often for a while."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = threading.Event()
        self.free.set()
        self.stall_s = self.every_s = 0.0
        self.n_stalls = 0
        self._last_s = time.monotonic()
        for buffer in (TableBuffer, BlobBuffer):
            monkeypatch.setattr(buffer, "write", self._held_up(buffer.write))

    def _held_up(self, write: Any) -> Any:
        def held_up(buffer: Any, *arguments: Any) -> Any:
            self.free.wait(30)
            if self.stall_s and time.monotonic() - self._last_s >= self.every_s:
                # Not a wait for something: this is the disk's own slowness.
                threading.Event().wait(self.stall_s)
                self.n_stalls, self._last_s = self.n_stalls + 1, time.monotonic()
            return write(buffer, *arguments)

        return held_up


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_short_stalls_cost_nothing(settings: RecorderSettings, lab: SimpleNamespace, disk: Disk) -> None:
    recording = Recording(settings, [lab.tracker(lab.steady_gaze), lab.camera(lab.steady_frames)])
    recording.start()
    disk.stall_s, disk.every_s = 0.05, 0.2
    lab.until(lambda: disk.n_stalls >= 8)
    summary = recording.finish()
    status = summary.status
    assert status.dropped == 0
    with open_session(settings.path) as session:
        gaze, frames = session.table(GAZE)[:], session.table(FRAMES)[:]
        assert len(gaze) == status.stream(GAZE.path).received > 0
        assert len(frames) == status.stream(FRAMES_STREAM).received > 0
        assert not frames["missed_before"].any()
        assert session.status == "complete"
    assert summary.problems == ()


def test_no_callback_waits_for_a_disk_that_stands_still(
    settings: RecorderSettings, lab: SimpleNamespace, disk: Disk
) -> None:
    longest_s = [0.0]

    def deliver(sink: Sink, stop: threading.Event) -> None:
        clock = SystemClock()
        while not stop.wait(0.005):
            began = time.perf_counter()
            sink.rows(GAZE.path, lab.gaze_rows(3, clock.now_us()))
            longest_s[0] = max(longest_s[0], time.perf_counter() - began)

    recording = Recording(settings, [lab.tracker(deliver)])
    recording.start()
    lab.until(lambda: recording.status().durable[GAZE.path] > 0)
    disk.free.clear()
    try:
        received = recording.status().stream(GAZE.path).received
        lab.until(lambda: recording.status().stream(GAZE.path).received > received + 600)
    finally:
        disk.free.set()
    summary = recording.finish()
    assert longest_s[0] < 0.5, "two seconds of standstill must not reach the tracker's thread"
    assert summary.status.dropped == 0
    assert summary.status.stream(GAZE.path).written == summary.status.stream(GAZE.path).received


def test_a_standstill_beyond_the_queue_is_counted_and_marked(
    settings: RecorderSettings, lab: SimpleNamespace, disk: Disk
) -> None:
    config = lab.make_config(recording={"queue_seconds": 0.5})
    recording = Recording(dataclasses.replace(settings, config=config), [lab.tracker(lab.steady_gaze)])
    recording.start()
    lab.until(lambda: recording.status().durable[GAZE.path] > 0)
    disk.free.clear()
    try:
        lab.until(lambda: recording.status().stream(GAZE.path).dropped > 100)
    finally:
        disk.free.set()
    dropped = recording.status().stream(GAZE.path).dropped
    lab.until(lambda: recording.status().stream(GAZE.path).waiting == 0)
    gaze = recording.finish().status.stream(GAZE.path)
    assert gaze.written + gaze.dropped == gaze.received
    assert gaze.dropped >= dropped
    with open_session(settings.path) as session:
        marks = session.table(MARKERS).frame()
        drops = marks[marks["kind"] == markers.SAMPLES_DROPPED]
        assert drops["value"].sum() == gaze.dropped
        assert set(drops["message"]) == {"/eye/gaze: queue full"}
        assert len(session.table(GAZE)) == gaze.written


def test_an_encoder_slower_than_the_camera_drops_whole_frames_and_says_how_many(
    settings: RecorderSettings, lab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """200 frames a second come, at most 50 are encoded; every frame is on file or counted, and all decode."""
    encode = VideoEncoder.encode
    measured = threading.Event()

    def slow(encoder: VideoEncoder, *arguments: Any) -> Any:
        if measured.is_set():
            threading.Event().wait(0.02)
        return encode(encoder, *arguments)

    monkeypatch.setattr(VideoEncoder, "encode", slow)

    def fast_camera(sink: Sink, stop: threading.Event) -> None:
        clock, number = SystemClock(), 0
        while not stop.wait(0.005):
            sink.frame(CapturedFrame(clock.now_us(), lab.picture(number)))
            number += 1

    recording = Recording(settings, [lab.camera(fast_camera)])
    recording.start()
    measured.set()
    lab.until(lambda: recording.status().stream(FRAMES_STREAM).dropped > 50)
    summary = recording.finish()
    frames = summary.status.stream(FRAMES_STREAM)
    assert frames.dropped > 50
    assert summary.status.stream(PACKETS_STREAM).dropped == 0
    with open_session(settings.path) as session:
        rows = session.table(FRAMES)[:]
        marks = session.table(MARKERS).frame()
        drops = marks[marks["kind"] == markers.FRAMES_DROPPED]
        assert len(rows) + frames.dropped == frames.received
        assert drops["value"].sum() == frames.dropped
        assert set(drops["message"]) == {"frames: queue full"}
        # Frames lost after the last one that was kept stand in the marker alone.
        assert 0 <= frames.dropped - rows["missed_before"].sum() <= np.max(rows["missed_before"]) + 50
        for _, image in session.video.decode_many(range(0, len(rows), 7)):
            assert image.any()
