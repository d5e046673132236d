"""``emer export bids``: the publication of a study as a finished BIDS folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from data_schema.publishing.bids.dataset import BidsSummary, write_bids
from data_schema.publishing.bids.tsv import write_text
from data_schema.publishing.bids.video import IGNORED
from data_schema.publishing.datasheet import DATASHEET_NAME, datasheet_of, unanswered
from data_schema.publishing.folder import CHECKSUMS_NAME, MARKER_NAME, publishing
from data_schema.publishing.publication import open_publication
from data_schema.study.folder import StudyFolder

KIND = "bids"


def export_bids(
    study: StudyFolder,
    out: Path,
    *,
    workers: int = 0,
    scheduler: str = "",
    force: bool = False,
    accept_changed: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> BidsSummary:
    """Publish a study as a BIDS dataset.

    Parameters
    ----------
    study : StudyFolder
    out : Path
        Folder to make; it appears when it is complete and holds no identifier of the study.
    workers : int
        Processes; 0 for one a core.
    scheduler : str
        Address of a Dask scheduler instead.
    force : bool
        Replace a finished BIDS export.
    accept_changed : bool
        Take labels that were given to another version of a recording.
    progress : callable, optional
        Called with runs done, runs in all and a detail.

    Raises
    ------
    ExportError
        If nobody can be published, an identifier is found in what was written, `out` holds something else, or the disk is full.
    """
    publication = open_publication(study, accept_changed=accept_changed)
    with publishing(out, KIND, publication, force=force) as folder:
        summary = write_bids(publication, folder, workers=workers, scheduler=scheduler, progress=progress)
        write_text(folder / DATASHEET_NAME, datasheet_of(publication, gaze=True))
        ours = (*IGNORED, MARKER_NAME, CHECKSUMS_NAME, DATASHEET_NAME)
        write_text(folder / ".bidsignore", "".join(f"{pattern}\n" for pattern in ours))
    return replace(summary, unanswered=tuple(unanswered(publication)), folds=bool(publication.folds))
