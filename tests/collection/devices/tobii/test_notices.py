"""What the Tobii driver says of what the tracker and the SDK tell it."""

from __future__ import annotations

from typing import Any

import numpy as np

from collection.devices.tobii_notices import NOTIFICATION_NAMES
from data_schema.clocks import SystemClock
from data_schema.session.layout import NOTIFICATIONS

from ..device_lab import Collector
from ..tobii_stand_in import CONSTANTS, EyeTracker
from .driver_lab import said_by, started


def test_every_notification_is_a_row_and_faults_are_sentences(tracker: EyeTracker) -> None:
    area = {"top_left": (0.0, 1.0, 2.0), "top_right": (3.0, 1.0, 2.0), "bottom_left": (0.0, 0.0, 2.0)}
    details: dict[str, dict[str, Any]] = {
        "DEVICE_FAULTS": {"faults": "eye camera,illuminator"},
        "DEVICE_WARNINGS": {"warnings": "hot"},
        "DISPLAY_AREA_CHANGED": {"display_area": area},
        "GAZE_OUTPUT_FREQUENCY_CHANGED": {"gaze_output_frequency": 60.0},
        "STREAM_BUFFER_OVERFLOW": {"notification_source_stream": "stream_gaze_data"},
    }
    sink = Collector()
    device = started(sink)
    before_us = SystemClock().now_us()
    for name in NOTIFICATION_NAMES:
        tracker.notify(name, **details.get(name, {}))
    device.close()
    rows = sink.table(NOTIFICATIONS.path)
    assert [kind.decode() for kind in rows["kind"]] == list(NOTIFICATION_NAMES)
    assert np.all(rows["t_system_us"] >= before_us)
    messages = dict(zip(NOTIFICATION_NAMES, (text.decode() for text in rows["message"]), strict=True))
    assert messages["DEVICE_FAULTS"] == "eye camera,illuminator"
    assert messages["DISPLAY_AREA_CHANGED"].startswith("top_left 0.0, 1.0, 2.0; top_right 3.0")
    assert messages["GAZE_OUTPUT_FREQUENCY_CHANGED"] == "60 Hz"
    said = said_by(sink)
    assert "check its cable" in said
    assert "reports a fault: eye camera,illuminator" in said
    assert "warns: hot" in said
    assert "samples were lost in the SDK's buffer (stream_gaze_data)" in said
    # Entering and leaving the calibration is no fault.
    assert len(sink.events) == len(NOTIFICATION_NAMES) - 3


def test_an_error_that_the_sdk_swallowed_is_said(tracker: EyeTracker) -> None:
    sink = Collector()
    device = started(sink)
    tracker.deliver(
        CONSTANTS["EYETRACKER_STREAM_ERRORS"],
        {
            "system_time_stamp": 5_000,
            "error": "stream_error_too_many_subscribers",
            "source": "stream_error_source_subscription_gaze_data",
            "message": "no room",
        },
    )
    device.close()
    row = sink.table(NOTIFICATIONS.path)[0]
    assert (row["kind"], row["t_system_us"]) == (b"STREAM_ERROR", 5_000)
    assert "no room" in said_by(sink)
    assert "close other programs" in said_by(sink)


def test_a_ttl_signal_is_kept_beside_the_notifications(tracker: EyeTracker) -> None:
    sink = Collector()
    device = started(sink)
    signal = {"value": 5, "change_type": "external_signal_change_type_value_changed"}
    tracker.deliver(
        CONSTANTS["EYETRACKER_EXTERNAL_SIGNAL"], {**signal, "device_time_stamp": 77, "system_time_stamp": 88}
    )
    device.close()
    row = sink.table(NOTIFICATIONS.path)[0]
    assert (row["kind"], row["t_system_us"]) == (b"EXTERNAL_SIGNAL", 88)
    assert row["message"] == b"value 5, value_changed, device 77"
    assert sink.events == []
