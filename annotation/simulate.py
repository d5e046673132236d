"""Label a simulated study with simulated annotators, so that the line runs.

The ER pass judges what was planted as felt, the FER pass what was planted as
shown; both stand in ``/simulation/planted`` of the session files. A recording
without planted truth is a real one and cannot be labelled here. A session that
replays real recordings carries the planted truth of its simulated participant:
its labels describe that participant, not the person in the video.

A simulated annotator to whom clips were handed out (``emer annotate assign``) follows their queue, as a person does at the
desk: training, the admission test and what it opens, hidden repeats judged a second time. All others judge all clips once.

Every row says ``annotator_kind = simulated``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from annotation.items import Block, Item
from annotation.queue.gold import read_study_gold
from annotation.queue.progress import share_right
from annotation.queue.queues import read_all_queues
from data_schema.clips.table import load_trial_index
from data_schema.errors import LabelError
from data_schema.labels import TRAINING_VIEW, Label, LabelStore
from data_schema.labels.raters import PlantedTruth, SimulatedRater, rater_details, rater_id
from data_schema.labels.sqlite_file import SIDE_FILES
from data_schema.session import open_session
from data_schema.session.layout import PLANTED
from data_schema.study import StudyFolder
from data_schema.vocabularies import TASKS, AnnotatorKind

_log = logging.getLogger(__name__)
Progress = Callable[[int, int, str], None]
#: What is judged: clip, task, repetition.
Key = tuple[str, str, int]
Queues = Mapping[tuple[str, str], Sequence[Item]]


@dataclass(frozen=True)
class SimulatedPass:
    """What one simulated annotator did for one task."""

    annotator_id: str
    task: str
    n_added: int
    n_present: int
    n_missing: int


def simulate_labels(
    study: StudyFolder,
    *,
    n_annotators: int = 3,
    seed: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> list[SimulatedPass]:
    """Write the labels of `n_annotators` simulated annotators, both tasks; each follows their queue, if they have one.

    Clips that an annotator has labelled before are left, so that a second run
    with the same seed adds only what is new.

    Parameters
    ----------
    study : StudyFolder
        Must have its clip table.
    n_annotators : int
        1 to 99.
    seed : int, optional
        Default: the study's.
    force : bool
        Make the simulated annotators' files anew. Files of people are never touched.
    progress : callable, optional
        Called with done, total and the annotator's id.

    Raises
    ------
    LabelError
        If a session has no planted truth (a real recording), there is no clip
        to label, or the files were simulated with another seed and `force` is
        false.
    """
    if not 1 <= n_annotators <= 99:
        raise LabelError(f"--annotators is {n_annotators}, expected 1 to 99.")
    seed = study.config.study.seed if seed is None else seed
    clips = included_clips(study)
    truths = read_planted(study, clips)
    # All files are looked at before the first is written.
    raters = [_checked_rater(study, rater_id(number), seed, force=force) for number in range(1, n_annotators + 1)]
    queues = _queues(study)
    passes: list[SimulatedPass] = []
    for done, rater in enumerate(raters):
        if progress:
            progress(done, len(raters), rater.annotator_id)
        work = _Work(study, rater, clips, truths, queues)
        passes += _run_rater(study, rater, work, force=force)
    if progress:
        progress(len(raters), len(raters), "")
    return passes


def included_clips(study: StudyFolder) -> pd.DataFrame:
    """Return the clips that are good enough to be labelled.

    Raises
    ------
    LabelError
        If there is none.
    """
    clips = load_trial_index(study.clip_index_path)
    chosen: pd.DataFrame = clips[clips["included"].astype(bool)].sort_values("clip_id")
    if chosen.empty:
        raise LabelError(
            f"{study.clip_index_path.name}: none of the {len(clips)} clips is included, so there is nothing to label. "
            "Its column exclusion_reason says why; loosen [quality] in study.toml and run `emer clips`, or record anew."
        )
    return chosen.reset_index(drop=True)


def read_planted(study: StudyFolder, clips: pd.DataFrame) -> dict[tuple[str, str], PlantedTruth]:
    """Read what was planted for each clip, by clip and task.

    Raises
    ------
    LabelError
        If a session has no planted truth, none for one of its trials, or
        changed since the clip table was built.
    """
    truths: dict[tuple[str, str], PlantedTruth] = {}
    for session_file, group in clips.groupby("session_file", sort=True):
        path = study.root / Path(str(session_file))
        with open_session(path) as session:
            rows = session.table(PLANTED.path)[:]
            sha256 = session.sha256
        if len(rows) == 0:
            raise LabelError(
                f"{path.name}: has no planted truth in {PLANTED.path}: it is a recording of a person, and simulated "
                "annotators can only judge simulated participants. Let people label it, or leave it out of the study."
            )
        if sha256 != str(group["session_sha256"].iloc[0]):
            raise LabelError(
                f"{path.name}: changed since {study.clip_index_path.name} was built. "
                f"Build it again: emer clips {study.root}"
            )
        by_trial = {int(row["trial_id"]): row for row in rows}
        for clip in group.itertuples():
            row = by_trial.get(int(clip.trial_id))
            if row is None:
                raise LabelError(
                    f"{path.name}: {PLANTED.path} has no row for trial {clip.trial_id} (it has "
                    f"{', '.join(map(str, sorted(by_trial)))}). Check the file: emer check {path.name}"
                )
            truths[str(clip.clip_id), "er"] = _truth(row, "felt_emotion", "valence", "arousal")
            truths[str(clip.clip_id), "fer"] = _truth(row, "shown_emotion", "shown_valence", "shown_arousal")
    return truths


def _truth(row: Any, emotion: str, valence: str, arousal: str) -> PlantedTruth:
    return PlantedTruth(
        emotion=bytes(row[emotion]).decode("utf-8"),
        valence=float(row[valence]),
        arousal=float(row[arousal]),
        intensity=float(row["intensity"]),
    )


def _label_path(study: StudyFolder, rater: SimulatedRater) -> Path:
    return study.labels_dir / f"{rater.annotator_id}.sqlite"


def _open(study: StudyFolder, rater: SimulatedRater, path: Path) -> LabelStore:
    return LabelStore.open(
        path,
        rater.annotator_id,
        AnnotatorKind.SIMULATED.value,
        study_title=study.config.study.title,
        emotions=study.config.labels.emotions,
        details=rater_details(rater),
    )


def _checked_rater(study: StudyFolder, name: str, seed: int, *, force: bool) -> SimulatedRater:
    """Draw an annotator; refuse a file of a person, and without `force` one of another seed.

    One who was planted with more or less noise (``emer plant``) keeps it.
    """
    rater = SimulatedRater.draw(name, seed)
    path = _label_path(study, rater)
    if not path.exists():
        return rater
    # Opening and closing it also empties its write-ahead log, should a kill have left one.
    with _open(study, rater, path) as store:
        found = json.loads(store.meta.get("simulation", "{}"))
    if force:
        return rater
    rater = SimulatedRater.draw(name, seed, found.get("noise", 1.0))
    if found != json.loads(rater_details(rater)["simulation"]):
        raise LabelError(
            f"{path.name}: was simulated with seed {found.get('seed')}, not {seed}. "
            "Give that seed, or add --force to make the simulated labels anew."
        )
    return rater


def _queues(study: StudyFolder) -> Queues:
    return {key: [entry.item for entry in queue] for key, queue in read_all_queues(study).items()}


class _Work:
    """What one simulated annotator has before them.

    Parameters
    ----------
    study : StudyFolder
    rater : SimulatedRater
    clips : DataFrame
        The clips that are good enough to be labelled.
    truths : dict
        What was planted, by clip and task.
    queues : mapping
        What was handed out, by annotator and task.
    """

    def __init__(
        self,
        study: StudyFolder,
        rater: SimulatedRater,
        clips: pd.DataFrame,
        truths: dict[tuple[str, str], PlantedTruth],
        queues: Queues,
    ) -> None:
        self._study, self._rater, self._truths = study, rater, truths
        self._clips = clips
        self._has_face = dict(zip(clips["clip_id"].astype(str), clips["n_face_frames"] > 0, strict=True))
        self._queues = {task: queues.get((rater.annotator_id, task), ()) for task in TASKS}
        self._has_queue = any(self._queues.values())

    def places(self, task: str) -> Sequence[Item]:
        """Return the annotator's queue, or where nothing was handed out to them all clips once."""
        if self._has_queue:
            return self._queues[task]
        rows = zip(self._clips["clip_id"].astype(str), self._clips["session_sha256"].astype(str), strict=True)
        return [Item(clip, clip, sha256, task, 0, Block.MAIN, at) for at, (clip, sha256) in enumerate(rows)]

    def judge(self, item: Item, emotions: Sequence[str]) -> Label | None:
        """Return what the annotator says at a place; None if they leave it open."""
        label = self._rater.judge(
            item.clip_id,
            item.clip_sha256,
            item.task,
            self._truths[item.clip_id, item.task],
            emotions=emotions,
            has_face=bool(self._has_face[item.clip_id]),
            repetition=item.repetition,
            may_leave_out=item.block is Block.MAIN,
        )
        if label is None or item.block is not Block.TRAINING:
            return label
        return replace(label, view=f"{TRAINING_VIEW}{label.view}")

    def is_admitted(self, places: Sequence[Item], said: Mapping[Key, str | None]) -> bool:
        """Say whether the answers to the admission test open the main block."""
        test = [item for item in places if item.block is Block.ADMISSION]
        if not test:
            return True
        gold = read_study_gold(self._study)
        right = {i.item_id: gold[i.clip_id, i.task].emotion for i in test if (i.clip_id, i.task) in gold}
        given = {item.item_id: said.get(item.key) or "" for item in test}
        return share_right(given, right) >= self._study.config.annotation.admission_share


