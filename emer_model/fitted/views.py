"""What a fitted model looks at: one row of numbers a clip."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

#: The tables of summaries, with the input that says whether a clip has anything of it.
PRESENCE = {
    "summary": "eye_mask",
    "averages": "eye_mask",
    "extremes": "eye_mask",
    "course": "eye_mask",
    "rhythm": "eye_mask",
    "fixation_places": "fixation_mask",
    "face_summary": "face_present",
}

#: The tables of each view.
VIEWS: dict[str, tuple[str, ...]] = {
    "none": (),
    "eye": ("summary",),
    "averages": ("averages",),
    "extremes": ("extremes",),
    "course": ("course",),
    "rhythm": ("rhythm",),
    "fixations": ("fixation_places",),
    "few": ("averages", "fixation_places"),
    "face": ("face_summary",),
    "both": ("summary", "face_summary"),
}

#: Columns of a table that a view takes at most: of places, their spread on the screen, and no cells.
LIMITS: dict[str, dict[str, int]] = {"few": {"fixation_places": 10}}


def view_inputs(*views: str) -> tuple[str, ...]:
    """Return the inputs that these views need, each once."""
    names = [name for view in views for table in VIEWS[view] for name in (table, PRESENCE[table])]
    return tuple(dict.fromkeys(names)) or ("eye_mask",)  # whoever looks at nothing still counts the clips


def look(view: str, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Put a view's row together.

    Parameters
    ----------
    view : str
        Of `VIEWS`.
    inputs : mapping of str to Tensor, shape (B, ...)

    Returns
    -------
    matrix : Tensor of float32, shape (B, columns)
        Zero, the mean of the training clips, where something is missing.
    present : Tensor of bool, shape (B,)
        False where a clip has nothing of the view.
    """
    if view == "none":
        counted = inputs["eye_mask"]
        return counted.new_zeros((counted.shape[0], 0), dtype=torch.float32), counted.new_ones(counted.shape[0])
    limits = LIMITS.get(view, {})
    matrix = torch.cat([inputs[table][:, : limits.get(table)] for table in VIEWS[view]], dim=1)
    masks = [inputs[PRESENCE[table]].reshape(matrix.shape[0], -1) for table in VIEWS[view]]  # (B, anything)
    return matrix, torch.cat(masks, dim=1).any(dim=1)


def look_at_arrays(view: str, inputs: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Put a view's row together from arrays, as `look` does."""
    tensors = {name: torch.from_numpy(np.ascontiguousarray(inputs[name])) for name in view_inputs(view)}
    matrix, present = look(view, tensors)
    return matrix.numpy(), present.numpy()
