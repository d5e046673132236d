"""The annotator's window: real keys and clicks, then the stored rows are read."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotation.desk.state import Page, Saving
from annotation.sources.study import StudySource
from data_schema.errors import LabelError
from data_schema.study.folder import StudyFolder

from ..annotation.labelled_study import burnt_number, make_study, write_gold
from .annotate_window import FULL_LABEL, Shown, pixels

pytestmark = pytest.mark.lab

LAPTOP, LARGE = (1366, 768), (1920, 1080)


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
    root = tmp_path_factory.mktemp("window") / "study"
    return make_study(root, n_trials=2, annotation="repeats_share = 0.0").root


@pytest.fixture
def study(study_once: Path, tmp_path: Path) -> StudyFolder:
    shutil.copytree(study_once, tmp_path / "study")
    return StudyFolder(tmp_path / "study")


@pytest.fixture
def show(application: Any, study: StudyFolder, tmp_path: Path) -> Iterator[Callable[..., Shown]]:
    opened: list[Shown] = []

    def make(task: str = "fer", size: tuple[int, int] = LAPTOP, **settings: object) -> Shown:
        path = tmp_path / "settings.json"
        if not path.exists() or settings:
            from annotation.settings import SettingsFile

            SettingsFile(path).change(**{"tour_seen": True, "theme": "light", "language": "en", **settings})
        opened.append(Shown(application, StudySource(study, task, "a01"), path, size))
        return opened[-1]

    yield make
    for shown in opened:
        shown.close()


def test_a_full_label_takes_six_keys_and_the_next_clip_comes(show: Callable[..., Shown]) -> None:
    shown = show()
    first = shown.desk.item
    shown.press(*FULL_LABEL)
    (row,) = shown.rows().itertuples()
    assert (row.clip_id, row.task, row.view, row.annotator_id) == (first.clip_id, "fer", "face", "a01")
    assert (row.emotion, row.polarity, row.valence, row.arousal) == ("happiness", "positive", 0.5, 0.25)
    assert (row.intensity, row.confidence, row.skip_reason) == (2.0, 0.5, None)
    assert shown.desk.position == 1
    assert "1" in shown.window.header.bar.words()


def test_the_frame_in_the_window_is_the_one_that_is_stored(show: Callable[..., Shown]) -> None:
    shown = show()
    timeline, player = shown.window.clip.timeline, shown.desk.player
    seen = []
    for act in (
        lambda: shown.press("Right", "Right"), lambda: shown.press("Left"), lambda: shown.press("End"),
        lambda: shown.click(timeline, timeline.x_of(11), timeline.track().center().y()),
        lambda: shown.press("Shift+Left"), lambda: shown.click(timeline, timeline.x_of(20), timeline.track().center().y()),
    ):  # fmt: skip
        act()
        assert burnt_number(shown.picture()) == player.identity.frame_index
        seen.append(player.index)
    assert seen == [2, 1, len(player.frames) - 1, 11, 0, 20]
    shown.press("M")
    (mark,) = shown.log("marks").itertuples()
    assert (mark.kind, mark.frame_index) == ("apex", burnt_number(shown.picture()))
    assert mark.frame_pts == player.identity.frame_pts
    assert "21" in shown.window.clip.bar.marks.text()
    shown.press("Delete")
    assert shown.desk.marks == ()
    assert len(shown.log("marks")) == 2, "the mark and its taking back"


def test_every_frame_that_is_shown_while_playing_is_its_own(show: Callable[..., Shown]) -> None:
    shown = show()
    seen: list[tuple[int, int]] = []

    def look() -> bool:
        picture, index = shown.picture(), shown.desk.player.identity.frame_index
        seen.append((burnt_number(picture), index))
        return shown.desk.player.at_end

    shown.press("Space")
    shown.until(look)
    assert len({index for _, index in seen}) > 3
    assert all(burnt == index for burnt, index in seen)


def test_clicks_on_answers_and_on_the_pad_are_stored(show: Callable[..., Shown]) -> None:
    shown = show()
    form = shown.window.clip.form
    surprise = next(button for button in form.rows["emotion"].buttons if button.value == "surprise")
    shown.click(surprise)
    assert surprise.isChecked()
    assert shown.desk.draft.polarity is None, "surprise goes either way"
    negative = form.rows["polarity"].buttons[1]
    shown.click(negative)
    pad = form.affect.pad
    place = pad.place_of(-0.5, 0.75)
    shown.click(pad, place.x(), place.y())
    shown.click(form.rows["intensity"].buttons[3])
    shown.click(form.commit)
    (row,) = shown.rows().itertuples()
    assert (row.emotion, row.polarity, row.intensity) == ("surprise", "negative", 3.0)
    assert (row.valence, row.arousal) == (-0.5, 0.75)


def test_nothing_is_committed_while_something_lacks(show: Callable[..., Shown]) -> None:
    shown = show()
    shown.press("1", "Return")
    assert len(shown.rows()) == 0
    assert shown.desk.position == 0
    words = shown.window.notice.words.text()
    assert "Valence" in words
    assert "Intensity" in words
    assert "{" not in words


def test_skip_asks_why_and_takes_a_digit(show: Callable[..., Shown]) -> None:
    shown = show()
    shown.press("S")
    assert shown.window.skip.isVisible()
    shown.press("Escape")
    assert not shown.window.skip.isVisible()
    assert len(shown.rows()) == 0
    shown.press("S", "6")
    (row,) = shown.rows().itertuples()
    assert (row.skip_reason, row.emotion) == ("cannot_decide", None)
    assert shown.desk.position == 1


def test_what_is_typed_into_a_comment_labels_nothing(show: Callable[..., Shown]) -> None:
    shown = show()
    shown.press("C")
    shown.type("1 5 n, s? m")
    shown.press("Shift+Return")
    assert shown.window.comment.isVisible(), "a new line, which is taken away again"
    shown.press("Backspace", "Return")
    assert not shown.window.comment.isVisible()
    assert shown.desk.draft.comment == "1 5 n, s? m"
    assert shown.desk.draft.emotion is None
    assert shown.desk.position == 0
    assert shown.desk.marks == ()
    shown.press(*FULL_LABEL)
    assert shown.rows()["comment"].tolist() == ["1 5 n, s? m"]


def test_undo_and_redo_by_key_survive_a_new_window(show: Callable[..., Shown]) -> None:
    shown = show()
    shown.press(*FULL_LABEL)
    shown.press("Ctrl+Z")
    assert shown.desk.position == 0
    assert shown.desk.saved_label is None
    shown.close()
    again = show()
    assert again.desk.position == 0
    assert again.desk.draft.emotion == "happiness", "what was said before it was committed"
    again.press("Ctrl+Y")
    assert again.desk.saved_label is not None
    assert again.rows()["action"].tolist() == ["label", "undo", "redo"]


def test_the_window_opens_where_it_was(show: Callable[..., Shown]) -> None:
    shown = show()
    shown.press("N", "4", "End", "Left")
    index = shown.desk.player.index
    shown.close()
    again = show()
    again.settle()
    assert again.desk.position == 1
    assert again.desk.draft.emotion == "surprise"
    assert again.desk.player.index == index
    assert burnt_number(again.picture()) == again.desk.player.identity.frame_index


def test_the_focus_can_be_seen_and_moves_with_tab(show: Callable[..., Shown]) -> None:
    shown = show()
    form = shown.window.clip.form
    wanted = shown.window.theme.colour("focus")
    colour = np.array([wanted.red(), wanted.green(), wanted.blue()])

    def lit() -> set[str]:
        found = set()
        for name, row in form.rows.items():
            picture = pixels(row).astype(int)
            edge = picture[picture.shape[0] // 2, 1:5]
            if (np.abs(edge - colour).sum(axis=1) < 40).any():
                found.add(name)
        return found

    assert lit() == {"emotion"}
    shown.press("Tab", "Tab")
    assert lit() == {"valence", "arousal"}
    shown.press("Shift+Backtab")
    assert lit() == {"polarity"}


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(("task", "size", "percent"), [("fer", LAPTOP, 100), ("er", LAPTOP, 100), ("fer", LAPTOP, 150),
                                                       ("er", LARGE, 150)])  # fmt: skip
def test_every_word_has_room(
    show: Callable[..., Shown], task: str, size: tuple[int, int], percent: int, language: str
) -> None:
    from annotation.views.option_button import OptionButton

    shown = show(task, size, language=language, text_size=percent, theme="dark")
    window = shown.window
    assert (window.width(), window.height()) == size
    form = window.clip.form
    buttons = [*form.findChildren(OptionButton), *form.buttons.values(), form.commit]
    for button in buttons:
        assert button.fontMetrics().horizontalAdvance(button.text()) <= button.width(), button.text()
        left = button.mapTo(window, button.rect().topLeft()).x()
        assert 0 <= left <= left + button.width() <= size[0], f"{button.text()} leaves the window"
    assert form.commit.mapTo(window, form.commit.rect().bottomLeft()).y() < size[1]
    assert window.clip.video.width() >= 0.25 * size[0]


def test_words_have_room_after_the_language_changed_twice(show: Callable[..., Shown]) -> None:
    shown = show()
    shown.press("5", "2", "Ctrl+Z", "Ctrl+L", "Ctrl+T", "F1", "F1", "Ctrl+L")
    form = shown.window.clip.form
    inside = form.scroll.viewport().width()
    assert form.scroll.widget().width() <= inside, "nothing is cut off at the right"
    for button in form.rows["emotion"].buttons:
        assert button.mapTo(form.scroll.viewport(), button.rect().topRight()).x() < inside


def test_language_and_colours_change_at_once_and_are_kept(show: Callable[..., Shown]) -> None:
    shown = show()
    before = pixels(shown.window).mean()
    shown.press("Ctrl+L", "Ctrl+T")
    form = shown.window.clip.form
    assert form.rows["emotion"].buttons[0].text() == "高兴"
    assert "下一个" in form.commit.text()
    assert shown.window.menus.actions["undo"].text().startswith("撤销")
    assert pixels(shown.window).mean() < before - 40
    shown.close()
    again = show()
    assert again.window.texts.language == "zh"
    assert again.window.theme.is_dark


def test_a_key_is_changed_by_pressing_it(show: Callable[..., Shown]) -> None:
    shown = show()
    from annotation.views.settings_view import ROWS

    shown.press("Ctrl+Comma")
    view = shown.window.settings_view
    assert view.isVisible()
    view.table.setCurrentCell(ROWS.index("flag"), 0)
    shown.click(view.buttons["change"])
    shown.press("M", on=view.table)
    assert "apex" in view.prompt.text(), "M is taken, and it is said by what"
    view.buttons["change"].setFocus()
    shown.press("Return", on=view.buttons["change"])
    assert "Press" in view.prompt.text(), "Enter presses the button in focus, as Space does"
    shown.press("X", on=view.table)
    assert view.prompt.text() == ""
    shown.press("Escape")
    shown.press("F")
    assert not shown.desk.flagged
    shown.press("X")
    assert shown.desk.flagged
    assert "X" in shown.window.clip.form.buttons["flag"].text()
    shown.close()
    again = show()
    again.press("X")
    assert not again.desk.flagged
    assert again.log("marks")["kind"].tolist() == ["flag", "flag"]


def test_the_sheet_needs_no_sideways_scrolling_at_150_percent(show: Callable[..., Shown]) -> None:
    shown = show("er", (1668, 960), text_size=150)
    shown.press("F1")
    area = shown.window.sheet.area
    assert area.widget().width() <= area.viewport().width()


def test_the_sheet_names_every_key_and_no_key_works_below_it(show: Callable[..., Shown]) -> None:
    from qtpy.QtWidgets import QLabel

    from annotation.keys import KEYS

    shown = show()
    shown.press("F1")
    sheet = shown.window.sheet
    assert sheet.isVisible()
    words = {one.text() for one in sheet.findChildren(QLabel)}
    for key in KEYS:
        if not key.action.startswith("digit."):
            assert shown.window.texts(f"keys.{key.action}") in words
            assert shown.window.shortcuts.key_of(key.action) in words
    shown.press("1", "N")
    assert shown.desk.draft.emotion is None
    assert shown.desk.position == 0
    shown.press("F1")
    assert not sheet.isVisible()
    shown.press("1")
    assert shown.desk.draft.emotion == "happiness"


def test_a_newcomer_is_led_through_once(show: Callable[..., Shown]) -> None:
    shown = show(tour_seen=False)
    shown.until(shown.window.tour.isVisible)
    shown.press("Escape")
    assert not shown.window.tour.isVisible()
    shown.close()
    again = show()
    again.settle()
    assert not again.window.tour.isVisible()
    again.press("1")
    assert again.desk.draft.emotion == "happiness"


def test_what_cannot_be_saved_is_not_shown_as_done_and_enter_tries_again(
    show: Callable[..., Shown], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = show()
    shown.press("1", "7", "6", "2")
    store = shown.desk._store
    works = store.write

    def refuse(_: object) -> list[str]:
        raise LabelError("a01.sqlite: the disk is full.")

    monkeypatch.setattr(store, "write", refuse)
    shown.press("Return")
    assert shown.desk.saving is Saving.FAILED
    assert shown.desk.position == 0
    assert "the disk is full" in shown.window.notice.words.text()
    assert "NOT SAVED" in shown.window.header.saving.text()
    assert shown.window.notice.retry.isVisible()
    monkeypatch.setattr(store, "write", works)
    shown.press("Return")
    assert shown.desk.position == 1
    assert shown.rows()["emotion"].tolist() == ["happiness"]
    assert not shown.window.notice.retry.isVisible()


def test_a_clip_that_does_not_open_says_so_and_the_others_work(show: Callable[..., Shown], study: StudyFolder) -> None:
    with study.session_path("P001", "01").open("ab") as file:
        file.write(b"one byte more than when the clips were cut")
    shown = show()
    broken = [item.clip_id.startswith("sub-P001") or "P001" in item.clip_id for item in shown.desk.items]
    assert any(broken)
    for place, is_broken in enumerate(broken):
        shown.desk.goto(place)
        shown.until(lambda: shown.desk.player.image is not None or shown.desk.media_error is not None)
        assert (shown.desk.media_error is not None) == is_broken
        if is_broken:
            assert shown.window.notice.words.text()
        else:
            shown.press(*FULL_LABEL)
    assert len(shown.rows()) == broken.count(False)


def test_the_last_label_ends_the_queue_and_enter_closes_the_window(
    show: Callable[..., Shown], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("annotation.queue.progress.MIN_PACE_ITEMS", 1)
    now = [0.0]
    shown = show()
    shown.window.messages[Page.FINISHED]._clock = lambda: now[0]
    for _ in shown.desk.items:
        shown.press(*FULL_LABEL)
    assert shown.desk.page is Page.FINISHED
    now[0] += 0.9
    shown.press("Return")
    assert shown.window.isVisible(), "a double Enter must not hide where the labels lie"
    assert "a clip" in shown.window.header.pace.text()
    assert "left" not in shown.window.header.pace.text(), "nothing is left to do"
    shown.press("P")
    assert shown.desk.page is Page.CLIP
    shown.press("Return")
    assert shown.desk.page is Page.FINISHED
    shown.press("Return")
    assert shown.window.isVisible(), "one second counts from each arrival"
    now[0] += 1.1
    shown.press("Return")
    assert not shown.window.isVisible()
    assert len(shown.rows()) == len(shown.desk.items)


def test_after_a_training_label_the_experts_answer_stands_beside_the_video(
    application: Any, study: StudyFolder, tmp_path: Path
) -> None:
    from data_schema.clips.index import load_clip_index

    clip = str(load_clip_index(study.clip_index_path)["clip_id"].iloc[0])
    write_gold(study, [{"clip_id": clip, "task": "fer", "emotion": "fear", "explanation": "The brows are raised."}])
    text = (study.root / "study.toml").read_text(encoding="utf-8")
    more = 'repeats_share = 0.0\ngold_file = "gold.csv"\ntraining_clips = 1'
    (study.root / "study.toml").write_text(text.replace("repeats_share = 0.0", more), encoding="utf-8")
    from annotation.settings import SettingsFile

    SettingsFile(tmp_path / "s.json").change(tour_seen=True)
    shown = Shown(application, StudySource(StudyFolder(study.root), "fer", "a01"), tmp_path / "s.json", LAPTOP)
    try:
        shown.press(*FULL_LABEL)
        assert shown.desk.page is Page.FEEDBACK
        panel = shown.window.clip.feedback
        assert panel.isVisible()
        assert panel.why.text() == "The brows are raised."
        assert "differently" in panel.verdict.text()
        shown.press("End")
        assert burnt_number(shown.picture()) == shown.desk.player.identity.frame_index
        shown.press("Return")
        assert shown.desk.page is Page.CLIP
        assert shown.window.clip.form.isVisible()
        assert shown.desk.item.block.value == "main"
    finally:
        shown.close()


def test_an_error_of_the_tool_itself_leaves_the_window_open(show: Callable[..., Shown]) -> None:
    from annotation.app import _failure_hook

    shown = show()
    error = RuntimeError("a view stumbled")
    _failure_hook(shown.window.say_failure)(RuntimeError, error, None)
    assert "a view stumbled" in shown.window.notice.words.text()
    shown.press(*FULL_LABEL)
    assert len(shown.rows()) == 1


def test_the_window_works_with_qt_6_too() -> None:
    """QT_API alone changes the binding: the same keys, clicks and frames, in a process of their own."""
    chosen = "six_keys or one_that_is_stored or on_the_pad or typed_into_a_comment or pressing_it"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", __file__, "-m", "lab", "-n", "0", "-q", "-k", chosen, "-p", "no:cacheprovider"],
        env={**os.environ, "QT_API": "pyqt6"}, capture_output=True, text=True, timeout=110, check=False,
        cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert "5 passed" in done.stdout
