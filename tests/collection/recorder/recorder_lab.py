"""Devices for tests that run the recorder in its own process; named as `recorder_lab:...` in its settings."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np

from collection.devices.base import (
    CAMERA,
    EYE_TRACKER,
    CalibrationOutcome,
    CalibrationSample,
    CapturedFrame,
    Device,
    DeviceInfo,
    PlantedReaction,
    Sink,
)
from collection.recorder import stopping, watch
from collection.recorder.settings import RecorderSettings, registry_devices
from data_schema.clocks import SystemClock
from data_schema.errors import DeviceError
from data_schema.session import markers
from data_schema.session.layout import FRAMES, GAZE
from data_schema.session.writer import SessionWriter

WIDTH, HEIGHT = 128, 96


class PulseDevice:
    """Gaze or frames at a steady pace; tells of reactions by markers."""

    def __init__(self, info: DeviceInfo, interval_s: float) -> None:
        self._info = info
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._sink: Sink | None = None

    def connect(self) -> None:
        """Nothing to do."""

    def describe(self) -> DeviceInfo:
        return self._info

    def start(self, sink: Sink) -> None:
        self._sink = sink
        self._thread = threading.Thread(target=self._run, args=(sink,), daemon=True)
        self._thread.start()

    def react(self, reaction: PlantedReaction) -> None:
        if self._sink is not None and self._info.role == EYE_TRACKER:
            self._sink.event(markers.OPERATOR_NOTE, f"reacts with {reaction.felt_emotion}", float(reaction.t_us))

    def _run(self, sink: Sink) -> None:
        clock, number = SystemClock(), 0
        while not self._stop.wait(self._interval_s):
            if self._info.role == CAMERA:
                image = np.full((HEIGHT, WIDTH, 3), number % 250, dtype=np.uint8)
                sink.frame(CapturedFrame(clock.now_us(), image))
            else:
                rows = GAZE.empty(6)
                rows["t_system_us"] = clock.now_us()
                sink.rows(GAZE.path, rows)
            number += 1

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        self.stop()


class CalibratedPulse(PulseDevice):
    """A tracker that can be calibrated, refuses what it is told to refuse, and hangs at the point (0, 0)."""

    def __init__(self, info: DeviceInfo, interval_s: float) -> None:
        super().__init__(info, interval_s)
        self._collected: list[tuple[float, float]] = []
        self._area: dict[str, float] = {"width_mm": 528.0}
        self._data = b"factory"

    def calibration_begin(self, eyes: str) -> None:
        if eyes != "both":
            raise DeviceError(f"this tracker cannot calibrate the {eyes} eye alone; set eyes = 'both'.")

    def calibration_collect(self, x: float, y: float) -> bool:
        if (x, y) == (0.0, 0.0):
            never()
        if x > 1.0:
            raise ZeroDivisionError("driver")
        self._collected.append((x, y))
        return True

    def calibration_discard(self, x: float, y: float) -> None:
        self._collected.remove((x, y))

    def calibration_compute(self) -> CalibrationOutcome:
        samples = tuple(CalibrationSample(point, "left", point, 1) for point in self._collected)
        self._data = b"calibration" * 1000
        return CalibrationOutcome(bool(samples), "calibration_status_success", samples)

    def calibration_end(self) -> None:
        self._collected.clear()

    def calibration_data(self) -> bytes:
        return self._data

    def calibration_apply(self, data: bytes) -> None:
        self._data = data

    def display_area(self) -> dict[str, float]:
        return dict(self._area)

    def set_display_area(self, area: dict[str, float]) -> None:
        self._area = area

    def look_at(self, t_us: int, target_norm: tuple[float, float] | None) -> None:
        if self._sink is not None:
            self._sink.event(markers.OPERATOR_NOTE, f"looks at {target_norm}", float(t_us))


def calibrated(settings: RecorderSettings) -> list[Device]:
    """A tracker that can be calibrated, and a camera."""
    _, camera = pulses(settings)
    return [CalibratedPulse(DeviceInfo(EYE_TRACKER, "pulse", "test", rates_hz={GAZE.path: 600.0}), 0.01), camera]


def pulses(settings: RecorderSettings) -> list[Device]:
    """A steady tracker and a steady camera."""
    return [
        PulseDevice(DeviceInfo(EYE_TRACKER, "pulse", "test", rates_hz={GAZE.path: 600.0}), 0.01),
        PulseDevice(DeviceInfo(CAMERA, "pulse", "test", rates_hz={FRAMES.path: 30.0}, width_px=WIDTH, height_px=HEIGHT), 1 / 30),
    ]  # fmt: skip


def half_rate(settings: RecorderSettings) -> list[Device]:
    """A tracker that announces 600 Hz and delivers 300."""
    return [PulseDevice(DeviceInfo(EYE_TRACKER, "pulse", "test", rates_hz={GAZE.path: 600.0}), 0.02)]


def clock_is_set(settings: RecorderSettings) -> list[Device]:
    """Good devices, while somebody sets the wall clock by an hour after a second; anchors are taken often."""
    real, began = time.time_ns, time.monotonic()
    time.time_ns = lambda: real() + (3_600_000_000_000 if time.monotonic() - began > 1.5 else 0)
    watch.ANCHOR_EVERY_S = 0.2
    return pulses(settings)


def disk_fills_up(settings: RecorderSettings) -> list[Device]:
    """Good devices, but no file may grow beyond a little more than an empty session file."""
    import resource

    # Without this the kernel ends the process instead of refusing the write.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (900_000, 900_000))
    return registry_devices(settings)


def never(*_: object, **__: object) -> None:
    """Stand for a driver's or a system's call that does not return."""
    threading.Event().wait()


def stuck_devices(settings: RecorderSettings) -> list[Device]:
    """A tracker that does not close, a camera that does not even stop; with little patience for them."""
    stopping.STOP_PATIENCE_S = stopping.CLOSE_PATIENCE_S = 0.5
    tracker, camera = pulses(settings)
    tracker.close = never  # type: ignore[method-assign]
    camera.stop = camera.close = never  # type: ignore[method-assign]
    return [tracker, camera]


def stuck_disk(settings: RecorderSettings) -> list[Device]:
    """Good devices, but the file's last write does not return; the counters are reported all the while."""
    SessionWriter.finish = never  # type: ignore[assignment, method-assign]
    return pulses(settings)


def unplugged(settings: RecorderSettings) -> list[Device]:
    """A tracker that is not there."""
    raise DeviceError("No eye tracker answered. Check the USB cable, or rehearse with --eye-tracker simulated.")


def broken_driver(settings: RecorderSettings) -> list[Device]:
    """A driver with a mistake of its own."""
    raise ZeroDivisionError("driver")


def dies_at_once(settings: RecorderSettings) -> list[Device]:
    """A driver that takes the whole process with it."""
    os.kill(os.getpid(), signal.SIGKILL)
    return []
