"""The adjudicator's window has the annotator's menu, key sheet, settings, languages and colours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from annotation.settings import SettingsFile
from annotation.status import clip_hashes
from data_schema.labels import Label, LabelStore

from ..annotation.labelled_study import make_study
from .annotate_window import pixels
from .conftest import wait_for

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def application() -> Iterator[Any]:
    before = os.environ.get("QT_QPA_PLATFORM")
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    from annotation.app import make_application

    yield make_application()
    if before is None:
        del os.environ["QT_QPA_PLATFORM"]
    else:
        os.environ["QT_QPA_PLATFORM"] = before


@pytest.fixture
def window(application: Any, tmp_path: Path) -> Iterator[Any]:
    from annotation.adjudication.desk import AdjudicationDesk
    from annotation.adjudication.source import case_source, study_cases
    from annotation.texts import Texts
    from annotation.views.adjudication.window import AdjudicationWindow

    study = make_study(tmp_path / "study", n_participants=1, n_trials=2)
    hashes = clip_hashes(study)
    study.labels_dir.mkdir(exist_ok=True)
    for name, word in {"a01": "fear", "a02": "anger", "a03": "sadness"}.items():
        with LabelStore.open(study.labels_dir / f"{name}.sqlite", name) as store:
            store.add_many([Label(clip, hashes[clip], "er", emotion=word) for clip in sorted(hashes)])
    settings = SettingsFile(tmp_path / "settings.json")
    settings.change(theme="light", language="en")
    cases = study_cases(study, "er")
    made = AdjudicationWindow(AdjudicationDesk(case_source(study, "er", "e01", cases), cases), Texts("en"), settings)
    made.resize(1600, 940)
    made.show()
    made.activateWindow()
    wait_for(lambda: (application.processEvents(), made.desk.player.image is not None)[1])
    yield made
    made.close()


def press(window: Any, *sequences: str) -> None:
    from qtpy.QtGui import QKeySequence
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QApplication

    for sequence in sequences:
        QTest.keySequence(QApplication.focusWidget() or window, QKeySequence(sequence))
        QApplication.processEvents()


def words_of(widget: Any) -> set[str]:
    from qtpy.QtWidgets import QLabel, QPushButton

    return {one.text() for kind in (QLabel, QPushButton) for one in widget.findChildren(kind)}


def test_the_sheet_names_the_keys_that_work_here_and_no_others(window: Any) -> None:
    press(window, "F1")
    assert window.sheet.isVisible()
    words = words_of(window.sheet)
    assert {"Decide", "Reason", "1-7", "Emotion", "Alt+1-9", "Ctrl+T", "Next open case", "Play or pause"} <= words
    assert window._texts("keys.trace") not in words
    assert window._texts("keys.flag") not in words
    press(window, "5", "N", "Alt+1")
    assert (window.desk.verdict.emotion, window.desk.position) == (None, 0), "no key reaches the window below"
    press(window, "F1", "5")
    assert not window.sheet.isVisible()
    assert window.desk.verdict.emotion == "disgust"


def test_language_and_colours_change_at_once_and_are_kept(window: Any, tmp_path: Path) -> None:
    before = pixels(window).mean()
    press(window, "Ctrl+L", "Ctrl+T")
    assert pixels(window).mean() < before - 40
    texts = window._texts
    assert texts.language == "zh"
    shown = words_of(window.centralWidget())
    for key in ("verdict", "verdict_note", "raters", "neutral", "reason_majority", "withdraw"):
        assert texts(f"adjudicate.{key}") in shown
    assert not {one for one in shown if one.startswith(("Decide", "Reason", "Your decision", "Next", "Take over"))}
    assert texts("adjudicate.next_open") in window.menus.actions["next.open"].text()
    held = SettingsFile(tmp_path / "settings.json").settings
    assert (held.language, held.theme) == ("zh", "dark")


def test_the_menu_and_the_settings_do_what_the_keys_do(window: Any) -> None:
    window.menus.actions["next"].trigger()
    assert window.desk.position == 1
    window.menus.actions["settings"].trigger()
    view = window.settings_view
    assert view.isVisible()
    view.combos["text_size"].setCurrentIndex(view.combos["text_size"].findData(150))
    assert window._theme.px == 21
    view._keymap.rebind("previous", ["X"])
    view.keys_changed.emit()
    assert "X" in window.move_buttons["previous"].text()
    press(window, "Esc", "X")
    assert window.desk.position == 0


def test_a_case_plays_when_it_opens_for_those_who_want_it(window: Any, application: Any) -> None:
    press(window, "N")
    assert not window.desk.player.playing
    window.settings_view.changed.emit({"play_on_open": True})
    press(window, "P")
    wait_for(lambda: (application.processEvents(), window.desk.player.index > 2)[1])
