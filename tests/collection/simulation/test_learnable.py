"""From simulated eyes and faces the planted feeling can be learnt, to the degree that was planned."""

from __future__ import annotations

import numpy as np
import pytest

from collection.devices.simulated import SimulatedEyeTracker
from collection.simulation import PlantedTrial, SimulatedParticipant
from data_schema.session.layout import GAZE
from data_schema.study.sections import SimulationSection
from data_schema.vocabularies import EMOTIONS

from ..devices.device_lab import SCREEN, Collector, ManualClock

CLIP_S = 4.0
WASHOUT_S = 1.5
N_PEOPLE, N_TRIALS = 12, 14


def _session(code: str, simulation: SimulationSection) -> list[tuple[PlantedTrial, np.ndarray]]:
    """Return each trial's truth with summaries of its eye behaviour, measured as a plain analysis would."""
    someone = SimulatedParticipant(5, code, simulation)
    clock = ManualClock()
    tracker = SimulatedEyeTracker(clock, someone, SCREEN, 120.0)
    tracker.connect()
    trials, onsets_us, t_us = [], [], clock.now_us() + 2_000_000
    for number in range(1, N_TRIALS + 1):
        trial = someone.react_to(number, EMOTIONS[(number + hash_of(code)) % 7])
        tracker.react(trial.reaction(t_us))
        trials.append(trial)
        onsets_us.append(t_us)
        t_us += round(CLIP_S * 1e6)
        tracker.react(type(trial.reaction(0)).rest(t_us))
        t_us += round(WASHOUT_S * 1e6)
    sink = Collector()
    tracker.start(sink)
    clock.advance((t_us - clock.now_us()) / 1e6)
    tracker.stop()
    tracker.close()
    gaze = sink.table(GAZE.path)
    return [(trial, _summary(gaze, onset)) for trial, onset in zip(trials, onsets_us, strict=True)]


def hash_of(code: str) -> int:
    return sum(code.encode())


def _summary(gaze: np.ndarray, onset_us: int) -> np.ndarray:
    t_s = (gaze["t_system_us"] - onset_us) / 1e6
    clip = gaze[(t_s >= 0) & (t_s < CLIP_S)]
    before = gaze[(t_s >= -0.5) & (t_s < 0)]
    seen = clip["left_gaze_valid"] == 1
    point = clip["left_gaze_norm"][seen].astype(float)
    speed = np.hypot(*np.diff(point, axis=0).T)
    quarters = np.array_split(clip["left_pupil_mm"], 4)
    pupil = [np.nanmean(q) - np.nanmean(before["left_pupil_mm"]) for q in quarters]
    return np.array(
        [
            *pupil,
            point[:, 1].mean(),
            point[:, 1].std(),
            point[:, 0].std(),
            np.mean(speed > 0.004),
            np.percentile(speed, 99),
            1 - seen.mean(),
            np.count_nonzero(np.diff(seen.astype(int)) == -1),
        ]
    )


@pytest.fixture(scope="module")
def world() -> tuple[list[PlantedTrial], np.ndarray, np.ndarray]:
    trials: list[PlantedTrial] = []
    features: list[np.ndarray] = []
    people: list[int] = []
    for number in range(N_PEOPLE):
        session = _session(f"P{number:03d}", SimulationSection())
        values = np.nan_to_num(np.array([summary for _, summary in session]))
        # Against the participant's own habits.
        features.append((values - values.mean(axis=0)) / (values.std(axis=0) + 1e-9))
        trials += [trial for trial, _ in session]
        people += [number] * len(session)
    return trials, np.concatenate(features), np.array(people)


def _accuracy(features: np.ndarray, felt: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Return for each clip whether it was recognised by a nearest-centroid rule learnt from other participants."""
    hits = np.zeros(len(felt), dtype=bool)
    for fold in range(4):
        test = people % 4 == fold
        centroids = np.array([features[~test & (felt == emotion)].mean(axis=0) for emotion in EMOTIONS])
        spread = features[~test].std(axis=0) + 1e-9
        distance = (((features[test, None] - centroids[None]) / spread) ** 2).sum(axis=2)
        hits[test] = np.array(EMOTIONS)[distance.argmin(axis=1)] == felt[test]
    return hits


def test_eye_behaviour_reveals_the_feeling_but_not_always(
    world: tuple[list[PlantedTrial], np.ndarray, np.ndarray],
) -> None:
    trials, features, people = world
    felt = np.array([trial.felt for trial in trials])
    masked = np.array([trial.masked for trial in trials])
    hits = _accuracy(features, felt, people)
    # Chance is about one in seven.
    assert 0.40 < hits.mean() < 0.95
    assert hits[masked].mean() > 0.35


def test_the_face_is_wrong_where_it_is_masked(world: tuple[list[PlantedTrial], np.ndarray, np.ndarray]) -> None:
    """A perfect reader of faces knows what is shown, and what is shown is not what is felt."""
    trials, _, _ = world
    felt, shown = (np.array([getattr(trial, name) for trial in trials]) for name in ("felt", "shown"))
    masked = np.array([trial.masked for trial in trials])
    assert np.mean(felt == shown) == pytest.approx(1 - 0.386, abs=0.12)
    assert not np.any((felt == shown)[masked])


def test_knowing_the_face_helps_to_judge_the_eyes(world: tuple[list[PlantedTrial], np.ndarray, np.ndarray]) -> None:
    trials, features, people = world
    felt = np.array([trial.felt for trial in trials])
    shown = np.array([[trial.shown == emotion for emotion in EMOTIONS] for trial in trials], dtype=float)
    eyes = _accuracy(features, felt, people).mean()
    face = _accuracy(shown, felt, people).mean()
    both = _accuracy(np.column_stack([features, 1.5 * shown]), felt, people).mean()
    assert both > face + 0.05
    assert both > eyes
