from __future__ import annotations

import numpy as np
import pytest

from data_schema.signals.luminance import (
    LightEffect,
    LightResponse,
    LightTrial,
    fit_light_response,
    impulse_response,
    settled_diameter_mm,
)

RATE_HZ = 120.0


def scenes(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Return the luminance of a film of 25 frames a second that cuts every two seconds."""
    return np.repeat(rng.uniform(0.02, 0.9, round(seconds / 2)), 50)


def trial(
    k: int, gain: float, planted_mm: float, seconds: float = 20.0, seed: int = 0
) -> tuple[LightTrial, np.ndarray]:
    """Return one trial of a pupil that follows light and, in odd trials, widens for another reason; and that widening."""
    rng = np.random.default_rng(1000 * seed + k)
    start_us = 1_000_000 + k * 60_000_000
    t_us = start_us + np.round(np.arange(seconds * RATE_HZ) * 1e6 / RATE_HZ).astype(np.int64)
    film = scenes(rng, seconds)
    film_us = start_us + np.arange(len(film), dtype=np.int64) * 40_000
    light = LightResponse(gain, 0.7, 4.0, np.nan, 0).effect(film_us, film, int(t_us[-1])).at(t_us)
    seconds_in = (t_us - start_us) / 1e6
    other = planted_mm * (k % 2) / (1 + np.exp(-3 * (seconds_in - rng.uniform(5, 15))))
    slow = np.cumsum(rng.normal(0, 0.01 / np.sqrt(RATE_HZ), len(t_us)))
    pupil = 3.5 + rng.normal(0, 0.2) + light + other + slow + rng.normal(0, 0.01, len(t_us))
    pupil[rng.random(len(t_us)) < 0.05] = np.nan
    return LightTrial(t_us, pupil, film_us, film), other


def test_known_diameters():
    # Watson and Yellott (2012), figure 1: 7.75 mm in the dark, 2 mm in the limit, 4.875 mm where the term is 2.
    assert settled_diameter_mm(0.0, 1000.0) == pytest.approx(7.75)
    flux = 846.0 * 2.0 ** (1 / 0.41)
    assert settled_diameter_mm(flux / 100.0, 100.0) == pytest.approx(7.75 - 5.75 / 2)
    assert (np.diff(settled_diameter_mm(np.array([0.1, 1.0, 10.0, 100.0]), 500.0)) < 0).all()


def test_the_response_peaks_when_it_says():
    for peak_s in (0.5, 0.93):
        response = impulse_response(peak_s)
        assert response.sum() == pytest.approx(1.0)
        assert response.argmax() * 0.02 == pytest.approx(peak_s, abs=0.011)
        assert response[0] == 0.0


@pytest.mark.parametrize("gain", [0.3, 0.7])
def test_the_fit_finds_gain_and_time_again(gain):
    trials = [trial(k, gain, 0.0)[0] for k in range(8)]
    found = fit_light_response(trials)
    assert found.gain == pytest.approx(gain, rel=0.1)
    assert found.peak_s == 0.7
    assert found.explained_share > 0.8
    assert found.n_trials == 8


def test_light_is_taken_out_and_what_is_no_light_stays():
    made = [trial(k, 0.6, 0.3) for k in range(8)]
    response = fit_light_response([one for one, _ in made])
    for one, other in made:
        effect = response.effect(one.light_t_us, one.luminance, int(one.t_us[-1]))
        free = one.pupil_mm - effect.at(one.t_us)
        seen = np.isfinite(free)
        if not other.any():
            # Light made most of the changes within the trial; what stays is the slow wandering that was put in.
            assert np.std(free[seen]) < 0.35 * np.std(one.pupil_mm[seen])
            continue
        wide, narrow = seen & (other > 0.28), seen & (other < 0.02)
        assert free[wide].mean() - free[narrow].mean() == pytest.approx(0.3, abs=0.1)
    planted = [np.nanmean(r[o > 0.28]) - np.nanmean(r[o < 0.02]) for r, o in _freed(made, response) if o.any()]
    assert np.mean(planted) == pytest.approx(0.3, abs=0.03)


def _freed(made, response):
    for one, other in made:
        yield one.pupil_mm - response.effect(one.light_t_us, one.luminance, int(one.t_us[-1])).at(one.t_us), other


def test_a_pupil_that_light_does_not_move_is_left_alone():
    made = [trial(k, 0.0, 0.3) for k in range(8)]
    response = fit_light_response([one for one, _ in made])
    assert response.gain < 0.03
    # What moves with light the wrong way is no reflex either.
    turned = [
        LightTrial(one.t_us, 7.0 - one.pupil_mm, one.light_t_us, one.luminance)
        for one, _ in (trial(k, 0.6, 0.0) for k in range(8))
    ]
    assert fit_light_response(turned).gain == 0.0


def test_nothing_to_fit():
    one, _ = trial(0, 0.5, 0.0)
    empty = np.zeros(0, dtype=np.int64)
    nothing = fit_light_response([LightTrial(one.t_us, one.pupil_mm, empty, np.zeros(0))])
    assert (nothing.gain, nothing.n_trials) == (0.0, 0)
    assert np.isnan(nothing.explained_share)
    lost = LightTrial(one.t_us, np.full(len(one.t_us), np.nan), one.light_t_us, one.luminance)
    assert fit_light_response([lost]).n_trials == 0
    constant = LightTrial(one.t_us, one.pupil_mm, one.light_t_us[:1], one.luminance[:1])
    assert fit_light_response([constant, constant]).gain == 0.0
    # One trial cannot be checked on another.
    assert fit_light_response([trial(1, 0.6, 0.0)[0]]).gain == 0.0
    assert np.isnan(LightEffect(empty, np.zeros(0)).at(one.t_us)).all()


def test_the_effect_is_known_only_while_light_is():
    response = LightResponse(0.5, 0.7, 3.0, 0.9, 3)
    effect = response.effect(np.array([0, 1_000_000]), np.array([0.1, 0.8]), 5_000_000)
    at = effect.at(np.array([-1, 0, 500_000, 4_900_000, 5_000_000, 5_000_001]))
    assert np.isnan(at[[0, 5]]).all()
    assert at[1] == pytest.approx(at[2])
    assert at[3] < at[2]
