"""A console's model with a clock that tests set, and messages as a session sends them."""

from __future__ import annotations

from typing import Any

from collection.console.alarms import Alarm
from collection.console.messages import RECORDER, SESSION, problems_of
from collection.console.model import ConsoleModel

RATES = {"/eye/gaze": 600.0, "/eye/openness": 600.0, "frames": 30.0, "/eye/time_sync": 1.0}


class ConsoleLab:
    """Drive a model through time as a session would."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.sent: list[dict[str, Any]] = []
        self.there = True
        self.model = ConsoleModel(self._send, clock_s=lambda: self.now_s, host_us=lambda: round(self.now_s * 1e6))
        self.counts = dict.fromkeys([*RATES, "/stimulus/flips", "packets"], 0.0)

    def _send(self, message: dict[str, Any]) -> bool:
        if self.there:
            assert problems_of(message) == []
            self.sent.append(message)
        return self.there

    def session(self, kind: str, **fields: Any) -> None:
        message = {"kind": kind, **fields}
        assert problems_of(message) == []
        self.model.take(SESSION, message)

    def recorder(self, kind: str, payload: bytes | None = None, **fields: Any) -> None:
        message = {"kind": kind, **fields}
        assert problems_of(message) == []
        self.model.take(RECORDER, message, payload)

    def begin(self, **progress: Any) -> None:
        """Connect both feeds in a running session."""
        for feed in (SESSION, RECORDER):
            self.model.set_link(feed, True)
        self.session("recorder", address="here", key_hex="00")
        self.progress(**progress)
        self.run(1.0)

    def progress(self, **fields: Any) -> None:
        now = {"participant": "P001", "session": "01", "state": "running", "trial": 1, "n_trials": 4, "step": "clip"}
        self.session("session", **{**now, **fields})

    def run(self, seconds: float, silent: tuple[str, ...] = (), slow: float = 1.0, **status: Any) -> None:
        """Let time pass with a report of the recorder every 0.1 s."""
        for _ in range(round(seconds * 10)):
            self.now_s += 0.1
            for name, rate in RATES.items():
                if name not in silent:
                    self.counts[name] += 0.1 * rate * slow
            self.status(slow=slow, silent=silent, **status)
            self.model.links[SESSION].heard_s = self.now_s
            self.model.flush()

    def status(self, slow: float = 1.0, silent: tuple[str, ...] = (), **fields: Any) -> None:
        streams = {
            name: {"received": int(count), "written": int(count), "dropped": 0, "waiting": 0,
                   "rate_hz": 0.0 if name in silent else RATES.get(name, 0.0) * slow, "silent_s": 0.0}
            for name, count in self.counts.items()
        }  # fmt: skip
        given = {"t_us": round(self.now_s * 1e6), "state": "recording", "streams": streams, "nominal_hz": RATES,
                 "uptime_s": self.now_s - 100.0}  # fmt: skip
        self.recorder("status", **{**given, **fields})

    def wait(self, seconds: float) -> None:
        """Let time pass in which nobody says anything."""
        for _ in range(round(seconds * 10)):
            self.now_s += 0.1
            self.model.flush()

    def alarms(self, level: str = "") -> list[str]:
        self.model.flush()
        return [alarm.key for alarm in self.model.alarms if not level or alarm.level == level]

    def alarm(self, key: str) -> Alarm:
        return next(alarm for alarm in self.model.alarms if alarm.key == key)
