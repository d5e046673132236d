"""The page of a running session: gaze over the stimulus, camera, eyes, streams, marks."""

from __future__ import annotations

from PyQt5.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from collection.console.clip_player import ClipPlayer
from collection.console.model import ConsoleModel
from collection.console.views import theme
from collection.console.views.camera_view import CameraView
from collection.console.views.controls import Controls, MarksView
from collection.console.views.eyes_view import EyesView
from collection.console.views.gaze_view import GazeView
from collection.console.views.streams_view import StreamsView


def panel(title: str, content: QWidget) -> QFrame:
    """Return a box with a small title."""
    box = QFrame()
    box.setObjectName("panel")
    column = QVBoxLayout(box)
    column.setContentsMargins(8, 4, 8, 6)
    column.setSpacing(2)
    if title:
        column.addWidget(theme.label(title, "dim"))
    column.addWidget(content, 1)
    return box


class LiveView(QWidget):
    """Arrange the small views; nothing else."""

    def __init__(self, model: ConsoleModel, player: ClipPlayer) -> None:
        super().__init__()
        self.gaze = GazeView(model, player)
        self.controls = Controls(model)
        self.camera = CameraView(model)
        left = QVBoxLayout()
        left.addWidget(panel("", self.gaze), 1)
        left.addWidget(self.controls)
        right = QGridLayout()
        right.setSpacing(6)
        parts = (
            ("Camera", self.camera, 5), ("Head and eyes", EyesView(model), 3), ("Streams", StreamsView(model), 4),
            ("Marks", MarksView(model), 0),
        )  # fmt: skip
        for row, (title, view, stretch) in enumerate(parts):
            box = panel(title, view)
            if not stretch:
                box.setSizePolicy(QSizePolicy.Preferred, QSizePolicy.Maximum)
            right.addWidget(box, row, 0)
            right.setRowStretch(row, stretch)
        whole = QHBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addLayout(left, 66)
        whole.addLayout(right, 34)

    def tick(self) -> None:
        """Let the clip follow the session; call it many times a second."""
        self.gaze.tick()
