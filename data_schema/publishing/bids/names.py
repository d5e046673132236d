"""File names of a BIDS dataset: labels of letters and digits, entities in the order of the standard.

References
----------
BIDS Specification 1.11.1, "File name structure" and "Entities": a label holds letters and digits only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from data_schema.errors import ExportError

_LONGEST_TASK = 40


def label(text: str) -> str:
    """Return `text` as a label: its letters A to Z, a to z and digits."""
    return re.sub(r"[^0-9A-Za-z]", "", text)


def labels(names: Iterable[str], what: str) -> dict[str, str]:
    """Give each name its label.

    Parameters
    ----------
    names : iterable of str
    what : str
        What they name, for the message.

    Raises
    ------
    ExportError
        If a name has no letter or digit, or two names would get the same label.
    """
    given: dict[str, str] = {}
    for name in dict.fromkeys(names):
        short = label(name)
        if not short:
            raise ExportError(
                f"{what} '{name}' has no letter A to Z and no digit, and BIDS allows nothing else in file names. "
                f'Name the {what} otherwise, or publish with [publish] pseudonyms = "new".'
            )
        twin = next((other for other, taken in given.items() if taken == short), None)
        if twin is not None:
            raise ExportError(
                f"{what}s '{twin}' and '{name}' would both be called '{short}': BIDS allows only letters and digits in "
                f"file names. Rename one of them."
            )
        given[name] = short
    return given


def task_label(title: str) -> str:
    """Return the task's label: the words of `title` run together, each with a capital; ``emotion`` if there are none."""
    task = ""
    for word in re.findall(r"[0-9A-Za-z]+", title):
        if task and len(task) + len(word) > _LONGEST_TASK:
            break
        task += word[:1].upper() + word[1:_LONGEST_TASK]
    return task or "emotion"


@dataclass(frozen=True)
class RunName:
    """The names of one run's files.

    Parameters
    ----------
    subject, session, task : str
        Labels, without their prefix.
    run : int
        From 1.
    """

    subject: str
    session: str
    task: str
    run: int

    @property
    def folder(self) -> PurePosixPath:
        """Folder of the run's files, relative to the dataset."""
        return PurePosixPath(f"sub-{self.subject}", f"ses-{self.session}", "beh")

    def path(self, suffix: str, extension: str, **entities: str) -> PurePosixPath:
        """Return the path of a file, relative to the dataset.

        Parameters
        ----------
        suffix, extension : str
            Such as ``physio`` and ``.tsv.gz``.
        **entities : str
            ``recording`` and ``desc``, in this order.
        """
        stem = f"sub-{self.subject}_ses-{self.session}_task-{self.task}_run-{self.run:02d}"
        extra = "".join(f"_{name}-{value}" for name, value in entities.items())
        return self.folder / f"{stem}{extra}_{suffix}{extension}"

    def file(self, root: Path, suffix: str, extension: str, **entities: str) -> Path:
        """Return the same path below `root`."""
        return root / self.path(suffix, extension, **entities)
