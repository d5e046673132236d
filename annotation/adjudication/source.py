"""The clips of the cases, straight from the study folder."""

from __future__ import annotations

from annotation.adjudication.cases import Case, find_cases
from annotation.identity import study_identity
from annotation.items import Block, Item
from annotation.queue.assignments import load_assignments
from annotation.queue.order import Role
from annotation.queue.queues import QueuedClip
from annotation.sources.study import StudySource
from annotation.status import clip_hashes, read_study_labels
from data_schema.clips.table import load_trial_index
from data_schema.errors import LabelError
from data_schema.labels import read_log
from data_schema.study.folder import StudyFolder


def study_cases(study: StudyFolder, task: str, *, everything: bool = False) -> list[Case]:
    """Find the cases of a pass of a study; clips of the training block and the admission test are none.

    Raises
    ------
    LabelError
        If there are no labels, or there is nothing to decide.
    """
    labels = read_study_labels(study)
    assigned = load_assignments(study)
    tests = assigned.loc[assigned["block"] != Block.MAIN.value, "clip_id"].astype(str)
    cases = find_cases(
        labels,
        task,
        clip_hashes(study),
        marks=read_log(study.label_places(), "marks"),
        leave_out=set(tests),
        everything=everything,
        seed=study_identity(study).study_id,
    )
    if not cases:
        raise LabelError(
            f"{study.root}: there is nothing to decide in the pass {task}: nobody labelled it, or all agree on emotion "
            "and polarity and nobody flagged a clip. Look at all clips with --all."
        )
    return cases


def case_source(study: StudyFolder, task: str, adjudicator_id: str, cases: list[Case]) -> StudySource:
    """Open the study as a source of the cases' clips, with the adjudicator's own label file.

    Raises
    ------
    ExportError
        If the clip table is missing or damaged.
    """
    clips = load_trial_index(study.clip_index_path).set_index("clip_id")
    queue = []
    for position, case in enumerate(cases):
        clip = clips.loc[case.clip_id]
        item = Item(f"case-{position:05d}", case.clip_id, case.clip_sha256, task, 0, Block.MAIN, position)
        queue.append(
            QueuedClip(
                item,
                Role.CLIP,
                str(clip["session_file"]),
                int(clip["trial_id"]),
                str(clip["stimulus_id"]),
                int(clip["t_start_us"]),
                int(clip["t_end_us"]),
            )
        )
    return StudySource(study, task, adjudicator_id, queue=queue)
