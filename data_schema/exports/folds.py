"""Folds: which participants, and which stimuli, train, validate and test.

Subject-independent: all clips of a participant are in one fold. Frozen: once a
participant has a fold, it stays, whoever joins later, so that results stay
comparable. Fold k tests, fold (k + 1) mod n validates, the rest train. Stimuli have
folds of their own; :mod:`data_schema.exports.splits` makes schemes of both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from data_schema.errors import ExportError
from data_schema.exports.stratify import draw_folds
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
    """A frozen assignment of participants, and of stimuli, to folds.

    Parameters
    ----------
    seed : int
        Seed of the draw.
    n_folds : int
        Of participants.
    assignment : dict of str to int
        Fold of each participant.
    n_stimulus_folds : int
        0 as long as there were fewer than three stimuli.
    stimuli : dict of str to int
        Fold of each stimulus.
    """

    seed: int
    n_folds: int
    assignment: dict[str, int]
    n_stimulus_folds: int = 0
    stimuli: dict[str, int] = field(default_factory=dict)

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
        validating = next_fold(fold, self.used(present))
        test = tuple(name for name in present if self.assignment[name] == fold)
        validation = tuple(name for name in present if self.assignment[name] == validating)
        train = tuple(name for name in present if self.assignment[name] not in (fold, validating))
        split = Split(fold, train, validation, test)
        check_split(split)
        return split

    def used(self, participants: Iterable[str]) -> list[int]:
        """Return the folds that hold somebody. One is empty after a withdrawal, until somebody joins.

        Raises
        ------
        ExportError
            If a participant has no fold.
        """
        present = set(participants)
        missing = sorted(present - set(self.assignment))
        if missing:
            raise ExportError(f"participants without a fold: {', '.join(missing)}. Export again to assign them.")
        return sorted({self.assignment[name] for name in present})

    def as_json(self) -> dict[str, Any]:
        """Return the content of ``folds.json``; without stimuli that have a fold it is that of earlier versions."""
        content: dict[str, Any] = {
            "seed": self.seed,
            "n_folds": self.n_folds,
            "assignment": dict(sorted(self.assignment.items())),
        }
        if self.n_stimulus_folds:
            content["n_stimulus_folds"] = self.n_stimulus_folds
            content["stimuli"] = dict(sorted(self.stimuli.items()))
        return content

    def restricted(self, participants: Iterable[str], stimuli: Iterable[str] | None = None) -> Folds:
        """Return the folds of some participants (and stimuli) alone."""
        people = set(participants)
        shown = set(self.stimuli) if stimuli is None else set(stimuli)
        return replace(
            self,
            assignment={k: v for k, v in self.assignment.items() if k in people},
            stimuli={k: v for k, v in self.stimuli.items() if k in shown},
        )


def next_fold(tested: int, used: Sequence[int]) -> int:
    """Return the fold that validates when another tests: the next one, passing over those that hold nobody.

    Parameters
    ----------
    tested : int
    used : sequence of int
        Folds that hold somebody, ascending, `tested` among them or not.
    """
    return next((fold for fold in used if fold > tested), min(used, default=tested))


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
            f"fold {split.fold}: no participant in the {' and '.join(empty)} set. Record more participants: who joins is "
            "put into the emptiest folds."
        )


def assign_folds(
    participants: Iterable[str],
    n_folds: int,
    seed: int,
    existing: Mapping[str, int] | None = None,
    label_counts: pd.DataFrame | None = None,
) -> Folds:
    """Give each participant a fold; those who have one keep it.

    Folds have as many participants as each other, give or take one, and of each class
    about as many clips; see :func:`~data_schema.exports.stratify.draw_folds`.

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
        If there are fewer participants than folds before any is assigned, fewer than three participants or folds, or
        an existing assignment is out of range.
    """
    present = sorted(set(participants))
    kept = {str(name): int(fold) for name, fold in (existing or {}).items()}
    if n_folds < MIN_FOLDS:
        raise ExportError(f"[folds] n is {n_folds}: at least {MIN_FOLDS} are needed to train, validate and test.")
    wrong = sorted(name for name, fold in kept.items() if not 0 <= fold < n_folds)
    if wrong:
        raise ExportError(f"folds.json puts {', '.join(wrong)} into a fold that does not exist (0 to {n_folds - 1}).")
    # Folds that are frozen stay when a participant is gone for good: the next who join fill the one that is empty.
    if len(present) < (MIN_FOLDS if kept else n_folds):
        raise ExportError(
            f"only {counted(len(present), 'participant')} with usable clips, but [folds] n is {n_folds}: each fold needs "
            f"one. Record more participants, or set [folds] n in study.toml to "
            + (f"a number from {MIN_FOLDS} to {len(present)}." if len(present) > MIN_FOLDS else f"{MIN_FOLDS}.")
            if len(present) >= MIN_FOLDS
            else f"only {counted(len(present), 'participant')} with usable clips; subject-independent folds need at "
            f"least {MIN_FOLDS}. Record more participants."
        )
    return Folds(seed, n_folds, draw_folds(present, n_folds, seed, kept, label_counts))


def add_stimulus_folds(folds: Folds, target_emotions: Mapping[str, str]) -> Folds:
    """Give each stimulus a fold, spreading target emotions; those who have one keep it.

    Nothing is drawn before there are three stimuli. There are as many folds as of participants, or as stimuli at the first draw
    if these are fewer; the number stays.

    Parameters
    ----------
    folds : Folds
    target_emotions : mapping of str to str
        Target emotion of each stimulus that was shown.
    """
    if not folds.n_stimulus_folds and len(target_emotions) < MIN_FOLDS:
        return folds
    n = folds.n_stimulus_folds or min(folds.n_folds, len(target_emotions))
    names = sorted(target_emotions)
    counts = pd.get_dummies(pd.Series([target_emotions[name] for name in names], index=names, dtype=object)).astype(int)
    # Another draw than that of people, so that a stimulus named like a participant tells nothing.
    return replace(folds, n_stimulus_folds=n, stimuli=draw_folds(names, n, folds.seed + 1, folds.stimuli, counts))


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
    folds = Folds(int(str(seed)), int(str(n_folds)), assignment, *_stimulus_folds(path, content))
    outside = sorted(name for name, fold in assignment.items() if not 0 <= fold < folds.n_folds)
    if outside:
        raise ExportError(f"{path}: {', '.join(outside)} has a fold outside 0 to {folds.n_folds - 1}. {_RESTORE}")
    return folds


def _stimulus_folds(path: Path, content: Mapping[str, Any]) -> tuple[int, dict[str, int]]:
    n, stimuli = content.get("n_stimulus_folds", 0), content.get("stimuli", {})
    fine = _is_integer(n) and isinstance(stimuli, dict)
    if not fine or not all(_is_integer(fold) and 0 <= fold < n for fold in stimuli.values()):
        raise ExportError(f"{path}: stimuli is {stimuli!r}, expected a fold from 0 to {n} - 1 for each. {_RESTORE}")
    return n, stimuli


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
    path: Path,
    participants: Iterable[str],
    n_folds: int,
    seed: int,
    label_counts: pd.DataFrame | None = None,
    target_emotions: Mapping[str, str] | None = None,
) -> Folds:
    """Return the study's folds, with newcomers added; nothing is written (see :func:`freeze_folds`).

    Parameters
    ----------
    path : Path
        The study's ``folds.json``.
    participants : iterable of str
        All who have clips now.
    n_folds, seed : int
        As study.toml says.
    label_counts : DataFrame, optional
        See :func:`assign_folds`.
    target_emotions : mapping of str to str, optional
        See :func:`add_stimulus_folds`; without it no stimulus gets a fold.

    Raises
    ------
    ExportError
        If the file has another number of folds than the study now asks for, or
        there are too few participants.
    """
    frozen: Folds | None = None
    if path.is_file():
        frozen = load_folds(path)
        if frozen.n_folds != n_folds:
            raise ExportError(
                f"{path.name} has {frozen.n_folds} folds, study.toml asks for {n_folds}. Results on different folds "
                f"cannot be compared: set [folds] n back to {frozen.n_folds}, or, to draw anew, "
                f"delete {path} and move the exports with the old folds away."
            )
        seed = frozen.seed
    folds = assign_folds(participants, n_folds, seed, frozen.assignment if frozen else None, label_counts)
    if frozen is not None:
        folds = replace(folds, n_stimulus_folds=frozen.n_stimulus_folds, stimuli=frozen.stimuli)
    return folds if target_emotions is None else add_stimulus_folds(folds, target_emotions)


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
        moved = _moved(kept.assignment, folds.assignment) + _moved(kept.stimuli, folds.stimuli)
        other_n = kept.n_stimulus_folds and kept.n_stimulus_folds != folds.n_stimulus_folds
        if moved or kept.n_folds != folds.n_folds or other_n:
            raise ExportError(
                f"{path}: another export froze other folds meanwhile (of {', '.join(moved) or 'all'}). Run the same "
                "command again: what is done already is kept."
            )
        merged = replace(
            folds,
            seed=kept.seed,
            assignment={**folds.assignment, **kept.assignment},
            stimuli={**folds.stimuli, **kept.stimuli},
        )
        if before is None or merged.as_json() != kept.as_json():
            write_json(path, merged.as_json())
        try:
            yield
        except BaseException:
            if before is None:
                path.unlink(missing_ok=True)
            elif path.read_bytes() != before:
                write_bytes(path, before)
            raise


def _moved(kept: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    return sorted(name for name, fold in kept.items() if now.get(name, fold) != fold)
