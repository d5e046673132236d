"""Steps at the desk: what undo and redo go through, read back from the log after a restart.

A step says what held before and what holds after, as JSON objects with the keys
``draft`` (what is said), ``guess`` (whether a model's guess was taken over),
``label`` (true where the step also committed a label) and ``marks`` (marks that
come or go). A key that is absent did not change. An undo row holds the same two,
the other way round, so that the item's last row always tells its draft.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from annotation.desk import fields as field_rules
from annotation.desk.state import Draft
from data_schema.labels.entries import Judged, Mark

#: Steps that stay as they are: a trace is replaced by another trace, never taken back.
NOT_UNDONE = ("trace",)


@dataclass(frozen=True)
class Done:
    """One step that undo or redo may be about."""

    row_id: str
    item_id: str
    kind: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(frozen=True)
class Said:
    """What a step keeps of an item: the draft, and whether a model's guess was taken over in it."""

    draft: Draft = field(default_factory=Draft)
    guess: bool = False

    def plain(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"draft": field_rules.to_plain(self.draft), "guess": self.guess}


def said_in(after: Mapping[str, Any]) -> Said | None:
    """Return what a step said; None if it was about marks alone."""
    if "draft" not in after:
        return None
    draft = field_rules.from_plain(after["draft"])
    return Said(draft, bool(after.get("guess")))


def plain_mark(kind: str, frame_index: int | None, frame_pts: int | None, comment: str) -> dict[str, Any]:
    """Return a mark for JSON."""
    return {"kind": kind, "frame_index": frame_index, "frame_pts": frame_pts, "comment": comment}


def entry_of(plain: Mapping[str, Any], about: Judged, removes: str | None = None) -> Mark:
    """Return the log's entry of a mark that comes, or of one that goes."""
    return Mark(
        about=about,
        kind=plain["kind"],
        frame_index=plain["frame_index"],
        frame_pts=plain["frame_pts"],
        comment=plain["comment"],
        removes=removes,
    )


class StepStack:
    """What can be undone and redone, newest last."""

    def __init__(self) -> None:
        self._done: list[Done] = []
        self._undone: list[Done] = []

    @classmethod
    def of_rows(cls, rows: Iterable[Any]) -> StepStack:
        """Replay rows of the log (`StepRecord`, oldest first)."""
        stack = cls()
        for row in rows:
            before, after = json.loads(row.before), json.loads(row.after)
            if row.kind in ("undo", "redo"):
                # The row holds what it brought about, so an undo turned round is the step itself. That also serves
                # where the log is read from the middle and the step lies before.
                pair = (after, before) if row.kind == "undo" else (before, after)
                stack._turn(row.kind, Done(row.of, row.item_id, "", *pair))
            else:
                stack.add(Done(row.row_id, row.item_id, row.kind, before, after))
        return stack

    @property
    def last(self) -> Done | None:
        """What undo would take back."""
        return self._done[-1] if self._done else None

    @property
    def next(self) -> Done | None:
        """What redo would say again."""
        return self._undone[-1] if self._undone else None

    def add(self, step: Done) -> None:
        """Note a new step; nothing can be redone after it."""
        self._undone.clear()
        if step.kind not in NOT_UNDONE:
            self._done.append(step)

    def undone(self) -> None:
        """Note that the last step was taken back."""
        self._undone.append(self._done.pop())

    def redone(self) -> None:
        """Note that the step taken back last was said again."""
        self._done.append(self._undone.pop())

    def _turn(self, kind: str, step: Done) -> None:
        source, target = (self._done, self._undone) if kind == "undo" else (self._undone, self._done)
        if source and source[-1].row_id == step.row_id:
            step = source.pop()
        target.append(step)
