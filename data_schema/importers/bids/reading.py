"""Find the eye-tracking runs of a BIDS dataset and read their tables as the standard says they are to be read.

Only what the standard promises is relied on: names of files, the inheritance of sidecars, units that columns state.

References
----------
BIDS Specification 1.11.1, "The Inheritance Principle": a sidecar applies to all files below its folder whose names have all of
its entities; what lies deeper wins. "Tabular files": ``n/a`` is missing.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from data_schema.errors import DataImportError

#: Rows of samples read at once.
CHUNK_ROWS = 65_536
_ENTITY = re.compile(r"([a-z]+)-([0-9A-Za-z+]+)")


@dataclass(frozen=True)
class BidsRun:
    """One run of one task of one participant.

    Parameters
    ----------
    folder : Path
        Where its files lie.
    entities : dict of str to str
        Without ``recording``, ``run`` as it is written.
    physio : dict of str to Path
        Eye-tracking recordings by their label, such as ``eye1``.
    """

    folder: Path
    entities: dict[str, str]
    physio: dict[str, Path] = field(default_factory=dict)

    @property
    def participant(self) -> str:
        """Label of the participant."""
        return self.entities["sub"]

    @property
    def session(self) -> str:
        """Label of the session; ``01`` where the dataset has no sessions."""
        return self.entities.get("ses", "01")

    @property
    def run(self) -> int:
        """Number of the run, from 1."""
        digits = self.entities.get("run", "1")
        return int(digits) if digits.isdigit() else 1

    @property
    def task(self) -> str:
        """Label of the task; empty if there is none."""
        return self.entities.get("task", "")

    @property
    def stem(self) -> str:
        """The common beginning of the names of the run's files."""
        return "_".join(f"{name}-{value}" for name, value in self.entities.items())

    def file(self, suffix: str, extension: str, recording: str = "") -> Path | None:
        """Return a file of the run, or None if it is not there."""
        extra = f"_recording-{recording}" if recording else ""
        path = self.folder / f"{self.stem}{extra}_{suffix}{extension}"
        return path if path.is_file() else None


def entities_of(name: str) -> dict[str, str]:
    """Return the entities of a file's name, in their order."""
    return {part.group(1): part.group(2) for piece in name.split("_") if (part := _ENTITY.fullmatch(piece))}


