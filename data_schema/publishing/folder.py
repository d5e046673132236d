"""The folder of a published dataset: written beside its place, searched, summed, and only then given its name.

A finished publication holds two files of ours: :data:`MARKER_NAME`, which says what it is, and :data:`CHECKSUMS_NAME`, the
SHA-256 of every other file in the format of ``sha256sum``. Until the search has found none of the study's identifiers, the
folder is called ``OUT.partial`` and is removed when anything goes wrong.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from data_schema import __version__
from data_schema.atomic import replace_folder
from data_schema.errors import ExportError
from data_schema.files import disk_problem, read_json, write_bytes
from data_schema.locks import sole_writer
from data_schema.publishing.publication import Publication
from data_schema.publishing.scan import Finding, search
from data_schema.publishing.withheld import as_json
from data_schema.session.reader import file_sha256

FORMAT_NAME = "emer-publication"
FORMAT_VERSION = "1.0"
MARKER_NAME = "emer_publication.json"
CHECKSUMS_NAME = "SHA256SUMS"
#: 1980-01-02 00:00 UTC: the earliest day that ZIP files can hold everywhere. Archives keep the times of files, and times say
#: when somebody worked.
_MTIME_S = 315_619_200
#: What file managers leave behind in any folder.
_CLUTTER = (".DS_Store", "Thumbs.db", "desktop.ini")


@contextmanager
def publishing(out: Path | str, kind: str, publication: Publication, *, force: bool = False) -> Iterator[Path]:
    """Make the folder of a published dataset.

    The block writes into the folder that it is given. Afterwards the folder is searched for the study's identifiers, summed
    and renamed to `out`; if anything fails, `out` is as it was before.

    Parameters
    ----------
    out : Path
        Folder to make.
    kind : str
        bids, parquet, croissant, csv, elan.
    publication : Publication
    force : bool
        Replace a finished publication of the same kind.

    Yields
    ------
    Path
        The folder to write into.

    Raises
    ------
    ExportError
        If `out` exists, another process writes there, an identifier is found, or the disk is full.
    """
    out = Path(out)
    check_target(out, kind, force)
    with sole_writer(out, "another export is writing there. Wait until it has ended, or name another folder."):
        # Again: the other export may have ended since.
        check_target(out, kind, force)
        partial = out.with_name(f"{out.name}.partial")
        try:
            if partial.exists():
                shutil.rmtree(partial)
            partial.mkdir(parents=True)
            mode = stat.S_IMODE(partial.stat().st_mode)
            # Nobody else looks into what was not searched yet, also where it stays behind (Windows: rights of the folder).
            partial.chmod(stat.S_IRWXU)
            yield partial
            _finish(partial, kind, publication)
            partial.chmod(mode)
            # Again: the work took its time, and somebody may have put files into the earlier one.
            check_target(out, kind, force)
            replace_folder(partial, out)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise disk_problem(error, partial) from error
        except BaseException:
            # What is in it may be what must not leave the study.
            shutil.rmtree(partial, ignore_errors=True)
            raise


def check_target(out: Path, kind: str, force: bool) -> None:
    """Refuse a place that holds something else.

    Raises
    ------
    ExportError
    """
    if out.name in ("", ".."):
        raise ExportError(f"{out}: name the folder to make, such as exports/{kind}.")
    if out.is_file():
        raise ExportError(f"{out}: is a file. Name a folder that does not exist.")
    if not out.exists() or not any(out.iterdir()):
        return
    if not (out / MARKER_NAME).is_file():
        raise ExportError(f"{out}: holds other files. A publication never mixes with them; name another folder.")
    marker = read_marker(out)
    if marker["kind"] != kind:
        raise ExportError(f"{out}: holds a publication of kind '{marker['kind']}', not '{kind}'. Name another folder.")
    if not force:
        raise ExportError(f"{out}: there is a publication already. Replace it with --force, or name another folder.")
    foreign = foreign_files(out)
    if foreign:
        shown = ", ".join(foreign[:10]) + (f" and {len(foreign) - 10} more" if len(foreign) > 10 else "")
        raise ExportError(
            f"{out}: holds files that no export wrote, and replacing it would delete them: {shown}. Move them elsewhere and "
            "run the command again, or name another folder."
        )


def read_marker(folder: Path) -> dict[str, Any]:
    """Read what a folder says of itself as a publication.

    Raises
    ------
    ExportError
        If it is none, or a newer toolkit wrote it.
    """
    content = read_json(folder / MARKER_NAME, "finished publication", "Name the folder that an `emer export` made.")
    if content.get("format") != FORMAT_NAME or not isinstance(content.get("kind"), str):
        raise ExportError(f"{folder / MARKER_NAME}: is no mark of a publication. Name another folder.")
    if str(content.get("format_version")).partition(".")[0] != FORMAT_VERSION.partition(".")[0]:
        raise ExportError(
            f"{folder / MARKER_NAME}: of version {content.get('format_version')}; this toolkit reads {FORMAT_VERSION}. Update it."
        )
    return content


def read_checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a publication by its relative name.

    Raises
    ------
    ExportError
        If the list is missing or damaged.
    """
    path = folder / CHECKSUMS_NAME
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{path}: cannot be read: {error}. Make the publication again.") from error
    found = {}
    for line in lines:
        digest, gap, name = line[:64], line[64:66], line[66:]
        if len(digest) != 64 or gap != "  " or not name:
            raise ExportError(f"{path}: is no list of checksums ('{line[:40]}'). Make the publication again.")
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ExportError(f"{path}: names a file outside the publication: {name}.")
        found[name] = digest
    return found


