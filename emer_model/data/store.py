"""The clips of an export in memory."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch

from data_schema.errors import TrainingError

_log = logging.getLogger(__name__)

#: Face frames above this stay on disk and are read batch by batch: ours, half of the
#: memory of a small laptop. The 1,303 clips of EMER take 390 MB.
FACE_MEMORY_MB = 2000.0

Progress = Callable[[int, int, str], None]


class ClipStore:
    """Arrays of all clips, in the order of ``clips.parquet``.

    Parameters
    ----------
    export : data_schema.exports.reading.TrainingExport
        The export.
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
    eye : ndarray of float32, shape (n, C, E); eye_mask the same of bool
    fixations : ndarray of float32, shape (n, M, 4); fixation_mask bool (n, M)

    Raises
    ------
    TrainingError
        If there are no clips, two clips are the same recording, a value is not finite,
        or faces cannot be reduced to the size asked for.
    """

    def __init__(
        self,
        export: Any,
        *,
        face_size_px: int | None = None,
        face_memory_mb: float = FACE_MEMORY_MB,
        progress: Progress | None = None,
    ) -> None:
        clips = export.clips
        self._export = export
        self.clip_ids: list[str] = clips["clip_id"].tolist()
        self.participants: list[str] = clips["participant"].tolist()
        self._refuse_repeated(clips)
        first = export.read(self.clip_ids[0], ("faces",))
        stored_px = int(first["faces"].shape[1])
        self.face_size_px = face_size_px or stored_px
        if not 8 <= self.face_size_px <= stored_px:
            raise TrainingError(
                f"Faces of {self.face_size_px} px asked for, but the export holds {stored_px} px. "
                f"Choose 8 to {stored_px}."
            )
        n, frames = len(self.clip_ids), first["faces"].shape[0]
        face_shape = (n, frames, self.face_size_px, self.face_size_px, 3)
        self.in_memory = float(np.prod(face_shape)) / 1e6 <= face_memory_mb
        self._faces = torch.empty(face_shape, dtype=torch.uint8) if self.in_memory else None
        rows: dict[str, list[np.ndarray]] = {
            name: [] for name in ("face_mask", "eye", "eye_mask", "fixations", "fixation_mask")
        }
        needed = (*rows, "faces") if self.in_memory else tuple(rows)
        for i, clip_id in enumerate(self.clip_ids):
            arrays = export.read(clip_id, needed)
            if self._faces is not None:
                self._faces[i] = torch.from_numpy(self._reduce(arrays["faces"]))
            for name, values in rows.items():
                values.append(arrays[name])
            if progress is not None:
                progress(i + 1, n, "reading clips")
        self.face_mask = np.stack(rows["face_mask"]).astype(bool)
        self.eye, self.eye_mask = np.stack(rows["eye"]), np.stack(rows["eye_mask"]).astype(bool)
        self.fixations, self.fixation_mask = np.stack(rows["fixations"]), np.stack(rows["fixation_mask"]).astype(bool)
        self.eye_names = _names(export.manifest, "eye_features", self.eye.shape[2])
        self.fixation_names = _names(export.manifest, "fixation_features", self.fixations.shape[2])
        self._refuse_not_finite()
        self._warn_of_empty()

    def __len__(self) -> int:
        return len(self.clip_ids)

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

    def _refuse_not_finite(self) -> None:
        fixation_mask = np.broadcast_to(self.fixation_mask[:, :, None], self.fixations.shape)
        for table, values, mask, names in (
            ("eye", self.eye, self.eye_mask, self.eye_names),
            ("fixations", self.fixations, fixation_mask, self.fixation_names),
        ):
            wrong = np.argwhere(~np.isfinite(values) & mask)
            if len(wrong):
                i, step, feature = (int(x) for x in wrong[0])
                raise TrainingError(
                    f"/{table} of clip {self.clip_ids[i]}: '{names[feature]}' is {values[i, step, feature]} at step "
                    f"{step} although its mask says that it was measured ({len(wrong)} such values in all). "
                    "Mask what is missing, or export again."
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


def _names(manifest: dict[str, Any], key: str, n: int) -> list[str]:
    """Read feature names from the manifest."""
    names = [str(feature["name"]) for feature in manifest.get(key, [])]
    if len(names) != n:
        raise TrainingError(
            f"manifest.json names {len(names)} {key} but the shards hold {n}. The export is inconsistent: export again."
        )
    return names
