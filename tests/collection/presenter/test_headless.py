from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from collection.presenter.base import CalibrationScreen, HeadPosition, Preparing, Presenter
from collection.presenter.headless import HeadlessPresenter, ScriptedParticipant
from collection.protocol.consent import consent_step
from collection.protocol.self_report import AttentionCheck, self_report_items
from collection.protocol.steps import ATTENTION_CHECK, AskItems, Item, ItemKind, PlayClip, ShowText
from collection.simulation.participant import SimulatedParticipant
from collection.texts import load_texts
from data_schema.clocks import ScaledClock, SystemClock
from data_schema.errors import MediaError
from data_schema.study.placeholders import write_placeholder


class NappingClock:
    """A system clock in which one sleep takes far too long, as on a busy machine."""

    speed = 1.0

    def __init__(self, nap_us: int) -> None:
        self.now = 1_000_000
        self._nap_us = nap_us
        self._sleeps = 0

    def now_us(self) -> int:
        return self.now

    def sleep_until(self, t_us: int) -> None:
        self._sleeps += 1
        self.now = max(self.now, t_us) + (self._nap_us if self._sleeps == 10 else 0)


@pytest.fixture
def script() -> ScriptedParticipant:
    return ScriptedParticipant(SimulatedParticipant(9, "P001"))


def _never() -> bool:
    return False


def test_flips_that_were_slept_through_are_missing_not_invented(script: ScriptedParticipant) -> None:
    clock = NappingClock(nap_us=95_000)
    flips: list[np.ndarray] = []
    presenter = HeadlessPresenter(clock, 50.0, script)
    shown = presenter.play(PlayClip("clip", 1.0, 4), clock.now, flips.append, _never)
    rows = np.concatenate(flips)
    assert shown.completed
    assert shown.n_flips == len(rows) == 50 - 4
    assert shown.n_flips_late == 1
    late = int(np.argmax(rows["t_flip_us"] - rows["t_due_us"]))
    assert rows["t_flip_us"][late] - rows["t_due_us"][late] == 95_000
    assert rows["clip_time_us"][late + 1] - rows["clip_time_us"][late] == 20_000
    assert rows["clip_time_us"][late] - rows["clip_time_us"][late - 1] == 100_000
    assert set(rows["trial_id"]) == {4}
    assert shown.n_flips_dropped == 4 == rows["n_dropped_before"].sum()
    assert rows["n_dropped_before"][late] == 4
    assert shown.duration_s == pytest.approx((rows["t_flip_us"][-1] - rows["t_flip_us"][0]) / 1e6 + 0.02)


def test_real_time_flips_carry_their_own_time(script: ScriptedParticipant) -> None:
    clock = SystemClock()
    flips: list[np.ndarray] = []
    due_us = clock.now_us() + 50_000
    shown = HeadlessPresenter(clock, 60.0, script).play(PlayClip("clip", 0.3, 1), due_us, flips.append, _never)
    rows = np.concatenate(flips)
    assert shown.t_onset_us >= due_us
    assert shown.t_onset_us == rows["t_flip_us"][0]
    assert shown.t_offset_us == rows["t_flip_us"][-1]
    assert np.all(rows["t_flip_us"] >= rows["t_due_us"])
    assert np.all(np.diff(rows["clip_time_us"]) > 0)


def test_stopping_ends_a_clip_early(script: ScriptedParticipant) -> None:
    clock = ScaledClock.starting_now(20.0)
    flips: list[np.ndarray] = []
    shown = HeadlessPresenter(clock, 60.0, script).play(
        PlayClip("clip", 60.0, 1), clock.now_us(), flips.append, lambda: sum(map(len, flips)) > 60
    )
    assert not shown.completed
    assert shown.n_flips == sum(map(len, flips)) < 3600


def test_answers_take_the_pages_time_and_come_from_what_was_felt(script: ScriptedParticipant) -> None:
    clock = ScaledClock.starting_now(50.0)
    participant = SimulatedParticipant(9, "P001")
    planted = participant.react_to(1, "sadness")
    script.feel(planted)
    items = self_report_items()
    began_us = clock.now_us()
    answers = list(HeadlessPresenter(clock, 60.0, script).ask(AskItems("self_report", 5.0, 1, items=items), _never))
    assert [answer.item.scale for answer in answers] == [item.scale for item in items]
    assert answers[-1].t_answered_us - answers[0].t_shown_us == pytest.approx(5_000_000, abs=20)
    assert answers[0].t_shown_us >= began_us
    assert all(answer.t_answered_us > answer.t_shown_us for answer in answers)
    ratings = {answer.item.scale: answer.rating for answer in answers}
    assert ratings[planted.felt] >= 2
    assert all(item.low <= ratings[item.scale] <= item.high for item in items)
    assert ratings == {item.scale: script.rate(1, item) for item in items if item.kind is not ItemKind.TEXT} | {
        "free_text": 0
    }
    assert answers[-1].text == planted.felt


