"""A simulated camera that films the simulated participant's face.

Frame times jitter as those of a real camera; frames can be missing; the frame
number is written into the picture (:mod:`collection.devices.frame_code`).
"""

from __future__ import annotations

import threading

import cv2
import numpy as np

from collection.devices.base import CAMERA, CapturedFrame, DeviceInfo, PlantedReaction, Sink
from collection.devices.device_clock import DeviceClock
from collection.devices.face import FaceRenderer, Image
from collection.devices.frame_code import write_frame_number
from collection.devices.scheduled import ScheduledDevice
from collection.simulation.participant import SimulatedParticipant
from data_schema.clocks import HostClock
from data_schema.errors import DeviceError
from data_schema.session.layout import FRAMES
from data_schema.vocabularies import EMOTIONS

#: Spread of the frame intervals, and their bounds, as shares of the nominal one. A real
#: camera (516 frames of a Pupil Invisible's scene camera) had a median of 33.2, 10 % to
#: 90 % of 28.3 to 40.2, and bounds of 20.2 and 50.0 ms.
_INTERVAL_SPREAD = 0.12
_INTERVAL_BOUNDS = (0.61, 1.50)

#: A face begins to move a third of a second after the feeling, and needs about
#: another half to get there. Onsets of spontaneous smiles last 0.4 to 0.7 s in
#: Schmidt et al. (2006), J. Nonverbal Behav. 30.
_FACE_LATENCY_S = 0.3
_FACE_TIME_CONSTANT_S = 0.25

_LENS_NAME = "Simulated camera"


