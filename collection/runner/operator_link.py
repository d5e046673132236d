"""The operator's side of a session: the console or the terminal, and what they are told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from collection.preflight import Check, new_participant, used_sessions
from collection.preflight.codes import free_session
from collection.protocol.operator import Decision, Operator, Question
from collection.recorder import Recorder
from collection.runner.ending import next_step, summary_line
from collection.runner.operators import AutomaticOperator, ScriptedOperator, TerminalOperator
from collection.runner.request import SessionEvents, SessionRequest, SessionResult
from data_schema.errors import EmerError
from data_schema.session import markers
from data_schema.study.folder import StudyFolder

if TYPE_CHECKING:
    from collection.console import ConsoleOperator, ParticipantForm

logger = logging.getLogger(__name__)

#: Real seconds that a console has for appearing before the session goes on without it.
CONSOLE_START_S = 15.0


class OperatorLink:
    """Ask and tell whoever looks after the session.

    Parameters
    ----------
    request : SessionRequest
        Says whether there is a console.
    study : StudyFolder
    events : SessionEvents
        Hears every sentence, too.
    """

    def __init__(self, request: SessionRequest, study: StudyFolder, events: SessionEvents) -> None:
        self._request = request
        self._study = study
        self._events = events
        self._console: ConsoleOperator | None = None
        self._recorder: Recorder | None = None
        self.operator: Operator = ScriptedOperator()

    def open(self, stack: ExitStack) -> None:
        """Open the console, or find out who else can be asked; closed with `stack`."""
        request = self._request
        if not request.console:
            if not request.scripted and TerminalOperator.possible():
                self.operator = TerminalOperator(self._events.say)
            return
        from collection.console import ConsoleOperator
        from collection.console.starting import ADDRESS_FILE_NAME

        console = stack.enter_context(
            ConsoleOperator(
                request.study.root / ADDRESS_FILE_NAME,
                on_connected=lambda said: self._mark(markers.CONSOLE_CONNECTED, said),
                on_lost=self._console_lost,
            )
        )
        self._console = console
        self.operator = AutomaticOperator(console) if request.scripted else console
        self.tell(self._setup())
        console.start_console()
        self._events.doing("waiting for the console")
        if not console.wait_for_console(CONSOLE_START_S):
            self.say(f"No console came up; the session goes on without it. Try: emer record console {self._study.root}")

    @property
    def nobody(self) -> bool:
        """True if there is nobody who could decide anything."""
        return type(self.operator) in (ScriptedOperator, AutomaticOperator)

    @property
    def has_console(self) -> bool:
        """True if a console is served."""
        return self._console is not None

    # ---------------------------------------------------------------------- asking

    def ask_form(self, should_stop: Callable[[], bool]) -> ParticipantForm | None:
        """Ask for the participant's form on the console; None if `should_stop` said so first.

        Raises
        ------
        EmerError
            If there is no console.
        """
        if self._console is None:
            raise EmerError("there is no console on which a form could be filled in; name a --participant")
        from collection.console import FormRequest
        from collection.protocol import asked_scopes

        self._events.doing("waiting for the participant's form on the console")
        used = used_sessions(self._study)
        code = new_participant(self._study)
        config = self._study.config
        wanted = FormRequest(
            code, free_session(used.get(code, [])), used, config.protocol.consent, asked_scopes(config)
        )
        return self._console.ask_form(wanted, should_stop)

    def decide(self, question: Question, should_stop: Callable[[], bool]) -> Decision | None:
        """Ask the operator."""
        if self._console is not None and not self.nobody:
            self.say(f"Waiting for a decision on the console. {question.text}")
        return self.operator.decide(question, should_stop)

    # --------------------------------------------------------------------- telling

    def say(self, text: str) -> None:
        """Say a sentence on the terminal and in the log."""
        logger.info("%s", text)
        self._events.say(text)

    def alarm(self, text: str, level: str, key: str) -> None:
        """Raise an alarm on console and terminal; an empty text takes it back."""
        if text:
            self.say(text)
        self.tell({"kind": "alarm", "text": text, "level": level, "key": key})

    def tell(self, message: dict[str, Any]) -> None:
        """Tell the console."""
        self.operator.tell(message)

    def state(self, result: SessionResult, state: str) -> None:
        """Tell where the session stands before its first step."""
        resume = self._request.resume
        self.tell(
            {
                "kind": "session", "participant": result.participant, "session": result.session, "state": state,
                "trial": 0, "n_trials": 0, "step": state, "run": resume.run if resume is not None else 1,
            }
        )  # fmt: skip

    def checks(self, checks: Sequence[Check], *, running: bool) -> None:
        """Tell what the pre-flight has found so far."""
        self.tell({"kind": "preflight", "checks": [check.as_dict() for check in checks], "running": running})

    def ended(self, result: SessionResult) -> None:
        """Tell how the session ended."""
        headlines = [{"level": "warning", "text": text} for text in result.warnings] or [
            {"level": "good", "text": "`emer check` has nothing to say"}
        ]
        self.tell(
            {
                "kind": "ended",
                "reason": summary_line(result),
                "path": str(result.path) if result.path is not None else "",
                "quality": headlines if result.summary is not None else [],
                "quality_page": str(result.quality_page) if result.quality_page is not None else "",
                "next": next_step(result, self._study),
            }
        )

    def _setup(self) -> dict[str, Any]:
        config = self._study.config
        return {
            "kind": "setup",
            "title": config.study.title,
            "screen": config.screen.model_dump(mode="json"),
            "stimuli": {item.id: str((self._study.stimuli_dir / item.file).absolute()) for item in config.stimuli},
            "silence_s": config.recording.silence_s,
            "max_gaze_loss": config.quality.max_gaze_loss,
            "rate_tolerance": config.preflight.rate_tolerance,
            "rehearsal": self._request.rehearsal,
        }

    # -------------------------------------------------------------------- recorder

    def follow(self, recorder: Recorder | None) -> None:
        """Show the recorder's live feed on the console, and mark in its file when consoles come and go; None ends it."""
        self._recorder = recorder
        if self._console is not None:
            self._console.set_recorder(recorder.live if recorder is not None else None)
            if recorder is not None and self._console.connected:
                # It was there before there was a file to say so.
                self._mark(markers.CONSOLE_CONNECTED, "a console is there since before the recording")

    def _console_lost(self, said: str) -> None:
        self._mark(markers.CONSOLE_LOST, said)
        self.say(f"{said}; the session goes on. Open one again with: emer record console {self._study.root}")

    def _mark(self, kind: str, message: str) -> None:
        """Put a marker into the file, if there is one now; a dead recorder is said elsewhere."""
        if self._recorder is not None:
            with suppress(EmerError):
                self._recorder.marker(kind, message)
