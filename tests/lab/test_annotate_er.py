"""The ER pass' evidence in real windows: the right frame, the gaze where it was, a click that goes there, what is stored."""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotation.keys import KEY_BY_ACTION
from annotation.settings import SettingsFile
from annotation.sources.study import StudySource
from data_schema.errors import MediaError
from data_schema.labels import read_labels
from data_schema.study.folder import StudyFolder

from ..annotation.labelled_study import burnt_number, make_study
from .conftest import wait_for

pytestmark = pytest.mark.lab

ORANGE = (230, 159, 0)


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
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    return make_study(tmp_path_factory.mktemp("er") / "study", n_participants=1, n_trials=2, trial_s=2.0)


class Shown:
    """The ER column alone, on a real desk."""

    def __init__(self, application: Any, study: StudyFolder, annotator: str) -> None:
        from annotation.desk.desk import Desk
        from annotation.texts import Texts
        from annotation.views.er import build_er_panel
        from annotation.views.theme import Theme

        self.application = application
        self.desk = Desk(StudySource(study, "er", annotator))
        self.texts = Texts("en")
        self.panel = build_er_panel(self.desk, self.texts, Theme("light"))
        self.panel.resize(700, 900)
        self.panel.show()

    def until(self, what: Callable[[], object]) -> None:
        def step() -> object:
            self.desk.tick()
            self.application.processEvents()
            return what()

        wait_for(step)

    def at(self, index: int) -> None:
        """Seek, and wait until face and stimulus are there."""
        self.desk.play_action(lambda player: (player.pause(), player.seek(index)))
        self.until(lambda: self.desk.player.index == index and self.panel.scene.picture_is_due)
        self.application.processEvents()

    def click(self, widget: Any, x: float, y: float) -> None:
        from qtpy.QtCore import QPoint, Qt
        from qtpy.QtTest import QTest

        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QPoint(round(x), round(y)))

    def close(self) -> None:
        self.panel.end()
        self.panel.close()
        self.desk.close()


@pytest.fixture
def shown(application: Any, study: StudyFolder, request: pytest.FixtureRequest) -> Iterator[Shown]:
    one = Shown(application, study, f"a{zlib.crc32(request.node.name.encode())}")
    yield one
    one.close()


def pixels(widget: Any) -> np.ndarray:
    """What a widget shows, shape (h, w, 3), in its own pixels: those of the screen may be smaller."""
    from qtpy.QtGui import QImage

    image = widget.grab().toImage().scaled(widget.size()).convertToFormat(QImage.Format.Format_RGB888)
    bits = image.constBits()
    if hasattr(bits, "setsize"):
        bits.setsize(image.sizeInBytes())
    rows = np.frombuffer(bits, np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : image.width() * 3].reshape(image.height(), image.width(), 3).copy()


def cut(picture: np.ndarray, box: Any) -> np.ndarray:
    return picture[round(box.top()) : round(box.bottom()), round(box.left()) : round(box.right())]


def test_the_stimulus_shows_the_frame_that_stood_on_the_screen(shown: Shown) -> None:
    shown.panel.toggle("gaze")
    for index in (0, 1, 37, 12, 13, 11, 58, 30):
        shown.at(index)
        wanted = shown.desk.stimulus.frame_at(shown.desk.player.time_us)
        view = shown.panel.stimulus
        assert burnt_number(cut(pixels(view), view.stimulus_box())) == wanted
    assert wanted == int(shown.desk.player.time_us * 25 / 1e6)


def test_the_gaze_is_drawn_where_the_person_looked(shown: Shown) -> None:
    view = shown.panel.stimulus
    eyes = shown.desk.eyes
    checked = 0
    for index in range(5, 55, 5):
        shown.at(index)
        now = int(np.searchsorted(eyes.gaze_t_us, shown.desk.player.time_us, side="right")) - 1
        x, y = eyes.gaze_norm[now]
        if not np.isfinite(x):
            continue
        place = view.place(x, y)
        picture = pixels(view)
        dot = picture[round(place.y()) - 2 : round(place.y()) + 3, round(place.x()) - 2 : round(place.x()) + 3]
        orange = (np.abs(dot.astype(int) - ORANGE) < 12).all(axis=2)
        assert orange.mean() > 0.8, f"frame {index}: no gaze at {x:.2f}, {y:.2f}"
        checked += 1
    assert checked >= 5
    shown.panel.toggle("gaze")
    assert not (np.abs(pixels(view).astype(int) - ORANGE) < 6).all(axis=2).any()


