"""The operator, as the engine sees one: whoever sends commands, decides questions and wants to be told.

The operator's console is one implementation (``collection/console``), the keyboard of the
participant's screen another, a script a third. None of them may ever stop the session from going on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol


class CommandName(str, Enum):
    """What an operator can ask for while a session runs."""

    MARK = "mark"
    NOTE = "note"
    PAUSE = "pause"
    GO_ON = "go_on"
    SKIP = "skip"
    RECHECK = "recheck"
    RECALIBRATE = "recalibrate"
    STOP = "stop"


@dataclass(frozen=True)
class Command:
    """One request of the operator.

    Parameters
    ----------
    name : CommandName
        What is asked for.
    text : str
        The mark, the note, or the reason.
    t_system_us : int
        Host clock when the operator pressed the key.
    """

    name: CommandName
    text: str = ""
    t_system_us: int = 0


@dataclass(frozen=True)
class Question:
    """Something that the operator has to decide.

    Parameters
    ----------
    id : str
        Stable name, such as 'calibration' or 'preflight'.
    text : str
        What is to be decided, for people.
    choices : tuple of (str, str)
        Word and label of each choice; the first is the default of a script.
    reason_for : tuple of str
        Choices that need a reason, which is stored.
    data : dict
        What a console shows beside it; JSON types only.
    """

    id: str
    text: str
    choices: tuple[tuple[str, str], ...]
    reason_for: tuple[str, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """The operator's answer to a question."""

    choice: str
    reason: str = ""


class Operator(Protocol):
    """Whoever looks after the session. All methods return at once, but for `decide`."""

    def poll(self) -> list[Command]:
        """Return the commands since the last call, oldest first."""
        ...

    def decide(self, question: Question, should_stop: Callable[[], bool]) -> Decision | None:
        """Wait for an answer; None if `should_stop` said so first. Called on the session's thread."""
        ...

    def tell(self, message: dict[str, Any]) -> None:
        """Take a message for the console (kinds: docs of ``collection/console/messages.py``); never blocks."""
        ...
