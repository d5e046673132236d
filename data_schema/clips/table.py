"""The file ``clips.parquet``: the clip index, and what it was built from.

The file's metadata hold the rule and the state of each session file, so that an index that no longer fits the study is noticed,
and so that building it again need not hash what has not changed.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from data_schema.clips.columns import CLIP_COLUMNS, CLIP_INDEX_VERSION, SINCE_VERSION_2
from data_schema.errors import ExportError
from data_schema.files import read_table, write_bytes
from data_schema.study.config import StudyConfig
from data_schema.study.folder import StudyFolder, parse_session_name
from data_schema.wording import quoted

_log = logging.getLogger(__name__)
_KEY = b"emer_clip_index"
#: A file that was touched this shortly before it was hashed may change again within the same tick of a coarse clock (2 s on
#: FAT), so its hash is not trusted the next time.
_TICK_NS = 3_000_000_000


@dataclass(frozen=True)
class SeenSession:
    """A session file as it was when the index was built.

    Parameters
    ----------
    bytes : int
    mtime_ns : int
        When it was last written, nanoseconds since 1970.
    sha256 : str
        Empty if it was passed over before it was hashed.
    trusted : bool
        True if the file had been at rest for a while, so that the same size and time mean the same content.
    """

    bytes: int
    mtime_ns: int
    sha256: str = ""
    trusted: bool = False

    @classmethod
    def of(cls, path: Path, sha256: str = "") -> SeenSession:
        """Look at a file."""
        state = path.stat()
        at_rest = time.time_ns() - state.st_mtime_ns > _TICK_NS
        return cls(state.st_size, state.st_mtime_ns, sha256, bool(sha256) and at_rest)

    def same_file(self, path: Path) -> bool:
        """Tell whether the file has the size and the time that it had."""
        state = path.stat()
        return (state.st_size, state.st_mtime_ns) == (self.bytes, self.mtime_ns)


@dataclass(frozen=True)
class IndexFacts:
    """What a clip index was built from.

    Parameters
    ----------
    rule : dict
        ``[clips]`` and ``[quality]`` of study.toml.
    sessions : dict of str to SeenSession
        By path relative to the study folder.
    apex_marks : str
        Hash of the apexes that annotators had marked; empty under other rules.
    version : int
    """

    rule: dict[str, Any]
    sessions: dict[str, SeenSession] = field(default_factory=dict)
    apex_marks: str = ""
    version: int = CLIP_INDEX_VERSION

    @property
    def rule_sha256(self) -> str:
        """Hash of the rule."""
        return hashlib.sha256(json.dumps(self.rule, sort_keys=True).encode("utf-8")).hexdigest()


def resolved_rule(config: StudyConfig) -> dict[str, Any]:
    """Return all that the study says on clips; of ``[clips]`` only what its rule uses."""
    clips = config.clips.model_dump()
    unused = {"whole": ("last_s", "apex_before_s", "apex_after_s"), "last": ("apex_before_s", "apex_after_s")}
    for name in unused.get(config.clips.rule, ("last_s",)):
        clips.pop(name)
    return {"clips": clips, "quality": config.quality.model_dump()}


def marks_hash(marks: pd.DataFrame) -> str:
    """Return a hash of the marks that decide where apexes are."""
    names = sorted(str(name) for name in marks["row_id"])
    return hashlib.sha256("\n".join(names).encode("utf-8")).hexdigest()


def write_clip_index(path: Path, table: pd.DataFrame, facts: IndexFacts) -> None:
    """Write the index with its facts, whole or not at all."""
    arrow = pa.Table.from_pandas(table[list(CLIP_COLUMNS)], preserve_index=False)
    content = json.dumps(asdict(facts), sort_keys=True).encode("utf-8")
    arrow = arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), _KEY: content})
    buffer = io.BytesIO()
    pq.write_table(arrow, buffer)
    write_bytes(path, buffer.getvalue())


def read_index_facts(path: Path) -> IndexFacts | None:
    """Return what an index was built from; None if it is missing, older, or was rewritten by another program."""
    try:
        metadata = pq.read_schema(path).metadata or {}
        content = json.loads(metadata[_KEY])
        sessions = {name: SeenSession(**seen) for name, seen in content.pop("sessions").items()}
        return IndexFacts(sessions=sessions, **content)
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError):
        return None


def load_clip_index(path: Path | StudyFolder) -> pd.DataFrame:
    """Read the clip index, also one of version 1 (whose clips are whole trials).

    Parameters
    ----------
    path : Path or StudyFolder
        ``clips.parquet``, or the study that has it.

    Raises
    ------
    ExportError
        If it is missing or damaged.
    """
    file = path.clip_index_path if isinstance(path, StudyFolder) else Path(path)
    needed = tuple(name for name in CLIP_COLUMNS if name not in SINCE_VERSION_2)
    table = read_table(file, needed, "clip index", f"Build it with: emer clips {quoted(file.parent)}")
    if not set(SINCE_VERSION_2) <= set(table.columns):
        table = _from_version_1(table)
    return table


def _from_version_1(table: pd.DataFrame) -> pd.DataFrame:
    names = [parse_session_name(Path(str(name))) for name in table["session_file"]]
    filled = table.assign(
        run=pd.array([1 if name is None else name.run for name in names], dtype="int32"),
        t_trial_start_us=table["t_start_us"],
        t_trial_end_us=table["t_end_us"],
        t_apex_us=-1,
        n_apex=0,
        apex_spread_s=float("nan"),
        trial_included=table["included"],
    )
    others = [name for name in filled.columns if name not in CLIP_COLUMNS]
    ordered: pd.DataFrame = filled[[*CLIP_COLUMNS, *others]].astype({"n_apex": "int32"})
    return ordered


def load_trial_index(path: Path | StudyFolder) -> pd.DataFrame:
    """Read the clip index as annotators see it: the whole trial, whatever part of it is the clip.

    A label is a judgement of the whole trial. So the rule of clips can be changed at any time without a label that was given
    by another rule; and an apex can be marked at all.

    Returns
    -------
    DataFrame
        As of :func:`load_clip_index`, but ``t_start_us`` and ``t_end_us`` are the trial's and ``included`` says whether the
        whole trial is good enough.
    """
    table = load_clip_index(path)
    trials: pd.DataFrame = table.assign(
        t_start_us=table["t_trial_start_us"], t_end_us=table["t_trial_end_us"], included=table["trial_included"]
    )
    return trials


def load_current_clip_index(study: StudyFolder) -> pd.DataFrame:
    """Read the clip index, and refuse one that no longer fits the study.

    Sessions that were recorded since are named in a warning: what is there is right, it only lacks them.

    Raises
    ------
    ExportError
        If it is missing or damaged; if study.toml has another rule now, a session file is gone or has another size, or
        annotators changed the apexes.
    """
    table = load_clip_index(study)
    facts = read_index_facts(study.clip_index_path)
    again = f"Run: emer clips {quoted(study.root)}"
    name = study.clip_index_path.name
    if facts is None:
        if study.config.clips.rule != "whole":
            raise ExportError(
                f"{name}: does not say by which rule it was built, and study.toml asks for the rule "
                f"{study.config.clips.rule}. {again}"
            )
        return table
    now = resolved_rule(study.config)
    if facts.rule != now:
        raise ExportError(f"{name}: was built by another rule: {_difference(facts.rule, now)}. {again}")
    for session, seen in facts.sessions.items():
        path = study.root / session
        if not path.is_file():
            raise ExportError(
                f"{name}: {session} is gone since it was built. Put the file back, or leave it out. {again}"
            )
        if path.stat().st_size != seen.bytes:
            raise ExportError(f"{name}: {session} has changed since it was built. {again}")
    if facts.apex_marks:
        from data_schema.clips.apexes import read_apex_marks

        if marks_hash(read_apex_marks(study)) != facts.apex_marks:
            raise ExportError(f"{name}: annotators marked or took back apexes since it was built. {again}")
    present = {path.relative_to(study.root).as_posix() for path in study.session_files()}
    new = sorted(present - set(facts.sessions))
    if new:
        _log.warning(
            "%s does not know %d session file(s) that were recorded since, such as %s; they are left out. %s",
            name, len(new), new[0], again,
        )  # fmt: skip
    return table


def _difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    changes = []
    for section in now:
        old, new = before.get(section, {}), now[section]
        for key in sorted({*old, *new}):
            if old.get(key) != new.get(key):
                was, is_now = (f"{part[key]}" if key in part else "not used" for part in (old, new))
                changes.append(f"[{section}] {key} was {was}, is {is_now} now")
    return "; ".join(changes)
