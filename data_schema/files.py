"""Read and write files of a study or an export; what is written is whole or not there."""

from __future__ import annotations

import errno
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_schema.atomic import write_atomically
from data_schema.errors import ExportError

if TYPE_CHECKING:  # loaded by who has a table: opening a clip waits for no library that it does not need
    import pandas as pd


def disk_problem(error: OSError | RuntimeError, path: Path) -> ExportError:
    """Turn a failed write into a message with the next step."""
    # HDF5 tells of a full disk as a RuntimeError where it notices late; EFBIG is a quota on the size of a file.
    code = getattr(error, "errno", None)
    said = str(error).lower()
    full = code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or "no space left" in said or "file too large" in said
    if full:
        return ExportError(
            f"{path}: the disk is full. Nothing finished was changed. Free some space, or choose another disk, "
            "and run the same command again: what is done already is kept."
        )
    return ExportError(f"{path}: cannot be written: {error}. Check the folder's permissions and try again.")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; make its folder if need be.

    Raises
    ------
    ExportError
        If it cannot be written; the old file, if any, is as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        raise disk_problem(error, path) from error


def write_json(path: Path, content: Any) -> None:
    """Write JSON with sorted keys, whole or not at all."""
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False)
    write_bytes(path, (text + "\n").encode("utf-8"))


class _SaidTwiceError(Exception):
    """A key of a JSON object comes twice."""


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its keys and values; Python's own reader keeps the last of two and says nothing."""
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _SaidTwiceError(next(key for key in keys if keys.count(key) > 1))
    return content


def read_json(path: Path, what: str, next_step: str) -> dict[str, Any]:
    """Read a JSON object.

    Parameters
    ----------
    path : Path
    what : str
        What the file is, for messages.
    next_step : str
        What to do if it is missing or damaged; a sentence.

    Raises
    ------
    ExportError
        If the file is missing or holds no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_each_once)
    except FileNotFoundError:
        raise ExportError(f"{path}: there is no {what} here. {next_step}") from None
    except OSError as error:
        raise ExportError(f"{path}: the {what} cannot be read: {error.strerror or error}. {next_step}") from error
    except _SaidTwiceError as error:
        raise ExportError(
            f"{path}: the {what} says '{error}' twice, and only one of them can be right. {next_step}"
        ) from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ExportError(f"{path}: the {what} is no JSON and may be cut off ({error}). {next_step}") from error
    if not isinstance(content, dict):
        raise ExportError(f"{path}: the {what} should be a JSON object, got {type(content).__name__}. {next_step}")
    return content


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as Parquet, whole or not at all."""
    write_bytes(path, table.to_parquet(index=False))


def read_table(path: Path, columns: tuple[str, ...], what: str, next_step: str) -> pd.DataFrame:
    """Read a Parquet table and check that it has its columns.

    Raises
    ------
    ExportError
        If it is missing, damaged, or lacks a column.
    """
    if not path.is_file():
        raise ExportError(f"{path}: there is no {what} here. {next_step}")
    import pandas as pd

    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ExportError(f"{path}: the {what} cannot be read: {error}. {next_step}") from error
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise ExportError(f"{path}: the {what} lacks the column(s) {', '.join(missing)}. {next_step}")
    return table


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
