"""Take a participant out of tables and documents, which are replaced whole or not at all.

A row or an entry about the participant goes. Where somebody else's row only mentions the code, in a comment, the code alone is
replaced.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from data_schema.errors import StudyError
from data_schema.files import write_bytes
from data_schema.withdrawal.traces import Traces

#: Stands for a value that is to be removed.
_REMOVE = object()


def clean_parquet(path: Path, traces: Traces) -> int:
    """Remove the participant's rows from a Parquet table; return how many."""
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    schema = table.schema.with_metadata(_clean_metadata(table.schema.metadata or {}, traces))
    rows = table.to_pylist()
    kept = []
    for row in rows:
        if not any(isinstance(value, str) and traces.means(key, value) for key, value in row.items()):
            kept.append({key: _without(value, traces) for key, value in row.items()})
    buffer = io.BytesIO()
    pq.write_table(type(table).from_pylist(kept, schema=schema), buffer)
    write_bytes(path, buffer.getvalue())
    return len(rows) - len(kept)


def _clean_metadata(metadata: dict[bytes, bytes], traces: Traces) -> dict[bytes, bytes]:
    """Return a table's notes of itself without the participant; a note that cannot be mended goes."""
    kept = {}
    for key, value in metadata.items():
        text = value.decode("utf-8", "replace")
        if traces.mentioned(text):
            try:
                text = json.dumps(_clean(json.loads(text), traces, "", [0]), ensure_ascii=False)
            except ValueError:
                continue
            value = text.encode("utf-8")
        if not traces.mentioned(text):
            kept[key] = value
    return kept


def clean_delimited(path: Path, traces: Traces) -> int:
    """Remove the participant's rows from a CSV or TSV file; return how many."""
    text = _read(path)
    delimiter = (
        "\t"
        if path.suffix == ".tsv"
        else (";" if text.partition("\n")[0].count(";") > text.partition("\n")[0].count(",") else ",")
    )
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    head, body = (rows[0], rows[1:]) if rows else ([], [])
    kept = [row for row in body if not any(traces.means(key, value) for key, value in zip(head, row, strict=False))]
    if not any(key.lower() in ("participant", "clip_id", "session_file") for key in head):
        kept = [row for row in kept if not any(traces.mentioned(value) for value in row)]
    out = io.StringIO(newline="")
    newline = "\r\n" if "\r\n" in text else "\n"
    csv.writer(out, delimiter=delimiter, lineterminator=newline).writerows(
        [head, *([traces.without(value) for value in row] for row in kept)]
    )
    write_bytes(path, out.getvalue().encode("utf-8"))
    return len(body) - len(kept)


def clean_json(path: Path, traces: Traces) -> int:
    """Remove the participant's entries from a JSON file; return how many."""
    text = _read(path)
    try:
        content = json.loads(text)
    except ValueError as error:
        raise StudyError(
            f"{path}: names the participant and is no JSON ({error}). Mend or delete it and try again."
        ) from error
    counter = [0]
    cleaned = _clean(content, traces, "", counter)
    indent = 1 if "\n" in text.strip() else None
    written = json.dumps(None if cleaned is _REMOVE else cleaned, indent=indent, ensure_ascii=False)
    write_bytes(path, (written + ("\n" if text.endswith("\n") else "")).encode("utf-8"))
    return counter[0]


def json_entries(path: Path, traces: Traces) -> int:
    """Count the participant's entries in a JSON file, changing nothing; 0 where it is no JSON.

    A code that is an ordinary word, or a number, is found as a key where participants are keys, and in no other way.
    """
    counter = [0]
    try:
        _clean(json.loads(path.read_text(encoding="utf-8")), traces, "", counter)
    except ValueError:
        return 0
    return counter[0]


def clean_lines(path: Path, traces: Traces) -> int:
    """Remove the lines of a text that name the participant; return how many."""
    lines = _read(path).splitlines(keepends=True)
    kept = [line for line in lines if not traces.mentioned(line)]
    write_bytes(path, "".join(kept).encode("utf-8"))
    return len(lines) - len(kept)


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise StudyError(
            f"{path}: names the participant and is no UTF-8 text. Delete it or take it away, and try again."
        ) from error


def _without(value: Any, traces: Traces) -> Any:
    if isinstance(value, str):
        return traces.without(value)
    if isinstance(value, list):
        return [_without(item, traces) for item in value if not (isinstance(item, str) and item == traces.code)]
    if isinstance(value, dict):
        return {key: _without(item, traces) for key, item in value.items()}
    return value


def _clean(value: Any, traces: Traces, within: str, counter: list[int]) -> Any:
    """Return a value without the participant, or `_REMOVE`; count what was removed."""
    if isinstance(value, str):
        if within.lower() in ("train", "validation", "test", "participants") and value == traces.code:
            return _REMOVE
        return _REMOVE if traces.mentioned(value) and within != "" else traces.without(value)
    if isinstance(value, list):
        kept = []
        for item in value:
            cleaned = _clean_item(item, traces, within, counter)
            if cleaned is not _REMOVE:
                kept.append(cleaned)
        return kept
    if isinstance(value, dict):
        result = {}
        for key, item in value.items():
            if traces.names(within, str(key)):
                counter[0] += 1
                continue
            if isinstance(item, str):
                result[key] = traces.without(item)
            else:
                result[key] = _clean(item, traces, str(key), counter)
        return result
    return value


def _clean_item(item: Any, traces: Traces, within: str, counter: list[int]) -> Any:
    about = isinstance(item, dict) and any(
        isinstance(text, str) and traces.means(key, text) for key, text in item.items()
    )
    cleaned = _REMOVE if about else _clean(item, traces, within or "list", counter)
    if cleaned is _REMOVE:
        counter[0] += 1
    return cleaned
