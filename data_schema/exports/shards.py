"""Arrays of one session's clips, in one HDF5 file: a shard of a training export.

A shard depends on its session, its clips, the settings and the code's feature
version, and on nothing else: its key is the hash of these, so that an unchanged
session is not computed again. It holds no label and nothing that was planted.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from data_schema.atomic import partial_path, replace_durably
from data_schema.errors import ExportError
from data_schema.exports.arrays import ARRAYS, CLIP_ID
from data_schema.exports.session_quality import measure_session
from data_schema.files import disk_problem
from data_schema.session.layout import GAZE, OPENNESS
from data_schema.session.reader import Session, open_session
from data_schema.session.screen import recorded_screen
from data_schema.signals.blinks import blink_mask, find_blinks
from data_schema.signals.eye_signals import SignalParameters, prepare_eye_signals
from data_schema.signals.faces import CROP_PX, FaceTracker, MtcnnDetector, TrackingParameters, face_crops
from data_schema.signals.features import (
    EYE_FEATURE_NAMES,
    FEATURE_VERSION,
    FIXATION_FEATURES,
    PupilBaseline,
    eye_features,
    fixation_sequence,
)
from data_schema.signals.gaze import ScreenGeometry, select_eye
from data_schema.signals.maps import SIGMA_DEG, fixation_map
from data_schema.signals.pupil import baseline_mm, clean_pupil

Arrays = dict[str, npt.NDArray[Any]]

#: Raise it whenever a shard changes in another way than by a feature: its arrays, attributes or measured quality.
#: Readers do not depend on it.
SHARD_VERSION = 2
SHARD_FORMAT = "emer-training-export-shard"
#: Cells of a fixation map, rows and columns.
MAP_SHAPE = (32, 32)
#: Seconds of gaze read before and after a clip, so that events at its ends are whole.
_MARGIN_S = 0.5
#: Length of the pupil's pre-stimulus window: our choice within the 0.2 to 1 s that is usual (Mathôt et al. 2018).
_BASELINE_S = 0.5


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
    signals : SignalParameters
    tracking : TrackingParameters
    """

    face_frames: int = 8
    face_size_px: int = CROP_PX
    eye_chunks: int = 32
    max_fixations: int = 32
    signals: SignalParameters = field(default_factory=SignalParameters)
    tracking: TrackingParameters = field(default_factory=TrackingParameters)

    def as_json(self) -> dict[str, Any]:
        """Return all parameters and versions, for the manifest and the key."""
        return {
            **asdict(self),
            "map_sigma_deg": SIGMA_DEG,
            "map_shape": list(MAP_SHAPE),
            "pupil_baseline_s": _BASELINE_S,
            "face_detector": {"name": MtcnnDetector.name, "licence": MtcnnDetector.licence},
            "feature_version": FEATURE_VERSION,
            "shard_version": SHARD_VERSION,
        }


@dataclass(frozen=True)
class ClipSpan:
    """One clip to compute."""

    clip_id: str
    trial_id: int
    t_start_us: int
    t_end_us: int


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
    """

    session_path: str
    session_sha256: str
    clips: tuple[ClipSpan, ...]
    settings: ShardSettings
    target: str

    @property
    def key(self) -> str:
        """Hash of all that the shard depends on."""
        content = {
            "session": self.session_sha256,
            "clips": [asdict(clip) for clip in self.clips],
            "settings": self.settings.as_json(),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode("utf-8")).hexdigest()


def array_shapes(settings: ShardSettings) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return shape and dtype of each array of a clip, by its name in the shard."""
    frames, chunks, side = settings.face_frames, settings.eye_chunks, settings.face_size_px
    n_eye, n_fixation = len(EYE_FEATURE_NAMES), len(FIXATION_FEATURES)
    return {
        "faces": ((frames, side, side, 3), "u1"),
        "face_mask": ((frames,), "?"),
        "eye": ((chunks, n_eye), "<f4"),
        "eye_mask": ((chunks, n_eye), "?"),
        "fixations": ((settings.max_fixations, n_fixation), "<f4"),
        "fixation_mask": ((settings.max_fixations,), "?"),
        "fixation_map": (MAP_SHAPE, "<f4"),
        "gaze_points": ((chunks, 2), "<f4"),
        "gaze_points_mask": ((chunks,), "?"),
    }


