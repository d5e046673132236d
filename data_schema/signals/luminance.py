"""The light of the stimulus, and what it does to the pupil."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_schema.signals.gaze import Float, Int


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
