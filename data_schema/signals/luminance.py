"""The light of the stimulus, and what it does to a participant's pupil, so that it can be taken out.

A bright scene narrows the pupil by more than most emotions widen it. Where the luminance of the stimulus is known, its
effect is predicted in two published steps: the diameter at which the pupil would settle under each luminance (Watson and
Yellott 2012), and how it gets there (the pupil's impulse response, Hoeks and Levelt 1993). Two numbers are the
participant's own: how strongly the pupil follows (the gain) and how slowly (the time of the response's peak). They are
fitted to all trials of a session together, without any label.

What light does not explain stays. The fit looks at changes within trials only, beside a level and a trend of each trial,
so that a pupil that is wider in some trials, or widens slowly, neither helps nor hurts; the gain cannot be negative; and
where the prediction does not help in trials that it was not fitted to, nothing is subtracted.

References
----------
Hoeks and Levelt (1993), "Pupillary dilation as a measure of attention: A quantitative system analysis", Behavior Research
Methods, Instruments, & Computers 25: h(t) = t^n exp(-n t / t_max) with n = 10.1.
Watson and Yellott (2012), "A unified formula for light-adapted pupil size", Journal of Vision 12(10), equation 17
(Stanley and Davies 1995).
Cai, Strauch, Van der Stigchel and Naber (2024), "Open-DPSM: An open-source toolkit for modeling pupil size changes to
dynamic visual inputs", Behavior Research Methods 56: the same response to the luminance of films, its peak's time fitted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_schema.signals.gaze import Float, Int

#: Exponent of the pupil's impulse response (Hoeks and Levelt 1993).
SHAPE = 10.1
#: Times of its peak that are tried, s. Hoeks and Levelt (1993) found 0.93 for attention; the light reflex is faster.
PEAK_TIMES_S: tuple[float, ...] = (0.4, 0.5, 0.6, 0.7, 0.8, 0.93, 1.1, 1.3)
#: Steps of the fit: the pupil follows light more slowly than 5 Hz, so 20 ms lose nothing.
_STEP_US = 20_000
#: The response is cut where it has died away (below 1e-4 of its peak for the slowest).
_KERNEL_S = 4.0
#: Fewer steps with a pupil do not make a trial for the fit: level and trend alone take two of them. Chosen by us: 1 s.
_MIN_STEPS = 50
#: Light that would move a settled pupil by less than this (standard deviation) cannot tell a gain. Chosen by us.
_MIN_LIGHT_SD_MM = 0.01
#: No pupil follows light more than twice as far as the formula says. Chosen by us, against accidents of short fits.
MAX_GAIN = 2.0
#: White of a usual desktop screen. Only the bend of the static curve depends on it, since the gain is fitted.
WHITE_CD_M2 = 250.0


def settled_diameter_mm(luminance_cd_m2: npt.ArrayLike, area_deg2: float) -> Float:
    """Return the diameter at which a pupil settles under a luminance.

    Parameters
    ----------
    luminance_cd_m2 : array_like
    area_deg2 : float
        Solid angle of the lit field, square degrees.

    References
    ----------
    Stanley and Davies (1995), as equation 17 of Watson and Yellott (2012): 7.75 - 5.75 (F/846)^0.41 / ((F/846)^0.41 + 2)
    with F the luminance times the area.
    """
    flux = np.maximum(np.asarray(luminance_cd_m2, dtype=np.float64), 0.0) * area_deg2
    part = (flux / 846.0) ** 0.41
    return np.asarray(7.75 - 5.75 * part / (part + 2.0), dtype=np.float64)


@dataclass(frozen=True)
class LightEffect:
    """How much wider or narrower a participant's pupil is because of the stimulus' light.

    Parameters
    ----------
    t_us : ndarray of int64, shape (k,)
        Host clock, microseconds, increasing.
    effect_mm : ndarray of float64, shape (k,)
        Change of the diameter against the participant's mean light; negative where the stimulus is bright.
    """

    t_us: Int
    effect_mm: Float

    def at(self, t_us: Int) -> Float:
        """Return the effect at other times by linear interpolation, NaN outside, shape (n,)."""
        if not len(self.t_us):
            return np.full(len(t_us), np.nan)
        at: Float = np.interp(t_us, self.t_us, self.effect_mm, left=np.nan, right=np.nan)
        return at


@dataclass(frozen=True)
class LightTrial:
    """One trial's pupil and light.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
        Times of the pupil, microseconds, increasing.
    pupil_mm : ndarray of float64, shape (n,)
        Cleaned diameter; NaN where missing.
    light_t_us : ndarray of int64, shape (k,)
        From when on each luminance was shown, increasing, in the same clock.
    luminance : ndarray of float64, shape (k,)
        Share of white in linear light, as ``/stimulus/luminance`` of a session has it. Before the first, the pupil has
        settled under it, it is taken; so begin with what was shown before the stimulus, where that is known.
    """

    t_us: Int
    pupil_mm: Float
    light_t_us: Int
    luminance: Float


@dataclass(frozen=True)
class LightResponse:
    """How one participant's pupil follows light.

    Parameters
    ----------
    gain : float
        Share of the change that the formula for a settled pupil gives; 0 where light did not help to predict the pupil
        in trials that were left out of the fit, which takes two trials at least.
    peak_s : float
        Time of the impulse response's peak.
    reference_mm : float
        Predicted diameter under the participant's mean light, before the gain.
    explained_share : float
        Share of the pupil's variance within trials (beside level and trend) that light predicted in trials that were left
        out of the fit; NaN with fewer than two trials. Negative where it made the prediction worse, and the gain is 0.
    n_trials : int
        Trials that were fitted.
    white_cd_m2, area_deg2 : float
        The screen's white and the solid angle of the stimulus, as assumed.
    """

    gain: float
    peak_s: float
    reference_mm: float
    explained_share: float
    n_trials: int
    white_cd_m2: float = WHITE_CD_M2
    area_deg2: float = 1000.0

    def effect(self, light_t_us: Int, luminance: Float, t_end_us: int) -> LightEffect:
        """Predict what light does to this pupil.

        Parameters
        ----------
        light_t_us, luminance : ndarray, shape (k,)
            As of :class:`LightTrial`.
        t_end_us : int
            Until when the last luminance was shown.
        """
        if not len(light_t_us):
            return LightEffect(np.zeros(0, dtype=np.int64), np.zeros(0))
        grid = np.arange(int(light_t_us[0]), max(int(t_end_us), int(light_t_us[0]) + 1), _STEP_US, dtype=np.int64)
        grid = np.append(grid, int(t_end_us)) if grid[-1] < t_end_us else grid
        settled = _settled_at(grid, light_t_us, luminance, self.white_cd_m2, self.area_deg2)
        predicted = _follow(settled, self.peak_s)
        return LightEffect(grid, self.gain * (predicted - self.reference_mm))


def _settled_at(grid_us: Int, light_t_us: Int, luminance: Float, white_cd_m2: float, area_deg2: float) -> Float:
    shown = np.clip(np.searchsorted(light_t_us, grid_us, side="right") - 1, 0, len(light_t_us) - 1)
    return settled_diameter_mm(np.asarray(luminance, dtype=np.float64)[shown] * white_cd_m2, area_deg2)


def impulse_response(peak_s: float) -> Float:
    """Return the pupil's response to a flash in steps of 20 ms, with the sum 1 (Hoeks and Levelt 1993)."""
    t_s = np.arange(round(_KERNEL_S * 1e6 / _STEP_US)) * _STEP_US / 1e6
    response = (t_s / peak_s) ** SHAPE * np.exp(SHAPE * (1.0 - t_s / peak_s))
    return np.asarray(response / response.sum(), dtype=np.float64)


