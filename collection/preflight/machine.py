"""The machine: room on the disk, memory, processors, clock."""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from types import ModuleType

from collection.preflight.checks import ERROR, GOOD, NOTE, WARNING, Check, said_bytes
from collection.recorder.anchors import StepWatch, read_anchor
from collection.recorder.disk import bytes_per_second, free_bytes
from data_schema.clocks import SystemClock
from data_schema.session.layout import GAZE, OPENNESS
from data_schema.study.config import StudyConfig

#: Coarsest tick of the monotonic clock that is usable, microseconds: flips and samples are a few milliseconds apart.
MAX_TICK_US = 1000.0
#: Share of all processors that may be busy before a session starts; chosen by us, since encoding takes one of them.
MAX_BUSY = 0.6
_LOOK_S = 0.3


def check_disk(path: Path, config: StudyConfig, planned_s: float, free: int | None = None) -> Check:
    """Check that the planned session fits `disk_margin` times, beside what must stay free.

    Parameters
    ----------
    path : Path
        Where the session file will lie.
    config : StudyConfig
    planned_s : float
        Planned length of the session.
    free : int, optional
        Free bytes; asked of the disk by default.
    """
    camera = config.camera
    rates = {GAZE.path: config.eye_tracker.rate_hz, OPENNESS.path: config.eye_tracker.rate_hz}
    n_cameras = 2 if camera.second_source else 1
    rate = bytes_per_second(rates, camera.width_px, camera.height_px * n_cameras, camera.fps)
    needed = rate * planned_s * config.preflight.disk_margin
    reserve = config.recording.min_free_gb * 1e9
    try:
        free = free_bytes(path) if free is None else free
    except OSError as error:
        return Check("disk", ERROR, f"the disk does not answer: {error}", "Check that the study folder can be reached.")
    said = (
        f"{said_bytes(free)} free; {planned_s / 60:.0f} min need up to {said_bytes(needed)} "
        f"(margin {config.preflight.disk_margin:g}), and {said_bytes(reserve)} must stay free"
    )
    if free < needed + reserve:
        remedy = "Make room, put the study on another disk, or lower [recording] min_free_gb in study.toml."
        return Check("disk", ERROR, said, remedy, float(free))
    return Check("disk", GOOD, said, value=float(free))


def check_writable(folder: Path) -> Check:
    """Check by writing that the study folder takes new files."""
    probe = folder / ".emer-write-probe"
    try:
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        return Check("folder", ERROR, f"{folder} cannot be written: {error}", "Give yourself the right to.")
    return Check("folder", GOOD, f"{folder} can be written")


def check_clock() -> Check:
    """Check that the monotonic clock ticks finely enough."""
    tick_us = time.get_clock_info("monotonic").resolution * 1e6
    if tick_us > MAX_TICK_US:
        said = f"the monotonic clock ticks every {tick_us:.0f} us; at most {MAX_TICK_US:.0f} is usable"
        return Check("clock", ERROR, said, "Use another machine or a newer Windows.", tick_us)
    return Check("clock", GOOD, f"monotonic, ticks of {tick_us:g} us", value=tick_us)


class WallClockWatch:
    """Watch the wall clock while other checks run; a step then will come again in the session."""

    def __init__(self) -> None:
        self._watch = StepWatch()
        self._began_s = time.monotonic()
        self._watch.step_us(read_anchor(SystemClock()))

    def check(self) -> Check:
        """Return whether the wall clock was set since the start."""
        step_us = self._watch.step_us(read_anchor(SystemClock()))
        watched_s = time.monotonic() - self._began_s
        if step_us is None:
            return Check("wall_clock", GOOD, f"not set while it was watched for {watched_s:.1f} s")
        return Check(
            "wall_clock",
            WARNING,
            f"the wall clock was set by {step_us / 1000:+.0f} ms while it was watched",
            "Wait until time synchronisation is done; recordings use the monotonic clock, so nothing is lost.",
            float(step_us),
        )


def check_memory(config: StudyConfig, available: int | None = None) -> Check:
    """Check that enough memory is free."""
    if available is None:
        psutil = _psutil()
        if psutil is None:
            return Check("memory", NOTE, "not measured: the module psutil is not installed")
        available = int(psutil.virtual_memory().available)
    wanted = config.preflight.min_free_memory_gb * 1e9
    said = f"{said_bytes(available)} free, the study asks for {said_bytes(wanted)}"
    if available < wanted:
        return Check("memory", ERROR, said, "Close other programs.", float(available))
    return Check("memory", GOOD, said, value=float(available))


def check_processors(busy: float | None = None) -> Check:
    """Check that the processors are not busy with something else."""
    if busy is None:
        psutil = _psutil()
        if psutil is None:
            return Check("processors", NOTE, "not measured: the module psutil is not installed")
        busy = float(psutil.cpu_percent(_LOOK_S)) / 100
    said = f"{busy:.0%} busy before the session"
    if busy > MAX_BUSY:
        remedy = "Close other programs and wait for updates and virus scans to end."
        return Check("processors", WARNING, said, remedy, busy)
    return Check("processors", GOOD, said, value=busy)


def _psutil() -> ModuleType | None:
    try:
        return importlib.import_module("psutil")
    except ModuleNotFoundError:
        return None
