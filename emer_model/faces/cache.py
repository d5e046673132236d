"""Features of all face frames of an export, computed once and kept inside the export's folder.

They lie there because features of a face are personal data: what replaces or withdraws an export takes them along.
A pair of files belongs to one backbone and one manifest: ``<name>-<key>.npy`` holds the features, ``<name>-<key>.json``
what they are of and their hash. The JSON is written last, so a pair without it does not count.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from data_schema.atomic import partial_path, replace_durably, write_atomically
from data_schema.errors import TrainingError
from data_schema.exports.manifest import FACE_FEATURES_FOLDER, MANIFEST_NAME
from data_schema.exports.reading import TrainingExport
from data_schema.files import file_sha256
from emer_model.faces.features import FaceFeatures

_log = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]
Tell = Callable[[str], None]

#: Part of every key: grows when the files, or which frames are looked at, change.
_CACHE_VERSION = "1"
#: Frames gathered before they are computed: ours; 64 of 112 px take 2.4 MB.
_FRAMES_GATHERED = 64
#: Caches above this are mapped into memory instead of read.
_MAPPED_BYTES = 512_000_000
#: What a killed program began to write is removed after this.
_ABANDONED_S = 86_400.0


def face_features(
    export: TrainingExport,
    backbone: FaceFeatures,
    *,
    progress: Progress | None = None,
    tell: Tell | None = None,
) -> np.ndarray:
    """Return the features of all face frames of an export, from its cache or computed now.

    Parameters
    ----------
    export : TrainingExport
        Its faces are read clip by clip and never held all at once.
    backbone : FaceFeatures
        What computes them.
    progress : callable, optional
        Told how many clips are computed, of how many; not called where the cache serves.
    tell : callable, optional
        Told in a sentence what the user may want to know, such as that nothing could be stored. The log by default.

    Returns
    -------
    ndarray of float32, shape (n_clips, F, backbone.width)
        In the order of ``export.clips``; zeros where a frame has no face.

    Raises
    ------
    TrainingError
        If the faces are too small, or features come out that are not finite.
    ExportError
        If the export is damaged.
    """
    tell = tell or _log.warning
    manifest = _manifest_sha256(export)
    key = hashlib.sha256(f"{_CACHE_VERSION} {backbone.sha256} {manifest}".encode()).hexdigest()
    place = export.path / FACE_FEATURES_FOLDER / f"{backbone.name}-{key[:32]}.npy"
    about = {"key": key, "backbone": backbone.name, "backbone_sha256": backbone.sha256, "manifest_sha256": manifest}
    held = _load(place, about, tell)
    if held is not None and held.shape[-1] == backbone.width:
        return held
    features = _compute(export, backbone, progress)
    if _manifest_on_disk(export) != export.manifest:
        tell(
            f"{export.path} was replaced while its faces were read: their features are not stored. Start again to train on it."
        )
        return features
    try:
        _prune(place.parent, manifest)
        _store(place, features, about)
    except OSError as error:
        tell(
            f"face features are kept in memory only, since {place.parent} cannot be written "
            f"({error.strerror or error}): the next run computes them again"
        )
    return features


def _compute(export: TrainingExport, backbone: FaceFeatures, progress: Progress | None) -> np.ndarray:
    clip_ids = export.clips["clip_id"].astype(str).tolist()
    features: np.ndarray | None = None
    frames: list[np.ndarray] = []  # each (k, H, W, 3): the frames of one clip that hold a face
    places: list[tuple[int, np.ndarray]] = []  # the clip, and which of its frames
    for i, clip_id in enumerate(clip_ids):
        arrays = export.read(clip_id, ("faces", "face_mask"))
        found = np.flatnonzero(arrays["face_mask"])
        if features is None:
            features = np.zeros((len(clip_ids), len(arrays["face_mask"]), backbone.width), dtype=np.float32)
        if len(found):
            frames.append(arrays["faces"][found])
            places.append((i, found))
        if frames and (sum(map(len, frames)) >= _FRAMES_GATHERED or i == len(clip_ids) - 1):
            _put(features, places, backbone.compute(np.concatenate(frames)), clip_ids, backbone.name)
            frames.clear()
            places.clear()
        if progress is not None:
            progress(i + 1, len(clip_ids), "computing face features")
    if features is None:
        raise TrainingError("clips.parquet has no clip. Include clips in the study and export again.")
    return features


def _put(
    features: np.ndarray, places: list[tuple[int, np.ndarray]], computed: np.ndarray, clip_ids: list[str], name: str
) -> None:
    """Put features of gathered frames (N, D) where they belong in (n_clips, F, D)."""
    start = 0
    for clip, found in places:
        values = computed[start : start + len(found)]  # (k, D)
        if not np.isfinite(values).all():
            raise TrainingError(
                f"Face features of clip {clip_ids[clip]} by {name} are not finite. Its weights do not fit such pictures: "
                "name other weights, or another --face-backbone."
            )
        features[clip, found] = values
        start += len(found)


def _load(place: Path, about: dict[str, str], tell: Tell) -> np.ndarray | None:
    """Read a cache; None if there is none that can be trusted."""
    record = place.with_suffix(".json")
    if not record.is_file():
        return None
    try:
        said: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
        if any(said.get(name) != value for name, value in about.items()):
            raise ValueError("it is of something else")
        if file_sha256(place) != said["sha256"]:
            raise ValueError("its hash differs")
        # Copy on write: who changes the array changes memory, and never the file.
        mapped = "c" if place.stat().st_size > _MAPPED_BYTES else None
        features: np.ndarray = np.load(place, mmap_mode=mapped, allow_pickle=False)
        if features.dtype != np.float32 or list(features.shape) != said["shape"]:
            raise ValueError("its shape differs")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        tell(f"the face features in {place.name} are damaged and are computed again ({error})")
        return None
    return features


def _store(place: Path, features: np.ndarray, about: dict[str, str]) -> None:
    """Write a cache whole or not at all, what it is last."""
    place.parent.mkdir(exist_ok=True)
    partial = partial_path(place)
    try:
        with partial.open("wb") as file:
            np.save(file, features, allow_pickle=False)
        sha256 = file_sha256(partial)
        replace_durably(partial, place)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    content = {**about, "sha256": sha256, "shape": list(features.shape)}
    write_atomically(place.with_suffix(".json"), (json.dumps(content, indent=1) + "\n").encode("utf-8"))


def _prune(folder: Path, manifest: str) -> None:
    """Remove caches of a manifest that is no more: nothing can ever ask for them again."""
    for record in sorted(folder.glob("*.json")):
        try:
            current = json.loads(record.read_text(encoding="utf-8"))["manifest_sha256"] == manifest
        except (ValueError, KeyError, TypeError):
            current = False
        if not current:
            record.unlink(missing_ok=True)
            record.with_suffix(".npy").unlink(missing_ok=True)
    for partial in folder.glob(".*.partial"):
        if time.time() - partial.stat().st_mtime > _ABANDONED_S:
            partial.unlink(missing_ok=True)


def _manifest_sha256(export: TrainingExport) -> str:
    """Hash the manifest that was opened, and with it the hashes of all files that it names."""
    return hashlib.sha256(json.dumps(export.manifest, sort_keys=True).encode("utf-8")).hexdigest()


def _manifest_on_disk(export: TrainingExport) -> Any:
    try:
        return json.loads((export.path / MANIFEST_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
