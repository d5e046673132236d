"""The Qt application of the console: made, run until it is closed, taken apart."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

from PyQt5.QtCore import QTimer, QUrl
from PyQt5.QtGui import QDesktopServices
from PyQt5.QtWidgets import QApplication

from collection.console.clip_player import ClipPlayer
from collection.console.face_watch import FaceWatch
from collection.console.link import ConsoleLink
from collection.console.model import ConsoleModel
from collection.console.starting import forget_other_qt, participants_screen
from collection.console.views.window import ConsoleWindow

#: Size at the start on a large screen; on a smaller one the window fills it.
_WIDTH, _HEIGHT = 1680, 980


def run_window(link: ConsoleLink, on_ready: Callable[[], None] | None = None) -> int:
    """Show the console until it is closed; returns the exit status.

    Parameters
    ----------
    link : ConsoleLink
        Not started yet.
    on_ready : callable, optional
        Called when the window was painted for the first time.
    """
    # Libraries that were imported on the way here may have imported cv2.
    forget_other_qt()
    application = QApplication(sys.argv[:1])
    model = ConsoleModel(link.send)
    player, faces = ClipPlayer(), FaceWatch()
    window = ConsoleWindow(model, lambda: link.pump(model), player, faces, _open_file)
    _place(window, application, participants_screen(link.address_file.parent))
    # Ctrl-C and a polite kill close the window; Qt's loop looks at Python's signals between two ticks.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: QTimer.singleShot(0, window.close))

    def begin() -> None:
        # After the first picture: neither a library nor a connection delays the window.
        link.start()
        player.start()
        faces.start()
        if on_ready is not None:
            on_ready()

    window.on_first_paint(begin)
    window.show()
    try:
        return int(application.exec_())
    finally:
        link.close()
        player.close()
        faces.close()


def _place(window: ConsoleWindow, application: QApplication, taken: int) -> None:
    """Put the window on a monitor that is not the participant's, if there are two."""
    screens = application.screens()
    if not screens:
        return
    free = [screen for number, screen in enumerate(screens) if number != taken]
    room = (free or screens)[0].availableGeometry()
    window.setGeometry(
        room.left() + max(0, (room.width() - _WIDTH) // 2), room.top() + max(0, (room.height() - _HEIGHT) // 2),
        min(_WIDTH, room.width()), min(_HEIGHT, room.height()),
    )  # fmt: skip


def _open_file(path: str) -> bool:
    return bool(QDesktopServices.openUrl(QUrl.fromLocalFile(path)))
