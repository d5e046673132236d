"""The tables of a published dataset, declared once: what one row is, and each column's type, unit, words and meaning.

Parquet, CSV, codebook, import scripts, dataset card and Croissant are written from these. Columns that depend on the
study (facts about participants, summary features, blocks of annotators) are added when the tables are built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from data_schema.exports.columns import EXPORTED_LABELS, EXPORTED_TARGETS, Column
from data_schema.labels.models import ANNOTATOR_KINDS, MARK_KINDS
from data_schema.publishing.views import CLIP_COLUMNS, MARK_COLUMNS
from data_schema.vocabularies import EMOTIONS, POLARITIES, SKIP_REASONS, TASKS


@dataclass(frozen=True)
class PublishedColumn(Column):
    """One column of a published table.

    Parameters
    ----------
    words : mapping of str to str
        What a cell may hold, with its label, where that is a closed list; in the order that factors take.
    refers_to : str
        Table and column that hold the same key, such as ``clips.clip_id``.
    source : str
        Who or what the values come from.
    """

    words: Mapping[str, str] | None = None
    refers_to: str = ""
    source: str = ""


@dataclass(frozen=True)
class PublishedTable:
    """One table.

    Parameters
    ----------
    name : str
        Name of the configuration, and of the file.
    row : str
        What one row is.
    columns : tuple of PublishedColumn
    key : tuple of str
        Columns that name a row; rows are sorted by them.
    """

    name: str
    row: str
    columns: tuple[PublishedColumn, ...]
    key: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """Names of the columns, in order."""
        return [column.name for column in self.columns]

    def with_columns(self, columns: tuple[PublishedColumn, ...]) -> PublishedTable:
        """Return the table with further columns at its end; those that it has already are passed over."""
        known = set(self.names)
        return replace(self, columns=(*self.columns, *(c for c in columns if c.name not in known)))


def _words(words: tuple[str, ...], **labels: str) -> dict[str, str]:
    return {word: labels.get(word, word.replace("_", " ")) for word in words}


EMOTION_WORDS = _words(EMOTIONS)
POLARITY_WORDS = _words(POLARITIES)
TASK_WORDS = _words(TASKS, er="what the person felt", fer="what the face showed")
SKIP_WORDS = _words(SKIP_REASONS)
KIND_WORDS = _words(ANNOTATOR_KINDS)
MARK_WORDS = _words(MARK_KINDS)
SOURCE_WORDS = {
    "annotator": "an annotator",
    "adjudicator": "the decision of an adjudicator",
    "self_report": "the participant, after the stimulus",
}

PARTICIPANT = PublishedColumn(
    "participant", "text", "", "Published code of the participant.", refers_to="participants.participant"
)
SESSION = PublishedColumn("session", "text", "", "Name of the session.")
RUN = PublishedColumn("run", "int32", "", "Run of the session: 1, or more for the files with which it goes on.")
TRIAL = PublishedColumn("trial_id", "int32", "", "Number of the trial in the session.")
CLIP = PublishedColumn("clip_id", "text", "", "The clip.", refers_to="clips.clip_id")
FOLD = PublishedColumn(
    "fold",
    "int32",
    "",
    "Fold of the participant: a fold tests, the next validates, the others train; missing before folds were frozen.",
    source="the study's frozen folds",
)
SIMULATED = PublishedColumn(
    "simulated", "bool", "", "True if a device of the recording was simulated or replayed.", source="session file"
)
_T_S = PublishedColumn("t_s", "float64", "s", "Time since the start of the recording.")


def _taken_over(
    columns: tuple[Column, ...], words: Mapping[str, Mapping[str, str]], source: str
) -> tuple[PublishedColumn, ...]:
    taken = []
    for column in columns:
        if column.name == "clip_id":
            taken.append(CLIP)
            continue
        kind, _, scale = column.name.partition("_")
        known = words.get(column.name) or (words.get(scale) if kind in TASKS else None)
        taken.append(
            PublishedColumn(column.name, column.dtype, column.unit, column.meaning, words=known, source=source)
        )
    return tuple(taken)


def _published(columns: tuple[Column, ...], **more: Mapping[str, Any]) -> tuple[PublishedColumn, ...]:
    """Return columns of the de-identified view as published ones; `more` has by name what the view does not say."""
    return tuple(
        PublishedColumn(
            **{"name": c.name, "dtype": c.dtype, "unit": c.unit, "meaning": c.meaning, **more.get(c.name, {})}
        )
        for c in columns
    )


_VALUE_WORDS: dict[str, Mapping[str, str]] = {
    "task": TASK_WORDS,
    "source": SOURCE_WORDS,
    "annotator_kind": KIND_WORDS,
    "emotion": EMOTION_WORDS,
    "polarity": POLARITY_WORDS,
    "skip_reason": SKIP_WORDS,
}

PARTICIPANTS = PublishedTable(
    "participants", "one participant", (replace(PARTICIPANT, refers_to=""), FOLD), ("participant",)
)
STIMULI = PublishedTable(
    "stimuli",
    "one stimulus that was shown",
    (
        PublishedColumn("stimulus_id", "text", "", "The stimulus; the study's name for it may name an emotion."),
        PublishedColumn("file", "text", "", "Name of its file; the file itself is not part of the dataset."),
        PublishedColumn(
            "target_emotion", "text", "", "Emotion that it was chosen to induce: no label.", words=EMOTION_WORDS
        ),
        PublishedColumn("licence", "text", "", "Licence of the stimulus."),
        PublishedColumn("sha256", "text", "", "SHA-256 of the file that was shown, hexadecimal."),
        PublishedColumn("duration_s", "float64", "s", "Length of the stimulus."),
    ),
    ("stimulus_id",),
)
RECORDINGS = PublishedTable(
    "recordings",
    "one recording: a session, or the part of one before or after an interruption",
    (
        PARTICIPANT,
        SESSION,
        RUN,
        PublishedColumn("tracker", "text", "", "Model of the eye tracker."),
        PublishedColumn("rate_hz", "float64", "Hz", "Measured rate of the gaze samples while there were any."),
        PublishedColumn("screen_width_px", "int32", "px", "Width of the screen's picture."),
        PublishedColumn("screen_height_px", "int32", "px", "Height of the screen's picture."),
        PublishedColumn("screen_width_mm", "float64", "mm", "Width of the screen's picture."),
        PublishedColumn("screen_height_mm", "float64", "mm", "Height of the screen's picture."),
        PublishedColumn(
            "screen_distance_mm", "float64", "mm", "Usual distance of the eyes from the screen, as the study set it up."
        ),
        PublishedColumn("gaze_duration_s", "float64", "s", "From the first to the last gaze sample."),
        PublishedColumn("n_gaze", "int64", "", "Gaze samples."),
        PublishedColumn("gaze_loss_left", "float64", "share", "Gaze samples without the left eye."),
        PublishedColumn("gaze_loss_right", "float64", "share", "Gaze samples without the right eye."),
        PublishedColumn("gaze_loss_both", "float64", "share", "Gaze samples without any eye."),
        PublishedColumn(
            "accuracy_deg", "float64", "deg", "Mean offset of gaze over targets and eyes of the last validation."
        ),
        PublishedColumn(
            "precision_rms_s2s_deg", "float64", "deg", "Mean RMS of sample-to-sample distances of the last validation."
        ),
        PublishedColumn(
            "faces", "text", "", "What is published of the face: video, blurred, landmarks, features, none."
        ),
        SIMULATED,
    ),
    ("participant", "session", "run"),
)
_CLIP_COLUMNS = _published(
    CLIP_COLUMNS,
    participant={"refers_to": "participants.participant"},
    stimulus_id={"refers_to": "stimuli.stimulus_id", "meaning": "The stimulus; to group by, never an input."},
    target_emotion={"words": EMOTION_WORDS, "meaning": "Emotion that it was chosen to induce: no label."},
    exclusion_reason={"meaning": "Which rule it breaks; missing if it is included."},
    simulated={"source": "session file"},
)
CLIPS = PublishedTable(
    "clips",
    "one clip: what was recorded during one stimulus",
    (*_CLIP_COLUMNS[:2], FOLD, *_CLIP_COLUMNS[2:]),
    ("clip_id",),
)
TARGETS = PublishedTable(
    "targets",
    "one clip, with what annotators or the participant say together",
    (
        *_taken_over(EXPORTED_TARGETS, _VALUE_WORDS, "consensus of the annotators, or the self-report"),
        PARTICIPANT,
        FOLD,
    ),
    ("clip_id",),
)
LABELS = PublishedTable(
    "labels",
    "one judgement of one annotator, or one self-report, that holds",
    (*_taken_over(EXPORTED_LABELS, _VALUE_WORDS, "annotators and participants"), PARTICIPANT),
    ("clip_id", "task", "source", "annotator_id", "repetition"),
)
COMMENT = PublishedColumn("comment", "text", "", "What the annotator wrote beside the label.", source="annotators")
MARKS = PublishedTable(
    "marks",
    "one frame or clip that an annotator marked",
    (
        *_published(
            MARK_COLUMNS,
            clip_id={"refers_to": "clips.clip_id"},
            task={"words": TASK_WORDS},
            annotator_id={"source": "annotators"},
            kind={"words": MARK_WORDS},
        ),
        PARTICIPANT,
    ),
    ("clip_id", "task", "annotator_id", "kind", "t_s"),
)
_ANSWER = (
    PublishedColumn("scale", "text", "", "What was asked."),
    PublishedColumn("value", "float64", "the scale's", "The answer as a number.", source="the participant"),
)
_REPORTED = (
    replace(
        _ANSWER[0],
        meaning="What was asked: emotions 0 (not at all) to 4 (very strongly); valence, arousal -1 to 1; familiarity 1 (never) "
        "to 5 (several times); attention 1 yes, 0 no; attention_check: the answer to an item that said what to answer.",
    ),
    _ANSWER[1],
)
SELF_REPORT = PublishedTable(
    "self_report",
    "one answer of a participant about a stimulus",
    (
        PARTICIPANT, SESSION, RUN, TRIAL,
        replace(CLIP, meaning="The clip that the answer is about; missing where there is none."),
        *_REPORTED,
        replace(_T_S, meaning="Time of the answer since the start of the recording."),
    ),
    ("participant", "session", "run", "trial_id", "scale", "t_s"),
)  # fmt: skip
QUESTIONNAIRES = PublishedTable(
    "questionnaires",
    "one item of a questionnaire that a participant answered",
    (
        PARTICIPANT, SESSION, RUN,
        PublishedColumn("questionnaire", "text", "", "Name of the questionnaire."),
        PublishedColumn("occasion", "text", "", "When it was asked: before, after."),
        *_ANSWER,
        replace(_T_S, meaning="Time of the answer since the start of the recording."),
    ),
    ("participant", "session", "run", "questionnaire", "occasion", "scale", "t_s"),
)  # fmt: skip
FEATURES = PublishedTable(
    "features",
    "one clip, with summary features of eyes and face",
    (CLIP, PARTICIPANT, FOLD),
    ("clip_id",),
)
