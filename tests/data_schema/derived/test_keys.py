"""Each key of study.toml on signals does something: it changes what is computed from a recording that has everything."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from data_schema.derived import DerivedSettings, derived_settings, signal_parameters
from data_schema.session.layout import OPENNESS
from data_schema.signals.eye_signals import EyeSignals, prepare_eye_signals
from data_schema.signals.gaze import ScreenGeometry
from data_schema.study.config import StudyConfig
from data_schema.study.sections import (
    BlinksSection,
    ExportSection,
    EyeMovementsSection,
    FacesSection,
    PupilSection,
)
from tests.data_schema.signals.recordings import SCREEN, gaze_rows, stamps

RATE_HZ, N = 120.0, 3600
SIGNALS = {
    "eye_movements": (
        EyeMovementsSection,
        {
            "eye": "left",
            "max_gap_ms": 75.0,
            "noise_reduction": "none",
            "noise_window_samples": 7,
            "velocity_window_ms": 60.0,
            "velocity_threshold_deg_s": 60.0,
            "merge_fixations": False,
            "merge_max_time_ms": 0.0,
            "merge_max_angle_deg": 0.0,
            "min_fixation_ms": 200.0,
        },
    ),
    "blinks": (BlinksSection, {"closed_share": 0.2, "min_ms": 150.0, "max_ms": 150.0, "merge_ms": 0.0}),
    "pupil": (
        PupilSection,
        {"min_mm": 2.5, "max_mm": 4.0, "speed_mad": 2.0, "blink_padding_ms": 0.0, "max_gap_ms": 250.0},
    ),
}
#: Keys that no signal of a clip's own rows can show; they are tested below.
SESSION_KEYS = {"luminance": "regress", "baseline_s": 2.0}
FACES = {"detector": "mediapipe", "rate_hz": 9.0, "redetect_s": 0.1, "coast_s": 0.3}
KEYS = [(section, key, value) for section, (_, keys) in SIGNALS.items() for key, value in keys.items()]


def config(**sections) -> StudyConfig:
    """Return the sections that derived data are made by, defaults but for those given."""
    made = {"eye_movements": EyeMovementsSection(), "blinks": BlinksSection(), "pupil": PupilSection()}
    made |= {"faces": FacesSection(), "export": ExportSection()} | sections
    return StudyConfig.model_construct(**made)


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    """Half a minute of two noisy eyes that look about, blink for long and short, and are lost for a moment now and then."""
    rng = np.random.default_rng(5)
    t_us = stamps(N, RATE_HZ)
    stays = np.repeat(rng.uniform(0.3, 0.7, (N // 40, 2)), 40, axis=0)
    gaze = stays + rng.normal(0.0, 0.0012, (N, 2))
    pupil = 3.2 + 0.5 * np.sin(np.arange(N) / 300.0) + rng.normal(0.0, 0.004, N)
    pupil[::97] += 0.06  # jumps
    pupil[1200:1230], pupil[1800:1830] = 2.0, 4.6  # small and large
    openness = np.full(N, 9.0) + rng.normal(0.0, 0.02, N)
    shut = [(400, 412), (416, 428), (700, 709), (1000, 1045)]  # two close together, a short and a long blink
    for first, last in shut:
        gaze[first:last] = np.nan
        openness[first:last] = 0.5
        openness[first - 3 : first] = (7.0, 5.0, 3.0)
        openness[last : last + 6] = (1.0, 2.5, 4.0, 5.5, 7.0, 8.0)
    openness[2000:2012] = 3.0  # half closed
    for first in range(150, N, 450):
        gaze[first : first + 4] = np.nan  # bridged on request
    table = gaze_rows(t_us, gaze, pupil)
    table["right_gaze_norm"][:, 0] += 0.004
    table["right_gaze_user_mm"][:, 0] += 2.0
    lids = OPENNESS.empty(N)
    lids["t_system_us"] = t_us
    for side in ("left", "right"):
        lids[f"{side}_openness_mm"], lids[f"{side}_valid"] = openness, True
    return table, lids


def hashed(signals: EyeSignals) -> str:
    """Return a hash of everything that was computed."""
    arrays = (
        signals.gaze.gaze_norm, signals.pupil_mm, signals.blinks, signals.movements.kind, signals.movements.velocity_deg_s,
        signals.movements.fixations, signals.movements.saccades,
    )  # fmt: skip
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def compute(rows: tuple[np.ndarray, np.ndarray], study: StudyConfig, screen: ScreenGeometry = SCREEN) -> str:
    return hashed(prepare_eye_signals(*rows, screen, signal_parameters(study)))


@pytest.fixture(scope="module")
def usual(rows) -> str:
    return compute(rows, config())


@pytest.mark.parametrize(("section", "key", "value"), KEYS, ids=[f"{section}.{key}" for section, key, _ in KEYS])
def test_each_key_on_signals_changes_them(rows, usual, section, key, value):
    kind, _ = SIGNALS[section]
    assert compute(rows, config(**{section: kind(**{key: value})})) != usual


def test_no_key_is_forgotten():
    for section, (kind, keys) in SIGNALS.items():
        known = set(keys) | (set(SESSION_KEYS) if section == "pupil" else set())
        assert known == set(kind.model_fields), section
    # A model file needs a file; light is of the crops, which exports cut.
    assert set(FACES) | {"model_file", "light"} == set(FacesSection.model_fields)


@pytest.mark.parametrize(("key", "value"), SESSION_KEYS.items())
def test_keys_that_look_at_the_whole_session_are_part_of_what_is_stored(key, value):
    before, now = (derived_settings(config(pupil=PupilSection(**keys))) for keys in ({}, {key: value}))
    assert before.eye_json() != now.eye_json()


@pytest.mark.parametrize(("key", "value"), FACES.items())
def test_each_key_on_faces_changes_how_they_are_looked_for(key, value):
    def said(settings: DerivedSettings) -> list[object]:
        return [settings.faces.as_json(), settings.faces.frames_of(10.0)]

    assert said(derived_settings(config(faces=FacesSection(**{key: value})))) != said(derived_settings(config()))
