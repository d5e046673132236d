from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from data_schema.session.layout import OPENNESS
from data_schema.signals.blinks import BlinkParameters
from data_schema.signals.eye_signals import SignalParameters, prepare_eye_signals
from data_schema.signals.fixations import IVTParameters
from data_schema.signals.luminance import LightEffect
from data_schema.signals.pupil import PupilParameters
from data_schema.study.sections.analysis import BlinksSection, EyeMovementsSection, PupilSection

from .recordings import SCREEN, gaze_rows, spectrum_600hz, stamps


@pytest.mark.parametrize(
    ("section", "parameters"),
    [(EyeMovementsSection, IVTParameters), (BlinksSection, BlinkParameters), (PupilSection, PupilParameters)],
)
def test_a_study_that_asks_for_nothing_gets_the_defaults(section, parameters):
    asked = section().model_dump()
    shared = {item.name for item in fields(parameters)} & set(asked)
    assert shared
    for name in shared:
        assert asked[name] == getattr(parameters(), name), name


def test_every_key_on_eye_movements_reaches_the_filter():
    assert set(EyeMovementsSection.model_fields) == {item.name for item in fields(IVTParameters)}


def test_signals_of_a_real_recording(shared_data):
    rows = spectrum_600hz(shared_data)
    signals = prepare_eye_signals(rows, None, SCREEN)
    n = len(rows)
    for name in ("gaze_deg", "disparity_norm", "pupil_mm", "pupil_light_free_mm", "openness_mm"):
        assert len(getattr(signals, name)) == n, name
    assert 4 <= len(signals.blinks) <= 7
    assert 0.75 < np.isfinite(signals.pupil_mm).mean() < np.isfinite(signals.gaze.pupil_mm).mean()
    assert np.isnan(signals.pupil_light_free_mm).all()
    assert len(signals.movements.kind) == n


def test_the_pupil_without_light_is_known_where_light_is():
    t_us = stamps(1200)
    rows = gaze_rows(t_us, np.full((1200, 2), 0.5), 3.0)
    light = LightEffect(t_us[300:900], np.linspace(-0.2, 0.2, 600))
    signals = prepare_eye_signals(rows, None, SCREEN, luminance=light)
    np.testing.assert_allclose(signals.pupil_light_free_mm[300:900], 3.0 - light.effect_mm)
    assert np.isnan(signals.pupil_light_free_mm[:300]).all()
    np.testing.assert_allclose(signals.pupil_mm, 3.0)


def test_gaze_on_the_screen_alone_gives_movements_too():
    rng = np.random.default_rng(0)
    gaze = np.repeat(rng.uniform(0.2, 0.8, (10, 2)), 180, axis=0)
    rows = gaze_rows(stamps(1800), gaze)
    solid = prepare_eye_signals(rows, None, SCREEN).movements
    for side in ("left", "right"):
        rows[f"{side}_gaze_user_mm"] = rows[f"{side}_origin_user_mm"] = np.nan
    flat = prepare_eye_signals(rows, None, SCREEN).movements
    assert len(flat.fixations) == len(solid.fixations) == 10
    np.testing.assert_array_equal(flat.kind, solid.kind)


def test_parameters_are_used():
    rng = np.random.default_rng(0)
    gaze = np.repeat(rng.uniform(0.2, 0.8, (10, 2)), 180, axis=0)
    rows = gaze_rows(stamps(1800), gaze)
    openness = OPENNESS.empty(1800)
    openness["t_system_us"] = rows["t_system_us"]
    for side in ("left", "right"):
        openness[f"{side}_openness_mm"], openness[f"{side}_valid"] = 9.0, 1
        openness[f"{side}_openness_mm"][600:660] = 5.0
    default = prepare_eye_signals(rows, openness, SCREEN)
    assert len(default.blinks) == 0
    keen = prepare_eye_signals(rows, openness, SCREEN, SignalParameters(blinks=BlinkParameters(closed_share=0.8)))
    assert len(keen.blinks) == 1
    assert np.isnan(keen.pupil_mm[600:660]).all()
    filled = SignalParameters(blinks=BlinkParameters(closed_share=0.8), pupil=PupilParameters(max_gap_ms=400.0))
    assert np.isfinite(prepare_eye_signals(rows, openness, SCREEN, filled).pupil_mm[600:660]).all()


@pytest.mark.parametrize("n", [0, 1, 2])
def test_nearly_nothing(n):
    signals = prepare_eye_signals(gaze_rows(stamps(n), np.full((n, 2), 0.5)), None, SCREEN)
    assert len(signals.pupil_mm) == len(signals.movements.kind) == n
    assert len(signals.blinks) == 0
