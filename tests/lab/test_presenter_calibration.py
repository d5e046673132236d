"""The calibration's screen: where the target stands and from which flip, the head, and the keys."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from collection.presenter.base import HeadPosition
from collection.presenter.psychopy.page import DecisionPage
from collection.presenter.psychopy.presenter import PsychopyPresenter
from collection.texts import load_texts
from data_schema.clocks import SystemClock
from data_schema.study.sections import ScreenSection

from .conftest import Hands, Participant, wait_for
from .presenter_lab import HEIGHT, LIBRARY_WARNINGS, WIDTH, Desk, never, watch_flips

pytestmark = [pytest.mark.lab, *(pytest.mark.filterwarnings(line) for line in LIBRARY_WARNINGS)]

TEXTS = load_texts("en")


@pytest.fixture(scope="module")
def presenter(display: str) -> Iterator[PsychopyPresenter]:
    screen = ScreenSection(width_px=WIDTH, height_px=HEIGHT)
    shown = PsychopyPresenter(screen, language="en", clock=SystemClock(), fullscreen=False)
    shown.open()
    yield shown
    shown.close()


def _target(picture: np.ndarray) -> tuple[float, float, int]:
    """Return the middle of what is black, shares of the screen, and how many pixels are."""
    y, x = np.nonzero(picture[..., 0] < 40)
    return (x.min() + x.max() + 1) / 2 / WIDTH, (y.min() + y.max() + 1) / 2 / HEIGHT, len(x)


def test_target_travels_shrinks_and_stands_where_it_was_sent(presenter: PsychopyPresenter) -> None:
    screen = presenter.calibration_screen
    seen: list[tuple[float, float, int]] = []
    restore = watch_flips(
        presenter, lambda: seen.append(_target(np.asarray(presenter.window.screenshot()).astype(int)))
    )
    try:
        screen.move_target(0.5, 0.5, 0.3, never)
        first = seen[-1]
        seen.clear()
        before_us = SystemClock().now_us()
        stood_us = screen.move_target(0.1, 0.8, 0.8, never)
        after_us = SystemClock().now_us()
        moved = list(seen)
        seen.clear()
        screen.hold_target(SystemClock().now_us() + 900_000, never)
    finally:
        restore()
    assert first[:2] == pytest.approx((0.5, 0.5), abs=0.002)
    assert moved[-1][:2] == pytest.approx((0.1, 0.8), abs=0.002)
    xs = [place[0] for place in moved]
    assert xs == sorted(xs, reverse=True), "it travels without turning back"
    assert len({round(x, 3) for x in xs}) > 4, "it is seen on its way"
    sizes = [place[2] for place in moved]
    assert max(sizes) > 3 * sizes[-1], "it is large while it travels and shrinks on its place"
    # It stands from the returned flip on: that was the last of this call.
    assert before_us + 750_000 < stood_us <= after_us
    assert after_us - stood_us < 60_000
    held = np.array([place[:2] for place in seen])
    assert np.abs(held - (0.1, 0.8)).max() < 0.002
    assert max(place[2] for place in seen) > 1.2 * min(place[2] for place in seen), "its rim pulses"


def test_target_has_a_dot_in_the_middle_of_a_cross(presenter: PsychopyPresenter) -> None:
    screen = presenter.calibration_screen
    shots: list[np.ndarray] = []
    restore = watch_flips(presenter, lambda: shots.append(np.asarray(presenter.window.screenshot()).astype(int)))
    try:
        screen.move_target(0.5, 0.5, 0.2, never)
    finally:
        restore()
    px_per_deg = 650.0 * np.tan(np.radians(1.0)) * WIDTH / 528.0
    x, y = WIDTH // 2, HEIGHT // 2
    picture = shots[-1][..., 0]
    between = round(0.2 * px_per_deg)
    assert picture[y, x] < 40, "the dot"
    assert abs(picture[y, x + between] - 128) < 12, "the arms of the cross are grey"
    assert abs(picture[y - between, x] - 128) < 12
    diagonal = round(0.2 * px_per_deg / np.sqrt(2))
    assert picture[y + diagonal, x + diagonal] < 40, "the disc between them"
    dark_x = np.nonzero((picture < 40).any(axis=0))[0]
    assert (dark_x[-1] - dark_x[0] + 1) / px_per_deg == pytest.approx(0.6, abs=0.12)


def test_both_verbs_end_when_told_to(presenter: PsychopyPresenter) -> None:
    screen = presenter.calibration_screen
    over_us = SystemClock().now_us() + 200_000
    screen.move_target(0.3, 0.3, 20.0, lambda: SystemClock().now_us() > over_us)
    over_us = SystemClock().now_us() + 200_000
    screen.hold_target(over_us + 20_000_000, lambda: SystemClock().now_us() > over_us)
    assert SystemClock().now_us() < over_us + 300_000
    screen.clear()


def test_head_is_a_mirror_and_nearer_eyes_are_larger(presenter: PsychopyPresenter) -> None:
    screen = presenter.calibration_screen
    shots: list[np.ndarray] = []
    flip = presenter.window.flip

    def look() -> int:
        shots.append(np.asarray(presenter.window.screenshot()).astype(int))
        return flip()

    # The track box's x grows to the participant's left: the left eye has the larger x.
    left, right = (0.6, 0.5, 0.5), (0.4, 0.5, 0.5)
    presenter.window.flip = look
    try:
        for head in (
            HeadPosition(None, None),
            HeadPosition(left, right),
            HeadPosition((0.6, 0.5, 0.1), None),
            HeadPosition((0.95, 0.5, 0.5), None),
        ):
            screen.show_head(head, TEXTS["positioning.good"])
    finally:
        presenter.window.flip = flip
    screen.clear()
    nothing = shots[0]
    changed = [np.abs(shot - nothing).sum(axis=2) > 20 for shot in shots]
    columns = np.nonzero(changed[1].any(axis=0))[0]
    assert columns.min() < WIDTH / 2 < columns.max(), "one eye on each side"
    assert changed[2].sum() > 1.5 * changed[1].sum() / 2, "nearer is larger"
    far_left = np.nonzero(changed[3].any(axis=0))[0]
    assert far_left.max() < WIDTH * 0.35, "an eye on the participant's left is on the left"
    # Well placed is green, badly placed is not.
    y, x = np.nonzero(changed[1])
    ring = shots[1][y[0] + 3, x[0]]
    assert ring[1] > ring[0]


def test_keys_of_positioning_and_a_click(presenter: PsychopyPresenter, hands: Hands) -> None:
    screen = presenter.calibration_screen
    head = HeadPosition((0.6, 0.5, 0.5), (0.4, 0.5, 0.5), 640.0)

    def pressed() -> str:
        screen.show_head(head, "")
        return screen.poll_key()

    assert pressed() == ""
    for name, word in (("space", "go_on"), ("r", "redo"), ("s", "skip"), ("Return", "go_on")):
        hands.key(name)
        assert wait_for(pressed) == word
    hands.click(960, 540)
    assert wait_for(pressed) == "go_on"
    assert pressed() == ""
    screen.clear()


def test_escape_during_a_target_asks_first(display: str, participant: Participant, hands: Hands) -> None:
    screen_section = ScreenSection(width_px=WIDTH, height_px=HEIGHT)
    presenter = PsychopyPresenter(screen_section, language="en", clock=SystemClock(), fullscreen=False)
    presenter.open()
    desk = Desk(presenter, hands)
    began: list[int] = []
    restore = watch_flips(presenter, lambda: began.append(1))

    def act() -> None:
        wait_for(lambda: began)
        hands.key("Escape")
        dialog = desk.page(DecisionPage)
        desk.click_box(dialog.yes.box)

    try:
        screen = presenter.calibration_screen
        screen.move_target(0.5, 0.5, 0.1, never)
        participant.does(act)
        screen.hold_target(SystemClock().now_us() + 20_000_000, lambda: participant.failed)
        participant.finish()
        assert screen.poll_key() == "stop"
        assert presenter.stop_requested()
    finally:
        restore()
        presenter.close()


def test_the_question_that_escape_opens_at_the_head_hears_the_operators_stop(
    display: str, participant: Participant, hands: Hands
) -> None:
    presenter = PsychopyPresenter(
        ScreenSection(width_px=WIDTH, height_px=HEIGHT), language="en", clock=SystemClock(), fullscreen=False
    )
    presenter.open()
    desk = Desk(presenter, hands)
    stopped: list[int] = []
    began: list[int] = []

    def act() -> None:
        wait_for(lambda: began)
        hands.key("Escape")
        desk.page(DecisionPage)
        stopped.append(1)  # the operator's console

    try:
        screen = presenter.calibration_screen
        participant.does(act)
        give_up_us = SystemClock().now_us() + 20_000_000
        while not stopped and SystemClock().now_us() < give_up_us:
            screen.show_head(HeadPosition(None, None), "", lambda: bool(stopped) or participant.failed)
            began.append(1)
        participant.finish()
        assert stopped
        assert presenter.page is None, "nothing is asked any more"
        assert not presenter.stop_requested(), "the participant has not decided"
    finally:
        presenter.close()


def test_a_text_stays_while_the_operator_decides_and_escape_is_heard(
    display: str, participant: Participant, hands: Hands
) -> None:
    presenter = PsychopyPresenter(
        ScreenSection(width_px=WIDTH, height_px=HEIGHT), language="en", clock=SystemClock(), fullscreen=False
    )
    presenter.open()
    desk = Desk(presenter, hands)
    shots: list[np.ndarray] = []
    began: list[int] = []
    flip = presenter.window.flip

    def act() -> None:
        wait_for(lambda: began)
        for answer in ("no", "yes"):
            hands.key("Escape")
            dialog = desk.page(DecisionPage)
            desk.click_box(getattr(dialog, answer).box)
            desk.gone(dialog)

    def look() -> int:
        shots.append(np.asarray(presenter.window.screenshot()).astype(int))
        return flip()

    try:
        screen = presenter.calibration_screen
        presenter.window.flip = look  # type: ignore[method-assign]
        screen.show_text(TEXTS["calibration.wait"])
        shown = shots[0]
        assert (np.abs(shown - shown[0, 0]).sum(axis=2) > 60).sum() > 500, "there are words"
        participant.does(act)
        give_up_us = SystemClock().now_us() + 30_000_000
        key = ""
        while not key and SystemClock().now_us() < give_up_us and not participant.failed:
            key = screen.poll_key(lambda: participant.failed)
            began.append(1)
        participant.finish()
        assert key == "stop"
        assert presenter.stop_requested()
        # The text came back after the question that was answered with no.
        same = [bool((np.abs(shot - shown) < 12).all()) for shot in shots]
        first_question = same.index(False)
        assert any(same[first_question:])
    finally:
        presenter.window.flip = flip  # type: ignore[method-assign]
        presenter.close()
