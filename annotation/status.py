"""How far the annotators are."""

from __future__ import annotations

import pandas as pd

from data_schema.errors import LabelError
from data_schema.exports.clips import load_clip_index
from data_schema.labels import current_labels, read_labels
from data_schema.study import StudyFolder
from data_schema.vocabularies import TASKS

STATUS_COLUMNS = ("annotator", "kind", "task", "labelled", "skipped", "open", "of")


def read_study_labels(study: StudyFolder) -> pd.DataFrame:
    """Read all label files of a study into one long table.

    Raises
    ------
    LabelError
        If there is no label file, or one cannot be read.
    """
    files = study.label_files()
    if not files:
        raise LabelError(
            f"{study.labels_dir}: no label files here. Import labels with `emer annotate import`, or in a simulated "
            "study make some with `emer annotate simulate`."
        )
    return read_labels(files)


def clip_hashes(study: StudyFolder) -> dict[str, str]:
    """Return the SHA-256 of the recording of each clip of the study."""
    clips = load_clip_index(study.clip_index_path)
    return dict(zip(clips["clip_id"].astype(str), clips["session_sha256"].astype(str), strict=True))


def annotation_status(labels: pd.DataFrame, clip_ids: set[str]) -> pd.DataFrame:
    """Count per annotator and task what is labelled, skipped and open.

    Parameters
    ----------
    labels : DataFrame
        From `read_labels`.
    clip_ids : set of str
        Clips to be labelled; labels of other clips are not counted.

    Returns
    -------
    DataFrame
        Columns `STATUS_COLUMNS`; both tasks of each annotator, also if one is untouched.
    """
    holds = current_labels(labels)
    holds = holds[holds["clip_id"].isin(clip_ids) & (holds["repetition"] == 0)]
    rows = []
    annotators = sorted(set(zip(labels["annotator_id"], labels["annotator_kind"], strict=True)))
    for annotator, kind in annotators:
        for task in TASKS:
            own = holds[(holds["annotator_id"] == annotator) & (holds["task"] == task)]
            labelled, skipped = int(own["emotion"].notna().sum()), int(own["skip_reason"].notna().sum())
            left = len(clip_ids) - labelled - skipped
            rows.append((annotator, kind, task, labelled, skipped, left, len(clip_ids)))
    return pd.DataFrame(rows, columns=list(STATUS_COLUMNS))


def stale_labels(labels: pd.DataFrame, hashes: dict[str, str]) -> tuple[int, int]:
    """Count current labels of clips that the study no longer has, and of recordings that changed since."""
    holds = current_labels(labels)
    known = holds["clip_id"].map(hashes)
    unknown = known.isna()
    changed = ~unknown & (known != holds["clip_sha256"])
    return int(unknown.sum()), int(changed.sum())
