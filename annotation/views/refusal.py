"""What is shown in place of the window where it cannot open."""

from __future__ import annotations

from qtpy.QtWidgets import QMessageBox

from annotation.texts import Texts
from data_schema.errors import EmerError
from data_schema.labels import SeatTakenError


def show_refusal(error: EmerError, texts: Texts) -> None:
    """Show why, until it is read: who starts the tool from an icon sees no terminal."""
    box = QMessageBox(QMessageBox.Icon.Warning, texts("refusal.title"), refusal_text(error, texts))
    box.addButton(texts("refusal.close"), QMessageBox.ButtonRole.AcceptRole)
    (getattr(box, "exec", None) or box.exec_)()


def refusal_text(error: EmerError, texts: Texts) -> str:
    """Return the words for an error; a second window is what annotators meet, so its words are in their language."""
    if not isinstance(error, SeatTakenError):
        return str(error)
    if error.sitting is None:
        return texts("refusal.taken", annotator=error.annotator_id)
    return texts(
        "refusal.taken_by",
        annotator=error.annotator_id,
        host=error.sitting.host,
        pid=error.sitting.pid,
        since=error.sitting.since,
    )
