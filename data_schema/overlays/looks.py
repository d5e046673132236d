"""Where somebody looked during one clip, in the coordinates and the time of the stimulus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_schema.session.layout import FLIPS
from data_schema.session.reader import Session
from data_schema.signals.coordinates import Box, screen_to_stimulus, sigma_on_stimulus, stimulus_box_norm
from data_schema.signals.eye_signals import EyeSignals
from data_schema.signals.gaze import Float, Int, ScreenGeometry


@dataclass(frozen=True)
class Looks:
    """Gaze and fixations of a clip on its stimulus.

    Parameters
    ----------
    clip_id : str
    t_us : ndarray of int64, shape (n,)
        Time inside the stimulus of each gaze sample, microseconds; may be negative before its first frame.
    gaze_norm : ndarray of float64, shape (n, 2)
        Share of the stimulus' width and height; NaN where lost, outside 0 to 1 beside the stimulus.
    fixation_us : ndarray of int64, shape (m, 2)
        Start and end of the fixations, cut to the clip, in the time of the stimulus.
    fixation_norm : ndarray of float64, shape (m, 2)
    sigma_norm : tuple of float
        Width of the Gaussian of a fixation, shares of the stimulus.
    """

    clip_id: str
    t_us: Int
    gaze_norm: Float
    fixation_us: Int
    fixation_norm: Float
    sigma_norm: tuple[float, float]


class StimulusClock:
    """From the host clock to the time inside a stimulus, by the flips that showed it.

    Without flips, as in an imported recording, the stimulus is taken to have played evenly from the trial's onset.

    Parameters
    ----------
    t_flip_us, clip_time_us : ndarray of int64, shape (k,)
        Flips of one trial, as stored.
    t_onset_us : int
        Onset of the trial.
    """

    def __init__(self, t_flip_us: Int, clip_time_us: Int, t_onset_us: int) -> None:
        order = np.argsort(t_flip_us, kind="stable")
        # The first flip of each frame: later ones repeat it until the next frame comes.
        clip_time, first = np.unique(np.asarray(clip_time_us)[order], return_index=True)
        flip = np.asarray(t_flip_us)[order][first]
        rising = np.diff(np.maximum.accumulate(flip), prepend=np.iinfo(np.int64).min // 2) > 0
        clip_time, flip = clip_time[rising], flip[rising]
        if len(flip) < 2:
            clip_time, flip = np.array([0, 1_000_000]), np.array([t_onset_us, t_onset_us + 1_000_000])
        self._clip, self._flip = clip_time.astype(np.float64), flip.astype(np.float64)

    def stimulus_us(self, t_us: Int) -> Int:
        """Return the time inside the stimulus at times of the host clock, shape (n,); outside the flips it runs on evenly."""
        t = np.asarray(t_us, dtype=np.float64)
        inside = np.interp(t, self._flip, self._clip)
        before = self._clip[0] - (self._flip[0] - t)
        after = self._clip[-1] + (t - self._flip[-1])
        whole = np.where(t < self._flip[0], before, np.where(t > self._flip[-1], after, inside))
        return np.round(whole).astype(np.int64)


def stimulus_clock(session: Session, trial_id: int, t_onset_us: int, t_offset_us: int) -> StimulusClock:
    """Return the clock of a trial's stimulus."""
    rows = session.table(FLIPS).between(t_onset_us, t_offset_us + 1)
    rows = rows[rows["trial_id"] == trial_id]
    return StimulusClock(rows["t_flip_us"].astype(np.int64), rows["clip_time_us"].astype(np.int64), t_onset_us)


def looks_of(
    clip_id: str,
    eye: EyeSignals,
    span_us: tuple[int, int],
    clock: StimulusClock,
    screen: ScreenGeometry,
    stimulus_px: tuple[int, int],
    sigma_deg: float,
) -> Looks:
    """Bring a clip's eye signals onto its stimulus.

    Parameters
    ----------
    clip_id : str
    eye : EyeSignals
        May reach beyond the clip.
    span_us : tuple of int
        Start and end of the clip on the host clock.
    clock : StimulusClock
    screen : ScreenGeometry
    stimulus_px : tuple of int
        Width and height as seen.
    sigma_deg : float
        Width of a fixation's Gaussian, degrees of visual angle.
    """
    box: Box = stimulus_box_norm((screen.width_px, screen.height_px), stimulus_px)
    inside = (eye.gaze.t_us >= span_us[0]) & (eye.gaze.t_us < span_us[1])
    found = eye.movements.fixations
    start = np.maximum(found["t_start_us"], span_us[0])
    end = np.minimum(found["t_end_us"], span_us[1])
    kept = (end > start) & np.isfinite(found["x_norm"]) & np.isfinite(found["y_norm"])
    places = np.stack([found["x_norm"][kept], found["y_norm"][kept]], axis=1)
    times = np.stack([clock.stimulus_us(start[kept]), clock.stimulus_us(end[kept])], axis=1)
    return Looks(
        clip_id,
        clock.stimulus_us(eye.gaze.t_us[inside]),
        screen_to_stimulus(eye.gaze.gaze_norm[inside], box),
        times.reshape(-1, 2),
        screen_to_stimulus(places.reshape(-1, 2), box),
        sigma_on_stimulus(screen.deg_to_norm(sigma_deg), box),
    )
