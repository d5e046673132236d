"""The annotator's window on Qt's own screen, with keys and clicks that go through the event loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from annotation.settings import SettingsFile
from annotation.source import ClipSource
from data_schema.labels import read_labels, read_log

from .conftest import wait_for

#: Happiness, valence 7, arousal 6, intensity 2, fairly sure, Enter: polarity is suggested and passed over.
FULL_LABEL = ("1", "7", "6", "2", "3", "Return")


class Shown:
    """A window at work."""

    def __init__(self, application: Any, source: ClipSource, settings: Path, size: tuple[int, int]) -> None:
        from annotation.desk.desk import Desk
        from annotation.texts import Texts
        from annotation.views.window import AnnotateWindow

        self.application = application
        self.settings = SettingsFile(settings)
        self.desk = Desk(source)
        self.window = AnnotateWindow(self.desk, Texts(self.settings.settings.language or "en"), self.settings)
        self.window.resize(*size)
        self.window.show()
        self.window.activateWindow()
        self.until(lambda: self.desk.player.image is not None or self.desk.media_error is not None)

    def until(self, what: Callable[[], object]) -> None:
        """Let the event loop run until a condition holds."""

        def step() -> object:
            self.application.processEvents()
            return what()

        wait_for(step)

    def settle(self) -> None:
        """Let all that waits be done."""
        self.until(lambda: self.desk.player.frames is None or self.desk.player.index == self.desk.player.target)
        self.application.processEvents()

    def press(self, *names: str, on: Any = None) -> None:
        """Press keys, by Qt's names, with modifiers such as ``Ctrl+Z``."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        for name in names:
            *modifiers, last = name.split("+")
            flags = Qt.KeyboardModifier.NoModifier
            for modifier in modifiers:
                flags |= getattr(Qt.KeyboardModifier, {"Ctrl": "Control"}.get(modifier, modifier) + "Modifier")
            key = getattr(Qt.Key, f"Key_{last}")
            QTest.keyClick(on or self.application.focusWidget() or self.window, key, flags)
            self.settle()

    def type(self, text: str) -> None:
        """Type a text where the keyboard is."""
        from qtpy.QtTest import QTest

        QTest.keyClicks(self.application.focusWidget(), text)
        self.settle()

    def click(self, widget: Any, x: float | None = None, y: float | None = None) -> None:
        """Click into the middle of a widget, or at a place of it."""
        from qtpy.QtCore import QPoint, Qt
        from qtpy.QtTest import QTest

        place = widget.rect().center() if x is None or y is None else QPoint(round(x), round(y))
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)
        self.settle()

    def picture(self) -> npt.NDArray[np.uint8]:
        """Return what stands in the video's place on a grab of the whole window."""
        self.settle()
        video = self.window.clip.video
        image = pixels(self.window)
        share = image.shape[1] / self.window.width()
        box = video.picture_rect()
        corner = video.mapTo(self.window, box.topLeft())
        left, top = round(corner.x() * share), round(corner.y() * share)
        return image[top : top + round(box.height() * share), left : left + round(box.width() * share)]

    @property
    def store_path(self) -> Path:
        """The annotator's label file."""
        return Path(self.desk._store.path)

    def rows(self) -> pd.DataFrame:
        """Return the label rows as any other program finds them."""
        return read_labels([self.store_path])

    def log(self, table: str) -> pd.DataFrame:
        """Return another table of the label file."""
        return read_log([self.store_path], table)

    def close(self) -> None:
        """Close the window as its user does."""
        self.window.close()
        self.application.processEvents()
        self.window.deleteLater()
        self.application.processEvents()


def pixels(widget: Any) -> npt.NDArray[np.uint8]:
    """Return a grab of a widget as RGB."""
    from qtpy.QtGui import QImage

    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    bits = image.constBits()
    bits.setsize(image.bytesPerLine() * image.height())
    rows = np.frombuffer(bytes(bits), dtype=np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)
