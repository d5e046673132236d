"""The plan of eye movements."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collection.devices.base import PlantedReaction
from collection.simulation import SimulatedParticipant
from collection.simulation.eye_movements import EyeMovements, minimum_jerk
from data_schema.study.sections import SimulationSection


def _someone(**simulation: float) -> SimulatedParticipant:
    return SimulatedParticipant(2, "P001", SimulationSection(**simulation))


def _sampled(eyes: EyeMovements, cuts: list[int], n: int = 900, rate_hz: float = 100.0) -> dict[str, np.ndarray]:
    t_s = np.arange(n) / rate_hz
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < n}), n]
    pieces = [dataclasses.asdict(eyes.sample(t_s[a:b])) for a, b in zip(edges, edges[1:], strict=False)]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


@given(cuts=st.lists(st.integers(1, 899), max_size=12))
def test_values_depend_on_time_and_not_on_chunks(cuts: list[int]) -> None:
    whole, cut = (_sampled(EyeMovements(_someone(loss_share=0.1)), chosen) for chosen in ([], cuts))
    for name, values in whole.items():
        np.testing.assert_allclose(cut[name], values, atol=1e-12, err_msg=name)


def test_a_restart_is_another_stretch_of_the_same_life() -> None:
    first, second = (_sampled(EyeMovements(_someone(), run), []) for run in (1, 2))
    assert not np.array_equal(first["gaze_deg"], second["gaze_deg"])


def test_gaze_is_continuous_and_bounded() -> None:
    eyes = EyeMovements(_someone(noise=3.0, subject_effect=3.0), half_screen_deg=(10.0, 5.0))
    gaze = _sampled(eyes, [], n=60_000, rate_hz=1000.0)["gaze_deg"]
    assert np.abs(np.diff(gaze, axis=0)).max() < 1.0
    assert np.abs(gaze[:, 0]).max() < 10.2
    assert np.abs(gaze[:, 1]).max() < 5.2


@pytest.mark.parametrize("rate_hz", [0.0, 0.2, 0.6])
def test_blinks_come_at_their_rate(rate_hz: float) -> None:
    eyes = EyeMovements(_someone(blink_rate_hz=rate_hz, subject_effect=0.0, noise=0.0))
    closure = _sampled(eyes, [], n=30_000)["closure"]
    n = np.count_nonzero(np.diff((closure > 0.5).astype(int)) == 1)
    assert n == pytest.approx(rate_hz * 300, rel=0.35)
    assert closure.min() == 0
    assert closure.max() == pytest.approx(1.0 if rate_hz else 0.0, abs=0.01)


def test_a_reaction_changes_the_future_only() -> None:
    someone = _someone()
    fear = someone.eye_behaviour(PlantedReaction(0, 1, "fear", "neutral", arousal=0.9))
    calm, moved = EyeMovements(someone), EyeMovements(someone)
    moved.react(4.0, fear)
    calm_values, moved_values = _sampled(calm, []), _sampled(moved, [])
    for name in calm_values:
        np.testing.assert_array_equal(calm_values[name][:400], moved_values[name][:400], err_msg=name)
    assert not np.array_equal(calm_values["gaze_deg"][500:], moved_values["gaze_deg"][500:])
    # Pupil: nothing in the latency, most of it after two seconds.
    change = moved_values["pupil_mm"] - calm_values["pupil_mm"]
    assert np.abs(change[:425]).max() < 1e-6
    at_rest = someone.eye_behaviour(PlantedReaction.rest(0))
    assert change[650:].min() > 0.9 * (fear.pupil_change_mm - at_rest.pupil_change_mm)


def test_a_plan_forgets_what_is_over() -> None:
    eyes = EyeMovements(_someone(loss_share=0.2))
    for number in range(200):
        eyes.react(number * 0.5, eyes._participant.eye_behaviour(PlantedReaction.rest(0)))
        eyes.sample(number * 0.5 + np.arange(50) / 100)
    assert len(eyes._movements) < 40
    assert len(eyes._reactions) < 30


def test_minimum_jerk_starts_and_ends_at_rest() -> None:
    share = np.linspace(0, 1, 1001)
    covered = minimum_jerk(share)
    speed = np.gradient(covered, share)
    assert covered[0] == 0
    assert covered[-1] == pytest.approx(1)
    assert speed[[0, -1]] == pytest.approx(0, abs=0.01)
    assert speed.max() == pytest.approx(1.875, abs=0.001)
