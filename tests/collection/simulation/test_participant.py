"""The planted world: reproducible, of the sizes that were asked for, and learnable."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from collection.devices.base import PlantedReaction
from collection.simulation import PlantedTrial, SimulatedParticipant
from collection.simulation.planted import EYE_SIGNATURES, INDUCTION_SHARE, MASKS, NEIGHBOURS
from data_schema.session.layout import PLANTED
from data_schema.study.sections import SimulationSection
from data_schema.vocabularies import AROUSAL, EMOTIONS, INTENSITY, VALENCE


def _people(n: int, **simulation: float) -> list[SimulatedParticipant]:
    config = SimulationSection(**simulation)
    return [SimulatedParticipant(11, f"P{number:03d}", config) for number in range(n)]


def _trials(people: list[SimulatedParticipant], n: int = 14) -> list[PlantedTrial]:
    return [one.react_to(number, EMOTIONS[number % 7]) for one in people for number in range(1, n + 1)]


def test_a_participant_is_a_function_of_seed_and_code() -> None:
    one, again = SimulatedParticipant(3, "P001"), SimulatedParticipant(3, "P001")
    assert one.traits == again.traits
    assert one.appearance == again.appearance
    assert _trials([one]) == _trials([again])
    for other in (SimulatedParticipant(4, "P001"), SimulatedParticipant(3, "P002")):
        assert other.traits != one.traits
        assert _trials([other]) != _trials([one])


def test_a_resumed_session_plants_what_an_uninterrupted_one_would_have() -> None:
    whole = _trials([SimulatedParticipant(3, "P001")])
    resumed = SimulatedParticipant(3, "P001")
    assert resumed.react_to(9, EMOTIONS[9 % 7]) == whole[8]


@pytest.mark.parametrize("share", [0.0, 0.2, 0.386, 1.0])
def test_masking_has_the_share_that_was_asked_for(share: float) -> None:
    trials = _trials(_people(150, masking_share=share))
    assert np.mean([trial.masked for trial in trials]) == pytest.approx(share, abs=0.04)
    assert all(trial.masked == (trial.felt != trial.shown) for trial in trials)


def test_participants_mask_to_different_degrees_unless_told_not_to() -> None:
    def spread(**simulation: float) -> float:
        return float(np.std([one.traits.masking for one in _people(60, **simulation)]))

    assert spread() > 0.08
    assert spread(subject_effect=0.0) == 0.0
    assert all(one.traits == _people(1, subject_effect=0.0)[0].traits for one in _people(5, subject_effect=0.0))


def test_what_is_felt_is_the_target_or_one_of_its_neighbours() -> None:
    trials = _trials(_people(100))
    targets = [EMOTIONS[trial.trial_id % 7] for trial in trials]
    hits = np.mean([trial.felt == target for trial, target in zip(trials, targets, strict=True)])
    assert hits == pytest.approx(INDUCTION_SHARE, abs=0.03)
    for trial, target in zip(trials, targets, strict=True):
        assert trial.felt in (target, *NEIGHBOURS[target])
        if trial.masked:
            assert trial.shown in MASKS


def test_numbers_lie_on_their_scales() -> None:
    for trial in _trials(_people(60, noise=3.0, subject_effect=3.0)):
        assert VALENCE.contains(trial.valence)
        assert VALENCE.contains(trial.shown_valence)
        assert AROUSAL.contains(trial.arousal)
        assert AROUSAL.contains(trial.shown_arousal)
        assert INTENSITY.contains(trial.intensity)


def test_felt_and_shown_feelings_have_their_own_valence() -> None:
    trials = _trials(_people(60))
    smiling_sadly = [t for t in trials if t.felt == "sadness" and t.shown == "happiness"]
    assert len(smiling_sadly) > 5
    assert np.mean([t.valence for t in smiling_sadly]) < -0.4
    assert np.mean([t.shown_valence for t in smiling_sadly]) > 0.3
    blank = [t.intensity for t in trials if t.shown == "neutral"]
    assert max(blank) <= 0.5


def test_a_trial_becomes_a_row_and_a_reaction() -> None:
    trial = SimulatedParticipant(3, "P001").react_to(5, "fear")
    row = trial.row()
    assert row.dtype == PLANTED.dtype
    assert row["felt_emotion"][0].decode() == trial.felt
    assert bool(row["masked"][0]) == trial.masked
    assert row["arousal"][0] == pytest.approx(trial.arousal)
    reaction = trial.reaction(123)
    assert (reaction.t_us, reaction.trial_id, reaction.felt_emotion, reaction.intensity) == (
        123,
        5,
        trial.felt,
        trial.intensity,
    )
    # It is sent to the recorder's process.
    assert pickle.loads(pickle.dumps(reaction)) == reaction


def test_a_target_that_is_no_emotion_is_refused() -> None:
    with pytest.raises(ValueError, match="joy"):
        SimulatedParticipant(3, "P001").react_to(1, "joy")


def test_signatures_of_all_emotions_differ() -> None:
    signatures = list(EYE_SIGNATURES.values())
    assert len({repr(signature) for signature in signatures}) == len(EMOTIONS)


def test_eye_behaviour_follows_the_feeling_and_not_the_face() -> None:
    someone = SimulatedParticipant(3, "P001", SimulationSection(noise=0.0))
    sad = someone.eye_behaviour(PlantedReaction(0, 1, "sadness", "happiness", arousal=-0.4, intensity=3.0))
    assert sad == someone.eye_behaviour(PlantedReaction(0, 1, "sadness", "neutral", arousal=-0.4))
    afraid = someone.eye_behaviour(PlantedReaction(0, 1, "fear", "neutral", arousal=0.7))
    assert sad.fixation_s > 2 * afraid.fixation_s
    assert sad.vertical_bias_deg > afraid.vertical_bias_deg + 2
    assert afraid.pupil_change_mm > sad.pupil_change_mm + 0.25
    at_rest = someone.eye_behaviour(PlantedReaction.rest(0))
    assert at_rest.pupil_change_mm == 0.0
    assert at_rest.fixation_s == someone.traits.fixation_s


def test_self_reports_follow_the_feeling() -> None:
    people = _people(40)
    pairs = [(trial, one.report(trial)) for one in people for trial in _trials([one], 7)]
    assert (
        np.mean([max(report.emotions, key=report.emotions.__getitem__) == trial.felt for trial, report in pairs]) > 0.95
    )
    for _, report in pairs:
        assert set(report.emotions) == set(EMOTIONS)
        assert 1 <= report.valence_sam <= 9
        assert 1 <= report.arousal_sam <= 9
    valence = np.array([(trial.valence, (report.valence_sam - 5) / 4) for trial, report in pairs])
    assert np.corrcoef(valence.T)[0, 1] > 0.95
    assert people[0].report(pairs[0][0]) == people[0].report(pairs[0][0])
    assert 0.9 < np.mean([report.attention for _, report in pairs]) <= 1.0
