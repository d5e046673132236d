"""The tables of a label file, declared once.

A label file is an append-only log: a row is written when an annotator says
something, and nothing ever changes or removes it. A later row names the row that
it replaces (`supersedes`). The database itself refuses UPDATE, DELETE and
REPLACE (triggers below), so that another program cannot rewrite history by
accident either; whoever removes the triggers is found out when the file is
opened.

The columns, their types and their meaning (``comment``) are read from here by
the CSV import and export, the data frames and the reference page. The classes
use no SQLite-only type, so the same models run on PostgreSQL; only the triggers
are written per database.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    event,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.schema import DDL

from data_schema.vocabularies import (
    AROUSAL,
    CONFIDENCE,
    EMOTIONS,
    INTENSITY,
    POLARITIES,
    SKIP_REASONS,
    TASKS,
    VALENCE,
    AnnotatorKind,
    Scale,
)

#: Raised by one with each change of the tables; stored as SQLite's ``user_version``.
SCHEMA_VERSION = 2
#: SQLite's ``application_id``: "EMRL" in ASCII. Tells a label file from any other database.
APPLICATION_ID = 0x454D524C

ANNOTATOR_KINDS: tuple[str, ...] = tuple(kind.value for kind in AnnotatorKind)
#: What a row does. "label" says something new, "undo" takes the state back to
#: what it was before a row (its value columns are empty if there was nothing
#: before), "redo" says again what was undone.
ACTIONS: tuple[str, ...] = ("label", "undo", "redo")
#: What a mark says. A flag is of the clip, the others of a frame.
MARK_KINDS: tuple[str, ...] = ("apex", "onset", "offset", "flag")
#: What the `view` of a row of the training block begins with. Its annotator is shown the right answer after the label,
#: and may change it then, so that the row is no vote: see `data_schema.labels.current_votes`.
TRAINING_VIEW = "training:"
TRACE_MODES: tuple[str, ...] = ("bounded", "relative")
#: What became of a model's guess: taken over with one key, changed, put aside unseen or unanswered, or never
#: shown since the clip belongs to the blind control share.
GUESS_OUTCOMES: tuple[str, ...] = ("accepted", "changed", "dismissed", "control")
#: One raw sample of a trace; little endian. Valence or arousal is NaN where it was not traced.
TRACE_SAMPLE: tuple[tuple[str, str], ...] = (
    ("t_work_us", "<i8"),  # monotonic, from the start of the trace
    ("frame_index", "<i8"),
    ("frame_pts", "<i8"),
    ("valence", "<f8"),
    ("arousal", "<f8"),
)


def _one_of(column: str, words: tuple[str, ...]) -> str:
    quoted = ", ".join(f"'{word}'" for word in words)
    return f"{column} IN ({quoted})"


def _on(scale: Scale) -> str:
    return f"{scale.name} BETWEEN {scale.low} AND {scale.high}"


class Base(DeclarativeBase):
    """Base of the tables."""

    metadata = MetaData(
        naming_convention={"ck": "ck_%(table_name)s_%(constraint_name)s", "ix": "ix_%(column_0_label)s"}
    )


class MetaRow(Base):
    """One fact about the file: schema version, study, annotator, when and by what it was made."""

    __tablename__ = "meta"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class LabelRow(Base):
    """One thing that one annotator said about one clip."""

    __tablename__ = "labels"
    __table_args__ = (
        CheckConstraint(_one_of("action", ACTIONS), name="action"),
        CheckConstraint(_one_of("annotator_kind", ANNOTATOR_KINDS), name="annotator_kind"),
        CheckConstraint(_one_of("task", TASKS), name="task"),
        CheckConstraint(_one_of("emotion", EMOTIONS), name="emotion"),
        CheckConstraint(_one_of("polarity", POLARITIES), name="polarity"),
        CheckConstraint(_one_of("skip_reason", SKIP_REASONS), name="skip_reason"),
        CheckConstraint(_on(VALENCE), name="valence"),
        CheckConstraint(_on(AROUSAL), name="arousal"),
        CheckConstraint(_on(INTENSITY), name="intensity"),
        CheckConstraint(_on(CONFIDENCE), name="confidence"),
        CheckConstraint("intensity IS NULL OR task = 'fer'", name="intensity_fer_only"),
        CheckConstraint("emotion IS NULL OR skip_reason IS NULL", name="emotion_or_skip"),
        CheckConstraint("action = 'undo' OR emotion IS NOT NULL OR skip_reason IS NOT NULL", name="says_something"),
        CheckConstraint("action = 'label' OR supersedes IS NOT NULL", name="undo_supersedes"),
        Index("ix_labels_clip", "clip_id", "task", "repetition"),
        {"sqlite_autoincrement": True},
    )

    seq: Mapped[int] = mapped_column(
        Integer, primary_key=True, autoincrement=True, comment="Order of commits in this file; not part of the label."
    )
    row_id: Mapped[str] = mapped_column(String(32), unique=True, comment="Random UUID, 32 hexadecimal digits.")
    action: Mapped[str] = mapped_column(String(8), comment="label, undo or redo.")
    supersedes: Mapped[str | None] = mapped_column(String(32), index=True, comment="The row that this one replaces.")
    annotator_id: Mapped[str] = mapped_column(String(64), comment="Pseudonym of the annotator.")
    annotator_kind: Mapped[str] = mapped_column(String(16), comment="human, simulated or model.")
    clip_id: Mapped[str] = mapped_column(String(128), comment="The clip, as in the study's clip table.")
    clip_sha256: Mapped[str] = mapped_column(
        String(64),
        comment="SHA-256 of the session file that the clip was cut from, as in clips.parquet: says which recording was judged.",
    )
    task: Mapped[str] = mapped_column(String(8), comment="er (what is felt) or fer (what the face shows).")
    view: Mapped[str] = mapped_column(
        String(64),
        comment="What the annotator could see, such as face or face+stimulus+gaze; empty if not stated. "
        f"It begins with {TRAINING_VIEW} where the label was given in the training block: the right answer is shown there, "
        "so it counts as no vote.",
    )
    repetition: Mapped[int] = mapped_column(
        Integer, comment="0 for the first showing, 1 and up for repeats that measure self-consistency."
    )
    emotion: Mapped[str | None] = mapped_column(String(16), comment="One of the seven emotions; empty if skipped.")
    polarity: Mapped[str | None] = mapped_column(String(16), comment="positive, negative or neutral.")
    valence: Mapped[float | None] = mapped_column(Float, comment="-1 (unpleasant) to 1 (pleasant).")
    arousal: Mapped[float | None] = mapped_column(Float, comment="-1 (calm) to 1 (excited).")
    intensity: Mapped[float | None] = mapped_column(Float, comment="Of the expression, 0 to 3; FER only.")
    confidence: Mapped[float | None] = mapped_column(Float, comment="0 (guessing) to 1 (certain).")
    skip_reason: Mapped[str | None] = mapped_column(String(32), comment="Why no label was given.")
    comment: Mapped[str] = mapped_column(Text, comment="Free text.")
    frame_index: Mapped[int | None] = mapped_column(
        BigInteger,
        comment="Camera frame that is meant, counted from 0 in the session's video; empty if the whole clip is meant.",
    )
    frame_pts: Mapped[int | None] = mapped_column(
        BigInteger,
        comment="Presentation time stamp of that frame, in the time base of the session's video stream; empty likewise.",
    )
    duration_ms: Mapped[int | None] = mapped_column(
        BigInteger, comment="Milliseconds from showing the clip to the label."
    )
    created_utc: Mapped[str] = mapped_column(String(32), comment="When it was said, ISO 8601 with microseconds, UTC.")
    toolkit_version: Mapped[str] = mapped_column(String(32), comment="Version of the toolkit that wrote the row.")


class _LogColumns:
    """What every row of the other logs of a label file has; they are as append-only as the labels."""

    seq: Mapped[int] = mapped_column(
        Integer, primary_key=True, autoincrement=True, sort_order=-9, comment="Order of commits in this table."
    )
    row_id: Mapped[str] = mapped_column(
        String(32), unique=True, sort_order=-8, comment="Random UUID, 32 hexadecimal digits."
    )
    annotator_id: Mapped[str] = mapped_column(String(64), sort_order=-7, comment="Pseudonym of the annotator.")
    annotator_kind: Mapped[str] = mapped_column(String(16), sort_order=-7, comment="human, simulated or model.")
    clip_id: Mapped[str] = mapped_column(String(128), sort_order=-6, comment="The clip.")
    clip_sha256: Mapped[str] = mapped_column(
        String(64), sort_order=-6, comment="SHA-256 of the recording, as in the labels."
    )
    task: Mapped[str] = mapped_column(String(8), sort_order=-6, comment="er or fer.")
    repetition: Mapped[int] = mapped_column(
        Integer, sort_order=-6, comment="0 for the first showing, 1 and up for repeats."
    )
    created_utc: Mapped[str] = mapped_column(String(32), sort_order=8, comment="ISO 8601 with microseconds, UTC.")
    toolkit_version: Mapped[str] = mapped_column(
        String(32), sort_order=9, comment="Version of the toolkit that wrote the row."
    )


class MarkRow(_LogColumns, Base):
    """A frame or a clip that an annotator marked, or the taking back of a mark."""

    __tablename__ = "marks"
    __table_args__ = (CheckConstraint(_one_of("kind", MARK_KINDS), name="kind"), {"sqlite_autoincrement": True})

    kind: Mapped[str] = mapped_column(
        String(16), comment="apex, onset or offset of the expression; flag: look at the clip again."
    )
    removes: Mapped[str | None] = mapped_column(
        String(32), comment="The mark that this row takes back; empty for a new mark."
    )
    frame_index: Mapped[int | None] = mapped_column(BigInteger, comment="As in the labels; empty for a flag.")
    frame_pts: Mapped[int | None] = mapped_column(BigInteger, comment="As in the labels; empty for a flag.")
    comment: Mapped[str] = mapped_column(Text, comment="Free text.")


class TraceRow(_LogColumns, Base):
    """One continuous trace of valence or arousal, given while the clip played."""

    __tablename__ = "traces"
    __table_args__ = (CheckConstraint(_one_of("mode", TRACE_MODES), name="mode"), {"sqlite_autoincrement": True})

    mode: Mapped[str] = mapped_column(
        String(16), comment="bounded: on the scale; relative: free of ends, only changes count."
    )
    traced: Mapped[str] = mapped_column(String(16), comment="valence, arousal or both.")
    speed: Mapped[float] = mapped_column(Float, comment="Speed of playback, 1 is that of the recording.")
    supersedes: Mapped[str | None] = mapped_column(
        String(32), comment="An earlier trace of the clip that this one replaces."
    )


class TraceSamplesRow(Base):
    """Raw samples of a trace, in chunks, so that a kill loses less than a second."""

    __tablename__ = "trace_samples"
    __table_args__ = (
        UniqueConstraint("trace_id", "chunk", name="uq_trace_samples_chunk"),
        {"sqlite_autoincrement": True},
    )

    seq: Mapped[int] = mapped_column(
        Integer, primary_key=True, autoincrement=True, comment="Order of commits in this table."
    )
    annotator_id: Mapped[str] = mapped_column(String(64), comment="Pseudonym of the annotator.")
    trace_id: Mapped[str] = mapped_column(String(32), index=True, comment="row_id of the trace.")
    chunk: Mapped[int] = mapped_column(Integer, comment="Number of the chunk, from 0.")
    samples: Mapped[bytes] = mapped_column(
        LargeBinary, comment="Rows of TRACE_SAMPLE, little endian, one after the other."
    )


class GuessRow(_LogColumns, Base):
    """A model's guess, whether it was shown, and what became of it."""

    __tablename__ = "guesses"
    __table_args__ = (
        CheckConstraint(_one_of("outcome", GUESS_OUTCOMES), name="outcome"),
        {"sqlite_autoincrement": True},
    )

    model_sha256: Mapped[str] = mapped_column(String(64), comment="SHA-256 of the model that guessed.")
    guess: Mapped[str] = mapped_column(Text, comment="JSON object of the guessed fields and the confidence.")
    shown_utc: Mapped[str | None] = mapped_column(String(32), comment="When it was shown; empty if it was not.")
    outcome: Mapped[str] = mapped_column(
        String(16), comment="accepted, changed, dismissed, or control: not shown on purpose."
    )
    label_row_id: Mapped[str | None] = mapped_column(String(32), comment="The label that came of it.")
    label_ms: Mapped[int | None] = mapped_column(
        BigInteger, comment="Milliseconds from showing the clip to that label."
    )


