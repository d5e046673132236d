"""Clips of one part of one fold, a batch at a time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from emer_model.data.store import ClipStore

#: Before the name of a target in a batch.
TARGET_PREFIX = "target/"

Batch = dict[str, Tensor]


class ClipDataset(Dataset[Batch]):
    """Batches of clips, cut from whole arrays instead of being gathered clip by clip.

    Parameters
    ----------
    store : ClipStore
        All clips.
    indices : ndarray of int
        The clips of this part.
    inputs : mapping of str to ndarray
        Normalised inputs of all clips of the store, by name, see `emer_model.data.inputs.INPUTS`.
    targets : mapping of str to ndarray, shape (n_clips,)
        Encoded labels of all clips, by target; may be empty for prediction.
    faces : bool
        Put the face crops into batches.
    """

    def __init__(
        self,
        store: ClipStore,
        indices: np.ndarray,
        inputs: Mapping[str, np.ndarray],
        targets: Mapping[str, np.ndarray],
        faces: bool = False,
    ) -> None:
        self.store, self.with_faces = store, faces
        self.indices = np.asarray(indices, dtype=np.int64)
        self._whole: Batch = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in inputs.items()}
        self._whole.update({TARGET_PREFIX + name: torch.from_numpy(values) for name, values in targets.items()})

    def __len__(self) -> int:
        return len(self.indices)

    def labels(self, target: str) -> np.ndarray:
        """Return the encoded labels of these clips for one target, shape (len(self),)."""
        return self._whole[TARGET_PREFIX + target].numpy()[self.indices]

    def __getitem__(self, position: int) -> Batch:
        """Return a batch of one clip."""
        return self.__getitems__([position])

    def __getitems__(self, positions: list[int]) -> Batch:
        """Return the batch of these positions; torch's loader calls this with a whole batch."""
        clips = torch.from_numpy(self.indices[positions])  # (B,)
        batch = {name: values[clips] for name, values in self._whole.items()}
        if self.with_faces:
            batch["faces"] = self.store.faces(clips.tolist())
        return batch
