"""The last seconds of gaze as a console receives them, at most 60 samples a second."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Loss is said over this time.
LOSS_SECONDS = 10.0
EYES = ("left", "right")


@dataclass(frozen=True)
class EyeSample:
    """One eye at one time; `point` is None where there is no gaze."""

    t_us: int
    point: tuple[float, float] | None


class GazeTrail:
    """Keep the samples of both eyes for as long as anything shows them."""

    def __init__(self, seconds: float = LOSS_SECONDS) -> None:
        self._keep_us = round(seconds * 1e6)
        self._samples: dict[str, deque[EyeSample]] = {eye: deque() for eye in EYES}
        self.newest_us = 0
        self.pupil_mm: dict[str, float | None] = dict.fromkeys(EYES)

    def take(self, message: Mapping[str, Any]) -> None:
        """Add the samples of a ``gaze`` message."""
        times = [int(t_us) for t_us in message.get("t_us", ())]
        for eye in EYES:
            points, valid = message.get(eye) or (), message.get(f"{eye}_valid") or ()
            samples = self._samples[eye]
            for t_us, point, is_valid in zip(times, points, valid, strict=False):
                samples.append(EyeSample(t_us, _point(point) if is_valid else None))
            pupils = [value for value in message.get(f"{eye}_pupil_mm") or () if value is not None]
            self.pupil_mm[eye] = float(pupils[-1]) if pupils else None
        if times:
            self.newest_us = max(self.newest_us, times[-1])
        for samples in self._samples.values():
            while samples and samples[0].t_us < self.newest_us - self._keep_us:
                samples.popleft()

    def recent(self, eye: str, seconds: float) -> list[EyeSample]:
        """Return the samples of an eye within `seconds` of the newest, oldest first."""
        from_us = self.newest_us - round(seconds * 1e6)
        found: list[EyeSample] = []
        for sample in reversed(self._samples[eye]):
            if sample.t_us < from_us:
                break
            found.append(sample)
        found.reverse()
        return found

    def loss(self, eye: str) -> float | None:
        """Return the share of samples without gaze in the last 10 s; None if there are no samples."""
        samples = self._samples[eye]
        if not samples:
            return None
        return sum(sample.point is None for sample in samples) / len(samples)


def _point(value: Any) -> tuple[float, float] | None:
    try:
        x, y = float(value[0]), float(value[1])
    except (TypeError, ValueError, IndexError):
        return None
    return (x, y) if x == x and y == y else None
