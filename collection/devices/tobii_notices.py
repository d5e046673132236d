"""What a Tobii Pro tracker says beside its samples, as rows and as sentences.

Every notification becomes a row of ``/eye/notifications`` under the SDK's own
name. Those that an operator should know of also become a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Notifications that are kept, by their name in the SDK behind EYETRACKER_NOTIFICATION_.
NOTIFICATION_NAMES = (
    "CALIBRATION_CHANGED",
    "CALIBRATION_MODE_ENTERED",
    "CALIBRATION_MODE_LEFT",
    "CONNECTION_LOST",
    "CONNECTION_RESTORED",
    "DEVICE_FAULTS",
    "DEVICE_WARNINGS",
    "DISPLAY_AREA_CHANGED",
    "EYE_TRACKING_MODE_CHANGED",
    "GAZE_OUTPUT_FREQUENCY_CHANGED",
    "STREAM_BUFFER_OVERFLOW",
)
_SENTENCES = {
    "CONNECTION_LOST": "eye tracker: the connection was lost; check its cable and power. The recording goes on",
    "CONNECTION_RESTORED": "eye tracker: the connection is back",
    "DEVICE_FAULTS": "eye tracker: it reports a fault: {message}",
    "DEVICE_WARNINGS": "eye tracker: it warns: {message}",
    "DISPLAY_AREA_CHANGED": "eye tracker: its display area was changed to {message}; gaze before and after does not "
    "compare",
    "EYE_TRACKING_MODE_CHANGED": "eye tracker: its eye tracking mode was changed",
    "GAZE_OUTPUT_FREQUENCY_CHANGED": "eye tracker: its rate was changed to {message}",
    "STREAM_BUFFER_OVERFLOW": "eye tracker: samples were lost in the SDK's buffer ({message}); the machine is too busy",
}
#: What a notification may say beside its time.
_DETAILS = ("faults", "warnings", "notification_source_stream", "message")
#: What to do about an error of a stream, by the SDK's word for it.
_STREAM_ERROR_STEPS = {
    "stream_error_connection_lost": "check its cable and power",
    "stream_error_insufficient_license": "the tracker needs a licence for this stream",
    "stream_error_not_supported": "this model does not have the stream",
    "stream_error_too_many_subscribers": "close other programs that use the tracker",
    "stream_error_internal_error": "unplug the tracker and plug it in again if it goes on",
    "stream_error_user_error": "this is a fault of the toolkit; please report it with the session's log",
}


@dataclass(frozen=True)
class Notice:
    """One thing that the tracker said.

    Parameters
    ----------
    kind, message : str
        For the row.
    t_system_us : int or None
        The SDK's stamp; None if there is none.
    sentence : str
        For the operator; empty if it is of no concern.
    """

    kind: str
    message: str
    t_system_us: int | None = None
    sentence: str = ""


def notification(name: str, data: Any) -> Notice:
    """Read a notification; `data` is the SDK's dictionary or object."""
    message = ""
    if name == "DISPLAY_AREA_CHANGED":
        message = describe_area(_field(data, "display_area"))
    elif name == "GAZE_OUTPUT_FREQUENCY_CHANGED":
        rate = _field(data, "gaze_output_frequency")
        message = f"{float(rate):g} Hz" if rate is not None else ""
    else:
        message = next((str(value) for value in (_field(data, word) for word in _DETAILS) if value), "")
    sentence = _SENTENCES.get(name, "").format(message=message or "no details")
    return Notice(name, message, _stamp(data), sentence)


def stream_error(data: Any) -> Notice:
    """Read an error of a stream; what a callback raised shows here and nowhere else."""
    error, source = str(_field(data, "error") or ""), str(_field(data, "source") or "")
    message = str(_field(data, "message") or "")
    words = ", ".join(word.removeprefix("stream_error_").replace("_", " ") for word in (error, source) if word)
    said = ": ".join(part for part in (words, message) if part) or str(data)
    step = _STREAM_ERROR_STEPS.get(error, "see the session's log")
    return Notice("STREAM_ERROR", said, _stamp(data), f"eye tracker: a stream failed ({said}); {step}")


def external_signal(data: Any) -> Notice:
    """Read a change of the tracker's TTL input."""
    change = str(_field(data, "change_type") or "").removeprefix("external_signal_change_type_")
    message = f"value {_field(data, 'value')}, {change}, device {_field(data, 'device_time_stamp')}"
    return Notice("EXTERNAL_SIGNAL", message, _stamp(data))


def describe_area(area: Any) -> str:
    """Say a display area in millimetres; `area` is the SDK's dictionary or object."""
    corners = []
    for name in ("top_left", "top_right", "bottom_left"):
        corner = _field(area, name)
        if corner is None:
            return ""
        corners.append(f"{name} " + ", ".join(f"{float(v):.1f}" for v in corner))
    return "; ".join(corners) + " mm"


def _field(data: Any, name: str) -> Any:
    return data.get(name) if isinstance(data, Mapping) else getattr(data, name, None)


def _stamp(data: Any) -> int | None:
    stamp = _field(data, "system_time_stamp")
    return int(stamp) if stamp else None
