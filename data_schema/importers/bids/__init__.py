"""Make a study of a BIDS dataset with eye tracking: our own export, or any that follows the standard."""

from __future__ import annotations

from data_schema.importers.bids.study import ImportedStudy, import_bids

__all__ = ["ImportedStudy", "import_bids"]
