"""What the sink keeps: nothing before the recording, and with a beginning nothing that is older than it."""

from __future__ import annotations

import numpy as np

from collection.devices.base import CapturedFrame
from collection.recorder.queues import CountedQueue
from collection.recorder.settings import FRAMES_STREAM
from collection.recorder.sink import RecordingSink
from data_schema.clocks import SystemClock
from data_schema.session.layout import GAZE


def _sink() -> tuple[RecordingSink, dict[str, CountedQueue]]:
    queues: dict[str, CountedQueue] = {}
    return RecordingSink(lambda name: queues.setdefault(name, CountedQueue(name, 1000)), SystemClock()), queues


def _gaze(*times_us: int) -> np.ndarray:
    rows = GAZE.empty(len(times_us))
    rows["t_system_us"] = times_us
    return rows


def _frame(t_us: int) -> CapturedFrame:
    return CapturedFrame(t_us, np.zeros((2, 2, 3), dtype=np.uint8))


def test_a_late_simulated_device_pays_nothing_from_before_the_recording() -> None:
    sink, queues = _sink()
    sink.rows(GAZE.path, _gaze(100))
    sink.open(1000)
    sink.rows(GAZE.path, _gaze(200, 300))
    sink.rows(GAZE.path, _gaze(900, 1000, 1100))
    sink.rows(GAZE.path, _gaze(1200))
    for t_us in (500, 999, 1000):
        sink.frame(_frame(t_us))
    assert np.concatenate(queues[GAZE.path].take_all())["t_system_us"].tolist() == [1000, 1100, 1200]
    assert [frame.t_capture_us for frame, _ in queues[FRAMES_STREAM].take_all()] == [1000]


def test_in_real_time_everything_that_arrives_is_kept() -> None:
    sink, queues = _sink()
    sink.open()
    sink.rows(GAZE.path, _gaze(200, 300))
    sink.frame(_frame(100))
    assert (queues[GAZE.path].waiting, queues[FRAMES_STREAM].waiting) == (2, 1)
