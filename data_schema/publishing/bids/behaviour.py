"""Answers of participants: to each clip as ``_beh.tsv``, to questionnaires below ``phenotype/``.

References
----------
BIDS Specification 1.11.1, "Behavioral experiments (with no neural recordings)"; "Phenotypic and assessment data": one row a
participant, and every participant of the dataset in every file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data_schema.publishing.bids.tsv import MISSING, write_json, write_tsv
from data_schema.vocabularies import EMOTIONS

#: What the self-report's scales mean; scales that a study adds are named as the study names them.
SCALE_MEANINGS: dict[str, str] = {
    **{emotion: f"How strongly {emotion} was felt, from 0 (not at all) to 4 (very strongly)." for emotion in EMOTIONS},
    "neutral": "How much nothing in particular was felt, from 0 (not at all) to 4 (very strongly).",
    "emotion": "The emotion that was felt most.",
    "valence": "Felt valence, from -1 (unpleasant) to 1 (pleasant); asked on the 9-point SAM.",
    "arousal": "Felt arousal, from -1 (calm) to 1 (excited); asked on the 9-point SAM.",
    "familiarity": "Whether the participant had seen the clip before, from 1 (never) to 5 (several times).",
    "attention": "Whether the participant says to have watched the whole clip attentively: 1 yes, 0 no.",
    "attention_check": (
        "Answer, 0 to 4, to an item that told the participant which answer to choose, to show that items are read."
    ),
}


def behaviour_table(responses: pd.DataFrame) -> dict[str, Any]:
    """Return the self-reports of a run as columns, in the order of their times.

    Parameters
    ----------
    responses : DataFrame
        Rows of the run: trial_id, scale, value, questionnaire, occasion, t_s; questionnaires are passed over.
    """
    rows = responses[responses["questionnaire"].fillna("") == ""]
    rows = rows.sort_values(["t_s", "trial_id", "scale"], kind="stable")
    columns: dict[str, Any] = {
        "trial": rows["trial_id"].to_numpy(dtype=np.int64),
        "scale": rows["scale"].tolist(),
        "value": rows["value"].to_numpy(dtype=np.float64),
        "answered": _seconds(rows["t_s"]),
    }
    if "text" in rows:
        columns["text"] = rows["text"].tolist()
    return columns


def _seconds(times_s: pd.Series[Any]) -> list[str | None]:
    return [None if pd.isna(time) else f"{time:.6f}" for time in times_s]


def behaviour_sidecar(task: Mapping[str, Any], scales: set[str], with_text: bool) -> dict[str, Any]:
    """Return the sidecar of all ``_beh.tsv``.

    Parameters
    ----------
    task : mapping
        What all sidecars of the task say.
    scales : set of str
        Scales that occur.
    with_text : bool
        Whether people's own words are published.
    """
    notes: dict[str, Any] = {
        "trial": {"Description": "Number of the trial, as in the events."},
        "scale": {
            "Description": "What was asked.",
            "Levels": {scale: SCALE_MEANINGS.get(scale, f"The study's scale '{scale}'.") for scale in sorted(scales)},
        },
        "value": {"Description": "The answer as a number."},
        "answered": {"Description": "When it was answered, on the run's clock.", "Units": "s"},
    }
    if with_text:
        notes["text"] = {"Description": "The answer in the participant's own words."}
    return {**task, **notes}


def write_phenotype(
    root: Path, responses: pd.DataFrame, subjects: Mapping[str, str], sessions: Mapping[str, str], simulated: bool
) -> list[str]:
    """Write one table a questionnaire, a row a participant.

    Parameters
    ----------
    root : Path
        The dataset.
    responses : DataFrame
        All answers: participant, session, run, scale, value, questionnaire, occasion.
    subjects, sessions : mapping of str to str
        Labels of participants and sessions.
    simulated : bool

    Returns
    -------
    list of str
        The questionnaires.
    """
    answers = responses[responses["questionnaire"].fillna("") != ""].copy()
    written: list[str] = []
    for name, rows in answers.groupby("questionnaire", sort=True):
        rows = rows.sort_values(["session", "run", "occasion"], kind="stable")
        items = list(dict.fromkeys(zip(rows["session"], rows["occasion"].fillna(""), rows["scale"], strict=True)))
        keys = {item: _column(sessions[item[0]], item[1], item[2]) for item in items}
        # A questionnaire that a later run asked again counts as answered there.
        said = {
            (row.participant, row.session, row.occasion if isinstance(row.occasion, str) else "", row.scale): row.value
            for row in rows.itertuples(index=False)
        }
        table: dict[str, Any] = {"participant_id": [f"sub-{short}" for short in subjects.values()]}
        for item, key in keys.items():
            table[key] = np.array([said.get((code, *item), np.nan) for code in subjects], dtype=np.float64)
        file = "".join(letter if letter.isalnum() else "_" for letter in str(name))
        write_tsv(root / "phenotype" / f"{file}.tsv", table)
        write_json(root / "phenotype" / f"{file}.json", _dictionary(str(name), keys, simulated))
        written.append(str(name))
    return written


def _column(session: str, occasion: str, scale: str) -> str:
    return f"ses{session}_{occasion}_{scale}" if occasion else f"ses{session}_{scale}"


def _dictionary(name: str, keys: Mapping[tuple[str, str, str], str], simulated: bool) -> dict[str, Any]:
    notes: dict[str, Any] = {
        "Description": f"Answers to the questionnaire '{name}'" + (", simulated." if simulated else "."),
        "Questionnaire": name,
        "MeasurementToolMetadata": {
            "Description": (
                f"Questionnaire '{name}' as the study asked it on the screen. Values are the answers as they were given: no item "
                "is turned round, nothing is summed."
            )
        },
        "participant_id": {"Description": "The participant, as in participants.tsv."},
    }
    for (session, occasion, scale), key in keys.items():
        when = f", {occasion} the clips" if occasion else ""
        notes[key] = {
            "LongName": scale,
            "Session": session,
            "Occasion": occasion,
            "Description": f"Answer to '{scale}' in session {session}{when}; {MISSING} if it was not asked or not answered.",
        }
    return notes
