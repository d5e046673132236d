"""What is said about the clip: the fields in the order of the focus, a model's guess, and what ends the clip."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QFrame, QHBoxLayout, QPushButton, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from annotation.desk import state
from annotation.desk.desk import Desk
from annotation.texts import Texts
from annotation.views.field_rows import AffectRow, ChoiceRow, FieldFrame
from annotation.views.theme import Theme, label


def plain_button(text: str = "", name: str = "") -> QPushButton:
    """Return a button that is clicked or reached by its key, and never takes the keyboard."""
    button = QPushButton(text)
    button.setObjectName(name)
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return button


class GuessStrip(QFrame):
    """A model's guess, once the clip was seen: one key agrees, anything else is the annotator's own answer."""

    def __init__(self, desk: Desk, texts: Texts, do: Callable[[str], object], key_of: Callable[[str], str]) -> None:
        super().__init__()
        self.setObjectName("panel")
        self._desk, self._texts, self._key_of = desk, texts, key_of
        self.words = label("", "strong", wrap=True)
        self.hint = label("", "small", wrap=True)
        self.accept = plain_button()
        self.accept.clicked.connect(lambda: do("guess.accept"))
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(self.words)
        words.addWidget(self.hint)
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 4, 8, 4)
        row.addLayout(words, 1)
        row.addWidget(self.accept)

    def refresh(self) -> None:
        """Read the desk."""
        guess = self._desk.guess
        self.setVisible(guess is not None)
        if guess is None:
            return
        emotion = self._texts(f"emotions.{guess.emotion}")
        self.words.setText(self._texts("panel.guess", emotion=emotion, percent=round(100 * guess.confidence)))
        self.hint.setText(self._texts("panel.guess_hint"))
        self.accept.setText(f"{self._texts('panel.guess_accept')}  ({self._key_of('guess.accept')})")


class LabelPanel(QWidget):
    """The form.

    Parameters
    ----------
    desk : Desk
    texts : Texts
    theme : Theme
    do : callable
        Carries out an action of `annotation.keys`.
    key_of : callable
        Returns the key of an action, as it is written on a keyboard.
    """

    def __init__(
        self,
        desk: Desk,
        texts: Texts,
        theme: Theme,
        do: Callable[[str], object],
        key_of: Callable[[str], str],
    ) -> None:
        super().__init__()
        self._desk, self._texts, self._theme, self._key_of = desk, texts, theme, key_of
        self.affect = AffectRow(desk, texts, theme)
        choices = {
            "emotion": ("emotions", 2, False), "polarity": ("polarities", 3, False),
            "intensity": ("intensities", 4, True), "confidence": ("confidences", 5, True),
        }  # fmt: skip
        self.rows: dict[str, FieldFrame] = {}
        inner = QWidget()
        inner.setObjectName("plain")
        fields = QVBoxLayout(inner)
        fields.setContentsMargins(0, 0, 0, 0)
        fields.setSpacing(4)
        for name in desk.fields:
            if name in ("valence", "arousal"):
                if "valence" not in self.rows:
                    fields.addWidget(self.affect, 20)
                self.rows[name] = self.affect
                continue
            section, columns, stacked = choices[name]
            row = ChoiceRow(desk, texts, theme, name, section, columns, stacked=stacked)
            fields.addWidget(row)
            self.rows[name] = row
        # On a high screen the answers stay together.
        fields.addStretch(1)
        self.scroll = QScrollArea()
        self.scroll.setWidgetResizable(True)
        self.scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.scroll.setWidget(inner)
        self.guess = GuessStrip(desk, texts, do, key_of)
        # One line that is always there: nothing moves when something is said in it.
        self.said = label("", "small", elide=True)
        self.buttons = {name: plain_button() for name in ("skip", "comment", "flag")}
        self.commit = plain_button(name="go")
        self._build(do)
        for topic in (state.DRAFT, state.ITEM, state.GUESS, state.MARKS, state.SAVING):
            desk.subscribe(topic, self.refresh)
        desk.subscribe(state.TRACE, self._show_pad)
        texts.subscribe(self.refresh)
        self._focus = ""
        self.refresh()

    def _build(self, do: Callable[[str], object]) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.guess)
        column.addWidget(self.scroll, 1)
        column.addWidget(self.said)
        row = QHBoxLayout()
        row.setSpacing(4)
        for name, button in self.buttons.items():
            button.clicked.connect(lambda _=False, name=name: self._press(name, do))
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            row.addWidget(button)
        column.addLayout(row)
        self.commit.clicked.connect(lambda: do("commit"))
        column.addWidget(self.commit)

    def _press(self, name: str, do: Callable[[str], object]) -> None:
        """Do what a button says; it stays down only for what holds, whatever the click did."""
        do(name)
        self.refresh()

    def fit(self) -> None:
        """Take the width that the letters need."""
        # The widest row asks for as much; less would cut its words.
        for row in self.rows.values():
            # Words that just changed: a layout inside a layout still holds the widths of the old ones.
            row.layout().activate()
        rows = (row.minimumSizeHint().width() for row in self.rows.values())
        self.affect.setMaximumHeight(round(26 * self._theme.px))
        self.said.ensurePolished()
        self.said.setFixedHeight(self.said.fontMetrics().height() + 2)
        bar = self.scroll.verticalScrollBar().sizeHint().width()
        self.setFixedWidth(max(round(26 * self._theme.px), *rows) + bar + 2)

    def refresh(self) -> None:
        """Read the desk."""
        for row in dict.fromkeys(self.rows.values()):
            row.refresh()
        self.guess.refresh()
        self._say_what_holds()
        texts, key_of = self._texts, self._key_of
        flag = "panel.flagged" if self._desk.flagged else "panel.flag"
        for name, key in (("skip", "panel.skip"), ("comment", "panel.comment"), ("flag", flag)):
            self.buttons[name].setText(f"{texts(key)}  {key_of(name)}")
        # Bold and dark while it holds: shape as well as colour. The line above may have no room for the comment.
        for name, holds in (("flag", self._desk.flagged), ("comment", bool(self._desk.draft.comment))):
            self.buttons[name].setCheckable(True)
            self.buttons[name].setChecked(holds)
        done = self._desk.saved_label is not None
        self.commit.setText(f"{texts('panel.commit_again' if done else 'panel.commit')}  {key_of('commit')}")
        if self._desk.focus != self._focus:
            self._focus = self._desk.focus
            # After the layout knows the new sizes.
            QTimer.singleShot(0, self._show_focus)

    def _say_what_holds(self) -> None:
        draft, texts, words = self._desk.draft, self._texts, []
        if draft.skip_reason is not None:
            words.append(texts("panel.skipped", reason=texts(f"skip_reasons.{draft.skip_reason}")))
        elif self._desk.saved_label is not None:
            words.append(texts("panel.labelled", key=self._key_of("commit")))
        if draft.comment:
            words.append(texts("panel.comment_shown", comment=" ".join(draft.comment.split())))
        self.said.setText(" · ".join(words))
        self.said.setToolTip("\n".join(words))

    def _show_pad(self) -> None:
        if self._desk.tracing:
            self.scroll.ensureWidgetVisible(self.affect, 0, 4)

    def _show_focus(self) -> None:
        row = self.rows.get(self._desk.focus)
        if row is not None:
            self.scroll.ensureWidgetVisible(row, 0, 4)
