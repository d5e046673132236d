"""Open a console of a running session."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from collection.console.starting import ADDRESS_FILE_NAME, console_environment, read_address_file
from data_schema.errors import EmerError

if TYPE_CHECKING:
    from data_schema.study.folder import StudyFolder


def open_console(study: StudyFolder) -> None:
    """Open a console and wait until it is closed.

    A process of its own: this one may have imported what Qt does not bear.

    Raises
    ------
    UsageError
        If no session runs in the study.
    EmerError
        If the console cannot be opened.
    """
    address_file = study.root / ADDRESS_FILE_NAME
    read_address_file(address_file)
    command = [sys.executable, "-m", "collection.console", "--address-file", str(address_file)]
    done = subprocess.run(command, env=console_environment(), check=False)
    if done.returncode:
        raise EmerError(f"the console ended with exit code {done.returncode}; the session goes on without it")
