"""A device that misbehaves on request.

Wraps any device and spoils what it delivers, at a given time, so that the
recorder, the quality page and an operator's training can meet each fault
without breaking hardware. What the wrapped device can do, it still can: a
calibratable tracker stays one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from collection.devices.base import (
    Attentive,
    Calibratable,
    CalibrationOutcome,
    CalibrationSample,
    Device,
    DeviceInfo,
    PlantedReaction,
    Reactive,
    Scheduled,
    Sink,
)
from collection.devices.fault_sink import FaultySink
from collection.devices.faults import FAULT_KINDS, Fault
from data_schema.clocks import HostClock
from data_schema.errors import DeviceError

__all__ = ["FAULT_KINDS", "Fault", "FaultyDevice", "FaultyTracker"]

_FAILURE = "calibration_status_failure"
_LOST_EYE, _SEEN_EYE = "right", "left"


class FaultyDevice:
    """Any device, with faults.

    Parameters
    ----------
    device : Device
        The device that is wrapped.
    faults : sequence of Fault
        What goes wrong, and when; none is allowed.
    clock : HostClock
        Clock of the recording.

    Notes
    -----
    ``FaultyDevice(tracker, ...)`` of a calibratable tracker is a :class:`FaultyTracker`, so that
    whoever asks whether a device can be calibrated gets the wrapped device's answer.
    """

    def __new__(cls, device: Device, *arguments: Any, **named: Any) -> FaultyDevice:
        """Make the kind of wrapper that has the wrapped device's verbs."""
        kind = FaultyTracker if cls is FaultyDevice and isinstance(device, Calibratable) else cls
        return super().__new__(kind)

    def __init__(self, device: Device, faults: tuple[Fault, ...], clock: HostClock) -> None:
        self.device = device
        self.faults = tuple(faults)
        self.clock = clock
        self._filter: FaultySink | None = None

    def connect(self) -> None:
        """Connect the wrapped device, or fail if it is to be absent."""
        if any(fault.kind == "absent" for fault in self.faults):
            raise DeviceError("The device does not answer (a simulated fault). Remove the fault 'absent' to go on.")
        self.device.connect()

    def describe(self) -> DeviceInfo:
        """Say what the wrapped device is, and that it is to misbehave."""
        info = self.device.describe()
        names = [fault.kind for fault in self.faults]
        return replace(info, details={**info.details, "simulated_faults": names}) if names else info

    def start(self, sink: Sink) -> None:
        """Start the wrapped device; faults count from now."""
        spoiled = FaultySink(sink, self.faults, self.clock.now_us())
        self.device.start(spoiled)
        self._filter = spoiled

    def stop(self) -> None:
        """Stop the wrapped device; what a stall holds back is delivered first."""
        self.device.stop()
        if self._filter is not None:
            self._filter.finish()
            self._filter = None

    def close(self) -> None:
        """Stop and release the wrapped device."""
        self.stop()
        self.device.close()

    def stop_at(self, t_us: int) -> None:
        """Pass an end on, if the wrapped device works by schedule."""
        if isinstance(self.device, Scheduled):
            self.device.stop_at(t_us)

    def react(self, reaction: PlantedReaction) -> None:
        """Pass a reaction on, if the wrapped device is simulated."""
        if isinstance(self.device, Reactive):
            self.device.react(reaction)

    def look_at(self, t_us: int, target_norm: tuple[float, float] | None) -> None:
        """Pass a target on, if the wrapped device's participant looks at any; not while attention wanders."""
        if isinstance(self.device, Attentive):
            self.device.look_at(t_us, None if self._is_on("wandering") else target_norm)

    def _is_on(self, kind: str) -> bool:
        """Tell whether a fault holds now; faults count from the start of the device."""
        return self._filter is not None and self._filter.is_on(kind, self.clock.now_us())


class FaultyTracker(FaultyDevice):
    """A calibratable tracker with faults; see :class:`FaultyDevice`."""

    device: Any

    def calibration_begin(self, eyes: str) -> None:
        """Pass on; refused while the cable is out."""
        self._require_cable()
        self.device.calibration_begin(eyes)

    def calibration_collect(self, x: float, y: float) -> bool:
        """Pass on; too little data with 'collect_fails'."""
        self._require_cable()
        collected: bool = self.device.calibration_collect(x, y)
        if collected and self._is_on("collect_fails"):
            self.device.calibration_discard(x, y)
            return False
        return collected

    def calibration_discard(self, x: float, y: float) -> None:
        """Pass on."""
        self._require_cable()
        self.device.calibration_discard(x, y)

    def calibration_compute(self) -> CalibrationOutcome:
        """Pass on, unless it is to fail, to go wrong, or to lack an eye."""
        self._require_cable()
        if self._is_on("calibration_fails"):
            return CalibrationOutcome(False, _FAILURE)
        outcome: CalibrationOutcome = self.device.calibration_compute()
        if self._is_on("one_eye"):
            outcome = _without_the_lost_eye(outcome)
        if outcome.success and self._filter is not None:
            self._filter.calibrated(self.clock.now_us())
        return outcome

    def calibration_end(self) -> None:
        """Pass on; idempotent."""
        self.device.calibration_end()

    def calibration_data(self) -> bytes:
        """Pass on."""
        data: bytes = self.device.calibration_data()
        return data

    def calibration_apply(self, data: bytes) -> None:
        """Pass on; a bad calibration is gone with it."""
        self._require_cable()
        self.device.calibration_apply(data)
        if self._filter is not None:
            self._filter.calibrated(self.clock.now_us())

    def display_area(self) -> dict[str, list[float]] | None:
        """Pass on; None if the wrapped device knows of none."""
        found = getattr(self.device, "display_area", None)
        return None if found is None else found()

    def set_display_area(self, area: Mapping[str, Sequence[float]]) -> None:
        """Pass on."""
        self.device.set_display_area(area)

    def _require_cable(self) -> None:
        if self._is_on("disconnect"):
            self.device.calibration_end()
            raise DeviceError(
                "The eye tracker is not connected (a simulated fault), and it has left its calibration mode. Check its "
                "cable, then begin the calibration again."
            )


def _without_the_lost_eye(outcome: CalibrationOutcome) -> CalibrationOutcome:
    samples = tuple(
        CalibrationSample(sample.target_norm, sample.eye, (float("nan"), float("nan")), -1)
        if sample.eye == _LOST_EYE
        else sample
        for sample in outcome.samples
    )
    seen = any(sample.validity == 1 for sample in samples)
    if not outcome.success or not seen:
        return CalibrationOutcome(False, _FAILURE)
    return CalibrationOutcome(True, f"calibration_status_success_{_SEEN_EYE}_eye", samples)
