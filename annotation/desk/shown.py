"""What the desk shows: everything that views read."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import TypeVar

import numpy as np

from annotation.desk import fields as field_rules
from annotation.desk.blocks import Blocks
from annotation.desk.feedback import feedback_on
from annotation.desk.guessing import GuessOffer
from annotation.desk.media import Media
from annotation.desk.passlog import PassLog, Sheet
from annotation.desk.place import PlaceKeeper
from annotation.desk.saving import Saver
from annotation.desk.state import (
    NOTICE,
    SAVING,
    Draft,
    Feedback,
    MarkedFrame,
    Notice,
    Option,
    Page,
    Saving,
)
from annotation.desk.steps import Said
from annotation.desk.topics import Topics
from annotation.desk.tracing import TraceRecorder
from annotation.desk.worktime import Worktime
from annotation.evidence.eyes import EyeEvidence, StimulusTrack
from annotation.items import Block, Item
from annotation.playback.player import Player
from annotation.queue.progress import Progress
from annotation.source import ClipSource, GoldAnswer, Guess
from data_schema.errors import EmerError
from data_schema.labels import TRAINING_VIEW, LabelRecord
from data_schema.labels.records import MarkRecord

_T = TypeVar("_T")


class ShownDesk:
    """An annotator at work on one pass, to be looked at.

    Parameters
    ----------
    source : ClipSource
        The clips; the desk closes it.
    clock : callable
        Seconds, monotonic.
    now_utc : callable
        The time, with its zone.

    Raises
    ------
    LabelError
        If the label log cannot be opened.
    """

    def __init__(
        self,
        source: ClipSource,
        *,
        clock: Callable[[], float] = time.monotonic,
        now_utc: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self.source, self.task = source, source.task
        self.items: Sequence[Item] = tuple(source.items())
        self.player = Player(clock)
        self._clock, self._now_utc = clock, now_utc
        self._topics = Topics()
        self._store = source.open_store()
        self._saver = Saver(self._store, self._tell, lambda: self._topics.note(SAVING))
        try:
            self._store.take_seat()
            self._log = PassLog(self._store, self.task, self.items)
            self._place = PlaceKeeper(self._store, self.task, clock)
        except EmerError:
            self._store.close()
            raise
        self._media = Media(source, self.player)
        self._blocks = Blocks(source, self.items, self._log.current)
        self._worktime = Worktime(self.items, self._log.current, source.rules.break_every_min, clock, now_utc)
        self._notice: Notice | None = None
        self._page, self._position, self._sheet = Page.CLIP, 0, Sheet(Said(), None, ())
        self._focus = field_rules.fields_of(self.task)[0]
        self._offer = GuessOffer(None, None, now_utc)
        self._seen: set[str] = set()
        self._trace: TraceRecorder | None = None
        self._ended_traces: list[TraceRecorder] = []
        self._panels: tuple[str, ...] = ("face",)
        self._told = ""
        self._closed = False

    # ------------------------------------------------------------ what is shown

    @property
    def item(self) -> Item | None:
        """The clip on the desk; None in an empty queue."""
        return self.items[self._position] if self.items else None

    @property
    def position(self) -> int:
        """Place of the item in the queue, from 0."""
        return self._position

    @property
    def page(self) -> Page:
        """Which page the window shows."""
        return self._page

    @property
    def draft(self) -> Draft:
        """What is said about the clip so far."""
        return self._sheet.said.draft

    @property
    def saved_label(self) -> LabelRecord | None:
        """The label of the item that counts now; None before the first commit."""
        return self._sheet.label

    @property
    def is_changed(self) -> bool:
        """True if there is a label, and the draft says something else that was not committed."""
        return self.saved_label is not None and not field_rules.says_the_same(self.draft, self.saved_label)

    @property
    def focus(self) -> str:
        """The field that digits and arrows fill."""
        return self._focus

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the pass, in the focus' order."""
        return field_rules.fields_of(self.task)

    @property
    def marks(self) -> tuple[MarkedFrame, ...]:
        """Marked frames of the item, in the order of the clip; flags are not among them."""
        found = [MarkedFrame(row.row_id, row.kind, self._index_of(row)) for row in self._sheet.marks]
        return tuple(sorted((one for one in found if one.kind != "flag"), key=lambda one: (one.index or 0, one.kind)))

    @property
    def flagged(self) -> bool:
        """True if the clip is to be looked at again."""
        return any(row.kind == "flag" for row in self._sheet.marks)

    @property
    def progress(self) -> Progress:
        """How far the work is."""
        return self._worktime.progress(self.item.block if self.item is not None else Block.MAIN)

    @property
    def notice(self) -> Notice | None:
        """The last thing to tell the user."""
        return self._notice

    @property
    def saving(self) -> Saving:
        """Whether what is shown as done is on the disk."""
        return self._saver.state

    @property
    def media_error(self) -> EmerError | None:
        """Why the face cannot be shown; None if it can."""
        return self._media.error or self.player.error

    @property
    def guess(self) -> Guess | None:
        """A model's guess, only while it is offered."""
        return self._offer.guess if self._offer.visible and self._page is Page.CLIP else None

    @property
    def has_seen_clip(self) -> bool:
        """True once the clip was shown."""
        return self.item is not None and self.item.item_id in self._seen

    @property
    def gold(self) -> GoldAnswer | None:
        """What experts say, only on the feedback page."""
        shown = self.item is not None and self._page is Page.FEEDBACK
        return self.source.gold(self.item) if shown and self.item is not None else None

    @property
    def feedback(self) -> Feedback | None:
        """The training label beside what experts say, only on the feedback page."""
        gold, label = self.gold, self.saved_label
        return feedback_on(label, gold) if gold is not None and label is not None else None

    @property
    def admitted(self) -> bool | None:
        """Whether the admission test is passed; None while only the lab can tell. True where there is none."""
        return self._blocks.admitted

    @property
    def tracing(self) -> bool:
        """True while a continuous trace is given."""
        return self._trace is not None

    @property
    def trace_point(self) -> tuple[float, float]:
        """Valence and arousal that the trace takes now."""
        return self._trace.point if self._trace is not None else (0.0, 0.0)

    @property
    def view(self) -> str:
        """What the annotator can see, as it is stored with a label."""
        panels = "+".join(self._panels)
        is_training = self.item is not None and self.item.block is Block.TRAINING
        return f"{TRAINING_VIEW}{panels}" if is_training else panels

    @property
    def stimulus(self) -> StimulusTrack | None:
        """The stimulus of the item, ER pass only."""
        return self._shown(self._media.stimulus)

    @property
    def eyes(self) -> EyeEvidence | None:
        """The eye behaviour of the item, ER pass only."""
        return self._shown(self._media.eyes)

    @property
    def can_undo(self) -> bool:
        """True if a step can be taken back."""
        return self._saver.is_waiting or self._may_turn("undo")

    @property
    def can_redo(self) -> bool:
        """True if a step can be said again."""
        return self._may_turn("redo")

    def is_done(self, position: int) -> bool:
        """Say whether the item at a place is labelled or skipped."""
        return self._blocks.is_done(position)

    def options(self, field: str) -> tuple[Option, ...]:
        """Return what a field offers and the digit of each answer."""
        return field_rules.options(field, self.source.labels)

    def subscribe(self, topic: str, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called after `topic` changed; returns what ends it."""
        return self._topics.subscribe(topic, callback)

    # ------------------------------------------------------------ told and computed

    def tell(self, level: str, text_id: str, **values: str) -> None:
        """Show a notice."""
        self._tell(Notice(level, text_id, values=values))

    def dismiss_notice(self) -> None:
        """Put the notice away."""
        with self._topics.change():
            if self._notice is not None:
                self._notice = None
                self._topics.note(NOTICE)

    def _tell(self, notice: Notice) -> None:
        with self._topics.change():
            self._notice = notice
            self._topics.note(NOTICE)

    def _may_turn(self, kind: str) -> bool:
        item = self._log.item_of_turn(kind)
        return item is not None and not self._blocks.is_closed(item)

    def _index_of(self, mark: MarkRecord) -> int | None:
        """Return the frame of a mark as it counts in the clip."""
        frames = self.player.frames
        if frames is None or mark.frame_pts is None:
            return None
        place = int(np.searchsorted(frames.pts, mark.frame_pts))
        return place if place < len(frames.pts) and frames.pts[place] == mark.frame_pts else None

    def _shown(self, get: Callable[[], _T | None]) -> _T | None:
        """Return what goes with the face; what cannot be opened is told once and left out."""
        try:
            return get()
        except EmerError as error:
            if str(error) != self._told:
                self._told = str(error)
                self._tell(Notice("warning", "evidence_missing", str(error)))
            return None
