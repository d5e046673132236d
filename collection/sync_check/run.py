"""Run a sync check: flash on one side, film on the other, measure, keep the result."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from collection.devices.base import CapturedFrame, Device, DeviceInfo
from collection.sync_check.analysis import SyncResult, measure_delay
from collection.sync_check.pattern import Flash, FlashPattern
from data_schema.atomic import write_atomically
from data_schema.errors import DeviceError

#: The picture is looked at in so many regions across and down.
GRID = (16, 9)
#: A screen flashes for so long by default: three pieces and more for the drift.
SECONDS = 24.0


class FlashScreen(Protocol):
    """A screen that can be black or white as a whole."""

    def flash(self, pattern: FlashPattern, should_stop: Callable[[], bool]) -> list[Flash]:
        """Show the pattern; returns every change with the host time of its flip."""
        ...


class FilmedBrightness:
    """A sink that keeps the brightness of regions instead of pictures."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: list[int] = []
        self._regions: list[npt.NDArray[np.float64]] = []
        self.faults: list[str] = []

    def rows(self, table: str, rows: npt.NDArray[np.void]) -> None:
        """Take rows; a camera has none that are needed."""

    def frame(self, frame: CapturedFrame) -> None:
        """Take a frame's time and the brightness of its regions."""
        # Area averaging on one channel: 0.3 ms at 1280x720, so that the camera's thread is not held up.
        small = cv2.resize(frame.image[:, :, 1], GRID, interpolation=cv2.INTER_AREA)
        with self._lock:
            self._times.append(frame.t_capture_us)
            self._regions.append(small.astype(np.float64).ravel())

    def event(self, kind: str, message: str, value: float = float("nan"), t_system_us: int | None = None) -> None:
        """Take an event."""
        with self._lock:
            self.faults.append(message)

    def arrays(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Return times, shape (n,), and brightness, shape (n, n_regions)."""
        with self._lock:
            regions = np.array(self._regions) if self._regions else np.empty((0, GRID[0] * GRID[1]))
            return np.array(self._times, dtype=np.int64), regions


@dataclass(frozen=True)
class SyncReport:
    """A sync check's result with what it was made with."""

    result: SyncResult
    camera: DeviceInfo
    made_utc: str
    faults: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it in JSON types; NaN becomes None."""
        data = {
            "made_utc": self.made_utc,
            "camera": asdict(self.camera),
            "faults": list(self.faults),
            "result": asdict(self.result),
        }
        return json.loads(json.dumps(data, default=str), parse_constant=lambda _name: None)  # type: ignore[no-any-return]

    def sentences(self) -> list[str]:
        """Return what an operator should know, one sentence a line."""
        result = self.result
        said = [
            (
                f"A frame's stamp is {result.delay_ms:.1f} ms later than the flip that it shows "
                f"(standard deviation over pieces {result.delay_sd_ms:.1f} ms; the screen's own lag is part of it)."
            ),
            (
                f"The pattern explains {result.explained:.0%} of the brightness in {result.region_share:.0%} of the picture; "
                f"{result.n_frames} frames at {result.fps:.2f}/s, exposure near {result.exposure_ms:g} ms."
            ),
        ]
        if np.isfinite(result.drift_ppm):
            limits = 2 * result.drift_se_ppm
            drifts = abs(result.drift_ppm) > limits
            word = "The stamps drift" if drifts else "No drift of the stamps is seen"
            said.append(f"{word}: {result.drift_ppm:+.0f} ppm, uncertainty {limits:.0f} ppm.")
        return said

    def write(self, folder: Path) -> Path:
        """Write the report as JSON into `folder`; returns its path."""
        stamp = self.made_utc.replace(":", "").replace("-", "").partition(".")[0].rstrip("Z")
        path = folder / f"sync-check-{stamp}.json"
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.as_json(), indent=1, sort_keys=True) + "\n"
        write_atomically(path, text.encode("utf-8"))
        return path


def run_sync_check(
    screen: FlashScreen,
    camera: Device,
    *,
    seconds: float = SECONDS,
    seed: int = 0,
    should_stop: Callable[[], bool] = lambda: False,
) -> SyncReport:
    """Flash, film and measure.

    Parameters
    ----------
    screen : FlashScreen
        Open already.
    camera : Device
        Not connected yet; it has to see the screen, directly or in a mirror.
    seconds : float
        Length of the pattern.
    seed : int
        Of the pattern.
    should_stop : callable
        Ends the pattern early.

    Raises
    ------
    DeviceError
        If the camera is missing or silent.
    ClockError
        If the pattern is not seen.
    """
    film = FilmedBrightness()
    camera.connect()
    try:
        info = camera.describe()
        camera.start(film)
        flashes = screen.flash(FlashPattern.random(seconds, seed), should_stop)
        camera.stop()
    finally:
        camera.close()
    t_us, brightness = film.arrays()
    if not len(t_us):
        raise DeviceError(
            "the camera delivered no frame during the sync check. Check its cable and that no other program uses it."
        )
    result = measure_delay(flashes, t_us, brightness)
    made = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return SyncReport(result, info, made, tuple(film.faults))
