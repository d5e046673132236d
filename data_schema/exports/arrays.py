"""The arrays of a clip, declared once: what they hold, and what their axes are.

The exporter writes the declaration as attributes of each dataset, so that a shard
can be understood without the rest of its export; the reference page shows it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from data_schema.signals.features import EYE_FEATURES, FIXATION_FEATURES, SUMMARY_FEATURES, EyeFeature


@dataclass(frozen=True)
class ArrayDeclaration:
    """One dataset of a shard.

    Parameters
    ----------
    name : str
        Name of the dataset.
    dtype : str
    axes : tuple of str
        Names of the axes, the clip first.
    meaning : str
    features : tuple of EyeFeature
        What lies along the last axis; empty where that axis is no list of features.
    since : tuple of int
        First format of the export that has it.
    """

    name: str
    dtype: str
    axes: tuple[str, ...]
    meaning: str
    features: tuple[EyeFeature, ...] = ()
    since: tuple[int, int] = (1, 0)

    def attributes(self) -> dict[str, str]:
        """Return the attributes of the dataset: ``meaning``, and as JSON ``axes`` and, if any, ``features``."""
        texts = {"meaning": self.meaning, "axes": json.dumps(list(self.axes))}
        if self.features:
            texts["features"] = json.dumps([asdict(feature) for feature in self.features])
        return texts


_GAZE_POINT = (
    EyeFeature("x_norm", "share of screen width", "Mean horizontal gaze of the chunk, 0 at the left edge."),
    EyeFeature("y_norm", "share of screen height", "Mean vertical gaze of the chunk, 0 at the top edge."),
)

#: What is known of each face crop; names as in the rows of derived faces.
FACE_QUALITY: tuple[EyeFeature, ...] = (
    EyeFeature("time_s", "s", "Time of the frame after the start of the clip."),
    EyeFeature("confidence", "share", "The detector's confidence when it last found this face."),
    EyeFeature("size_px", "px", "Distance of the eyes in the camera's picture."),
    EyeFeature("yaw_deg", "deg", "Turn of the head, positive to the viewer's right, relative to the camera."),
    EyeFeature("pitch_deg", "deg", "Nod of the head, positive upwards, relative to the camera."),
    EyeFeature("roll_deg", "deg", "Lean of the head, positive clockwise in the picture."),
    EyeFeature("sharpness", "grey levels squared", "Variance of the Laplacian of the aligned face."),
    EyeFeature("brightness", "share", "Mean luma of the face, 0 to 1."),
    EyeFeature("contrast", "share", "Standard deviation of the face's luma."),
)

#: All arrays of a shard, in order.
ARRAYS: tuple[ArrayDeclaration, ...] = (
    ArrayDeclaration(
        "faces",
        "uint8",
        ("clip", "time", "y", "x", "colour"),
        "Face crops, RGB, 0 to 255, at the middles of equal parts of the clip; 0 where there is no face.",
    ),
    ArrayDeclaration("face_mask", "bool", ("clip", "time"), "True where a face was found."),
    ArrayDeclaration(
        "face_quality",
        "float32",
        ("clip", "time", "feature"),
        "How well each face was seen; 0 where there is no face.",
        FACE_QUALITY,
        since=(1, 2),
    ),
    ArrayDeclaration(
        "eye",
        "float32",
        ("clip", "chunk", "feature"),
        "Eye features over equal chunks of the clip's time; 0 where masked.",
        EYE_FEATURES,
    ),
    ArrayDeclaration(
        "eye_mask", "bool", ("clip", "chunk", "feature"), "True where the feature was measured.", EYE_FEATURES
    ),
    ArrayDeclaration(
        "fixations",
        "float32",
        ("clip", "fixation", "feature"),
        "Fixations in order of time, from the clip's start; 0 where masked.",
        FIXATION_FEATURES,
    ),
    ArrayDeclaration("fixation_mask", "bool", ("clip", "fixation"), "True where there is a fixation."),
    ArrayDeclaration(
        "fixation_map",
        "float32",
        ("clip", "y", "x"),
        "Where the eyes rested on the screen, weighted by duration, Gaussian; row 0 at the top; sums to 1, or all 0 "
        "without fixations.",
    ),
    ArrayDeclaration("gaze_points", "float32", ("clip", "chunk", "feature"), "Mean gaze of each chunk.", _GAZE_POINT),
    ArrayDeclaration("gaze_points_mask", "bool", ("clip", "chunk"), "True where there was gaze."),
    ArrayDeclaration(
        "summary",
        "float32",
        ("clip", "feature"),
        "Summary features of the clip, with what refers to the whole session over the exported clips of it; 0 where masked.",
        SUMMARY_FEATURES,
        since=(1, 2),
    ),
    ArrayDeclaration(
        "summary_mask",
        "bool",
        ("clip", "feature"),
        "True where the feature was measured.",
        SUMMARY_FEATURES,
        since=(1, 2),
    ),
)
ARRAY_NAMES: tuple[str, ...] = tuple(array.name for array in ARRAYS)

#: What takes the place of ``faces`` where ``[export] faces`` is ``jpeg``.
FACES_JPEG = ArrayDeclaration(
    "faces_jpeg",
    "uint8",
    ("byte",),
    "Face crops as JPEG files, one after the other, those of a clip together; nothing where there is no face.",
    since=(1, 2),
)
FACES_JPEG_ENDS = ArrayDeclaration(
    "faces_jpeg_ends",
    "int64",
    ("clip", "time"),
    "Where in faces_jpeg each crop ends and the next one begins, byte.",
    since=(1, 2),
)

#: The dataset that names the clip of each row.
CLIP_ID = ArrayDeclaration("clip_id", "ASCII text", ("clip",), "The clip of each row, as in clips.parquet.")
