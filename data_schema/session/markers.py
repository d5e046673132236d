"""Kinds of rows in ``/events/markers``.

A session's state is read off its markers: a file whose last word is not
``recording_closed`` was interrupted, and ``emer repair`` adds that it was.
"""

from __future__ import annotations

RECORDING_STARTED = "recording_started"
RECORDING_CLOSED = "recording_closed"
RECORDING_ABORTED = "recording_aborted"
REPAIRED = "repaired"

STEP_STARTED = "step_started"
STEP_ENDED = "step_ended"
TRIAL_STARTED = "trial_started"
TRIAL_ENDED = "trial_ended"
STIMULUS_ONSET = "stimulus_onset"
STIMULUS_OFFSET = "stimulus_offset"

OPERATOR_NOTE = "operator_note"
DEVICE_CONNECTED = "device_connected"
DEVICE_FAULT = "device_fault"
STREAM_SILENT = "stream_silent"
STREAM_BACK = "stream_back"
SAMPLES_DROPPED = "samples_dropped"
FRAMES_DROPPED = "frames_dropped"
CLOCK_STEPPED = "clock_stepped"
TIME_WENT_BACK = "time_went_back"
DISK_LOW = "disk_low"

#: Kind and meaning, for the reference page.
MARKER_KINDS: dict[str, str] = {
    RECORDING_STARTED: "The recorder began to write.",
    RECORDING_CLOSED: "The recorder closed the file in good order; nothing follows.",
    RECORDING_ABORTED: "The session was stopped before the end of its protocol; the message says why.",
    REPAIRED: "`emer repair` rebuilt the file after an interruption; the message says what was lost.",
    STEP_STARTED: "A step of the protocol began; the message names it.",
    STEP_ENDED: "A step of the protocol ended.",
    TRIAL_STARTED: "A trial began.",
    TRIAL_ENDED: "A trial ended.",
    STIMULUS_ONSET: "First flip of a stimulus; the message is its identifier.",
    STIMULUS_OFFSET: "Last flip of a stimulus.",
    OPERATOR_NOTE: "The operator wrote a note.",
    DEVICE_CONNECTED: "A device answered; the message says which.",
    DEVICE_FAULT: "A device reported a fault.",
    STREAM_SILENT: "A stream stopped delivering; the value is the seconds of silence.",
    STREAM_BACK: "A silent stream delivers again; the value is the seconds it was silent.",
    SAMPLES_DROPPED: "Tracker samples were lost; the value is how many, the message why.",
    FRAMES_DROPPED: "Camera frames were lost; the value is how many, the message why.",
    CLOCK_STEPPED: "The wall clock was set; the value is the step in microseconds.",
    TIME_WENT_BACK: "A stream's time stamps went back (the message names the table, the value is how many rows); "
    "all rows are kept in the order of arrival.",
    DISK_LOW: "The disk is nearly full; the value is the free space in bytes.",
}
