"""Which part of a recording a clip is, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class ClipSpan:
    """One clip to compute.

    Parameters
    ----------
    clip_id : str
    trial_id : int
    t_start_us, t_end_us : int
        Host clock, microseconds, end excluded.
    """

    clip_id: str
    trial_id: int
    t_start_us: int
    t_end_us: int

    @property
    def duration_s(self) -> float:
        """Length of the clip, seconds."""
        return (self.t_end_us - self.t_start_us) / 1e6

    def as_json(self) -> dict[str, Any]:
        """Return the fields, for a key."""
        return asdict(self)


def clip_spans(clips: pd.DataFrame) -> tuple[ClipSpan, ...]:
    """Return the clips of rows of the clip index, in the order of their trials."""
    ordered = clips.sort_values("trial_id")
    return tuple(
        ClipSpan(str(name), int(trial), int(start), int(end))
        for name, trial, start, end in zip(
            ordered["clip_id"], ordered["trial_id"], ordered["t_start_us"], ordered["t_end_us"], strict=True
        )
    )
