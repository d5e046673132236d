"""The annotator's desk: one queue, one clip at a time, everything said about it saved before it is shown.

The desk knows no window. Views read its properties, subscribe to its topics
(`annotation.desk.state`) and call its intents; one thread uses it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone

from annotation.desk import fields as field_rules
from annotation.desk.state import (
    DRAFT,
    GUESS,
    ITEM,
    MARKS,
    NOTICE,
    PAGE,
    PLAYBACK,
    PROGRESS,
    SAVING,
    TRACE,
    Draft,
    Feedback,
    MarkedFrame,
    Notice,
    Option,
    Page,
    Progress,
    Saving,
)
from annotation.desk.topics import Topics
from annotation.evidence.eyes import EyeEvidence, StimulusTrack
from annotation.items import Item
from annotation.source import ClipSource, GoldAnswer, Guess
from data_schema.labels import LabelRecord


class Desk:
    """An annotator at work on one pass."""

    def __init__(
        self,
        source: ClipSource,
        *,
        clock: Callable[[], float] = time.monotonic,
        now_utc: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self.source = source
        self.task = source.task
        self.items: Sequence[Item] = tuple(source.items())
        self.player = None
        self._topics = Topics()
        self._clock, self._now_utc = clock, now_utc
        self._position = 0
        self._draft = Draft()
        self._focus = "emotion"

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
        return Page.CLIP

    @property
    def draft(self) -> Draft:
        """What is said about the clip so far."""
        return self._draft

    @property
    def saved_label(self) -> LabelRecord | None:
        """The label of the item that counts now; None before the first commit."""
        return None

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
        return ()

    @property
    def flagged(self) -> bool:
        """True if the clip is to be looked at again."""
        return False

    @property
    def progress(self) -> Progress:
        """How far the work is."""
        return Progress("main", 0, len(self.items), 0, None, None, 0.0)

    @property
    def notice(self) -> Notice | None:
        """The last thing to tell the user."""
        return None

    @property
    def saving(self) -> Saving:
        """Whether what is shown as done is on the disk."""
        return Saving.SAVED

    @property
    def guess(self) -> Guess | None:
        """A model's guess, only while it is offered."""
        return None

    @property
    def has_seen_clip(self) -> bool:
        """True once the clip was shown to its end."""
        return False

    @property
    def gold(self) -> GoldAnswer | None:
        """What experts say, only on the feedback page."""
        return None

    @property
    def feedback(self) -> Feedback | None:
        """The training label beside what experts say, only on the feedback page."""
        return None

    @property
    def admitted(self) -> bool | None:
        """How the admission test ended; None while only the lab can tell. True where there is none."""
        return True

    @property
    def tracing(self) -> bool:
        """True while a continuous trace is given."""
        return False

    @property
    def trace_point(self) -> tuple[float, float]:
        """Valence and arousal that the trace takes now."""
        return (0.0, 0.0)

    @property
    def view(self) -> str:
        """What the annotator can see, as it is stored with a label."""
        return "face"

    @property
    def stimulus(self) -> StimulusTrack | None:
        """The stimulus of the item, ER pass only."""
        return None

    @property
    def eyes(self) -> EyeEvidence | None:
        """The eye behaviour of the item, ER pass only."""
        return None

    @property
    def can_undo(self) -> bool:
        """True if a step can be taken back."""
        return False

    @property
    def can_redo(self) -> bool:
        """True if a step can be said again."""
        return False

    def is_done(self, position: int) -> bool:
        """Say whether the item at a place is labelled or skipped."""
        return False

    def options(self, field: str) -> tuple[Option, ...]:
        """Return what a field offers and the digit of each answer."""
        return field_rules.options(field, self.source.labels)

    def subscribe(self, topic: str, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called after `topic` changed; returns what ends it."""
        return self._topics.subscribe(topic, callback)

    # ------------------------------------------------------------ intents

    def perform(self, action: str) -> bool:
        """Do an action of `annotation.keys`; False for one that the desk does not know (the window's)."""
        return False

    def set(self, field: str, value: str | float | None) -> None:
        """Say one field of the label; None empties it."""

    def set_point(self, valence: float, arousal: float) -> None:
        """Say valence and arousal together, as one step."""

    def focus_on(self, field: str) -> None:
        """Move the focus."""

    def set_comment(self, text: str) -> None:
        """Say the comment."""

    def skip(self, reason: str) -> None:
        """Commit that there is no label, with the reason, and go on."""

    def commit(self) -> None:
        """Commit the draft as the label of the item, and go on."""

    def undo(self) -> None:
        """Take back the last step, on whichever item it was."""

    def redo(self) -> None:
        """Say again the step that was taken back last."""

    def toggle_flag(self, comment: str = "") -> None:
        """Flag the clip, or take the flag away."""

    def mark(self, kind: str) -> None:
        """Mark the frame that is shown: apex, onset or offset."""

    def remove_mark(self, row_id: str) -> None:
        """Take a mark back."""

    def goto(self, position: int) -> None:
        """Put another item on the desk."""

    def next(self) -> None:
        """Go to the next item."""

    def previous(self) -> None:
        """Go to the item before."""

    def next_open(self) -> None:
        """Go to the next item without a label, from the start again after the last."""

    def accept_guess(self) -> None:
        """Take the model's guess over and commit it."""

    def start_trace(self) -> None:
        """Begin a continuous trace from the clip's start."""

    def trace_to(self, valence: float, arousal: float) -> None:
        """Say where the trace is now."""

    def stop_trace(self) -> None:
        """End the trace; what was traced is kept."""

    def take_break(self) -> None:
        """Show the break page; the clock stands."""

    def end_break(self) -> None:
        """Go on after a break."""

    def acknowledge(self) -> None:
        """Go on from the feedback page, or from the admission page once passed."""

    def enter_code(self, text: str) -> bool:
        """Take the lab's code of admission; False if it is not the right one."""
        return False

    def set_panels(self, names: Iterable[str]) -> None:
        """Say what is visible; stored as the view of each label."""

    def set_active(self, active: bool) -> None:
        """Say whether the window is in front; time counts only while it is."""

    def tick(self) -> None:
        """Let time pass: call it about 60 times a second."""

    def retry(self) -> None:
        """Try again what could not be saved."""

    def dismiss_notice(self) -> None:
        """Put the notice away."""

    def close(self) -> None:
        """Save the place and close all files; may be called again."""