def verify_publication(folder: Path) -> list[str]:
    """Return what is wrong with a publication's files: missing, changed, or not listed; empty if nothing is."""
    read_marker(folder)
    problems = []
    for name, digest in read_checksums(folder).items():
        path = folder / name
        if not path.is_file():
            problems.append(f"{name} is missing")
        elif file_sha256(path) != digest:
            problems.append(f"{name} has changed")
    return problems + [f"{name} is not listed" for name in foreign_files(folder)]


def foreign_files(folder: Path) -> list[str]:
    """Return the files in a publication's folder that the export did not write, relative to it."""
    own = {*read_checksums(folder), CHECKSUMS_NAME}
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(path.as_posix() for path in found if path.as_posix() not in own and path.name not in _CLUTTER)


def _finish(partial: Path, kind: str, publication: Publication) -> None:
    """Mark, search and sum what was written."""
    marker = {
        "format": FORMAT_NAME,
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "name": publication.name,
        "version": publication.version,
        "toolkit_version": __version__,
        "withheld": as_json(publication.withheld),
    }
    write_bytes(partial / MARKER_NAME, (json.dumps(marker, indent=1, ensure_ascii=False) + "\n").encode("utf-8"))
    report = search(partial, publication.identifiers)
    if report.findings:
        raise ExportError(_found(report.findings))
    if report.unopened:
        # We wrote it a moment ago: what cannot be looked into is damaged, and nobody knows what it holds.
        raise ExportError(
            f"the export was removed, since a file of it could not be searched for identifiers: {report.unopened[0]}. Run the "
            "same command again; if it says so again, check the disk and the recording that the file was made of."
        )
    write_checksums(partial)
    for path in (*sorted(partial.rglob("*"), reverse=True), partial):
        os.utime(path, (_MTIME_S, _MTIME_S))


def write_checksums(folder: Path) -> None:
    """Write the list of checksums of all files of a publication."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != CHECKSUMS_NAME)
    lines = [f"{file_sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    write_bytes(folder / CHECKSUMS_NAME, "".join(lines).encode("utf-8"))


def _found(findings: list[Finding]) -> str:
    lines = [f"  {finding}" for finding in findings[:10]]
    if len(findings) > 10:
        lines.append(f"  and {len(findings) - 10} more")
    advice = (
        "Look where these come from: titles, descriptions and names of stimuli in study.toml, the study's own texts. Mend "
        "them and export again. A code that is an ordinary word may stand there by chance."
    )
    return "\n".join(["the finished export holds what must not leave the study, so it was removed:", *lines, advice])
