"""Who judges what, in which order: ``annotation/assignments.parquet`` of a study.

The table is frozen. `extend_assignments` adds rows for new clips and new annotators
after those that are there; it changes none, so that nobody's queue is shuffled while
they work. It tells repeats and gold clips apart and therefore never leaves the lab.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from annotation.identity import StudyIdentity, study_identity
from annotation.items import Block
from annotation.queue.design import share_clips, shuffled
from annotation.queue.gold import GoldAnswers, read_study_gold
from annotation.queue.order import Role, Slot, main_order
from annotation.queue.places import LOST_TABLE, assignments_path
from data_schema.clips.table import load_trial_index
from data_schema.errors import LabelError, UsageError
from data_schema.files import read_table, write_table
from data_schema.labels import check_annotator_id
from data_schema.labels.store import utc_now
from data_schema.locks import sole_writer
from data_schema.study.folder import StudyFolder
from data_schema.study.sections import AnnotationSection
from data_schema.vocabularies import TASKS

#: Columns of ``assignments.parquet`` and what they mean.
ASSIGNMENT_COLUMNS: dict[str, str] = {
    "annotator_id": "Whose queue.",
    "task": "Which pass: er or fer.",
    "position": "Place in the queue, from 0.",
    "item_id": "Opaque name of the place.",
    "block": "training, admission or main.",
    "role": "training, admission, clip, repeat or gold. Known to the lab alone.",
    "clip_id": "The clip, as in clips.parquet.",
    "repetition": "0 for the first showing, 1 for a repeat.",
    "assigned_utc": "When the row was added.",
}
_DTYPES = {"position": "int32", "repetition": "int16"}
_LOCK_S = 20.0
_BLOCKS = {Role.TRAINING: Block.TRAINING, Role.ADMISSION: Block.ADMISSION}


def load_assignments(study: StudyFolder) -> pd.DataFrame:
    """Read the table; empty if nothing is assigned yet.

    Raises
    ------
    ExportError
        If it is damaged.
    """
    path = assignments_path(study)
    if not path.exists():
        return pd.DataFrame(columns=list(ASSIGNMENT_COLUMNS)).astype(_DTYPES)
    return read_table(path, tuple(ASSIGNMENT_COLUMNS), "table of assignments", LOST_TABLE)


@dataclass
class Extension:
    """What an extension added.

    Parameters
    ----------
    n_new : dict
        New items by annotator and task.
    notes : list of str
        What the lead should know, in sentences.
    table : DataFrame
        All assignments, old and new.
    """

    n_new: dict[tuple[str, str], int]
    notes: list[str]
    table: pd.DataFrame


def extend_assignments(
    study: StudyFolder,
    annotators: Iterable[str] = (),
    *,
    finished: Iterable[tuple[str, str, str]] = (),
    dry_run: bool = False,
) -> Extension:
    """Hand out what is not handed out yet, and freeze it.

    Parameters
    ----------
    study : StudyFolder
        With its clip table.
    annotators : iterable of str
        Newcomers, in a study whose study.toml lists no annotators.
    finished : iterable of (annotator_id, task, clip_id)
        What is labelled already: clips of annotators who are no longer listed go to others,
        unless they are done.
    dry_run : bool
        True to write nothing.

    Raises
    ------
    LabelError
        If the gold file is wrong or too short, or there is no clip to be judged.
    ExportError
        If the clip table or the table of assignments is damaged, or cannot be written.
    """
    rules = study.config.annotation
    path = assignments_path(study)
    busy = "another process is handing out clips. Try again in a moment."
    with sole_writer(path, busy, timeout_s=_LOCK_S):
        old = load_assignments(study)
        names = _annotators(rules, old, annotators)
        strata = _clips(study)
        gold = read_study_gold(study, strata)
        plan = _Plan(study, names, strata, gold, old, set(finished))
        rows = [row for task in TASKS for row in plan.rows(task)]
        table = old
        if rows:
            new = pd.DataFrame(rows, columns=list(ASSIGNMENT_COLUMNS)).astype(_DTYPES)
            table = pd.concat([old, new], ignore_index=True) if len(old) else new
        if rows and not dry_run:
            write_table(path, table)
    counts = Counter((row[0], row[1]) for row in rows)
    return Extension({(name, task): counts[name, task] for name in names for task in TASKS}, plan.notes, table)


def queue_counts(table: pd.DataFrame) -> pd.DataFrame:
    """Count the items of each queue by what they are for."""
    counts = pd.crosstab([table["annotator_id"], table["task"]], table["role"])
    counts = counts.reindex(columns=[role.value for role in Role], fill_value=0)
    counts.columns = pd.Index(["training", "admission", "clips", "repeats", "gold"])
    return counts.reset_index().rename(columns={"annotator_id": "annotator"})


def _annotators(rules: AnnotationSection, old: pd.DataFrame, newcomers: Iterable[str]) -> list[str]:
    newcomers = list(newcomers)
    for name in newcomers:
        check_annotator_id(name)
    listed = list(rules.annotators)
    unlisted = [name for name in newcomers if name not in listed]
    if listed and unlisted:
        raise UsageError(
            f"'{unlisted[0]}' is not among the annotators of study.toml ({', '.join(listed)}). Mind the spelling, or "
            "add the name to annotators in [annotation] and run `emer annotate assign`."
        )
    return listed or sorted({*old["annotator_id"], *newcomers})


def _clips(study: StudyFolder) -> dict[str, str]:
    """Return the clips to be judged and their target emotions."""
    clips = load_trial_index(study)
    chosen = clips[clips["included"].astype(bool)]
    if chosen.empty:
        raise LabelError(
            f"{study.clip_index_path.name}: none of the {len(clips)} clips is included, so there is nothing to judge. "
            "Its column exclusion_reason says why."
        )
    return dict(zip(chosen["clip_id"].astype(str), chosen["target_emotion"].astype(str), strict=True))


class _Plan:
    """The rows that an extension adds, computed from what is there."""

    def __init__(
        self,
        study: StudyFolder,
        names: Sequence[str],
        strata: Mapping[str, str],
        gold: GoldAnswers,
        old: pd.DataFrame,
        finished: set[tuple[str, str, str]],
    ) -> None:
        self.notes: list[str] = []
        self._rules, self._seed = study.config.annotation, study.config.study.seed
        self._names, self._strata, self._gold = names, strata, gold
        self._finished = finished
        self._identity: StudyIdentity = study_identity(study)
        self._now = utc_now()
        self._queues: defaultdict[tuple[str, str], list[Slot]] = defaultdict(list)
        for name, task, clip, role in zip(
            old["annotator_id"], old["task"], old["clip_id"], old["role"], strict=True
        ):  # positions ascend within a queue: rows are only ever added behind
            self._queues[name, task].append(Slot(clip, Role(role)))

    def rows(self, task: str) -> list[tuple[object, ...]]:
        """Return the new rows of one pass."""
        answers = {clip: answer.emotion for (clip, of), answer in self._gold.items() if of == task}
        training, admission = self._test_clips(task, answers)
        rng = random.Random(f"{self._seed}/{task}/share/{len(self._held(task))}")
        shares = share_clips(
            {clip: stratum for clip, stratum in self._strata.items() if clip not in answers},
            self._names,
            self._rules.annotators_per_clip,
            rng,
            held=self._held(task),
            other_pass=self._held("er" if task == "fer" else "fer"),
        )
        rows: list[tuple[object, ...]] = []
        for name in self._names:
            rows += self._queue_rows(name, task, shares[name], answers, training, admission)
        self._note_short_overlap(task, answers)
        return rows

    def _queue_rows(
        self,
        name: str,
        task: str,
        clips: Sequence[str],
        answers: Mapping[str, str],
        training: Sequence[str],
        admission: Sequence[str],
    ) -> list[tuple[object, ...]]:
        queue = self._queues[name, task]
        rng = random.Random(f"{self._seed}/{task}/{name}/{len(queue)}")
        new: list[Slot] = []
        # Who began without a test goes on without one: its clips may be labelled already.
        if not queue:
            new += [Slot(clip, Role.TRAINING) for clip in shuffled(training, rng)]
            new += [Slot(clip, Role.ADMISSION) for clip in shuffled(admission, rng)]
        met = {slot.clip_id for slot in (*queue, *new)}
        gold = [clip for clip in answers if clip not in met and clip not in training and clip not in admission]
        new += main_order(
            clips,
            gold,
            rng,
            repeats_share=self._rules.repeats_share,
            distance=self._rules.repeats_distance,
            before=queue,
        )
        start = len(queue)
        queue += new
        return [self._row(name, task, start + at, slot) for at, slot in enumerate(new)]

    def _row(self, name: str, task: str, position: int, slot: Slot) -> tuple[object, ...]:
        item_id = self._identity.opaque("item", name, task, slot.clip_id, slot.repetition)
        block = _BLOCKS.get(slot.role, Block.MAIN)
        return (
            name, task, position, item_id, block.value, slot.role.value, slot.clip_id, slot.repetition, self._now,
        )  # fmt: skip

    def _held(self, task: str) -> dict[str, list[str]]:
        """Return who judges which clip of a pass so far, repeats, gold and tests left out."""
        held: defaultdict[str, list[str]] = defaultdict(list)
        for (name, of), queue in self._queues.items():
            for slot in queue if of == task else ():
                gone = name not in self._names and (name, task, slot.clip_id) not in self._finished
                if slot.role is Role.CLIP and not gone:
                    held[slot.clip_id].append(name)
        return held

    def _test_clips(self, task: str, answers: Mapping[str, str]) -> tuple[list[str], list[str]]:
        """Return the clips of the training block and of the admission test: the same for all annotators."""
        wanted = (self._rules.training_clips, self._rules.admission_clips)
        if not sum(wanted):
            return [], []
        if not answers:
            self.notes.append(
                f"The {task.upper()} pass has no training and no admission test: the gold file has no row for it."
                if self._rules.gold_file
                else f"The {task.upper()} pass has no training and no admission test: study.toml names no gold_file."
            )
            return [], []
        if sum(wanted) > len(answers):
            raise LabelError(
                f"{self._rules.gold_file}: {len(answers)} clips have an answer for the pass {task}, but training_clips and "
                f"admission_clips ask for {wanted[0]} and {wanted[1]}. Add answers, or lower the two in [annotation]."
            )
        # Those who come later get the test that the others had.
        had = {
            role: sorted({s.clip_id for (_, of), q in self._queues.items() if of == task for s in q if s.role is role})
            for role in (Role.TRAINING, Role.ADMISSION)
        }
        training = [clip for clip in had[Role.TRAINING] if clip in answers]
        admission = [clip for clip in had[Role.ADMISSION] if clip in answers]
        rng = random.Random(f"{self._seed}/{task}/gold")
        rest = [clip for clip in _in_turns(answers, rng) if clip not in training and clip not in admission]
        training += [rest.pop(0) for _ in range(wanted[0] - len(training)) if rest]
        admission += [rest.pop(0) for _ in range(wanted[1] - len(admission)) if rest]
        return training, admission

    def _note_short_overlap(self, task: str, answers: Mapping[str, str]) -> None:
        wanted = self._rules.annotators_per_clip
        held = self._held(task)
        short = sum(len(held.get(clip, ())) < wanted for clip in self._strata if clip not in answers)
        if short:
            self.notes.append(
                f"{short} clips of the {task.upper()} pass have fewer than annotators_per_clip = {wanted} annotators: "
                f"there are {len(self._names)}."
            )


def _in_turns(answers: Mapping[str, str], rng: random.Random) -> list[str]:
    """Return clips in random order, one of each emotion before the second of any: a test should ask for all."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for clip in shuffled(sorted(answers), rng):
        groups[answers[clip]].append(clip)
    ranked = [(rank, clip) for group in groups.values() for rank, clip in enumerate(group)]
    return [clip for _, clip in sorted(ranked, key=lambda one: one[0])]