def bytes_per_clip(settings: ShardSettings) -> int:
    """Return how many bytes a clip takes in a shard."""
    return sum(int(np.prod(shape)) * np.dtype(kind).itemsize for shape, kind in array_shapes(settings).values())


def face_slots(
    frame_times_us: npt.NDArray[np.int64], t_start_us: int, t_end_us: int, n_frames: int
) -> npt.NDArray[np.int64]:
    """Choose the camera frame for each equally spaced time of a clip.

    Parameters
    ----------
    frame_times_us : ndarray of int64, shape (n,)
        Capture times of the whole session, increasing.
    t_start_us, t_end_us : int
        The clip.
    n_frames : int
        Times: the middles of as many equal parts of the clip.

    Returns
    -------
    ndarray of int64, shape (n_frames,)
        Index of the nearest frame inside the clip; -1 where none lies within half a part.
    """
    part_us = (t_end_us - t_start_us) / n_frames
    times = t_start_us + (np.arange(n_frames) + 0.5) * part_us
    first, last = np.searchsorted(frame_times_us, [t_start_us, t_end_us])
    slots = np.full(n_frames, -1, dtype=np.int64)
    if last <= first:
        return slots
    inside = frame_times_us[first:last]
    right = np.clip(np.searchsorted(inside, times), 0, len(inside) - 1)
    left = np.clip(right - 1, 0, None)
    nearest = np.where(np.abs(inside[left] - times) <= np.abs(inside[right] - times), left, right)
    close = np.abs(inside[nearest] - times) <= part_us / 2.0
    slots[close] = nearest[close] + first
    return slots


def clip_faces(session: Session, clip: ClipSpan, settings: ShardSettings, tracker: FaceTracker) -> Arrays:
    """Cut the face out of a clip's frames; all masked where there is no video."""
    n = settings.face_frames
    crops = np.zeros((n, settings.face_size_px, settings.face_size_px, 3), dtype=np.uint8)
    mask = np.zeros(n, dtype=np.bool_)
    video = session.video
    if video is not None and len(video):
        times = video.frame_times_us
        slots = face_slots(times, clip.t_start_us, clip.t_end_us, n)
        wanted = np.unique(slots[slots >= 0])
        frames = ((int(times[index]), image) for index, image in video.decode_many(wanted))
        found, seen = face_crops(frames, tracker, len(wanted), settings.face_size_px)
        place = np.searchsorted(wanted, slots[slots >= 0])
        crops[slots >= 0], mask[slots >= 0] = found[place], seen[place]
    return {"faces": crops, "face_mask": mask}


def clip_eyes(
    session: Session, clip: ClipSpan, settings: ShardSettings, screen: ScreenGeometry, baseline: PupilBaseline
) -> Arrays:
    """Compute the eye arrays of a clip; all masked where there is no gaze."""
    margin_us = round(_MARGIN_S * 1e6)
    low, high = clip.t_start_us - margin_us, clip.t_end_us + margin_us
    signals = prepare_eye_signals(
        session.table(GAZE).between(low, high), session.table(OPENNESS).between(low, high), screen, settings.signals
    )
    span = (clip.t_start_us, clip.t_end_us)
    eye, eye_mask = eye_features(signals, *span, settings.eye_chunks, baseline)
    fixations = fixation_sequence(signals, *span)
    kept = fixations[: settings.max_fixations]
    padded = np.zeros((settings.max_fixations, len(FIXATION_FEATURES)), dtype=np.float32)
    padded[: len(kept)] = kept
    columns = [EYE_FEATURE_NAMES.index(name) for name in ("gaze_x_mean", "gaze_y_mean")]
    drawn = fixation_map(fixations[:, :2], fixations[:, 3], screen.deg_to_norm(SIGMA_DEG), MAP_SHAPE)
    return {
        "eye": eye,
        "eye_mask": eye_mask,
        "fixations": padded,
        "fixation_mask": np.arange(settings.max_fixations) < len(kept),
        "fixation_map": drawn.astype(np.float32),
        "gaze_points": eye[:, columns],
        "gaze_points_mask": np.asarray(eye_mask[:, columns].all(axis=1)),
    }


