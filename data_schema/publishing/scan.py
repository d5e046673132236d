"""Search a finished folder for identifiers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from data_schema.publishing.identifiers import Identifier


@dataclass(frozen=True)
class Finding:
    """An identifier that was found."""

    file: str
    place: str
    identifier: Identifier


def scan_folder(folder: Path, identifiers: Iterable[Identifier]) -> list[Finding]:
    """Search every file of a folder for identifiers."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            found += [
                Finding(path.relative_to(folder).as_posix(), "", item)
                for item in identifiers
                if item.text.encode() in content
            ]
    return found