class StepRow(_LogColumns, Base):
    """One step of an annotator at the desk: what undo and redo go through, also after a restart."""

    __tablename__ = "steps"
    __table_args__ = ({"sqlite_autoincrement": True},)

    item_id: Mapped[str] = mapped_column(String(64), index=True, comment="The place in the annotator's queue.")
    kind: Mapped[str] = mapped_column(String(16), comment="set, commit, mark, trace, guess, undo or redo.")
    of: Mapped[str | None] = mapped_column(String(32), comment="The step that an undo or redo is about.")
    before: Mapped[str] = mapped_column(Text, comment="JSON: what held before.")
    after: Mapped[str] = mapped_column(Text, comment="JSON: what holds after.")


class DecisionRow(_LogColumns, Base):
    """An adjudicator's decision about a clip, with its reason. It changes no one's label."""

    __tablename__ = "decisions"
    __table_args__ = (
        CheckConstraint(_one_of("emotion", EMOTIONS), name="emotion"),
        CheckConstraint(_one_of("polarity", POLARITIES), name="polarity"),
        {"sqlite_autoincrement": True},
    )

    supersedes: Mapped[str | None] = mapped_column(String(32), comment="An earlier decision that this one replaces.")
    emotion: Mapped[str | None] = mapped_column(String(16), comment="One of the seven emotions; empty: not decided.")
    polarity: Mapped[str | None] = mapped_column(
        String(16), comment="positive, negative or neutral; empty: not decided."
    )
    valence: Mapped[float | None] = mapped_column(Float, comment="-1 to 1; empty: the raters' mean stays.")
    arousal: Mapped[float | None] = mapped_column(Float, comment="-1 to 1; empty: the raters' mean stays.")
    intensity: Mapped[float | None] = mapped_column(Float, comment="0 to 3, FER only; empty: the raters' mean stays.")
    reason: Mapped[str] = mapped_column(Text, comment="Why; never empty.")
    seen: Mapped[str] = mapped_column(Text, comment="JSON list of the row_ids of the labels that were looked at.")


