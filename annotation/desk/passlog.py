"""One annotator's log of one pass, as the desk reads and writes it: an item's sheet, a step, its undo.

Each method that writes is one transaction; what it returns is on the disk. When
the store raises, nothing here has changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.desk.fields import draft_of
from annotation.desk.steps import Done, Said, StepStack, entry_of, said_in
from annotation.items import Item
from data_schema.labels import Label, LabelRecord, LabelStore
from data_schema.labels.entries import Entry, Judged, Restored, Step, TakenBack
from data_schema.labels.records import GuessRecord, MarkRecord, StepRecord

#: Steps that undo can go back through after a restart. A full label is at most 8 of them; nobody takes back an hour.
UNDO_DEPTH = 500


@dataclass(frozen=True)
class Sheet:
    """What the log says of one item."""

    said: Said
    label: LabelRecord | None
    marks: tuple[MarkRecord, ...]


@dataclass(frozen=True)
class Batch:
    """Entries that are written together, with the step that they make.

    A batch that failed is written again as it is: the store then knows it for
    the one of which it could not tell whether it had reached the disk.
    """

    item: Item
    entries: tuple[Entry, ...]
    step: Step
    says_label: bool


class PassLog:
    """The log of one pass.

    Parameters
    ----------
    store : LabelStore
    task : {'er', 'fer'}
    items : sequence of Item
        The queue; steps on other items cannot be undone.
    """

    def __init__(self, store: LabelStore, task: str, items: Sequence[Item]) -> None:
        self.store, self.task = store, task
        self._items = {item.item_id: item for item in items}
        self.current: dict[tuple[str, str, int], LabelRecord] = {row.key: row for row in store.current(task)}
        self.guesses: dict[tuple[str, str, int], GuessRecord] = {row.key: row for row in store.guesses(task)}
        # Only of the recording that is shown now: said again, a mark of another one would be of a wrong frame.
        rows = [row for row in store.steps(task, limit=UNDO_DEPTH) if self._is_of_shown(row)]
        self.stack = StepStack.of_rows(rows)

    def sheet(self, item: Item) -> Sheet:
        """Return what is said about an item."""
        label = self.current.get(item.key)
        steps = self.store.steps_of(item.item_id)
        history = self._history(item)
        if len({row.row_id for row in history} - {row.supersedes for row in history}) > 1:
            # Two copies of the file went on apart: the label that was given last holds, whichever was merged last.
            steps.sort(key=lambda row: (row.created_utc, row.row_id))
        told = (said_in(json.loads(row.after)) for row in reversed(steps))
        said = next((one for one in told if one is not None), None)
        return Sheet(said or Said(draft_of(label)), label, self.marks(item))

    def marks(self, item: Item) -> tuple[MarkRecord, ...]:
        """Return the marks that hold of an item, in the recording that is shown, and its flags."""
        held = (row for row in self.store.marks(self.task, item.clip_id) if row.repetition == item.repetition)
        return tuple(row for row in held if row.frame_index is None or row.clip_sha256 == item.clip_sha256)

    def step(
        self, kind: str, item: Item, before: Mapping[str, Any], after: Mapping[str, Any], entries: Sequence[Entry] = ()
    ) -> Batch:
        """Return a new step with the entries that it brings, to be given to `write`."""
        step = Step(judged(item), item.item_id, kind, _json(before), _json(after))
        return Batch(item, (*entries, step), step, any(isinstance(entry, Label) for entry in entries))

    def turn(self, kind: str) -> Batch | None:
        """Return the undo of the last step, or the redo of what was undone last; None if there is nothing."""
        done = self.stack.last if kind == "undo" else self.stack.next
        if done is None:
            return None
        item = self._items[done.item_id]
        start, end = (done.after, done.before) if kind == "undo" else (done.before, done.after)
        entries: list[Entry] = []
        says_label = bool(done.after.get("label"))
        if says_label:
            row_id = self._label_to_turn(item, kind)
            entries += [] if row_id is None else [TakenBack(row_id) if kind == "undo" else Restored(row_id)]
        entries += self._mark_changes(item, start.get("marks", []), end.get("marks", []))
        step = Step(judged(item), item.item_id, kind, _json(start), _json(end), of=done.row_id)
        return Batch(item, (*entries, step), step, says_label)

    def write(self, batch: Batch) -> list[str]:
        """Commit a batch, then take over what it changed; returns the row ids, the step's last."""
        row_ids = self.store.write(batch.entries)
        step = batch.step
        if step.kind == "undo":
            self.stack.undone()
        elif step.kind == "redo":
            self.stack.redone()
        else:
            self.stack.add(Done(row_ids[-1], step.item_id, step.kind, json.loads(step.before), json.loads(step.after)))
        if batch.says_label:
            self._read_label(batch.item)
        return row_ids

    def item_of_turn(self, kind: str) -> Item | None:
        """Return the item that undo or redo is about."""
        done = self.stack.last if kind == "undo" else self.stack.next
        return None if done is None else self._items[done.item_id]

    def note_guess(self, item: Item) -> None:
        """Read again what the log holds about the guess for an item."""
        for row in self.store.guesses(self.task):
            if row.key == item.key:
                self.guesses[row.key] = row

    def _is_of_shown(self, row: StepRecord) -> bool:
        item = self._items.get(row.item_id)
        return item is not None and item.clip_sha256 == row.clip_sha256

    def _read_label(self, item: Item) -> None:
        """Take over the item's label as it stands in the log, not as we believe that it was written."""
        rows = self._history(item)
        if rows and not rows[-1].takes_back:
            self.current[item.key] = rows[-1]
        else:
            self.current.pop(item.key, None)

    def _history(self, item: Item) -> list[LabelRecord]:
        return [row for row in self.store.history(item.clip_id, self.task) if row.repetition == item.repetition]

    def _label_to_turn(self, item: Item, kind: str) -> str | None:
        """Replay the labels of an item: return the one to be taken back, or the one to be said again.

        Undo goes backwards through the steps, so the label that a step brought is the last that is not taken back.
        """
        done: list[str] = []
        undone: list[str] = []
        for row in self._history(item):
            if row.action == "label":
                done.append(row.row_id)
                undone.clear()
            elif row.action == "undo" and done:
                undone.append(done.pop())
            elif row.action == "redo" and undone:
                done.append(undone.pop())
        found = done if kind == "undo" else undone
        return found[-1] if found else None

    def _mark_changes(
        self, item: Item, start: Sequence[Mapping[str, Any]], end: Sequence[Mapping[str, Any]]
    ) -> list[Entry]:
        about = judged(item)
        changes: list[Entry] = [entry_of(plain, about) for plain in end if plain not in start]
        held = self.marks(item)
        for plain in start:
            if plain in end:
                continue
            same = [row for row in held if (row.kind, row.frame_index) == (plain["kind"], plain["frame_index"])]
            changes += [entry_of(plain, about, removes=same[-1].row_id)] if same else []
        return changes


def judged(item: Item) -> Judged:
    """Return what a row about an item names."""
    return Judged(item.clip_id, item.clip_sha256, item.task, item.repetition)


def _json(plain: Mapping[str, Any]) -> str:
    return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
