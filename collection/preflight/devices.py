"""Do the devices answer, and do they deliver what the study asks for?

Rates are taken from the stamps of what arrives, never from what a driver claims.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from collection.devices.base import CAMERA, EYE_TRACKER, CapturedFrame, Device, DeviceInfo
from collection.preflight.checks import ERROR, GOOD, NOTE, WARNING, Check
from collection.preflight.screen import check_display_area
from collection.recorder import RecorderSettings
from data_schema.clocks import HostClock
from data_schema.errors import EmerError
from data_schema.session.layout import FRAMES, GAZE, SECOND_FRAMES, TABLE_BY_PATH
from data_schema.study.config import StudyConfig

#: Seconds of the session's clock over which delivered rates are measured.
MEASURE_S = 1.5
#: Real seconds in which the first data must come, and that late chunks may take.
_FIRST_DATA_S, _LATE_S = 5.0, 0.2
#: Part of the asked rate that a long exposure leaves of it: cameras halve or third their rate in the dark.
_HALVED = (0.25, 0.62)

FRAME_PATHS = (FRAMES.path, SECOND_FRAMES.path)
_SAID = {GAZE.path: "gaze", FRAMES.path: "camera", SECOND_FRAMES.path: "second camera"}
_CHECK_NAMES = {GAZE.path: "gaze_rate", FRAMES.path: "frame_rate", SECOND_FRAMES.path: "second_frame_rate"}


@dataclass
class CountingSink:
    """Keeps the stamps of what arrives, nothing else."""

    frames_path: str = FRAMES.path
    stamps: dict[str, list[npt.NDArray[np.int64]]] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)

    def rows(self, table: str, rows: npt.NDArray[np.void]) -> None:
        """Take rows of a table."""
        column = TABLE_BY_PATH[table].time_column
        if column and len(rows):
            self.stamps.setdefault(table, []).append(rows[column].astype(np.int64))
            if table == GAZE.path:
                self.arrived.set()

    def frame(self, frame: CapturedFrame) -> None:
        """Take a camera frame."""
        self.stamps.setdefault(self.frames_path, []).append(np.array([frame.t_capture_us], dtype=np.int64))
        self.arrived.set()

    def event(self, kind: str, message: str, value: float = math.nan, t_system_us: int | None = None) -> None:
        """Take an event."""
        self.events.append(f"{kind}: {message}")

    def times_us(self, table: str) -> npt.NDArray[np.int64]:
        """Return all stamps of a table so far."""
        return np.concatenate([np.zeros(0, np.int64), *self.stamps.get(table, [])])


def check_devices(settings: RecorderSettings, measure_s: float = MEASURE_S) -> list[Check]:
    """Connect each device, let all deliver for a moment, and compare rates with the study.

    Parameters
    ----------
    settings : RecorderSettings
        Devices and clock; nothing is recorded.
    measure_s : float
        Seconds of the settings' clock.
    """
    try:
        devices = settings.make_devices()
    except EmerError as error:
        return [Check("devices", ERROR, _plain(error))]
    names = ("eye_tracker", "camera", "second_camera", *(f"device_{number}" for number in range(4, 9)))
    checks: list[Check] = []
    ready: list[tuple[Device, DeviceInfo, CountingSink]] = []
    n_cameras = 0
    try:
        for name, device in zip(names, devices, strict=False):
            try:
                device.connect()
                info = device.describe()
            except EmerError as error:
                checks.append(Check(name, ERROR, _plain(error)))
                continue
            sink = CountingSink(FRAME_PATHS[min(n_cameras, 1)])
            n_cameras += info.role == CAMERA
            ready.append((device, info, sink))
            checks += answered(name, info, settings.config)
        checks += _measure(ready, settings, measure_s)
    finally:
        for device in devices:
            device.close()
    return checks


def _measure(
    ready: Sequence[tuple[Device, DeviceInfo, CountingSink]], settings: RecorderSettings, measure_s: float
) -> list[Check]:
    clock = settings.clock
    started: list[tuple[Device, DeviceInfo, CountingSink]] = []
    checks: list[Check] = []
    for device, info, sink in ready:
        try:
            device.start(sink)
            started.append((device, info, sink))
        except EmerError as error:
            checks.append(Check(info.role, ERROR, _plain(error)))
    for _, info, sink in started:
        if (_tables(info, sink)) and not sink.arrived.wait(_FIRST_DATA_S):
            checks.append(_silent(info, settings))
    _wait(clock, measure_s)
    for device, _, _ in started:
        device.stop()
    for _, info, sink in started:
        if not sink.arrived.is_set():
            continue
        for table in _tables(info, sink):
            checks.append(rate_check(table, sink.times_us(table), measure_s, info, settings.config))
    return checks


def _wait(clock: HostClock, seconds: float) -> None:
    clock.sleep_until(clock.now_us() + round((seconds + _LATE_S * clock.speed) * 1e6))


def _tables(info: DeviceInfo, sink: CountingSink) -> list[str]:
    """Return the tables of a device whose rate is checked."""
    if info.role == CAMERA:
        return [sink.frames_path]
    return [GAZE.path] if info.role == EYE_TRACKER and info.rates_hz.get(GAZE.path, 0.0) > 0 else []


def _silent(info: DeviceInfo, settings: RecorderSettings) -> Check:
    who = settings.camera if info.role == CAMERA else settings.eye_tracker
    what = "the camera" if info.role == CAMERA else "the eye tracker"
    return Check(
        "frame_rate" if info.role == CAMERA else "gaze_rate",
        ERROR,
        f"{what} ({who}) answers, but delivered nothing within {_FIRST_DATA_S:.0f} s",
        "Check its cable and that no other program uses it.",
        0.0,
    )


def answered(name: str, info: DeviceInfo, config: StudyConfig) -> list[Check]:
    """Say which device answered, and what it claims that contradicts the study."""
    said = " ".join(part for part in (info.kind, info.model, info.serial_number) if part)
    replayed = f", replays {info.replayed_from}" if info.replayed_from else ""
    checks = [Check(name, GOOD, f"{said}{replayed}")]
    others = info.details.get("other_trackers")
    if others:
        text = f"{said} was taken, but {len(others)} more answered: {', '.join(map(str, others))}"
        remedy = "Unplug the others, or name one: --eye-tracker tobii:ADDRESS."
        checks = [Check(name, WARNING, text, remedy, float(len(others)))]
    if info.role == EYE_TRACKER:
        claimed, asked = info.rates_hz.get(GAZE.path, 0.0), config.eye_tracker.rate_hz
        tolerance = config.preflight.rate_tolerance
        if not info.replayed_from and claimed and abs(claimed / asked - 1) > tolerance:
            text = f"the eye tracker is set to {claimed:g} Hz, study.toml asks for {asked:g}"
            checks.append(
                Check("rate_setting", ERROR, text, "Set it in Eye Tracker Manager, or mend [eye_tracker].", claimed)
            )
        checks += check_display_area(config.screen, info.details.get("display_area_mm"))
    return checks


def rate_check(
    table: str, times_us: npt.NDArray[np.int64], window_s: float, info: DeviceInfo, config: StudyConfig
) -> Check:
    """Compare what a stream delivered in a window with what is asked of it.

    Parameters
    ----------
    table : str
        Path of the table that it fills.
    times_us : ndarray of int64, shape (n,)
        Stamps on the host clock, microseconds.
    window_s : float
        Length of the window, which begins at the first stamp.
    info : DeviceInfo
        What the device says of itself.
    config : StudyConfig
    """
    name, said = _CHECK_NAMES.get(table, "rate"), _SAID.get(table, table)
    asked = info.rates_hz.get(table, info.rates_hz.get(FRAMES.path, 0.0))
    if not info.replayed_from and info.kind != "video_file":
        asked = config.eye_tracker.rate_hz if table == GAZE.path else config.camera.fps
    if not len(times_us) or asked <= 0:
        return Check(name, NOTE, f"{said}: no rate was measured")
    times = np.sort(times_us)
    delivered = int((times < times[0] + window_s * 1e6).sum()) / window_s
    text = f"{said}: {delivered:.1f} a second over {window_s:.1f} s, asked for {asked:g}"
    share = delivered / asked
    # One sample more or less lies at the window's edge.
    if share >= 1 - config.preflight.rate_tolerance - 1 / (asked * window_s):
        return Check(name, GOOD, text, value=delivered)
    if table in FRAME_PATHS and _HALVED[0] <= share <= _HALVED[1] and _steady(times, delivered):
        text += (
            ": a steady part of its rate, as cameras do in a dark room, where the exposure takes longer than a frame"
        )
        remedy = "Light the face, or set [camera] exposure_ms to less than a frame lasts."
        return Check(name, ERROR, text, remedy, delivered)
    remedy = "Plug it into another USB port (not a hub), and close what else uses it."
    return Check(name, ERROR, text, remedy, delivered)


def _steady(times_us: npt.NDArray[np.int64], delivered_hz: float) -> bool:
    """Tell a slow but even stream from one with holes, whose median interval is still the fast one."""
    steps = np.diff(times_us)
    return bool(len(steps) > 5 and delivered_hz > 0 and np.median(steps) * delivered_hz > 0.8e6)


def _plain(error: EmerError) -> str:
    return str(error).replace("\n", "; ")


#: Makes the checks of the devices; replaced where none are wanted.
DeviceChecks = Callable[[RecorderSettings], list[Check]]
