"""Data quality of a recording: loss, rate, precision, missed frames.

References
----------
Niehorster, Nyström, Hessels, Benjamins, Andersson and Hooge, ETDQualitizer
(github.com/dcnieho/ETDQualitizer): the definitions of accuracy, RMS-S2S, STD, BCEA, data
loss and effective frequency, which these functions equal.
Holmqvist et al. (2023), "Eye tracking: empirical foundations for a minimal
reporting guideline", Behavior Research Methods 55.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from data_schema.signals.gaps import Span, count_gaps, expected_samples
from data_schema.signals.gaze import (
    Bool,
    Float,
    Int,
    ScreenGeometry,
    combine_eyes,
    finite_rows,
    sample_interval_us,
    true_runs,
)


def rms_s2s_deg(gaze_deg: Float) -> float:
    """Return the root mean square of sample-to-sample distances.

    Parameters
    ----------
    gaze_deg : ndarray of float64, shape (n, 2)
        Azimuth and elevation; NaN where missing.

    Returns
    -------
    float
        Degrees; NaN without two valid neighbours.
    """
    squared = np.sum(np.diff(gaze_deg, axis=0) ** 2, axis=1)
    finite = np.isfinite(squared)
    return float(np.sqrt(squared[finite].mean())) if finite.any() else float("nan")


def sd_deg(gaze_deg: Float) -> float:
    """Return the standard deviation of gaze, both axes together.

    Parameters
    ----------
    gaze_deg : ndarray of float64, shape (n, 2)

    Returns
    -------
    float
        Square root of the sum of both (population) variances; NaN if all is missing.
    """
    valid = gaze_deg[finite_rows(gaze_deg)]
    return float(np.sqrt(valid.var(axis=0).sum())) if len(valid) else float("nan")


#: Share of gaze that a contour ellipse is to hold; one standard deviation, the customary choice
#: (Crossland and Rubin 2002, "The use of an infrared eyetracker to measure fixation stability", Optom. Vis. Sci. 79).
BCEA_SHARE = 0.68


def bcea_deg2(gaze_deg: Float, share: float = BCEA_SHARE) -> float:
    """Return the bivariate contour ellipse area of gaze.

    Parameters
    ----------
    gaze_deg : ndarray of float64, shape (n, 2)
        Azimuth and elevation; NaN where missing.
    share : float
        Share of a normal distribution that the ellipse holds, between 0 and 1.

    Returns
    -------
    float
        Square degrees; NaN with fewer than two valid samples.

    References
    ----------
    Steinman (1965), "Effect of target size, luminance, and color on monocular fixation", J. Opt. Soc. Am. 55:
    2 k pi sd_x sd_y sqrt(1 - rho^2) with k = -ln(1 - share), which is 2 k pi times the root of the covariance's
    determinant.
    """
    valid = gaze_deg[finite_rows(gaze_deg)]
    if len(valid) < 2:
        return float("nan")
    determinant = max(0.0, float(np.linalg.det(np.cov(valid.T))))
    return float(-2.0 * np.log(1.0 - share) * np.pi * np.sqrt(determinant))


def contour_ellipse(points: Float, share: float = BCEA_SHARE, n_corners: int = 24) -> Float:
    """Return the outline of the contour ellipse whose area :func:`bcea_deg2` gives, in the points' own unit.

    Parameters
    ----------
    points : ndarray of float64, shape (n, 2)
        NaN where missing.
    share : float
        Share of a normal distribution that the ellipse holds.
    n_corners : int
        Corners of the outline.

    Returns
    -------
    ndarray of float64, shape (n_corners, 2)
        Not closed; shape (0, 2) with fewer than two valid points.
    """
    valid = points[finite_rows(points)]
    if len(valid) < 2:
        return np.empty((0, 2))
    variance, axes = np.linalg.eigh(np.cov(valid.T))
    radii = np.sqrt(-2.0 * np.log(1.0 - share) * np.maximum(variance, 0.0))
    turn = np.linspace(0.0, 2.0 * np.pi, n_corners, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    outline: Float = valid.mean(axis=0) + (circle * radii) @ axes.T
    return outline


def _fick_to_vector(angles_deg: Float) -> Float:
    azimuth, elevation = np.radians(angles_deg[..., 0]), np.radians(angles_deg[..., 1])
    flat = np.cos(elevation)
    vectors: Float = np.stack([flat * np.sin(azimuth), np.sin(elevation), flat * np.cos(azimuth)], axis=-1)
    return vectors


def mean_offset_deg(gaze_deg: Float, target_deg: Float) -> tuple[float, float]:
    """Return how far the mean direction of gaze lies from a target, right and down positive.

    The mean direction is that of the mean unit vector; right and down are seen when looking at the target.

    Parameters
    ----------
    gaze_deg : ndarray of float64, shape (n, 2)
        Fick angles, as ``ScreenGeometry.norm_to_deg`` gives them; NaN where missing.
    target_deg : ndarray of float64, shape (2,)

    Returns
    -------
    tuple of float
        Fick angles, degrees; NaN if all gaze is missing.
    """
    to_right, to_down, ahead = _seen_from_target(gaze_deg, target_deg)
    return float(np.degrees(np.arctan2(to_right, ahead))), float(
        np.degrees(np.arctan2(to_down, np.hypot(to_right, ahead)))
    )


def accuracy_deg(gaze_deg: Float, target_deg: Float) -> float:
    """Return the visual angle between the mean direction of gaze and a target: the inaccuracy; NaN without gaze.

    Parameters
    ----------
    gaze_deg : ndarray of float64, shape (n, 2)
        Fick angles; NaN where missing.
    target_deg : ndarray of float64, shape (2,)
    """
    to_right, to_down, ahead = _seen_from_target(gaze_deg, target_deg)
    return float(np.degrees(np.arctan2(np.hypot(to_right, to_down), ahead)))


def _seen_from_target(gaze_deg: Float, target_deg: Float) -> Float:
    """Return the mean direction of gaze along three axes: to the right of the target, below it, at it."""
    valid = gaze_deg[finite_rows(gaze_deg)]
    if not len(valid):
        return np.full(3, np.nan)
    at: Float = np.asarray(target_deg, dtype=np.float64)
    to_right = _fick_to_vector(np.array([at[0] + 90.0, 0.0]))
    to_down = _fick_to_vector(np.array([at[0], at[1] + 90.0]))
    seen: Float = np.stack([to_right, to_down, _fick_to_vector(at)]) @ _fick_to_vector(valid).mean(axis=0)
    return seen


def data_loss(valid: Bool) -> float:
    """Return the share of samples without gaze; NaN for no samples."""
    return float(1.0 - valid.mean()) if len(valid) else float("nan")


def effective_rate_hz(t_us: Int, valid: Bool) -> float:
    """Return valid samples per second of recording.

    The recording lasts from the first to the last sample plus one median
    interval, so that a recording without loss has exactly the tracker's rate.
    """
    if len(t_us) < 2:
        return float("nan")
    duration_s = (float(t_us[-1] - t_us[0]) + sample_interval_us(t_us)) / 1e6
    return float(valid.sum() / duration_s) if duration_s > 0 else float("nan")


def windowed_precision_deg(t_us: Int, gaze_deg: Float, window_ms: float = 200.0) -> tuple[float, float]:
    """Return RMS-S2S and SD as medians over short windows without loss.

    A whole recording holds saccades, which are no noise; the median window of
    200 ms lies within a fixation.

    Returns
    -------
    rms_s2s, sd : float
        Degrees; NaN if no window is complete.

    References
    ----------
    Hooge et al. (2018), "Is human classification by experienced untrained
    observers a gold standard in fixation detection?", Behavior Research Methods
    50 (moving-window precision of 200 ms); Niehorster et al. (2020).
    """
    return median_precision([precision_windows(gaze_deg, window_samples(t_us, window_ms))])


def window_samples(t_us: Int, window_ms: float = 200.0) -> int:
    """Return how many samples a window of that length has, two at least."""
    interval_us = sample_interval_us(t_us)
    return max(2, round(window_ms * 1000.0 / interval_us)) if np.isfinite(interval_us) and interval_us > 0 else 2


def precision_windows(gaze_deg: Float, size: int) -> Float:
    """Return RMS-S2S and SD of each window of `size` samples that has no loss.

    A recording may be cut at multiples of `size` and given part by part: its windows are the same.

    Returns
    -------
    ndarray of float64, shape (n_windows, 2)
        Degrees.
    """
    n_windows = len(gaze_deg) // size
    windows = gaze_deg[: n_windows * size].reshape(n_windows, size, 2)
    windows = windows[np.isfinite(windows).all(axis=(1, 2))]
    if not len(windows):
        return np.empty((0, 2))
    rms = np.sqrt(np.sum(np.diff(windows, axis=1) ** 2, axis=2).mean(axis=1))
    return np.stack([rms, np.sqrt(windows.var(axis=1).sum(axis=1))], axis=1)


def median_precision(parts: Sequence[Float]) -> tuple[float, float]:
    """Return the medians over the windows of all parts; NaN without one."""
    windows: Float = np.concatenate([*parts, np.empty((0, 2))])
    if not len(windows):
        return float("nan"), float("nan")
    rms, sd = np.median(windows, axis=0)
    return float(rms), float(sd)


@dataclass(frozen=True)
class GazeQuality:
    """Quality of a gaze recording.

    Parameters
    ----------
    n_samples : int
    duration_s : float
    rate_hz : float
        Samples per second, valid or not: from the median interval.
    effective_rate_hz : float
        Samples with gaze from either eye per second.
    loss_left, loss_right, loss_both : float
        Share of samples without the left eye, without the right eye, without any.
    rms_s2s_deg, sd_deg : float
        Medians over windows of 200 ms.
    n_gaps : int
        Holes of more than 0.1 s in the stream; silence at the ends of the span counts from the tolerance on.
    longest_loss_s : float
        Longest time without gaze from either eye.
    """

    n_samples: int
    duration_s: float
    rate_hz: float
    effective_rate_hz: float
    loss_left: float
    loss_right: float
    loss_both: float
    rms_s2s_deg: float
    sd_deg: float
    n_gaps: int
    longest_loss_s: float


def _longest_loss_s(t_us: Int, valid: Bool, span_us: Span, interval_us: float) -> float:
    """Return the longest time in a span without a valid sample."""
    known = np.concatenate(([span_us[0] - interval_us], np.sort(t_us[valid]), [span_us[1] + interval_us]))
    longest = float(np.diff(known).max()) - interval_us
    return longest / 1e6 if longest > interval_us / 2.0 else 0.0


def gaze_quality(
    rows: npt.NDArray[Any], screen: ScreenGeometry, span_us: Span | None = None, nominal_hz: float = float("nan")
) -> GazeQuality:
    """Judge rows of ``/eye/gaze``.

    Parameters
    ----------
    rows : structured ndarray, shape (n,)
        Columns of ``data_schema.session.layout.GAZE``.
    screen : ScreenGeometry
    span_us : tuple of int, optional
        First and last time of the session. With it, time in which the stream was silent is loss: a tracker that died
        shows. Without it, loss and rate are those of ETDQualitizer: of the samples that are there.
    nominal_hz : float
        What the tracker should deliver; used where there are too few samples to tell.

    Returns
    -------
    GazeQuality
        NaN where there are too few samples.
    """
    t_us: Int = rows["t_system_us"].astype(np.int64)
    sides = gaze_of_eyes(rows)
    precision = windowed_precision_deg(t_us, screen.norm_to_deg(combine_eyes(*sides, "average")))
    return judge_gaze(t_us, finite_rows(sides[0]), finite_rows(sides[1]), precision, span_us, nominal_hz)


def gaze_of_eyes(rows: Mapping[str, npt.NDArray[Any]] | npt.NDArray[Any]) -> tuple[Float, Float]:
    """Return the gaze points of the left and of the right eye, NaN where not valid, each of shape (n, 2)."""
    sides: list[Float] = []
    for side in ("left", "right"):
        gaze = rows[f"{side}_gaze_norm"].astype(np.float64)
        gaze[rows[f"{side}_gaze_valid"] != 1] = np.nan
        sides.append(gaze)
    return sides[0], sides[1]


def judge_gaze(
    t_us: Int,
    left: Bool,
    right: Bool,
    precision_deg: tuple[float, float],
    span_us: Span | None = None,
    nominal_hz: float = float("nan"),
) -> GazeQuality:
    """Judge a recording of which it is known when each eye had gaze; the other parameters as in :func:`gaze_quality`.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
    left, right : ndarray of bool, shape (n,)
        Whether each eye had gaze.
    precision_deg : tuple of float
        RMS-S2S and SD, from :func:`windowed_precision_deg`.
    """
    rms, sd = precision_deg
    either: Bool = left | right
    interval_us = sample_interval_us(t_us)
    own = GazeQuality(
        n_samples=len(t_us),
        duration_s=float(t_us[-1] - t_us[0]) / 1e6 if len(t_us) > 1 else 0.0,
        rate_hz=1e6 / interval_us if interval_us > 0 else float("nan"),
        effective_rate_hz=effective_rate_hz(t_us, either),
        loss_left=data_loss(left),
        loss_right=data_loss(right),
        loss_both=data_loss(either),
        rms_s2s_deg=rms,
        sd_deg=sd,
        n_gaps=count_gaps(t_us),
        longest_loss_s=_longest_run_s(t_us, ~either, interval_us),
    )
    if span_us is None:
        return own
    if not interval_us > 0:
        interval_us = 1e6 / nominal_hz if nominal_hz > 0 else float("nan")
    n_expected = expected_samples(t_us, span_us, interval_us)
    if not np.isfinite(interval_us) or not n_expected:
        return replace(own, duration_s=(span_us[1] - span_us[0]) / 1e6)
    return replace(
        own,
        duration_s=(span_us[1] - span_us[0]) / 1e6,
        effective_rate_hz=float(either.sum()) / ((span_us[1] - span_us[0] + interval_us) / 1e6),
        loss_left=1.0 - float(left.sum()) / n_expected,
        loss_right=1.0 - float(right.sum()) / n_expected,
        loss_both=1.0 - float(either.sum()) / n_expected,
        n_gaps=count_gaps(t_us, span_us),
        longest_loss_s=_longest_loss_s(t_us, either, span_us, interval_us),
    )


def _longest_run_s(t_us: Int, lost: Bool, interval_us: float) -> float:
    """Return the longest run of lost samples."""
    starts, ends = true_runs(lost)
    return float(np.max(t_us[ends] - t_us[starts]) + interval_us) / 1e6 if len(starts) and len(t_us) > 1 else 0.0


@dataclass(frozen=True)
class FrameQuality:
    """Quality of a camera recording.

    Parameters
    ----------
    n_frames : int
    rate_hz : float
        Frames per second over the whole recording.
    loss : float
        Share of the frames that should be there, at the median interval over the span, but are not; NaN without one.
    median_interval_ms : float
    n_missed : int
        Frames that the recorder knows to be lost.
    n_gaps : int
        Holes of more than 0.1 s.
    """

    n_frames: int
    rate_hz: float
    loss: float
    median_interval_ms: float
    n_missed: int
    n_gaps: int


def frame_quality(
    t_capture_us: Int, missed_before: npt.NDArray[Any], span_us: Span | None = None, nominal_hz: float = float("nan")
) -> FrameQuality:
    """Judge the capture times of a camera.

    Parameters
    ----------
    t_capture_us : ndarray of int64, shape (n,)
    missed_before : ndarray of int, shape (n,)
        Frames lost before each.
    span_us : tuple of int, optional
        First and last time of the session, against which rate, loss and gaps are measured; the frames' own otherwise.
    nominal_hz : float
        What the camera should deliver; used where there are too few frames to tell.
    """
    n = len(t_capture_us)
    interval_us = sample_interval_us(t_capture_us)
    if not interval_us > 0:
        interval_us = 1e6 / nominal_hz if nominal_hz > 0 else float("nan")
    own_s = float(t_capture_us[-1] - t_capture_us[0]) / 1e6 if n > 1 else 0.0
    rate_hz, loss = (n - 1) / own_s if own_s > 0 else float("nan"), float("nan")
    if span_us is not None and np.isfinite(interval_us):
        rate_hz = n / ((span_us[1] - span_us[0] + interval_us) / 1e6)
        loss = 1.0 - n / max(1, expected_samples(t_capture_us, span_us, interval_us))
    return FrameQuality(
        n_frames=n,
        rate_hz=rate_hz,
        loss=loss,
        median_interval_ms=sample_interval_us(t_capture_us) / 1000.0,
        n_missed=int(missed_before.sum()) if n else 0,
        n_gaps=count_gaps(t_capture_us, span_us),
    )
