"""Write files of a run so that a half-written one is never seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from data_schema import atomic
from data_schema.errors import TrainingError


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; make its folder if need be.

    Raises
    ------
    TrainingError
        If it cannot be written; the old file, if any, is as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_atomically(path, content)
    except OSError as error:
        raise TrainingError(
            f"{path} cannot be written: {error.strerror}. Free space or choose another --out."
        ) from error


def write_json(path: Path, value: Any) -> None:
    """Write JSON, indented, without NaN."""
    write_atomically(path, (json.dumps(value, indent=1, allow_nan=False) + "\n").encode("utf-8"))


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises
    ------
    TrainingError
        If the file is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise TrainingError(f"{path} does not exist. Expected a run folder that `emer train` wrote.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path} is damaged: {error}. Train again into another folder.") from error


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as Parquet."""
    write_atomically(path, frame.to_parquet(index=False))


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as CSV."""
    write_atomically(path, frame.to_csv(index=False, lineterminator="\n").encode("utf-8"))
