"""Start the operator's console: ``python -m collection.console --address-file FILE``."""

from __future__ import annotations

import argparse
import logging
import sys
import threading
from pathlib import Path

from data_schema.errors import EmerError


def main(arguments: list[str] | None = None) -> int:
    """Show the console that belongs to a session; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m collection.console", description="Show the operator's console.")
    parser.add_argument("--address-file", type=Path, required=True, help="written by the session into its study folder")
    given = parser.parse_args(arguments)
    from collection.console.app import begin_log, run_console
    from collection.process_priority import LOOKING_ON, take_place

    take_place(LOOKING_ON)
    begin_log(given.address_file.parent)
    # What goes wrong in a view or a thread is for the log: the console goes on.
    sys.excepthook = lambda kind, error, trace: logging.critical("a view failed", exc_info=(kind, error, trace))
    threading.excepthook = lambda failed: logging.critical("a thread failed: %s", failed.exc_value)
    try:
        return run_console(given.address_file)
    except EmerError as error:
        sys.stderr.write(f"{error}\n")
        logging.error("%s", error)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