def pupil_baselines(session: Session, settings: ShardSettings) -> dict[int, PupilBaseline]:
    """Measure the participant's pupil before each stimulus; of all trials, without any label.

    Returns
    -------
    dict of int to PupilBaseline
        By trial.
    """
    before: dict[int, float] = {}
    for trial in session.trials():
        rows = session.table(GAZE).between(trial.t_onset_us - round(_BASELINE_S * 1e6), trial.t_onset_us)
        gaze = select_eye(rows, settings.signals.fixations.eye)
        blinks = find_blinks(gaze.t_us, ~(gaze.left_valid | gaze.right_valid), settings.signals.blinks)
        blinking = blink_mask(gaze.t_us, blinks)
        before[trial.trial_id] = baseline_mm(clean_pupil(gaze.t_us, gaze.pupil_mm, blinking, settings.signals.pupil))
    known = [value for value in before.values() if np.isfinite(value)]
    session_mm = float(np.median(known)) if known else float("nan")
    return {trial: PupilBaseline(session_mm, value) for trial, value in before.items()}


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
    reused : bool
        True if the shard was there already.
    """

    n_faces: list[int]
    n_frames: int
    quality: dict[str, Any]
    reused: bool = False


def check_unchanged(path: Path, sha256: str, indexed_sha256: str) -> None:
    """Refuse a session that is not the one that the clip index was built from.

    Raises
    ------
    ExportError
        If the hashes differ.
    """
    if sha256 != indexed_sha256:
        raise ExportError(
            f"{path.name}: the file has changed since the clip index was built. Run `emer clips` and export again."
        )


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
            with h5py.File(partial, "w") as file:
                summary = _fill(session, task, file)
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


def _fill(session: Session, task: ShardTask, file: h5py.File) -> ShardSummary:
    settings, n = task.settings, len(task.clips)
    datasets = {
        name: file.create_dataset(name, shape=(n, *shape), dtype=kind, chunks=(1, *shape))
        for name, (shape, kind) in array_shapes(settings).items()
    }
    for array in ARRAYS:
        datasets[array.name].attrs.update(array.attributes())
    # Fixed length, not variable: the same clips then give the same bytes.
    names = file.create_dataset(CLIP_ID.name, data=np.array([clip.clip_id.encode("ascii") for clip in task.clips]))
    names.attrs.update(CLIP_ID.attributes())
    screen = recorded_screen(session)
    tracker = FaceTracker(MtcnnDetector(), settings.tracking)
    baselines = pupil_baselines(session, settings)
    n_faces: list[int] = []
    n_frames = 0
    for row, clip in enumerate(task.clips):
        arrays = clip_faces(session, clip, settings, tracker)
        arrays |= clip_eyes(session, clip, settings, screen, baselines.get(clip.trial_id, PupilBaseline()))
        for name, values in arrays.items():
            datasets[name][row] = values
        n_faces.append(int(arrays["face_mask"].sum()))
        n_frames += settings.face_frames
    summary = ShardSummary(n_faces, n_frames, measure_session(session, screen).as_json())
    file.attrs["format"] = SHARD_FORMAT
    file.attrs["shard_version"] = SHARD_VERSION
    file.attrs["participant"], file.attrs["session"] = session.participant, session.session
    file.attrs["simulated"] = session.simulated
    file.attrs["key"] = task.key
    file.attrs["summary_json"] = json.dumps(asdict(summary), sort_keys=True)
    return summary


def read_summary(path: Path, key: str) -> ShardSummary | None:
    """Return the summary of a finished shard with this key, or None."""
    try:
        with h5py.File(path, "r") as file:
            if str(file.attrs.get("key", "")) != key:
                return None
            content = json.loads(str(file.attrs["summary_json"]))
    except (OSError, KeyError, ValueError):
        return None
    return ShardSummary(content["n_faces"], content["n_frames"], content["quality"], reused=True)


def start_worker() -> None:
    """Prepare a worker process: one thread each, since there are as many workers as cores."""
    import cv2

    cv2.setNumThreads(1)
