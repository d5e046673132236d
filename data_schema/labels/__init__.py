"""Labels: what annotators said, kept so that nothing is lost or rewritten.

One SQLite file per annotator, or one PostgreSQL for all; append-only logs.
`LabelStore` writes them, `read_labels` and `read_log` merge many, `current_labels`
and `consensus` say what holds.
"""

from __future__ import annotations

from data_schema.labels.checks import LabelValueError, check_annotator_id
from data_schema.labels.consensus import CONSENSUS_COLUMNS, consensus
from data_schema.labels.csv import (
    ENTRY_COLUMNS,
    LOG_COLUMNS,
    import_labels_csv,
    labels_to_csv,
    log_to_csv,
    read_labels_csv,
    write_labels_csv,
)
from data_schema.labels.entries import (
    Decision,
    Entry,
    Judged,
    Mark,
    Restored,
    ShownGuess,
    Step,
    TakenBack,
    Trace,
)
from data_schema.labels.entry_cells import SAMPLE_DTYPE
from data_schema.labels.label import Label, LabelRecord
from data_schema.labels.models import LABEL_COLUMNS, TRAINING_VIEW, LabelColumn
from data_schema.labels.records import (
    DecisionRecord,
    GuessRecord,
    LogRecord,
    MarkRecord,
    Record,
    StepRecord,
    TraceRecord,
    TraceSamples,
)
from data_schema.labels.seat import SeatTakenError
from data_schema.labels.store import AddedRows, LabelStore
from data_schema.labels.tables import current_labels, current_votes, label_frame, read_labels, read_log, read_records

__all__ = [
    "CONSENSUS_COLUMNS",
    "ENTRY_COLUMNS",
    "LABEL_COLUMNS",
    "LOG_COLUMNS",
    "SAMPLE_DTYPE",
    "TRAINING_VIEW",
    "AddedRows",
    "Decision",
    "DecisionRecord",
    "Entry",
    "GuessRecord",
    "Judged",
    "Label",
    "LabelColumn",
    "LabelRecord",
    "LabelStore",
    "LabelValueError",
    "LogRecord",
    "Mark",
    "MarkRecord",
    "Record",
    "Restored",
    "SeatTakenError",
    "ShownGuess",
    "Step",
    "StepRecord",
    "TakenBack",
    "Trace",
    "TraceRecord",
    "TraceSamples",
    "check_annotator_id",
    "consensus",
    "current_labels",
    "current_votes",
    "import_labels_csv",
    "label_frame",
    "labels_to_csv",
    "log_to_csv",
    "read_labels",
    "read_labels_csv",
    "read_log",
    "read_records",
    "write_labels_csv",
]
