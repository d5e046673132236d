"""Language, colours, size of the text, and every key."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject, QPointF, Qt, Signal
from qtpy.QtGui import QKeyEvent, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from annotation.keymap import KeyConflictError, Keymap
from annotation.keys import KEYS
from annotation.settings import THEMES, Settings
from annotation.texts import LANGUAGES, Texts
from annotation.views.overlay import Overlay
from annotation.views.palette import TEXT_PERCENTS
from annotation.views.shortcuts import pressed_sequence, shown_key
from annotation.views.theme import Theme, label
from data_schema.errors import UsageError

#: Actions in the order of the list: the ten answers, which hardly anybody changes, come last.
ROWS = tuple(key.action for key in sorted(KEYS, key=lambda key: key.action.startswith("digit.")))


class Choice(QComboBox):
    """A list to choose from, with an arrow in the window's own colours: style sheets leave it in those of 1995."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the arrow over the field."""
        super().paintEvent(event)
        unit = self._theme.px / 14
        middle = QPointF(self.width() - 16 * unit, self.height() / 2)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self._theme.colour("dim"), 1.8 * unit))
        points = [middle + QPointF(x * unit, y * unit) for x, y in ((-4.5, -2), (0, 2.5), (4.5, -2))]
        painter.drawPolyline(QPolygonF(points))
        painter.end()


