"""All declared tables of a published dataset, in the order in which people look for them."""

from __future__ import annotations

from data_schema.publishing.tables import declarations as declared
from data_schema.publishing.tables.declarations import PublishedTable
from data_schema.publishing.tables.eye import BLINKS, FIXATIONS, GAZE_TABLE, LANDMARKS, SACCADES

#: Facts about participants, summary features, comments and free answers are added to some as the study has them.
PUBLISHED_TABLES: tuple[PublishedTable, ...] = (
    declared.CLIPS, declared.PARTICIPANTS, declared.STIMULI, declared.RECORDINGS, declared.LABELS, declared.TARGETS,
    declared.MARKS, declared.SELF_REPORT, declared.QUESTIONNAIRES, declared.FEATURES, FIXATIONS, SACCADES, BLINKS,
    GAZE_TABLE, LANDMARKS,
)  # fmt: skip
