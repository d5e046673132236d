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
    MetaData,
    String,
    Text,
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
SCHEMA_VERSION = 1
#: SQLite's ``application_id``: "EMRL" in ASCII. Tells a label file from any other database.
APPLICATION_ID = 0x454D524C

ANNOTATOR_KINDS: tuple[str, ...] = tuple(kind.value for kind in AnnotatorKind)
#: What a row does. "label" says something new, "undo" takes the state back to
#: what it was before a row (its value columns are empty if there was nothing
#: before), "redo" says again what was undone.
ACTIONS: tuple[str, ...] = ("label", "undo", "redo")


def _one_of(column: str, words: tuple[str, ...]) -> str:
    quoted = ", ".join(f"'{word}'" for word in words)
    return f"{column} IN ({quoted})"


def _on(scale: Scale) -> str:
    return f"{scale.name} BETWEEN {scale.low} AND {scale.high}"


class Base(DeclarativeBase):
    """Base of the two tables."""

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
        String(64), comment="What the annotator could see, such as face or face+stimulus+gaze; empty if not stated."
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


@dataclass(frozen=True)
class LabelColumn:
    """One column of a label table outside the database.

    Parameters
    ----------
    name : str
        Column name.
    kind : {'text', 'integer', 'number'}
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


def _declared_columns() -> tuple[LabelColumn, ...]:
    kinds = {str: "text", int: "integer", float: "number"}
    return tuple(
        LabelColumn(column.name, kinds[column.type.python_type], bool(column.nullable), column.comment or "")
        for column in LabelRow.__table__.columns
        if column.name != "seq"
    )


#: The columns of a label in CSV files and data frames, in order.
LABEL_COLUMNS: tuple[LabelColumn, ...] = _declared_columns()
COLUMN_NAMES: tuple[str, ...] = tuple(column.name for column in LABEL_COLUMNS)

#: SQL that makes SQLite refuse changes. INSERT OR REPLACE deletes the old row
#: without firing the delete trigger, so it has a trigger of its own.
SQLITE_TRIGGERS: dict[str, str] = {
    "labels_no_update": "BEFORE UPDATE ON labels BEGIN SELECT RAISE(ABORT, 'labels are append-only: add a row that supersedes the old one'); END",
    "labels_no_delete": "BEFORE DELETE ON labels BEGIN SELECT RAISE(ABORT, 'labels are append-only: add a row that supersedes the old one'); END",
    "labels_no_replace": "BEFORE INSERT ON labels WHEN EXISTS (SELECT 1 FROM labels WHERE row_id = NEW.row_id OR seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'labels are append-only: this row exists already'); END",
    "meta_no_update": "BEFORE UPDATE ON meta BEGIN SELECT RAISE(ABORT, 'the description of a label file never changes'); END",
    "meta_no_delete": "BEFORE DELETE ON meta BEGIN SELECT RAISE(ABORT, 'the description of a label file never changes'); END",
    "meta_no_replace": "BEFORE INSERT ON meta WHEN EXISTS (SELECT 1 FROM meta WHERE key = NEW.key) BEGIN SELECT RAISE(ABORT, 'the description of a label file never changes'); END",
}  # fmt: skip

for _name, _body in SQLITE_TRIGGERS.items():
    event.listen(
        Base.metadata,
        "after_create",
        DDL(f"CREATE TRIGGER {_name} {_body}").execute_if(dialect="sqlite"),  # type: ignore[no-untyped-call]
    )