class SimulatedCamera(ScheduledDevice):
    """A camera whose participant exists only in the computer.

    Parameters
    ----------
    clock : HostClock
        Clock of the recording.
    participant : SimulatedParticipant
        Whose face it sees.
    width_px, height_px : int
        Picture size; even numbers.
    fps : float
        Nominal frames per second.
    missing_share : float
        Share of frames that the camera loses.
    """

    def __init__(
        self,
        clock: HostClock,
        participant: SimulatedParticipant,
        width_px: int = 1280,
        height_px: int = 720,
        fps: float = 30.0,
        missing_share: float = 0.0,
    ) -> None:
        super().__init__(clock, "simulated camera")
        if width_px % 2 or height_px % 2 or min(width_px, height_px) < 64:
            raise DeviceError(
                f"The simulated camera's picture must be even-sized and at least 64 x 64 pixels, got "
                f"{width_px} x {height_px}. Set width_px and height_px in [camera] of study.toml."
            )
        if not fps > 0:
            raise DeviceError(f"The simulated camera needs more than 0 frames per second, got {fps:g}.")
        if not 0 <= missing_share < 1:
            raise DeviceError(f"The share of missing frames lies between 0 and 1, got {missing_share:g}.")
        self.participant = participant
        self.width_px, self.height_px, self.fps = width_px, height_px, fps
        self.missing_share = missing_share
        self._run_number = 0
        self._waiting: list[PlantedReaction] = []
        self._waiting_lock = threading.Lock()

    def describe(self) -> DeviceInfo:
        """Say what is simulated."""
        self._require_connected()
        return DeviceInfo(
            role=CAMERA,
            kind="simulated",
            model=_LENS_NAME,
            serial_number=f"SIM-{self.participant.seed}-{self.participant.code}",
            firmware="1",
            simulated=True,
            rates_hz={FRAMES.path: self.fps},
            width_px=self.width_px,
            height_px=self.height_px,
            details={
                "photograph": "Eileen Collins, NASA, public domain; expressions are warped by a computer",
                "missing_share": self.missing_share,
                "seed": self.participant.seed,
            },
        )

    def react(self, reaction: PlantedReaction) -> None:
        """Let the participant's face show what `reaction` says from its time on."""
        with self._waiting_lock:
            self._waiting.append(reaction)

    def _open(self) -> None:
        look = self.participant.rng("camera")
        drift_ppm, offset_us = float(look.normal(0.0, 20.0)), int(look.integers(10**7, 10**9))
        self._device_clock = DeviceClock(self.clock.now_us(), offset_us, drift_ppm)
        self._renderer = FaceRenderer(
            self.participant.appearance,
            self.width_px,
            self.height_px,
            self.participant.rng("sensor"),
            self.participant.config.noise,
        )

    def _begin(self, t_start_us: int) -> None:
        self._run_number += 1
        self._t0_us = float(t_start_us)
        self._interval_us = 1e6 / self.fps
        self._times_rng = self.participant.rng("frame times", self._run_number)
        self._frame_number = 0
        self._missed = 0
        self._next_us = self._t0_us + self._next_interval_us()
        self._motion_phase = self.participant.rng("head", self._run_number).uniform(0, 2 * np.pi, (5, 2))
        self._blink_rng = self.participant.rng("camera blinks", self._run_number)
        self._blink_start_s = self._next_blink_s(0.0)
        self._strengths = np.zeros(len(EMOTIONS))
        self._shown: list[PlantedReaction] = []
        self._last_s = 0.0

    def _next_interval_us(self) -> float:
        ratio = 1.0 + _INTERVAL_SPREAD * float(self._times_rng.standard_normal())
        return self._interval_us * float(np.clip(ratio, *_INTERVAL_BOUNDS))

    def _produce(self, sink: Sink, until_us: int) -> None:
        while self._next_us <= until_us:
            t_us = self._next_us
            number = self._frame_number
            self._frame_number += 1
            self._next_us = t_us + self._next_interval_us()
            lost = bool(self._times_rng.random() < self.missing_share)
            image = self._draw(t_us, number, visible=not lost)
            if image is None:
                self._missed += 1
                continue
            t_device_us = int(self._device_clock.read(np.array([t_us]))[0])
            missed, self._missed = self._missed, 0
            sink.frame(CapturedFrame(round(t_us), image, t_device_us, missed))

    def _draw(self, t_us: float, number: int, *, visible: bool) -> Image | None:
        """Move the face on to `t_us` and draw it; a lost frame moves the face all the same."""
        t_s = (t_us - self._t0_us) / 1e6
        strengths = self._strengths_at(t_us, t_s)
        eyes_closed = self._lids_at(t_s)
        if not visible:
            return None
        wave = [0.7 * np.sin(0.8 * t_s + slow) + 0.3 * np.sin(2.9 * t_s + fast) for slow, fast in self._motion_phase]
        image = self._renderer.draw(
            strengths,
            eyes_closed=eyes_closed,
            shift=(0.020 * wave[0], 0.012 * wave[1]),
            roll_deg=2.0 * wave[2],
            zoom=1.0 + 0.015 * wave[3],
            light=float(wave[4]),
        )
        write_frame_number(image, number)
        _write_caption(image, number)
        return image

    def _strengths_at(self, t_us: float, t_s: float) -> dict[str, float]:
        with self._waiting_lock:
            self._shown.extend(self._waiting)
            self._waiting.clear()
        self._shown.sort(key=lambda r: r.t_us)
        due_us = t_us - _FACE_LATENCY_S * 1e6
        while len(self._shown) > 1 and self._shown[1].t_us <= due_us:
            self._shown.pop(0)
        target = np.zeros(len(EMOTIONS))
        if self._shown and self._shown[0].t_us <= due_us:
            for emotion, intensity in self.participant.expression(self._shown[0]).items():
                target[EMOTIONS.index(emotion)] = intensity
        follow = 1.0 - np.exp(-(t_s - self._last_s) / _FACE_TIME_CONSTANT_S)
        self._last_s = t_s
        self._strengths += follow * (target - self._strengths)
        # An expression is never quite still; the size is ours.
        flutter = 1.0 + 0.08 * self.participant.config.noise * np.sin(1.9 * t_s + self._motion_phase[0, 0])
        now = np.clip(self._strengths * flutter, 0.0, 3.0)
        return {emotion: float(level) for emotion, level in zip(EMOTIONS, now, strict=True) if level > 0.03}

    def _next_blink_s(self, after_s: float) -> float:
        rate_hz = max(self.participant.traits.blink_rate_hz, 1e-3)
        return after_s + 0.3 + float(self._blink_rng.exponential(1.0 / rate_hz))

    def _lids_at(self, t_s: float) -> float:
        """Blink at the resting rate: what is felt must not be readable off the face."""
        duration_s = 0.22
        while t_s > self._blink_start_s + duration_s:
            self._blink_start_s = self._next_blink_s(self._blink_start_s + duration_s)
        share = (t_s - self._blink_start_s) / duration_s
        return float(np.sin(np.pi * share)) if 0 < share < 1 else 0.0


def _write_caption(image: Image, number: int) -> None:
    """Say in the picture that it is simulated."""
    size = image.shape[0] / 720.0
    place = (max(2, round(8 * size)), max(8, round(24 * size)))
    cv2.putText(image, f"SIMULATED {number:06d}", place, cv2.FONT_HERSHEY_PLAIN, max(0.5, 1.4 * size), (40, 40, 40), 1)
