"""The operator's console: a window in a process of its own, and the session's side of it.

``model`` knows no Qt and is all that a view looks at; ``operator`` is what the
session talks to. Nothing in the session ever waits for a console: it may be
closed, frozen, killed and started again.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collection.console.messages import KINDS, MessageKind, problems_of
    from collection.console.operator import ConsoleOperator
    from collection.console.participant_form import FormRequest, ParticipantForm

#: Module of each public name. Imported when asked for: the window must be there soon.
_HOME = {
    "KINDS": "messages",
    "MessageKind": "messages",
    "problems_of": "messages",
    "ConsoleOperator": "operator",
    "FormRequest": "participant_form",
    "ParticipantForm": "participant_form",
}

__all__ = [
    "KINDS",
    "ConsoleOperator",
    "FormRequest",
    "MessageKind",
    "ParticipantForm",
    "problems_of",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
