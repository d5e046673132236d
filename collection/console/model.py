"""What the console knows: fed with messages, asked by views, without a window.

Views subscribe to topics; `flush` tells them once, however many messages came in
between. A topic is the kind of a message, or ``links``, ``alarms``, ``pictures``,
``marks`` and ``notice``. All methods belong to one thread.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from collection.console import messages
from collection.console.alarms import RECORDER_SILENT_S, Alarm, current_alarms
from collection.console.gaze_trail import EYES, GazeTrail
from collection.console.light import PictureState
from collection.console.messages import RECORDER, SESSION
from collection.console.participant_form import ParticipantForm
from collection.console.streams import GAZE_STREAM, StreamBook
from collection.protocol.operator import CommandName
from data_schema.clocks import host_ns
from data_schema.session import markers

LINKS, ALARMS, PICTURES, MARKS, NOTICE = "links", "alarms", "pictures", "marks", "notice"
_MAX_MARKERS = 500
#: Steps that are shown in the middle of a pause.
_IN_A_PAUSE = ("recheck_text", "recheck", "calibration_text", "calibration")
#: Why a command cannot be given now.
_WHY_NOT = {
    CommandName.GO_ON: "The session is not paused: there is nothing to go on with.",
    CommandName.PAUSE: "The session can be paused while it runs; now it does not, or it is paused already.",
    CommandName.SKIP: "A trial can be skipped while the session runs.",
    CommandName.STOP: "There is no session that could be stopped.",
}

Notify = Callable[[], None]
Send = Callable[[dict[str, Any]], bool]


@dataclass
class Link:
    """One of the two connections; times in seconds of the console's clock."""

    connected: bool = False
    was_connected: bool = False
    heard_s: float = 0.0
    n_connected: int = 0

    def silent_s(self, now_s: float) -> float:
        """Return for how long nothing has come."""
        return now_s - self.heard_s


@dataclass(frozen=True)
class Picture:
    """A camera picture as it came."""

    camera: int
    t_us: int
    jpeg: bytes
    arrived_s: float


@dataclass(frozen=True)
class Mark:
    """A mark or note of this console, and whether the recorder has it."""

    t_us: int
    text: str
    stored: bool = False


