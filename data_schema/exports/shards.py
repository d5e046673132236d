"""Arrays of one session's clips, in one HDF5 file: a shard of a training export.

A shard depends on its session, its clips, the settings and the code's versions, and on nothing else: its key is the hash
of these, so that an unchanged session is not computed again. It holds no label and nothing that was planted. Signals come
from the session's derived data, which are completed on the way: one pass over the video gives landmarks and crops.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import numpy.typing as npt

from data_schema.atomic import partial_path, replace_durably
from data_schema.careful_hdf5 import CarefulHdf5
from data_schema.derived import ClipSpan, DerivedClip, DerivedSettings, DerivedStore, SessionDeriver
from data_schema.derived.clips import clip_keys
from data_schema.derived.faces import FaceCrops, face_slots
from data_schema.derived.sessions import check_unchanged
from data_schema.exports.arrays import ARRAYS, CLIP_ID, FACE_QUALITY, FACES_JPEG, FACES_JPEG_ENDS
from data_schema.exports.session_quality import measure_session
from data_schema.files import disk_problem
from data_schema.session.reader import Session, open_session
from data_schema.signals.eye_signals import SIGNAL_VERSION
from data_schema.signals.faces import CROP_PX, FACES_VERSION, summarise_faces
from data_schema.signals.features import (
    EYE_FEATURE_NAMES,
    FEATURE_VERSION,
    FIXATION_FEATURES,
    SUMMARY_FEATURE_NAMES,
    complete_session,
    eye_features,
    fixation_sequence,
)
from data_schema.signals.gaze import ScreenGeometry
from data_schema.signals.maps import SIGMA_DEG, fixation_map

__all__ = ["ClipSpan", "ShardSettings", "ShardSummary", "ShardTask", "compute_shard", "face_slots", "read_summary"]

Arrays = dict[str, npt.NDArray[Any]]

#: Raise it whenever a shard changes in another way than by a feature: its arrays, attributes or measured quality.
#: Readers do not depend on it.
SHARD_VERSION = 4
SHARD_FORMAT = "emer-training-export-shard"
#: Cells of a fixation map, rows and columns.
MAP_SHAPE = (32, 32)
#: Bytes of a chunk of packed JPEG crops: about those of one clip.
_JPEG_CHUNK_BYTES = 32_768


@dataclass(frozen=True)
class ShardSettings:
    """What decides the arrays of a clip.

    Parameters
    ----------
    face_frames : int
        Face crops at equally spaced times.
    face_size_px : int
        Side of a crop.
    eye_chunks : int
        Chunks of eye features.
    max_fixations : int
        Fixations kept, from the clip's start.
    faces : str
        ``arrays`` or ``jpeg``.
    jpeg_quality : int
    light : str
        Light normalisation of the crops.
    derived : DerivedSettings
        The signals that all is made of.
    """

    face_frames: int = 8
    face_size_px: int = CROP_PX
    eye_chunks: int = 32
    max_fixations: int = 32
    faces: str = "arrays"
    jpeg_quality: int = 90
    light: str = "none"
    derived: DerivedSettings = field(default_factory=DerivedSettings)

    def as_json(self) -> dict[str, Any]:
        """Return all parameters and versions, for the manifest and the key."""
        own = asdict(self)
        del own["derived"]
        faces = self.derived.faces
        return {
            **own,
            "signals": asdict(self.derived.signals),
            "pupil_baseline_s": self.derived.baseline_s,
            "luminance": "regress" if self.derived.luminance else "off",
            "tracking": asdict(faces.tracking),
            "faces_rate_hz": faces.rate_hz,
            "face_detector": {
                "name": faces.detector,
                "version": faces.detector_version,
                "model_sha256": faces.model_sha256,
            },
            "map_sigma_deg": SIGMA_DEG,
            "map_shape": list(MAP_SHAPE),
            "signal_version": SIGNAL_VERSION,
            "faces_version": FACES_VERSION,
            "feature_version": FEATURE_VERSION,
            "shard_version": SHARD_VERSION,
        }


@dataclass(frozen=True)
class ShardTask:
    """One session to compute; can be sent to another process.

    Parameters
    ----------
    session_path : str
        The session file.
    session_sha256 : str
        What the clip index says of it.
    clips : tuple of ClipSpan
    settings : ShardSettings
    target : str
        The shard file to write.
    derived : str
        The session's file of derived data.
    """

    session_path: str
    session_sha256: str
    clips: tuple[ClipSpan, ...]
    settings: ShardSettings
    target: str
    derived: str

    @property
    def key(self) -> str:
        """Hash of all that the shard depends on."""
        settings = self.settings
        content = {
            "session": self.session_sha256,
            "clips": [[clip.as_json(), clip_keys(self.session_sha256, clip, settings.derived)] for clip in self.clips],
            "settings": {
                key: value for key, value in settings.as_json().items() if key != "jpeg_quality" or self.is_jpeg
            },
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode("utf-8")).hexdigest()

    @property
    def is_jpeg(self) -> bool:
        """Tell whether faces are stored as JPEG."""
        return self.settings.faces == "jpeg"


def array_shapes(settings: ShardSettings) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return shape and dtype of each array of a clip, by its name in the shard."""
    frames, chunks, side = settings.face_frames, settings.eye_chunks, settings.face_size_px
    n_eye, n_fixation = len(EYE_FEATURE_NAMES), len(FIXATION_FEATURES)
    return {
        "faces": ((frames, side, side, 3), "u1"),
        "face_mask": ((frames,), "?"),
        "face_quality": ((frames, len(FACE_QUALITY)), "<f4"),
        "eye": ((chunks, n_eye), "<f4"),
        "eye_mask": ((chunks, n_eye), "?"),
        "fixations": ((settings.max_fixations, n_fixation), "<f4"),
        "fixation_mask": ((settings.max_fixations,), "?"),
        "fixation_map": (MAP_SHAPE, "<f4"),
        "gaze_points": ((chunks, 2), "<f4"),
        "gaze_points_mask": ((chunks,), "?"),
        "summary": ((len(SUMMARY_FEATURE_NAMES),), "<f4"),
        "summary_mask": ((len(SUMMARY_FEATURE_NAMES),), "?"),
    }


