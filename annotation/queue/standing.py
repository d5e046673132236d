"""How far each annotator is in each pass, for the lead of the annotation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

import pandas as pd

from annotation.items import Block, Item
from annotation.queue.gold import GoldAnswers
from annotation.queue.progress import Done, open_block, progress_of, share_right
from annotation.queue.queues import QueuedClip
from data_schema.labels import current_labels
from data_schema.study.sections import AnnotationSection
from data_schema.vocabularies import TASKS

#: Shown where there is nothing to say yet.
NOTHING = "-"
Key = tuple[str, str, int]


@dataclass(frozen=True)
class Standing:
    """One annotator in one pass.

    Parameters
    ----------
    annotator, kind, task : str
    block : str
        The block that is being worked on; "-" without a queue.
    labelled, skipped, open, of : int
        Items of the queue, repeats and gold clips included; without a queue, the study's clips.
    today : int
        Items done today.
    s_per_clip : str
        Median of the last 20 items that were timed.
    hours_left : str
        For all open items at that pace.
    admission : str
        Share right and whether that is enough; "open" until the block is done.
    repeats : str
        Share of repeated clips that got the same emotion again, and how many there are.
    """

    annotator: str
    kind: str
    task: str
    block: str
    labelled: int
    skipped: int
    open: int
    of: int
    today: int
    s_per_clip: str
    hours_left: str
    admission: str
    repeats: str


STANDING_COLUMNS = tuple(field.name for field in fields(Standing))


def standings(
    labels: pd.DataFrame,
    queues: Mapping[tuple[str, str], Sequence[QueuedClip]],
    clips: Mapping[str, str],
    gold: GoldAnswers,
    rules: AnnotationSection,
    now: datetime,
) -> list[Standing]:
    """Say how far everybody is.

    Parameters
    ----------
    labels : DataFrame
        From `read_labels`.
    queues : mapping
        Queues by annotator and task. Annotators without one (imported, simulated) are counted against all clips.
    clips : mapping
        The clips to be judged, with the SHA-256 of their sessions.
    gold : mapping
        Answers of the gold file.
    rules : AnnotationSection
    now : datetime
        With a time zone.
    """
    holds = current_labels(labels)
    kinds = dict(zip(labels["annotator_id"], labels["annotator_kind"], strict=True))
    own: defaultdict[tuple[str, str], dict[Key, object]] = defaultdict(dict)
    for row in holds.itertuples():
        own[row.annotator_id, row.task][row.clip_id, row.task, row.repetition] = row
    rows = []
    for name in sorted({*kinds, *(name for name, _ in queues)}):
        for task in TASKS:
            queue, said = queues.get((name, task)), own[name, task]
            kind = kinds.get(name, "human")
            if queue is None:
                rows.append(_without_queue(name, kind, task, said, clips, now))
            else:
                rows.append(_with_queue(name, kind, queue, said, gold, rules, now))
    return rows


def _without_queue(
    name: str, kind: str, task: str, said: Mapping[Key, object], clips: Mapping[str, str], now: datetime
) -> Standing:
    places = [Item(clip, clip, sha256, task, 0, Block.MAIN, at) for at, (clip, sha256) in enumerate(clips.items())]
    return _count(name, kind, task, places, said, NOTHING, NOTHING, NOTHING, now)


def _with_queue(
    name: str,
    kind: str,
    queue: Sequence[QueuedClip],
    said: Mapping[Key, object],
    gold: GoldAnswers,
    rules: AnnotationSection,
    now: datetime,
) -> Standing:
    places = [entry.item for entry in queue]
    done_ids = {item.item_id for item in places if item.key in said}
    block = open_block(places, done_ids).value if len(done_ids) < len(places) else "done"
    admission = _admission(places, said, gold, rules)
    return _count(name, kind, places[0].task, places, said, block, admission, _repeats(places, said), now)


def _count(
    name: str,
    kind: str,
    task: str,
    places: Sequence[Item],
    said: Mapping[Key, object],
    block: str,
    admission: str,
    repeats: str,
    now: datetime,
) -> Standing:
    rows = [(item, said[item.key]) for item in places if item.key in said]
    done = [
        Done(item.item_id, _time(row.created_utc), None if pd.isna(row.duration_ms) else float(row.duration_ms) / 1000)  # type: ignore[attr-defined]
        for item, row in rows
    ]
    done.sort(key=lambda one: one.when)
    skipped = sum(pd.notna(row.skip_reason) for _, row in rows)  # type: ignore[attr-defined]
    progress = progress_of(places, done, now=now)
    left = len(places) - len(done)
    pace = progress.seconds_per_clip
    return Standing(
        name, kind, task, block,
        labelled=len(done) - skipped,
        skipped=skipped,
        open=left,
        of=len(places),
        today=progress.n_done_today,
        s_per_clip=NOTHING if pace is None else f"{pace:.1f}",
        hours_left=NOTHING if pace is None else f"{left * pace / 3600:.1f}",
        admission=admission,
        repeats=repeats,
    )  # fmt: skip


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _admission(places: Iterable[Item], said: Mapping[Key, object], gold: GoldAnswers, rules: AnnotationSection) -> str:
    """Say how the admission test went."""
    test = [item for item in places if item.block is Block.ADMISSION]
    if not test:
        return "none"
    if any(item.key not in said for item in test):
        return "open"
    right = {i.item_id: gold[i.clip_id, i.task].emotion for i in test if (i.clip_id, i.task) in gold}
    given = {i.item_id: str(said[i.key].emotion) for i in test}  # type: ignore[attr-defined]
    share = share_right(given, right)
    return f"{share:.0%} {'passed' if share >= rules.admission_share else 'not passed'}"


def _repeats(places: Iterable[Item], said: Mapping[Key, object]) -> str:
    """Compare emotions of first showing and repeat, where both have one."""
    pairs = []
    for item in places:
        first, again = said.get((item.clip_id, item.task, 0)), said.get(item.key)
        if item.repetition and first is not None and again is not None:
            pairs.append((first.emotion, again.emotion))  # type: ignore[attr-defined]
    pairs = [(one, other) for one, other in pairs if pd.notna(one) and pd.notna(other)]
    if not pairs:
        return NOTHING
    return f"{sum(one == other for one, other in pairs) / len(pairs):.0%} of {len(pairs)}"
