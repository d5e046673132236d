"""``emer import elan``: what a study has to say of labels that come from ELAN, and the log that they go into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import pandas as pd

from data_schema.clips.index import load_clip_index
from data_schema.errors import ExportError, UsageError
from data_schema.labels.checks import check_annotator_id
from data_schema.labels.models import ANNOTATOR_KINDS
from data_schema.labels.store import AddedRows, LabelStore
from data_schema.publishing.elan.labels import ElanSource, import_elan_labels, read_elan_labels
from data_schema.publishing.elan.marks import Frames, import_elan_marks, read_elan_marks
from data_schema.publishing.pseudonyms import load_pseudonyms, pseudonyms_path
from data_schema.publishing.publication import open_publication
from data_schema.publishing.sessions import origin_us
from data_schema.session.layout import FRAMES
from data_schema.session.reader import open_session
from data_schema.study.folder import StudyFolder
from data_schema.vocabularies import TASKS


def import_elan(
    study: StudyFolder, files: Sequence[Path], *, annotator: str, task: str, kind: str = "human", tier: str = ""
) -> tuple[Path | str, AddedRows, AddedRows, list[Path]]:
    """Import labels and marks from ELAN files into an annotator's log.

    Parameters
    ----------
    study : StudyFolder
    files : sequence of Path
    annotator : str
        The study's own code.
    task : {'er', 'fer'}
    kind : {'human', 'simulated', 'model'}
    tier : str
        Name of the tier with the emotions; found by task and annotator if empty.

    Returns
    -------
    place : Path or str
        The label file, or the database.
    labels, marks : AddedRows
        Marks that are gone from the files are taken back, and count as added rows.
    without : list of Path
        Files in which the annotator has no such tier.

    Raises
    ------
    UsageError
        If the task or kind is none.
    LabelError
        If a file cannot be read or an annotation cannot be a label; nothing is stored then.
    """
    if task not in TASKS:
        raise UsageError(f"--task is '{task}', expected one of {', '.join(TASKS)}.")
    if kind not in ANNOTATOR_KINDS:
        raise UsageError(f"--kind is '{kind}', expected one of {', '.join(ANNOTATOR_KINDS)}.")
    check_annotator_id(annotator)
    index = load_clip_index(study)
    own = [str(name) for name in index["clip_id"]]
    published = load_pseudonyms(pseudonyms_path(study)).annotators.get(annotator)
    source = ElanSource(
        task=task,
        raters=(annotator, *([published] if published else [])),
        tier=tier,
        clips={**{name: name for name in own}, **_published_names(study)},
        hashes=dict(zip(own, (str(value) for value in index["session_sha256"]), strict=True)),
        emotions=study.config.labels.emotions,
    )
    labels, without = read_elan_labels(files, source)
    marks = read_elan_marks(files, source, _frames_by_clip(study, index))
    place = study.config.labels.database or study.labels_dir / f"{annotator}.sqlite"
    if isinstance(place, Path):
        place.parent.mkdir(parents=True, exist_ok=True)
    with LabelStore.open(
        place, annotator, kind, study_title=study.config.study.title, emotions=study.config.labels.emotions, by_lab=True
    ) as store:
        # Rows that come while the annotator's window is open would not be seen there.
        store.take_seat()
        added = import_elan_labels(labels, store)
        return place, added, import_elan_marks(marks, store, task), without


def _frames_by_clip(study: StudyFolder, index: pd.DataFrame) -> Callable[[str], Frames]:
    files = dict(zip(index["clip_id"], index["session_file"], strict=True))

    @lru_cache(maxsize=4)
    def of_file(name: str) -> Frames:
        with open_session(study.root / name) as session:
            rows = session.table(FRAMES)[:]
            return Frames(rows["t_capture_us"].astype("int64") - origin_us(session), rows["pts"].astype("int64"))

    return lambda clip: of_file(str(files[clip]))


def _published_names(study: StudyFolder) -> dict[str, str]:
    """Return the study's names of the clips by the published ones; none if nothing can be published."""
    try:
        return {name.clip_id: own for own, name in open_publication(study).clip_names.items()}
    except ExportError:
        return {}
