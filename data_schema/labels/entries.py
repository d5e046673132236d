"""What a label file takes besides labels. `LabelStore.write` commits any of them together, all or none."""

from __future__ import annotations

from dataclasses import dataclass

from data_schema.labels.label import Label


@dataclass(frozen=True)
class Judged:
    """What a row is about: clip, recording, pass and repetition, as in `Label`."""

    clip_id: str
    clip_sha256: str
    task: str
    repetition: int = 0


@dataclass(frozen=True)
class TakenBack:
    """Take back what a label row said: what held before it holds again (an ``undo`` row of the labels)."""

    row_id: str


@dataclass(frozen=True)
class Restored:
    """Say again what a label row said before it was taken back (a ``redo`` row of the labels)."""

    row_id: str


@dataclass(frozen=True)
class Mark:
    """Mark a frame (apex, onset, offset) or flag the clip; with `removes`, take such a mark back."""

    about: Judged
    kind: str
    frame_index: int | None = None
    frame_pts: int | None = None
    comment: str = ""
    removes: str | None = None


@dataclass(frozen=True)
class Trace:
    """Begin a continuous trace; its samples follow by `LabelStore.add_samples`."""

    about: Judged
    mode: str
    traced: str
    speed: float = 1.0
    supersedes: str | None = None


@dataclass(frozen=True)
class ShownGuess:
    """What became of a model's guess. `guess` is a JSON object of fields and confidence.

    Without a `label_row_id`, `LabelStore.write` puts in the row of the last `Label` before it in the same call: the
    two are committed together, and the label has no row id before.
    """

    about: Judged
    model_sha256: str
    guess: str
    outcome: str
    shown_utc: str | None = None
    label_row_id: str | None = None
    label_ms: int | None = None


@dataclass(frozen=True)
class Step:
    """One step at the desk: `before` and `after` are JSON, `of` the step that an undo or redo is about."""

    about: Judged
    item_id: str
    kind: str
    before: str
    after: str
    of: str | None = None


@dataclass(frozen=True)
class Decision:
    """An adjudicator's decision; `reason` is never empty, `seen` a JSON list of label rows."""

    about: Judged
    reason: str
    seen: str
    emotion: str | None = None
    polarity: str | None = None
    valence: float | None = None
    arousal: float | None = None
    intensity: float | None = None
    supersedes: str | None = None


Entry = Label | TakenBack | Restored | Mark | Trace | ShownGuess | Step | Decision
