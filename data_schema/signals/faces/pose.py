"""Where a head is turned, estimated from the five points of its face.

The five points are matched with those of a mean head before a camera that is a usual
distance away: the rotation and the scale with the least squared distance in the
picture, by Gauss-Newton from the closed-form start of POS. The corners of the mouth count a tenth:
a smile lifts them, and with full weight it reads as 14 degrees of bending down (3 with
a tenth; measured on a real face that smiles without moving). The angles belong to a mean
head; a longer nose than its own shifts pitch by a constant, so changes within a person
mean more than differences between people.

References
----------
DeMenthon & Davis (1995), "Model-based object pose in 25 lines of code", International
Journal of Computer Vision 15: POS, the scaled orthographic start, and POSIT.
Dodgson (2004), "Variation and extrema of human interpupillary distance", SPIE 5291:
63 mm on average.
"""

from __future__ import annotations

import numpy as np

from data_schema.signals.gaze import Float

#: A mean head's five points in millimetres: x to the viewer's right, y down, z away from the viewer.
#: The distance of the eyes is Dodgson's (2004) mean; the rest keeps the proportions of the canonical face of
#: MediaPipe's face geometry module (Apache-2.0), rounded to whole millimetres.
HEAD_POINTS_MM: Float = np.array(
    [[-31.5, 0.0, 0.0], [31.5, 0.0, 0.0], [0.0, 38.0, -38.0], [-25.0, 70.0, -8.0], [25.0, 70.0, -8.0]]
)
#: How much each point counts; the mouth moves with expressions (see above).
_WEIGHTS: Float = np.array([1.0, 1.0, 1.0, 0.1, 0.1])
_ROOTS: Float = np.sqrt(_WEIGHTS)[:, None]
_SHARES: Float = _WEIGHTS / _WEIGHTS.sum()
_CENTRED = HEAD_POINTS_MM - _SHARES @ HEAD_POINTS_MM
_INVERSE = np.linalg.pinv(_ROOTS * _CENTRED)
#: How far a participant sits from the camera: usual with remote eye trackers; 450 or 900 instead shift angles by 1 to 2 degrees.
_DISTANCE_MM = 650.0
_STEPS = 10
#: Beyond it five points that are all visible are no face seen from the front or the side.
_MAX_ANGLE_DEG = 100.0


def head_rotation(yaw_deg: float, pitch_deg: float, roll_deg: float) -> Float:
    """Return the rotation matrix of a head, shape (3, 3), in the axes of :data:`HEAD_POINTS_MM`.

    Parameters
    ----------
    yaw_deg : float
        Degrees; positive: the face turns to the viewer's right.
    pitch_deg : float
        Degrees; positive: the face turns up.
    roll_deg : float
        Degrees; positive: the head leans clockwise in the picture.
    """
    y, x, z = np.radians([-yaw_deg, -pitch_deg, roll_deg])
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x, dtype=np.float64)


def head_pose(points_px: Float) -> tuple[float, float, float]:
    """Estimate yaw, pitch and roll of a head, relative to the camera.

    Against rotations of :data:`HEAD_POINTS_MM` seen by a camera at 600 mm, without noise, the error is at most 1.1 degrees
    of yaw, 2.3 of pitch and 1.1 of roll for yaw up to 30 and pitch up to 20 degrees, and at most 1.7, 3.7 and 3.3 up to 60 and
    30; a pixel of noise at eyes 105 px apart adds 1.2, 1.2 and 0.6 degrees (standard deviations). tests/data_schema/signals/faces
    holds these.

    Parameters
    ----------
    points_px : ndarray of float64, shape (5, 2)

    Returns
    -------
    yaw_deg, pitch_deg, roll_deg : float
        Signs as in :func:`head_rotation`; NaN where the points span no face.
    """
    seen = np.asarray(points_px, dtype=np.float64)
    seen = seen - _SHARES @ seen
    spread = float(np.abs(seen).max()) if np.isfinite(seen).all() else 0.0
    if spread <= 0:
        return float("nan"), float("nan"), float("nan")
    seen = seen / spread
    rotation, scale = _start(seen)
    for _ in range(_STEPS):
        turned = _CENTRED @ rotation.T
        # What is nearer to the camera looks larger; taken as fixed within a step (POSIT).
        nearness = 1.0 / (1.0 + turned[:, 2:] / _DISTANCE_MM)
        rest = _ROOTS * (seen - scale * _middled(turned[:, :2] * nearness))
        # Derivatives of the turned points by a small turn about each axis, and by the scale.
        zero = np.zeros(len(turned))
        by_x = scale * np.stack([zero, -turned[:, 2]], axis=1)
        by_y = scale * np.stack([turned[:, 2], zero], axis=1)
        by_z = scale * np.stack([-turned[:, 1], turned[:, 0]], axis=1)
        parts = (_middled(part * nearness) for part in (by_x, by_y, by_z, turned[:, :2]))
        jacobian = np.stack([(_ROOTS * part).ravel() for part in parts], axis=1)
        step = np.asarray(np.linalg.lstsq(jacobian, rest.ravel(), rcond=None)[0], dtype=np.float64)
        length = float(np.linalg.norm(step[:3]))
        if length > 0.5:  # radians: a step is trusted this far
            step = step * (0.5 / length)
        rotation = _turn(step[:3]) @ rotation
        scale = max(scale + float(step[3]), 1e-6)
        if length < 1e-4:
            break
    return _angles(rotation)


def _middled(points: Float) -> Float:
    """Take the weighted mean off points of shape (5, 2)."""
    return np.asarray(points - _SHARES @ points, dtype=np.float64)


def _start(seen: Float) -> tuple[Float, float]:
    """Return the scaled rotation nearest to the affine fit."""
    affine = (_INVERSE @ (_ROOTS * seen)).T
    u, sizes, v = np.linalg.svd(affine, full_matrices=False)
    first, second = u @ v
    return np.stack([first, second, np.cross(first, second)]), max(float(sizes.mean()), 1e-6)


def _turn(vector: Float) -> Float:
    """Return the matrix that turns about a vector by its length in radians (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    if angle == 0:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross, dtype=np.float64)


def _angles(rotation: Float) -> tuple[float, float, float]:
    yaw = float(np.degrees(np.arcsin(np.clip(rotation[2, 0], -1, 1))))
    pitch = -float(np.degrees(np.arctan2(rotation[2, 1], rotation[2, 2])))
    roll = float(np.degrees(np.arctan2(rotation[1, 0], rotation[0, 0])))
    if not all(abs(angle) < _MAX_ANGLE_DEG for angle in (yaw, pitch)):
        return float("nan"), float("nan"), float("nan")
    return yaw, pitch, roll
