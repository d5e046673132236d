"""The annotator's desk: one queue, one clip at a time, everything said about it saved before it is shown.

The desk knows no window. Views read its properties (`annotation.desk.shown`),
subscribe to its topics (`annotation.desk.state`) and call its intents; one thread
uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from annotation.desk import actions
from annotation.desk import fields as field_rules
from annotation.desk.moving import MovingDesk
from annotation.desk.passlog import judged
from annotation.desk.state import (
    DRAFT,
    FRAME,
    GUESS,
    MARKS,
    PLAYBACK,
    TRACE,
    Draft,
    Notice,
    Page,
)
from annotation.desk.steps import Said, entry_of, plain_mark
from annotation.desk.tracing import TraceRecorder
from annotation.items import Block, Item
from annotation.playback.player import Player
from data_schema.labels import Label, LabelValueError
from data_schema.labels.entries import Entry, Trace
from data_schema.labels.records import MarkRecord

#: Share of a clip's frames that have to be shown before the clip counts as seen. Not all of them: a frame or two may
#: be dropped where the machine is slow, and the last one is easily missed.
SEEN_SHARE = 0.9


class Desk(MovingDesk):
    """An annotator at work on one pass: what they say, mark and trace.

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

    # ------------------------------------------------------------ the label

    def perform(self, action: str) -> bool:
        """Do an action of `annotation.keys`; False for one that the desk does not know (the window's)."""
        with self._topics.change():
            return actions.perform(self, action)

    def set(self, field: str, value: str | float | None) -> None:
        """Say one field of the label; None empties it.

        Raises
        ------
        LabelValueError
            If the field does not take the value.
        """
        checked = field_rules.check(field, value, self.source.labels)
        draft = field_rules.changed(self.draft, field, checked, self.source.labels)
        self._say(draft, field if checked is None else field_rules.after(field, draft, self.task))

    def set_point(self, valence: float, arousal: float) -> None:
        """Say valence and arousal together, as one step; values beyond the scale are taken as its end."""
        held = {"valence": valence, "arousal": arousal}
        draft = self.draft
        for field, value in held.items():
            checked = field_rules.check(field, min(max(float(value), -1.0), 1.0), self.source.labels)
            draft = field_rules.changed(draft, field, checked, self.source.labels)
        self._say(draft, field_rules.after("arousal", draft, self.task))

    def press_digit(self, digit: int) -> None:
        """Give the focused field the answer of a digit."""
        value = next((option.value for option in self.options(self._focus) if option.digit == digit), None)
        if value is None:
            digits = [option.digit for option in self.options(self._focus)]
            taken = f"{min(digits)}-{max(digits)}"
            self.tell("warning", "no_such_digit", digit=str(digit), fields=self._focus, digits=taken)
        else:
            self.set(self._focus, value)

    def nudge(self, direction: int) -> None:
        """Move the focused field, or the trace, up (1) or down (-1); the focus stays."""
        if self._trace is not None:
            step = direction * field_rules.STEP["valence"]
            valence, arousal = self._trace.point
            of_arousal = self.source.rules.trace_of == "arousal"
            self.trace_to(valence + (0.0 if of_arousal else step), arousal + (step if of_arousal else 0.0))
            return
        value = field_rules.nudged(self.draft, self._focus, direction, self.source.labels)
        self._say(field_rules.changed(self.draft, self._focus, value, self.source.labels), self._focus)

    def clear_field(self) -> None:
        """Empty the focused field."""
        self.set(self._focus, None)

    def focus_on(self, field: str) -> None:
        """Move the focus."""
        if field in self.fields:
            with self._topics.change():
                self._focus = field
                self._topics.note(DRAFT)

    def move_focus(self, n: int) -> None:
        """Move the focus on, or back; from the last field to the first."""
        self.focus_on(self.fields[(self.fields.index(self._focus) + n) % len(self.fields)])

    def set_comment(self, text: str) -> None:
        """Say the comment."""
        self._say(replace(self.draft, comment=text.strip()), self._focus)

    def skip(self, reason: str) -> None:
        """Commit that there is no label, with the reason, and go on."""
        self._commit(Said(Draft(skip_reason=reason, comment=self.draft.comment)), "commit")

    def commit(self) -> None:
        """Commit the draft as the label of the item, and go on."""
        self._commit(self._sheet.said, "commit")

    def accept_guess(self) -> None:
        """Take the model's guess over and commit it; where the study asks for more, the focus goes there."""
        item = self.item
        if item is None or self.guess is None:
            self.tell("info", "no_guess" if self.has_seen_clip else "see_clip_first")
            return
        try:
            said = Said(self._offer.fill(self.draft, item, self.source.labels), guess=True)
        except LabelValueError as error:
            self._tell(Notice("warning", "not_possible", str(error)))
            return
        if field_rules.lacking(said.draft, self.source.rules.required, self.task):
            with self._topics.change():
                if self._write_said(said, "guess"):
                    self._commit(said, "commit")  # says what lacks
        else:
            self._commit(said, "guess")

    # ------------------------------------------------------------ marks

    def toggle_flag(self, comment: str = "") -> None:
        """Flag the clip, or take the flag away."""
        flags = [row for row in self._sheet.marks if row.kind == "flag"]
        if flags:
            self._change_marks([], flags)
        else:
            self._change_marks([plain_mark("flag", None, None, comment)], [])

    def mark(self, kind: str) -> None:
        """Mark the frame that is shown: apex, onset or offset."""
        identity = self.player.identity
        if identity is None or self.player.image is None:
            self.tell("warning", "no_frame")
            return
        index, pts = identity.frame_index, identity.frame_pts
        if not any((row.kind, row.frame_index) == (kind, index) for row in self._sheet.marks):
            self._change_marks([plain_mark(kind, index, pts, "")], [])

    def remove_mark_here(self) -> None:
        """Take back the marks of the frame that is shown."""
        identity = self.player.identity
        here = [row for row in self._sheet.marks if identity is not None and row.frame_index == identity.frame_index]
        if here:
            self._change_marks([], here)
        else:
            self.tell("info", "no_mark_here")

    # ------------------------------------------------------------ trace

    def start_trace(self) -> None:
        """Begin a continuous trace from the clip's start."""
        mode, item = self.source.rules.trace, self.item
        if mode == "off" or item is None or self.player.image is None or self._page is not Page.CLIP:
            self.tell("warning", "no_trace" if mode == "off" else "no_frame")
            return
        if self._trace is not None or self._refuse_closed(item):
            return
        traced, speed = self.source.rules.trace_of, self.player.speed
        plain = {"trace": {"mode": mode, "traced": traced, "speed": speed}}
        earlier = [row for row in self._store.traces(self.task, item.clip_id) if row.repetition == item.repetition]
        entry = Trace(judged(item), mode, traced, speed, earlier[-1].row_id if earlier else None)
        batch = self._log.step("trace", item, {}, plain, [entry])

        def begin(row_ids: list[str]) -> None:
            self._trace = TraceRecorder(self._store, row_ids[0], mode, traced, self._clock)
            if self.player.loop is not None:
                self.player.toggle_loop()
            self.player.to_start()
            self.player.play()
            self._topics.note(TRACE, FRAME, PLAYBACK)

        self._save(batch, begin)

    def trace_to(self, valence: float, arousal: float) -> None:
        """Say where the trace is now."""
        if self._trace is not None:
            with self._topics.change():
                self._trace.move_to(valence, arousal)
                self._topics.note(TRACE)

    # ------------------------------------------------------------ window, time, saving

    def set_panels(self, names: Iterable[str]) -> None:
        """Say what is visible; stored as the view of each label."""
        self._panels = tuple(names) or ("face",)

    def set_active(self, active: bool) -> None:
        """Say whether the window is in front; time counts only while it is."""
        self._worktime.set_active(active)
        if not active and not self._closed:
            self._saver.settle()

    def tick(self) -> None:
        """Let time pass: call it about 60 times a second."""
        with self._topics.change():
            was_playing = self.player.playing
            if self.player.tick():
                self._topics.note(FRAME)
            if self.player.playing != was_playing:
                self._topics.note(PLAYBACK)
            self._sample_trace(ended=was_playing and not self.player.playing)
            self._look_at_guess()
            self._tell_media_error()
            if self._page is Page.CLIP and self.item is not None:
                self._place.follow(self._where(), self.player.playing)

    def play_action(self, go: Callable[[Player], None]) -> None:
        """Let the player do something."""
        with self._topics.change():
            go(self.player)
            self._topics.note(FRAME, PLAYBACK)

    def retry(self) -> None:
        """Try again what could not be saved."""
        with self._topics.change():
            if self._saver.is_waiting and self._saver.retry():
                self.tell("info", "saved_again")
            self._save_traces()

    def close(self) -> None:
        """Save the place and close all files; may be called again."""
        if self._closed:
            return
        self.stop_trace()
        if self._saver.retry():
            self._save_traces()
        if self.item is not None:
            self._place.save(self._where(), seconds_too=True)
        self._closed = True
        self._media.close()
        self._store.close()
        self.source.close()

    # ------------------------------------------------------------ steps

    def _say(self, draft: Draft, focus: str) -> None:
        """Save a changed draft as one step, then move the focus; without a change only the focus moves."""
        said = Said(draft, self._sheet.said.guess)
        with self._topics.change():
            if draft == self.draft or self._write_said(said, "set"):
                self.focus_on(focus)

    def _write_said(self, said: Said, kind: str) -> bool:
        item = self.item
        if item is None or self._page is not Page.CLIP or self._refuse_closed(item):
            return False
        try:
            field_rules.check_comment(said.draft.comment, item)
        except LabelValueError as error:
            self._tell(Notice("warning", "not_possible", str(error)))
            return False
        batch = self._log.step(kind, item, self._sheet.said.plain(), said.plain())

        def show(_: list[str]) -> None:
            self._sheet = replace(self._sheet, said=said)
            self._topics.note(DRAFT)

        return self._save(batch, show)

    def _commit(self, said: Said, kind: str) -> None:
        item = self.item
        if item is None or self._page is not Page.CLIP or self._refuse_closed(item):
            return
        if said.draft.skip_reason is None and self._refuse_incomplete(said.draft):
            return
        if said == self._sheet.said and field_rules.says_the_same(said.draft, self.saved_label):
            self._go_on(item)
            return
        try:
            label = self._label(item, said.draft)
        except LabelValueError as error:
            self._tell(Notice("warning", "not_possible", str(error)))
            return
        entries: list[Entry] = [label]
        guess = self._offer.entry(judged(item), label, said.guess)
        entries += [] if guess is None else [guess]
        batch = self._log.step(kind, item, self._sheet.said.plain(), {**said.plain(), "label": True}, entries)

        def show(_: list[str]) -> None:
            if guess is not None:
                self._log.note_guess(item)
            self._sheet = replace(self._sheet, said=said, label=self._log.current.get(item.key))
            self._worktime.committed(item.item_id)
            self._labels_changed(item, True)
            self._topics.note(DRAFT, GUESS)
            self._go_on(item)

        self.stop_trace()
        self._save(batch, show)

    def _refuse_incomplete(self, draft: Draft) -> bool:
        lacking = field_rules.lacking(draft, self.source.rules.required, self.task)
        if lacking:
            self.focus_on(lacking[0])
            self.tell("warning", "incomplete", fields=",".join(lacking))
            return True
        if self._media.error is not None:
            # Nobody can have judged what was not shown.
            self.tell("warning", "skip_instead")
            return True
        return False

    def _label(self, item: Item, draft: Draft) -> Label:
        said = {name: getattr(draft, name) for name in self.fields}
        return Label(
            clip_id=item.clip_id,
            clip_sha256=item.clip_sha256,
            task=item.task,
            repetition=item.repetition,
            skip_reason=draft.skip_reason,
            comment=draft.comment,
            view=self.view,
            duration_ms=round(1000 * self._worktime.seconds),
            **said,
        )

    def _go_on(self, item: Item) -> None:
        if item.block is Block.ADMISSION and self._blocks.admission_over:
            self._show_page(Page.ADMISSION)
        elif item.block is Block.TRAINING and self.saved_label is not None and self.source.gold(item) is not None:
            self._show_page(Page.FEEDBACK)
        else:
            self._advance()

    def _change_marks(self, come: Sequence[Mapping[str, Any]], go: Sequence[MarkRecord]) -> None:
        item = self.item
        if item is None or self._page is not Page.CLIP or self._refuse_closed(item) or not (come or go):
            return
        about = judged(item)
        gone = [plain_mark(row.kind, row.frame_index, row.frame_pts, row.comment) for row in go]
        entries: list[Entry] = [entry_of(plain, about) for plain in come]
        entries += [entry_of(plain, about, removes=row.row_id) for plain, row in zip(gone, go, strict=True)]
        batch = self._log.step("mark", item, {"marks": gone}, {"marks": list(come)}, entries)

        def show(_: list[str]) -> None:
            self._sheet = replace(self._sheet, marks=self._log.marks(item))
            self._topics.note(MARKS)

        self._save(batch, show)

    # ------------------------------------------------------------ time

    def _look_at_guess(self) -> None:
        item = self.item
        if item is not None and item.item_id not in self._seen and self.player.seen_share >= SEEN_SHARE:
            self._seen.add(item.item_id)
            self._topics.note(GUESS)
        if self._page is Page.CLIP and self._offer.look(self.has_seen_clip, self.saved_label is not None):
            self._topics.note(GUESS)

    def _sample_trace(self, ended: bool) -> None:
        trace, identity = self._trace, self.player.identity
        if trace is None or identity is None:
            return
        if trace.sample(identity):
            self._save_traces()
        self._topics.note(TRACE)
        if ended:
            self.stop_trace()
            if not self._saver.is_waiting:
                self.tell("info", "trace_saved")
