"""Follow one person's face through frames: detect now and then, follow the points in between.

Detection is the expensive part, so it runs sparsely; between detections the five
points follow the optical flow. One face is followed, the largest at the start and
from then on the one that continues it in place and size: somebody who walks through
the picture, or is found while the participant looks away, is not taken for them.
Nobody is recognised: another person of the same size in the same place is followed.

References
----------
Bouguet (2001), "Pyramidal implementation of the affine Lucas Kanade feature
tracker", Intel.
Kalal et al. (2010), "Forward-backward error: automatic detection of tracking
failures", ICPR.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from data_schema.signals.faces.alignment import similarity_transform
from data_schema.signals.faces.detectors import Face, FaceDetector
from data_schema.signals.faces.pictures import AnyPicture, Image, as_picture
from data_schema.signals.gaze import Bool, Float


@dataclass(frozen=True)
class TrackingParameters:
    """When to detect, when to believe the optical flow, and which face continues the last.

    All are our choice, tried on clips in which the face turns and leaves.

    Parameters
    ----------
    redetect_s : float
        Longest time between two detections.
    coast_s : float
        A face that the detector misses is followed for this long after it was last found.
    width_px : int
        Width of the picture in which points are followed.
    max_return_px : float
        Points followed forth and back must come home this close, in that picture.
    max_deformation : float
        Residual of the best similarity transform, share of the distance between the eyes.
    min_likeness : float
        Correlation with the face as it was last detected, below which a followed face is lost.
    max_step_sides : float
        A detected face continues the last one if it lies within this many sides of its box.
    max_speed_sides_s : float
        That distance grows so much for each second since the face was last seen.
    max_growth : float
        A face that many times larger or smaller than it was is another one.
    """

    redetect_s: float = 0.7
    coast_s: float = 1.4
    width_px: int = 320
    max_return_px: float = 1.0
    max_deformation: float = 0.12
    min_likeness: float = 0.4
    max_step_sides: float = 0.6
    max_speed_sides_s: float = 1.5
    max_growth: float = 1.6


@dataclass(frozen=True)
class TrackedFace:
    """The followed face in one frame.

    Parameters
    ----------
    points_px : ndarray of float64, shape (5, 2)
        Eyes (the viewer's left one first), nose, corners of the mouth.
    box_px : tuple of float
        x, y, width, height.
    confidence : float
        The detector's, when it last found this face.
    detected : bool
        True if the detector found it in this frame, False if it was followed.
    """

    points_px: Float
    box_px: tuple[float, float, float, float]
    confidence: float
    detected: bool


class FaceTracker:
    """Follow one participant's face through frames in the order of time.

    Parameters
    ----------
    detector : FaceDetector
    parameters : TrackingParameters, optional

    Attributes
    ----------
    n_detections : int
        Times the detector was asked.
    n_faces : int
        Faces that the detector saw when it was last asked, the followed one included.
    """

    def __init__(self, detector: FaceDetector, parameters: TrackingParameters | None = None) -> None:
        self.detector = detector
        self.parameters = parameters or TrackingParameters()
        self.n_detections = 0
        self.reset()

    def reset(self) -> None:
        """Forget the face, for a new clip."""
        self.n_faces = 0
        self._face: TrackedFace | None = None
        self._grey: Image | None = None
        self._patch: Float | None = None
        self._t_found_us = 0
        self._last: TrackedFace | None = None
        self._t_last_us = 0
        self._sides: deque[float] = deque(maxlen=15)

    def update(self, picture: AnyPicture, t_us: int) -> TrackedFace | None:
        """Return the face in this frame, or None if there is none.

        Parameters
        ----------
        picture : Picture or ndarray of uint8, shape (height, width, 3)
            RGB.
        t_us : int
            Capture time, later than the one before.

        Returns
        -------
        TrackedFace or None
            In pixels of the picture.
        """
        seen = as_picture(picture)
        grey = seen.grey(self.parameters.width_px)
        scale = np.array([grey.shape[1] / seen.width_px, grey.shape[0] / seen.height_px])
        age_s = (t_us - self._t_found_us) / 1e6
        face: TrackedFace | None = None
        if self._face is not None and age_s < self.parameters.redetect_s:
            face = self._follow(grey, scale)
        if face is None:
            face = self._choose(self._detect(seen), t_us)
            if face is not None:
                self._t_found_us = t_us
                self._sides.append(_side(face.box_px))
                self._patch = _patch(grey, face.points_px, scale)
            elif self._face is not None and age_s < self.parameters.coast_s:
                face = self._follow(grey, scale)
        self._face, self._grey = face, grey
        if face is not None:
            self._last, self._t_last_us = face, t_us
        return face

    def _detect(self, picture: AnyPicture) -> list[Face]:
        seen = as_picture(picture)
        image = seen.rgb(self.detector.width_px)
        scale = np.array([seen.width_px / image.shape[1], seen.height_px / image.shape[0]])
        self.n_detections += 1
        faces = []
        for face in self.detector.detect(image):
            x, y, width, height = face.box_px
            box = (x * scale[0], y * scale[1], width * scale[0], height * scale[1])
            faces.append(Face(box, face.confidence, (face.points_px + 0.5) * scale - 0.5))
        self.n_faces = len(faces)
        return faces

    def _choose(self, faces: list[Face], t_us: int) -> TrackedFace | None:
        """Return the face that continues the last one; the largest if there was none."""
        if not faces:
            return None
        chosen: Face | None = max(faces, key=lambda face: _side(face.box_px))
        if self._last is not None:
            settings = self.parameters
            lost_s = max(0.0, (t_us - self._t_last_us) / 1e6)
            side = float(np.median(self._sides))
            reach = side * (settings.max_step_sides + settings.max_speed_sides_s * lost_s)
            place = _centre(self._last.box_px)
            near = []
            for face in faces:
                distance = float(np.linalg.norm(_centre(face.box_px) - place))
                growth = _side(face.box_px) / side if side > 0 else 1.0
                if distance <= reach and 1 / settings.max_growth <= growth <= settings.max_growth:
                    near.append((distance / reach + abs(float(np.log(growth))), face))
            chosen = min(near, key=lambda one: one[0])[1] if near else None
        if chosen is None:
            return None
        return TrackedFace(chosen.points_px, chosen.box_px, chosen.confidence, True)

    def _follow(self, grey: Image, scale: Float) -> TrackedFace | None:
        last = self._face
        if last is None or self._grey is None or self._grey.shape != grey.shape:
            return None
        before = ((last.points_px + 0.5) * scale - 0.5).astype(np.float32).reshape(-1, 1, 2)
        after, found = _flow(self._grey, grey, before)
        home, returned = _flow(grey, self._grey, after)
        if not (found.all() and returned.all()):
            return None
        if np.abs(home - before).max() > self.parameters.max_return_px:
            return None
        old = before.reshape(-1, 2).astype(np.float64)
        new = after.reshape(-1, 2).astype(np.float64)
        height, width = grey.shape
        if (new < 0).any() or (new[:, 0] >= width).any() or (new[:, 1] >= height).any():
            return None
        matrix = similarity_transform(old, new)
        moved = old @ matrix[:, :2].T + matrix[:, 2]
        eyes = float(np.linalg.norm(new[1] - new[0]))
        if np.sqrt(((moved - new) ** 2).sum(axis=1).mean()) > self.parameters.max_deformation * eyes:
            return None
        points = (new + 0.5) / scale - 0.5
        if (
            self._patch is not None
            and _likeness(_patch(grey, points, scale), self._patch) < self.parameters.min_likeness
        ):
            return None
        return TrackedFace(points, _moved_box(last, points), last.confidence, False)


def _flow(first: Image, second: Image, points: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], Bool]:
    """Follow points (n, 1, 2) by pyramidal Lucas-Kanade; also tell which were found."""
    guess = np.zeros_like(points)
    moved, found, _ = cv2.calcOpticalFlowPyrLK(first, second, points, guess, winSize=(21, 21), maxLevel=3)
    return np.asarray(moved, dtype=np.float32), np.asarray(found, dtype=np.bool_)


#: Where the five points lie in the patch of 24 px that tells whether the followed face is still one.
_PATCH_PX = 24
_PATCH_POINTS: Float = np.array([[6.5, 8.0], [17.5, 8.0], [12.0, 13.0], [7.5, 18.0], [16.5, 18.0]])


def _patch(grey: Image, points_px: Float, scale: Float) -> Float:
    """Return the face's luma in 24x24 px, with mean 0 and length 1 (0 where it has no contrast)."""
    matrix = similarity_transform((points_px + 0.5) * scale - 0.5, _PATCH_POINTS)
    crop = cv2.warpAffine(grey, matrix, (_PATCH_PX, _PATCH_PX), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    levels = crop.astype(np.float64) - crop.mean()
    length = float(np.linalg.norm(levels))
    return np.asarray(levels / length if length > 0 else levels * 0.0, dtype=np.float64)


def _likeness(first: Float, second: Float) -> float:
    return float((first * second).sum())


def _side(box_px: tuple[float, float, float, float]) -> float:
    return float(np.sqrt(max(box_px[2], 0.0) * max(box_px[3], 0.0)))


def _centre(box_px: tuple[float, float, float, float]) -> Float:
    return np.array([box_px[0] + box_px[2] / 2.0, box_px[1] + box_px[3] / 2.0])


def _moved_box(last: TrackedFace, points_px: Float) -> tuple[float, float, float, float]:
    matrix = similarity_transform(last.points_px, points_px)
    growth = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    x, y = (matrix[:, :2] @ _centre(last.box_px) + matrix[:, 2]).tolist()
    width, height = last.box_px[2] * growth, last.box_px[3] * growth
    return x - width / 2.0, y - height / 2.0, width, height
