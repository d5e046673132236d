"""Whether annotators passed their admission tests, once their labels are home."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from annotation.bundle.keys import keys_of
from annotation.identity import study_identity
from annotation.items import Block
from data_schema.errors import EmerError
from data_schema.labels import current_labels, read_labels
from data_schema.study import StudyFolder


@dataclass(frozen=True)
class Admitted:
    """How an annotator did in the admission test of a pass.

    Parameters
    ----------
    annotator_id, task : str
    passed : bool or None
        None while clips of the test are open, or where the study cannot tell.
    n_open : int
        Clips of the test that are open.
    code : str
        What the annotator has to enter; only where the test is passed and their bundle waits for it.
    problem : str
        Why the study cannot tell.
    """

    annotator_id: str
    task: str
    passed: bool | None
    n_open: int
    code: str = ""
    problem: str = ""


def admissions(study: StudyFolder, passes: Iterable[tuple[str, str]]) -> list[Admitted]:
    """Return the state of the admission tests that were handed out in bundles.

    Parameters
    ----------
    study : StudyFolder
    passes : iterable of tuple of str
        Annotator and task; an empty task stands for both.
    """
    asked = set(passes)
    tested = {
        (annotator, key.task)
        for annotator in {annotator for annotator, _ in asked}
        for key in keys_of(study, annotator)
        if any(item.block == Block.ADMISSION for item in key.items)
    }
    wanted = {(annotator, task) for annotator, task in tested if asked & {(annotator, task), (annotator, "")}}
    return [_result(study, annotator, task) for annotator, task in sorted(wanted)]


def _result(study: StudyFolder, annotator: str, task: str) -> Admitted:
    from annotation.sources.study import StudySource

    try:
        source = StudySource(study, task, annotator)
        # Not everybody's files: a damaged one of somebody else says nothing about this annotator.
        labels = read_labels(
            [place for place in study.label_places() if isinstance(place, str) or place.stem == annotator]
        )
        labels = current_labels(labels[labels["annotator_id"] == annotator])
    except EmerError as error:
        return Admitted(annotator, task, None, 0, problem=str(error))
    holds = labels[labels["task"] == task]
    said = {
        (str(clip), int(repetition)): emotion if isinstance(emotion, str) else ""
        for clip, repetition, emotion in zip(holds["clip_id"], holds["repetition"], holds["emotion"], strict=True)
    }
    test = [item for item in source.items() if item.block is Block.ADMISSION]
    emotions = {item.item_id: said[item.clip_id, item.repetition] for item in test if item.key[::2] in said}
    n_open = len(test) - len(emotions)
    if n_open:
        return Admitted(annotator, task, None, n_open)
    passed = bool(source.admission(emotions))
    source.close()
    code = study_identity(study).admission_code(annotator, task) if passed else ""
    return Admitted(annotator, task, passed, 0, code)