class SettingsView(Overlay):
    """Let the annotator change what only concerns them; each change holds at once.

    Parameters
    ----------
    parent : QWidget
    texts : Texts
    theme : Theme
    keymap : Keymap
        Changed here; `keys_changed` says so.
    """

    changed = Signal(dict)
    keys_changed = Signal()
    tour_wanted = Signal()

    def __init__(self, parent: QWidget, texts: Texts, theme: Theme, keymap: Keymap) -> None:
        super().__init__(parent, texts, theme, (0.9, 0.95))
        self._keymap = keymap
        self._waiting_for = ""
        self._filling = False
        self.combos = {name: Choice(theme) for name in ("language", "theme", "text_size", "play_on_open")}
        self._names: dict[str, QLabel] = {name: label() for name in self.combos}
        form = QFormLayout()
        for name, combo in self.combos.items():
            combo.currentIndexChanged.connect(lambda _=0, name=name: self._chosen(name))
            form.addRow(self._names[name], combo)
        self.table = QTableWidget(0, 2)
        self.table.verticalHeader().hide()
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setTabKeyNavigation(False)
        self.table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.table.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self.table.itemDoubleClicked.connect(lambda _: self.ask_key())
        self.table.installEventFilter(self)
        self.prompt = label("", "warn", wrap=True)
        self.buttons = {name: QPushButton() for name in ("change", "reset", "reset_all", "tour", "close")}
        self.buttons["close"].setObjectName("go")
        self._connect()
        row = QHBoxLayout()
        for name, button in self.buttons.items():
            if name == "tour":
                row.addStretch(1)
            row.addWidget(button)
        self.column.addLayout(form)
        self.column.addWidget(self.table, 1)
        self.column.addWidget(self.prompt)
        self.column.addLayout(row)

    def _connect(self) -> None:
        does: dict[str, Callable[[], object]] = {
            "change": self.ask_key, "reset": self._reset_one, "reset_all": self._reset_all,
            "tour": self._show_tour, "close": self.shut,
        }  # fmt: skip
        for name, button in self.buttons.items():
            button.clicked.connect(lambda _=False, do=does[name]: do())

    def first_focus(self) -> QWidget:
        """Begin with the language."""
        return self.combos["language"]

    def show_settings(self, settings: Settings) -> None:
        """Open it."""
        self.fill(settings)
        self.open()

    def fill(self, settings: Settings) -> None:
        """Write everything in the language of the window."""
        texts = self.texts
        self._filling = True
        self.title.setText(texts("settings.title"))
        choices = {
            "language": [(name, word) for name, word in LANGUAGES.items()],
            "theme": [(name, texts(f"settings.theme_{name}")) for name in THEMES],
            "text_size": [(size, texts("settings.percent", percent=size)) for size in TEXT_PERCENTS],
            "play_on_open": [(False, texts("settings.play_by_key")), (True, texts("settings.play_by_itself"))],
        }
        held = {
            "language": texts.language, "theme": settings.theme, "text_size": self.theme.text_percent,
            "play_on_open": settings.play_on_open,
        }  # fmt: skip
        for name, combo in self.combos.items():
            self._names[name].setText(texts(f"settings.{name}"))
            combo.clear()
            for value, word in choices[name]:
                combo.addItem(word, value)
            combo.setCurrentIndex(max(0, combo.findData(held[name])))
        for name, button in self.buttons.items():
            button.setText(texts(f"settings.{name}"))
        self._fill_keys()
        self._filling = False

    def _fill_keys(self) -> None:
        self.table.setHorizontalHeaderLabels([self.texts("settings.action"), self.texts("settings.key")])
        self.table.setRowCount(len(ROWS))
        for place, action in enumerate(ROWS):
            shown = "  ".join(dict.fromkeys(shown_key(one) for one in self._keymap.sequences(action)))
            self.table.setItem(place, 0, QTableWidgetItem(self.texts(f"keys.{action}")))
            self.table.setItem(place, 1, QTableWidgetItem(shown))
        self.table.resizeRowsToContents()
        px = self.theme.px
        window = self.parentWidget()
        # What the panel may take of a small window at large letters, less what stands around the list.
        width, height = round(0.9 * window.width()) - 46, round(0.95 * window.height()) - 15 * px
        self.table.setMinimumSize(min(44 * px, width), max(6 * px, min(16 * px, height)))
        if self.table.currentRow() < 0:
            self.table.setCurrentCell(0, 0)

    def _chosen(self, name: str) -> None:
        if not self._filling:
            self.changed.emit({name: self.combos[name].currentData()})

    def _show_tour(self) -> None:
        self.shut()
        self.tour_wanted.emit()

    # -------------------------------------------------------------------- keys

    @property
    def _action(self) -> str:
        return ROWS[max(0, self.table.currentRow())]

    def ask_key(self) -> None:
        """Wait for the new key of the chosen action."""
        self._waiting_for = self._action
        self.prompt.setText(self.texts("settings.press", action=self.texts(f"keys.{self._action}")))
        self.table.setFocus(Qt.FocusReason.OtherFocusReason)
        self.fit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take the next key press as the new key; Enter on a row asks for one."""
        if watched is not self.table:
            return super().eventFilter(watched, event)
        if self._waiting_for and event.type() == QEvent.Type.ShortcutOverride:
            event.accept()
            return True
        if event.type() == QEvent.Type.KeyPress:
            if self._waiting_for:
                self._take(event)
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self.ask_key()
                return True
        return False

    def _take(self, event: QKeyEvent) -> None:
        sequence = pressed_sequence(event)
        if not sequence:
            return
        action, self._waiting_for = self._waiting_for, ""
        self.prompt.setText("")
        if sequence != "Esc":
            self._rebind(lambda: self._keymap.rebind(action, [sequence]), sequence)

    def _rebind(self, change: Callable[[], None], sequence: str = "") -> None:
        """Change the keymap, or say why not."""
        try:
            change()
        except KeyConflictError as error:
            other = self.texts(f"keys.{error.action}")
            self.prompt.setText(self.texts("settings.conflict", key=shown_key(error.sequence), other=other))
        except UsageError:
            self.prompt.setText(self.texts("settings.bad_key", key=shown_key(sequence)))
        else:
            self.prompt.setText("")
            self._fill_keys()
            self.keys_changed.emit()
        self.fit()

    def _reset_one(self) -> None:
        self._rebind(lambda: self._keymap.reset(self._action))

    def _reset_all(self) -> None:
        self._rebind(lambda: self._keymap.reset())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Close on Escape, unless a key is being chosen."""
        if self._waiting_for and event.key() == Qt.Key.Key_Escape:
            self._waiting_for = ""
            self.prompt.setText("")
            return
        super().keyPressEvent(event)

    def shut(self) -> None:
        """Put it away."""
        self._waiting_for = ""
        self.prompt.setText("")
        super().shut()
