"""What the operator must be told now: one list, worked out anew from all that is known.

Each alarm says what is wrong and what to do. ``error`` is red and beeps; a
``warning`` is amber and silent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from collection.console.light import face_warning, light_warning
from collection.console.messages import ERROR, NOTE, RECORDER, SESSION, WARNING
from collection.console.streams import FRAMES_STREAM, GAZE_STREAM, StreamState, stream_name

if TYPE_CHECKING:
    from collection.console.model import ConsoleModel

#: Seconds without a word of the recorder, which speaks ten times a second.
RECORDER_SILENT_S = 1.3
#: The session speaks four times a second, but may be busy for a moment.
SESSION_SILENT_S = 4.0
#: Share of samples lost by both eyes in the last 10 s; the study's own limit comes before it.
MAX_LOSS = 0.5
#: Residual SD of the clock model (ours; a Spectrum at 600 Hz has 0.23 ms).
MAX_CLOCK_RESIDUAL_US = 1000.0
#: Minutes of disk that must be left beyond the planned end.
DISK_SPARE_MIN, DISK_CRITICAL_MIN = 5.0, 3.0
#: Seconds before the face's absence, or a picture that stands still, is said.
NO_FACE_S, FROZEN_S = 3.0, 2.0
#: Head nearer or further than the study's distance by more than this share.
DISTANCE_TOLERANCE = 0.15
RATE_TOLERANCE = 0.05
#: A rate is judged after this time only: the first seconds have no full window.
RATE_FROM_S = 12.0

_SILENT_REMEDY = {
    GAZE_STREAM: "Check the eye tracker's cable and power; the recording goes on without gaze. Pause (P) if it stays.",
    FRAMES_STREAM: "Check the camera's cable; the recording goes on without video. Pause (P) if it stays.",
}
_TRACKER = "/eye/"
#: Keys of the session's alarms about streams.
_SAID_BY_STREAMS = ("silent ", "dropped")


@dataclass(frozen=True)
class Alarm:
    """One thing that is wrong.

    Parameters
    ----------
    key : str
        The same as long as it is the same trouble.
    level : str
        'error', 'warning' or 'note'.
    text, remedy : str
        What is wrong; what to do.
    """

    key: str
    level: str
    text: str
    remedy: str = ""


def current_alarms(model: ConsoleModel, now_s: float) -> list[Alarm]:
    """Return all alarms that hold now, the worst first."""
    found = [*_links(model, now_s), *_from_session(model, now_s)]
    if model.is_recording:
        found += [*_streams(model, now_s), *_eyes(model), *_clock_and_disk(model), *_cameras(model, now_s)]
    order = {ERROR: 0, WARNING: 1, NOTE: 2}
    return sorted(found, key=lambda alarm: order[alarm.level])


def _links(model: ConsoleModel, now_s: float) -> Iterator[Alarm]:
    session, recorder = model.links[SESSION], model.links[RECORDER]
    if model.ended is not None:
        return
    if session.was_connected and not session.connected and model.recorder_address is None:
        # No recorder runs: the session had not begun to record, or its file was closed before it went.
        yield Alarm(
            "link:session", NOTE, "The session is not there any more. No recording was running.",
            "Its terminal says why; emer status shows what is on file.",
        )  # fmt: skip
    elif session.was_connected and not session.connected:
        yield Alarm(
            "link:session", ERROR, "The session does not answer any more.",
            "Marks, pause and stop do not work from here. Look at the presenter's screen; the recorder saves what it "
            "has. If the session is gone, run: emer record resume",
        )  # fmt: skip
    elif session.connected and session.silent_s(now_s) > SESSION_SILENT_S and model.session_talks:
        yield Alarm(
            "silent:session", ERROR, f"The session has said nothing for {session.silent_s(now_s):.0f} s.",
            "It may hang. Look at the participant's screen; the recording itself goes on.",
        )  # fmt: skip
    if not model.recorder_expected:
        return
    if recorder.was_connected and not recorder.connected:
        yield Alarm(
            "link:recorder", ERROR, "The connection to the recorder is lost.",
            "The console tries again by itself. If the session goes on, so does the recording; stop (S) if it does not return.",
        )  # fmt: skip
    elif recorder.connected and recorder.silent_s(now_s) > RECORDER_SILENT_S and model.is_recording:
        yield Alarm(
            "silent:recorder", ERROR, f"The recorder has said nothing for {recorder.silent_s(now_s):.0f} s.",
            "Nothing is known about the streams. Pause (P); if it does not return, stop (S): the file is kept.",
        )  # fmt: skip


def _from_session(model: ConsoleModel, now_s: float) -> Iterator[Alarm]:
    for key, alarm in model.session_alarms.items():
        # The session says it as well, for those without a console; here the recorder is heard directly.
        if key.startswith(_SAID_BY_STREAMS) and model.recorder_heard(now_s):
            continue
        level = alarm.get("level")
        yield Alarm(f"session:{key}", level if level in (ERROR, WARNING) else NOTE, str(alarm.get("text")))


def _streams(model: ConsoleModel, now_s: float) -> Iterator[Alarm]:
    # A recorder that cannot be heard says nothing about its streams.
    if not model.recorder_heard(now_s):
        return
    tolerance = float(model.setup.get("rate_tolerance") or RATE_TOLERANCE)
    # One cable, one alarm: all that the eye tracker no longer delivers is said together.
    tracker = [
        stream for stream in model.streams.shown() if stream.name.startswith(_TRACKER) and stream.quiet_s(now_s) > 0
    ]
    if len(tracker) > 1:
        names = ", ".join(stream_name(stream.name) for stream in tracker)
        longest_s = max(stream.quiet_s(now_s) for stream in tracker)
        yield Alarm(
            f"silent:{tracker[0].name}", ERROR, f"NO DATA: {names}, for {longest_s:.0f} s", _SILENT_REMEDY[GAZE_STREAM]
        )
    for stream in model.streams.shown():
        quiet_s = stream.quiet_s(now_s)
        name = stream_name(stream.name)
        if quiet_s > 0 and stream in tracker and len(tracker) > 1:
            pass
        elif quiet_s > 0:
            remedy = _SILENT_REMEDY.get(stream.name, "Check that device; the rest is recorded.")
            yield Alarm(f"silent:{stream.name}", ERROR, f"NO DATA: {name}, for {quiet_s:.0f} s", remedy)
        elif _is_slow(stream, tolerance) and model.recording_s >= RATE_FROM_S:
            yield Alarm(
                f"rate:{stream.name}", WARNING,
                f"The {name} delivers {stream.rate_hz:.0f} Hz instead of {stream.nominal_hz:.0f}.",
                _rate_remedy(stream),
            )  # fmt: skip
        if stream.dropped:
            yield Alarm(
                f"dropped:{stream.name}", WARNING, f"{stream.dropped} {_unit(stream)} of the {name} were lost so far.",
                "This PC is too busy: close other programs.",
            )  # fmt: skip


def _is_slow(stream: StreamState, tolerance: float) -> bool:
    return stream.watched and stream.nominal_hz is not None and stream.rate_hz < stream.nominal_hz * (1 - tolerance)


def _unit(stream: StreamState) -> str:
    return "frames" if "frames" in stream.name else "rows"


def _rate_remedy(stream: StreamState) -> str:
    if "frames" in stream.name:
        return "A long exposure in a dark room halves the rate: more light, or a fixed exposure in study.toml."
    return "Check the tracker's rate in its own manager, its cable, and what else runs on this PC."


def _eyes(model: ConsoleModel) -> Iterator[Alarm]:
    loss = model.loss
    limit = float(model.setup.get("max_gaze_loss") or MAX_LOSS)
    left, right = loss.get("left"), loss.get("right")
    if left is not None and right is not None and min(left, right) > limit:
        yield Alarm(
            "loss:both", WARNING, f"Both eyes are lost {min(left, right):.0%} of the time (last 10 s).",
            "Ask the participant to sit as at the calibration; look at the head's position; wipe glasses.",
        )  # fmt: skip
    else:
        for eye, share in (("left", left), ("right", right)):
            if share is not None and share > limit:
                yield Alarm(
                    f"loss:{eye}", WARNING, f"The {eye} eye is lost {share:.0%} of the time (last 10 s).",
                    "Look at the head's position and for hair, lashes or reflections in glasses.",
                )  # fmt: skip
    distance, usual = model.head.get("distance_mm"), (model.setup.get("screen") or {}).get("distance_mm")
    if distance and usual and abs(distance - usual) > DISTANCE_TOLERANCE * usual:
        way = "back" if distance < usual else "closer"
        yield Alarm(
            "distance", WARNING, f"The head is {distance / 10:.0f} cm from the screen, planned are {usual / 10:.0f}.",
            f"Ask the participant to move {way}.",
        )  # fmt: skip


def _clock_and_disk(model: ConsoleModel) -> Iterator[Alarm]:
    residual = (model.status.get("clock") or {}).get("residual_us")
    if residual is not None and residual > MAX_CLOCK_RESIDUAL_US:
        yield Alarm(
            "clock", WARNING, f"The tracker's clock scatters by {residual / 1000:.1f} ms.",
            "Times may be off by that. Close other programs; check the cable.",
        )  # fmt: skip
    minutes = model.status.get("minutes_left_on_disk")
    if minutes is None:
        return
    needed = _minutes_needed(model.progress)
    if minutes < DISK_CRITICAL_MIN:
        yield Alarm(
            "disk", ERROR, f"The disk is full in {minutes:.0f} min.", "Make room now, or stop (S): the file is kept."
        )
    elif needed is not None and minutes < needed + DISK_SPARE_MIN:
        yield Alarm(
            "disk",
            WARNING,
            f"The disk lasts {minutes:.0f} min, the session needs {needed:.0f}.",
            "Make room on the disk.",
        )


def _minutes_needed(progress: dict[str, Any]) -> float | None:
    remaining = progress.get("remaining_s")
    return None if remaining is None else float(remaining) / 60


def _cameras(model: ConsoleModel, now_s: float) -> Iterator[Alarm]:
    for camera, state in model.pictures.items():
        stream = model.streams.streams.get(FRAMES_STREAM)
        # A camera that delivers nothing has a louder alarm already.
        if camera == 1 and stream is not None and stream.quiet_s(now_s) > 0:
            continue
        which = "The camera's" if camera == 1 else "The second camera's"
        if state.frozen_s > FROZEN_S:
            yield Alarm(
                f"frozen:{camera}", ERROR, f"{which} picture has stood still for {state.frozen_s:.0f} s.",
                "Plug the camera in again; pause (P) meanwhile.",
            )  # fmt: skip
            continue
        light = light_warning(state)
        if light:
            yield Alarm(f"light:{camera}", WARNING, *_split(light))
        face = face_warning(state) if camera == 1 else ""
        if face and (state.face is not None or state.no_face_s > NO_FACE_S):
            yield Alarm(f"face:{camera}", WARNING, *_split(face))


def _split(sentences: str) -> tuple[str, str]:
    """Part what is wrong from what to do."""
    first, _, rest = sentences.partition(". ")
    return (f"{first}.", rest) if rest else (sentences, "")
