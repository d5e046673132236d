"""What the reference does to its tokens before its network sees them, for those who want the same.

Neither is of use for anything but comparison: see docs/models.md.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Face frames of a clip in the reference's data: 390,900 frames of 1,303 clips.
REFERENCE_FRAMES = 300


def digit_order(frames: int) -> list[int]:
    """Order face frames as the reference does: by the last digit of their number in the clip.

    Its file names are sorted by the one character before the extension. Frame i of `frames`
    stands for the middle of its part of the reference's clip of 300 frames.

    Returns
    -------
    list of int, length frames
        Which frame comes at each place; for 8 frames 3, 7, 2, 6, 1, 5, 0, 4.
    """
    numbers = [int((i + 0.5) * REFERENCE_FRAMES / frames) for i in range(frames)]
    return sorted(range(frames), key=lambda i: numbers[i] % 10)


def draw_rows(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Let chance choose what stands at each step: the step itself, the one before or the one after.

    The reference draws one row of the tracker's table for each part of a clip, anew each time
    the clip is read, at test time too. An export holds statistics of parts and no rows, so a
    part is drawn in the place of a row. Draws from torch's global generator.

    Parameters
    ----------
    values : Tensor, shape (B, T, features)
    mask : Tensor of bool, shape (B, T, ...)

    Returns
    -------
    values, mask : Tensor
        Of the same shapes.
    """
    batch, steps = values.shape[:2]
    shift = torch.randint(-1, 2, (batch, steps), device=values.device)
    chosen = (torch.arange(steps, device=values.device) + shift).clamp(0, steps - 1)  # (B, T)
    clips = torch.arange(batch, device=values.device).unsqueeze(1)  # (B, 1)
    return values[clips, chosen], mask[clips, chosen]
