from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from collection.recorder.anchors import StepWatch, read_anchor
from collection.recorder.disk import (
    CRITICAL_FREE_BYTES,
    DiskGuard,
    FileSyncer,
    Growth,
    bytes_per_second,
    free_bytes,
)
from collection.recorder.footprint import cpu_seconds, memory_bytes
from collection.recorder.queues import CountedQueue
from collection.recorder.watch import ClockWatch, DiskWatch, RateWatch
from data_schema.clocks import ScaledClock, SystemClock
from data_schema.errors import RecordingError
from data_schema.session import markers
from data_schema.session.layout import ANCHORS, GAZE


def test_an_anchor_lies_between_two_readings() -> None:
    clock = SystemClock()
    before = clock.now_us()
    anchor = read_anchor(clock)
    assert before <= anchor["t_system_us"][0] <= clock.now_us()
    assert 1 <= anchor["uncertainty_us"][0] < 50_000


def test_a_faster_clock_carries_utc_along() -> None:
    """Two anchors of a clock at 100x are as far apart in UTC as on the clock itself."""
    clock = ScaledClock.starting_now(100.0)
    first = read_anchor(clock)
    clock.sleep_until(clock.now_us() + 2_000_000)
    second = read_anchor(clock)
    elapsed = int(second["t_system_us"][0]) - int(first["t_system_us"][0])
    assert elapsed >= 2_000_000
    # Reading clock and wall clock takes some microseconds, here a hundred times as long.
    assert abs(int(second["t_utc_us"][0]) - int(first["t_utc_us"][0]) - elapsed) < 50_000


def _anchor(t_us: int, utc_us: int) -> np.ndarray:
    row = ANCHORS.empty(1)
    row["t_system_us"], row["t_utc_us"] = t_us, utc_us
    return row


@pytest.mark.parametrize(
    ("step", "found"), [(0, None), (49_000, None), (51_000, 51_000), (-3_600_000_000, -3_600_000_000)]
)
def test_a_wall_clock_that_is_set_is_noticed(step: int, found: int | None) -> None:
    watch = StepWatch()
    assert watch.step_us(_anchor(1_000, 5_000_000)) is None
    assert watch.step_us(_anchor(11_000, 5_010_000 + step)) == found
    assert watch.step_us(_anchor(21_000, 5_020_000 + step)) is None


def test_a_step_is_marked() -> None:
    anchors = iter([_anchor(0, 0), _anchor(10, 2_000_010)])
    stored: list[np.ndarray] = []
    marks: list[tuple[str, str, float]] = []
    watch = ClockWatch(SystemClock(), stored.append, lambda *mark: marks.append(mark), read=lambda clock: next(anchors))
    watch.tick()
    watch.tick()  # not due yet: ten seconds apart
    assert len(stored) == 1
    watch.take()
    assert [(kind, value) for kind, _, value in marks] == [(markers.CLOCK_STEPPED, 2_000_000.0)]


def test_room_is_asked_for_with_numbers(tmp_path: Path) -> None:
    rate = bytes_per_second({GAZE.path: 1200.0}, 1280, 720, 30.0)
    assert rate == pytest.approx(1200 * GAZE.dtype.itemsize + 1280 * 720 * 30 * 0.2 / 8)
    guard = DiskGuard(tmp_path / "s.h5", 2e9, probe=lambda path: 4_000_000_000)
    assert guard.check_room(rate, 1800.0) == 4_000_000_000
    with pytest.raises(
        RecordingError, match=r"s\.h5: the disk has 4\.0 GB free; 120 min .*2\.0 GB must stay free.*Make room"
    ):
        guard.check_room(rate, 7200.0)


def test_a_low_disk_is_said_once_each_time(tmp_path: Path) -> None:
    free = [100]
    marks: list[str] = []
    watch = DiskWatch(
        DiskGuard(tmp_path, 50.0, probe=lambda path: free[0] * 10**9), lambda kind, *_: marks.append(kind)
    )
    guard = DiskGuard(tmp_path, 50e9, probe=lambda path: free[0] * 10**9)

    def low() -> int | None:
        assert guard.look() is None
        return guard.low_now()

    assert low() is None
    free[0] = 40
    assert low() == 40 * 10**9
    assert low() is None
    free[0] = 60
    assert low() is None
    free[0] = 10
    assert low() == 10 * 10**9
    watch.tick()  # not due yet
    assert marks == []
    free[0] = 0
    watch.look()
    assert marks == [markers.DISK_LOW]
    assert watch.critical == 0


def test_a_disk_that_does_not_answer_is_unknown_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    answers: list[int | None] = [None, None, 10**12, None, 0]

    def probe(path: Path) -> int:
        answer = answers.pop(0)
        if answer is None:
            raise OSError(5, "the share is gone")
        return answer

    marks: list[tuple[str, str]] = []
    guard = DiskGuard(tmp_path / "s.h5", 50.0, probe=probe)
    watch = DiskWatch(guard, lambda kind, message, value: marks.append((kind, message)))
    said = (markers.DEVICE_FAULT, "the disk does not say how much room is left: [Errno 5] the share is gone")
    for free, n_said in ((-1, 1), (-1, 1), (10**12, 1), (-1, 2)):
        watch.look()
        assert (guard.free, watch.critical) == (free, None)
        assert marks == [said] * n_said
    assert len(caplog.records) == 2
    watch.look()
    assert watch.critical == 0
    answers.append(None)
    with pytest.raises(RecordingError, match=r"s\.h5: the disk does not say .* can be reached"):
        guard.check_room(1.0, 1.0)


