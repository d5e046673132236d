"""The console's process: find the session, show the window, keep a log."""

from __future__ import annotations

import logging
import logging.handlers
from collections.abc import Callable
from pathlib import Path

from data_schema.errors import MissingExtraError

logger = logging.getLogger(__name__)

#: Written beside the address file.
LOG_NAME = ".emer-console.log"
_LOG_BYTES = 1_000_000


def run_console(address_file: Path, on_ready: Callable[[], None] | None = None) -> int:
    """Show the operator's console until it is closed.

    Parameters
    ----------
    address_file : Path
        Written by the session; it need not exist yet.
    on_ready : callable, optional
        Called when the window was painted for the first time.

    Raises
    ------
    MissingExtraError
        If PyQt5 is not installed.
    """
    try:
        from collection.console.views.application import run_window
    except ImportError as error:
        if "PyQt5" not in str(error):
            raise
        raise MissingExtraError("lab", "PyQt5", "The operator's console") from error
    from collection.console.link import ConsoleLink

    return run_window(ConsoleLink(address_file), on_ready)


def begin_log(folder: Path) -> None:
    """Keep a log beside the address file, of bounded size; go on without one if it cannot be written."""
    try:
        handler = logging.handlers.RotatingFileHandler(
            folder / LOG_NAME, maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8"
        )
    except OSError:
        return
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(handler)
