"""What the annotators of a study said so far."""

from __future__ import annotations

import logging

import pandas as pd

from data_schema.clips.index import load_clip_index
from data_schema.errors import LabelError
from data_schema.labels import current_labels, read_labels
from data_schema.study import StudyFolder

_log = logging.getLogger(__name__)


def read_study_labels(study: StudyFolder, *, empty_is_fine: bool = False) -> pd.DataFrame:
    """Read all labels of a study, from its files and its database, into one long table.

    Parameters
    ----------
    study : StudyFolder
    empty_is_fine : bool
        True to get an empty table where nobody has begun.

    Raises
    ------
    LabelError
        If there is no label file and no database, or one cannot be read.
    """
    files = study.label_places()
    if not files and not empty_is_fine:
        raise LabelError(
            f"{study.labels_dir}: no label files here. Import labels with `emer annotate import`, or in a simulated "
            "study make some with `emer annotate simulate`."
        )
    return read_labels(files)


def of_one_recording(
    rows: pd.DataFrame, study: StudyFolder, what: str = "labels", *, judged: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Leave out rows of an older recording of clips that were judged again since: raters of two videos say nothing together.

    Where nobody judged the recording that the study has now, the older rows stay: it may have been repaired, no more.

    Parameters
    ----------
    rows : DataFrame
        Labels or decisions, as `data_schema.labels.read_log` gives them.
    study : StudyFolder
        Its clip table says which recording a clip is of; without one, all rows stay.
    what : str
        What they are called in the warning.
    judged : DataFrame, optional
        The labels that tell which clips were judged again; `rows` themselves by default.
    """
    if not study.clip_index_path.is_file():
        return rows
    hashes = clip_hashes(study)
    said = rows if judged is None else judged
    again = set(said.loc[said["clip_sha256"] == said["clip_id"].map(hashes), "clip_id"])
    is_old = rows["clip_id"].isin(again) & (rows["clip_sha256"] != rows["clip_id"].map(hashes))
    if is_old.any():
        names = sorted(set(rows.loc[is_old, "clip_id"].astype(str)))
        _log.warning(
            "%d rows of the %s are of an older recording of clips that were judged again since, and are left out: %s%s",
            int(is_old.sum()), what, ", ".join(names[:5]), ", ..." if len(names) > 5 else "",
        )  # fmt: skip
    kept: pd.DataFrame = rows[~is_old].reset_index(drop=True)
    return kept


def clip_hashes(study: StudyFolder) -> dict[str, str]:
    """Return the SHA-256 of the recording of each clip of the study."""
    clips = load_clip_index(study.clip_index_path)
    return dict(zip(clips["clip_id"].astype(str), clips["session_sha256"].astype(str), strict=True))


def finished_clips(study: StudyFolder) -> set[tuple[str, str, str]]:
    """Return what is judged already, as annotator, pass and clip; labels that cannot be read are an error."""
    holds = current_labels(read_study_labels(study, empty_is_fine=True))
    return set(zip(holds["annotator_id"], holds["task"], holds["clip_id"], strict=True))


def stale_labels(labels: pd.DataFrame, hashes: dict[str, str]) -> pd.DataFrame:
    """Count per annotator current labels of clips that the study no longer has, and of recordings changed since.

    Returns
    -------
    DataFrame
        Columns annotator, n_gone and n_changed.
    """
    holds = current_labels(labels)
    known = holds["clip_id"].map(hashes)
    gone = known.isna()
    changed = ~gone & (known != holds["clip_sha256"])
    counts = pd.DataFrame({"annotator": holds["annotator_id"], "n_gone": gone, "n_changed": changed})
    return counts.groupby("annotator", as_index=False).sum()
