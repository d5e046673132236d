"""The streams: rate against nominal, rows on file, losses; clock and disk below."""

from __future__ import annotations

from PyQt5.QtCore import QRectF, Qt
from PyQt5.QtGui import QPainter, QPaintEvent
from PyQt5.QtWidgets import QSizePolicy, QWidget

from collection.console import messages
from collection.console.alarms import DISK_CRITICAL_MIN, DISK_SPARE_MIN, MAX_CLOCK_RESIDUAL_US, RATE_FROM_S
from collection.console.model import ConsoleModel
from collection.console.streams import StreamState, stream_name
from collection.console.views import theme

_MOST_STREAMS = 7


class StreamsView(QWidget):
    """Paint a short table."""

    def __init__(self, model: ConsoleModel) -> None:
        super().__init__()
        self._model = model
        self._painted_s = 0.0
        self.setMinimumHeight(100)
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Expanding)
        model.subscribe(messages.STATUS, self._maybe)

    def _maybe(self) -> None:
        # Figures that change ten times a second cannot be read.
        if self._model.now_s() - self._painted_s >= 0.4:
            self._painted_s = self._model.now_s()
            self.update()

    def paintEvent(self, _: QPaintEvent) -> None:
        """Draw one line a stream, then clock and disk."""
        painter = QPainter(self)
        painter.setFont(theme.scaled_font(self, 0.92))
        painter.setRenderHint(QPainter.Antialiasing)
        rows: list[tuple[str, str, str, str]] = []
        for stream in self._model.streams.shown()[:_MOST_STREAMS]:
            rows.append(self._stream_row(stream))
        rows += [self._clock_row(), self._disk_row()]
        room = QRectF(self.rect())
        line = min(painter.fontMetrics().height() * 1.45, room.height() / max(1, len(rows)))
        for number, (name, middle, right, mark) in enumerate(rows):
            box = QRectF(room.left(), room.top() + number * line, room.width(), line)
            painter.setPen(Qt.NoPen)
            painter.setBrush(theme.colour(mark))
            size = line * 0.38
            painter.drawEllipse(QRectF(box.left() + 2, box.center().y() - size / 2, size, size))
            inner = box.adjusted(line * 0.75, 0, 0, 0)
            width = inner.width()
            theme.draw_text(painter, QRectF(inner.left(), inner.top(), width * 0.34, line), name)
            theme.draw_text(painter, QRectF(inner.left() + width * 0.35, inner.top(), width * 0.36, line), middle)
            theme.draw_text(
                painter, QRectF(inner.left() + width * 0.7, inner.top(), width * 0.3, line), right, theme.DIM,
                Qt.AlignRight,
            )  # fmt: skip
        painter.end()

    def _stream_row(self, stream: StreamState) -> tuple[str, str, str, str]:
        now_s = self._model.now_s()
        quiet_s = stream.quiet_s(now_s)
        tolerance = float(self._model.setup.get("rate_tolerance") or 0.05)
        mark = theme.GOOD
        if quiet_s > 0:
            mark = theme.BAD
        elif stream.dropped or (
            stream.nominal_hz and stream.rate_hz < stream.nominal_hz * (1 - tolerance)
            and self._model.recording_s >= RATE_FROM_S
        ):  # fmt: skip
            mark = theme.WARN
        nominal = f" of {stream.nominal_hz:g}" if stream.nominal_hz else ""
        middle = f"silent {quiet_s:.0f} s" if quiet_s > 0 else f"{stream.rate_hz:.4g}{nominal} Hz"
        right = f"{stream.dropped} lost" if stream.dropped else f"{_short(stream.written)} on file"
        return stream_name(stream.name), middle, right, mark

    def _clock_row(self) -> tuple[str, str, str, str]:
        clock = self._model.status.get("clock") or {}
        drift, residual = clock.get("drift_ppm"), clock.get("residual_us")
        if drift is None and residual is None:
            return "clock", "not known yet", "", theme.FAINT
        mark = theme.WARN if residual is not None and residual > MAX_CLOCK_RESIDUAL_US else theme.GOOD
        left = "" if drift is None else f"{drift:+.1f} ppm"
        right = "" if residual is None else f"±{residual / 1000:.2f} ms"
        return "clock", left, right, mark

    def _disk_row(self) -> tuple[str, str, str, str]:
        minutes, free = self._model.status.get("minutes_left_on_disk"), self._model.status.get("free_bytes")
        if minutes is None and (free is None or free < 0):
            return "disk", "not known", "", theme.FAINT
        needed = float(self._model.progress.get("remaining_s") or 0) / 60
        mark = theme.GOOD
        if minutes is not None and minutes < needed + DISK_SPARE_MIN:
            mark = theme.BAD if minutes < DISK_CRITICAL_MIN else theme.WARN
        left = "" if minutes is None else _duration(minutes)
        right = "" if free is None or free < 0 else f"{free / 1e9:.0f} GB free"
        return "disk", left, right, mark


def _short(count: int) -> str:
    if count < 10_000:
        return str(count)
    return f"{count / 1e3:.0f}k" if count < 1_000_000 else f"{count / 1e6:.2f}M"


def _duration(minutes: float) -> str:
    return f"{minutes:.0f} min left" if minutes < 180 else f"{minutes / 60:.0f} h left"