class ConsoleModel:
    """The console's state.

    Parameters
    ----------
    send : callable
        Takes a message for the session; False if nobody is there to hear it.
    clock_s : callable
        Seconds of a monotonic clock.
    host_us : callable
        The host clock of the recording, microseconds.
    """

    def __init__(
        self,
        send: Send,
        clock_s: Callable[[], float] = time.monotonic,
        host_us: Callable[[], int] = lambda: host_ns() // 1000,
    ) -> None:
        self._send = send
        self._clock_s = clock_s
        self._host_us = host_us
        self._subscribers: dict[str, list[Notify]] = {}
        self._dirty: set[str] = set()
        self.links = {RECORDER: Link(), SESSION: Link()}
        self.setup: dict[str, Any] = {}
        self.status: dict[str, Any] = {}
        self.head: dict[str, Any] = {}
        self.form: dict[str, Any] = {}
        self.preflight: dict[str, Any] = {}
        self.progress: dict[str, Any] = {}
        self.calibration: dict[str, Any] = {}
        self.question: dict[str, Any] | None = None
        self.ended: dict[str, Any] | None = None
        self.recorder_address: tuple[str, str] | None = None
        self.session_alarms: dict[str, dict[str, Any]] = {}
        self.streams = StreamBook()
        self.gaze = GazeTrail()
        self.frames: dict[int, Picture] = {}
        self.pictures: dict[int, PictureState] = {}
        self.markers: deque[dict[str, Any]] = deque(maxlen=_MAX_MARKERS)
        self.marks: list[Mark] = []
        self.alarms: list[Alarm] = []
        self.notice = ""
        self._progress_s = 0.0

    # ------------------------------------------------------------- subscribers

    def subscribe(self, topic: str, notify: Notify) -> None:
        """Call `notify` at the next `flush` after something of `topic` has changed."""
        self._subscribers.setdefault(topic, []).append(notify)

    def flush(self) -> None:
        """Work out the alarms, and tell each view once what has changed."""
        alarms = current_alarms(self, self._clock_s())
        if alarms != self.alarms:
            self.alarms = alarms
            self._dirty.add(ALARMS)
        # In the order of their topics: what happens does not hang on a hash.
        dirty, self._dirty = sorted(self._dirty), set()
        due = dict.fromkeys(notify for topic in dirty for notify in self._subscribers.get(topic, ()))
        for notify in due:
            notify()

    # -------------------------------------------------------------- what comes

    def take(self, feed: str, message: Mapping[str, Any], payload: bytes | None = None) -> None:
        """Take a message of the recorder's or the session's feed; what is not as declared is left out."""
        now_s = self._clock_s()
        link = self.links[feed]
        if link.silent_s(now_s) > RECORDER_SILENT_S and feed == RECORDER:
            self.streams.refresh(now_s)
        link.heard_s = now_s
        kind = str(message.get("kind"))
        if messages.problems_of(message):
            return
        handler = getattr(self, f"_take_{kind}", None)
        if handler is not None:
            handler(dict(message), payload, now_s)
            self._dirty.add(kind)

    def set_link(self, feed: str, connected: bool) -> None:
        """Note that a feed was connected or lost."""
        now_s = self._clock_s()
        link = self.links[feed]
        if connected and not link.connected:
            link.n_connected += 1
            link.was_connected, link.heard_s = True, now_s
            if feed == RECORDER:
                self.streams.refresh(now_s)
            else:
                # All that holds is sent again; what was closed in between is not.
                self.question = None
                self.session_alarms.clear()
                self._dirty |= {messages.QUESTION, messages.ALARM}
        link.connected = connected
        self._dirty.add(LINKS)

    def set_picture(self, camera: int, state: PictureState) -> None:
        """Take what was found in a camera's picture."""
        self.pictures[camera] = state
        self._dirty.add(PICTURES)

    def _take_status(self, message: dict[str, Any], _: bytes | None, now_s: float) -> None:
        self.status = message
        self.streams.take(message, now_s)

    def _take_gaze(self, message: dict[str, Any], _: bytes | None, __: float) -> None:
        self.gaze.take(message)

    def _take_head(self, message: dict[str, Any], _: bytes | None, __: float) -> None:
        self.head = message

    def _take_frame(self, message: dict[str, Any], payload: bytes | None, now_s: float) -> None:
        if payload:
            camera = int(message["camera"])
            self.frames[camera] = Picture(camera, int(message["t_us"]), payload, now_s)

    def _take_marker(self, message: dict[str, Any], _: bytes | None, __: float) -> None:
        self.markers.append(message)
        if message["marker"] in (markers.OPERATOR_MARK, markers.OPERATOR_NOTE):
            self._confirm_mark(int(message["t_us"]), str(message.get("message") or ""))

    def _take_setup(self, message: dict[str, Any], _: bytes | None, __: float) -> None:
        self.setup = message

    def _take_recorder(self, message: dict[str, Any], _: bytes | None, __: float) -> None:
        self.recorder_address = (message["address"], message["key_hex"]) if message["address"] else None

    def _take_form(self, message: dict[str, Any], _: bytes | None, __: float) -> None:
        self.form = message

    def _take_preflight(self, message: dict[str, Any], _: bytes | None, __: float) -> None:
        self.preflight = message

    def _take_session(self, message: dict[str, Any], _: bytes | None, now_s: float) -> None:
        self.progress, self._progress_s = message, now_s
        # A session that goes on has not ended: a resumed one comes after the summary of the first.
        if message["state"] in ("running", "paused", "setup"):
            self.ended = None

    def _take_calibration(self, message: dict[str, Any], _: bytes | None, __: float) -> None:
        self.calibration = message

    def _take_question(self, message: dict[str, Any], _: bytes | None, __: float) -> None:
        self.question = message

    def _take_question_closed(self, message: dict[str, Any], _: bytes | None, __: float) -> None:
        if self.question is not None and self.question["number"] == message["number"]:
            self.question = None
            self._dirty.add(messages.QUESTION)

    def _take_alarm(self, message: dict[str, Any], _: bytes | None, __: float) -> None:
        key = str(message.get("key") or message["text"])
        self.session_alarms.pop(key, None)
        if message["text"]:
            self.session_alarms[key] = message

    def _take_ended(self, message: dict[str, Any], _: bytes | None, __: float) -> None:
        self.ended, self.question = message, None
        # What went wrong on the way is among the summary's headlines.
        self.session_alarms.clear()
        self._dirty |= {messages.QUESTION, messages.ALARM}

    # ------------------------------------------------------------ what is known

    @property
    def is_recording(self) -> bool:
        """True while the recorder says that it records."""
        return self.ended is None and self.status.get("state") == "recording"

    @property
    def recorder_expected(self) -> bool:
        """True as long as the session says that there is a recorder, and it has not closed its file."""
        return self.recorder_address is not None and self.status.get("state") not in ("checking", "closed")

    @property
    def session_talks(self) -> bool:
        """True while the session reports its progress all the time."""
        return self.progress.get("state") in ("running", "paused")

    @property
    def recording_s(self) -> float:
        """Seconds since the file was made."""
        return float(self.status.get("uptime_s") or 0.0)

    @property
    def loss(self) -> dict[str, float | None]:
        """Share of gaze lost in the last 10 s by eye: the recorder's figures, else what the samples here say.

        Unknown while no gaze arrives: the last figures would look as if all were well.
        """
        if self.gaze_silent:
            return dict.fromkeys(EYES)
        told = self.status.get("loss") or {}
        return {eye: told[eye] if told.get(eye) is not None else self.gaze.loss(eye) for eye in EYES}

    @property
    def gaze_silent(self) -> bool:
        """True while a recorder runs that gets no gaze, or cannot be heard: what is known is not of now."""
        now_s, stream = self._clock_s(), self.streams.streams.get(GAZE_STREAM)
        if not self.is_recording:
            return False
        return not self.recorder_heard(now_s) or (stream is not None and stream.quiet_s(now_s) > 0)

    @property
    def is_paused(self) -> bool:
        """True while the operator's pause waits for its end; not while the tracker is checked in it."""
        paused = self.progress.get("paused") or self.progress.get("state") == "paused"
        return bool(paused) and self.progress.get("step") not in _IN_A_PAUSE

    @property
    def link_known(self) -> bool:
        """True once the session's feed was there."""
        return self.links[SESSION].was_connected

    def recorder_heard(self, now_s: float) -> bool:
        """Tell whether the recorder speaks."""
        link = self.links[RECORDER]
        return link.connected and link.silent_s(now_s) <= RECORDER_SILENT_S

    def clip_now(self) -> tuple[str, float] | None:
        """Return identifier and clip time (seconds) of the stimulus on the screen; None if there is none.

        The session's report is carried on by the clock until the next one.
        """
        stimulus = self.progress.get("stimulus_id")
        if not stimulus or self.ended is not None or self.progress.get("state") != "running":
            return None
        elapsed_s = float(self.progress.get("step_elapsed_s") or 0.0)
        if not self.progress.get("paused"):
            elapsed_s += min(self._clock_s() - self._progress_s, 1.0)
        planned_s = self.progress.get("step_planned_s")
        return str(stimulus), min(elapsed_s, float(planned_s)) if planned_s else elapsed_s

    def now_s(self) -> float:
        """Return the time of the console's clock."""
        return self._clock_s()

    # ------------------------------------------------------------- what is wanted

    def can(self, name: CommandName) -> bool:
        """Tell whether a command makes sense now."""
        if not self.links[SESSION].connected or self.ended is not None:
            return False
        state, paused = self.progress.get("state"), bool(self.progress.get("paused"))
        if name is CommandName.STOP:
            return bool(state) and state not in ("aborting", "complete", "aborted")
        if name is CommandName.GO_ON:
            return self.is_paused
        if name is CommandName.PAUSE:
            return state == "running" and not paused
        if name is CommandName.SKIP:
            return state == "running"
        return state in ("running", "paused")

    def command(self, name: CommandName, text: str = "") -> bool:
        """Send a command; False, with a notice, if it cannot be done now."""
        t_us = self._host_us()
        if not self.can(name):
            why = _WHY_NOT.get(name, f"{name.value.capitalize()} is possible while the session runs.")
            there = self.links[SESSION].connected or self.ended is not None
            self._say(why if there else "Not possible now: the session does not answer.")
            return False
        sent = self._send({"kind": messages.COMMAND, "name": name.value, "text": text, "t_system_us": t_us})
        if not sent:
            self._say(f"{name.value.replace('_', ' ').capitalize()} was not sent: the session does not answer.")
            return False
        if name in (CommandName.MARK, CommandName.NOTE):
            self.marks.append(Mark(t_us, text))
            self._dirty.add(MARKS)
        self._say("")
        return True

    def answer(self, choice: str, reason: str = "") -> bool:
        """Answer the open question; False, with a notice, if it cannot be answered so."""
        if self.question is None:
            return False
        if choice in (self.question.get("reason_for") or ()) and not reason.strip():
            self._say("This choice needs a reason, which is stored with the session.")
            return False
        asked = {"id": self.question["id"], "number": self.question["number"]}
        answer = {"kind": messages.ANSWER, **asked, "choice": choice, "reason": reason.strip()}
        if not self._send(answer):
            self._say("The answer was not sent: the session does not answer.")
            return False
        self._say("")
        return True

    def submit_form(self, form: ParticipantForm) -> bool:
        """Send the participant's form; the session checks it once more."""
        if not self._send(form.message()):
            self._say("The form was not sent: the session does not answer.")
            return False
        return True

    def _say(self, text: str) -> None:
        self.notice = text
        self._dirty.add(NOTICE)

    def _confirm_mark(self, t_us: int, text: str) -> None:
        for place, mark in enumerate(self.marks):
            if not mark.stored and mark.t_us == t_us:
                self.marks[place] = replace(mark, stored=True)
                break
        else:
            self.marks.append(Mark(t_us, text, stored=True))
        self._dirty.add(MARKS)
