"""Everything that is asked of a planted world is laid out in exact numbers, before the first session is written."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from collection.simulation.cast import LOST_STRETCH, lay_out
from collection.simulation.courses import (
    BUILD_UPS,
    MIXTURE,
    PUPIL_SHAPES_MM,
    PlantedParticipant,
)
from collection.simulation.world import CLASS_ORDER, World, class_counts, option_of
from data_schema.errors import UsageError
from data_schema.study.sections import SimulationSection
from data_schema.vocabularies import EMOTIONS


def test_class_counts_add_up_and_have_the_ratio_that_was_asked_for() -> None:
    counts = class_counts(1_303, 5.03)
    assert sum(counts.values()) == 1_303
    assert tuple(counts) == CLASS_ORDER
    assert list(counts.values()) == sorted(counts.values(), reverse=True)
    assert counts[CLASS_ORDER[0]] / counts[CLASS_ORDER[-1]] == pytest.approx(5.03, rel=0.02)
    assert set(class_counts(700, 1.0).values()) == {100}


def test_shares_are_exact_and_clips_are_dealt_out_evenly() -> None:
    world = World(
        participants=31, clips=400, missing_eyes_share=0.05, partial_loss_share=0.1, missing_face_share=0.08,
        unlabelled_share=0.25, seed=4,
    )  # fmt: skip
    cast = lay_out(world)
    clips = [clip for hand in cast.values() for clip in hand]
    assert {len(hand) for hand in cast.values()} == {12, 13}
    assert all([clip.trial_id for clip in hand] == list(range(1, len(hand) + 1)) for hand in cast.values())
    assert dict(Counter(clip.felt for clip in clips)) == class_counts(400, world.imbalance)
    assert sum((clip.lost_from, clip.lost_until) == (0.0, 1.0) for clip in clips) == 20
    partly = [clip.lost_until - clip.lost_from for clip in clips if 0 < clip.lost_until - clip.lost_from < 1]
    assert len(partly) == 40
    assert LOST_STRETCH[0] - 1e-3 <= min(partly) and max(partly) <= LOST_STRETCH[1] + 1e-3
    assert sum(clip.covered for clip in clips) == 32
    assert sum(not clip.labelled for clip in clips) == 100
    assert lay_out(world) == cast
    assert lay_out(World(participants=31, clips=400, seed=5)) != cast


def test_a_participant_sees_no_stimulus_twice_before_all_of_its_emotion() -> None:
    for hand in lay_out(World()).values():
        per_emotion = Counter(clip.target_emotion for clip in hand)
        shown = Counter(clip.stimulus_id for clip in hand)
        assert all(shown[clip.stimulus_id] == 1 or per_emotion[clip.target_emotion] > 5 for clip in hand)
        assert all(clip.stimulus_id.startswith(f"{clip.target_emotion}-") for clip in hand)


def test_masking_share_is_that_of_the_world() -> None:
    world = World(participants=300, clips=3_000)
    simulation = SimulationSection(masking_share=0.386, subject_effect=1.5)
    masked = []
    for code, hand in lay_out(world).items():
        someone = PlantedParticipant(world.seed, code, simulation, world.clip_s)
        trials = [someone.react_to(clip.trial_id, clip.target_emotion, clip.felt) for clip in hand]
        assert [trial.felt for trial in trials] == [clip.felt for clip in hand]
        assert all((trial.felt != trial.shown) == trial.masked for trial in trials)
        masked += [trial.masked for trial in trials]
    assert np.mean(masked) == pytest.approx(0.386, abs=0.03)


def test_time_courses_cannot_be_seen_in_a_mean() -> None:
    assert set(PUPIL_SHAPES_MM) == set(BUILD_UPS) == set(EMOTIONS)
    for emotion in EMOTIONS:
        assert sum(PUPIL_SHAPES_MM[emotion]) == pytest.approx(0.0, abs=1e-9)
        assert np.mean(BUILD_UPS[emotion]) == pytest.approx(1.0)


def test_the_eyes_follow_the_course_of_what_is_felt_and_the_face_that_of_what_is_shown() -> None:
    quiet = SimulationSection(noise=0.0, subject_effect=0.0)
    someone = PlantedParticipant(1, "P001", quiet, 8.0)
    trial = someone.react_to(3, "anger", felt="anger")
    course = someone.eye_course(trial.reaction(0))
    assert [at for at, _ in course] == [0.0, 2.0, 4.0, 6.0]
    pupil = np.array([behaviour.pupil_change_mm for _, behaviour in course])
    assert np.all(np.diff(pupil) > 0), "anger builds up"
    assert someone.expression(trial.reaction(0)).get(trial.shown) == pytest.approx(trial.intensity)
    noisy = PlantedParticipant(1, "P001", SimulationSection(), 8.0)
    mixtures = []
    for number in range(1, 40):
        trial = noisy.react_to(number, "fear")
        expression = noisy.expression(trial.reaction(0))
        (other,) = set(expression) - {trial.shown}
        mixtures.append(expression[other] / max(trial.intensity, 1.0))
    assert 0.2 < np.mean(mixtures) < 0.4
    assert max(mixtures) <= MIXTURE


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"masking_share": 1.2}, "--masking-share is 1.2, expected 0 to 1"),
        ({"clips": 5}, "--clips is 5, but there are 121 participants"),
        ({"missing_eyes_share": 0.7, "partial_loss_share": 0.5}, "add up to more than 1"),
        ({"fps": 1.0}, "--fps is 1: a face needs at least 2 frames a second"),
        ({"noise": float("nan")}, "--noise is nan"),
    ],
)
def test_a_world_that_cannot_be_says_which_option_to_change(change: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("(", r"\(")):
        World(**change)


def test_a_world_comes_back_from_its_file_and_one_of_another_version_does_not() -> None:
    world = World(seed=3, participants=5, clips=9)
    assert World.from_json(world.as_json()) == world
    with pytest.raises(UsageError, match="of version 99"):
        World.from_json(world.as_json() | {"world_version": 99})


def test_the_page_names_every_parameter_with_its_default_and_meaning() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "planted.md").read_text(encoding="utf-8")
    for item in fields(World):
        default = f"{item.default:g}" if isinstance(item.default, float) else f"{item.default:,}"
        row = f"| `{option_of(item.name)}` | {default} | {item.metadata['meaning']} |"
        assert row in page, f"docs/planted.md lacks the row: {row}"
