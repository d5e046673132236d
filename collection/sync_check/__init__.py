"""Does the camera's clock tell when the screen's light changed? Flash a known pattern, film it, compare."""

from __future__ import annotations

from collection.sync_check.analysis import SyncResult, measure_delay
from collection.sync_check.pattern import Flash, FlashPattern
from collection.sync_check.run import FlashScreen, SyncReport, run_sync_check

__all__ = ["Flash", "FlashPattern", "FlashScreen", "SyncReport", "SyncResult", "measure_delay", "run_sync_check"]
