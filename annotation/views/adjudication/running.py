"""Show the adjudicator's window until it is closed."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence

from annotation.adjudication.cases import Case
from annotation.adjudication.desk import AdjudicationDesk
from annotation.app import begin_log, make_application, system_language
from annotation.settings import SettingsFile
from annotation.source import ClipSource
from annotation.texts import Texts
from annotation.views.adjudication.window import AdjudicationWindow
from annotation.views.refusal import show_refusal
from data_schema.errors import EmerError

_WIDTH, _HEIGHT = 1600, 940


def run_adjudication(
    source: ClipSource,
    cases: Sequence[Case],
    settings: SettingsFile,
    *,
    language: str = "",
    on_shown: Callable[[AdjudicationWindow], None] | None = None,
) -> int:
    """Show the window until it is closed; returns the exit status.

    Parameters
    ----------
    source : ClipSource
        Closed with the window.
    cases : sequence of Case
    settings : SettingsFile
        Theme, language, size of the text and keys are those of the annotation window.
    language : str
        For this time only.
    on_shown : callable, optional
        Given the window once it stands on the screen.

    Raises
    ------
    EmerError
        If the adjudicator's log cannot be opened, or is open in another window; shown before it is raised.
    """
    application = make_application()
    begin_log(settings.path.parent)
    texts = Texts(language or settings.settings.language or system_language())
    try:
        desk = AdjudicationDesk(source, cases)
    except EmerError as error:
        show_refusal(error, texts)
        raise
    try:
        window = AdjudicationWindow(desk, texts, settings)
    except BaseException:
        desk.close()
        raise
    screen = application.primaryScreen()
    room = screen.availableGeometry() if screen is not None else None
    if room is not None and (room.width() <= _WIDTH or room.height() <= _HEIGHT):
        window.setGeometry(room)
        window.showMaximized()
    else:
        window.resize(_WIDTH, _HEIGHT)
        window.show()
    window.activateWindow()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Python looks at its signals between two ticks of the window.
        signal.signal(number, lambda *_: window.close())
    if on_shown is not None:
        on_shown(window)
    try:
        run = getattr(application, "exec", None) or application.exec_
        return int(run())
    finally:
        desk.close()
