"""The clips of one part as plain arrays, for models that are fitted at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Arrays:
    """Clips with their labels.

    Parameters
    ----------
    inputs : dict of ndarray, shape (n_clips, ...)
        By name, see `emer_model.data.inputs.INPUTS`; normalised, zero where missing.
    labels : dict of ndarray, shape (n_clips,)
        Encoded by target, see `emer_model.data.targets.encode`: int64 with `MISSING_CLASS`, or float32 with NaN.
    participants : ndarray of str, shape (n_clips,)
        Whose clip it is.
    """

    inputs: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    participants: np.ndarray

    def __len__(self) -> int:
        return len(self.participants)

    def take(self, clips: np.ndarray) -> Arrays:
        """Return some of the clips, by place or by a mask of bool."""
        return Arrays(
            {name: values[clips] for name, values in self.inputs.items()},
            {name: values[clips] for name, values in self.labels.items()},
            self.participants[clips],
        )
