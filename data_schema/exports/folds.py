"""Folds: which participants train, validate and test.

Subject-independent: all clips of a participant are in one fold. Frozen: once a
participant has a fold, it stays, whoever joins later, so that results stay
comparable. Fold k tests, fold (k + 1) mod n validates, the rest train.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data_schema.errors import ExportError
from data_schema.files import read_json, write_bytes, write_json
from data_schema.locks import sole_writer
from data_schema.wording import counted

#: One fold to test, one to validate, at least one to train.
MIN_FOLDS = 3
#: Seconds to wait for another export's folds: it writes one small file and renames two folders.
_FOLDS_WAIT_S = 10.0
_RESTORE = "Restore the file from a backup, or copy folds.json from an export of the same study."


@dataclass(frozen=True)
class Split:
    """Participants of one fold's training, validation and test sets; disjoint."""

    fold: int
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class Folds:
    """A frozen assignment of participants to folds.

    Parameters
    ----------
    seed : int
        Seed of the draw.
    n_folds : int
    assignment : dict of str to int
        Fold of each participant.
    """

    seed: int
    n_folds: int
    assignment: dict[str, int]

    def splits(self, fold: int, participants: Iterable[str] | None = None) -> Split:
        """Return who trains, validates and tests when `fold` is the test fold.

        Parameters
        ----------
        fold : int
            0 to n_folds - 1.
        participants : iterable of str, optional
            Those who have data; all by default.

        Raises
        ------
        ExportError
            If there is no such fold, a participant has no fold, or a set is empty.
        """
        if not 0 <= fold < self.n_folds:
            raise ExportError(f"there is no fold {fold}: the study has folds 0 to {self.n_folds - 1}.")
        present = sorted(self.assignment) if participants is None else sorted(set(participants))
        missing = [name for name in present if name not in self.assignment]
        if missing:
            raise ExportError(f"participants without a fold: {', '.join(missing)}. Export again to assign them.")
        validating = (fold + 1) % self.n_folds
        test = tuple(name for name in present if self.assignment[name] == fold)
        validation = tuple(name for name in present if self.assignment[name] == validating)
        train = tuple(name for name in present if self.assignment[name] not in (fold, validating))
        split = Split(fold, train, validation, test)
        check_split(split)
        return split

    def as_json(self) -> dict[str, Any]:
        """Return the content of ``folds.json``."""
        return {"seed": self.seed, "n_folds": self.n_folds, "assignment": dict(sorted(self.assignment.items()))}

    def restricted(self, participants: Iterable[str]) -> Folds:
        """Return the folds of some participants alone."""
        wanted = set(participants)
        return Folds(self.seed, self.n_folds, {k: v for k, v in self.assignment.items() if k in wanted})


def check_split(split: Split) -> None:
    """Refuse a split that leaks or lacks a set.

    Raises
    ------
    ExportError
        If a participant is in two sets, or a set is empty.
    """
    sets = {"training": split.train, "validation": split.validation, "test": split.test}
    names = list(sets)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            both = sorted(set(sets[first]) & set(sets[second]))
            if both:
                raise ExportError(
                    f"fold {split.fold}: {', '.join(both)} is in both the {first} and the {second} set; "
                    "results would leak."
                )
    empty = [name for name, members in sets.items() if not members]
    if empty:
        raise ExportError(
            f"fold {split.fold}: no participant in the {' and '.join(empty)} set. Use fewer folds ([folds] n in "
            "study.toml, at least 3) or record more participants."
        )


