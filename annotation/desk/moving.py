"""How the desk gets from clip to clip and from page to page, and how a step is saved before it is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from annotation.desk import fields as field_rules
from annotation.desk.guessing import GuessOffer
from annotation.desk.passlog import Batch, Sheet
from annotation.desk.place import Place
from annotation.desk.shown import ShownDesk
from annotation.desk.state import (
    DRAFT,
    FRAME,
    GUESS,
    ITEM,
    MARKS,
    PAGE,
    PLAYBACK,
    PROGRESS,
    TRACE,
    Notice,
    Page,
)
from annotation.items import Item
from annotation.source import ClipSource, Guess
from data_schema.errors import EmerError


class MovingDesk(ShownDesk):
    """A desk that goes through its queue; see `annotation.desk.desk.Desk`."""

    def __init__(self, source: ClipSource, **times: Callable[[], Any]) -> None:
        super().__init__(source, **times)
        self._code = self._place.stored.code
        if self._code and not self._blocks.unlock(self._code):
            self._code = ""
        with self._topics.change():
            self._reopen()

    # ------------------------------------------------------------ the queue

    def goto(self, position: int) -> None:
        """Put another item on the desk."""
        if not 0 <= position < len(self.items):
            self.tell("info", "no_more_items")
        elif self._blocks.is_locked(position):
            self.tell("warning", "block_locked")
        elif self._blocks.is_closed(self.items[position]):
            self.tell("warning", "admission_closed")
        else:
            self._open(position)

    def next(self) -> None:
        """Go to the next item."""
        self.goto(self._position + 1)

    def previous(self) -> None:
        """Go to the item before."""
        self.goto(self._position - 1)

    def next_open(self) -> None:
        """Go to the next item without a label, from the start again after the last; the last page if none is left."""
        place = self._blocks.next_open(self._position)
        if place is not None:
            self._open(place)
        elif self.items:
            self._show_page(Page.ADMISSION if self._blocks.waits_for_admission else Page.FINISHED)

    # ------------------------------------------------------------ pages

    def take_break(self) -> None:
        """Show the break page; the clock stands."""
        if self._page is Page.CLIP:
            self.stop_trace()
            self.player.pause()
            self._show_page(Page.BREAK)

    def end_break(self) -> None:
        """Go on after a break."""
        if self._page is Page.BREAK:
            self._worktime.end_break()
            self._show_page(Page.CLIP)

    def acknowledge(self) -> None:
        """Go on from the feedback page, or from the admission page once passed."""
        if self._page is Page.FEEDBACK or (self._page is Page.ADMISSION and self.admitted is True):
            self._advance()

    def enter_code(self, text: str) -> bool:
        """Take the lab's code of admission; False if it is not the right one: the page says so beside the code."""
        code = text.strip()
        with self._topics.change():
            if not self._blocks.unlock(code):
                return False
            self._code = code
            self._keep_place()
            self._topics.note(PAGE, PROGRESS)
            return True

    # ------------------------------------------------------------ undo and redo

    def undo(self) -> None:
        """Take back the last step, on whichever item it was; a step that could not be saved is put away."""
        if self._saver.is_waiting:
            with self._topics.change():
                self._saver.drop()
                self.tell("info", "step_dropped")
            return
        self._turn("undo")

    def redo(self) -> None:
        """Say again the step that was taken back last."""
        self._turn("redo")

    def stop_trace(self) -> None:
        """End the trace; what was traced is kept."""
        trace, self._trace = self._trace, None
        if trace is None:
            return
        with self._topics.change():
            self.player.pause()
            self._topics.note(TRACE, PLAYBACK)
            trace.finish()
            self._ended_traces.append(trace)
            self._save_traces()

    # ------------------------------------------------------------ saving

    def _save_traces(self) -> None:
        """Save samples that came together; what cannot be saved now goes with the next ones."""

        def save() -> None:
            for trace in (*self._ended_traces, *([self._trace] if self._trace is not None else [])):
                trace.save()
            self._ended_traces.clear()

        self._saver.run(save, lambda _: None)

    def _save(self, batch: Batch, then: Callable[[list[str]], Any]) -> bool:
        """Write a batch; only once it is on the disk, show it."""
        with self._topics.change():
            return self._saver.run(lambda: self._log.write(batch), lambda row_ids: self._show_saved(row_ids, then))

    def _show_saved(self, row_ids: list[str], then: Callable[[list[str]], Any]) -> None:
        self._forget_notice()
        then(row_ids)

    def _turn(self, kind: str) -> None:
        item = self._log.item_of_turn(kind)
        if item is None:
            self.tell("info", "nothing_to_undo" if kind == "undo" else "nothing_to_redo")
            return
        if self._refuse_closed(item):
            return
        with self._topics.change():
            # What undo is about is read from the log, which may be out of reach just now.
            self._saver.run(lambda: self._log.turn(kind), lambda batch: self._write_turn(batch, item))

    def _write_turn(self, batch: Batch | None, item: Item) -> None:
        if batch is None:
            return
        place = next(place for place, one in enumerate(self.items) if one.item_id == item.item_id)
        elsewhere = item is not self.item or self._page is not Page.CLIP

        def show(_: list[str]) -> None:
            self._labels_changed(item, batch.says_label)
            self._open(place)
            if elsewhere:
                self.tell("info", "undone_elsewhere" if batch.step.kind == "undo" else "redone_elsewhere")

        self._save(batch, show)

    def _refuse_closed(self, item: Item) -> bool:
        if self._blocks.is_closed(item):
            self.tell("warning", "admission_closed")
            return True
        return False

    def _labels_changed(self, item: Item, says_label: bool) -> None:
        if says_label:
            self._blocks.refresh()
            self._worktime.label_changed(item)
            self._topics.note(PROGRESS)

    # ------------------------------------------------------------ from clip to clip

    def _reopen(self) -> None:
        """Put on the desk what was on it when the tool was left."""
        if not self.items:
            self._show_page(Page.FINISHED)
            return
        stored = self._place.stored
        by_id = {item.item_id: place for place, item in enumerate(self.items)}
        place = by_id.get(stored.item_id, -1)
        back = self._blocks.may_open(place) if place >= 0 else False
        if not back:
            following = self._blocks.next_open(-1)
            place = following if following is not None else len(self.items) - 1
        page = Page.CLIP
        if self._blocks.waits_for_admission:
            page = Page.ADMISSION
        elif self._blocks.all_done and (not back or stored.page == Page.FINISHED.value):
            page = Page.FINISHED
        elif back and stored.page == Page.FEEDBACK.value and self._blocks.is_done(place):
            page = Page.FEEDBACK
        self._open(
            place, frame=stored.frame if back else 0, page=page, seconds=stored.seconds if back else None, first=True
        )

    def _open(
        self, place: int, *, frame: int = 0, page: Page = Page.CLIP, seconds: float | None = None, first: bool = False
    ) -> None:
        """Read an item from the log, then show it."""
        item = self.items[place]

        def show(sheet: Sheet) -> None:
            self._forget_notice()
            changed = first or place != self._position
            if changed and self.is_changed:
                self.tell("info", "uncommitted", n=str(self._position + 1))
            self._position = place
            self._show_sheet(sheet)
            if changed:
                self._show_item(item, frame, seconds)
            self._show_page(page)
            self._topics.note(ITEM, GUESS)
            self._keep_place()

        with self._topics.change():
            self.stop_trace()
            if self._saver.run(lambda: self._log.sheet(item), show):
                self._propose_break()

    def _show_sheet(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._focus = field_rules.first_open(sheet.said.draft, self.task)
        self._topics.note(DRAFT, MARKS)

    def _show_item(self, item: Item, frame: int, seconds: float | None) -> None:
        self._worktime.open(item.item_id, seconds)
        self._told = ""
        self._media.show(item, frame)
        self._tell_media_error()
        self._offer = GuessOffer(self._guess_for(item), self._log.guesses.get(item.key), self._now_utc)
        self._prepare()
        self._topics.note(FRAME, PLAYBACK, PROGRESS)

    def _guess_for(self, item: Item) -> Guess | None:
        try:
            return self.source.guess(item)
        except EmerError as error:
            self._tell(Notice("warning", "not_possible", str(error)))
            return None

    def _prepare(self) -> None:
        """Get ready what comes next: the next items, and the next without a label where that is another."""
        coming = [place for place in (self._position + 1, self._position + 2) if self._blocks.may_open(place)]
        following = self._blocks.next_open(self._position)
        if following is not None and following not in (*coming, self._position):
            coming.insert(1, following)
        self._media.prepare([self.items[place] for place in coming])

    def _advance(self) -> None:
        """Go on after a label: to the next item, or where the block ends to what is still open."""
        if self._blocks.may_open(self._position + 1):
            self._open(self._position + 1)
        else:
            self.next_open()

    # ------------------------------------------------------------ pages

    def _show_page(self, page: Page) -> None:
        with self._topics.change():
            if page is not self._page:
                self._page = page
                self._topics.note(PAGE, PROGRESS, GUESS)
            if page is not Page.CLIP:
                self.player.pause()
                self._topics.note(PLAYBACK)
            self._worktime.set_at_clip(page is Page.CLIP)
            if self.item is not None and page is not Page.BREAK:
                self._keep_place()
            if page in (Page.BREAK, Page.ADMISSION, Page.FINISHED):
                self._saver.settle()

    def _propose_break(self) -> None:
        if self._worktime.break_due and self._page is Page.CLIP:
            self.tell("info", "break_due", minutes=f"{self._worktime.minutes:.0f}")
            self._worktime.put_off_break()

    def _tell_media_error(self) -> None:
        error = self.media_error
        text = "" if error is None else str(error)
        if text and text != self._told:
            self._told = text
            self._tell(Notice("error", "clip_not_shown", text))

    def _forget_notice(self) -> None:
        """A step succeeded: what was told before is settled."""
        self.dismiss_notice()

    # ------------------------------------------------------------ place

    def _where(self) -> Place:
        item_id = self.item.item_id if self.item is not None else ""
        return Place(item_id, self.player.target, self._page.value, round(self._worktime.seconds, 1), self._code)

    def _keep_place(self) -> None:
        self._place.save(self._where())
