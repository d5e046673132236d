"""From the words of a study or a command line to devices.

======================================  =============================================
``tobii``, ``tobii:SERIAL_OR_ADDRESS``  a Tobii Pro tracker; by name where several answer
``simulated``                           the simulated participant's eyes, or face
``simulated:OPTION,OPTION``             eyes that are ``uncalibrated``, ``wandering`` or ``offcentre``
``replay:FILE_OR_FOLDER``               a session file or a Tobii folder, again
``0``, ``1``, ``/dev/video0``           a camera by its index or its path
``udp://...``, ``rtsp://...``           a camera on the network
a file                                  a video file in place of a camera
``faulty:FAULT@AT[+LASTING]:DEVICE``    any of them with a fault, times in seconds
``faulty:FAULT:DEVICE``                 the same from the start on: ``one_eye``, ``wrong_rate``, ``slow_camera``,
                                        ``collect_fails``, ``calibration_fails``, ``bad_calibration``, ``wandering``
======================================  =============================================
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from pathlib import Path

from collection.devices.base import Device
from collection.devices.faults import FAULT_KINDS, FROM_THE_START, Fault
from collection.devices.faulty import FaultyDevice
from collection.simulation.participant import SimulatedParticipant
from data_schema.clocks import HostClock
from data_schema.errors import UsageError
from data_schema.study.config import StudyConfig

_FAULTY = re.compile(
    r"faulty:(?P<kind>[a-z_]+)(?:@(?P<at>[0-9.]+)(?:\+(?P<lasting>[0-9.]+))?)?:(?P<device>.+)", re.DOTALL
)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_SESSION_SUFFIXES = (".h5", ".hdf5")


def create_eye_tracker(
    spec: str,
    *,
    config: StudyConfig,
    clock: HostClock,
    seed: int,
    participant: SimulatedParticipant | None = None,
) -> Device:
    """Make the eye tracker that `spec` names; nothing is opened yet.

    Parameters
    ----------
    spec : str
        See the table above.
    config : StudyConfig
        Screen, rates and the simulation's settings.
    clock : HostClock
        Clock of the recording.
    seed : int
        Seed of a simulated participant, where none is given.
    participant : SimulatedParticipant, optional
        Whose eyes a simulated tracker sees.

    Raises
    ------
    UsageError
        If `spec` names no device.
    """
    faulty = _faulty(spec, clock, lambda inner: create_eye_tracker(
        inner, config=config, clock=clock, seed=seed, participant=participant
    ))  # fmt: skip
    if faulty is not None:
        return faulty
    kind, _, rest = spec.partition(":")
    if kind == "simulated":
        from collection.devices.simulated import OPTION_WORDS, SimulatedEyeTracker, TrackerOptions

        words = [word for word in rest.split(",") if word]
        for word in words:
            if word not in OPTION_WORDS:
                raise UsageError(_unknown("option of a simulated eye tracker", word, OPTION_WORDS))
        return SimulatedEyeTracker(
            clock,
            participant or _stranger(seed, config),
            config.screen,
            config.eye_tracker.rate_hz,
            options=TrackerOptions(**dict.fromkeys(words, True)),
        )
    if kind == "replay" and rest:
        from collection.devices.replay import ReplayEyeTracker

        return ReplayEyeTracker(clock, Path(rest).expanduser())
    if kind == "tobii":
        from collection.devices.tobii import TobiiEyeTracker

        return TobiiEyeTracker(
            clock,
            rate_hz=config.eye_tracker.rate_hz,
            which=rest,
            mode=config.eye_tracker.mode,
            licence_file=config.eye_tracker.licence_file,
            screen_mm=(config.screen.width_mm, config.screen.height_mm),
        )
    if spec and Path(spec).exists():
        raise UsageError(f"'{spec}' is a file, not an eye tracker. To replay it, write: replay:{spec}")
    raise UsageError(_unknown("eye tracker", spec, ("tobii", "simulated", "replay:FILE")))


def create_camera(
    spec: str,
    *,
    config: StudyConfig,
    clock: HostClock,
    seed: int,
    participant: SimulatedParticipant | None = None,
) -> Device:
    """Make the camera that `spec` names; nothing is opened yet.

    Parameters and errors are those of :func:`create_eye_tracker`.
    """
    faulty = _faulty(spec, clock, lambda inner: create_camera(
        inner, config=config, clock=clock, seed=seed, participant=participant
    ))  # fmt: skip
    if faulty is not None:
        return faulty
    camera = config.camera
    if spec == "simulated":
        from collection.devices.simulated_camera import SimulatedCamera

        someone = participant or _stranger(seed, config)
        return SimulatedCamera(clock, someone, camera.width_px, camera.height_px, camera.fps)
    if spec.isdigit() or spec.startswith("/dev/") or _ADDRESS.match(spec):
        from collection.devices.webcam import Webcam

        source: int | str = int(spec) if spec.isdigit() else spec
        return Webcam(clock, source, camera.width_px, camera.height_px, camera.fps, camera.exposure_ms)
    path = Path(spec.removeprefix("replay:")).expanduser()
    if spec.startswith("replay:") or path.suffix.lower() in _SESSION_SUFFIXES:
        if path.suffix.lower() in _SESSION_SUFFIXES:
            from collection.devices.replay import ReplayCamera

            return ReplayCamera(clock, path)
    elif not spec or (not path.exists() and not path.suffix):
        raise UsageError(_unknown("camera", spec, ("simulated", "0", "FILE", "replay:FILE")))
    from collection.devices.video_file import VideoFileCamera

    return VideoFileCamera(clock, path)


def without_later_faults(spec: str) -> str:
    """Return a specification without faults that begin later: they are for the session, not for what comes before it."""
    match = _FAULTY.fullmatch(spec)
    if match is None:
        return spec
    inner = without_later_faults(match["device"])
    try:
        later = float(match["at"] or 0.0) > 0
    except ValueError:
        return spec
    return inner if later else spec[: match.start("device")] + inner


def _stranger(seed: int, config: StudyConfig) -> SimulatedParticipant:
    return SimulatedParticipant(seed, "P000", config.simulation)


def _faulty(spec: str, clock: HostClock, create: Callable[[str], Device]) -> Device | None:
    if not spec.startswith("faulty:"):
        return None
    match = _FAULTY.fullmatch(spec)
    if match is None or (match["at"] is None and match["kind"] in FAULT_KINDS and match["kind"] not in FROM_THE_START):
        raise UsageError(
            f"'{spec}' cannot be read. Write faulty:FAULT@SECONDS+LASTING:DEVICE, such as "
            f"faulty:silence@3+2:simulated. Faults: {', '.join(FAULT_KINDS)}."
        )
    if match["kind"] not in FAULT_KINDS:
        raise UsageError(_unknown("fault", match["kind"], tuple(FAULT_KINDS)))
    try:
        at_s = float(match["at"] or 0.0)
        lasting_s = float(match["lasting"]) if match["lasting"] else float("inf")
    except ValueError:
        raise UsageError(
            f"'{spec}': the times must be numbers of seconds, such as faulty:stall@3+2:simulated."
        ) from None
    return FaultyDevice(create(match["device"]), (Fault(match["kind"], at_s, lasting_s),), clock)


def _unknown(what: str, spec: str, known: tuple[str, ...]) -> str:
    words = [name.partition(":")[0] for name in known if name.partition(":")[0].islower()]
    near = difflib.get_close_matches(spec.partition(":")[0].lower(), words, n=1, cutoff=0.6)
    hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(known)}."
    return f"There is no {what} '{spec}'. {hint}"