def _draw(seed: int, *names: str) -> int:
    """Return a number that depends on seed and names alone, not on who else is there."""
    digest = hashlib.sha256("\0".join([str(seed), *names]).encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big")


def assign_folds(
    participants: Iterable[str],
    n_folds: int,
    seed: int,
    existing: Mapping[str, int] | None = None,
    label_counts: pd.DataFrame | None = None,
) -> Folds:
    """Give each participant a fold; those who have one keep it.

    New participants go, one after the other, into one of the folds with the fewest
    participants; among these into the one where the labels stay most even.

    Parameters
    ----------
    participants : iterable of str
        All who have clips now.
    n_folds : int
        At least 3.
    seed : int
    existing : mapping of str to int, optional
        Frozen assignments; never changed, also of those who have no clips now.
    label_counts : DataFrame, optional
        One row a participant (index), one column a class: numbers of clips.

    Returns
    -------
    Folds

    Raises
    ------
    ExportError
        If there are fewer participants than folds, or fewer than three folds, or
        an existing assignment is out of range.
    """
    present = sorted(set(participants))
    kept = {str(name): int(fold) for name, fold in (existing or {}).items()}
    if n_folds < MIN_FOLDS:
        raise ExportError(f"[folds] n is {n_folds}: at least {MIN_FOLDS} are needed to train, validate and test.")
    wrong = sorted(name for name, fold in kept.items() if not 0 <= fold < n_folds)
    if wrong:
        raise ExportError(f"folds.json puts {', '.join(wrong)} into a fold that does not exist (0 to {n_folds - 1}).")
    if len(present) < n_folds:
        raise ExportError(
            f"only {counted(len(present), 'participant')} with usable clips, but [folds] n is {n_folds}: each fold needs "
            f"one. Record more participants, or set [folds] n in study.toml to "
            + (f"a number from {MIN_FOLDS} to {len(present)}." if len(present) > MIN_FOLDS else f"{MIN_FOLDS}.")
            if len(present) >= MIN_FOLDS
            else f"only {counted(len(present), 'participant')} with usable clips; subject-independent folds need at "
            f"least {MIN_FOLDS}. Record more participants."
        )
    counts = _count_table(present, label_counts)
    assignment = dict(kept)
    sizes = np.zeros(n_folds, dtype=np.int64)
    labels = np.zeros((n_folds, counts.shape[1]))
    for name in present:
        if name in assignment:
            sizes[assignment[name]] += 1
            labels[assignment[name]] += counts.loc[name].to_numpy(dtype=np.float64)
    new = [name for name in present if name not in assignment]
    # The participants with the most labels first: the small ones then even things out.
    for name in sorted(new, key=lambda code: (-float(counts.loc[code].sum()), _draw(seed, code))):
        own = counts.loc[name].to_numpy(dtype=np.float64)
        smallest = np.flatnonzero(sizes == sizes.min())
        uneven = [_unevenness(labels, int(fold), own) for fold in smallest]
        order = [(score, _draw(seed, name, str(fold)), fold) for score, fold in zip(uneven, smallest, strict=True)]
        best = int(min(order)[2])
        assignment[name] = best
        sizes[best] += 1
        labels[best] += own
    return Folds(seed, n_folds, assignment)


def _count_table(participants: list[str], label_counts: pd.DataFrame | None) -> pd.DataFrame:
    if label_counts is None:
        empty: pd.DataFrame = pd.DataFrame(index=participants)
        return empty
    counts: pd.DataFrame = label_counts.reindex(participants).fillna(0)
    return counts


def _unevenness(labels: Any, fold: int, own: Any) -> float:
    """Return how uneven the classes would be over the folds with `own` added to `fold` (0 is even)."""
    if not labels.shape[1]:
        return 0.0
    after = labels.copy()
    after[fold] += own
    total = np.maximum(after.sum(axis=0), 1.0)
    return round(float(((after / total) ** 2).sum()), 12)


def load_folds(path: Path) -> Folds:
    """Read ``folds.json``.

    Raises
    ------
    ExportError
        If it is missing or damaged.
    """
    content = read_json(path, "fold assignment", _RESTORE)
    assignment, seed, n_folds = (content.get(name) for name in ("assignment", "seed", "n_folds"))
    for name, number in (("seed", seed), ("n_folds", n_folds)):
        if not _is_integer(number):
            raise ExportError(f"{path}: {name} is {number!r}, expected an integer. {_RESTORE}")
    if not isinstance(assignment, dict):
        raise ExportError(f"{path}: assignment is {assignment!r}, expected a fold for each participant. {_RESTORE}")
    for participant, fold in assignment.items():
        if not _is_integer(fold):
            raise ExportError(f"{path}: the fold of {participant} is {fold!r}, expected an integer. {_RESTORE}")
    folds = Folds(int(str(seed)), int(str(n_folds)), assignment)
    outside = sorted(name for name, fold in assignment.items() if not 0 <= fold < folds.n_folds)
    if outside:
        raise ExportError(f"{path}: {', '.join(outside)} has a fold outside 0 to {folds.n_folds - 1}. {_RESTORE}")
    return folds


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def refuse_lost_folds(path: Path, exports: Iterable[Path]) -> None:
    """Refuse to draw folds anew where exports still hold the ones that were drawn.

    Nothing is taken from an export unasked: it knows only the participants that it holds, and of several exports
    nobody but the user can say which one the results are to be compared with.

    Parameters
    ----------
    path : Path
        The study's ``folds.json``.
    exports : iterable of Path
        Folders of finished exports.

    Raises
    ------
    ExportError
        If the file is missing and an export has one.
    """
    if path.is_file():
        return
    found = [folder / path.name for folder in exports if (folder / path.name).is_file()]
    if found:
        newest = max(found, key=lambda kept: kept.stat().st_mtime_ns)
        others = f" (and {counted(len(found) - 1, 'other export')})" if len(found) > 1 else ""
        raise ExportError(
            f"{path}: is missing, but {newest}{others} holds folds that were drawn before. Folds drawn anew could not "
            f"be compared with results on it. Copy {newest} to {path} and run the command again; or, to draw anew, "
            "move or delete the exports that have folds."
        )


def frozen_folds(
    path: Path, participants: Iterable[str], n_folds: int, seed: int, label_counts: pd.DataFrame | None = None
) -> Folds:
    """Return the study's folds, with newcomers added; nothing is written (see :func:`freeze_folds`).

    Raises
    ------
    ExportError
        If the file has another number of folds than the study now asks for, or
        there are too few participants.
    """
    existing: dict[str, int] = {}
    if path.is_file():
        frozen = load_folds(path)
        if frozen.n_folds != n_folds:
            raise ExportError(
                f"{path.name} has {frozen.n_folds} folds, study.toml asks for {n_folds}. Results on different folds "
                f"cannot be compared: set [folds] n back to {frozen.n_folds}, or, to draw anew, "
                f"delete {path} and move the exports with the old folds away."
            )
        existing, seed = frozen.assignment, frozen.seed
    return assign_folds(participants, n_folds, seed, existing, label_counts)


@contextmanager
def freeze_folds(path: Path, folds: Folds) -> Iterator[None]:
    """Write the study's folds, for the block that puts the export with these folds in its place.

    The study's folds are locked meanwhile. What another export added since `folds` were computed is kept. If the
    block fails, the file is as it was before.

    Parameters
    ----------
    path : Path
        The study's ``folds.json``.
    folds : Folds
        From :func:`frozen_folds`.

    Raises
    ------
    ExportError
        If another export holds the folds, or gave one of the participants another fold since.
    """
    with sole_writer(path, "another export is writing the folds. Try again when it has ended.", _FOLDS_WAIT_S):
        before = path.read_bytes() if path.is_file() else None
        kept = load_folds(path) if before is not None else folds
        moved = sorted(name for name, fold in kept.assignment.items() if folds.assignment.get(name, fold) != fold)
        if moved or kept.n_folds != folds.n_folds:
            raise ExportError(
                f"{path}: another export froze other folds meanwhile (of {', '.join(moved) or 'all'}). Run the same "
                "command again: what is done already is kept."
            )
        merged = Folds(kept.seed, kept.n_folds, {**folds.assignment, **kept.assignment})
        if before is None or merged.assignment != kept.assignment:
            write_json(path, merged.as_json())
        try:
            yield
        except BaseException:
            if before is None:
                path.unlink(missing_ok=True)
            elif path.read_bytes() != before:
                write_bytes(path, before)
            raise
