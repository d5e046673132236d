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

TRIAL_INTERRUPTED = "trial_interrupted"
TRIAL_SKIPPED = "trial_skipped"
CLIP_ENDED_EARLY = "clip_ended_early"
CLIP_HELD = "clip_held"
PARTICIPANT_STOPPED = "participant_stopped"
PAUSED = "paused"
WENT_ON = "went_on"
CONTINUES_RUN = "continues_run"

CALIBRATION_STARTED = "calibration_started"
CALIBRATION_ENDED = "calibration_ended"
CALIBRATION_CHOSEN = "calibration_chosen"
DRIFT_CHECKED = "drift_checked"
PREFLIGHT_OVERRIDDEN = "preflight_overridden"

OPERATOR_MARK = "operator_mark"
OPERATOR_NOTE = "operator_note"
CONSOLE_CONNECTED = "console_connected"
CONSOLE_LOST = "console_lost"
ENCODER_CHOSEN = "encoder_chosen"
CAMERA_LOST = "camera_lost"
RATE_LOW = "rate_low"
RATE_BACK = "rate_back"
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
    TRIAL_INTERRUPTED: "A trial was cut off; the message says by what. It gives no clip.",
    TRIAL_SKIPPED: "The operator skipped a trial; the message is its stimulus.",
    CLIP_ENDED_EARLY: "More than one frame at the end of a clip was not shown; the message says how many, the value is "
    "by how many seconds of the clip the last frame shown lies before its last one.",
    CLIP_HELD: "A clip stood still while the participant was asked whether to stop, and then went on; the value is for "
    "how many seconds. Its trial gives no clip: what was felt is no undisturbed reaction.",
    PARTICIPANT_STOPPED: "The participant asked to stop.",
    PAUSED: "The operator paused the session; the message says at which step.",
    WENT_ON: "The session went on after a pause; the value is its length in seconds.",
    CONTINUES_RUN: "This file goes on where an earlier run of the session ended; the value is that run's number.",
    CALIBRATION_STARTED: "A calibration, validation or recheck began; the value is the attempt's number.",
    CALIBRATION_ENDED: "It ended; the value is the attempt's number, the message its result.",
    CALIBRATION_CHOSEN: "From here on the calibration of this attempt is in use; the value is its number.",
    DRIFT_CHECKED: "A quick re-check between trials; the value is the mean offset in degrees.",
    PREFLIGHT_OVERRIDDEN: "The operator started in spite of a failed check; the message is the reason.",
    OPERATOR_MARK: "The operator set a mark.",
    OPERATOR_NOTE: "The operator wrote a note.",
    CONSOLE_CONNECTED: "An operator's console connected.",
    CONSOLE_LOST: "An operator's console is gone; the recording goes on.",
    ENCODER_CHOSEN: "Preset and picture size that this machine can encode without dropping; the message says which.",
    CAMERA_LOST: "A camera or its encoder failed; the message says why. The other streams go on.",
    RATE_LOW: "A stream delivers fewer rows a second than it should; the value is the rate in Hz.",
    RATE_BACK: "A stream delivers at its rate again; the value is the rate in Hz.",
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
