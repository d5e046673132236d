"""The calibration's page: verdict, figures per eye, plot, the attempts to look at, and the question if one is open."""

from __future__ import annotations

from typing import Any

from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from collection.console import messages
from collection.console.calibration_table import MEASURES, MISSING, attempts_of, cell, verdict
from collection.console.gaze_trail import EYES
from collection.console.model import ConsoleModel
from collection.console.views import theme
from collection.console.views.calibration_plot import LEVEL_COLOURS, CalibrationPlot
from collection.console.views.question_panel import QuestionPanel

_PHASES = {
    "positioning": "Positioning", "calibration": "Calibrating", "validation": "Validating", "recheck": "Re-checking",
}  # fmt: skip


class CalibrationView(QWidget):
    """Show one attempt at a time; the newest unless the operator looks at another."""

    def __init__(self, model: ConsoleModel) -> None:
        super().__init__()
        self._model = model
        self._picked: int | None = None
        self._n_attempts = 0
        self.verdict = theme.label("", "title")
        self.phase = theme.label("", "dim", wrap=True)
        self.problems = theme.label("", "", wrap=True)
        self.plot = CalibrationPlot(model)
        self.cells: dict[tuple[str, str], QLabel] = {}
        self.attempts: list[QPushButton] = []
        self.panel = QuestionPanel(model)
        side = QVBoxLayout()
        for widget in (self.verdict, self.phase):
            side.addWidget(widget)
        side.addLayout(self._table())
        side.addWidget(self.problems)
        self.drift = theme.label("", "dim", wrap=True)
        side.addWidget(self.drift)
        side.addSpacing(8)
        self._attempts_title = theme.label("Attempts (Left, Right to look at another)", "dim", wrap=True)
        side.addWidget(self._attempts_title)
        self._attempts = QVBoxLayout()
        side.addLayout(self._attempts)
        side.addStretch(1)
        top = QHBoxLayout()
        top.addWidget(self.plot, 68)
        box = QWidget()
        box.setLayout(side)
        top.addWidget(box, 32)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(top, 1)
        column.addWidget(self.panel)
        for topic in (messages.CALIBRATION, messages.QUESTION, messages.SETUP):
            model.subscribe(topic, self.refresh)
        self.refresh()

    def _table(self) -> QGridLayout:
        grid = QGridLayout()
        for place, eye in enumerate(EYES, start=1):
            name = theme.label(f"{'●' if eye == 'left' else '■'} {eye}", "big")
            name.setStyleSheet(f"color: {theme.EYE_COLOURS[eye]};")
            grid.addWidget(name, 0, place)
        for row, (measure, words, *_) in enumerate(MEASURES, start=1):
            grid.addWidget(theme.label(words, "dim"), row, 0)
            for place, eye in enumerate(EYES, start=1):
                self.cells[measure, eye] = theme.label("", "big")
                grid.addWidget(self.cells[measure, eye], row, place)
        return grid

    def refresh(self) -> None:
        """Read the model."""
        attempts, limits = attempts_of(self._model.calibration, self._model.question)
        if len(attempts) != self._n_attempts:
            self._n_attempts, self._picked = len(attempts), None
        place = self._place(attempts)
        attempt = attempts[place] if attempts else {}
        self._show_figures(attempt, limits)
        self._show_attempts(attempts, place, limits)
        data = (self._model.question or {}).get("data") or {}
        self.plot.show_attempt(attempt, limits, list(data.get("targets") or ()))
        calibration = self._model.calibration
        phase = _PHASES.get(str(calibration.get("phase") or ""), "")
        at = f", target {calibration['target']} of {calibration['n_targets']}" if calibration.get("n_targets") else ""
        self.phase.setText(f"{phase}{at}" if phase and self._model.question is None else "")
        drift = calibration.get("drift_deg")
        allowed = f" of {calibration['max_drift_deg']:g}° allowed" if calibration.get("max_drift_deg") else ""
        self.drift.setText("" if drift is None else f"Drift at the last re-check: {drift:.2f}°{allowed}")

    def step(self, by: int) -> None:
        """Look at the attempt `by` places further."""
        if self._n_attempts:
            attempts, _ = attempts_of(self._model.calibration, self._model.question)
            self.pick(min(self._n_attempts - 1, max(0, self._place(attempts) + by)))

    def pick(self, place: int) -> None:
        """Look at an attempt by its place."""
        self._picked = place
        self.refresh()

    def _place(self, attempts: list[dict[str, Any]]) -> int:
        if self._picked is not None:
            return self._picked
        data = (self._model.question or {}).get("data") or {}
        current = data.get("current") or self._model.calibration.get("chosen")
        places = [place for place, attempt in enumerate(attempts) if attempt.get("attempt_id") == current]
        return places[0] if places else max(0, len(attempts) - 1)

    def _show_figures(self, attempt: dict[str, Any], limits: dict[str, Any]) -> None:
        word, level = verdict(attempt, limits) if attempt else ("No calibration yet", MISSING)
        self.verdict.setText(word)
        self.verdict.setStyleSheet(f"color: {LEVEL_COLOURS.get(level, theme.DIM)};")
        for (measure, eye), label in self.cells.items():
            figure = cell(attempt, measure, eye, limits)
            limit = limits.get(measure)
            label.setText(figure.text if attempt else "")
            label.setStyleSheet(f"color: {LEVEL_COLOURS.get(figure.level, theme.DIM)};")
            label.setToolTip("" if limit is None else f"limit {limit:g}")
        said = [str(problem) for problem in attempt.get("problems") or ()]
        self.problems.setText("\n".join([*said, *([str(attempt["message"])] if attempt.get("message") else [])]))

    def _show_attempts(self, attempts: list[dict[str, Any]], place: int, limits: dict[str, Any]) -> None:
        for button in self.attempts:
            self._attempts.removeWidget(button)
            button.hide()
            button.deleteLater()
        self.attempts = []
        self._attempts_title.setVisible(len(attempts) > 1)
        if len(attempts) < 2:
            return
        chosen = self._model.calibration.get("chosen")
        for number, attempt in enumerate(attempts):
            word, level = verdict(attempt, limits)
            used = "  (in use)" if attempt.get("attempt_id") == chosen else ""
            button = QPushButton(f"{attempt.get('attempt_id')}  {word.lower()}, {_mean(attempt)}{used}")
            button.setFocusPolicy(Qt.NoFocus)
            rim = theme.TEXT if number == place else theme.LINE
            button.setStyleSheet(
                f"text-align: left; color: {LEVEL_COLOURS.get(level, theme.DIM)}; border: 2px solid {rim};"
            )
            button.clicked.connect(lambda _=False, number=number: self.pick(number))
            self.attempts.append(button)
            self._attempts.addWidget(button)


def _mean(attempt: dict[str, Any]) -> str:
    values = [value for eye in EYES if (value := (attempt.get("accuracy_deg") or {}).get(eye)) is not None]
    return f"{sum(values) / len(values):.2f}°" if values else "no offset"
