"""The tables of a publication: the de-identified view of a study, cut into tables of declared columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from data_schema.errors import ExportError
from data_schema.publishing.eye_events import eye_events
from data_schema.publishing.tables import declarations as declared
from data_schema.publishing.tables.arrow import in_order
from data_schema.publishing.tables.declarations import PublishedColumn, PublishedTable
from data_schema.publishing.tables.eye import BLINKS, FIXATIONS, SACCADES, gaze_frame
from data_schema.publishing.tables.recordings import recording_row

if TYPE_CHECKING:
    from data_schema.publishing.publication import Publication, PublishedRecording

#: Gaze rows that are read at once: 100 s at 600 Hz.
GAZE_ROWS = 60_000
#: What is published of a face where its landmarks may leave.
LANDMARK_LEVELS = ("landmarks", "blurred", "video")
#: What the facts about participants mean, where the console asks for them.
_FACTS = {
    "age_years": ("years", "Age at the time of the session; the first year of a range of ages."),
    "gender": ("", "Gender, as the participant said it."),
    "dominant_eye": ("", "Dominant eye."),
    "vision_aid": ("", "Glasses, contact lenses or none."),
}


@dataclass(frozen=True)
class Table:
    """A table and its rows.

    Parameters
    ----------
    declaration : PublishedTable
    rows : DataFrame
        Sorted by the key; columns as declared, further ones are not published.
    """

    declaration: PublishedTable
    rows: pd.DataFrame

    @property
    def name(self) -> str:
        """Name of the table."""
        return self.declaration.name


def build_tables(publication: Publication) -> list[Table]:
    """Return the tables of a publication that fit into memory, those without rows left out.

    Gaze is not among them: :func:`gaze_parts` gives it recording by recording.

    Parameters
    ----------
    publication : Publication

    Raises
    ------
    ExportError
        If nothing may be published, or a label belongs to no clip.
    """
    if not len(publication.clips):
        raise ExportError(
            f"{publication.title}: has no clip that can be published. Record sessions, then run: emer clips STUDY"
        )
    clips = _with_fold(publication.clips, publication)
    people = clips[["clip_id", "participant"]]
    tables = [
        _participants(publication),
        Table(declared.STIMULI, _stimuli(publication)),
        recordings_table(publication),
        Table(declared.CLIPS, clips),
        _of_clips(declared.TARGETS, publication.targets, people, publication),
        _of_clips(_labels_declaration(publication.labels), publication.labels, people, publication),
        _of_clips(declared.MARKS, publication.marks, people, publication),
        *_responses(publication),
        _features(publication, people),
        *_eye_events(publication, people),
    ]
    return [replace(table, rows=_tidy(table)) for table in tables if len(table.rows)]


def _tidy(table: Table) -> pd.DataFrame:
    """Sort the rows by the key; an empty text is a missing one."""
    rows = table.rows.copy()
    for column in table.declaration.columns:
        if column.dtype == "text" and column.name in rows:
            cells = rows[column.name].astype(object)
            rows[column.name] = cells.where(cells.notna() & (cells != ""), None)
    return in_order(rows, table.declaration)


def gaze_parts(recording: PublishedRecording) -> Iterator[pd.DataFrame]:
    """Yield the gaze of a recording in parts that fit into memory, as the columns of ``GAZE_TABLE``."""
    with recording.open() as session:
        for rows in session.gaze(GAZE_ROWS):
            yield gaze_frame(rows, recording.participant, recording.session, recording.run)


def landmark_parts(recording: PublishedRecording) -> Iterator[pd.DataFrame]:
    """Yield the landmarks of a recording as the columns of ``LANDMARKS``; nothing where they may not leave."""
    if recording.faces not in LANDMARK_LEVELS:
        return
    with recording.open() as session:
        yield session.landmarks().assign(participant=recording.participant)


def _with_fold(frame: pd.DataFrame, publication: Publication) -> pd.DataFrame:
    folds = publication.folds or {}
    joined: pd.DataFrame = frame.assign(fold=frame["participant"].map(folds).astype("Int64"))
    return joined


def _participants(publication: Publication) -> Table:
    rows = _with_fold(publication.participants, publication)
    facts = []
    for name in publication.participants.columns:
        if name == "participant":
            continue
        unit, meaning = _FACTS.get(name, ("", f"What the operator wrote down as '{name}'."))
        numbers = pd.to_numeric(rows[name], errors="coerce")
        if numbers.notna().any() and (numbers.notna() == _said(rows[name])).all():
            rows[name] = numbers.astype("float64")
            facts.append(
                PublishedColumn(name, "float64", unit, f"{meaning} Missing where it is withheld.", source="operator")
            )
        else:
            facts.append(
                PublishedColumn(name, "text", "", f"{meaning} Missing where it is withheld.", source="operator")
            )
    return Table(declared.PARTICIPANTS.with_columns(tuple(facts)), rows)


def _said(cells: pd.Series[Any]) -> pd.Series[Any]:
    said: pd.Series[Any] = cells.notna() & (cells.astype("string").fillna("") != "")
    return said


def _stimuli(publication: Publication) -> pd.DataFrame:
    names = ("stimulus_id", "file", "target_emotion", "licence", "sha256", "duration_s")
    rows = [
        (item.id, item.file, item.target_emotion, item.licence, item.sha256, item.duration_s)
        for item in publication.stimuli
    ]
    table: pd.DataFrame = pd.DataFrame(rows, columns=list(names))
    return table


def recordings_table(publication: Publication) -> Table:
    """Return the table with one row a recording: tracker, screen, losses, accuracy."""
    rows = []
    simulated = publication.clips.groupby(["participant", "session", "run"])["simulated"].any()
    for recording in publication.recordings:
        key = (recording.participant, recording.session, recording.run)
        row = recording_row(recording)
        row["simulated"] = bool(simulated.get(key, publication.simulated))
        rows.append(row)
    return Table(declared.RECORDINGS, pd.DataFrame(rows))


def _of_clips(table: PublishedTable, rows: pd.DataFrame, people: pd.DataFrame, publication: Publication) -> Table:
    """Add participant (and fold) to rows about clips; a row about no published clip is a fault."""
    rows = rows.drop(columns=["participant"], errors="ignore").merge(people, on="clip_id", how="left")
    foreign = sorted(set(rows.loc[rows["participant"].isna(), "clip_id"]))
    if foreign:
        raise ExportError(
            f"table {table.name}: {len(foreign)} clips are not among the published ones: {', '.join(foreign[:3])}. Build the "
            "clip index anew: emer clips STUDY"
        )
    return Table(table, _with_fold(rows, publication) if "fold" in table.names else rows)


def _labels_declaration(labels: pd.DataFrame) -> PublishedTable:
    return declared.LABELS.with_columns((declared.COMMENT,)) if "comment" in labels.columns else declared.LABELS


def _responses(publication: Publication) -> list[Table]:
    answers = publication.responses
    is_item = answers["questionnaire"].astype("string").fillna("") != ""
    # The runs of a session share their trials, so that the run of the answer is not part of the match.
    keys = ["participant", "session", "trial_id"]
    clips = publication.clips[[*keys, "clip_id"]].drop_duplicates(keys)
    reports = answers[~is_item].merge(clips, on=keys, how="left")
    text = "text" in answers.columns
    more = (
        (PublishedColumn("text", "text", "", "The participant's own words.", source="the participant"),) if text else ()
    )
    return [
        Table(declared.SELF_REPORT.with_columns(more), reports),
        Table(declared.QUESTIONNAIRES.with_columns(more), answers[is_item]),
    ]


def _features(publication: Publication, people: pd.DataFrame) -> Table:
    rows = publication.features
    columns = tuple(
        PublishedColumn(name, "float32", unit, meaning, source="computed from the recording")
        for name, unit, meaning in _feature_meanings(rows)
    )
    return _of_clips(declared.FEATURES.with_columns(columns), rows, people, publication)


def _feature_meanings(rows: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    from data_schema.signals.features import SUMMARY_FEATURES

    known = {feature.name: feature for feature in SUMMARY_FEATURES}
    for name in rows.columns:
        if name == "clip_id":
            continue
        feature = known.get(str(name))
        if feature is None:
            raise ExportError(
                f"table features: no feature is called '{name}'. Export with the version that computed it."
            )
        yield str(name), feature.unit, feature.definition


def _eye_events(publication: Publication, people: pd.DataFrame) -> list[Table]:
    found = eye_events(publication)
    return [_of_clips(table, found[table.name], people, publication) for table in (FIXATIONS, SACCADES, BLINKS)]
