"""What is published of derived data: summary features of clips, landmarks of faces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from data_schema.derived import ClipSpan, DerivedStore, DeriveTask, SessionDeriver, derive_tasks
from data_schema.exports.columns import Column
from data_schema.publishing.consent import FACE_LEVELS
from data_schema.session.reader import open_session
from data_schema.signals.eye_signals import EyeSignals
from data_schema.signals.features import (
    SUMMARY_FEATURE_NAMES,
    SUMMARY_FEATURES,
    PupilBaseline,
    complete_session,
    summary_features,
)

if TYPE_CHECKING:
    import pandas as pd

    from data_schema.publishing.publication import Publication
    from data_schema.study.folder import StudyFolder

#: Rows of FACE_FRAME_DTYPE.
FaceRows = npt.NDArray[np.void]

#: ``Publication.features``: one row an included clip.
FEATURE_COLUMNS: tuple[Column, ...] = (
    Column("clip_id", "text", "", "Name of the clip."),
    *(Column(feature.name, "float32", feature.unit, feature.definition) for feature in SUMMARY_FEATURES),
)
_SIDE = ", as one looks at the picture"
_AXES = {"x": "to the right of the picture's left edge", "y": "downwards from the picture's upper edge"}
_POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
#: ``PublishedSession.landmarks()``: one row an analysed camera frame. Left and right are the viewer's.
LANDMARK_COLUMNS: tuple[Column, ...] = (
    Column("clip_id", "text", "", "Name of the clip."),
    Column("t_s", "float64", "s", "Time of the camera frame, since the recording's origin."),
    Column("found", "bool", "", "True if the participant's face is in the frame."),
    Column("confidence", "float32", "share", "The detector's, when it last found this face; missing without a face."),
    *(
        Column(
            f"{point}_{axis}",
            "float32",
            "px",
            f"Place of the {point.replace('_', ' ')}{_SIDE if '_' in point else ''}, {_AXES[axis]}.",
        )
        for point in _POINTS
        for axis in "xy"
    ),
    Column("size_px", "float32", "px", "Distance of the eyes."),
    Column("yaw_deg", "float32", "deg", "Turn of the head, positive to the viewer's right."),
    Column("pitch_deg", "float32", "deg", "Positive: turned up."),
    Column("roll_deg", "float32", "deg", "Positive: leaning clockwise in the picture."),
)


def published_features(publication: Publication) -> pd.DataFrame:
    """Compute the summary features of all included clips of a publication; NaN where one could not be measured.

    Features of face and head are missing where nothing of the face may leave.
    """
    import pandas as pd

    index = publication.index
    parts = []
    for recording in publication.recordings:
        own = index[index["clip_id"].isin(list(recording.clip_ids.values()))]
        published = {own_name: name for name, own_name in recording.clip_ids.items()}
        included = dict(zip(own["clip_id"], own["included"], strict=True))
        with_faces = FACE_LEVELS.index(recording.faces) >= FACE_LEVELS.index("features")
        for task in derive_tasks(publication.study, own).values():
            rows = [
                (span.clip_id, *summary_features(eye, faces, (span.t_start_us, span.t_end_us), baseline))
                for span, eye, faces, baseline in _derived(task, with_faces)
            ]
            values, mask = complete_session(np.stack([row[1] for row in rows]), np.stack([row[2] for row in rows]))
            table = pd.DataFrame(np.where(mask, values, np.float32(np.nan)), columns=list(SUMMARY_FEATURE_NAMES))
            table.insert(0, "clip_id", [published[row[0]] for row in rows])
            parts.append(table[[included[row[0]] for row in rows]])
    names = [column.name for column in FEATURE_COLUMNS]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=names)
    ordered: pd.DataFrame = table.reindex(columns=names).sort_values("clip_id", ignore_index=True)
    return ordered


def _derived(
    task: DeriveTask, with_faces: bool
) -> Iterator[tuple[ClipSpan, EyeSignals, FaceRows | None, PupilBaseline]]:
    """Yield each clip of a session with its eye signals, its analysed frames (if they are wanted) and its pupil baseline."""
    with open_session(Path(task.session_path)) as session:
        with DerivedStore(Path(task.target), task.session_sha256) as store:
            deriver = SessionDeriver(session, task.settings, store)
            try:
                for span in task.clips:
                    if with_faces:
                        clip = deriver.clip(span)
                        yield span, clip.eye, clip.faces, clip.baseline
                    else:
                        eye, baseline = deriver.eye(span)
                        yield span, eye, None, baseline
            finally:
                deriver.close()


def face_rows(study: StudyFolder, clips: pd.DataFrame) -> dict[str, FaceRows]:
    """Return the analysed camera frames of each clip of one session file, by the study's name of the clip.

    Parameters
    ----------
    study : StudyFolder
    clips : DataFrame
        Rows of the clip index, of one file.

    Returns
    -------
    dict of str to ndarray of FACE_FRAME_DTYPE
    """
    found = {}
    for task in derive_tasks(study, clips).values():
        for span, _, faces, _ in _derived(task, True):
            if faces is not None:
                found[span.clip_id] = faces
    return found


def landmark_table(rows: dict[str, FaceRows], names: dict[str, str], origin_us: int) -> pd.DataFrame:
    """Bring analysed frames into a table under published names.

    Parameters
    ----------
    rows : dict
        From :func:`face_rows`.
    names : dict of str to str
        Published names by the study's.
    origin_us : int
        Host time from which times count.
    """
    import pandas as pd

    parts = []
    for own, faces in sorted(rows.items()):
        columns: dict[str, Any] = {
            "clip_id": [names[own]] * len(faces),
            "t_s": (faces["t_us"].astype(np.int64) - origin_us) / 1e6,
        }
        columns["found"] = faces["found"]
        for place, point in enumerate(_POINTS):
            for at, axis in enumerate("xy"):
                columns[f"{point}_{axis}"] = faces["points_px"][:, place, at]
        for name in ("confidence", "size_px", "yaw_deg", "pitch_deg", "roll_deg"):
            columns[name] = faces[name]
        parts.append(pd.DataFrame(columns))
    wanted = [column.name for column in LANDMARK_COLUMNS]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=wanted)
    ordered: pd.DataFrame = table[wanted].sort_values(["clip_id", "t_s"], ignore_index=True)
    return ordered
