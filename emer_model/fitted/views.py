"""What a fitted model looks at: one row of numbers a clip."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

#: The inputs of each view, with those that say whether a clip has it at all.
VIEWS: dict[str, tuple[str, ...]] = {
    "none": ("summary",),
    "eye": ("summary", "summary_mask"),
    "face": ("face_summary", "face_present"),
    "both": ("summary", "summary_mask", "face_summary", "face_present"),
}


def view_inputs(views: tuple[str, ...]) -> tuple[str, ...]:
    """Return the inputs that these views need, each once."""
    return tuple(dict.fromkeys(name for view in views for name in VIEWS[view]))


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
        summary = inputs["summary"]
        return summary[:, :0], torch.ones(len(summary), dtype=torch.bool, device=summary.device)
    if view == "eye":
        return inputs["summary"], inputs["summary_mask"].any(dim=1)
    if view == "face":
        return inputs["face_summary"], inputs["face_present"]
    eye, eye_present = look("eye", inputs)
    face, face_present = look("face", inputs)
    return torch.cat([eye, face], dim=1), eye_present | face_present


def look_at_arrays(view: str, inputs: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Put a view's row together from arrays, as `look` does."""
    tensors = {name: torch.from_numpy(np.ascontiguousarray(inputs[name])) for name in VIEWS[view]}
    matrix, present = look(view, tensors)
    return matrix.numpy(), present.numpy()
