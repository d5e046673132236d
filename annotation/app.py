"""The annotator's application: Qt made ready, the window shown until it is closed.

Importing cv2 points Qt at OpenCV's own plugins, with which PyQt5 aborts the
process; psychopy may have chosen PyQt6's. `make_qt_ready` takes both out of the
environment, and has to run before the QApplication is made, after whatever
imported cv2. Afterwards cv2 does no harm.
"""

from __future__ import annotations

import locale
import logging
import logging.handlers
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from data_schema.errors import EmerError, MissingExtraError

if TYPE_CHECKING:
    from annotation.settings import SettingsFile
    from annotation.source import ClipSource

logger = logging.getLogger(__name__)

#: The binding that is tested; `QT_API` names another (pyqt6).
DEFAULT_BINDING = "pyqt5"
LOG_NAME = "annotate.log"
_LOG_BYTES = 1_000_000
#: Size at the start on a large screen; a smaller one is filled.
_WIDTH, _HEIGHT = 1600, 920


def make_qt_ready() -> None:
    """Choose the binding and forget other Qt's plugins; call it before QApplication is made."""
    os.environ.setdefault("QT_API", DEFAULT_BINDING)
    for name in ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_PLUGIN_PATH", "QT_QPA_FONTDIR"):
        path = os.environ.get(name, "").replace("\\", "/").lower()
        if "/cv2/" in path or path.endswith("/cv2") or "pyqt" in path or "pyside" in path:
            del os.environ[name]


def import_qt() -> None:
    """Import Qt.

    Raises
    ------
    MissingExtraError
        If qtpy or the binding is not installed.
    """
    make_qt_ready()
    try:
        import qtpy.QtWidgets  # noqa: F401
    except ImportError as error:
        missing = "qtpy" if (error.name or "") == "qtpy" else os.environ["QT_API"]
        raise MissingExtraError("annotate", missing, "The annotation window") from error


def make_application() -> Any:
    """Return the QApplication, sharp on screens of any scaling."""
    import_qt()
    from qtpy.QtCore import Qt
    from qtpy.QtGui import QGuiApplication
    from qtpy.QtWidgets import QApplication

    found = QApplication.instance()
    if found is not None:
        return found
    # Qt 6 always does this and has no such attributes.
    for name in ("AA_EnableHighDpiScaling", "AA_UseHighDpiPixmaps"):
        attribute = getattr(Qt.ApplicationAttribute, name, None)
        if attribute is not None:
            QApplication.setAttribute(attribute, True)
    QGuiApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    application = QApplication(sys.argv[:1])
    application.setApplicationName("emer annotate")
    # The same look on all systems, so that the style sheet fits everywhere.
    application.setStyle("Fusion")
    return application


def run_window(
    source: ClipSource, settings: SettingsFile, *, language: str = "", on_ready: Callable[[], None] | None = None
) -> int:
    """Show the window until it is closed; returns the exit status.

    Parameters
    ----------
    source : ClipSource
        Closed with the window.
    settings : SettingsFile
    language : str
        For this time only; empty: the annotator's, else the system's.
    on_ready : callable, optional
        Called once the first frame was painted.

    Raises
    ------
    EmerError
        If the label log cannot be opened, or is open in another window; shown before it is raised.
    """
    application = make_application()
    from annotation.desk.desk import Desk
    from annotation.texts import Texts
    from annotation.views.window import AnnotateWindow

    begin_log(settings.path.parent)
    texts = Texts(language or settings.settings.language or system_language())
    try:
        desk = Desk(source)
    except EmerError as error:
        from annotation.views.refusal import show_refusal

        show_refusal(error, texts)
        raise
    try:
        window = AnnotateWindow(desk, texts, settings)
    except BaseException:
        desk.close()
        raise
    _place(window, application)
    old_hook = sys.excepthook
    sys.excepthook = _failure_hook(window.say_failure)
    for number in (signal.SIGINT, signal.SIGTERM):
        # Python looks at its signals between two ticks of the window.
        signal.signal(number, lambda *_: window.close())
    if on_ready is not None:
        window.on_first_frame(on_ready)
    window.show()
    window.activateWindow()
    try:
        run = getattr(application, "exec", None) or application.exec_
        return int(run())
    finally:
        sys.excepthook = old_hook
        desk.close()


def system_language() -> str:
    """Return the system's language if there are texts in it, else English."""
    named = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    if not named:
        named = locale.getlocale()[0] or ""
    return "zh" if named.lower().startswith(("zh", "chinese")) else "en"


def begin_log(folder: Path) -> None:
    """Keep a log of bounded size beside the settings; go on without one if it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(
            folder / LOG_NAME, maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8"
        )
    except OSError:
        return
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(handler)


def _place(window: Any, application: Any) -> None:
    """Put the window in the middle of its screen, or let it fill a small one."""
    screen = application.primaryScreen()
    if screen is None:
        return
    room = screen.availableGeometry()
    if room.width() <= _WIDTH or room.height() <= _HEIGHT:
        window.setGeometry(room)
        window.setWindowState(window.windowState() | _maximised())
        return
    left, top = room.left() + (room.width() - _WIDTH) // 2, room.top() + (room.height() - _HEIGHT) // 2
    window.setGeometry(left, top, _WIDTH, _HEIGHT)


def _maximised() -> Any:
    from qtpy.QtCore import Qt

    return Qt.WindowState.WindowMaximized


def _failure_hook(
    tell: Callable[[str], None],
) -> Callable[[type[BaseException], BaseException, TracebackType | None], None]:
    """Return what Python does with an error that nobody caught in a slot: PyQt would end the process."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        logger.critical("unexpected error", exc_info=(kind, error, trace))
        tell(f"{kind.__name__}: {error}")

    return hook