def _run_rater(study: StudyFolder, rater: SimulatedRater, work: _Work, *, force: bool) -> list[SimulatedPass]:
    path = _label_path(study, rater)
    if not (force and path.exists()):
        with _open(study, rater, path) as store:
            return _label_places(work, store)
    fresh = path.with_name(f".{path.name}.partial")
    _remove(fresh)
    with _open(study, rater, fresh) as store:
        passes = _label_places(work, store)
    if any(path.with_name(path.name + suffix).exists() for suffix in SIDE_FILES):
        _remove(fresh)
        raise LabelError(f"{path.name}: another program has the file open. Close it and try again.")
    fresh.replace(path)
    return passes


def _remove(path: Path) -> None:
    for suffix in ("", *SIDE_FILES):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _label_places(work: _Work, store: LabelStore) -> list[SimulatedPass]:
    """Label what is not labelled yet, in one transaction."""
    present = {record.key for record in store.history()}
    said: dict[Key, str | None] = {record.key: record.emotion for record in store.current()}
    new: list[Label] = []
    passes = []
    for task in TASKS:
        places = work.places(task)
        n_before, n_present, n_missing = len(new), 0, 0
        is_open: bool | None = None
        for item in places:
            if item.key in present:
                n_present += 1
                continue
            if item.block is Block.MAIN and is_open is None:
                is_open = work.is_admitted(places, said)
                if not is_open:
                    _log.warning("%s did not pass the admission test of the pass %s", store.annotator_id, task)
            label = work.judge(item, store.emotions) if item.block is not Block.MAIN or is_open else None
            if label is None:
                n_missing += 1
            else:
                new.append(label)
                said[item.key] = label.emotion
        passes.append(SimulatedPass(store.annotator_id, task, len(new) - n_before, n_present, n_missing))
    store.add_many(new)
    _log.info("%s: %d labels", store.annotator_id, len(new))
    return passes
