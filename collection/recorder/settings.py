"""What the recorder is told before a session, and what it says while it runs."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collection.devices.base import Device, DeviceInfo
from data_schema.clocks import HostClock, SystemClock
from data_schema.errors import UsageError
from data_schema.study.config import StudyConfig

#: Reasons for which a session ends; the second word of a file's life.
COMPLETE = "complete"
ABORTED = "aborted"

#: State of a recorder whose file is closed and is being checked.
CHECKING = "checking"

#: The stream of camera frames, before and after encoding.
FRAMES_STREAM = "frames"
PACKETS_STREAM = "packets"
#: The same of a second camera.
SECOND_FRAMES_STREAM = "frames_2"
SECOND_PACKETS_STREAM = "packets_2"


@dataclass(frozen=True)
class RecorderSettings:
    """Everything that the recorder's process needs; picklable.

    Parameters
    ----------
    path : Path
        The session file; must not exist.
    participant, session : str
        Pseudonym and session name.
    config : StudyConfig
        The resolved study.
    eye_tracker, camera : str
        Device specifications as the registry reads them; an empty camera
        specification records without a camera.
    second_camera : str
        Specification of a second camera; empty for none.
    lsl_inlets : tuple of str
        Names or types of LSL streams that are recorded as well.
    lsl_markers : bool
        Send every marker as an LSL stream.
    clock : HostClock
        Shared by the presenter and the devices.
    planned_s : float
        Planned length of the session, for the disk guard.
    seeds : dict
        Every seed of the session, stored in the file.
    simulated : bool
        True if the session is simulated whatever its devices say (a scripted participant).
    device_seed : int
        Seed of simulated devices.
    participant_seed : int or None
        Seed of the simulated participant; None for a real one.
    first_data_timeout_s : float
        Real seconds in which each device must deliver something.
    throwaway : bool
        True for a test recording in a folder of its own, which the recorder itself
        deletes if the process that wanted it is gone: it may show a participant who
        has agreed to nothing yet.
    device_factory : str
        ``module:function`` that makes the devices from these settings.
    """

    path: Path
    participant: str
    session: str
    config: StudyConfig
    eye_tracker: str = "simulated"
    camera: str = "simulated"
    second_camera: str = ""
    lsl_inlets: tuple[str, ...] = ()
    lsl_markers: bool = False
    clock: HostClock = field(default_factory=SystemClock)
    planned_s: float = 600.0
    seeds: dict[str, Any] = field(default_factory=dict)
    simulated: bool = False
    device_seed: int = 0
    participant_seed: int | None = None
    first_data_timeout_s: float = 5.0
    throwaway: bool = False
    device_factory: str = "collection.recorder.settings:registry_devices"

    @property
    def paced(self) -> bool:
        """True if the session does not run in real time, so that devices wait instead of dropping."""
        return self.clock.speed != 1.0

    def make_devices(self) -> list[Device]:
        """Make the devices with the factory that is named."""
        module, _, name = self.device_factory.partition(":")
        factory: Callable[[RecorderSettings], list[Device]] = getattr(importlib.import_module(module), name)
        return factory(self)


def registry_devices(settings: RecorderSettings) -> list[Device]:
    """Make the tracker, the cameras and the LSL inlets that the settings name.

    Raises
    ------
    UsageError
        If a second camera is named without a first.
    """
    from collection.devices.registry import create_camera, create_eye_tracker

    participant = None
    if settings.participant_seed is not None:
        from collection.simulation.participant import SimulatedParticipant

        participant = SimulatedParticipant(settings.participant_seed, settings.participant, settings.config.simulation)
    given: dict[str, Any] = {
        "config": settings.config,
        "clock": settings.clock,
        "seed": settings.device_seed,
        "participant": participant,
    }
    devices: list[Device] = [create_eye_tracker(settings.eye_tracker, **given)]
    if settings.camera:
        devices.append(create_camera(settings.camera, **given))
    if settings.second_camera:
        if not settings.camera:
            raise UsageError("a second camera needs a first one: name both, or none")
        devices.append(create_camera(settings.second_camera, **given))
    if settings.lsl_inlets:
        from collection.devices.lsl import LslInlet

        devices += [LslInlet(settings.clock, name, stream) for stream, name in enumerate(settings.lsl_inlets, start=1)]
    return devices


@dataclass(frozen=True)
class StreamStatus:
    """Counters of one stream; rows, or frames.

    `expected_hz` is the rate that the device announced, 0 if none; `slow` is True
    while it delivers clearly less; `lost` says why a camera is not recorded now.
    """

    received: int = 0
    written: int = 0
    dropped: int = 0
    waiting: int = 0
    capacity: int = 0
    peak: int = 0
    rate_hz: float = 0.0
    silent_s: float = 0.0
    expected_hz: float = 0.0
    slow: bool = False
    lost: str = ""


@dataclass(frozen=True)
class RecorderStatus:
    """A snapshot of the recorder, sent several times a second.

    Parameters
    ----------
    t_us : int
        Host clock of the snapshot.
    state : str
        'preparing', 'recording', 'stopping', 'checking' (the file is closed) or 'closed'.
    streams : dict of str to StreamStatus
        By table path; camera frames are 'frames', encoded ones 'packets'.
    durable : dict of str to int
        Rows by table path (bytes by blob path) that are on file and survive a kill.
    memory_bytes, memory_peak_bytes : int
        Resident memory of the recorder's process.
    cpu_s : float
        CPU time that it has used.
    uptime_s : float
        Real seconds since the file was made.
    encode_ms : tuple of float
        Median and 95th percentile per frame.
    free_bytes : int
        Room on the disk at the last look; -1 if it is not known.
    alarms : tuple of str
        What is wrong now, each with what to do; empty if all is well.
    """

    t_us: int = 0
    state: str = "recording"
    streams: dict[str, StreamStatus] = field(default_factory=dict)
    durable: dict[str, int] = field(default_factory=dict)
    memory_bytes: int = 0
    memory_peak_bytes: int = 0
    cpu_s: float = 0.0
    uptime_s: float = 0.0
    encode_ms: tuple[float, float] = (math.nan, math.nan)
    free_bytes: int = 0
    alarms: tuple[str, ...] = ()

    def stream(self, name: str) -> StreamStatus:
        """Return the counters of a stream; zeros if there is no such stream."""
        return self.streams.get(name, StreamStatus())

    @property
    def progress(self) -> tuple[Any, ...]:
        """Whatever changes as long as the recorder gets on with its work, unlike time and load."""
        counts = [(s.received, s.written, s.dropped, s.waiting) for s in self.streams.values()]
        return self.state, counts, sorted(self.durable.items())

    @property
    def dropped(self) -> int:
        """Rows and frames dropped in all streams."""
        return sum(stream.dropped for stream in self.streams.values())


@dataclass(frozen=True)
class RecordingStarted:
    """The recorder writes; sent once."""

    path: Path
    t_started_us: int
    devices: tuple[DeviceInfo, ...]


@dataclass(frozen=True)
class RecordingSummary:
    """How a recording ended."""

    path: Path
    reason: str
    message: str
    t_started_us: int
    t_ended_us: int
    status: RecorderStatus
    problems: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Length of the recording in seconds of its own clock."""
        return (self.t_ended_us - self.t_started_us) / 1e6

    def rate_hz(self, stream: str) -> float:
        """Return the mean rate of rows on file."""
        return self.status.stream(stream).written / self.duration_s if self.duration_s > 0 else 0.0


def devices_as_json(devices: tuple[DeviceInfo, ...]) -> list[dict[str, Any]]:
    """Return what the devices said of themselves in JSON types."""
    from dataclasses import asdict

    return json.loads(json.dumps([asdict(info) for info in devices], default=str))  # type: ignore[no-any-return]
