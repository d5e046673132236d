"""The participant's form: a code, facts about the eyes, consent if it is on paper. Never a name."""

from __future__ import annotations

from typing import Any

from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from collection.console import messages
from collection.console.keys import label_with_key
from collection.console.model import NOTICE, ConsoleModel
from collection.console.participant_form import (
    DOMINANT_EYES,
    VISION_AIDS,
    ParticipantForm,
    form_problems,
)
from collection.console.views import theme
from data_schema.vocabularies import CONSENT_SCOPES, FACE_SHARING

_SCOPE_WORDS = {
    "video": "record the face on video",
    "gaze": "record gaze and eyes",
    "sharing": "share the data with other researchers",
    "face_sharing": "share the face video with other researchers",
}


class FormView(QWidget):
    """Fill in and send the form; what is wrong is said below each field while it is typed."""

    def __init__(self, model: ConsoleModel) -> None:
        super().__init__()
        self._model = model
        self._offered: dict[str, Any] = {}
        self._tried = False
        self.fields: dict[str, QLineEdit | QComboBox] = {
            "code": QLineEdit(), "session": QLineEdit(), "vision_aid": _choices(VISION_AIDS),
            "dominant_eye": _choices(DOMINANT_EYES), "age_years": QLineEdit(), "gender": QLineEdit(), "note": QLineEdit(),
        }  # fmt: skip
        self.problems: dict[str, QLabel] = {}
        self.scopes: dict[str, tuple[QRadioButton, QRadioButton]] = {}
        self._scope_words: dict[str, QLabel] = {}
        self._groups: list[QButtonGroup] = []
        self.message = theme.label("", "bad", wrap=True)
        self.send = QPushButton(f"Go on ({label_with_key('submit').split('(')[-1]}")
        self.send.setObjectName("go")
        self.send.clicked.connect(self.submit)
        form = QFormLayout()
        form.setLabelAlignment(Qt.AlignRight)
        form.setFieldGrowthPolicy(QFormLayout.ExpandingFieldsGrow)
        labels = {
            "code": "&Code of the participant", "session": "&Session", "vision_aid": "&Vision aid worn now",
            "dominant_eye": "&Dominant eye", "age_years": "&Age in years (optional)", "gender": "&Gender (optional)",
            "note": "&Note (optional)",
        }  # fmt: skip
        for key, field in self.fields.items():
            self._add(form, labels[key], key, field)
        self._consent = self._consent_box()
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.addWidget(theme.label("New participant", "title"))
        column.addWidget(
            theme.label(
                "Only a code: names, birthdays and contacts never enter the study. A new random code is filled in.",
                "dim", wrap=True,
            )
        )  # fmt: skip
        column.addLayout(form)
        column.addWidget(self._consent)
        column.addWidget(self.message)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.send)
        column.addLayout(row)
        column.addStretch(1)
        inner.setMaximumWidth(1100)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setAlignment(Qt.AlignHCenter)
        scroll.setWidget(inner)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(scroll)
        model.subscribe(messages.FORM, self.refresh)
        model.subscribe(NOTICE, lambda: self.message.setText(model.notice))
        self.refresh()

    def refresh(self) -> None:
        """Take the session's suggestions, once for each time that it asks; what was typed stays."""
        asked = self._model.form
        suggested = (asked.get("code"), asked.get("session"))
        if asked.get("open") and suggested != (self._offered.get("code"), self._offered.get("session")):
            self._tried = False
            for field in self.fields.values():
                field.setCurrentIndex(0) if isinstance(field, QComboBox) else field.clear()
            _line(self.fields["code"]).setText(str(asked.get("code") or ""))
            _line(self.fields["session"]).setText(str(asked.get("session") or "01"))
            _line(self.fields["code"]).setFocus()
            for group in self._groups:
                group.setExclusive(False)
                for button in group.buttons():
                    button.setChecked(False)
                group.setExclusive(True)
        if asked.get("open"):
            self._offered = asked
        self._consent.setVisible(asked.get("consent") == "paper")
        for scope, buttons in self.scopes.items():
            for widget in (self._scope_words[scope], *buttons):
                widget.setVisible(scope in self._asked_scopes())
        self.message.setText(str(asked.get("problem") or ""))
        self.send.setEnabled(bool(asked.get("open")))
        self.validate()

    def _asked_scopes(self) -> list[str]:
        return [str(scope) for scope in self._model.form.get("scopes") or CONSENT_SCOPES]

    def form(self) -> ParticipantForm:
        """Return what is filled in."""
        facts = {
            key: (field.currentText() if isinstance(field, QComboBox) else field.text()).strip()
            for key, field in self.fields.items()
            if key not in ("code", "session")
        }
        consent = None
        if self._model.form.get("consent") == "paper":
            consent = {
                scope: yes.isChecked()
                for scope, (yes, no) in self.scopes.items()
                if scope in self._asked_scopes() and (yes.isChecked() or no.isChecked())
            }
        return ParticipantForm(
            _line(self.fields["code"]).text().strip(),
            _line(self.fields["session"]).text().strip(),
            {key: value for key, value in facts.items() if value},
            consent,
        )

    def validate(self) -> bool:
        """Say below each field what is wrong with it; True if nothing is."""
        asked = self._model.form
        found = form_problems(
            self.form(),
            asked.get("used") or {},
            str(asked.get("consent") or "screen"),
            str(asked.get("code") or ""),
            self._asked_scopes(),
        )
        for key, label in self.problems.items():
            # What was not filled in yet is no mistake until it is sent.
            text = found.get(key, "") if key != "consent" or self._tried else ""
            label.setText(text)
            label.setVisible(bool(text))
            field = self.fields.get(key)
            if isinstance(field, QLineEdit) and field.property("wrong") != bool(text):
                field.setProperty("wrong", bool(text))
                style = field.style()
                if style is not None:
                    style.polish(field)
        return not found

    def submit(self) -> None:
        """Send the form if nothing is wrong with it."""
        self._tried = True
        if not self._model.form.get("open"):
            return
        if not self.validate():
            self.message.setText("Please mend what is marked.")
            return
        self.message.setText("")
        self._model.submit_form(self.form())

    def _add(self, form: QFormLayout, text: str, key: str, field: QLineEdit | QComboBox) -> None:
        name = QLabel(text)
        name.setBuddy(field)
        column = QVBoxLayout()
        column.setSpacing(1)
        column.addWidget(field)
        self.problems[key] = theme.label("", "bad", wrap=True)
        column.addWidget(self.problems[key])
        form.addRow(name, column)
        if isinstance(field, QLineEdit):
            field.textChanged.connect(self.validate)
            field.returnPressed.connect(self.focusNextChild)

    def _consent_box(self) -> QWidget:
        box = QWidget()
        column = QVBoxLayout(box)
        column.setContentsMargins(0, 8, 0, 0)
        column.addWidget(theme.label("Consent, as it stands on the signed paper", "big"))
        grid = QGridLayout()
        grid.setColumnStretch(3, 1)
        for row, scope in enumerate((*CONSENT_SCOPES, FACE_SHARING)):
            yes, no = QRadioButton("yes"), QRadioButton("no")
            group = QButtonGroup(box)
            self._scope_words[scope] = theme.label(f"agrees to {_SCOPE_WORDS[scope]}")
            grid.addWidget(self._scope_words[scope], row, 0)
            for place, button in enumerate((yes, no), start=1):
                group.addButton(button)
                grid.addWidget(button, row, place)
                button.toggled.connect(lambda _checked: self.validate())
            self._groups.append(group)
            self.scopes[scope] = (yes, no)
        column.addLayout(grid)
        self.problems["consent"] = theme.label("", "bad", wrap=True)
        column.addWidget(self.problems["consent"])
        return box


def _choices(words: tuple[str, ...]) -> QComboBox:
    box = QComboBox()
    box.addItems(words)
    box.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Preferred)
    return box


def _line(field: QLineEdit | QComboBox) -> QLineEdit:
    if not isinstance(field, QLineEdit):
        raise TypeError(f"{field} is no line")
    return field
