"""What every tracker and every camera looks like to the recorder.

A device has five verbs: ``connect, describe, start, stop, close``. Real,
simulated, replayed and faulty devices pass the same contract test
(``tests/contracts/test_device_contract.py``):

* ``connect`` finds the device and fails with a :class:`~data_schema.errors.DeviceError`
  that says what to do; ``describe`` works from then on, before ``start``;
* ``start(sink)`` returns soon; rows and frames then arrive in the sink from a
  daemon thread that the device owns;
* after ``stop`` has returned nothing more reaches the sink, and ``start`` works again;
* ``stop`` and ``close`` are idempotent, and ``close`` stops first.

Simulated devices work by schedule: they owe everything whose stamp is not later
than the clock, catch up when they are late, and ``stop`` pays what is owed up
to the moment of the call, or to an earlier one that ``stop_at`` has named
(:class:`Scheduled`; not a sixth verb, nobody needs to have it). A slow machine then loses nothing at ten times real
time, provided that the sink blocks instead of dropping.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

EYE_TRACKER = "eye_tracker"
CAMERA = "camera"
#: A further stream of measurements, such as one of the Lab Streaming Layer.
STREAM = "stream"


@dataclass
class CapturedFrame:
    """One camera frame.

    Parameters
    ----------
    t_capture_us : int
        Host clock at capture, microseconds.
    image : ndarray of uint8, shape (height, width, 3)
        BGR, as OpenCV delivers it. Read-only by agreement: a device may hand
        out the same array twice.
    t_device_us : int
        The camera's own stamp, microseconds; -1 if it has none.
    missed_before : int
        Frames that the camera itself lost just before this one.
    """

    t_capture_us: int
    image: npt.NDArray[np.uint8]
    t_device_us: int = -1
    missed_before: int = 0


@dataclass(frozen=True)
class DeviceInfo:
    """What a device says of itself; stored in the session file.

    Parameters
    ----------
    role : str
        'eye_tracker', 'camera' or 'stream'.
    kind : str
        'tobii', 'simulated', 'replay', 'webcam', 'video_file', 'lsl'.
    model, serial_number, firmware : str
        As the device reports them; empty where it has none.
    simulated : bool
        True for whatever was not measured in front of this participant now:
        simulated and replayed devices.
    replayed_from : str
        Name of the file that is replayed; empty otherwise.
    rates_hz : dict of str to float
        Nominal rate of each table that the device fills, by table path.
    width_px, height_px : int
        Picture size of a camera.
    details : dict
        Whatever else is worth keeping; JSON types only.
    """

    role: str
    kind: str
    model: str
    serial_number: str = ""
    firmware: str = ""
    simulated: bool = False
    replayed_from: str = ""
    rates_hz: dict[str, float] = field(default_factory=dict)
    width_px: int = 0
    height_px: int = 0
    details: dict[str, Any] = field(default_factory=dict)


class Sink(Protocol):
    """Where a device delivers. Thread-safe and cheap; blocks only simulated devices."""

    def rows(self, table: str, rows: npt.NDArray[np.void]) -> None:
        """Take rows of a table; dtype is ``TABLE_BY_PATH[table].dtype``."""
        ...

    def frame(self, frame: CapturedFrame) -> None:
        """Take a camera frame."""
        ...

    def event(self, kind: str, message: str, value: float = float("nan"), t_system_us: int | None = None) -> None:
        """Take an event; `kind` is one of ``data_schema.session.markers``, `t_system_us` None means now."""
        ...


@runtime_checkable
class Device(Protocol):
    """A tracker, a camera or another stream. See the module's text for the contract."""

    def connect(self) -> None:
        """Find and open the device; raises DeviceError, MediaError or MissingExtraError."""
        ...

    def describe(self) -> DeviceInfo:
        """Say what the device is; after ``connect``, also before ``start``."""
        ...

    def start(self, sink: Sink) -> None:
        """Deliver to `sink` from now on, from the device's own thread."""
        ...

    def stop(self) -> None:
        """Stop delivering; idempotent. The sink must be drained while this waits."""
        ...

    def close(self) -> None:
        """Stop and release the device; idempotent."""
        ...