def _follow(settled_mm: Float, peak_s: float) -> Float:
    """Let the pupil follow, settled under the first value before."""
    response = impulse_response(peak_s)
    history = np.concatenate([np.full(len(response) - 1, settled_mm[0]), settled_mm])
    return np.asarray(np.convolve(history, response, mode="valid"), dtype=np.float64)


@dataclass(frozen=True)
class _Fitted:
    """What a trial adds to the fit at one peak time: sums over steps, after level and trend are out."""

    light_light: float
    light_pupil: float
    pupil_pupil: float
    predicted_sum: float
    n_steps: int


def fit_light_response(
    trials: Sequence[LightTrial] | Iterable[LightTrial], area_deg2: float = 1000.0, white_cd_m2: float = WHITE_CD_M2
) -> LightResponse:
    """Fit how a participant's pupil follows light, to all trials of a session and without labels.

    Parameters
    ----------
    trials : iterable of LightTrial
        Trials with less than a second of pupil, or without light, are left out.
    area_deg2 : float
        Solid angle of the stimulus; the default is that of a screen of 40 by 25 degrees.
    white_cd_m2 : float
        Luminance of the screen's white.

    Returns
    -------
    LightResponse
        With gain 0 if there is nothing to fit.
    """
    steps = [step for trial in trials if (step := _in_steps(trial)) is not None]
    best: LightResponse | None = None
    best_error = np.inf
    for peak_s in PEAK_TIMES_S:
        sums = [_sums(grid, pupil, trial, peak_s, white_cd_m2, area_deg2) for grid, pupil, trial in steps]
        light = sum(one.light_light for one in sums)
        if not light > 0 or light < _MIN_LIGHT_SD_MM**2 * sum(one.n_steps for one in sums):
            continue
        shared = sum(one.light_pupil for one in sums)
        total = sum(one.pupil_pupil for one in sums)
        gain = min(max(0.0, shared / light), MAX_GAIN)
        error = total - 2.0 * gain * shared + gain**2 * light
        if error < best_error:
            explained = _explained_elsewhere(sums)
            reference = sum(one.predicted_sum for one in sums) / sum(one.n_steps for one in sums)
            helps = explained > 0
            best = LightResponse(
                gain if helps else 0.0, peak_s, reference, explained, len(sums), white_cd_m2, area_deg2
            )
            best_error = error
    if best is None:
        return LightResponse(0.0, PEAK_TIMES_S[0], 0.0, float("nan"), len(steps), white_cd_m2, area_deg2)
    return best