def test_a_click_into_the_traces_goes_there_and_the_cursor_follows(shown: Shown) -> None:
    traces = shown.panel.traces
    shown.at(0)
    still = pixels(traces)
    for time_us in (1_500_000, 400_000, 1_900_000):
        shown.click(traces, traces.x_of(time_us), 60)
        wanted = shown.desk.player.frames.index_at(traces.time_at(round(traces.x_of(time_us))))
        shown.until(lambda wanted=wanted: shown.desk.player.index == wanted)
        shown.application.processEvents()
        assert abs(shown.desk.player.time_us - time_us) < 60_000
        changed = np.flatnonzero((pixels(traces) != still).any(axis=(0, 2)))
        # Only the old and the new place of the cursor changed.
        expected = [traces.x_of(0), traces.x_of(shown.desk.player.time_us)]
        assert len(changed) and all(min(abs(column - x) for x in expected) < 5 for column in changed)


def test_what_could_be_seen_is_stored_with_the_label(shown: Shown, study: StudyFolder) -> None:
    desk, panel = shown.desk, shown.panel
    assert desk.view == "face+stimulus+gaze+traces+map"
    button = panel.buttons["map"]
    shown.click(button, button.width() / 2, button.height() / 2)
    assert not panel.map.isVisible() and panel.traces.isVisible()
    clip = desk.item.clip_id
    for field, value in (("emotion", "fear"), ("valence", -0.5), ("arousal", 0.5)):
        desk.set(field, value)
    desk.commit()
    shown.click(panel.buttons["stimulus"], 10, 10)
    assert desk.view == "face+traces", "gaze lies on the stimulus and goes with it"
    rows = read_labels([path for path in study.label_files() if path.stem.endswith(desk.source.annotator_id)])
    assert rows.set_index("clip_id").loc[clip, "view"] == "face+stimulus+gaze+traces"


def test_another_clip_brings_its_own_eyes_and_lets_go_of_the_old_stimulus(shown: Shown) -> None:
    shown.at(20)
    old_track, old_eyes, old_traces = shown.desk.stimulus, shown.desk.eyes, pixels(shown.panel.traces)
    shown.desk.next()
    shown.at(20)
    assert shown.desk.eyes is not old_eyes and shown.panel.scene.eyes is shown.desk.eyes
    assert (pixels(shown.panel.traces) != old_traces).any()
    with pytest.raises(MediaError, match="closed"):
        old_track.frames.frame(0)
    feeds = [thread for thread in threading.enumerate() if thread.name == "stimulus-feed"]
    assert len(feeds) == 1
    shown.panel.end()
    assert not feeds[0].is_alive()


def test_playback_brings_a_new_stimulus_frame_with_each_moment(shown: Shown) -> None:
    shown.at(0)
    seen: list[tuple[int, int]] = []
    shown.panel.scene.subscribe(lambda: seen.append((shown.panel.scene.index, shown.panel.scene.picture_time_us)))
    shown.desk.play_action(lambda player: player.play())
    shown.until(lambda: not shown.desk.player.playing)
    numbers = [index for index, _ in seen]
    assert numbers == sorted(numbers) and len(set(numbers)) > 15
    assert all(index == shown.desk.stimulus.frame_at(time_us) for index, time_us in seen)


def test_language_and_theme_change_while_it_is_open(shown: Shown) -> None:
    from annotation.views.theme import Theme

    shown.at(10)
    light = pixels(shown.panel.traces)
    shown.texts.use("zh")
    assert shown.panel.buttons["map"].text() == "热图"
    shown.panel.use_theme(Theme("dark", 150))
    assert pixels(shown.panel.traces).mean() < light.mean() - 80


def test_a_clip_without_gaze_is_still_shown(application: Any, tmp_path: Path) -> None:
    from data_schema.clips.index import build_clip_index
    from data_schema.session.synthetic import make_synthetic_session

    study = make_study(tmp_path / "study", n_participants=1, n_trials=1, more="[quality]\nmax_gaze_loss = 1.0")
    path = study.session_path("P001", "01")
    path.unlink()
    make_synthetic_session(path, n_trials=1, trial_s=1.0, with_gaze=False, config=study.config)
    build_clip_index(study)
    one = Shown(application, study, "a01")
    try:
        one.at(3)
        assert one.desk.eyes is None
        assert not (np.abs(pixels(one.panel.stimulus).astype(int) - ORANGE) < 6).all(axis=2).any()
        assert pixels(one.panel.traces).std() > 0
    finally:
        one.close()


