"""Faces: find one, follow it, bring it to 112x112, say how well it can be seen.

Pure functions over pictures. Detection runs sparsely, the five points (eyes, nose, corners of the mouth) follow the optical
flow in between; a frame without a face is recorded as such, never filled.
"""

from __future__ import annotations

from data_schema.signals.faces.alignment import (
    ARCFACE_POINTS_PX,
    CROP_PX,
    align_face,
    align_grey,
    crop_transform,
    similarity_transform,
)
from data_schema.signals.faces.analysis import (
    FACE_FRAME_DTYPE,
    FACES_VERSION,
    ClipFaces,
    FaceFrame,
    FaceSummary,
    clip_faces,
    face_stream,
    summarise_faces,
)
from data_schema.signals.faces.covering import blur_faces, cover_video, rows_around
from data_schema.signals.faces.detectors import (
    DETECTOR_NAMES,
    Face,
    FaceDetector,
    MediapipeDetector,
    MtcnnDetector,
    YunetDetector,
    describe_detector,
    detector_version,
    make_detector,
)
from data_schema.signals.faces.light import LIGHT_METHODS, normalise_light
from data_schema.signals.faces.pictures import AnyPicture, ArrayPicture, Image, Picture, as_picture, shrink
from data_schema.signals.faces.pose import head_pose, head_rotation
from data_schema.signals.faces.quality import FaceQuality, measure_quality
from data_schema.signals.faces.tracking import FaceTracker, TrackedFace, TrackingParameters

__all__ = [
    "ARCFACE_POINTS_PX",
    "CROP_PX",
    "DETECTOR_NAMES",
    "FACES_VERSION",
    "FACE_FRAME_DTYPE",
    "LIGHT_METHODS",
    "AnyPicture",
    "ArrayPicture",
    "ClipFaces",
    "Face",
    "FaceDetector",
    "FaceFrame",
    "FaceQuality",
    "FaceSummary",
    "FaceTracker",
    "Image",
    "MediapipeDetector",
    "MtcnnDetector",
    "Picture",
    "TrackedFace",
    "TrackingParameters",
    "YunetDetector",
    "align_face",
    "align_grey",
    "as_picture",
    "blur_faces",
    "clip_faces",
    "cover_video",
    "crop_transform",
    "describe_detector",
    "detector_version",
    "face_stream",
    "head_pose",
    "head_rotation",
    "make_detector",
    "measure_quality",
    "normalise_light",
    "rows_around",
    "shrink",
    "similarity_transform",
    "summarise_faces",
]