def test_free_room_of_a_folder_that_does_not_exist_yet(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "a" / "b" / "c.h5") > 0


def test_a_file_is_synced_at_the_end_at_the_latest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(handle), real(handle)))
    syncer = FileSyncer(path, 3600.0)
    assert synced == []
    syncer.close()
    syncer.close()
    assert len(synced) == syncer.n_syncs == 1


def test_memory_and_cpu_are_those_of_this_process() -> None:
    now, peak = memory_bytes()
    assert 5e6 < now <= peak
    ballast = np.ones(30_000_000)
    assert memory_bytes()[0] - now > 0.8 * ballast.nbytes
    assert cpu_seconds() > 0


class _FakeSilence:
    """A silence watch that says what it is told."""

    def __init__(self) -> None:
        self.silent: set[str] = set()

    def silent_s(self, name: str) -> float:
        return 3.0 if name in self.silent else 0.0


class _Stream:
    """A queue that is fed at a rate, and a rate watch that looks at it."""

    def __init__(self, announced_hz: float) -> None:
        self.queue = CountedQueue("s", 10**9)
        self.silence = _FakeSilence()
        self.marks: list[tuple[str, float]] = []
        self.now_s = 1000.0
        self.watch = RateWatch(
            {"s": self.queue}, {"s": announced_hz}, self.silence,  # type: ignore[arg-type]
            lambda kind, message, value: self.marks.append((kind, value)),
        )  # fmt: skip
        self._owed = 0.0

    def deliver(self, rate_hz: float, seconds: float) -> list[str]:
        """Deliver for some seconds; returns the kinds of all markers so far."""
        for _ in range(round(seconds * 20)):
            self.now_s += 0.05
            self._owed += rate_hz * 0.05
            self.queue.put(None, int(self._owed))
            self.queue.take_all()
            self._owed -= int(self._owed)
            self.watch.tick(self.now_s)
        return [kind for kind, _ in self.marks]


@pytest.mark.parametrize(("announced", "delivered"), [(30.0, 15.0), (600.0, 300.0), (300.0, 250.0), (60.0, 50.0)])
def test_a_rate_below_the_announced_one_is_said_and_taken_back(announced: float, delivered: float) -> None:
    stream = _Stream(announced)
    assert stream.deliver(announced, 20.0) == []
    assert stream.deliver(delivered, 10.0) == [markers.RATE_LOW]
    assert stream.watch.slow["s"] == pytest.approx(delivered, rel=0.05)
    assert stream.deliver(delivered, 30.0) == [markers.RATE_LOW]
    assert stream.deliver(announced, 10.0) == [markers.RATE_LOW, markers.RATE_BACK]
    assert stream.watch.slow == {}
    assert [value for _, value in stream.marks] == pytest.approx([delivered, announced], rel=0.1)


@pytest.mark.parametrize("gap_s", [0.2, 1.0, 1.4])
def test_a_short_gap_is_no_rate(gap_s: float) -> None:
    stream = _Stream(600.0)
    stream.deliver(600.0, 5.0)
    stream.deliver(0.0, gap_s)
    assert stream.deliver(600.0, 20.0) == []


def test_silence_is_no_rate_either() -> None:
    stream = _Stream(600.0)
    stream.deliver(600.0, 5.0)
    stream.deliver(0.0, 1.5)
    stream.silence.silent.add("s")
    stream.deliver(0.0, 10.0)
    stream.silence.silent.clear()
    assert stream.deliver(600.0, 20.0) == []


def test_a_stream_that_was_slow_from_the_beginning_is_said() -> None:
    assert _Stream(600.0).deliver(300.0, 10.0) == [markers.RATE_LOW]


def test_the_disk_is_said_to_be_low_while_there_is_time(tmp_path: Path) -> None:
    """A session of two hours is left with 50 minutes of room: said, although nothing is short yet."""
    rate = 1_000_000.0
    free = [int(3 * 3600 * rate)]
    marks: list[tuple[str, str]] = []
    path = tmp_path / "s.h5"
    path.write_bytes(b"")
    remaining = [7200.0]
    watch = DiskWatch(
        DiskGuard(path, 0.0, probe=lambda path: free[0]),
        lambda kind, message, value: marks.append((kind, message)),
        Growth(path, rate), lambda: remaining[0],
    )  # fmt: skip
    watch.look()
    assert (marks, watch.low) == ([], False)
    free[0] = int(50 * 60 * rate) + CRITICAL_FREE_BYTES
    watch.look()
    watch.look()
    assert watch.low
    assert watch.critical is None
    assert marks == [
        (
            markers.DISK_LOW,
            "3.07 GB are left on the disk, enough for about 50 min: make room, or end after this trial",
        )
    ]
    remaining[0] = 1800.0
    watch.look()
    assert not watch.low
    # Near the end ten minutes are enough.
    remaining[0] = 0.0
    free[0] = int(9 * 60 * rate) + CRITICAL_FREE_BYTES
    watch.look()
    assert len(marks) == 2
    assert watch.minutes_left == pytest.approx(9.0)


def test_growth_is_measured_once_there_is_something_to_measure(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    growth = Growth(path, 5e6, speed=2.0)
    growth.look(0.0)
    path.write_bytes(b"")
    for second in range(0, 100, 5):
        path.write_bytes(bytes(second * 1000))
        growth.look(float(second))
        assert growth.bytes_per_s == (5e6 if second < 20 else pytest.approx(500.0))
    assert growth.seconds_for(500_000) == pytest.approx(1000.0)