# ---------------------------------------------------------------- help and tour, in the whole window


@pytest.fixture
def window(application: Any, study: StudyFolder, tmp_path: Path) -> Iterator[Callable[[], Any]]:
    from annotation.desk.desk import Desk
    from annotation.texts import Texts
    from annotation.views.window import AnnotateWindow

    opened: list[Any] = []

    def open_one() -> Any:
        settings = SettingsFile(tmp_path / "settings.json")
        made = AnnotateWindow(Desk(StudySource(study, "er", "w01")), Texts("en"), settings)
        made.setGeometry(0, 0, 1366, 768)
        made.show()
        opened.append(made)
        for _ in range(20):
            application.processEvents()
        return made

    yield open_one
    for one in opened:
        one.close()


def press(window: Any, *sequences: str) -> None:
    """Press keys as Qt writes them, wherever the keyboard is."""
    from qtpy.QtGui import QKeySequence
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QApplication

    for sequence in sequences:
        QTest.keySequence(QApplication.focusWidget() or window, QKeySequence(sequence))
        QApplication.processEvents()


def test_the_tour_comes_once_and_leads_through_every_part(window: Callable[[], Any]) -> None:
    first = window()
    tour = first.tour
    assert tour.isVisible() and [step.name for step in tour.steps] == [
        "welcome", "video", "er_panel", "timeline", "form", "header", "keys",
    ]  # fmt: skip
    lit = []
    for number in range(len(tour.steps)):
        assert tour.place == number
        part = tour.lit()
        if part is not None:
            lit.append(part)
            covered = tour.panel.geometry().intersected(part)
            assert covered.width() * covered.height() < 0.35 * part.width() * part.height()
        assert tour.rect().contains(tour.panel.geometry())
        press(first, "Left", "Right", "Right") if number else press(first, "Right")
    assert len(lit) == 5 and not tour.isVisible()
    assert first.desk.draft.emotion is None
    first.close()
    assert not window().tour.isVisible()


def test_escape_puts_the_tour_away_for_good_and_the_menu_brings_it_back(window: Callable[[], Any]) -> None:
    first = window()
    press(first, "Esc")
    assert not first.tour.isVisible()
    first.do("menu.tour")
    assert first.tour.isVisible()
    press(first, "Esc", "1")
    assert first.desk.draft.emotion is not None, "the keys of the window are awake again"
    first.close()
    assert not window().tour.isVisible()


def test_parts_are_put_away_by_key_and_the_view_of_the_label_says_so(window: Callable[[], Any]) -> None:
    one = window()
    said = one.desk.draft
    press(one, "Esc", "Ctrl+4", "Ctrl+1")
    panel = one.clip.er_panel
    assert not panel.map.isVisible() and not panel.stimulus.isVisible() and panel.traces.isVisible()
    assert one.desk.view == "face+traces"
    press(one, "Ctrl+2", "Ctrl+5", "Ctrl+6")
    assert panel.buttons["velocity"].isChecked() and panel.buttons["page"].isChecked()
    press(one, "Ctrl+1")
    assert one.desk.view == "face+stimulus+gaze+traces", "gaze without a stimulus cannot be switched, only with it"
    assert one.desk.draft == said, "the digits of these keys answer nothing"


def test_help_shows_the_keys_that_are_set_and_no_key_labels_below_it(window: Callable[[], Any]) -> None:
    one = window()
    press(one, "Esc")
    one.do("help")
    assert one.help.isVisible()
    shown = one.help.page.toPlainText()
    assert "What does the person feel?" in shown and "{" not in shown
    assert f"{KEY_BY_ACTION['skip'].sequences[0]} skips a clip" in shown
    press(one, "2", "Return")
    assert one.desk.position == 0 and one.desk.saved_label is None
    top = one.help.page.verticalScrollBar().value()
    press(one, "PgDown")
    assert one.help.page.verticalScrollBar().value() > top, "a keyboard reaches the end of the page"
    press(one, "Esc")
    assert not one.help.isVisible()
    one.texts.use("zh")
    one.do("help")
    assert "两个问题" in one.help.page.toPlainText()
    press(one, "Esc")
