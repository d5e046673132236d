"""A simulated eye tracker that delivers what the Tobii Pro SDK would.

All fields of the SDK's gaze sample, eye openness, user position and time
synchronisation, with the validity codes, the NaN of invalid numbers and the two
clocks. The eyes are those of a :class:`~collection.simulation.SimulatedParticipant`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from collection.devices.base import EYE_TRACKER, CalibrationOutcome, DeviceInfo, PlantedReaction, Sink
from collection.devices.device_clock import DeviceClock
from collection.devices.scheduled import ScheduledDevice
from collection.devices.simulated_calibration import SimulatedCalibrator
from collection.simulation.eye_movements import CLOSURE_LOST, EyeMovements, EyeState
from collection.simulation.participant import SimulatedParticipant
from data_schema.clocks import HostClock
from data_schema.errors import DeviceError
from data_schema.session.layout import GAZE, OPENNESS, TIME_SYNC, USER_POSITION

FloatArray = npt.NDArray[np.float64]

#: Rates of the slow streams; ours, the SDK promises none.
USER_POSITION_HZ = 30.0
TIME_SYNC_HZ = 1.0
MAX_RATE_HZ = 1200.0

#: Time between the sample and our callback. The host stamps vary around it by a few tenths of
#: a millisecond, as in the real Spectrum recording, and by less than a sample interval.
LATENCY_US = 2500.0
JITTER_US = 400.0
JITTER_SHARE = 0.3
#: Longest round trip of a time synchronisation; ours.
_SYNC_LONGEST_US = 1000.0
#: Samples made at once. Large enough for numpy, small enough for a smooth flow.
_CHUNK = 600
#: Distance between the pupils; mean of adults, Dodgson (2004), Proc. SPIE 5291.
_INTERPUPILLARY_MM = 63.0
#: Openness of an open eye; the real Spectrum recording has 9.7 to 10.8 mm.
_OPEN_MM = 10.3
#: Height of the screen's lower edge over the tracker, and the track box. Ours, near a Spectrum's.
_SCREEN_BOTTOM_MM = 20.0
_BOX_MM = (340.0, 260.0, 200.0)
_BOX_NEAREST_MM = 550.0


#: A participant who sits badly at first: how far off, and how fast the chair is moved (seconds).
_OFF_CENTRE_MM = (60.0, -40.0, 110.0)
_SETTLES_S = 8.0
_CORNERS = ("top_left", "top_right", "bottom_left")


@dataclass(frozen=True)
class TrackerOptions:
    """How a simulated tracker and its participant differ from well-behaved ones.

    Parameters
    ----------
    uncalibrated : bool
        Nobody has calibrated the tracker before: gaze is wrong by about two degrees until somebody does.
    wandering : bool
        In four of ten fixations at a target the participant looks elsewhere.
    offcentre : bool
        The head is far off at first and comes to the middle within some ten seconds.
    """

    uncalibrated: bool = False
    wandering: bool = False
    offcentre: bool = False


#: Words of a device specification, such as ``simulated:uncalibrated,offcentre``.
OPTION_WORDS = ("uncalibrated", "wandering", "offcentre")
_INATTENTION = 0.4


class Screen(Protocol):
    """What is read of the section [screen] of ``study.toml``."""

    @property
    def width_mm(self) -> float:
        """Width of the visible area."""
        ...

    @property
    def height_mm(self) -> float:
        """Height of the visible area."""
        ...

    @property
    def distance_mm(self) -> float:
        """Distance between eyes and screen."""
        ...


class SimulatedEyeTracker(ScheduledDevice):
    """A tracker whose participant exists only in the computer.

    Parameters
    ----------
    clock : HostClock
        Clock of the recording.
    participant : SimulatedParticipant
        Whose eyes it sees.
    screen : Screen
        Geometry of the screen.
    rate_hz : float
        Gaze samples per second, up to 1200.
    drift_ppm : float, optional
        Speed of the device clock against the host's; drawn from the
        participant's seed if None.
    options : TrackerOptions
        What is to go wrong.

    Raises
    ------
    DeviceError
        If the rate is out of range.
    """

    def __init__(
        self,
        clock: HostClock,
        participant: SimulatedParticipant,
        screen: Screen,
        rate_hz: float = 600.0,
        drift_ppm: float | None = None,
        options: TrackerOptions | None = None,
    ) -> None:
        super().__init__(clock, "simulated eye tracker")
        if not 0 < rate_hz <= MAX_RATE_HZ:
            raise DeviceError(
                f"The simulated eye tracker delivers up to {MAX_RATE_HZ:.0f} samples per second, got {rate_hz:g}. "
                "Set rate_hz in [eye_tracker] of study.toml."
            )
        self.participant = participant
        self.rate_hz = rate_hz
        self._screen = screen
        device = participant.rng("tracker")
        drawn_ppm = float(device.normal(0.0, 12.0))
        self._drift_ppm = drawn_ppm if drift_ppm is None else drift_ppm
        self._offset_us = int(device.integers(10**8, 10**10))
        self._eye_bias_deg = device.normal(0.0, 0.15, (2, 2))
        self._anisocoria_mm = float(device.normal(0.0, 0.06))
        self._sway_phase = device.uniform(0, 2 * np.pi, (3, 2))
        self.options = options if options is not None else TrackerOptions()
        self._calibrator = SimulatedCalibrator(
            clock, participant, self._to_deg, self._to_norm, self._eye_bias_deg, uncalibrated=self.options.uncalibrated
        )
        self._area = self._default_area()
        self._run_number = 0
        self._reactions: list[PlantedReaction] = []
        self._looks: list[tuple[int, tuple[float, float] | None]] = []
        self._reactions_lock = threading.Lock()

    def describe(self) -> DeviceInfo:
        """Say what is simulated."""
        self._require_connected()
        return DeviceInfo(
            role=EYE_TRACKER,
            kind="simulated",
            model="Simulated eye tracker",
            serial_number=f"SIM-{self.participant.seed}-{self.participant.code}",
            firmware="1",
            simulated=True,
            rates_hz={
                GAZE.path: self.rate_hz,
                OPENNESS.path: self.rate_hz,
                USER_POSITION.path: min(USER_POSITION_HZ, self.rate_hz),
                TIME_SYNC.path: TIME_SYNC_HZ,
            },
            details={
                "drift_ppm": self._drift_ppm,
                "seed": self.participant.seed,
                "options": [word for word in OPTION_WORDS if getattr(self.options, word)],
                "display_area_mm": self.display_area(),
            },
        )

    def react(self, reaction: PlantedReaction) -> None:
        """Let the participant's eyes behave as `reaction` says from its time on.

        Reactions come in order of time; one that comes late holds from the next
        fixation on.
        """
        with self._reactions_lock:
            self._reactions.append(reaction)

    def look_at(self, t_us: int, target_norm: tuple[float, float] | None) -> None:
        """Let the participant look at a target from `t_us` on, after a human latency; None views freely again."""
        with self._reactions_lock:
            self._looks.append((t_us, target_norm))

    # -- calibration (Calibratable) and display area ---------------------------------------

    def calibration_begin(self, eyes: str) -> None:
        """Enter calibration mode; gaze is wrong by about two degrees until one is computed."""
        self._require_connected("calibration_begin")
        self._calibrator.begin(eyes)

    def calibration_collect(self, x: float, y: float) -> bool:
        """Collect half a second of samples from now on; blocks as long."""
        return self._calibrator.collect(x, y, lambda: self._thread is not None)

    def calibration_discard(self, x: float, y: float) -> None:
        """Forget the data of a target."""
        self._calibrator.discard(x, y)

    def calibration_compute(self) -> CalibrationOutcome:
        """Compute a calibration from what was collected, and use it."""
        return self._calibrator.compute()

    def calibration_end(self) -> None:
        """Leave calibration mode; idempotent."""
        self._calibrator.end()

    def calibration_data(self) -> bytes:
        """Return the calibration in use; empty if none was computed or applied."""
        return self._calibrator.data()

    def calibration_apply(self, data: bytes) -> None:
        """Use a calibration that ``calibration_data`` returned before."""
        self._calibrator.apply(data)

    def display_area(self) -> dict[str, list[float]]:
        """Return the corners of the display area, mm in the user coordinate system."""
        return {name: list(corner) for name, corner in self._area.items()}

    def set_display_area(self, area: Mapping[str, Sequence[float]]) -> None:
        """Take another display area; it is reported and changes no gaze."""
        missing = [name for name in _CORNERS if len(area.get(name, ())) != 3]
        if missing:
            raise DeviceError(
                f"A display area needs three numbers for each of {', '.join(_CORNERS)}; got {dict(area)}."
            )
        self._area = {name: [float(v) for v in area[name]] for name in _CORNERS}

    def _default_area(self) -> dict[str, list[float]]:
        half, top = self._screen.width_mm / 2, _SCREEN_BOTTOM_MM + self._screen.height_mm
        return {
            "top_left": [-half, top, 0.0],
            "top_right": [half, top, 0.0],
            "bottom_left": [-half, _SCREEN_BOTTOM_MM, 0.0],
        }

    def _to_deg(self, norm: FloatArray) -> FloatArray:
        size = (self._screen.width_mm, self._screen.height_mm)
        return np.asarray(np.degrees(np.arctan((norm - 0.5) * size / self._screen.distance_mm)))

    def _to_norm(self, angle_deg: FloatArray) -> FloatArray:
        size = (self._screen.width_mm, self._screen.height_mm)
        return np.asarray(self._screen.distance_mm * np.tan(np.radians(angle_deg)) / size + 0.5)

    # -- samples ---------------------------------------------------------------------------

    def _release(self) -> None:
        self._calibrator.end()

    def _open(self) -> None:
        self._device_clock = DeviceClock(self.clock.now_us(), self._offset_us, self._drift_ppm)

    def _begin(self, t_start_us: int) -> None:
        self._run_number += 1
        run = self._run_number
        # First stamps lie after the start, although they lie before their arrival.
        self._t0_us = t_start_us + 2 * LATENCY_US
        self._interval_us = 1e6 / self.rate_hz
        half = (
            math.degrees(math.atan(self._screen.width_mm / 2 / self._screen.distance_mm)),
            math.degrees(math.atan(self._screen.height_mm / 2 / self._screen.distance_mm)),
        )
        self._eyes = EyeMovements(self.participant, run, half, _INATTENTION if self.options.wandering else 0.0)
        self._stamp_rng = self.participant.rng("stamps", run)
        self._noise_rng = self.participant.rng("noise", run)
        self._sync_rng = self.participant.rng("time sync", run)
        self._n_samples = 0
        self._n_syncs = 0
        self._position_every = max(1, round(self.rate_hz / USER_POSITION_HZ))

    def _produce(self, sink: Sink, until_us: int) -> None:
        while True:
            due = int((until_us - self._t0_us) // self._interval_us) + 1
            owed = due - self._n_samples
            if owed <= 0:
                break
            self._take_reactions()
            self._deliver(sink, min(owed, _CHUNK))
        self._deliver_time_sync(sink, until_us)

    def _take_reactions(self) -> None:
        with self._reactions_lock:
            waiting, self._reactions = self._reactions, []
            looks, self._looks = self._looks, []
        for reaction in sorted(waiting, key=lambda r: r.t_us):
            at_s = (reaction.t_us - self._t0_us) / 1e6
            for after_s, behaviour in self.participant.eye_course(reaction):
                self._eyes.react(at_s + after_s, behaviour)
        for t_us, target in sorted(looks, key=lambda look: look[0]):
            at_deg = None
            if target is not None:
                x_deg, y_deg = self._to_deg(np.array([target], dtype=np.float64))[0]
                at_deg = (float(x_deg), float(y_deg))
            self._eyes.look_at((t_us - self._t0_us) / 1e6, at_deg)

    def _deliver(self, sink: Sink, n: int) -> None:
        first = self._n_samples
        index = np.arange(first, first + n, dtype=np.float64)
        self._n_samples += n
        arrival_us = self._t0_us + index * self._interval_us
        jitter = self._stamp_rng.random((n, 2)) - 0.5
        stamp_us = arrival_us - LATENCY_US + min(JITTER_US, JITTER_SHARE * self._interval_us) * jitter[:, 0]
        state = self._eyes.sample(index * (self._interval_us / 1e6))
        noise = self._noise_rng.standard_normal((n, 8))

        gaze = GAZE.empty(n)
        gaze["t_received_us"] = np.rint(arrival_us)
        gaze["t_system_us"] = np.rint(stamp_us)
        # The exposure is regular; it is the transport and the SDK's estimate that jitter.
        gaze["t_device_us"] = self._device_clock.read(arrival_us - LATENCY_US + jitter[:, 1])
        openness = OPENNESS.empty(n)
        openness["t_device_us"] = gaze["t_device_us"]
        openness["t_system_us"] = gaze["t_system_us"]
        head_mm = self._head_mm(index * (self._interval_us / 1e6))
        angles = self._angles(gaze["t_system_us"], state, noise)
        for side, eye in enumerate(("left", "right")):
            self._fill_eye(gaze, openness, eye, side, state, angles[:, side], head_mm, noise)
        sink.rows(GAZE.path, gaze)
        sink.rows(OPENNESS.path, openness)
        chosen = np.flatnonzero(index % self._position_every == 0)
        if len(chosen):
            sink.rows(USER_POSITION.path, self._user_position(gaze[chosen]))

    def _angles(self, t_us: npt.NDArray[np.int64], state: EyeState, noise: FloatArray) -> FloatArray:
        """Return where the tracker sees both eyes look, degrees, shape (n, 2, 2)."""
        white = np.stack([noise[:, 0:2], noise[:, 4:6]], axis=1) * self.participant.traits.precision_deg
        valid = ~state.lost & (state.closure < CLOSURE_LOST)[:, None]
        return self._calibrator.measure(t_us, state.gaze_deg, white, valid)

    def _fill_eye(
        self,
        gaze: npt.NDArray[np.void],
        openness: npt.NDArray[np.void],
        eye: str,
        side: int,
        state: EyeState,
        angle_deg: FloatArray,
        head_mm: FloatArray,
        noise: FloatArray,
    ) -> None:
        seen = ~state.lost[:, side]
        valid = seen & (state.closure < CLOSURE_LOST)
        screen = self._screen
        # A lid that comes down drags the gaze estimate with it and hides part of the pupil.
        lid = np.clip(state.closure, 0.0, CLOSURE_LOST)
        angle = angle_deg.copy()
        angle[:, 1] += 1.5 * lid**2
        point_mm = screen.distance_mm * np.tan(np.radians(angle))
        norm = point_mm / (screen.width_mm, screen.height_mm) + 0.5
        gaze[f"{eye}_gaze_norm"] = _where(valid, norm)
        user = np.zeros((len(norm), 3))
        user[:, 0] = point_mm[:, 0]
        user[:, 1] = _SCREEN_BOTTOM_MM + screen.height_mm * (1.0 - norm[:, 1])
        gaze[f"{eye}_gaze_user_mm"] = _where(valid, user)
        origin = head_mm + ((side - 0.5) * _INTERPUPILLARY_MM, 0.0, 0.0)
        gaze[f"{eye}_origin_user_mm"] = _where(valid, origin)
        pupil = state.pupil_mm + (side - 0.5) * self._anisocoria_mm + 0.012 * noise[:, 4 * side + 2]
        gaze[f"{eye}_pupil_mm"] = _where(valid, pupil * (1.0 - 0.3 * lid))
        for quantity in ("gaze", "pupil", "origin"):
            gaze[f"{eye}_{quantity}_valid"] = valid
        opening = np.maximum(0.0, _OPEN_MM * (1.0 - state.closure) + 0.08 * noise[:, 4 * side + 3])
        openness[f"{eye}_openness_mm"] = _where(seen, opening)
        openness[f"{eye}_valid"] = seen

    def _head_mm(self, t_s: FloatArray) -> FloatArray:
        """Return the point between the eyes in the user coordinate system, swaying slowly."""
        centre = (0.0, _SCREEN_BOTTOM_MM + 0.5 * self._screen.height_mm, self._screen.distance_mm)
        sway = np.zeros((len(t_s), 3))
        for axis, size_mm in enumerate((4.0, 2.5, 6.0)):
            slow, fast = self._sway_phase[axis]
            sway[:, axis] = size_mm * (np.sin(0.31 * t_s + slow) + 0.3 * np.sin(1.7 * t_s + fast))
        if self.options.offcentre:
            sway += np.exp(-t_s / _SETTLES_S)[:, None] * _OFF_CENTRE_MM
        return sway + centre

    def _user_position(self, gaze: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
        rows = USER_POSITION.empty(len(gaze))
        rows["t_received_us"] = gaze["t_received_us"]
        middle_mm = _SCREEN_BOTTOM_MM + 0.5 * self._screen.height_mm
        for eye in ("left", "right"):
            origin = gaze[f"{eye}_origin_user_mm"]
            # The track box has its origin at the top right as the participant sees it.
            position = np.empty(origin.shape)
            position[:, 0] = 0.5 - origin[:, 0] / _BOX_MM[0]
            position[:, 1] = 0.5 - (origin[:, 1] - middle_mm) / _BOX_MM[1]
            position[:, 2] = (origin[:, 2] - _BOX_NEAREST_MM) / _BOX_MM[2]
            rows[f"{eye}_position_norm"] = position
            rows[f"{eye}_valid"] = gaze[f"{eye}_origin_valid"]
        return rows

    def _deliver_time_sync(self, sink: Sink, until_us: int) -> None:
        while True:
            request_us = self._t0_us + self._n_syncs * 1e6 / TIME_SYNC_HZ
            if request_us + _SYNC_LONGEST_US > until_us:
                return
            there_us, back_us = 150.0 + 250.0 * self._sync_rng.random(2)
            row = TIME_SYNC.empty(1)
            row["t_request_us"] = round(request_us)
            row["t_device_us"] = self._device_clock.read(np.array([request_us + there_us]))
            row["t_response_us"] = round(request_us + there_us + back_us)
            self._n_syncs += 1
            sink.rows(TIME_SYNC.path, row)


def _where(valid: npt.NDArray[np.bool_], values: FloatArray) -> FloatArray:
    """Return `values` with NaN where the sample is not valid, as the SDK has it."""
    mask = valid if values.ndim == 1 else valid[:, None]
    return np.where(mask, values, np.nan)
