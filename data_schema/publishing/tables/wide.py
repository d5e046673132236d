"""Tables with one row a clip or trial and a column for each rater or scale: what statistics programs want."""

from __future__ import annotations

import re

import pandas as pd

from data_schema.publishing.tables.build import Table
from data_schema.publishing.tables.declarations import (
    CLIP,
    EMOTION_WORDS,
    PARTICIPANT,
    POLARITY_WORDS,
    RUN,
    SESSION,
    TRIAL,
    PublishedColumn,
    PublishedTable,
)
from data_schema.vocabularies import TASKS

_JUDGED = {
    "emotion": ("text", "Emotion", EMOTION_WORDS),
    "polarity": ("text", "Polarity", POLARITY_WORDS),
    "valence": ("float64", "Valence, -1 to 1,", None),
    "arousal": ("float64", "Arousal, -1 to 1,", None),
    "intensity": ("float64", "Intensity of the expression, 0 to 3,", None),
}


def wide_labels(labels: Table) -> list[Table]:
    """Return one table a task: a row a clip, and columns such as ``emotion_R01`` for each annotator.

    First showings alone; self-reports are the rater ``self``. A column that nobody filled is left out.

    Parameters
    ----------
    labels : Table
        The long table of labels.
    """
    first = labels.rows[labels.rows["repetition"] == 0]
    first = first.assign(rater=first["annotator_id"].where(first["source"] != "self_report", "self"))
    return [table for task in TASKS for table in _of_task(first[first["task"] == task], task)]


def _of_task(rows: pd.DataFrame, task: str) -> list[Table]:
    if not len(rows):
        return []
    people = rows[["clip_id", "participant"]].drop_duplicates("clip_id").set_index("clip_id")
    wide, columns = people.copy(), []
    for rater, judged in rows.groupby("rater", sort=True):
        # A decision and a vote of one person: the decision is the later word.
        one = judged.drop_duplicates("clip_id", keep="last").set_index("clip_id")
        for field, (kind, title, words) in _JUDGED.items():
            if one[field].notna().any():
                name = variable_name(f"{field}_{rater}")
                who = "the participant said" if rater == "self" else f"{rater} said"
                wide[name] = one[field]
                columns.append(
                    PublishedColumn(name, kind, "", f"{title} that {who}; missing if not judged.", words=words)
                )
    declaration = PublishedTable(
        f"labels_wide_{task}",
        f"one clip that somebody judged in the pass {task.upper()}",
        (CLIP, PARTICIPANT, *columns),
        ("clip_id",),
    )
    return [Table(declaration, wide.reset_index().sort_values("clip_id", ignore_index=True))]


def wide_self_report(report: Table) -> Table:
    """Return the self-report with one row a trial and one column a scale; of two answers to one, the last counts."""
    keys = ["participant", "session", "run", "trial_id"]
    # Answers in words have no number, and no place in a column of numbers.
    numbers = report.rows[report.rows["value"].notna()]
    rows = numbers.sort_values("t_s", kind="stable").drop_duplicates([*keys, "scale"], keep="last")
    wide = rows.pivot(index=keys, columns="scale", values="value").reset_index()
    clips = rows[[*keys, "clip_id"]].drop_duplicates(keys)
    wide = wide.merge(clips, on=keys, how="left")
    scales = sorted(set(rows["scale"]))
    wide = wide.rename(columns={scale: variable_name(scale) for scale in scales})
    columns = tuple(
        PublishedColumn(variable_name(scale), "float64", "the scale's", f"Answer of the participant to '{scale}'.")
        for scale in scales
    )
    declaration = PublishedTable(
        "self_report_wide",
        "one trial with the participant's answers",
        (PARTICIPANT, SESSION, RUN, TRIAL, CLIP, *columns),
        tuple(keys),
    )
    return Table(declaration, wide.sort_values(keys, ignore_index=True))


def variable_name(text: str) -> str:
    """Return a name that R and SPSS take as it is: letters, digits and underscores, a letter first, at most 64."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", text)
    return (name if name[:1].isalpha() else f"v_{name}")[:64]
