"""``emer export elan``: one annotation file a recording, beside the face video where that may leave."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from data_schema.errors import ExportError
from data_schema.files import write_bytes
from data_schema.publishing.datasheet import DATASHEET_NAME, datasheet_of
from data_schema.publishing.elan.document import Document, Media
from data_schema.publishing.elan.reading import check_eaf
from data_schema.publishing.elan.tiers import RecordingRows, recording_document
from data_schema.publishing.elan.writing import to_eaf
from data_schema.publishing.eye_events import eye_events
from data_schema.publishing.folder import publishing
from data_schema.publishing.tables.card import NO_LICENCE, citation

if TYPE_CHECKING:
    from data_schema.publishing.publication import Publication, PublishedRecording

Progress = Callable[[int, int, str], None]
_SIMULATED = "SIMULATED DATA: recordings of simulated or replayed devices. They say nothing about people.\n\n"
_README = """\
# {name}: annotations for ELAN

{simulated}One file a recording, format EAF 3.0 (ELAN 5 and later). `datasheet.md` says how the data came about.

| tier | holds |
| --- | --- |
| `clips` | the clips by name; everything that was judged hangs below them |
| `ER target`, `FER target` | what annotators (or the participant) say together |
| `ER@CODE`, `FER@CODE` | emotions that an annotator gave, or `skip:REASON`; `self` is the participant |
| `FER-valence@CODE` and the like | polarity, valence, arousal, intensity, confidence of the same judgement |
| `FER-apex@CODE`, `onset`, `offset`, `flag` | marked frames and clips |
| `fixations`, `saccades`, `blinks` | what the eyes did; whole events also at the ends of clips |

{media}

Times are milliseconds since the recording's first gaze sample, or since its first camera frame where that came later: the file's
property `zero_s` says by how many seconds. The property `fold` is the participant's fold, where the study has drawn any.

Licence: {licence}

Cite: {citation}
"""


def export_elan(
    publication: Publication, out: Path, *, force: bool = False, video: bool = True, progress: Progress | None = None
) -> int:
    """Write a publication as ELAN files.

    Parameters
    ----------
    publication : Publication
    out : Path
        Folder to make.
    force : bool
        Replace a finished export.
    video : bool
        Write face videos that may leave beside the files.
    progress : callable, optional

    Returns
    -------
    int
        Number of .eaf files.

    Raises
    ------
    ExportError
        If there is no clip to publish, the folder exists, or the disk is full.
    """
    if not len(publication.clips):
        raise ExportError(
            f"{publication.title}: has no published clips, so there is nothing to annotate. Run: emer clips STUDY"
        )
    events = eye_events(publication)
    videos = 0
    with publishing(out, "elan", publication, force=force) as folder:
        for number, recording in enumerate(publication.recordings):
            if progress:
                progress(number, len(publication.recordings), recording.name)
            media = _media(recording, folder) if video else ()
            videos += len(media)
            document = elan_document(publication, recording, events, media)
            content = to_eaf(document)
            problems = check_eaf(ET.fromstring(content))
            if problems:
                raise ExportError(
                    f"{recording.name}.eaf breaks the rules of the format: {problems[0]}. Report this as a fault."
                )
            write_bytes(folder / f"{recording.name}.eaf", content)
        said = (
            f"{videos} recordings have their face video in `media/`."
            if videos
            else "No face video is part of this dataset."
        )
        text = _README.format(
            name=publication.name,
            simulated=_SIMULATED if publication.simulated else "",
            media=said,
            licence=publication.settings.licence or NO_LICENCE,
            citation=citation(publication),
        )
        write_bytes(folder / "README.md", text.encode("utf-8"))
        write_bytes(folder / DATASHEET_NAME, datasheet_of(publication, gaze=False).encode("utf-8"))
    return len(publication.recordings)


def elan_document(
    publication: Publication,
    recording: PublishedRecording,
    events: dict[str, pd.DataFrame],
    media: tuple[Media, ...] = (),
) -> Document:
    """Build the document of one recording of a publication.

    The document's zero is the recording's, or the first camera frame where that comes later: ELAN knows no time before its
    media.

    Parameters
    ----------
    publication : Publication
    recording : PublishedRecording
    events : dict of str to DataFrame
        From :func:`eye_events`.
    media : tuple of Media
    """
    own = publication.clips
    own = own[
        (own["participant"] == recording.participant)
        & (own["session"] == recording.session)
        & (own["run"] == recording.run)
    ]
    names = list(own["clip_id"])

    def of(table: pd.DataFrame) -> pd.DataFrame:
        found: pd.DataFrame = table[table["clip_id"].isin(names)]
        return found

    with recording.open() as session:
        start_us = session.video_start_us
    rows = RecordingRows(
        own,
        of(publication.labels),
        of(publication.targets),
        of(publication.marks),
        {kind: of(table) for kind, table in events.items()},
        recording.participant,
        max(0, start_us or 0) / 1e6,
    )
    properties = {"recording": recording.name, "dataset": f"{publication.name} {publication.version}"}
    fold = (publication.folds or {}).get(recording.participant)
    if fold is not None:
        properties["fold"] = str(fold)
    origin_ms = max(0, -round((start_us or 0) / 1000))
    placed = tuple(Media(item.path, item.mime, origin_ms) for item in media)
    return recording_document(rows, media=placed, properties=properties, licence=publication.settings.licence)


def _media(recording: PublishedRecording, folder: Path) -> tuple[Media, ...]:
    if recording.faces not in ("video", "blurred"):
        return ()
    path = f"media/{recording.name}_face.mp4"
    with recording.open() as session:
        if session.video_start_us is None:
            return ()
        (folder / "media").mkdir(exist_ok=True)
        session.write_face_video(folder / path)
    return (Media(path, "video/mp4"),)
