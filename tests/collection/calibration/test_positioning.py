"""Head feedback: what it shows, what it advises, how often, and how it ends."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collection.calibration.head import Advice, advise, head_position
from collection.presenter.base import HeadPosition
from collection.protocol.operator import CommandName
from collection.texts import load_texts
from data_schema.session.layout import GAZE, USER_POSITION

from .calibration_lab import Eyes, Lab

ENGLISH = load_texts("en")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path / "sub-P001_ses-01.h5", points=5)
    yield lab
    lab.close()
    assert lab.recorder.followed == ()


def head(x: float = 0.5, y: float = 0.5, z: float = 0.5) -> HeadPosition:
    return HeadPosition((x + 0.09, y, z), (x - 0.09, y, z), 650.0)


@pytest.mark.parametrize(
    ("position", "advice"),
    [
        (head(), Advice.GOOD),
        (head(z=0.9), Advice.CLOSER),
        (head(z=0.1), Advice.FARTHER),
        # The track box counts x from the participant's right: a large share is too far to the left.
        (head(x=0.9), Advice.RIGHT),
        (head(x=0.1), Advice.LEFT),
        (head(y=0.9), Advice.UP),
        (head(y=0.1), Advice.DOWN),
        (head(x=0.72, z=0.95), Advice.CLOSER),
        (HeadPosition(None, None), Advice.NOT_SEEN),
        (HeadPosition((0.59, 0.5, 0.5), None), Advice.ONE_EYE),
        (HeadPosition(None, (0.41, 0.5, 0.95)), Advice.CLOSER),
    ],
)
def test_advice(position: HeadPosition, advice: Advice) -> None:
    assert advise(position) is advice


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_advice_has_words(language: str) -> None:
    texts = load_texts(language)
    assert len({texts[f"positioning.{advice.value}"] for advice in Advice}) == len(Advice)


def test_only_valid_rows_count() -> None:
    position, gaze = USER_POSITION.empty(2), GAZE.empty(3)
    position["left_position_norm"], position["left_valid"] = (0.6, 0.5, 0.4), 1
    position["right_position_norm"], position["right_valid"] = (0.4, 0.5, 0.4), (1, 0)
    gaze["left_origin_user_mm"], gaze["left_origin_valid"] = (0.0, 0.0, 600.0), 1
    gaze["right_origin_user_mm"], gaze["right_origin_valid"] = (0.0, 300.0, 400.0), (1, 0, 0)
    seen = head_position(position, gaze)
    assert seen.left_norm == pytest.approx((0.6, 0.5, 0.4))
    assert seen.right_norm is None
    assert seen.distance_mm == 600.0
    nothing = head_position(USER_POSITION.empty(), GAZE.empty())
    assert (nothing.left_norm, nothing.right_norm) == (None, None) and math.isnan(nothing.distance_mm)


def test_the_head_is_shown_20_times_a_second_until_the_participant_goes_on(lab: Lab) -> None:
    lab.recorder.head = (0.5, 0.5, 0.9)
    moved_us = lab.clock.now_us() + 1_000_000
    done_us = lab.clock.now_us() + 2_000_000

    def participant() -> None:
        if lab.clock.now_us() >= moved_us:
            lab.recorder.head = (0.5, 0.5, 0.5)
        if lab.clock.now_us() >= done_us:
            lab.screen.keys = ["go_on"]

    lab.recorder.on_rows = participant
    result = lab.procedure.run_positioning("Please sit.")
    assert (result.ended_by, result.advice) == ("participant", "good")
    assert result.distance_mm == pytest.approx(math.hypot(30, 150, 630))
    assert len(lab.screen.heads) == 41
    first, last = lab.screen.heads[0], lab.screen.heads[-1]
    assert first[1].startswith("Please sit.") and ENGLISH["positioning.closer"] in first[1]
    assert ENGLISH["positioning.good"] in last[1] and "65 cm" in last[1]
    assert last[0].left_norm == pytest.approx((0.59, 0.5, 0.5))
    assert lab.screen.cleared


def test_the_operator_goes_on_and_keeps_other_commands(lab: Lab) -> None:
    lab.operator.press(CommandName.MARK)
    lab.operator.press(CommandName.GO_ON)
    assert lab.procedure.run_positioning().ended_by == "operator"
    assert [command.name for command in lab.procedure.unhandled] == [CommandName.MARK]


def test_a_stop_ends_it(lab: Lab) -> None:
    assert lab.procedure.run_positioning(should_stop=lambda: True).ended_by == "stopped"
    lab.screen.keys = ["stop"]
    assert lab.procedure.run_positioning().ended_by == "stopped"
    assert len(lab.screen.heads) == 2


def test_a_script_has_a_limit(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "sub-P001_ses-01.h5", Eyes(blind={"left", "right"}), points=5)
    try:
        lab.procedure._limit_s = 2.0
        result = lab.procedure.run_positioning()
        assert (result.ended_by, result.advice) == ("time", "not_seen")
        assert len(lab.screen.heads) == 41
        assert np.isnan(result.distance_mm)
    finally:
        lab.close()


def test_positioning_is_offered_again_at_the_decision(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "sub-P001_ses-01.h5", answers=["position", "accept"], points=5)
    try:
        lab.procedure._limit_s = 0.5
        result = lab.procedure.run()
        assert len(lab.screen.heads) == 11
        assert [attempt.kind for attempt in result.attempts] == ["calibration", "validation"] * 2
    finally:
        lab.close()


def test_what_the_console_is_told_of_positioning(lab: Lab) -> None:
    lab.screen.keys = ["go_on"]
    lab.procedure.run_positioning()
    told: dict[str, Any] = lab.operator.told[0]
    assert (told["kind"], told["phase"], told["attempts"]) == ("calibration", "positioning", [])
