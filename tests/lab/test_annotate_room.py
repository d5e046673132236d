"""What the annotator's window leaves in its place: buttons at large letters, fields below a comment, one message once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from annotation.desk.state import Page
from annotation.settings import SettingsFile
from annotation.sources.study import StudySource
from data_schema.clips.index import load_clip_index
from data_schema.study.folder import StudyFolder

from ..annotation.labelled_study import make_study, write_gold
from .annotate_window import FULL_LABEL, Shown

pytestmark = pytest.mark.lab

LAPTOP = (1366, 768)


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


@pytest.fixture(scope="module")
def study_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("room") / "study"
    return make_study(root, n_participants=1, n_trials=2, annotation="repeats_share = 0.0").root


@pytest.fixture
def study(study_once: Path, tmp_path: Path) -> StudyFolder:
    shutil.copytree(study_once, tmp_path / "study")
    return StudyFolder(tmp_path / "study")


@pytest.fixture
def show(application: Any, study: StudyFolder, tmp_path: Path) -> Iterator[Callable[..., Shown]]:
    opened: list[Shown] = []

    def make(task: str = "fer", **settings: object) -> Shown:
        path = tmp_path / "settings.json"
        SettingsFile(path).change(**{"tour_seen": True, "theme": "light", "language": "en", **settings})
        opened.append(Shown(application, StudySource(StudyFolder(study.root), task, "a01"), path, LAPTOP))
        return opened[-1]

    yield make
    for shown in opened:
        shown.close()


@pytest.mark.parametrize("percent", [100, 150, 200])
def test_no_button_below_the_video_is_cut_however_large_the_letters(show: Callable[..., Shown], percent: int) -> None:
    shown = show("er", text_size=percent)
    window, bar = shown.window, shown.window.clip.bar
    panel = bar.mapTo(window, bar.rect().topLeft())
    for widget in (*bar.buttons.values(), bar.speed):
        if widget.isHidden():
            continue
        need = bar.speed.fontMetrics().horizontalAdvance("0.75×") if widget is bar.speed else widget.sizeHint().width()
        assert widget.width() >= need, f"{widget.accessibleName()} is squeezed"
        place = widget.mapTo(bar, widget.rect().bottomRight())
        assert place.x() < bar.width(), f"{widget.accessibleName()} leaves the bar"
        assert place.y() < bar.height(), f"{widget.accessibleName()} leaves the bar"
    assert panel.y() + bar.height() < LAPTOP[1]
    assert window.clip.video.height() >= 0.2 * LAPTOP[1]


def test_nothing_moves_when_a_comment_or_a_label_is_said(show: Callable[..., Shown]) -> None:
    shown = show()
    form = shown.window.clip.form

    def places() -> list[tuple[int, int]]:
        parts = (form.rows["emotion"], form.rows["intensity"], form.scroll, form.commit)
        return [(part.mapTo(shown.window, part.rect().topLeft()).y(), part.height()) for part in parts]

    before = places()
    shown.desk.set_comment("She looks away, and back; " * 9)
    shown.settle()
    assert form.said.text().startswith("Comment: She looks away")
    assert form.buttons["comment"].isChecked(), "the line may be too short to tell"
    assert places() == before
    shown.desk.set_comment("")
    shown.click(form.buttons["comment"])
    assert shown.window.comment.isVisible()
    shown.press("Escape")
    assert not form.buttons["comment"].isChecked(), "nothing was written"
    shown.press(*FULL_LABEL)
    shown.press("P")
    assert "Labelled" in form.said.text()
    assert places() == before


def test_the_list_of_keys_begins_with_what_people_change(show: Callable[..., Shown]) -> None:
    from annotation.keys import KEYS

    shown = show()
    shown.press("Ctrl+Comma")
    table = shown.window.settings_view.table
    words = [table.item(row, 0).text() for row in range(table.rowCount())]
    answers = [shown.window.texts(f"keys.digit.{n}") for n in range(10)]
    assert words[0] == "Next field"
    assert words[-10:] == answers
    assert len(words) == len(set(words)) == len(KEYS)
    shown.press("Escape")


@pytest.mark.parametrize("percent", [100, 150, 200])
def test_the_settings_fit_the_window_however_large_the_letters(show: Callable[..., Shown], percent: int) -> None:
    shown = show(text_size=percent)
    shown.press("Ctrl+Comma")
    view = shown.window.settings_view
    table = view.table.geometry()
    for button in view.buttons.values():
        assert view.panel.rect().contains(button.geometry())
        assert button.geometry().top() > table.bottom()
    assert table.height() > 6 * shown.window.theme.px
    shown.press("Escape")


def test_a_wrong_code_is_said_once(
    show: Callable[..., Shown], study: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = str(load_clip_index(study.clip_index_path)["clip_id"].iloc[0])
    write_gold(study, [{"clip_id": clip, "task": "fer", "emotion": "fear"}])
    text = (study.root / "study.toml").read_text(encoding="utf-8")
    more = 'repeats_share = 0.0\ngold_file = "gold.csv"\nadmission_clips = 1'
    (study.root / "study.toml").write_text(text.replace("repeats_share = 0.0", more), encoding="utf-8")
    # As in a bundle, where only the lab can tell.
    monkeypatch.setattr(StudySource, "admission", lambda self, emotions: None)
    shown = show()
    shown.press(*FULL_LABEL)
    assert shown.desk.page is Page.ADMISSION
    page = shown.window.messages[Page.ADMISSION]
    shown.type("AAAA-BBBB")
    shown.press("Return")
    assert page.problem.isVisible()
    assert "not the right code" in page.problem.text()
    assert shown.window.notice.words.text() == ""
    assert page.code.selectedText() == "AAAA-BBBB"


def test_a_clip_plays_by_itself_only_where_the_annotator_wants_it(show: Callable[..., Shown]) -> None:
    shown = show()
    shown.press("N")
    assert not shown.desk.player.playing, "off until it is chosen"
    shown.press("Ctrl+Comma")
    combo = shown.window.settings_view.combos["play_on_open"]
    assert combo.currentData() is False
    combo.setCurrentIndex(combo.findData(True))
    shown.press("Escape")
    assert not shown.desk.player.playing, "the clip that is looked at stays as it is"
    shown.press("P")
    shown.until(lambda: shown.desk.player.index > 2)
    shown.desk.player.pause()
    at = shown.desk.player.index
    shown.press("F")
    assert not shown.desk.player.playing, "once a clip"
    shown.close()
    again = show()
    assert again.settings.settings.play_on_open
    again.settle()
    assert again.desk.player.index == at, "a clip that was left in its middle is where it was"
    again.press("N")
    again.until(lambda: again.desk.player.at_end)
    assert again.desk.has_seen_clip
