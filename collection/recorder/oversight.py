"""All that is kept an eye on while a recording runs, and the snapshot that tells of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from collection.recorder.alarms import alarm_sentences
from collection.recorder.cameras import CameraLine
from collection.recorder.disk import DiskGuard, Growth
from collection.recorder.queues import CountedQueue, RateMeter
from collection.recorder.settings import StreamStatus
from collection.recorder.sink import RecordingSink
from collection.recorder.watch import ClockWatch, DiskWatch, Mark, RateWatch, SilenceWatch
from data_schema.clocks import HostClock


class Oversight:
    """The watches of one recording.

    Parameters
    ----------
    sink : RecordingSink
        Knows when a stream last delivered.
    queues : dict of str to CountedQueue
        Streams that must never pause.
    rates_hz : dict of str to float
        Their announced rates.
    cameras : sequence of CameraLine
        Told when they have gone.
    silence_s : float
        Real seconds without delivery that raise the alarm.
    mark : callable
        Takes a marker's kind, message and value; never waits.
    """

    def __init__(
        self,
        sink: RecordingSink,
        queues: dict[str, CountedQueue],
        rates_hz: dict[str, float],
        cameras: Sequence[CameraLine],
        silence_s: float,
        mark: Mark,
    ) -> None:
        self._rates_hz = rates_hz
        self._cameras = cameras
        self._mark = mark
        self._silence = SilenceWatch(sink, queues, silence_s, mark)
        self._rates = RateWatch(queues, rates_hz, self._silence, mark)
        self._clock: ClockWatch | None = None
        self._disk: DiskWatch | None = None
        self._meters: dict[str, RateMeter] = {}

    def ignore_rates(self) -> None:
        """Do not judge rates: simulated devices that run ahead of real time wait for each other."""
        self._rates = RateWatch({}, {}, self._silence, self._mark)

    def watch_clock(self, clock: HostClock, put_anchor: Callable[[npt.NDArray[np.void]], None]) -> None:
        """Take anchors from now on."""
        self._clock = ClockWatch(clock, put_anchor, self._mark)

    def watch_disk(
        self, guard: DiskGuard, path: Path, estimate_bytes_s: float, speed: float, remaining_s: Callable[[], float]
    ) -> None:
        """Look at the disk from now on."""
        self._disk = DiskWatch(guard, self._mark, Growth(path, estimate_bytes_s, speed), remaining_s)

    def tick(self) -> int | None:
        """Look at everything; returns the free bytes if they are too few to go on, else None."""
        self._silence.tick()
        if self._clock is not None:
            self._clock.tick()
        if self._disk is not None:
            self._disk.tick()
        self._rates.tick()
        for line in self._cameras:
            line.look(self._silence.silent_s(line.frames_stream))
        return self._disk.critical if self._disk is not None else None

    def last_anchor(self) -> None:
        """Take the anchor that ends the recording."""
        if self._clock is not None:
            self._clock.take()

    @property
    def minutes_left(self) -> float:
        """Minutes of recording that the disk has room for; NaN if nobody knows."""
        return self._disk.minutes_left if self._disk is not None else math.nan

    def streams(self, queues: Mapping[str, CountedQueue], durable: Mapping[str, int]) -> dict[str, StreamStatus]:
        """Return the counters of all streams.

        Parameters
        ----------
        queues : mapping of str to CountedQueue
            By stream.
        durable : mapping of str to int
            Rows on file by table path.
        """
        lines = {name: line for line in self._cameras for name in (line.frames_stream, line.packets_stream)}
        streams: dict[str, StreamStatus] = {}
        for name, queue in queues.items():
            line = lines.get(name)
            streams[name] = StreamStatus(
                received=queue.received,
                written=durable.get(line.table if line else name, 0),
                dropped=queue.dropped,
                waiting=queue.waiting,
                capacity=queue.capacity,
                peak=queue.peak,
                rate_hz=self._meters.setdefault(name, RateMeter()).update(queue.received),
                silent_s=self._silence.silent_s(name),
                expected_hz=self._rates_hz.get(name, 0.0),
                slow=name in self._rates.slow,
                lost=line.lost if line and name == line.frames_stream else "",
            )
        return streams

    def alarms(self, streams: Mapping[str, StreamStatus]) -> tuple[str, ...]:
        """Return what is wrong now, in sentences."""
        if self._clock is None or self._disk is None:
            return ()
        return alarm_sentences(streams, self._clock, self._disk)
