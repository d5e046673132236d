"""The clips of an export in memory."""

from __future__ import annotations

import copy
import hashlib
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from data_schema.errors import TrainingError
from emer_model.data.details import averages, course, extremes, fixation_places, rhythm
from emer_model.data.summaries import chunk_summaries, fixation_summaries

_log = logging.getLogger(__name__)

#: Face frames above this stay on disk and are read batch by batch: ours, half of the
#: memory of a small laptop. The 1,303 clips of EMER take 390 MB.
FACE_MEMORY_MB = 2000.0

#: Numbers above are no measurement, and their squares do not fit into float32.
LARGEST = 1e18

#: What of a clip lies in an array of its own.
_ARRAYS = (
    "face_mask", "eye", "eye_mask", "fixations", "fixation_mask", "gaze_points", "gaze_points_mask",
)  # fmt: skip

Progress = Callable[[int, int, str], None]


class ClipStore:
    """Arrays of all clips, in the order of ``clips.parquet``.

    Parameters
    ----------
    export : data_schema.exports.reading.TrainingExport
        The export.
    images : bool
        Keep the face crops at hand, for models that train a face backbone.
    face_features : ndarray of float32, shape (n, F, D), optional
        Features of each face frame by a backbone that is not trained, in the same order.
    face_size_px : int, optional
        Side to which faces are reduced; None keeps them.
    face_memory_mb : float
        Faces that need more stay on disk.
    progress : callable, optional
        Told how many clips have been read, of how many.

    Attributes
    ----------
    clip_ids, participants : list of str
    face_mask : ndarray of bool, shape (n, F)
    face_features : ndarray of float32, shape (n, F, D), or None
    eye : ndarray of float32, shape (n, C, E); eye_mask the same of bool
    fixations : ndarray of float32, shape (n, M, 4); fixation_mask bool (n, M)
    gaze_points : ndarray of float32, shape (n, C, 2); gaze_points_mask bool (n, C)
    summary : ndarray of float32, shape (n, S); summary_mask the same of bool
        The export's summaries, if it has them, then those of `emer_model.data.summaries`.
    details : dict of str to (ndarray of float32, ndarray of bool), each of shape (n, features)
        Tables of `emer_model.data.details` with their masks, by the names of its functions.
    names : dict of str to tuple of str
        Features of ``eye``, ``fixations``, ``summary`` and ``details``.

    Raises
    ------
    TrainingError
        If there are no clips, two clips are the same recording, a value is no number that can be measured,
        or faces cannot be reduced to the size asked for.
    """

    def __init__(
        self,
        export: Any,
        *,
        images: bool = True,
        face_features: np.ndarray | None = None,
        face_size_px: int | None = None,
        face_memory_mb: float = FACE_MEMORY_MB,
        progress: Progress | None = None,
    ) -> None:
        clips = export.clips
        self._export = export
        self.clip_ids: list[str] = clips["clip_id"].astype(str).tolist()
        self.participants: list[str] = clips["participant"].astype(str).tolist()
        self._refuse_repeated(clips)
        self.face_features = face_features
        self.face_size_px = self._choose_size(face_size_px)
        self._faces = self._room_for_faces(face_memory_mb) if images else None
        self._read(progress)
        self.names = {
            "eye": _names(export.manifest, "eye_features", self.eye.shape[2]),
            "fixations": _names(export.manifest, "fixation_features", self.fixations.shape[2]),
        }
        self._refuse_not_finite()
        self._refuse_same_eyes()
        self._summarise()
        self._warn_of_empty()

    @property
    def in_memory(self) -> bool:
        """Whether the face crops are held in memory."""
        return self._faces is not None

    def _choose_size(self, face_size_px: int | None) -> int:
        stored_px = int(self._export.read(self.clip_ids[0], ("faces",))["faces"].shape[1])
        size = face_size_px or stored_px
        if not 8 <= size <= stored_px:
            raise TrainingError(
                f"Faces of {size} px asked for, but the export holds {stored_px} px. Choose 8 to {stored_px}."
            )
        return size

    def _room_for_faces(self, face_memory_mb: float) -> torch.Tensor | None:
        frames = self._export.read(self.clip_ids[0], ("face_mask",))["face_mask"].shape[0]
        shape = (len(self.clip_ids), frames, self.face_size_px, self.face_size_px, 3)
        return torch.empty(shape, dtype=torch.uint8) if float(np.prod(shape)) / 1e6 <= face_memory_mb else None

    def _read(self, progress: Progress | None) -> None:
        names = ["face_mask", "eye", "eye_mask", "fixations", "fixation_mask", "gaze_points", "gaze_points_mask"]
        names += [name for name in ("summary", "summary_mask") if name in self._export.array_names]
        needed = (*names, "faces") if self._faces is not None else tuple(names)
        rows: dict[str, list[np.ndarray]] = {name: [] for name in names}
        for i, clip_id in enumerate(self.clip_ids):
            arrays = self._export.read(clip_id, needed)
            if self._faces is not None:
                self._faces[i] = torch.from_numpy(self._reduce(arrays["faces"]))
            for name, values in rows.items():
                values.append(arrays[name])
            if progress is not None:
                progress(i + 1, len(self.clip_ids), "reading clips")
        whole = {name: np.stack(values) for name, values in rows.items()}
        self.face_mask = whole["face_mask"].astype(bool)
        self.eye, self.eye_mask = whole["eye"], whole["eye_mask"].astype(bool)
        self.fixations, self.fixation_mask = whole["fixations"], whole["fixation_mask"].astype(bool)
        self.gaze_points, self.gaze_points_mask = whole["gaze_points"], whole["gaze_points_mask"].astype(bool)
        n = len(self.clip_ids)
        self.summary = whole.get("summary", np.zeros((n, 0), dtype=np.float32))
        self.summary_mask = whole.get("summary_mask", np.zeros((n, 0))).astype(bool)

    def _summarise(self) -> None:
        """Put the summaries of chunks and fixations behind those of the export."""
        exported = _names(self._export.manifest, "summary_features", self.summary.shape[1])
        parts = [
            (self.summary, self.summary_mask, tuple(_summary_name(name) for name in exported)),
            chunk_summaries(self.eye, self.eye_mask, self.names["eye"]),
            fixation_summaries(self.fixations, self.fixation_mask, self.names["fixations"]),
        ]
        self.summary = np.concatenate([values for values, _, _ in parts], axis=1)
        self.summary_mask = np.concatenate([mask for _, mask, _ in parts], axis=1)
        self.names["summary"] = tuple(name for _, _, names in parts for name in names)
        eye = (self.eye, self.eye_mask, self.names["eye"])
        tables = {kind.__name__: kind(*eye) for kind in (averages, extremes, course, rhythm)}
        tables["fixation_places"] = fixation_places(self.fixations, self.fixation_mask)
        self.details = {kind: (values, mask) for kind, (values, mask, _) in tables.items()}
        self.names.update({kind: names for kind, (_, _, names) in tables.items()})

    def __len__(self) -> int:
        return len(self.clip_ids)

    def take(self, clips: np.ndarray) -> ClipStore:
        """Return a store of some of the clips, by place; all summaries are as they were."""
        taken = copy.copy(self)
        taken.clip_ids = [self.clip_ids[i] for i in clips]
        taken.participants = [self.participants[i] for i in clips]
        for name in (*_ARRAYS, "summary", "summary_mask"):
            setattr(taken, name, getattr(self, name)[clips])
        taken.face_features = None if self.face_features is None else self.face_features[clips]
        taken._faces = None if self._faces is None else self._faces[torch.from_numpy(np.asarray(clips))]
        taken.details = {kind: (values[clips], mask[clips]) for kind, (values, mask) in self.details.items()}
        return taken

    def without(
        self, *, eye: np.ndarray, fixations: np.ndarray, faces: np.ndarray, exported_summary: np.ndarray
    ) -> ClipStore:
        """Return a store in which some of what was measured is missing, and all summaries computed here know it.

        Parameters
        ----------
        eye : ndarray of bool, shape (n, C)
            True for chunks that are lost, with their gaze points.
        fixations : ndarray of bool, shape (n, M)
        faces : ndarray of bool, shape (n, F)
        exported_summary : ndarray of bool, shape (n, the export's own summaries)
            True for summaries that are lost. The export computed them from recordings that are not here, so they
            cannot be computed again from what is left.
        """
        changed = copy.copy(self)
        changed.eye_mask = self.eye_mask & ~eye[:, :, None]
        changed.gaze_points_mask = self.gaze_points_mask & ~eye
        changed.fixation_mask = self.fixation_mask & ~fixations
        changed.face_mask = self.face_mask & ~faces
        changed.summary = self.summary[:, : self.n_exported_summaries]
        changed.summary_mask = self.summary_mask[:, : self.n_exported_summaries] & ~exported_summary
        changed.names = dict(self.names)
        changed._summarise()
        return changed

    @property
    def n_exported_summaries(self) -> int:
        """How many columns of ``summary`` the export holds; the others are computed here."""
        return sum(name.startswith(("clip/", "head/")) for name in self.names["summary"])

    def faces(self, indices: list[int]) -> torch.Tensor:
        """Return face frames, uint8 RGB, shape (len(indices), F, size, size, 3)."""
        if self._faces is not None:
            return self._faces[indices]
        read = [self._reduce(self._export.read(self.clip_ids[i], ("faces",))["faces"]) for i in indices]
        return torch.from_numpy(np.stack(read))

    def _reduce(self, faces: np.ndarray) -> np.ndarray:
        """Average faces (F, H, W, 3) down to the store's size."""
        if faces.shape[1] == self.face_size_px:
            return faces
        size = (self.face_size_px, self.face_size_px)
        import cv2  # 25 MB, and not needed on features computed once

        return np.stack([cv2.resize(face, size, interpolation=cv2.INTER_AREA) for face in faces])

    def _refuse_repeated(self, clips: Any) -> None:
        if not self.clip_ids:
            raise TrainingError("clips.parquet has no clip. Include clips in the study and export again.")
        for columns in (["clip_id"], ["shard", "row"]):
            repeated = clips[clips.duplicated(columns, keep=False)]
            if len(repeated):
                raise TrainingError(
                    f"clips.parquet: clips {', '.join(repeated['clip_id'].head(4))} share one {' and '.join(columns)}. "
                    "The same recording could be trained on and tested on. Export again."
                )

    def _refuse_same_eyes(self) -> None:
        """Refuse one recording under two participants: it would be trained on and tested on."""
        known: dict[bytes, int] = {}
        for i, (values, mask) in enumerate(zip(self.eye, self.eye_mask, strict=True)):
            measured = np.where(mask, values, 0.0).astype(np.float32)
            if np.ptp(measured) == 0:  # nothing was measured, or nothing varies: not to be told apart
                continue
            first = known.setdefault(hashlib.sha256(measured.tobytes() + mask.tobytes()).digest(), i)
            if self.participants[first] != self.participants[i]:
                raise TrainingError(
                    f"Clips {self.clip_ids[first]} and {self.clip_ids[i]} have the same eye data to the bit: one recording is in "
                    f"the study as that of {self.participants[first]} and of {self.participants[i]}, and could be trained on and "
                    "tested on. Take one of them out of the study (emer withdraw, or delete the session) and export again."
                )

    def _refuse_not_finite(self) -> None:
        for table, values, mask, names in (
            ("eye", self.eye, self.eye_mask, self.names["eye"]),
            ("fixations", self.fixations, self.fixation_mask[:, :, None], self.names["fixations"]),
            ("gaze_points", self.gaze_points, self.gaze_points_mask[:, :, None], ("x", "y")),
        ):
            wrong = np.argwhere(~(np.abs(values) < LARGEST) & mask)
            if len(wrong):
                i, step, feature = (int(x) for x in wrong[0])
                raise TrainingError(
                    f"/{table} of clip {self.clip_ids[i]}: '{names[feature]}' is {values[i, step, feature]:g} at step "
                    f"{step} although its mask says that it was measured ({len(wrong)} such values in all). "
                    "Mask what is missing, or export again."
                )
        wrong = np.argwhere(~(np.abs(self.summary) < LARGEST) & self.summary_mask)
        if len(wrong):
            i, column = (int(x) for x in wrong[0])
            name = _names(self._export.manifest, "summary_features", self.summary.shape[1])[column]
            raise TrainingError(
                f"/summary of clip {self.clip_ids[i]}: '{name}' is {self.summary[i, column]:g} although its mask "
                f"says that it was measured ({len(wrong)} such values in all). Mask what is missing, or export again."
            )

    def _warn_of_empty(self) -> None:
        for what, present in (
            ("face", self.face_mask.any(axis=1)),
            ("eye data", self.eye_mask.any(axis=(1, 2))),
            ("fixation", self.fixation_mask.any(axis=1)),
        ):
            if not present.all():
                example = self.clip_ids[int(np.flatnonzero(~present)[0])]
                _log.warning("%d clips have no %s, such as %s", int((~present).sum()), what, example)


def _summary_name(name: str) -> str:
    """Say of one of the export's summaries whether it is of the eyes or of the head."""
    return f"head/{name}" if name.startswith(("face_", "head_")) else f"clip/{name}"


def _names(manifest: dict[str, Any], key: str, n: int) -> tuple[str, ...]:
    """Read feature names from the manifest."""
    names = tuple(str(feature["name"]) for feature in manifest.get(key, []))
    if n and len(names) != n:
        raise TrainingError(
            f"manifest.json names {len(names)} {key} but the shards hold {n}. The export is inconsistent: export again."
        )
    return names if n else ()