@dataclass(frozen=True)
class PlantedReaction:
    """What the simulated participant feels and shows from a moment on.

    Plain numbers and words, so that it can be sent to the recorder's process.

    Parameters
    ----------
    t_us : int
        Host clock from which it holds, until the next reaction. It may lie in the future.
    trial_id : int
        0 outside trials.
    felt_emotion, shown_emotion : str
        Of ``data_schema.vocabularies.EMOTIONS``.
    valence, arousal, shown_valence, shown_arousal : float
        -1 to 1, felt and shown.
    intensity : float
        Intensity of the shown expression, 0 to 3.
    """

    t_us: int
    trial_id: int = 0
    felt_emotion: str = "neutral"
    shown_emotion: str = "neutral"
    valence: float = 0.0
    arousal: float = 0.0
    shown_valence: float = 0.0
    shown_arousal: float = 0.0
    intensity: float = 0.0

    @classmethod
    def rest(cls, t_us: int) -> PlantedReaction:
        """Return the neutral state between trials, from `t_us` on."""
        return cls(t_us)


@runtime_checkable
class Reactive(Protocol):
    """A simulated device that shows what the simulated participant feels."""

    def react(self, reaction: PlantedReaction) -> None:
        """Behave as `reaction` says from its time on; thread-safe."""
        ...


@dataclass(frozen=True)
class CalibrationSample:
    """One sample that the tracker collected at a calibration target.

    Parameters
    ----------
    target_norm, gaze_norm : tuple of float
        Shares of the display area; `gaze_norm` is NaN where the tracker gives none.
    eye : str
        'left' or 'right'.
    validity : int
        -1 invalid and not used, 0 valid but not used, 1 valid and used.
    """

    target_norm: tuple[float, float]
    eye: str
    gaze_norm: tuple[float, float]
    validity: int


@dataclass(frozen=True)
class CalibrationOutcome:
    """What the tracker answers when it computes a calibration.

    Parameters
    ----------
    success : bool
        True if the new calibration is in use now.
    status : str
        The tracker's own word, such as 'calibration_status_success'.
    samples : tuple of CalibrationSample
        What it was computed from.
    """

    success: bool
    status: str
    samples: tuple[CalibrationSample, ...] = ()


@runtime_checkable
class Calibratable(Protocol):
    """An eye tracker that can be calibrated. All verbs may block; none is called from a callback.

    Any verb raises DeviceError with the next step if the tracker refuses. A tracker that is
    unplugged in between has left its calibration mode; ``calibration_end`` is idempotent.
    """

    def calibration_begin(self, eyes: str) -> None:
        """Enter calibration mode for 'both', 'left' or 'right' eyes."""
        ...

    def calibration_collect(self, x: float, y: float) -> bool:
        """Collect data for a target at (x, y), shares of the display area; False if the tracker got too little."""
        ...

    def calibration_discard(self, x: float, y: float) -> None:
        """Forget the data of a target."""
        ...

    def calibration_compute(self) -> CalibrationOutcome:
        """Compute a calibration from what was collected and use it; a failure leaves the old one in use."""
        ...

    def calibration_end(self) -> None:
        """Leave calibration mode."""
        ...

    def calibration_data(self) -> bytes:
        """Return the calibration in use, in the tracker's own format; empty if there is none."""
        ...

    def calibration_apply(self, data: bytes) -> None:
        """Use a calibration that ``calibration_data`` returned before."""
        ...


@runtime_checkable
class Attentive(Protocol):
    """A simulated tracker whose participant looks at targets."""

    def look_at(self, t_us: int, target_norm: tuple[float, float] | None) -> None:
        """Look at a target from host time `t_us` on; None looks as before. Thread-safe."""
        ...


@runtime_checkable
class Scheduled(Protocol):
    """A device that works by schedule and can be told where its schedule ends."""

    def stop_at(self, t_us: int) -> None:
        """Owe nothing after host time `t_us`, from now until the next ``start``; ``stop`` is still needed."""
        ...
