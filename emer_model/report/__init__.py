"""One self-contained HTML page on the data and the runs."""

from __future__ import annotations

from emer_model.report.page import write_report

__all__ = ["write_report"]
