"""What the recorder's counters say about each stream, and which of them are silent."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Real seconds without a new row after which the console itself calls a stream silent. The
#: alarm has to be up within 2 s: this, a report (0.1 s) and a look at it (0.1 s) make 1.5 s.
SILENT_AFTER_S = 1.3
#: Slower streams may pause; the recorder watches the same ones.
WATCHED_FROM_HZ = 5.0

#: Rates are judged and shown over this time, in seconds of the host clock: shorter ones flicker.
RATE_OVER_S = 10.0
_SHORTEST_S = 2.0

GAZE_STREAM, FRAMES_STREAM = "/eye/gaze", "frames"
#: What operators call the streams.
STREAM_NAMES = {
    GAZE_STREAM: "gaze",
    "/eye/openness": "eye openness",
    "/eye/user_position": "head position",
    "/eye/time_sync": "time sync",
    FRAMES_STREAM: "camera",
    "frames_2": "second camera",
    "second_frames": "second camera",
    "/lsl/samples": "LSL",
    "/eye/notifications": "tracker's messages",
    "/eye/sync_pulses": "sync pulses",
    "/events/markers": "markers",
}


def stream_name(stream: str) -> str:
    """Return the operator's word for a stream."""
    return STREAM_NAMES.get(stream, stream)


def is_device_stream(stream: str) -> bool:
    """Tell whether a device fills it; others, such as flips, pause by their nature."""
    return stream.startswith(("/eye/", "/lsl/samples")) or ("frames" in stream and not stream.startswith("/stimulus"))


@dataclass
class StreamState:
    """One stream as the console sees it; rates in rows a second, times in seconds of the console's clock."""

    name: str
    received: int = 0
    written: int = 0
    dropped: int = 0
    waiting: int = 0
    rate_hz: float = 0.0
    nominal_hz: float | None = None
    #: As the recorder says.
    silent_s: float = 0.0
    changed_s: float = 0.0
    watched: bool = False
    #: Host time (seconds) and rows received, of the last seconds.
    history: deque[tuple[float, int]] = field(default_factory=deque)

    def mean_hz(self, t_s: float) -> float | None:
        """Add the present count at host time `t_s`; return the rate over the last seconds, None while they are few."""
        if not self.history or t_s > self.history[-1][0]:
            self.history.append((t_s, self.received))
        while t_s - self.history[0][0] > RATE_OVER_S:
            self.history.popleft()
        since_s, count = self.history[0]
        return (self.received - count) / (t_s - since_s) if t_s - since_s >= _SHORTEST_S else None

    def quiet_s(self, now_s: float) -> float:
        """Return how long nothing has arrived: what the recorder says, or what the console has seen itself."""
        if not self.watched:
            return 0.0
        seen_s = now_s - self.changed_s
        return max(self.silent_s, seen_s if seen_s >= SILENT_AFTER_S else 0.0)


class StreamBook:
    """Keep the streams of a recording from one status to the next."""

    def __init__(self) -> None:
        self.streams: dict[str, StreamState] = {}

    def take(self, status: Mapping[str, Any], now_s: float) -> None:
        """Read a ``status`` message that arrived at `now_s`."""
        nominal, effective = status.get("nominal_hz") or {}, status.get("effective_hz") or {}
        for name, counters in (status.get("streams") or {}).items():
            stream = self.streams.get(name)
            received = int(counters.get("received") or 0)
            if stream is None:
                stream = self.streams[name] = StreamState(name, changed_s=now_s)
            elif received != stream.received:
                stream.changed_s = now_s
            stream.received = received
            stream.written = int(counters.get("written") or 0)
            stream.dropped = int(counters.get("dropped") or 0)
            stream.waiting = int(counters.get("waiting") or 0)
            stream.silent_s = float(counters.get("silent_s") or 0.0)
            mean_hz, rate = stream.mean_hz(float(status.get("t_us") or 0) / 1e6), effective.get(name)
            stream.rate_hz = float(rate or counters.get("rate_hz") or 0.0) if mean_hz is None else mean_hz
            if nominal.get(name):
                stream.nominal_hz = float(nominal[name])
            fast = (stream.nominal_hz or stream.rate_hz) >= WATCHED_FROM_HZ
            stream.watched = stream.watched or (fast and is_device_stream(name))

    def refresh(self, now_s: float) -> None:
        """Start counting silence anew, as after the recorder itself could not be heard."""
        for stream in self.streams.values():
            stream.changed_s = now_s

    @property
    def dropped(self) -> int:
        """Rows and frames that were lost on the way to the file."""
        return sum(stream.dropped for stream in self.streams.values())

    def shown(self) -> list[StreamState]:
        """Return the streams that an operator looks at, the most important first."""
        order = {name: place for place, name in enumerate(STREAM_NAMES)}
        devices = [stream for name, stream in self.streams.items() if is_device_stream(name)]
        return sorted(devices, key=lambda stream: (order.get(stream.name, 99), stream.name))
