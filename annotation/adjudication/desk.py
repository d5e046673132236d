"""The adjudicator's desk: one case at a time, a decision with its reason, written before it is shown as done.

It has what views of a clip ask of the annotator's desk (player, item, eyes, stimulus,
topics), so that they serve both.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from annotation.adjudication.cases import Case
from annotation.desk.state import DRAFT, FRAME, ITEM, NOTICE, PLAYBACK, PROGRESS, SAVING, MarkedFrame, Notice, Saving
from annotation.desk.topics import Topics
from annotation.evidence.eyes import EyeEvidence, StimulusTrack
from annotation.items import Item
from annotation.playback import Player, Prefetcher
from annotation.source import ClipSource
from data_schema.errors import EmerError, LabelError, MediaError
from data_schema.labels import Decision, DecisionRecord, Judged
from data_schema.labels.decisions import DECIDED_FIELDS
from data_schema.vocabularies import SUGGESTED_POLARITY

#: Cases whose clips are made ready ahead.
_AHEAD = 2


@dataclass(frozen=True)
class Verdict:
    """What is about to be decided. A field that is None stays what the raters say together."""

    emotion: str | None = None
    polarity: str | None = None
    polarity_suggested: bool = False
    valence: float | None = None
    arousal: float | None = None
    intensity: float | None = None
    reason: str = ""

    @property
    def says_something(self) -> bool:
        """Whether any field is decided."""
        return any(getattr(self, name) is not None for name in DECIDED_FIELDS)


class AdjudicationDesk:
    """An adjudicator at work on one pass; nobody's label is ever changed.

    Parameters
    ----------
    source : ClipSource
        Opens the cases' clips, in the order of `cases`, and the adjudicator's own log.
    cases : sequence of Case

    Raises
    ------
    LabelError
        If the adjudicator's log cannot be opened.
    """

    def __init__(self, source: ClipSource, cases: Sequence[Case]) -> None:
        self.source, self.task = source, source.task
        self.cases = tuple(cases)
        # By clip: a source may put its items in another order, such as that of a model's doubts.
        items = {item.clip_id: item for item in source.items()}
        self.items: tuple[Item, ...] = tuple(items[case.clip_id] for case in self.cases)
        self.marks: tuple[MarkedFrame, ...] = ()
        self.tracing = False
        self.player = Player()
        self.saving = Saving.SAVED
        self.notice: Notice | None = None
        self.verdict = Verdict()
        self.stimulus: StimulusTrack | None = None
        self.eyes: EyeEvidence | None = None
        self._not_opened: MediaError | None = None
        self._position = 0
        self._topics = Topics()
        self._failed: Callable[[], None] | None = None
        self._store = source.open_store()
        try:
            self._store.take_seat()
        except EmerError:
            self._store.close()
            raise
        self._prefetcher = Prefetcher(source.open_face)
        self._decisions = self._read_decisions()
        self._own_labels = {record.row_id for record in self._store.current(self.task)}
        start = next((i for i in range(len(self.cases)) if not self.is_decided(i)), 0)
        self._put(self._remembered(start))

    # ------------------------------------------------------------ what is shown

    @property
    def position(self) -> int:
        """Place of the case, from 0."""
        return self._position

    @property
    def case(self) -> Case:
        """The case on the desk."""
        return self.cases[self._position]

    @property
    def item(self) -> Item:
        """The case's clip."""
        return self.items[self._position]

    @property
    def is_own(self) -> bool:
        """Whether the adjudicator labelled the case's clip: someone else had better decide."""
        return any(one.row_id in self._own_labels for one in self.case.said)

    @property
    def media_error(self) -> MediaError | None:
        """Why the clip or its frame cannot be shown; None if it can."""
        return self._not_opened or self.player.error

    @property
    def decision(self) -> DecisionRecord | None:
        """The adjudicator's own decision on the case that holds now."""
        found = self._decisions.get(self.case.clip_id)
        return found if found is not None and _says_something(found) else None

    @property
    def n_decided(self) -> int:
        """Cases with a decision."""
        return sum(self.is_decided(place) for place in range(len(self.cases)))

    def is_decided(self, position: int) -> bool:
        """Say whether the adjudicator has decided on a case."""
        found = self._decisions.get(self.cases[position].clip_id)
        return found is not None and _says_something(found)

    def subscribe(self, topic: str, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called after `topic` changed; returns what ends it."""
        return self._topics.subscribe(topic, callback)

    # ------------------------------------------------------------ the verdict

    def set(self, field: str, value: str | float | None) -> None:
        """Say one field; the same word again takes it back. An emotion suggests its polarity unless one was chosen."""
        verdict = self.verdict
        if field == "emotion" and value is not None:
            value = None if value == verdict.emotion else value
            verdict = replace(verdict, emotion=value)
            if verdict.polarity is None or verdict.polarity_suggested:
                suggested = SUGGESTED_POLARITY[str(value)] if value is not None else None
                verdict = replace(verdict, polarity=suggested, polarity_suggested=suggested is not None)
        elif field == "polarity":
            value = None if value == verdict.polarity and not verdict.polarity_suggested else value
            verdict = replace(verdict, polarity=value, polarity_suggested=False)
        else:
            verdict = replace(verdict, **{field: value})
        self._change(verdict)

    def adopt(self, place: int) -> None:
        """Take over what one rater said; the reason stays as it is. Nothing happens for one who skipped."""
        if not 0 <= place < len(self.case.said) or self.case.said[place].emotion is None:
            return
        said = self.case.said[place]
        scales = {name: said.values.get(name) for name in ("valence", "arousal", "intensity")}
        self._change(Verdict(said.emotion, said.polarity, False, **scales, reason=self.verdict.reason))

    def set_reason(self, text: str) -> None:
        """Say why."""
        if text != self.verdict.reason:
            self._change(replace(self.verdict, reason=text))

    def clear(self) -> None:
        """Empty the verdict."""
        self._change(Verdict())

    def decide(self) -> bool:
        """Commit the verdict as a decision and go on to the next open case.

        Returns
        -------
        bool
            False if something lacks or it could not be saved; `notice` says what.
        """
        verdict = self.verdict
        if not verdict.says_something:
            return self._refuse("nothing_decided")
        if not verdict.reason.strip():
            return self._refuse("reason_missing")
        fields = {name: getattr(verdict, name) for name in DECIDED_FIELDS}
        if not self._write(verdict.reason.strip(), fields, self.decide):
            return False
        self.next_open()
        return True

    def withdraw(self) -> bool:
        """Take the decision on the case back: what the raters say together counts again."""
        if self.decision is None:
            return self._refuse("nothing_to_withdraw")
        reason = self.verdict.reason.strip()
        if not reason or reason == self.decision.reason:
            return self._refuse("withdraw_reason")
        if not self._write(reason, {}, self.withdraw):
            return False
        self._change(Verdict())
        return True

    def retry(self) -> None:
        """Try again what was not saved."""
        if self._failed is not None:
            self._failed()

    # ------------------------------------------------------------ moving and playing

    def goto(self, position: int) -> None:
        """Put another case on the desk; places outside the list are passed over."""
        if 0 <= position < len(self.cases) and position != self._position:
            self._put(position)

    def next_open(self) -> None:
        """Go to the next case without a decision, from the start again after the last; stay if there is none."""
        n = len(self.cases)
        order = [(self._position + step) % n for step in range(1, n + 1)]
        self._put(next((place for place in order if not self.is_decided(place)), self._position))

    def _actions(self) -> dict[str, Callable[[], object]]:
        player = self.player
        return {
            "play": player.toggle, "replay": player.replay, "step.back": lambda: player.step(-1),
            "step.forward": lambda: player.step(1), "scrub.back": lambda: player.scrub(-1.0),
            "scrub.forward": lambda: player.scrub(1.0), "clip.start": player.to_start, "clip.end": player.to_end,
            "slower": player.slower, "faster": player.faster, "loop": player.toggle_loop,
            "next": lambda: self.goto(self._position + 1), "previous": lambda: self.goto(self._position - 1),
            "next.open": self.next_open,
        }  # fmt: skip

    def knows(self, action: str) -> bool:
        """Say whether `perform` does an action of `annotation.keys`."""
        return action in self._actions()

    def perform(self, action: str) -> bool:
        """Do an action of `annotation.keys` that plays the clip or moves between cases; False for others."""
        actions = self._actions()
        if action not in actions:
            return False
        with self._topics.change():
            actions[action]()
            self._topics.note(FRAME, PLAYBACK)
        return True

    def set_panels(self, names: Sequence[str]) -> None:
        """Take note of nothing: what an adjudicator looked at is not part of a decision."""

    def tick(self) -> bool:
        """Advance the clip; call it about 60 times a second. True if what is shown changed."""
        playing = self.player.playing
        changed = self.player.tick()
        if changed:
            with self._topics.change():
                self._topics.note(FRAME)
        if playing != self.player.playing:
            with self._topics.change():
                self._topics.note(PLAYBACK)
        return changed

    def close(self) -> None:
        """Close the clip and the log; may be called again."""
        self._release()
        self.player.close()
        self._prefetcher.close()
        self._store.close()
        self.source.close()

    # ------------------------------------------------------------ inside

    def _refuse(self, text_id: str) -> bool:
        with self._topics.change():
            self.notice = Notice("warning", text_id)
            self._topics.note(NOTICE)
        return False

    def _change(self, verdict: Verdict) -> None:
        """Show a verdict once it is on the disk, so that a crash does not lose half an hour's thoughts."""
        try:
            self._store.set_desk_value(self._key(), json.dumps({"clip_id": self.case.clip_id, **asdict(verdict)}))
        except LabelError as error:
            self._fail(error, lambda: self._change(verdict))
            return
        with self._topics.change():
            self.verdict = verdict
            self._saved()
            self._topics.note(DRAFT)

    def _write(self, reason: str, fields: dict[str, str | float | None], again: Callable[[], object]) -> bool:
        case, before = self.case, self._decisions.get(self.case.clip_id)
        about = Judged(case.clip_id, case.clip_sha256, self.task)
        seen = json.dumps([one.row_id for one in case.said])
        supersedes = before.row_id if before is not None else None
        try:
            self._store.write([Decision(about, reason, seen, **fields, supersedes=supersedes)])  # type: ignore[arg-type]
            self._decisions = self._read_decisions()
        except LabelError as error:
            self._fail(error, lambda: again() and None)
            return False
        with self._topics.change():
            self._saved()
            self._topics.note(PROGRESS)
        return True

    def _saved(self) -> None:
        self._failed = None
        self.notice, self.saving = None, Saving.SAVED
        self._topics.note(NOTICE, SAVING)

    def _fail(self, error: LabelError, again: Callable[[], None]) -> None:
        with self._topics.change():
            self._failed = again
            self.notice, self.saving = Notice("error", "not_saved", detail=str(error)), Saving.FAILED
            self._topics.note(NOTICE, SAVING)

    def _read_decisions(self) -> dict[str, DecisionRecord]:
        return {record.clip_id: record for record in self._store.decisions(self.task)}

    def _key(self) -> str:
        return f"adjudication.{self.task}"

    def _remembered(self, start: int) -> int:
        """Return the place of the case that was on the desk when it was closed."""
        text = self._store.desk_value(self._key())
        clip_id = json.loads(text).get("clip_id") if text else None
        places = {case.clip_id: place for place, case in enumerate(self.cases)}
        return places.get(str(clip_id), start)

    def _draft_of(self, case: Case) -> Verdict:
        text = self._store.desk_value(self._key())
        kept = json.loads(text) if text else {}
        if kept.pop("clip_id", None) == case.clip_id:
            return Verdict(**kept)
        found = self._decisions.get(case.clip_id)
        if found is None or not _says_something(found):
            return Verdict()
        return Verdict(
            found.emotion, found.polarity, False, found.valence, found.arousal, found.intensity, found.reason
        )

    def _put(self, position: int) -> None:
        with self._topics.change():
            moved = position != self._position
            self._position = position
            self._release()
            # Leaving a case gives up its draft; that of the case on the desk survives a restart.
            if moved:
                self.verdict = self._draft_of(self.case)
                self._change(self.verdict)
            else:
                self.verdict = self._draft_of(self.case)
            self._open_clip()
            self._prefetcher.prepare(self.items[position + 1 : position + 1 + _AHEAD])
            self._topics.note(ITEM, DRAFT, FRAME, PLAYBACK, PROGRESS)

    def _open_clip(self) -> None:
        self._not_opened = None
        try:
            self.player.load(self._prefetcher.take(self.item))
            self.eyes, self.stimulus = self.source.eyes(self.item), self.source.open_stimulus(self.item)
        except MediaError as error:
            # The labels can be read all the same.
            self._not_opened = error
            self.notice = Notice("error", "clip_broken", detail=str(error))
            self._topics.note(NOTICE)

    def _release(self) -> None:
        self.player.unload()
        if self.stimulus is not None:
            self.stimulus.frames.close()
        self.stimulus, self.eyes = None, None


def _says_something(record: DecisionRecord) -> bool:
    return any(getattr(record, name) is not None for name in DECIDED_FIELDS)
