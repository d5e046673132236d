"""The log of the process that shows the session, beside the recorder's own."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)


@contextmanager
def session_log(path: Path) -> Iterator[Path]:
    """Keep what the toolkit logs in this process in ``<session>.presenter.log``; a disk that refuses costs the log only."""
    log_path = path.with_suffix(".presenter.log")
    try:
        log_path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(log_path, encoding="utf-8", delay=True)
    except OSError as error:
        logger.warning("no log is kept: %s", error)
        yield log_path
        return
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger("collection")
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield log_path
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()
