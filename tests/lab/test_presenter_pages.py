"""A person at the participant's screen: real keys, real clicks, and what the presenter says they answered."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import pytest

from collection.presenter.psychopy.consent_page import ConsentPage
from collection.presenter.psychopy.page import DecisionPage, TextPage
from collection.presenter.psychopy.presenter import PsychopyPresenter
from collection.presenter.psychopy.questions import QuestionsPage
from collection.presenter.psychopy.text_entry import TextEntryPage
from collection.protocol.steps import AskItems, Baseline, Break, Consent, Item, ItemKind, ShowText
from collection.texts import load_texts
from data_schema.clocks import SystemClock
from data_schema.study.sections import ScreenSection

from .conftest import Hands, Participant, wait_for
from .presenter_lab import HEIGHT, LIBRARY_WARNINGS, WIDTH, Desk, never

pytestmark = [pytest.mark.lab, *(pytest.mark.filterwarnings(line) for line in LIBRARY_WARNINGS)]

TEXTS = load_texts("en")
INTENSITY = TEXTS.labels("labels.intensity")
FEELINGS = tuple(
    Item(name, ItemKind.RATING, 1, 5, TEXTS.say("prompts.emotion", emotion=name), INTENSITY)
    for name in ("happiness", "sadness", "fear")
)
SAM = tuple(
    Item(scale, ItemKind.SAM, 1, 9, TEXTS[f"prompts.{scale}"], TEXTS.labels(f"sam.{scale}"))
    for scale in ("valence", "arousal")
)
SCOPES = tuple((scope, TEXTS[f"consent.{scope}"]) for scope in ("gaze", "video", "sharing"))


@pytest.fixture(scope="module")
def presenter(display: str) -> Iterator[PsychopyPresenter]:
    screen = ScreenSection(width_px=WIDTH, height_px=HEIGHT)
    shown = PsychopyPresenter(screen, language="en", clock=SystemClock(), fullscreen=False)
    shown.open()
    yield shown
    shown.close()


@pytest.fixture
def desk(presenter: PsychopyPresenter, hands: Hands) -> Desk:
    return Desk(presenter, hands)


def _ask(presenter: PsychopyPresenter, participant: Participant, *items: Item) -> dict[str, tuple[int, int, int, str]]:
    answers = presenter.ask(AskItems("self_report", 30.0, 1, items=items, title="How?"), lambda: participant.failed)
    return {a.item.scale: (a.rating, a.t_shown_us, a.t_answered_us, a.text) for a in answers}


def test_ratings_by_mouse_can_be_changed_until_going_on(
    presenter: PsychopyPresenter, participant: Participant, desk: Desk
) -> None:
    before_us = SystemClock().now_us()

    def act() -> None:
        page: QuestionsPage = desk.page(QuestionsPage)
        assert page.chosen == [None, None, None]
        desk.click(page.button_center())  # nothing is answered: the page stays
        for row, rating in ((0, 2), (1, 5), (0, 4)):
            desk.click(page.option_center(row, rating))
            wait_for(lambda r=row, n=rating: page.chosen[r] and page.chosen[r][0] == n)
        desk.click(page.button_center())  # one is missing: it still stays
        desk.click(page.option_center(2, 1))
        wait_for(lambda: page.complete)
        assert not page.done
        desk.click(page.button_center())

    participant.does(act)
    answers = _ask(presenter, participant, *FEELINGS)
    after_us = SystemClock().now_us()
    assert {scale: answer[0] for scale, answer in answers.items()} == {"happiness": 4, "sadness": 5, "fear": 1}
    for _, shown_us, answered_us, _ in answers.values():
        assert before_us < shown_us < answered_us < after_us
    # The changed answer counts from its change.
    assert answers["sadness"][2] < answers["happiness"][2] < answers["fear"][2]


def test_ratings_by_digits_arrows_and_enter(presenter: PsychopyPresenter, participant: Participant, desk: Desk) -> None:
    def act() -> None:
        page: QuestionsPage = desk.page(QuestionsPage)
        desk.hands.key("3", "5")  # first and second row; a digit goes on to the next
        desk.hands.key("9")  # not on this scale
        wait_for(lambda: page.chosen[1])
        desk.hands.key("Return")
        wait_for(lambda: page._focus == 2)
        desk.hands.key("Right", "Right")  # nothing chosen: from the left end to the second point
        desk.hands.key("Up", "Left")  # back to the second row: one less
        wait_for(lambda: page.chosen[1] and page.chosen[1][0] == 4)
        desk.hands.key("Return")

    participant.does(act)
    answers = _ask(presenter, participant, *FEELINGS)
    assert {scale: answer[0] for scale, answer in answers.items()} == {"happiness": 3, "sadness": 4, "fear": 2}


def test_a_key_after_a_click_answers_the_next_line(
    presenter: PsychopyPresenter, participant: Participant, desk: Desk
) -> None:
    def act() -> None:
        page: QuestionsPage = desk.page(QuestionsPage)
        desk.click(page.option_center(1, 1))
        wait_for(lambda: page.chosen[1])
        desk.hands.key("3")
        wait_for(lambda: page.chosen[2])
        assert [answer and answer[0] for answer in page.chosen] == [None, 1, 3]
        desk.click(page.option_center(1, 2))  # changed: the line that is still open is next
        wait_for(lambda: page.chosen[1] and page.chosen[1][0] == 2)
        desk.hands.key("5")
        wait_for(lambda: page.complete)
        desk.hands.key("Return")

    participant.does(act)
    answers = _ask(presenter, participant, *FEELINGS)
    assert [answer[0] for answer in answers.values()] == [5, 2, 3]


@pytest.mark.parametrize("kind", [ItemKind.YES_NO, ItemKind.CHOICE])
def test_digits_count_the_answers_as_they_are_shown(
    presenter: PsychopyPresenter, participant: Participant, desk: Desk, kind: ItemKind
) -> None:
    item = Item("attention", kind, 0, 1, TEXTS["prompts.attention"], TEXTS.labels("labels.no_yes"))

    def act() -> None:
        page: QuestionsPage = desk.page(QuestionsPage)
        boxes = [option.box for option in page._layout.options[0]]
        assert (boxes[0].left, boxes[0].top) < (boxes[1].left, boxes[1].top)
        desk.hands.key("2")
        wait_for(lambda: page.chosen[0] and page.chosen[0][0] == 1)
        desk.hands.key("0", "1")
        wait_for(lambda: page.chosen[0] and page.chosen[0][0] == 0)
        desk.hands.key("Return")

    participant.does(act)
    assert _ask(presenter, participant, item)["attention"][0] == 0


def test_enter_with_an_open_line_says_what_is_missing(
    presenter: PsychopyPresenter, participant: Participant, desk: Desk
) -> None:
    def act() -> None:
        page: QuestionsPage = desk.page(QuestionsPage)
        desk.hands.key("1", "1")
        wait_for(lambda: page.chosen[1])
        before = np.asarray(page.picture())
        desk.hands.key("Return")
        wait_for(lambda: page._missing_shown)
        # Words stand beside the button, left of it, where nothing stood.
        box = page.button.box
        beside = np.s_[int(box.top) : int(box.bottom), : int(box.left) - 20]
        wait_for(lambda: (np.asarray(page.picture())[beside] != before[beside]).sum() > 200)
        desk.hands.key("1")
        wait_for(lambda: page.complete)
        assert (np.asarray(page.picture())[beside] == before[beside]).all()
        desk.hands.key("Return")

    participant.does(act)
    assert len(_ask(presenter, participant, *FEELINGS)) == 3


def test_manikins_by_mouse_and_keyboard(presenter: PsychopyPresenter, participant: Participant, desk: Desk) -> None:
    def act() -> None:
        page: QuestionsPage = desk.page(QuestionsPage)
        desk.click(page.option_center(0, 8))
        wait_for(lambda: page.chosen[0])
        desk.hands.key("Down", "2")
        wait_for(lambda: page.chosen[1])
        desk.hands.key("KP_Enter")

    participant.does(act)
    answers = _ask(presenter, participant, *SAM)
    assert (answers["valence"][0], answers["arousal"][0]) == (8, 2)
    assert SAM[0].stored_value(answers["valence"][0]) == (0.75, "SAM 8 of 9")


def test_yes_no_and_choice(presenter: PsychopyPresenter, participant: Participant, desk: Desk) -> None:
    yes_no = Item("attention", ItemKind.YES_NO, 0, 1, TEXTS["prompts.attention"], TEXTS.labels("labels.no_yes"))
    words = TEXTS.labels("labels.familiarity")
    choice = Item("familiarity", ItemKind.CHOICE, 0, 4, TEXTS["prompts.familiarity"], words)

    def act() -> None:
        first: QuestionsPage = desk.page(QuestionsPage)
        desk.click(first.option_center(0, 1))
        wait_for(lambda: first.complete)
        desk.click(first.button_center())
        desk.gone(first)
        second: QuestionsPage = desk.page(QuestionsPage)
        desk.hands.key("Down", "Down", "Down")
        wait_for(lambda: second.chosen[0] and second.chosen[0][0] == 2)
        desk.hands.key("Return")

    participant.does(act)
    answers = _ask(presenter, participant, yes_no, choice)
    assert (answers["attention"][0], answers["familiarity"][0]) == (1, 2)


def test_free_text_with_chinese_and_corrections(
    presenter: PsychopyPresenter, participant: Participant, desk: Desk
) -> None:
    item = Item("free_text", ItemKind.TEXT, 0, 0, TEXTS["prompts.free_text"])

    def act() -> None:
        page: TextEntryPage = desk.page(TextEntryPage)
        desk.hands.type("Sad, thenx ")
        wait_for(lambda: page.text == "Sad, thenx ")
        desk.hands.key("Left", "BackSpace", "End")
        wait_for(lambda: page.text == "Sad, then ")
        for text in ("Sad, then 高", "Sad, then 高兴"):
            # xdotool gives such a letter to a spare key and takes it back again at once: on a busy
            # machine the letter may come after that and be nobody's, so it is typed again.
            for _ in range(5):
                desk.hands.type(text[-1])
                with contextlib.suppress(TimeoutError):
                    wait_for(lambda text=text: page.text == text, 2.0)
                    break
            assert page.text == text
        desk.click(page.button_center())

    participant.does(act)
    answers = _ask(presenter, participant, item)
    assert answers["free_text"][3] == "Sad, then 高兴"


def test_an_empty_text_is_an_answer(presenter: PsychopyPresenter, participant: Participant, desk: Desk) -> None:
    item = Item("free_text", ItemKind.TEXT, 0, 0, TEXTS["prompts.free_text"])
    participant.does(lambda: desk.click(desk.page(TextEntryPage).button_center()))
    assert _ask(presenter, participant, item)["free_text"][3] == ""


def test_consent_is_one_decision_a_scope(presenter: PsychopyPresenter, participant: Participant, desk: Desk) -> None:
    def act() -> None:
        page: ConsentPage = desk.page(ConsentPage)
        assert page.decisions == {}
        desk.click(page.button_center())
        desk.click(page.answer_center("gaze", True))
        desk.click(page.answer_center("sharing", True))
        desk.click(page.answer_center("sharing", False))
        wait_for(lambda: page.decisions == {"gaze": True, "sharing": False})
        desk.hands.key("Up", "2")  # the line above: video
        wait_for(lambda: page.complete)
        desk.hands.key("Return")

    participant.does(act)
    decided = presenter.consent(Consent("consent", 30.0, texts=SCOPES), lambda: participant.failed)
    assert decided == {"gaze": True, "video": False, "sharing": False}


def test_consent_left_without_a_decision_is_none(presenter: PsychopyPresenter) -> None:
    over_us = SystemClock().now_us() + 200_000
    step = Consent("consent", 30.0, texts=SCOPES)
    assert presenter.consent(step, lambda: SystemClock().now_us() > over_us) is None


def test_text_page_waits_for_the_participant_and_a_break_for_the_space_bar(
    presenter: PsychopyPresenter, participant: Participant, desk: Desk
) -> None:
    planned_us = SystemClock().now_us() + 100_000

    def act() -> None:
        page = desk.page(TextPage)
        wait_for(lambda: SystemClock().now_us() > planned_us + 200_000)
        assert presenter.page is page, "a page for reading ends when it has been read, not by time"
        desk.hands.key("space")

    participant.does(act)
    presenter.show(ShowText("welcome", 0.1, text=TEXTS["welcome.text"]), planned_us, lambda: participant.failed)
    assert SystemClock().now_us() > planned_us + 200_000
    participant.finish()
    participant.does(lambda: desk.click_box(desk.page(TextPage).button.box))
    presenter.show(Break("break", 0.1, text=TEXTS["break.text"]), planned_us, lambda: participant.failed)


def test_key_pressed_before_a_page_is_seen_does_not_answer_it(presenter: PsychopyPresenter, desk: Desk) -> None:
    desk.hands.key("1", "Return", "space")
    over_us = SystemClock().now_us() + 400_000
    answers = list(presenter.ask(AskItems("r", 1.0, 1, items=FEELINGS), lambda: SystemClock().now_us() > over_us))
    assert answers == []


def test_pause_ends_when_the_operator_says_so(
    presenter: PsychopyPresenter, participant: Participant, desk: Desk
) -> None:
    over: list[bool] = []

    def act() -> None:
        page = desk.page(TextPage)
        desk.hands.key("space", "Return")
        assert presenter.page is page
        over.append(True)

    participant.does(act)
    presenter.pause(TEXTS["pause.text"], lambda: bool(over) or participant.failed)
    assert over


def test_escape_asks_and_goes_on_with_what_was_chosen(
    presenter: PsychopyPresenter, participant: Participant, desk: Desk
) -> None:
    def act() -> None:
        page: QuestionsPage = desk.page(QuestionsPage)
        desk.hands.key("3")
        wait_for(lambda: page.chosen[0])
        desk.hands.key("Escape")
        dialog: DecisionPage = desk.page(DecisionPage)
        desk.hands.key("Return")  # Enter alone decides nothing
        assert dialog.answer is None
        desk.click_box(dialog.no.box)
        wait_for(lambda: presenter.page is page)
        desk.hands.key("3", "3", "Return")

    participant.does(act)
    answers = _ask(presenter, participant, *FEELINGS)
    assert [answer[0] for answer in answers.values()] == [3, 3, 3]
    assert not presenter.stop_requested()


def test_escape_and_stop_ends_a_grey_screen_and_the_thanks_are_still_shown(
    display: str, participant: Participant, hands: Hands
) -> None:
    screen = ScreenSection(width_px=WIDTH, height_px=HEIGHT)
    presenter = PsychopyPresenter(screen, language="en", clock=SystemClock(), fullscreen=False)
    presenter.open()
    desk = Desk(presenter, hands)
    try:
        planned_us = SystemClock().now_us() + 60_000_000

        def stop() -> None:
            wait_for(lambda: presenter.showing)
            hands.key("Escape")
            desk.page(DecisionPage)
            hands.key("Left", "Return")

        participant.does(stop)
        presenter.show(Baseline("baseline", 60.0), planned_us, lambda: participant.failed)
        participant.finish()
        assert presenter.stop_requested()
        assert SystemClock().now_us() < planned_us
        participant.does(lambda: desk.click_box(desk.page(TextPage).button.box))
        presenter.show(ShowText("stopped", 5.0, text=TEXTS["end.stopped"]), planned_us, never)
    finally:
        presenter.close()
