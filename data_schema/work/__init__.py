"""Work on many sessions: in this process, in a pool of processes, or on a Dask cluster."""

from __future__ import annotations

from data_schema.work.running import run_tasks, usable_cores

__all__ = ["run_tasks", "usable_cores"]
