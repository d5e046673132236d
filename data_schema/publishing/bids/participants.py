"""Who took part, as ``participants.tsv`` with its data dictionary, and when, where shifted dates are published.

References
----------
BIDS Specification 1.11.1, "Participants file", "Sessions file", "Scans file": ages are capped at 89; shifted dates lie before
1925.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from data_schema.publishing.bids.names import RunName
from data_schema.publishing.bids.tsv import write_json, write_tsv

#: The column names of the standard for facts that have one.
_STANDARD_NAMES = {"age_years": "age"}
_OLDEST = 89

#: Data dictionary of the facts that the toolkit itself asks for.
_NOTES: dict[str, dict[str, Any]] = {
    "age": {"Description": "Age: the first year of the age group.", "Units": "year"},
    "gender": {"Description": "Gender in the participant's own terms."},
    "dominant_eye": {"Description": "Dominant eye."},
    "vision_aid": {"Description": "Glasses or lenses worn while recording."},
}


#: Column of the participant's fold, in which the importer finds it again.
FOLD = "fold"


def write_participants(
    root: Path,
    participants: pd.DataFrame,
    subjects: Mapping[str, str],
    simulated: bool,
    folds: Mapping[str, int] | None = None,
    n_folds: int = 0,
) -> None:
    """Write ``participants.tsv`` and ``participants.json``.

    Parameters
    ----------
    root : Path
        The dataset.
    participants : DataFrame
        ``participant`` and one column a published fact.
    subjects : mapping of str to str
        Label by participant.
    simulated : bool
    folds : mapping of str to int, optional
        Frozen fold of each participant, where the study has drawn any.
    n_folds : int
        How many there are.
    """
    rows = participants.set_index("participant").reindex(list(subjects))
    table: dict[str, Any] = {"participant_id": [f"sub-{short}" for short in subjects.values()]}
    notes: dict[str, Any] = {
        "participant_id": {
            "Description": "A simulated participant, no person."
            if simulated
            else "Code of the participant, made for this dataset."
        }
    }
    for fact in rows.columns:
        name = _STANDARD_NAMES.get(str(fact), str(fact))
        values: Any = rows[fact]
        if name == "age":
            values = pd.to_numeric(values, errors="coerce").clip(upper=_OLDEST).astype("float64")
        table[name] = values
        about = _NOTES.get(name, {"Description": f"The study's fact '{fact}', as it was written down."})
        notes[name] = {**about, "Description": about["Description"] + " n/a where it is unknown or withheld."}
    if folds:
        table[FOLD] = [folds.get(code) for code in subjects]
        notes[FOLD] = {
            "Description": (
                f"Fold of the participant, 0 to {n_folds - 1}, frozen before models were trained: fold k tests, fold k + 1 (of "
                f"{n_folds}, counted from 0) validates, the others train. n/a for who has none."
            )
        }
    write_tsv(root / "participants.tsv", table)
    write_json(root / "participants.json", notes)


def write_dates(root: Path, acquired: Mapping[RunName, date | None], files: Mapping[RunName, Iterable[str]]) -> None:
    """Write the shifted day of each session and file, where dates are published; nothing else.

    Parameters
    ----------
    root : Path
        The dataset.
    acquired : mapping of RunName to date or None
        Shifted day of each run.
    files : mapping of RunName to iterable of str
        The run's recordings, relative to the session's folder.
    """
    by_subject: dict[str, dict[str, date]] = {}
    by_session: dict[tuple[str, str], list[tuple[str, date]]] = {}
    for run, day in acquired.items():
        if day is None:
            continue
        days = by_subject.setdefault(run.subject, {})
        days[run.session] = min(day, days.get(run.session, day))
        by_session.setdefault((run.subject, run.session), []).extend((file, day) for file in files[run])
    for subject, days in by_subject.items():
        stem = f"sub-{subject}/sub-{subject}_sessions"
        write_tsv(
            root / f"{stem}.tsv",
            {"session_id": [f"ses-{name}" for name in days], "acq_time": [_midnight(day) for day in days.values()]},
        )
        write_json(root / f"{stem}.json", {"acq_time": {"Description": _SHIFTED}})
    for (subject, session), rows in by_session.items():
        stem = f"sub-{subject}/ses-{session}/sub-{subject}_ses-{session}_scans"
        write_tsv(
            root / f"{stem}.tsv", {"filename": [f for f, _ in rows], "acq_time": [_midnight(day) for _, day in rows]}
        )
        write_json(root / f"{stem}.json", {"acq_time": {"Description": _SHIFTED}})


_SHIFTED = (
    "Day of the recording, moved by a number of days that is the same for all of a participant; the time of day is not "
    "published and stands as midnight."
)


def _midnight(day: date) -> str:
    return f"{day.isoformat()}T00:00:00"