def bytes_per_clip(settings: ShardSettings) -> int:
    """Return how many bytes a clip takes in a shard at most."""
    return sum(int(np.prod(shape)) * np.dtype(kind).itemsize for shape, kind in array_shapes(settings).values())


def clip_arrays(derived: DerivedClip, settings: ShardSettings, screen: ScreenGeometry) -> Arrays:
    """Bring what was derived of a clip into the fixed shapes of the export; masked where there is nothing."""
    span = (derived.span.t_start_us, derived.span.t_end_us)
    eye, eye_mask = eye_features(derived.eye, *span, settings.eye_chunks, derived.baseline)
    fixations = fixation_sequence(derived.eye, *span)
    kept = fixations[: settings.max_fixations]
    padded = np.zeros((settings.max_fixations, len(FIXATION_FEATURES)), dtype=np.float32)
    padded[: len(kept)] = kept
    columns = [EYE_FEATURE_NAMES.index(name) for name in ("gaze_x_mean", "gaze_y_mean")]
    drawn = fixation_map(fixations[:, :2], fixations[:, 3], screen.deg_to_norm(SIGMA_DEG), MAP_SHAPE)
    arrays = {
        "eye": eye,
        "eye_mask": eye_mask,
        "fixations": padded,
        "fixation_mask": np.arange(settings.max_fixations) < len(kept),
        "fixation_map": drawn.astype(np.float32),
        "gaze_points": eye[:, columns],
        "gaze_points_mask": np.asarray(eye_mask[:, columns].all(axis=1)),
        "summary": derived.features.values,
        "summary_mask": derived.features.mask,
    }
    if derived.crops is not None:
        arrays |= {
            "faces": derived.crops.faces,
            "face_mask": derived.crops.mask,
            "face_quality": _face_quality(derived, derived.crops),
        }
    return arrays


def _face_quality(derived: DerivedClip, crops: FaceCrops) -> npt.NDArray[np.float32]:
    """Return what is known of each crop, 0 where there is no face."""
    values = np.zeros((len(crops.mask), len(FACE_QUALITY)), dtype=np.float32)
    rows = derived.faces[crops.row[crops.mask]]
    for column, feature in enumerate(FACE_QUALITY):
        if feature.name == "time_s":
            values[crops.mask, column] = (rows["t_us"] - derived.span.t_start_us) / 1e6
        else:
            values[crops.mask, column] = np.nan_to_num(rows[feature.name])
    return values


@dataclass(frozen=True)
class ShardSummary:
    """What the exporter needs to know of a shard.

    Parameters
    ----------
    n_faces : list of int
        Frames with a face, per clip.
    n_frames : int
        Frames looked at, over all clips.
    quality : dict
        From ``SessionQuality.as_json``.
    faces : list of dict
        From ``summarise_faces``, per clip, over all frames that were looked at; None for NaN.
    reused : bool
        True if the shard was there already.
    """

    n_faces: list[int]
    n_frames: int
    quality: dict[str, Any]
    faces: list[dict[str, Any]]
    reused: bool = False


