"""What all tests of the Tobii driver do: start it on the stand-in, feed it, read what it said."""

from __future__ import annotations

from typing import Any

from collection.devices import sdk
from collection.devices.simulated import SimulatedEyeTracker
from collection.devices.tobii import TobiiEyeTracker
from data_schema.clocks import SystemClock
from data_schema.session.layout import GAZE, OPENNESS, TIME_SYNC, USER_POSITION, Table

from ..device_lab import SCREEN, Collector, ManualClock, person, record
from ..tobii_stand_in import CONSTANTS

GAZE_STREAM = CONSTANTS["EYETRACKER_GAZE_DATA"]
STREAMS = {
    GAZE: GAZE_STREAM,
    OPENNESS: CONSTANTS["EYETRACKER_EYE_OPENNESS_DATA"],
    USER_POSITION: CONSTANTS["EYETRACKER_USER_POSITION_GUIDE"],
    TIME_SYNC: CONSTANTS["EYETRACKER_TIME_SYNCHRONIZATION_DATA"],
}


def simulated_source(seconds: float = 2.0) -> Collector:
    clock = ManualClock()
    tracker = SimulatedEyeTracker(clock, person(loss_share=0.2), SCREEN, 120.0)
    sink = record(tracker, clock, seconds)
    tracker.close()
    return sink


def samples_of(source: Collector, table: Table) -> list[dict[str, Any]]:
    return [sdk.sdk_dictionary(row, table) for row in source.table(table.path)]


def started(sink: Collector, **options: Any) -> TobiiEyeTracker:
    device = TobiiEyeTracker(SystemClock(), 600.0, **options)
    device.connect()
    device.start(sink)
    return device


def said_by(sink: Collector) -> str:
    return "\n".join(message for _, message, _, _ in sink.events)
