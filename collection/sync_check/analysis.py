"""From brightness of the filmed screen to the camera's delay and drift.

A frame whose stamp is ``t`` shows the mean of what the screen showed in an exposure
around ``t - delay``. For every delay on a grid the brightness of the frames is
regressed on what the shown pattern predicts; the best one explains the most variance
and is refined by a parabola. Which part of the picture shows the screen (directly or
in a mirror) is found by the same measure. Done again for pieces of the recording, the
delays' slope over time is the drift of the camera's stamps against the host's clock.

The delay runs from the flip to the stamp. It holds the screen's own lag (a few
milliseconds on a gaming screen, tens on a television), half the exposure, the transfer
and the driver; a frame's stamp minus the delay is when the light of its middle was on the screen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from collection.sync_check.pattern import Flash, ShownPattern
from data_schema.errors import ClockError

Float = npt.NDArray[np.float64]

#: Delays that are looked at, milliseconds: a stamp may be early where a driver guesses it.
_LOWEST_MS, _HIGHEST_MS, _STEP_MS = -60.0, 400.0, 2.0
#: Exposures that are tried, milliseconds.
_EXPOSURES_MS = (1.0, 4.0, 8.0, 16.0, 25.0, 33.0, 50.0)
#: Share of variance that the pattern must explain before a delay is believed. Chosen by us:
#: a screen that fills a tenth of the picture reaches 0.9, a room light that flickers 0.1.
MIN_EXPLAINED = 0.5
#: Length of one piece for the drift, seconds.
_PIECE_S = 4.0
#: Regions whose variance explained is at least this share of the best one's are used together.
_REGION_SHARE = 0.8


@dataclass(frozen=True)
class SyncResult:
    """What a sync check measured.

    Parameters
    ----------
    delay_ms : float
        From a flip to the stamp of the frame that shows it.
    delay_sd_ms : float
        Standard deviation of the delay over pieces of the recording.
    drift_ppm : float
        Change of the delay over time; NaN with fewer than three pieces.
    drift_se_ppm : float
        Standard error of the drift.
    exposure_ms : float
        Exposure that fits best, from a short list.
    explained : float
        Share of the brightness's variance that the pattern explains.
    n_frames : int
        Frames used.
    fps : float
        Their mean rate.
    region_share : float
        Share of the picture that shows the pattern.
    pieces : tuple of (float, float)
        Time (s) and delay (ms) of each piece.
    """

    delay_ms: float
    delay_sd_ms: float
    drift_ppm: float
    drift_se_ppm: float
    exposure_ms: float
    explained: float
    n_frames: int
    fps: float
    region_share: float
    pieces: tuple[tuple[float, float], ...]


def measure_delay(flashes: list[Flash], t_capture_us: npt.NDArray[np.int64], brightness: Float) -> SyncResult:
    """Measure a camera's delay and drift.

    Parameters
    ----------
    flashes : list of Flash
        What the screen showed, with the times of the flips.
    t_capture_us : ndarray of int64, shape (n_frames,)
        Stamps of the frames, host clock.
    brightness : ndarray of float64, shape (n_frames, n_regions)
        Mean brightness of each region of the picture.

    Raises
    ------
    ClockError
        If there are too few frames or flashes, or the pattern is not seen in the picture.
    """
    if len(flashes) < 10 or len(t_capture_us) < 60:
        raise ClockError(
            f"a sync check needs at least 10 changes of the screen and 60 frames, got {len(flashes)} and "
            f"{len(t_capture_us)}. Let it run longer, and check that the camera delivers."
        )
    pattern = ShownPattern(flashes)
    t_us = t_capture_us.astype(np.float64)
    inside = (t_us > flashes[0].t_flip_us - 300_000) & (t_us < flashes[-1].t_flip_us + 500_000)
    t_us, brightness = t_us[inside], brightness[inside]
    signal, region_share = _screen_signal(pattern, t_us, brightness)
    delay_ms, exposure_ms, explained = _best_delay(pattern, t_us, signal)
    if explained < MIN_EXPLAINED:
        raise ClockError(
            f"the flashes are not seen in the picture: they explain {explained:.0%} of its brightness, at least "
            f"{MIN_EXPLAINED:.0%} is needed. Turn the camera (or a mirror) so that the screen fills a good part of the "
            "picture, darken the room, and switch automatic exposure off."
        )
    pieces = _pieces(pattern, t_us, signal, exposure_ms, delay_ms)
    drift_ppm, drift_se_ppm = _drift(pieces)
    delays = [delay for _, delay in pieces]
    return SyncResult(
        delay_ms=delay_ms,
        delay_sd_ms=float(np.std(delays, ddof=1)) if len(delays) > 1 else math.nan,
        drift_ppm=drift_ppm,
        drift_se_ppm=drift_se_ppm,
        exposure_ms=exposure_ms,
        explained=explained,
        n_frames=len(t_us),
        fps=(len(t_us) - 1) / ((t_us[-1] - t_us[0]) / 1e6),
        region_share=region_share,
        pieces=tuple(pieces),
    )


def _explained(model: Float, signal: Float) -> float:
    """Return the share of variance that a line through `model` explains; 0 if it falls (white seen as dark)."""
    spread = float(np.std(model) * np.std(signal))
    if spread < 1e-12:
        return 0.0
    correlation = float(np.mean((model - model.mean()) * (signal - signal.mean()))) / spread
    return max(0.0, correlation) ** 2


def _profile(pattern: ShownPattern, t_us: Float, signal: Float, exposure_ms: float, delays_ms: Float) -> Float:
    models = (pattern.mean_level(t_us - delay * 1e3, exposure_ms * 1e3) for delay in delays_ms)
    return np.array([_explained(model, signal) for model in models])


def _grid(low_ms: float, high_ms: float, step_ms: float) -> Float:
    return np.arange(low_ms, high_ms + step_ms / 2, step_ms)


def _screen_signal(pattern: ShownPattern, t_us: Float, brightness: Float) -> tuple[Float, float]:
    """Return the mean brightness of the regions that show the screen, shape (n,), and their share."""
    delays_ms = _grid(_LOWEST_MS, _HIGHEST_MS, 3 * _STEP_MS)
    models = np.array([pattern.mean_level(t_us - delay * 1e3, 8e3) for delay in delays_ms])
    models -= models.mean(axis=1, keepdims=True)
    models /= np.maximum(models.std(axis=1, keepdims=True), 1e-9)
    centred = brightness - brightness.mean(axis=0)
    spread = centred.std(axis=0)
    scaled = centred / np.maximum(spread, 1e-9)
    correlation = np.where(spread > 1e-6, (models @ scaled).max(axis=0) / len(t_us), 0.0)
    best = float(correlation.max())
    chosen = correlation >= max(1e-9, math.sqrt(_REGION_SHARE) * best)
    if not chosen.any():
        return np.asarray(brightness.mean(axis=1)), 0.0
    return np.asarray(brightness[:, chosen].mean(axis=1)), float(chosen.mean())


def _best_delay(pattern: ShownPattern, t_us: Float, signal: Float) -> tuple[float, float, float]:
    coarse = _grid(_LOWEST_MS, _HIGHEST_MS, _STEP_MS)
    best = (-1.0, 0.0, _EXPOSURES_MS[0])
    for exposure_ms in _EXPOSURES_MS:
        profile = _profile(pattern, t_us, signal, exposure_ms, coarse)
        at = int(np.argmax(profile))
        best = max(best, (float(profile[at]), float(coarse[at]), exposure_ms))
    explained, delay_ms, exposure_ms = best
    return _refined(pattern, t_us, signal, exposure_ms, delay_ms), exposure_ms, explained


def _refined(pattern: ShownPattern, t_us: Float, signal: Float, exposure_ms: float, near_ms: float) -> float:
    """Return the delay at the top of a parabola through the best of a fine grid and its neighbours."""
    fine = _grid(near_ms - 2 * _STEP_MS, near_ms + 2 * _STEP_MS, 0.25)
    profile = _profile(pattern, t_us, signal, exposure_ms, fine)
    at = int(np.clip(np.argmax(profile), 1, len(fine) - 2))
    left, top, right = profile[at - 1 : at + 2]
    bend = left - 2 * top + right
    shift = 0.5 * (left - right) / bend if bend < -1e-12 else 0.0
    return float(fine[at] + np.clip(shift, -1.0, 1.0) * 0.25)


def _pieces(
    pattern: ShownPattern, t_us: Float, signal: Float, exposure_ms: float, delay_ms: float
) -> list[tuple[float, float]]:
    """Measure the delay in each piece of the recording, near the delay of the whole."""
    start = t_us[0]
    n_pieces = max(1, int((t_us[-1] - start) / (_PIECE_S * 1e6)))
    edges = np.linspace(start, t_us[-1] + 1, n_pieces + 1)
    near = _grid(delay_ms - 30.0, delay_ms + 30.0, _STEP_MS)
    found: list[tuple[float, float]] = []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        inside = (t_us >= low) & (t_us < high)
        if inside.sum() < 20:
            continue
        profile = _profile(pattern, t_us[inside], signal[inside], exposure_ms, near)
        if profile.max() < MIN_EXPLAINED:
            continue
        best_ms = float(near[int(np.argmax(profile))])
        piece_ms = _refined(pattern, t_us[inside], signal[inside], exposure_ms, best_ms)
        found.append((float((low + high) / 2 - start) / 1e6, piece_ms))
    return found


def _drift(pieces: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the slope of the delay in ppm, and its standard error."""
    if len(pieces) < 3:
        return math.nan, math.nan
    t_s, delay_ms = np.array(pieces).T
    centred = t_s - t_s.mean()
    slope = float(centred @ delay_ms / (centred @ centred))
    residual = delay_ms - delay_ms.mean() - slope * centred
    error = math.sqrt(float(residual @ residual) / (len(pieces) - 2) / float(centred @ centred))
    # Milliseconds a second are thousands of ppm.
    return slope * 1e3, error * 1e3
