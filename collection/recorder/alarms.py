"""What is wrong in a running recording, in sentences that say what to do."""

from __future__ import annotations

import time
from collections.abc import Mapping

from collection.recorder.settings import FRAMES_STREAM, SECOND_FRAMES_STREAM, StreamStatus
from collection.recorder.watch import ClockWatch, DiskWatch
from data_schema.session.layout import GAZE, LSL_SAMPLES

#: Real seconds for which a step of the wall clock is told.
_STEP_TOLD_S = 60.0

_NAMES = {
    GAZE.path: "The eye tracker",
    FRAMES_STREAM: "The camera",
    SECOND_FRAMES_STREAM: "The second camera",
    LSL_SAMPLES.path: "A stream of the Lab Streaming Layer",
}
_WHEN_SILENT = {
    GAZE.path: "Check its cable and its lights; pause, and end the session if it does not come back.",
    FRAMES_STREAM: "Check its cable; it is recorded again as soon as it delivers. The gaze goes on.",
    SECOND_FRAMES_STREAM: "Check its cable; it is recorded again as soon as it delivers. All else goes on.",
    LSL_SAMPLES.path: "Check the program that sends it. All else goes on.",
}
_WHEN_SLOW = {
    GAZE.path: "Set its rate in Eye Tracker Manager or rate_hz in [eye_tracker] of study.toml, and try another USB port.",
    FRAMES_STREAM: "Give it more light, or set a shorter exposure_ms in [camera] of study.toml.",
    SECOND_FRAMES_STREAM: "Give it more light.",
    LSL_SAMPLES.path: "Check the program that sends it.",
}


def alarm_sentences(streams: Mapping[str, StreamStatus], clock: ClockWatch, disk: DiskWatch) -> tuple[str, ...]:
    """Return what is wrong now; empty if all is well.

    Parameters
    ----------
    streams : mapping of str to StreamStatus
        By name of the stream.
    clock : ClockWatch
        Knows when the wall clock was set.
    disk : DiskWatch
        Knows how much room there is.
    """
    said: list[str] = []
    for name, stream in streams.items():
        # Other tables of a tracker fall silent with its gaze: one sentence is enough.
        if name not in _NAMES:
            continue
        if stream.lost:
            said.append(f"{_NAMES[name]} is not recorded: {stream.lost}. {_WHEN_SILENT[name]}")
        elif stream.silent_s:
            said.append(f"{_NAMES[name]} has been silent for {stream.silent_s:.1f} s. {_WHEN_SILENT[name]}")
        elif stream.slow:
            said.append(
                f"{_NAMES[name]} delivers {stream.rate_hz:.0f} a second instead of {stream.expected_hz:.0f}. "
                f"{_WHEN_SLOW[name]}"
            )
    if disk.low:
        said.append(f"{disk.say_low()}.")
    if clock.last_step is not None and time.monotonic() - clock.last_step[1] < _STEP_TOLD_S:
        said.append(
            f"The computer's clock was set by {clock.last_step[0] / 1e6:+.1f} s. The recording is not affected; "
            "switch automatic time setting off for the next session."
        )
    return tuple(said)
