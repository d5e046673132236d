"""What a simulated tracker gets wrong about two eyes, and what a calibration takes back.

A tracker reads a raw direction off an eye. Raw directions are wrong by some
degrees, differently for each eye: an offset, a wrong gain, and a little curvature.
A calibration fits a correction to what the eyes did while they looked at targets
at known places, so it can be no better than the looking was. Afterwards the error
creeps back slowly. All numbers are invented, near what screen-based trackers show.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

EYES = ("left", "right")
#: Offset of an uncalibrated eye, degrees.
_OFFSET_DEG = 2.0
_OFFSET_SPREAD_DEG = 0.3
#: Error of gain and shear, share.
_GAIN_SD = 0.04
#: Curvature, per degree: about half a degree at the edge of a screen.
_CURVATURE_SD = 0.0012
#: How fast the error creeps back, degrees a minute; half a degree in ten minutes.
_DRIFT_DEG_PER_MINUTE = 0.05
#: Distinct targets that are needed for a correction of the gains, and of the curvature.
_POINTS_FOR_GAIN = 3
_POINTS_FOR_CURVATURE = 6
#: A small pull towards "no correction beyond the offset", so that targets on one line do no harm.
_RIDGE = 1e-3
_FORMAT = "emer-simulated-calibration-1"


@dataclass(frozen=True)
class RawError:
    """How raw directions of one eye differ from the truth.

    Parameters
    ----------
    offset_deg : ndarray of float64, shape (2,)
    gain : ndarray of float64, shape (2, 2)
        Added to the identity.
    curvature : ndarray of float64, shape (2, 3)
        Of x squared, x y and y squared, per degree.
    drift_deg_per_min : ndarray of float64, shape (2,)
        How fast a calibrated eye goes wrong again.
    """

    offset_deg: FloatArray
    gain: FloatArray
    curvature: FloatArray
    drift_deg_per_min: FloatArray

    @classmethod
    def draw(cls, rng: np.random.Generator) -> RawError:
        """Draw the error of one eye."""
        direction = rng.uniform(0, 2 * np.pi, 2)
        size = _OFFSET_DEG + _OFFSET_SPREAD_DEG * float(np.clip(rng.standard_normal(), -2, 2))
        creep = _DRIFT_DEG_PER_MINUTE * float(np.exp(0.3 * rng.standard_normal()))
        return cls(
            size * np.array([np.cos(direction[0]), np.sin(direction[0])]),
            _GAIN_SD * rng.standard_normal((2, 2)),
            _CURVATURE_SD * rng.standard_normal((2, 3)),
            creep * np.array([np.cos(direction[1]), np.sin(direction[1])]),
        )

    def apply(self, gaze_deg: FloatArray) -> FloatArray:
        """Return raw directions, shape (n, 2), of true ones."""
        return gaze_deg + self.offset_deg + gaze_deg @ self.gain.T + _squares(gaze_deg) @ self.curvature.T


@dataclass(frozen=True)
class Correction:
    """A fitted correction of one eye: a polynomial of the raw direction.

    Parameters
    ----------
    coefficients : ndarray of float64, shape (2, 6)
        For 1, x, y, x squared, x y and y squared.
    """

    coefficients: FloatArray

    def apply(self, raw_deg: FloatArray) -> FloatArray:
        """Return corrected directions, shape (n, 2)."""
        return np.asarray(_terms(raw_deg) @ self.coefficients.T)


def fit_correction(raw_deg: FloatArray, target_deg: FloatArray, n_targets: int) -> Correction:
    """Fit a correction to raw directions while the eye looked at targets.

    With fewer than three targets only the offset is fitted, with fewer than six no
    curvature: what was not looked at cannot be known.

    Parameters
    ----------
    raw_deg, target_deg : ndarray of float64, shape (n, 2)
        One row a sample; n at least 1.
    n_targets : int
        Distinct targets among them.
    """
    n_terms = 1 if n_targets < _POINTS_FOR_GAIN else 3 if n_targets < _POINTS_FOR_CURVATURE else 6
    terms = _terms(raw_deg)[:, :n_terms]
    # Ridge on what differs from the identity, so that few or aligned targets extrapolate tamely.
    residual = target_deg - raw_deg
    penalty = _RIDGE * len(raw_deg) * np.eye(n_terms)
    penalty[0, 0] = 0.0
    solved = np.linalg.solve(terms.T @ terms + penalty, terms.T @ residual)
    coefficients = np.zeros((2, 6))
    coefficients[:, :n_terms] = solved.T
    coefficients[0, 1] += 1.0
    coefficients[1, 2] += 1.0
    return Correction(coefficients)


@dataclass(frozen=True)
class SimulatedCalibration:
    """The calibration that a simulated tracker uses.

    Parameters
    ----------
    left, right : Correction or None
        None for an eye that is not calibrated.
    t_us : int
        Host time from which on its error creeps back.
    """

    left: Correction | None = None
    right: Correction | None = None
    t_us: int = 0

    def of(self, side: int) -> Correction | None:
        """Return the correction of the left (0) or right (1) eye."""
        return self.right if side else self.left

    def to_bytes(self) -> bytes:
        """Return it as bytes that :meth:`from_bytes` reads."""
        eyes = {
            eye: None if found is None else found.coefficients.tolist()
            for eye, found in zip(EYES, (self.left, self.right), strict=True)
        }
        return json.dumps({"format": _FORMAT, **eyes}).encode()

    @classmethod
    def from_bytes(cls, data: bytes, t_us: int) -> SimulatedCalibration:
        """Read a stored calibration; its drift begins anew at `t_us`.

        Raises
        ------
        ValueError
            If the bytes are no calibration of a simulated tracker.
        """
        stored = json.loads(data)
        if not isinstance(stored, dict) or stored.get("format") != _FORMAT:
            raise ValueError("another format")
        corrections = []
        for eye in EYES:
            coefficients = stored[eye]
            found = None if coefficients is None else np.array(coefficients, dtype=np.float64)
            if found is not None and found.shape != (2, 6):
                raise ValueError("another shape")
            corrections.append(None if found is None else Correction(found))
        return cls(corrections[0], corrections[1], t_us)


def _squares(gaze_deg: FloatArray) -> FloatArray:
    x, y = gaze_deg[:, 0], gaze_deg[:, 1]
    return np.column_stack((x * x, x * y, y * y))


def _terms(gaze_deg: FloatArray) -> FloatArray:
    return np.column_stack((np.ones(len(gaze_deg)), gaze_deg, _squares(gaze_deg)))
