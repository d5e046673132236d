from __future__ import annotations

import numpy as np
import pytest

from collection.presenter.headless import HeadlessPresenter, ScriptedParticipant
from collection.protocol.plan import self_report_items
from collection.protocol.steps import AskItems, PlayClip
from collection.simulation.participant import SimulatedParticipant
from data_schema.clocks import ScaledClock, SystemClock


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
    assert ratings == {item.scale: script.rate(1, item) for item in items}