class DeskRow(Base):
    """Where an annotator's window stood: the one table that is overwritten. It holds no label."""

    __tablename__ = "desk"

    annotator_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(Text, comment="JSON.")


@dataclass(frozen=True)
class LabelColumn:
    """One column of a label table outside the database.

    Parameters
    ----------
    name : str
        Column name.
    kind : {'text', 'integer', 'number', 'bytes'}
        What a cell holds.
    nullable : bool
        True if the cell may be empty.
    meaning : str
        One sentence.
    """

    name: str
    kind: str
    nullable: bool
    meaning: str


def columns_of(table: type[Base]) -> tuple[LabelColumn, ...]:
    """Return the columns of a log outside the database: all but `seq`."""
    kinds = {str: "text", int: "integer", float: "number", bytes: "bytes"}
    return tuple(
        LabelColumn(column.name, kinds[column.type.python_type], bool(column.nullable), column.comment or "")
        for column in table.__table__.columns
        if column.name != "seq"
    )


#: The columns of a label in CSV files and data frames, in order.
LABEL_COLUMNS: tuple[LabelColumn, ...] = columns_of(LabelRow)
COLUMN_NAMES: tuple[str, ...] = tuple(column.name for column in LABEL_COLUMNS)

#: The tables that only grow, with what SQLite says to whoever changes a row.
APPEND_ONLY: dict[str, str] = {
    "labels": "labels are append-only: add a row that supersedes the old one",
    "meta": "the description of a label file never changes",
    **{
        name: f"{name} are append-only: add a row that replaces the old one"
        for name in ("marks", "traces", "trace_samples", "guesses", "steps", "decisions")
    },
}
#: What a file of version 1 held; `data_schema.labels.sqlite_file` adds the rest.
TABLES_V1: tuple[str, ...] = ("meta", "labels")
_SAME_ROW = {
    "meta": "key = NEW.key",
    "trace_samples": "seq = NEW.seq OR (trace_id = NEW.trace_id AND chunk = NEW.chunk)",
}


def _refusals(table: str, text: str) -> dict[str, str]:
    """Return the triggers of a table. INSERT OR REPLACE deletes the old row without firing the delete trigger."""
    same = _SAME_ROW.get(table, "row_id = NEW.row_id OR seq = NEW.seq")
    exists = text if table == "meta" else f"{table} are append-only: this row exists already"
    return {
        f"{table}_no_update": f"BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, '{text}'); END",
        f"{table}_no_delete": f"BEFORE DELETE ON {table} BEGIN SELECT RAISE(ABORT, '{text}'); END",
        f"{table}_no_replace": f"BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} WHERE {same}) "
        f"BEGIN SELECT RAISE(ABORT, '{exists}'); END",
    }


#: SQL that makes SQLite refuse changes, by the trigger's name.
SQLITE_TRIGGERS: dict[str, str] = {
    name: body for table, text in APPEND_ONLY.items() for name, body in _refusals(table, text).items()
}

for _name, _body in SQLITE_TRIGGERS.items():
    event.listen(
        Base.metadata,
        "after_create",
        # An older file that is brought up to date has some of them.
        DDL(f"CREATE TRIGGER IF NOT EXISTS {_name} {_body}").execute_if(dialect="sqlite"),  # type: ignore[no-untyped-call]
    )
