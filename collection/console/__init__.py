"""The operator's console: a window in a process of its own, and the session's side of it.

``model`` knows no Qt and is all that a view looks at; ``operator`` is what the
session talks to. Nothing in the session ever waits for a console: it may be
closed, frozen, killed and started again.
"""

from __future__ import annotations

from collection.console.messages import KINDS, MessageKind, problems_of
from collection.console.operator import ConsoleOperator
from collection.console.participant_form import FormRequest, ParticipantForm

__all__ = ["KINDS", "ConsoleOperator", "FormRequest", "MessageKind", "ParticipantForm", "problems_of"]