def _explained_elsewhere(sums: list[_Fitted]) -> float:
    """Return the share of variance that is predicted in each trial by the gain of all others."""
    if len(sums) < 2:
        return float("nan")
    light = np.array([one.light_light for one in sums])
    shared = np.array([one.light_pupil for one in sums])
    total = np.array([one.pupil_pupil for one in sums])
    others = light.sum() - light
    gain = np.clip((shared.sum() - shared) / np.where(others > 0, others, np.inf), 0.0, MAX_GAIN)
    error = total - 2.0 * gain * shared + gain**2 * light
    return float(1.0 - error.sum() / total.sum()) if total.sum() > 0 else float("nan")


def _in_steps(trial: LightTrial) -> tuple[Int, Float, LightTrial] | None:
    """Return the pupil's means over steps of 20 ms, from the first light on."""
    if not len(trial.light_t_us) or not len(trial.t_us):
        return None
    start_us = int(trial.light_t_us[0])
    used = np.isfinite(trial.pupil_mm) & (trial.t_us >= start_us)
    if not used.any():
        return None
    step = (trial.t_us[used] - start_us) // _STEP_US
    n_steps = int(step[-1]) + 1
    count = np.bincount(step, minlength=n_steps)
    total = np.bincount(step, weights=trial.pupil_mm[used], minlength=n_steps)
    if np.count_nonzero(count) < _MIN_STEPS:
        return None
    pupil = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return start_us + np.arange(n_steps, dtype=np.int64) * _STEP_US + _STEP_US // 2, pupil, trial


def _sums(
    grid_us: Int, pupil_mm: Float, trial: LightTrial, peak_s: float, white_cd_m2: float, area_deg2: float
) -> _Fitted:
    settled = _settled_at(grid_us, trial.light_t_us, trial.luminance, white_cd_m2, area_deg2)
    predicted = _follow(settled, peak_s)
    used = np.isfinite(pupil_mm)
    steps = np.arange(len(grid_us), dtype=np.float64)[used]
    nuisance = np.stack([np.ones_like(steps), steps - steps.mean()], axis=1)
    nuisance /= np.linalg.norm(nuisance, axis=0)
    light, pupil = predicted[used], pupil_mm[used]
    light = light - nuisance @ (nuisance.T @ light)
    pupil = pupil - nuisance @ (nuisance.T @ pupil)
    return _Fitted(
        float(light @ light), float(light @ pupil), float(pupil @ pupil), float(predicted[used].sum()), len(steps)
    )
