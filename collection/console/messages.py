"""All messages between a session and its consoles, declared once.

There are two feeds. The recorder's process sends what it measures (``RECORDER``),
the session's process what it does and asks (``SESSION``); a console answers on the
session's feed alone. Messages are JSON objects with a ``kind``; a ``frame`` is
followed by its picture as bytes. Fields that are not declared are ignored, so that
an older console understands a newer session.

``sticky`` kinds say how things are: the last one is sent again to each console
that connects. The others say what happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RECORDER = "recorder"
SESSION = "session"

# Sent by the recorder.
STATUS = "status"
GAZE = "gaze"
HEAD = "head"
FRAME = "frame"
MARKER = "marker"

# Sent by the session.
SETUP = "setup"
RECORDER_ADDRESS = "recorder"
FORM = "form"
PREFLIGHT = "preflight"
PROGRESS = "session"
CALIBRATION = "calibration"
QUESTION = "question"
QUESTION_CLOSED = "question_closed"
ALARM = "alarm"
ENDED = "ended"

# Sent by a console.
HELLO = "hello"
ALIVE = "alive"
BYE = "bye"
COMMAND = "command"
ANSWER = "answer"
PARTICIPANT_FORM = "participant_form"

#: Identifiers of the questions that a console shows in a way of their own.
CALIBRATION_QUESTION = "calibration"
PREFLIGHT_QUESTION = "preflight"
#: A choice ``use_3`` of the calibration's question takes attempt 3; the console offers it beside that attempt's plot.
USE_ATTEMPT = "use_"

#: Levels of a check or an alarm, the mildest first.
GOOD, NOTE, WARNING, ERROR = "good", "note", "warning", "error"
LEVELS = (GOOD, NOTE, WARNING, ERROR)


@dataclass(frozen=True)
class Field:
    """One field of a message.

    Parameters
    ----------
    name : str
    types : tuple of type
        JSON types that are allowed; a float may be an int.
    meaning : str
        With its unit where the name does not say it.
    optional : bool
        True if it may be missing or null.
    """

    name: str
    types: tuple[type, ...]
    meaning: str
    optional: bool = False


@dataclass(frozen=True)
class MessageKind:
    """One kind of message; ``feed`` is the one that it travels on, ``sticky`` whether the last one still holds."""

    name: str
    feed: str
    meaning: str
    fields: tuple[Field, ...] = ()
    sticky: bool = False
    to_console: bool = True


_TEXT, _NUMBER, _YES_NO, _LIST, _TABLE = (str,), (int, float), (bool,), (list, tuple), (dict,)


def _field(name: str, types: tuple[type, ...], meaning: str, optional: bool = False) -> Field:
    return Field(name, types, meaning, optional)


def _opt(name: str, types: tuple[type, ...], meaning: str) -> Field:
    return Field(name, types, meaning, optional=True)


_RECORDER_KINDS = (
    MessageKind(
        STATUS, RECORDER, "Counters of the recorder, about ten times a second.",
        (
            _field("t_us", _NUMBER, "Host clock of the snapshot."),
            _field("state", _TEXT, "preparing, recording, stopping, checking or closed."),
            _field("streams", _TABLE, "By stream: received, written, dropped, waiting, capacity, peak, rate_hz, silent_s."),
            _opt("nominal_hz", _TABLE, "By stream: the rate that the device announces."),
            _opt("effective_hz", _TABLE, "By stream: the rate of the last seconds."),
            _opt("loss", _TABLE, "left, right, both: share of gaze samples lost in the last 10 s."),
            _opt("clock", _TABLE, "offset_us, drift_ppm, residual_us of device against host clock."),
            _opt("planned_s", _NUMBER, "Planned length of the session."),
            _opt("free_bytes", _NUMBER, "Room on the disk; -1 if unknown."),
            _opt("minutes_left_on_disk", _NUMBER, "For how long the disk lasts at the present rate."),
            _opt("uptime_s", _NUMBER, "Real seconds since the file was made."),
        ),
        sticky=True,
    ),
    MessageKind(
        GAZE, RECORDER, "Gaze since the last such message, at most 60 samples a second.",
        (
            _field("t_us", _LIST, "Host clock of each sample."),
            _field("left", _LIST, "[x, y] of each sample, shares of the display area; null where there is none."),
            _field("right", _LIST, "The same of the right eye."),
            _field("left_valid", _LIST, "1 where the tracker vouches for it."),
            _field("right_valid", _LIST, "The same of the right eye."),
            _opt("left_pupil_mm", _LIST, "Pupil diameter; null where there is none."),
            _opt("right_pupil_mm", _LIST, "The same of the right eye."),
        ),
    ),
    MessageKind(
        HEAD, RECORDER, "Where the head is.",
        (
            _opt("left", _LIST, "Left eye in the track box, x, y, z from 0 to 1, 0.5 is best; null if it is not seen."),
            _opt("right", _LIST, "The same of the right eye."),
            _opt("distance_mm", _NUMBER, "Distance of the eyes; null if unknown."),
        ),
    ),
    MessageKind(
        FRAME, RECORDER, "A camera picture, followed by its JPEG bytes; at most ten a second.",
        (
            _field("camera", _NUMBER, "1 or 2."),
            _field("t_us", _NUMBER, "Host clock at capture."),
            _field("width", _NUMBER, "Pixels of the JPEG."),
            _field("height", _NUMBER, "Pixels of the JPEG."),
        ),
    ),
    MessageKind(
        MARKER, RECORDER, "A marker that goes to the session file.",
        (
            _field("t_us", _NUMBER, "Host clock."),
            _field("marker", _TEXT, "Kind, of data_schema.session.markers."),
            _opt("value", _NUMBER, "A number that belongs to it."),
            _opt("message", _TEXT, "One sentence for people."),
            _opt("trial_id", _NUMBER, "0 outside trials."),
        ),
    ),
)  # fmt: skip

_SESSION_KINDS = (
    MessageKind(
        SETUP, SESSION, "What does not change while the session runs.",
        (
            _field("title", _TEXT, "Title of the study."),
            _opt("screen", _TABLE, "width_px, height_px, width_mm, height_mm, distance_mm, refresh_hz."),
            _opt("stimuli", _TABLE, "File of each stimulus (absolute path) by its identifier."),
            _opt("silence_s", _NUMBER, "Silence of a stream that raises the recorder's alarm."),
            _opt("max_gaze_loss", _NUMBER, "Largest share of lost gaze that a clip may have."),
            _opt("rate_tolerance", _NUMBER, "Share by which a rate may lie below the nominal one."),
            _opt("rehearsal", _YES_NO, "True if devices are simulated or replayed."),
        ),
        sticky=True,
    ),
    MessageKind(
        RECORDER_ADDRESS, SESSION, "Where the recorder's feed is; an empty address while there is none.",
        (
            _field("address", _TEXT, "Of the recorder's live server."),
            _field("key_hex", _TEXT, "Its key."),
        ),
        sticky=True,
    ),
    MessageKind(
        FORM, SESSION, "The session waits for the participant's form, or does so no longer.",
        (
            _field("open", _YES_NO, "True while it waits."),
            _opt("code", _TEXT, "Suggested code: new and random."),
            _opt("session", _TEXT, "Suggested session."),
            _opt("used", _TABLE, "Sessions of each participant code that the study has."),
            _opt("consent", _TEXT, "paper: the operator enters the scopes; screen: the participant is asked."),
            _opt("scopes", _LIST, "Scopes of consent."),
            _opt("problem", _TEXT, "Why the last form was refused."),
        ),
        sticky=True,
    ),
    MessageKind(
        PREFLIGHT, SESSION, "The checks before the session, as far as they have come.",
        (
            _field("checks", _LIST, "Of each: check, level (or running, waiting), message, remedy, value."),
            _opt("running", _YES_NO, "True until the last check has ended."),
        ),
        sticky=True,
    ),
    MessageKind(
        PROGRESS, SESSION, "Where the session stands, about four times a second.",
        (
            _field("participant", _TEXT, "Code."),
            _field("session", _TEXT, "Name of the session."),
            _field("state", _TEXT, "setup, preflight, consent, ready, running, paused, aborting, complete or aborted."),
            _field("trial", _NUMBER, "Number of the trial; 0 before the first."),
            _field("n_trials", _NUMBER, "Trials of the plan."),
            _field("step", _TEXT, "Name of the step."),
            _opt("run", _NUMBER, "Number of the run; 2 and more after a resume."),
            _opt("stimulus_id", _TEXT, "The clip that is shown now; empty otherwise."),
            _opt("step_elapsed_s", _NUMBER, "Since the step began; of a clip, its clip time."),
            _opt("step_planned_s", _NUMBER, "Planned length of the step."),
            _opt("remaining_s", _NUMBER, "Until the planned end of the session."),
            _opt("paused", _YES_NO, "True while the operator's pause lasts."),
        ),
        sticky=True,
    ),
    MessageKind(
        CALIBRATION, SESSION, "All attempts so far.",
        (
            _field(
                "attempts", _LIST,
                "Of each: attempt_id, eyes, gate (passed, failed or empty), accuracy_deg, precision_rms_deg, loss "
                "(tables with left and right, numbers or null), points (of each validation target and eye: eye, "
                "target_norm, gaze_norm or null, accuracy_deg, precision_rms_deg, precision_sd_deg, loss).",
            ),
            _opt("limits", _TABLE, "accuracy_deg, precision_rms_deg, loss, as the study sets them."),
            _opt("chosen", _NUMBER, "Attempt in use; 0 for none."),
            _opt("drift_deg", _NUMBER, "Of the last re-check; null before the first."),
            _opt("max_drift_deg", _NUMBER, "From which a new calibration is advised."),
        ),
        sticky=True,
    ),
    MessageKind(
        QUESTION, SESSION, "The session waits for the operator's decision.",
        (
            _field("id", _TEXT, "Goes back with the answer."),
            _field("number", _NUMBER, "Which asking of it, since a question can come again; goes back with the answer."),
            _field("text", _TEXT, "What is to be decided."),
            _field("choices", _LIST, "[word, label] of each choice."),
            _opt("reason_for", _LIST, "Words of the choices that need a reason."),
            _opt("data", _TABLE, "What is shown beside it."),
            _opt("problem", _TEXT, "Why the last answer was refused."),
        ),
    ),
    MessageKind(
        QUESTION_CLOSED, SESSION, "The question was decided, here or elsewhere.",
        (
            _field("id", _TEXT, "Which question."),
            _field("number", _NUMBER, "Which asking of it."),
            _opt("choice", _TEXT, "What was decided; empty if it was withdrawn."),
            _opt("by", _TEXT, "console, keyboard or session."),
        ),
    ),
    MessageKind(
        ALARM, SESSION, "Something that the operator must know; an empty text takes it back.",
        (
            _field("text", _TEXT, "One sentence with what to do."),
            _field("level", _TEXT, "note, warning or error."),
            _opt("key", _TEXT, "A later alarm with the same key replaces it."),
        ),
    ),
    MessageKind(
        ENDED, SESSION, "The session is over.",
        (
            _field("reason", _TEXT, "complete or aborted, and why."),
            _opt("path", _TEXT, "The session file."),
            _opt("quality", _LIST, "Headlines: level, text."),
            _opt("quality_page", _TEXT, "File of the quality page."),
            _opt("next", _TEXT, "What to do next."),
        ),
        sticky=True,
    ),
)  # fmt: skip

_CONSOLE_KINDS = (
    MessageKind(
        HELLO, SESSION, "A console is there; all that holds is sent to it.",
        (_field("console", _TEXT, "Its own name, random."),), to_console=False,
    ),
    MessageKind(
        ALIVE, SESSION, "The console's window still answers; once a second.",
        (_field("console", _TEXT, "Its own name."),), to_console=False,
    ),
    MessageKind(
        BYE, SESSION, "The console was closed.",
        (_field("console", _TEXT, "Its own name."),), to_console=False,
    ),
    MessageKind(
        COMMAND, SESSION, "The operator asks for something.",
        (
            _field("name", _TEXT, "Of collection.protocol.operator.CommandName."),
            _opt("text", _TEXT, "Mark, note or reason."),
            _field("t_system_us", _NUMBER, "Host clock of the key."),
        ),
        to_console=False,
    ),
    MessageKind(
        ANSWER, SESSION, "The operator has decided.",
        (
            _field("id", _TEXT, "Of the question."),
            _field("number", _NUMBER, "Of the question, as it came."),
            _field("choice", _TEXT, "Word of the choice."),
            _opt("reason", _TEXT, "Where one is needed."),
        ),
        to_console=False,
    ),
    MessageKind(
        PARTICIPANT_FORM, SESSION, "The participant's form.",
        (
            _field("code", _TEXT, "Pseudonym."),
            _field("session", _TEXT, "Name of the session."),
            _field("facts", _TABLE, "Texts by key: vision_aid, dominant_eye, age_years, gender, note."),
            _opt("consent", _TABLE, "true or false by scope, if consent is on paper."),
        ),
        to_console=False,
    ),
)  # fmt: skip

#: Every message by its kind. The kind 'session' and the feed of that name are two things.
KINDS: dict[str, MessageKind] = {kind.name: kind for kind in (*_RECORDER_KINDS, *_SESSION_KINDS, *_CONSOLE_KINDS)}


def problems_of(message: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a message; an empty list if it is as declared."""
    kind = KINDS.get(str(message.get("kind")))
    if kind is None:
        return [f"there is no kind of message '{message.get('kind')}'; known: {', '.join(KINDS)}"]
    problems = []
    for field in kind.fields:
        value = message.get(field.name)
        if value is None:
            if not field.optional:
                problems.append(f"{kind.name}: the field '{field.name}' is missing")
        elif not isinstance(value, field.types) or (isinstance(value, bool) and bool not in field.types):
            wanted = " or ".join(sorted({t.__name__ for t in field.types}))
            problems.append(f"{kind.name}: '{field.name}' must be {wanted}, got {type(value).__name__}")
    return problems
