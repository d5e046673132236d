"""Labels: what annotators said, kept so that nothing is lost or rewritten.

One SQLite file per annotator, an append-only log. `LabelStore` writes it,
`read_labels` merges many files, `current_labels` and `consensus` say what holds.
"""

from __future__ import annotations

from data_schema.labels.consensus import CONSENSUS_COLUMNS, consensus
from data_schema.labels.csv import (
    ENTRY_COLUMNS,
    LOG_COLUMNS,
    import_labels_csv,
    labels_to_csv,
    read_labels_csv,
    write_labels_csv,
)
from data_schema.labels.label import Label, LabelRecord, LabelValueError, check_annotator_id
from data_schema.labels.models import LABEL_COLUMNS, LabelColumn
from data_schema.labels.store import AddedRows, LabelStore
from data_schema.labels.tables import current_labels, label_frame, read_labels

__all__ = [
    "CONSENSUS_COLUMNS",
    "ENTRY_COLUMNS",
    "LABEL_COLUMNS",
    "LOG_COLUMNS",
    "AddedRows",
    "Label",
    "LabelColumn",
    "LabelRecord",
    "LabelStore",
    "LabelValueError",
    "check_annotator_id",
    "consensus",
    "current_labels",
    "import_labels_csv",
    "label_frame",
    "labels_to_csv",
    "read_labels",
    "read_labels_csv",
    "write_labels_csv",
]