def compute_shard(task: ShardTask) -> ShardSummary:
    """Compute a session's clips and write the shard, one clip in memory at a time.

    Raises
    ------
    ExportError
        If the session file is not the one that the clip index knows, or the disk is full.
    SessionFileError
        If the session cannot be read.
    """
    path, target = Path(task.session_path), Path(task.target)
    partial = partial_path(target)
    with open_session(path) as session:
        check_unchanged(path, session.sha256, task.session_sha256)
        try:
            with DerivedStore(Path(task.derived), task.session_sha256) as store, CarefulHdf5(partial) as shard:
                summary = _fill(session, task, shard, store)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise disk_problem(error, target) from error
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    try:
        replace_durably(partial, target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise disk_problem(error, target) from error
    return summary


def _fill(session: Session, task: ShardTask, shard: CarefulHdf5, store: DerivedStore) -> ShardSummary:
    settings, file = task.settings, shard.file
    datasets = _create(file, task)
    deriver = SessionDeriver(session, settings.derived, store)
    n_faces: list[int] = []
    faces: list[dict[str, Any]] = []
    try:
        for row, clip in enumerate(task.clips):
            derived = deriver.clip(clip, settings.face_frames, settings.light)
            arrays = clip_arrays(derived, settings, deriver.screen)
            if task.is_jpeg:
                _append_jpeg(file, row, arrays.pop("faces"), arrays["face_mask"], settings.jpeg_quality)
            for name, values in arrays.items():
                datasets[name][row] = values
            n_faces.append(int(arrays["face_mask"].sum()))
            faces.append(_without_nan(asdict(summarise_faces(derived.faces))))
            shard.check()
            store.commit_now_and_then()
    finally:
        deriver.close()
    if task.clips:
        # What refers to the whole session is known only now.
        datasets["summary"][:], datasets["summary_mask"][:] = complete_session(
            datasets["summary"][:], datasets["summary_mask"][:]
        )
    quality = measure_session(session, deriver.screen).as_json()
    summary = ShardSummary(n_faces, settings.face_frames * len(task.clips), quality, faces)
    file.attrs["format"] = SHARD_FORMAT
    file.attrs["shard_version"] = SHARD_VERSION
    file.attrs["participant"], file.attrs["session"] = session.participant, session.session
    file.attrs["simulated"] = session.simulated
    file.attrs["key"] = task.key
    file.attrs["summary_json"] = json.dumps(asdict(summary), sort_keys=True)
    return summary


def _create(file: h5py.File, task: ShardTask) -> dict[str, h5py.Dataset]:
    """Create the datasets: one uncompressed chunk a clip, JPEG crops packed one after the other."""
    n = len(task.clips)
    shapes = array_shapes(task.settings)
    if task.is_jpeg:
        del shapes["faces"]
        ends = file.create_dataset(FACES_JPEG_ENDS.name, data=np.zeros((n, task.settings.face_frames), dtype="<i8"))
        ends.attrs.update(FACES_JPEG_ENDS.attributes())
        packed = file.create_dataset(
            FACES_JPEG.name, shape=(0,), maxshape=(None,), dtype="u1", chunks=(_JPEG_CHUNK_BYTES,)
        )
        packed.attrs.update(FACES_JPEG.attributes())
        packed.attrs["size_px"] = task.settings.face_size_px
    datasets = {
        name: file.create_dataset(name, shape=(n, *shape), dtype=kind, chunks=(1, *shape))
        for name, (shape, kind) in shapes.items()
    }
    for array in ARRAYS:
        if array.name in datasets:
            datasets[array.name].attrs.update(array.attributes())
    # Fixed length, not variable: the same clips then give the same bytes.
    names = file.create_dataset(CLIP_ID.name, data=np.array([clip.clip_id.encode("ascii") for clip in task.clips]))
    names.attrs.update(CLIP_ID.attributes())
    return datasets


def _append_jpeg(
    file: h5py.File, row: int, faces: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_], quality: int
) -> None:
    """Store the crops of a clip behind those of the clip before."""
    packed, ends = file[FACES_JPEG.name], file[FACES_JPEG_ENDS.name]
    begin = int(packed.shape[0])
    pictures: list[bytes] = []
    for face, seen in zip(faces, mask, strict=True):
        # 4:4:4, since colour in half resolution would cost more of a crop of 112 px than of a photograph.
        options = [
            cv2.IMWRITE_JPEG_QUALITY,
            quality,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        ]
        encoded = cv2.imencode(".jpg", cv2.cvtColor(face, cv2.COLOR_RGB2BGR), options)[1] if seen else None
        pictures.append(b"" if encoded is None else encoded.tobytes())
    ends[row] = begin + np.cumsum([len(picture) for picture in pictures])
    packed.resize((int(ends[row, -1]),))
    packed[begin:] = np.frombuffer(b"".join(pictures), dtype=np.uint8)


def _without_nan(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: None if isinstance(value, float) and not np.isfinite(value) else value for key, value in values.items()
    }


def read_summary(path: Path, key: str) -> ShardSummary | None:
    """Return the summary of a finished shard with this key, or None."""
    try:
        with h5py.File(path, "r") as file:
            if str(file.attrs.get("key", "")) != key:
                return None
            content = json.loads(str(file.attrs["summary_json"]))
    except (OSError, KeyError, ValueError):
        return None
    return ShardSummary(content["n_faces"], content["n_frames"], content["quality"], content["faces"], reused=True)
