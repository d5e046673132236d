"""Search every byte of a folder for identifiers: as it lies, and what is inside its containers.

Publishers' folders are searched before they get their name; a study folder is searched after a participant has withdrawn.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import logging
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from data_schema.publishing.containers import BLOCK, CREATION_TIME, OVERLAP, Source, blocks, is_text, opened, reader_of
from data_schema.publishing.identifiers import Identifier
from data_schema.publishing.needles import Needles, names_people

_log = logging.getLogger(__name__)

#: Containers in containers: an archive of compressed tables with pictures in them is three.
_MAX_DEPTH = 4
#: Of one identifier in one file so many places are named.
_MAX_PLACES = 3

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Finding:
    """An identifier that was found.

    Parameters
    ----------
    file : str
        Relative to the folder.
    place : str
        Where in the file and how it is written; empty for plain text.
    identifier : Identifier
    """

    file: str
    place: str
    identifier: Identifier

    def __str__(self) -> str:
        where = f"{self.file} ({self.place})" if self.place else self.file
        shown = self.identifier.text if len(self.identifier.text) <= 40 else f"{self.identifier.text[:37]}..."
        return f"{where}: {_KINDS.get(self.identifier.kind, self.identifier.kind)} '{shown}'"


_KINDS = {
    "participant": "the participant's code",
    "annotator": "the annotator's code",
    "device": "the device",
    "date": "the date",
    "host": "the computer",
    "path": "the path",
    "text": "the words",
}


@dataclass
class ScanReport:
    """What a search found.

    Parameters
    ----------
    findings : list of Finding
    n_files, n_bytes : int
        What was searched.
    unopened : list of str
        Files that look like a container and could not be opened: they were searched as they lie only.
    """

    findings: list[Finding] = field(default_factory=list)
    n_files: int = 0
    n_bytes: int = 0
    unopened: list[str] = field(default_factory=list)


def scan_folder(folder: Path, identifiers: Iterable[Identifier], progress: Progress | None = None) -> list[Finding]:
    """Search every file of a folder, and their names, for identifiers; see :func:`search`."""
    return search(folder, identifiers, progress).findings


def search(
    folder: Path,
    identifiers: Iterable[Identifier],
    progress: Progress | None = None,
    paths: Iterable[Path] | None = None,
) -> ScanReport:
    """Search every file of a folder, and their names, for identifiers.

    Looks into gzip, bzip2, xz, zstd, ZIP, Parquet, Arrow, HDF5, SQLite, PNG, PDF, MP4 and pickles, also where one holds
    another, and searches each file as it lies. Texts are found in UTF-8 and UTF-16, escaped for JSON, HTML or an address, and
    in base64, without regard to capitals. Links are not followed: their targets are searched as text.

    Parameters
    ----------
    folder : Path
    identifiers : iterable of Identifier
    progress : callable, optional
        Called with files done, files in all, and the name of the next.
    paths : iterable of Path, optional
        What to search in the folder; all of it by default.
    """
    needles = Needles(identifiers)
    report = ScanReport()
    chosen = sorted(folder.rglob("*") if paths is None else paths)
    for done, path in enumerate(chosen):
        name = path.relative_to(folder).as_posix()
        if progress:
            progress(done, len(chosen), name)
        _add(
            report,
            name,
            ((f"name{', ' + how if how else ''}", item) for how, item in needles.search(name.encode(), text=True)),
        )
        if path.is_symlink():
            target = str(path.readlink()).encode("utf-8", "replace")
            _add(report, name, (("target of the link", item) for _, item in needles.search(target, text=True)))
        elif path.is_file():
            report.n_files += 1
            report.n_bytes += path.stat().st_size
            _add(report, name, _search_source(path, path.name, needles, report.unopened, name, 0))
    if progress:
        progress(len(chosen), len(chosen), "")
    return report


def _add(report: ScanReport, name: str, found: Iterable[tuple[str, Identifier]]) -> None:
    places: dict[Identifier, set[str]] = {}
    for place, identifier in found:
        known = places.setdefault(identifier, set())
        if place not in known and len(known) < _MAX_PLACES:
            known.add(place)
            report.findings.append(Finding(name, place, identifier))


def _search_source(
    source: Source, name: str, needles: Needles, unopened: list[str], file: str, depth: int
) -> Iterator[tuple[str, Identifier]]:
    """Search a file, or bytes out of one, as it lies and inside."""

    def opener(content: bytes) -> Iterator[tuple[str, Identifier]]:
        if depth < _MAX_DEPTH and reader_of(content[:16], "") is not None:
            for place, item in _search_source(content, "", needles, unopened, file, depth + 1):
                yield f"base64, {place}", item

    with opened(source) as stream:
        head = stream.read(16)
        stream.seek(0)
        reader = reader_of(head, name)
        for block in blocks(stream):
            # A container is no text as it lies; anything else is what its first block says.
            yield from needles.search(block, text=reader is None and is_text(block), opener=opener)
    if needles.in_cells and name.removesuffix(".gz").endswith((".csv", ".tsv")):
        yield from _search_cells(source, name, needles)
    if reader is None or depth >= _MAX_DEPTH:
        return
    try:
        for where, content, text in reader(source):
            yield from _search_part(where, content, text, needles, unopened, file, depth)
    except Exception as error:  # noqa: BLE001 - a damaged file may bring about anything in the library that opens it
        _log.info("%s: could not be opened to look inside: %s", file, error)
        unopened.append(f"{file}: {error}")


def _search_cells(source: Source, name: str, needles: Needles) -> Iterator[tuple[str, Identifier]]:
    """Search the columns of a CSV or TSV file that list people for codes that are words elsewhere."""
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(opened(source))
        plain = gzip.GzipFile(fileobj=raw) if name.endswith(".gz") else raw
        stream = stack.enter_context(io.TextIOWrapper(plain, encoding="utf-8-sig", errors="replace", newline=""))
        with contextlib.suppress(csv.Error, OSError, EOFError, zlib.error):  # no table after all
            head = stream.readline()
            tab = name.removesuffix(".gz").endswith(".tsv")
            delimiter = "\t" if tab else ";" if head.count(";") > head.count(",") else ","
            first = next(csv.reader([head], delimiter=delimiter), [])
            columns = [(place, column) for place, column in enumerate(first) if names_people(column)]
            rows = csv.reader(stream, delimiter=delimiter)
            for row in rows if columns else ():
                for place, column in columns:
                    if place < len(row):
                        yield from ((f"column {column}", item) for item in needles.search_cell(column, row[place]))


def _search_part(
    where: str, content: bytes, text: bool, needles: Needles, unopened: list[str], file: str, depth: int
) -> Iterator[tuple[str, Identifier]]:
    inner = reader_of(content[:16], where) if not text and len(content) < BLOCK + OVERLAP else None
    if inner is not None:
        for place, item in _search_source(content, where, needles, unopened, file, depth + 1):
            yield ", ".join(part for part in (where, place) if part), item
        return
    if where == CREATION_TIME:
        # A date nobody asked for: no publication of ours has one in its videos.
        if any(item.kind == "date" for item in needles.identifiers):
            yield where, Identifier("date", content.decode("ascii"))
        return
    for how, item in needles.search(content, text=text):
        yield ", ".join(part for part in (where, how) if part), item
    if text and needles.in_cells:
        column = where.rpartition("column ")[2]
        for value in content.decode("utf-8", "replace").splitlines():
            for item in needles.search_cell(column, value):
                yield where, item