class BidsDataset:
    """A dataset on disk.

    Parameters
    ----------
    root : Path

    Raises
    ------
    DataImportError
        If it is no BIDS dataset.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        path = root / "dataset_description.json"
        if not path.is_file():
            raise DataImportError(
                f"{root}: there is no dataset_description.json, so this is no BIDS dataset. Name its outermost folder."
            )
        self.description = read_json(path)
        self._task = ""

    def keep_task(self, task: str) -> None:
        """Pass over all tasks but one."""
        self._task = task

    @cached_property
    def runs(self) -> list[BidsRun]:
        """The runs with eye tracking or with events, sorted by participant, session and run.

        Raises
        ------
        DataImportError
            If there is no eye tracking at all.
        """
        found: dict[tuple[Path, str], BidsRun] = {}
        for path in sorted(self.root.glob("sub-*/**/*_physio.tsv.gz")):
            about = self.sidecar(path)
            if about.get("PhysioType") == "eyetrack":
                run = self._run_of(path, found)
                run.physio[entities_of(path.name).get("recording", "eye1")] = path
        found = {key: run for key, run in found.items() if not self._task or run.task == self._task}
        tasks = {run.task for run in found.values()}
        if not tasks:
            raise DataImportError(
                f"{self.root}: no file *_physio.tsv.gz has a sidecar with PhysioType 'eyetrack'. Only eye tracking of BIDS 1.11 "
                "and later can be imported."
            )
        for path in sorted(self.root.glob("sub-*/**/*_events.tsv")):
            if entities_of(path.name).get("task", "") in tasks:
                self._run_of(path, found)
        order = sorted(
            found.values(), key=lambda run: (run.participant, run.session, run.task, run.run, str(run.folder))
        )
        _refuse_twins(order)
        return order

    def _run_of(self, path: Path, found: dict[tuple[Path, str], BidsRun]) -> BidsRun:
        entities = {name: value for name, value in entities_of(path.name).items() if name != "recording"}
        run = BidsRun(path.parent, entities)
        return found.setdefault((path.parent, run.stem), run)

    def sidecar(self, path: Path) -> dict[str, Any]:
        """Return all metadata that apply to a data file, inherited ones included."""
        suffix = path.name.rpartition("_")[2].partition(".")[0]
        wanted = entities_of(path.name)
        merged: dict[str, Any] = {}
        folders = [self.root, *reversed([f for f in path.parents if self.root in f.parents])]
        for folder in folders:
            for candidate in sorted(
                folder.glob(f"*{suffix}.json"), key=lambda file: (len(entities_of(file.name)), file.name)
            ):
                if candidate.name.rpartition("_")[2] != f"{suffix}.json":
                    continue
                if all(wanted.get(name) == value for name, value in entities_of(candidate.name).items()):
                    merged.update(read_json(candidate))
        return merged

    def table(self, path: Path) -> pd.DataFrame:
        """Return a table with a header, all cells as text, missing ones as None.

        Raises
        ------
        DataImportError
            If it cannot be read.
        """
        try:
            table = pd.read_csv(path, sep="\t", dtype=str, na_values=["n/a"], keep_default_na=False, encoding="utf-8")
        except pd.errors.EmptyDataError:
            empty: pd.DataFrame = pd.DataFrame()
            return empty
        except (OSError, UnicodeDecodeError, pd.errors.ParserError) as error:
            raise DataImportError(f"{path}: cannot be read as a table: {error}. Is the download complete?") from error
        cells: pd.DataFrame = table.astype(object).where(table.notna(), None)
        return cells

    def rows(self, path: Path) -> list[dict[str, Any]]:
        """Return the same, as one dictionary a row."""
        return records(self.table(path))

    def samples(self, path: Path, columns: list[str], chunk_rows: int = CHUNK_ROWS) -> Iterator[pd.DataFrame]:
        """Read a compressed table without a header in chunks of numbers, NaN where missing.

        Raises
        ------
        DataImportError
            If it cannot be read, or a row has another number of columns than the sidecar says.
        """
        if path.stat().st_size == 0:
            return
        try:
            with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
                reader = pd.read_csv(
                    stream, sep="\t", header=None, na_values=["n/a"], chunksize=chunk_rows, low_memory=False
                )
                for chunk in reader:
                    if chunk.shape[1] != len(columns):
                        raise DataImportError(
                            f"{path.name}: rows have {chunk.shape[1]} columns, its sidecar names {len(columns)}. Mend 'Columns'."
                        )
                    chunk.columns = pd.Index(columns)
                    yield chunk
        except pd.errors.EmptyDataError:
            return
        except (OSError, EOFError, UnicodeDecodeError, pd.errors.ParserError) as error:
            raise DataImportError(f"{path}: cannot be read: {error}. Is the download complete?") from error


def _refuse_twins(runs: list[BidsRun]) -> None:
    seen: dict[tuple[str, str, int], BidsRun] = {}
    for run in runs:
        twin = seen.setdefault((run.participant, run.session, run.run), run)
        if twin is not run:
            raise DataImportError(
                f"{twin.stem} and {run.stem} would be one session: a study has one task. Import each task into a "
                "study of its own, with --task."
            )


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table as one dictionary a row."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of a dataset.

    Raises
    ------
    DataImportError
        If it is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataImportError(f"{path}: is no JSON: {error}. Is the download complete?") from error
    if not isinstance(content, dict):
        raise DataImportError(f"{path}: expected a JSON object, got {type(content).__name__}.")
    return content