def test_choices_and_questionnaires_are_answered_on_their_scale(script: ScriptedParticipant) -> None:
    clock = ScaledClock.starting_now(50.0)
    items = tuple(Item(f"q{n}", ItemKind.CHOICE, 2, 4, "?", ("a", "b", "c")) for n in range(30))
    presenter = HeadlessPresenter(clock, 60.0, script)

    def ask() -> list[int]:
        return [answer.rating for answer in presenter.ask(AskItems("q", 1.0, items=items), _never)]

    first, second = ask(), ask()
    assert set(first) == {2, 3, 4}
    assert first != second


def test_an_attentive_participant_gives_the_prescribed_answer_and_an_inattentive_one_does_not() -> None:
    items = self_report_items(check=AttentionCheck(2, 4))
    check = next(item for item in items if item.scale == ATTENTION_CHECK)
    attention = next(item for item in items if item.scale == "attention")
    participant = SimulatedParticipant(9, "P001")
    script = ScriptedParticipant(participant)
    seen = set()
    for trial in range(1, 120):
        script.feel(participant.react_to(trial, "fear"))
        attentive, answer = bool(script.rate(trial, attention)), script.rate(trial, check)
        assert (answer == 4) == attentive
        assert check.low <= answer <= check.high
        seen.add(attentive)
    assert seen == {True, False}


def test_consent_is_decided_as_the_script_says() -> None:
    participant = SimulatedParticipant(9, "P001")
    script = ScriptedParticipant(participant, consents={"video": False})
    presenter = HeadlessPresenter(SystemClock(), 60.0, script)
    step = consent_step(load_texts("zh"))
    assert presenter.consent(step, _never) == {"gaze": True, "video": False, "sharing": True}
    assert presenter.consent(step, lambda: True) is None


def test_a_pause_lasts_until_it_is_over(script: ScriptedParticipant) -> None:
    clock = SystemClock()
    over = threading.Event()
    began_us = clock.now_us()
    threading.Timer(0.2, over.set).start()
    HeadlessPresenter(clock, 60.0, script).pause("wait", over.is_set)
    assert 200_000 <= clock.now_us() - began_us < 2_000_000


def test_the_script_stops_in_the_step_it_names() -> None:
    script = ScriptedParticipant(SimulatedParticipant(9, "P001"), stop_in=(0, "welcome"))
    clock = ScaledClock.starting_now(50.0)
    presenter = HeadlessPresenter(clock, 60.0, script)
    assert not presenter.stop_requested()
    presenter.show(ShowText("other", 0.1), clock.now_us(), _never)
    assert not presenter.stop_requested()
    presenter.show(ShowText("welcome", 0.1), clock.now_us(), _never)
    assert presenter.stop_requested()


def test_the_calibration_screen_keeps_time_and_the_participant_sits_down(script: ScriptedParticipant) -> None:
    clock = ScaledClock.starting_now(20.0)
    presenter = HeadlessPresenter(clock, 60.0, script)
    screen = presenter.calibration_screen
    began_us = clock.now_us()
    arrived_us = screen.move_target(0.1, 0.9, 0.8, _never)
    assert 800_000 <= arrived_us - began_us < 1_600_000
    screen.hold_target(arrived_us + 1_000_000, _never)
    assert clock.now_us() >= arrived_us + 1_000_000
    assert screen.poll_key() == ""
    screen.show_head(HeadPosition((0.5, 0.5, 0.5), None), "good")
    first_us = clock.now_us()
    while screen.poll_key() != "go_on":
        screen.show_head(HeadPosition(None, None))
        clock.sleep_until(clock.now_us() + 100_000)
        assert clock.now_us() - first_us < 60_000_000
    assert clock.now_us() - first_us >= 900_000
    screen.clear()
    assert screen.poll_key() == ""
    assert isinstance(presenter, Preparing)
    # Both are what a session expects; a type checker reads these lines.
    _presenter: Presenter = presenter
    _screen: CalibrationScreen = screen


def test_a_file_that_does_not_play_is_found_before_its_time(script: ScriptedParticipant, tmp_path: Path) -> None:
    presenter = HeadlessPresenter(SystemClock(), 60.0, script)
    good, bad, empty = tmp_path / "good.mp4", tmp_path / "bad.mp4", tmp_path / "empty.mp4"
    write_placeholder(good, emotion="fear", number=1, duration_s=0.1)
    bad.write_bytes(good.read_bytes()[:200])
    empty.touch()
    presenter.prepare(PlayClip("clip", 0.1, 1, file=good))
    for path in (bad, empty, tmp_path / "none.mp4"):
        with pytest.raises(MediaError, match=path.name):
            presenter.prepare(PlayClip("clip", 0.1, 1, file=path))
