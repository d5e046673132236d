"""Turn the rows of a bundle's label file into rows of the study.

Opaque names become clips, numbers of frames in a bundle's file become those of the session's video. Row ids, times
and everything that was said stay as they are.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from annotation.bundle.contents import BundleError
from annotation.bundle.keys import BundleKey, KeyItem
from data_schema.labels import (
    DecisionRecord,
    GuessRecord,
    LabelRecord,
    LabelValueError,
    Record,
    StepRecord,
    TraceRecord,
    TraceSamples,
)

_NAME = re.compile(r"\bc[0-9a-f]{19}\b")


class Homecoming:
    """The rows of one label file on their way into the study.

    Parameters
    ----------
    keys : list of BundleKey
        How names are read; empty for a file that calls clips as the study does.
    clip_hashes : mapping
        The recording of each of the study's clips, now.
    emotions : sequence of str
        Emotions that the study offers.
    owner : tuple of str
        Id and kind of the annotator whose file it is.
    """

    def __init__(
        self,
        keys: Sequence[BundleKey],
        clip_hashes: Mapping[str, str],
        emotions: Sequence[str],
        owner: tuple[str, str],
    ) -> None:
        self.problems: dict[str, list[str]] = defaultdict(list)
        self.n_changed = 0
        self._is_bundle = bool(keys)
        self._items: dict[str, tuple[KeyItem, str]] = {}
        # By the video as well: where a session was recorded anew or repaired, a later bundle calls another recording by
        # the same name, and its frames have other numbers at home.
        self._videos: dict[tuple[str, str], KeyItem] = {}
        for key in keys:
            for item in key.items:
                self._items[item.name] = (item, key.task)
                self._videos.update({(item.name, face): item for face in item.face_sha256})
        self._clip_hashes = clip_hashes
        self._emotions = emotions
        self._owner = owner
        self._traces: dict[str, KeyItem | None] = {}

    def translated(self, log: str, rows: Iterable[Record]) -> list[Record]:
        """Return the rows of a log as they stand in the study; what does not fit goes to `problems`.

        Traces have to come before their samples.
        """
        return [home for home in (self._row(log, row) for row in rows) if home is not None]

    def withheld_guesses(self, labels: Iterable[Record], guesses: Iterable[Record]) -> list[Record]:
        """Return the log of guesses that were kept out of the bundle on purpose (blind control share).

        The annotator's machine knew nothing of them, so their rows are made here, with ids that follow from the
        labels': merging again makes the same rows.
        """
        logged = {row.label_row_id for row in guesses if isinstance(row, GuessRecord)}
        by_place = {
            (item.clip_id, task, item.repetition): item.guess
            for item, task in self._items.values()
            if item.guess is not None
        }
        made: list[Record] = []
        for row in labels:
            guess = by_place.get(row.key) if isinstance(row, LabelRecord) else None
            if guess is None or row.row_id in logged or row.action != "label" or row.supersedes is not None:
                continue
            said = {"emotion": guess["emotion"], "confidence": guess["confidence"], **guess["scales"]}
            about = {name: getattr(row, name) for name in _ABOUT}
            row_id = hashlib.sha256(f"withheld guess {row.row_id}".encode()).hexdigest()[:32]
            cells = {
                **about,
                "row_id": row_id,
                "model_sha256": guess["model_sha256"],
                "guess": json.dumps(said),
                "shown_utc": None,
                "outcome": "control",
                "label_row_id": row.row_id,
                "label_ms": row.duration_ms,
            }
            made.append(GuessRecord(**cells))
        return made

    def _row(self, log: str, row: Record) -> Record | None:
        name = f"chunk {row.chunk} of trace {row.trace_id}" if isinstance(row, TraceSamples) else f"row {row.row_id}"
        try:
            row.check()
            self._check_owner(row)
            if isinstance(row, LabelRecord) and row.emotion is not None:
                row.label.check_emotions(self._emotions)
            home = self._samples(row) if isinstance(row, TraceSamples) else self._at_home(row)
        except (LabelValueError, BundleError) as error:
            self.problems[f"{log}, left out"].append(f"{name}: {error}")
            return None
        except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
            # Only another program writes such cells; one row of theirs must not keep the others from coming home.
            self.problems[f"{log}, left out"].append(f"{name}: holds what this toolkit never writes ({error})")
            return None
        if isinstance(row, TraceRecord):
            self._traces[row.row_id] = self._videos.get((row.clip_id, row.clip_sha256))
        if not isinstance(home, TraceSamples):
            self.n_changed += self._clip_hashes.get(home.clip_id, home.clip_sha256) != home.clip_sha256
        return home

    def _check_owner(self, row: Record) -> None:
        kind = self._owner[1] if isinstance(row, TraceSamples) else row.annotator_kind
        if (row.annotator_id, kind) != self._owner:
            raise BundleError(f"is by {row.annotator_id} ({kind}) in the file of {self._owner[0]} ({self._owner[1]})")

    def _at_home(self, row: Any) -> Any:
        if not self._is_bundle:
            if row.clip_id not in self._clip_hashes:
                raise BundleError(f"the study has no clip {row.clip_id}")
            return row
        if isinstance(row, DecisionRecord):
            # It would lie on top of everybody's labels, and no window of a bundle makes one.
            raise BundleError("is an adjudicator's decision, which nobody makes in a bundle")
        task = self._item(row.clip_id)[1]
        if row.task != task or row.repetition != 0:
            raise BundleError(f"is about {row.task}, repetition {row.repetition}; the bundle has {task}, 0")
        item = self._videos.get((row.clip_id, row.clip_sha256))
        if item is None:
            raise BundleError(f"another video than the one that was handed out was judged as {row.clip_id}")
        changes: dict[str, Any] = {
            "clip_id": item.clip_id,
            "clip_sha256": item.clip_sha256,
            "repetition": item.repetition,
        }
        if getattr(row, "frame_index", None) is not None:
            changes["frame_index"], changes["frame_pts"] = item.home_frame(row.frame_index, row.frame_pts)
        if isinstance(row, StepRecord):
            changes["item_id"] = self._item(row.item_id)[0].item_id
            changes |= {"before": self._retold(row.before, item), "after": self._retold(row.after, item)}
        return dataclasses.replace(row, **changes)

    def _samples(self, row: TraceSamples) -> TraceSamples:
        if row.trace_id not in self._traces:
            raise BundleError("its trace is not in the file, or was left out")
        if not self._is_bundle:
            return row
        item = self._traces[row.trace_id]
        if item is None:
            raise BundleError("its trace is of no video that was handed out")
        values = row.values.copy()
        for place in range(len(values)):
            frame, pts = item.home_frame(int(values["frame_index"][place]), int(values["frame_pts"][place]))
            values["frame_index"][place], values["frame_pts"][place] = frame, pts
        return dataclasses.replace(row, samples=values.tobytes())

    def _item(self, name: str) -> tuple[KeyItem, str]:
        if name not in self._items:
            raise BundleError(f"no bundle of this annotator has a clip {name}")
        return self._items[name]

    def _retold(self, text: str, item: KeyItem) -> str:
        """Return a step's JSON with the study's names and frames in it: undo goes on from it at the lab."""
        said = json.loads(text)
        home = self._with_home_frames(said, item)
        named = _NAME.sub(
            lambda found: self._items[found[0]][0].item_id if found[0] in self._items else found[0],
            json.dumps(home, ensure_ascii=False) if home != said else text,
        )
        return str(named)

    def _with_home_frames(self, said: Any, item: KeyItem) -> Any:
        if isinstance(said, list):
            return [self._with_home_frames(part, item) for part in said]
        if not isinstance(said, dict):
            return said
        home = {name: self._with_home_frames(part, item) for name, part in said.items()}
        if isinstance(home.get("frame_index"), int):
            home["frame_index"], home["frame_pts"] = item.home_frame(home["frame_index"], home.get("frame_pts"))
        return home


#: What a guess takes over from the label that it is about.
_ABOUT = (
    "annotator_id", "annotator_kind", "clip_id", "clip_sha256", "task", "repetition", "created_utc", "toolkit_version",
)  # fmt: skip
