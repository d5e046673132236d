"""What did not leave a study, and why: for the datasheet, and for whoever publishes an imported dataset again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from data_schema.errors import ExportError
from data_schema.files import read_json, write_json
from data_schema.study.folder import StudyFolder

_NAME = "withheld_before.json"


@dataclass(frozen=True, order=True)
class Withheld:
    """Something that did not leave the study.

    Parameters
    ----------
    what : str
        Such as 'participants', 'free answers', 'the fact age_years'.
    why : str
    count : int
    """

    what: str
    why: str
    count: int


def as_json(items: Iterable[Withheld]) -> list[list[Any]]:
    """Return the items as JSON holds them."""
    return [list(astuple(item)) for item in items]


def from_json(content: Any, where: Path) -> tuple[Withheld, ...]:
    """Read items back.

    Raises
    ------
    ExportError
        If they are none.
    """
    if not isinstance(content, list):
        raise ExportError(f"{where}: withheld is no list. Copy the dataset again from where it came.")
    found = []
    for item in content:
        kinds = [type(part) for part in item] if isinstance(item, list) else []
        if kinds != [str, str, int]:
            raise ExportError(
                f"{where}: withheld holds {item!r}, expected what, why and how many. Copy the dataset again."
            )
        found.append(Withheld(*item))
    return tuple(found)


def keep_withheld(study: StudyFolder, items: tuple[Withheld, ...]) -> None:
    """Write down what an imported dataset says was held back of it."""
    if items:
        write_json(_path(study), {"withheld": as_json(items)})


def withheld_before(study: StudyFolder) -> tuple[Withheld, ...]:
    """Return what was held back before the study got its data; empty for one that recorded them itself."""
    path = _path(study)
    if not path.is_file():
        return ()
    content = read_json(path, "list of what was withheld", "Import the dataset again.")
    return from_json(content.get("withheld"), path)


def together(own: Iterable[Withheld], before: Iterable[Withheld]) -> tuple[Withheld, ...]:
    """Return both, sorted; what is held back a second time for the same reason is one thing."""
    counts: dict[tuple[str, str], int] = {}
    for item in (*own, *before):
        counts[item.what, item.why] = max(item.count, counts.get((item.what, item.why), 0))
    return tuple(sorted(Withheld(what, why, count) for (what, why), count in counts.items()))


def _path(study: StudyFolder) -> Path:
    return study.root / "publishing" / _NAME
