"""Turn recordings of other systems into session files.

Plan first, which reads the files and writes nothing; then write, streaming and whole or not at all:

    planned = plan_import(study, "prolab", [Path("export.tsv")], ImportOptions(codes=Codes("P001", "01")))
    sessions = write_sessions(study, planned, options)
"""

from __future__ import annotations

from data_schema.importers.codes import Codes
from data_schema.importers.plan import KINDS, ImportOptions, PlannedSession, plan_import, survey_files
from data_schema.importers.survey import RecordingSurvey, ShownName, Survey
from data_schema.importers.writing import ImportedSession, write_sessions

__all__ = [
    "KINDS",
    "Codes",
    "ImportOptions",
    "ImportedSession",
    "PlannedSession",
    "RecordingSurvey",
    "ShownName",
    "Survey",
    "plan_import",
    "survey_files",
    "write_sessions",
]
