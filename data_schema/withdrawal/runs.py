"""Take a participant out of a training run: rows, lists and logs go; weights cannot forget, so the run is marked as stale."""

from __future__ import annotations

import json
from pathlib import Path

from data_schema.files import read_json, write_json
from data_schema.session.reader import file_sha256
from data_schema.study.folder import WITHDRAWN_NAME
from data_schema.withdrawal.documents import clean_delimited, clean_json, clean_lines, clean_parquet
from data_schema.withdrawal.traces import Traces

_ABOUT = (
    "Somebody whose data this run learnt from, or was tested on, has withdrawn. Their rows are gone from its tables; what the "
    "weights learnt from them, and figures over all test clips, are as they were. Do not publish or use it; train it again."
)
_CLEANERS = {
    ".parquet": clean_parquet,
    ".csv": clean_delimited,
    ".json": clean_json,
    ".txt": clean_lines,
    ".log": clean_lines,
}


def is_run(folder: Path) -> bool:
    """Tell whether a folder is a training run."""
    try:
        content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and "export" in content and (folder / "folds.json").is_file()


def clean_run(folder: Path, traces: Traces) -> int:
    """Remove the participant from a run's tables, lists and logs, and mark it as stale; return how many rows went.

    A fold's record keeps the hashes of its files; those of files that changed here are brought up to date, since the fold is
    not damaged.
    """
    if not folder.is_dir():
        return 0
    n_removed = 0
    for path in sorted(folder.rglob("*")):
        cleaner = _CLEANERS.get(path.suffix)
        if cleaner is not None and path.is_file() and path.name != "fold.json":
            before = path.read_bytes()
            removed = cleaner(path, traces)
            if not removed and path.read_bytes() != before and not traces.mentioned(before.decode("utf-8", "replace")):
                path.write_bytes(before)  # written differently and nothing else
            n_removed += removed if path.suffix == ".parquet" else 0
    for record in sorted(folder.glob("folds/*/fold.json")):
        content = read_json(record, "record of a fold", "Train the fold again.")
        hashes = content.get("sha256")
        if isinstance(hashes, dict):
            content["sha256"] = {
                name: file_sha256(record.parent / name) if (record.parent / name).is_file() else said
                for name, said in hashes.items()
            }
            write_json(record, content)
    write_json(folder / WITHDRAWN_NAME, {"about": _ABOUT, "stale": True})
    return n_removed
