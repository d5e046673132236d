"""The console's views, with real Qt events on Qt's own offscreen screen."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.console_scenes import SCENES, Stage, make_window

pytestmark = pytest.mark.lab

SIZES = ((1366, 768), (1920, 1080))


@pytest.fixture(scope="module")
def application() -> Iterator[Any]:
    before = os.environ.get("QT_QPA_PLATFORM")
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    from collection.console.starting import forget_other_qt

    forget_other_qt()
    from PyQt5.QtWidgets import QApplication

    yield QApplication.instance() or QApplication([])
    if before is None:
        del os.environ["QT_QPA_PLATFORM"]
    else:
        os.environ["QT_QPA_PLATFORM"] = before


class Shown:
    """A window with a scene."""

    def __init__(self, stage: Stage, window: Any) -> None:
        self.stage, self.window, self.model = stage, window, stage.model

    def key(self, name: str, modifier: str = "", widget: Any = None) -> None:
        from PyQt5.QtCore import Qt
        from PyQt5.QtTest import QTest

        how = getattr(Qt, f"{modifier}Modifier") if modifier else Qt.NoModifier
        QTest.keyClick(widget or self.window, getattr(Qt, f"Key_{name}"), how)
        self.settle()

    def type(self, widget: Any, text: str) -> None:
        from PyQt5.QtTest import QTest

        QTest.keyClicks(widget, text)
        self.settle()

    def click(self, widget: Any) -> None:
        from PyQt5.QtCore import Qt
        from PyQt5.QtTest import QTest

        QTest.mouseClick(widget, Qt.LeftButton)
        self.settle()

    def settle(self) -> None:
        from PyQt5.QtWidgets import QApplication

        self.window.tick()
        QApplication.processEvents()


@pytest.fixture
def show(application: Any, tmp_path: Path) -> Iterator[Callable[..., Shown]]:
    opened: list[tuple[Any, Any]] = []

    def make(scene: str, size: tuple[int, int] = SIZES[0]) -> Shown:
        stage = Stage(tmp_path)
        window, player = make_window(stage, scene, *size)
        window.activateWindow()
        opened.append((window, player))
        shown = Shown(stage, window)
        shown.settle()
        return shown

    yield make
    for window, player in opened:
        window.close()
        player.close()
        window.deleteLater()
    application.processEvents()


@pytest.mark.parametrize("size", SIZES, ids=["1366x768", "1920x1080"])
@pytest.mark.parametrize("scene", SCENES)
def test_every_scene_fits_its_screen(show: Callable[..., Shown], scene: str, size: tuple[int, int]) -> None:
    from PyQt5.QtWidgets import QLabel, QPushButton

    window = show(scene, size).window
    assert (window.width(), window.height()) == size
    page = window.pages[window.page]
    for widget in [*page.findChildren(QPushButton), *window.header.findChildren(QLabel)]:
        if not widget.isVisible():
            continue
        corner = widget.mapTo(window, widget.rect().bottomRight())
        assert 0 <= corner.x() < size[0], f"{widget.text()} leaves the window"
        assert 0 <= corner.y() < size[1], f"{widget.text()} leaves the window"
        needed = widget.fontMetrics().horizontalAdvance(widget.text())
        assert widget.wordWrap() if isinstance(widget, QLabel) and widget.wordWrap() else needed <= widget.width()


def test_letters_grow_with_the_window(show: Callable[..., Shown]) -> None:
    small, large = (show("recording", size).window.header.where.fontInfo().pixelSize() for size in SIZES)
    assert small >= 13
    assert large >= 1.35 * small


def test_gaze_lies_over_the_right_place_of_the_clip(show: Callable[..., Shown]) -> None:
    from PyQt5.QtGui import QColor

    from collection.console.views.theme import EYE_COLOURS

    shown = show("recording")
    view = shown.window.live.gaze
    box = view.screen_rect()
    assert box.width() / box.height() == pytest.approx(16 / 9, rel=0.01)
    shown.stage.recorder("gaze", t_us=[shown.model.gaze.newest_us + 1_000_000], left=[[0.25, 0.75]], right=[None],
                         left_valid=[1], right_valid=[0])  # fmt: skip
    shown.model.flush()
    shown.settle()
    picture = view.grab().toImage()
    at = (round(box.left() + 0.25 * box.width()), round(box.top() + 0.75 * box.height()))
    left = QColor(EYE_COLOURS["left"])
    rim = [picture.pixelColor(at[0] + dx, at[1]) for dx in range(-16, 17)]
    assert min(abs(c.red() - left.red()) + abs(c.blue() - left.blue()) for c in rim) < 30
    corner = picture.pixelColor(round(box.left() + 0.9 * box.width()), round(box.top() + 0.6 * box.height()))
    assert corner.red() > corner.blue() + 40, "the clip itself (ochre) is behind the gaze"


def marks_as_read(shown: Shown) -> str:
    from collection.console.views.controls import MarksView

    (view,) = shown.window.findChildren(MarksView)
    return "\n".join(line.text() for line in view._lines)


def test_the_form_refuses_a_name_while_it_is_typed(show: Callable[..., Shown]) -> None:
    shown = show("form")
    form = shown.window.form
    code = form.fields["code"]
    assert code.text() == "P7KQ4"
    code.clear()
    shown.type(code, "Anna Smith")
    assert "never a name" in form.problems["code"].text()
    assert form.problems["code"].isVisible()
    shown.key("Return", "Control")
    assert shown.stage.sent == []
    code.clear()
    shown.type(code, "P001")
    form.fields["session"].setText("02")
    assert "emer record resume" in form.problems["session"].text()
    form.fields["session"].setText("03")
    assert not form.problems["session"].isVisible()
    shown.key("Return", "Control")
    assert "video, gaze, sharing" in form.problems["consent"].text(), "consent on paper must be entered"
    for scope, yes in (("video", False), ("gaze", True), ("sharing", True)):
        shown.click(form.scopes[scope][0 if yes else 1])
    shown.type(form.fields["age_years"], "31")
    shown.click(form.send)
    assert shown.stage.sent == [{
        "kind": "participant_form", "code": "P001", "session": "03",
        "facts": {"vision_aid": "none", "dominant_eye": "unknown", "age_years": "31"},
        "consent": {"video": False, "gaze": True, "sharing": True},
    }]  # fmt: skip


def test_the_fourth_scope_is_on_the_form_only_where_it_is_asked(show: Callable[..., Shown]) -> None:
    shown = show("form")
    form = shown.window.form
    assert form.scopes["sharing"][0].isVisible()
    assert not form.scopes["face_sharing"][0].isVisible()
    shown.stage.session(
        "form", open=True, code="P7KQ5", session="01", used={}, consent="paper",
        scopes=["gaze", "video", "sharing", "face_sharing"], problem="",
    )  # fmt: skip
    shown.settle()
    assert form.scopes["face_sharing"][0].isVisible()
    for scope in ("gaze", "video", "sharing"):
        shown.click(form.scopes[scope][0])
    shown.key("Return", "Control")
    assert "face_sharing" in form.problems["consent"].text()
    shown.click(form.scopes["face_sharing"][1])
    shown.click(form.send)
    assert shown.stage.sent[-1]["consent"] == {"gaze": True, "video": True, "sharing": True, "face_sharing": False}


def test_the_sessions_own_objection_to_a_form_is_shown(show: Callable[..., Shown]) -> None:
    shown = show("form")
    shown.window.form.fields["note"].setText("typed already")
    shown.stage.session(
        "form", open=True, code="P7KQ4", session="01", used={}, consent="screen", problem="No, because."
    )
    shown.settle()
    assert shown.window.form.message.text() == "No, because."
    assert shown.window.form.fields["note"].text() == "typed already"
    assert not shown.window.form._consent.isVisible()


def test_overriding_the_preflight_needs_a_reason(show: Callable[..., Shown]) -> None:
    shown = show("preflight")  # the scene has pressed 2 already
    panel = shown.window.preflight.panel
    assert "1 of 11 checks failed" in shown.window.preflight.title.text()
    assert panel.reason.isVisible()
    shown.key("Return", widget=panel.reason)
    assert shown.stage.sent == []
    assert "needs a reason" in panel.problem.text()
    shown.type(panel.reason, "2 pilots only")
    shown.key("Return", widget=panel.reason)
    assert shown.stage.sent == [
        {"kind": "answer", "id": "preflight", "number": 1, "choice": "override", "reason": "2 pilots only"}
    ]  # fmt: skip


def test_the_calibration_is_read_at_a_glance_and_attempts_can_be_looked_at(show: Callable[..., Shown]) -> None:
    shown = show("calibration")
    view = shown.window.calibration
    assert view.verdict.text() == "NOT GOOD ENOUGH"
    assert view.cells["loss", "right"].text() == "22 %"
    shown.key("Right")
    assert view.verdict.text() == "PASSED"
    assert view.cells["accuracy_deg", "left"].text().endswith("°")
    shown.key("Left")
    shown.key("Left")
    assert "2  " in view.attempts[0].text()
    shown.click(view.attempts[2])
    assert view.verdict.text() == "PASSED"
    shown.key("7")
    assert shown.stage.sent[-1] == {"kind": "answer", "id": "calibration", "number": 2, "choice": "use_6", "reason": ""}
    shown.stage.session("question_closed", id="calibration", number=2, choice="use_6")
    shown.settle()
    assert not view.panel.isVisible()
    n_sent = len(shown.stage.sent)
    shown.key("1")
    assert len(shown.stage.sent) == n_sent


def test_no_question_is_decided_unseen(show: Callable[..., Shown]) -> None:
    shown = show("calibration")
    shown.key("F4")
    assert shown.window.page == "live"
    shown.key("3")
    assert shown.stage.sent == []
    shown.key("F5")
    shown.key("3")
    assert shown.stage.sent[-1]["choice"] == "recalibrate"


def test_stopping_is_asked_twice(show: Callable[..., Shown]) -> None:
    shown = show("recording")
    shown.stage.sent.clear()
    shown.key("S")
    assert shown.window.confirm.asking
    shown.key("Space")
    assert shown.stage.sent == [], "no other key does anything meanwhile"
    shown.key("Y")
    assert shown.window.confirm.asking
    shown.key("Escape")
    assert not shown.window.confirm.isVisible()
    assert shown.stage.sent == []
    shown.click(shown.window.live.controls.buttons["stop"])
    shown.click(shown.window.confirm.yes_button)
    shown.click(shown.window.confirm.yes_button)
    assert [message["name"] for message in shown.stage.sent] == ["stop"]


def test_an_alarm_is_red_says_what_to_do_and_beeps_until_muted(show: Callable[..., Shown]) -> None:
    shown = show("recording")
    banner = shown.window.banner
    beeps: list[float] = []
    banner._beep = lambda: beeps.append(shown.stage.now_s)
    shown.settle()
    assert not banner.isVisible()
    shown.stage.now_s += 1.0
    shown.stage.session("alarm", key="tracker", level="error", text="The tracker is gone. Plug it in again.")
    for _ in range(50):
        shown.stage.now_s += 0.1
        for link in shown.model.links.values():
            link.heard_s = shown.stage.now_s
        shown.model.streams.refresh(shown.stage.now_s)
        shown.settle()
    assert "Plug it in again" in " ".join(banner.texts)
    assert len(beeps) == 3
    red = banner.grab().toImage().pixelColor(8, banner.height() // 2)
    assert red.red() > 120
    assert red.green() < 60
    shown.key("X")
    n_beeps = len(beeps)
    shown.stage.now_s += 10.0
    for link in shown.model.links.values():
        link.heard_s = shown.stage.now_s
    shown.model.streams.refresh(shown.stage.now_s)
    shown.settle()
    assert "(muted)" in " ".join(banner.texts)
    assert len(beeps) == n_beeps
    shown.stage.session("alarm", key="disk", level="error", text="Another one.")
    shown.settle()
    assert len(beeps) == n_beeps + 1
    for key in ("tracker", "disk"):
        shown.stage.session("alarm", key=key, level="error", text="")
    shown.settle()
    assert not banner.isVisible()


def test_the_note_has_the_keyboard_only_if_it_was_given(show: Callable[..., Shown]) -> None:
    from PyQt5.QtCore import QEvent, Qt
    from PyQt5.QtGui import QFocusEvent
    from PyQt5.QtWidgets import QApplication

    shown = show("recording")
    note = shown.window.live.controls.note

    def come_to_the_front() -> None:
        # As the window manager does, with whatever Qt gives the keyboard to.
        QApplication.setActiveWindow(None)
        QApplication.setActiveWindow(shown.window)
        shown.settle()

    def marks() -> int:
        return sum(message.get("name") == "mark" for message in shown.stage.sent)

    for leave in (lambda: None, lambda: shown.key("F5"), lambda: shown.key("F2")):
        leave()
        shown.key("F4")
        come_to_the_front()
        assert not note.hasFocus()
        before = marks()
        shown.key("Space", widget=QApplication.focusWidget() or shown.window)
        assert (marks(), note.text()) == (before + 1, "")
    assert re.search(r"\d  (\d\d:\d\d:\d\d)  mark", marks_as_read(shown)), "a mark says when it was set"
    for end in ("Escape", "Return"):
        shown.key("N")
        assert note.hasFocus()
        shown.type(note, "ks")
        assert note.text() == "ks"
        come_to_the_front()
        assert not note.hasFocus(), "one who comes back to the window sets marks again"
        shown.key("N")
        shown.key(end, widget=note)
        assert not note.hasFocus()
        note.clear()
    shown.click(note)
    assert note.hasFocus()
    shown.key("F5")
    shown.key("F4")
    assert not note.hasFocus(), "a page that is shown again does not remember it"
    note.focusInEvent(QFocusEvent(QEvent.FocusIn, Qt.TabFocusReason))
    assert not note.hasFocus()


def test_a_gaze_that_no_longer_arrives_is_not_drawn(show: Callable[..., Shown]) -> None:
    from PyQt5.QtGui import QColor

    from collection.console.views.theme import EYE_COLOURS

    def coloured(shown: Shown) -> int:
        view = shown.window.live.gaze
        picture, box, want = view.grab().toImage(), view.screen_rect().toRect(), QColor(EYE_COLOURS["left"]).rgb()
        xs, ys = range(box.left() + 5, box.right() - 5, 2), range(box.top() + 40, box.bottom() - 40, 2)
        return sum(picture.pixel(x, y) == want for x in xs for y in ys)

    shown = show("recording")
    assert coloured(shown) > 0
    shown.stage._status(silent="/eye/gaze")
    shown.model.flush()
    shown.settle()
    assert shown.model.gaze_silent
    assert coloured(shown) == 0


def test_the_key_sheet_lists_every_key(show: Callable[..., Shown]) -> None:
    from PyQt5.QtWidgets import QLabel

    from collection.console.keys import KEYS

    shown = show("recording")
    shown.key("F1")
    texts = {label.text() for label in shown.window.keys.findChildren(QLabel)}
    assert {key.help for key in KEYS} <= texts
    assert shown.window.keys.isVisible()
    shown.key("F1")
    assert not shown.window.keys.isVisible()


def test_the_summary_opens_the_quality_page(show: Callable[..., Shown]) -> None:
    shown = show("summary")
    summary = shown.window.summary
    opened: list[str] = []
    summary._open_file = lambda path: opened.append(path) or True
    shown.key("O")
    assert opened == []
    assert "emer quality" in summary.problem.text(), "the page is not there"
    page = Path(shown.model.ended["quality_page"])
    page.write_text("<html></html>", encoding="utf-8")
    shown.click(summary.open_button)
    assert opened == [str(page)]
    assert str(page) in summary.problem.text(), "the system says yes without a browser, too"
    shown.key("F4")
    shown.stage.session("ended", reason="complete", path="x.h5", quality_page="")
    shown.model.flush()
    shown.key("F4")
    shown.key("O")
    assert shown.window.page == "summary"
    assert "emer quality" in summary.problem.text()


def test_the_summary_names_what_was_found(show: Callable[..., Shown]) -> None:
    summary = show("summary").window.summary
    assert any("trials 9 and 14" in line.text() for line in summary.lines)


def test_text_of_a_session_is_never_markup(show: Callable[..., Shown]) -> None:
    from PyQt5.QtCore import Qt
    from PyQt5.QtWidgets import QLabel

    shown = show("recording")
    shown.stage.session("alarm", key="x", level="error", text="<b>bold</b> <img src='file:///etc/passwd'>")
    shown.settle()
    labels = [label for label in shown.window.findChildren(QLabel) if "<b>" in label.text()]
    assert labels
    assert all(label.textFormat() == Qt.PlainText for label in labels)
