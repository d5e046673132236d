"""Schemes: which clips train, validate and test, and so which question a result answers.

All are made of the frozen folds of participants and of stimuli, so that a participant or a stimulus that joins later moves no
other into another set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pandas as pd

from data_schema.errors import ExportError
from data_schema.exports.folds import MIN_FOLDS, Folds, Split, next_fold


@dataclass(frozen=True)
class Scheme:
    """A way to split the clips of an export.

    Parameters
    ----------
    name : str
        As typed on the command line.
    new_people, new_stimuli : bool
        Whether those of the test set are met neither in training nor in validation.
    question : str
        What a result under this scheme answers.
    how : str
        Who tests, validates and trains.
    """

    name: str
    new_people: bool
    new_stimuli: bool
    question: str
    how: str


_ALL = (
    Scheme(
        "subject",
        True,
        False,
        "How well does it work for people it never met, who see clips that others saw?",
        "Fold k of participants tests, the next fold validates, the rest train.",
    ),
    Scheme(
        "loso",
        True,
        False,
        "The same, with all other people but one fold to learn from: the usual question of small studies.",
        "Each participant tests alone (leave one subject out); the fold after their own validates, the rest train.",
    ),
    Scheme(
        "cross-stimulus",
        False,
        True,
        "How well does it work for stimuli it never met, shown to people it knows?",
        "Fold k of stimuli tests, the next fold validates, the rest train; participants are in all sets.",
    ),
    Scheme(
        "cross-stimulus+subject",
        True,
        True,
        "How well does it work for people and stimuli that are both new: is it the emotion, or the clip and the person?",
        "For each pair of a fold of participants and a fold of stimuli, their common clips test; those of the next folds of both "
        "validate; those of the remaining folds of both train. Clips of a kept-out person or stimulus that are in no set are "
        "left out.",
    ),
)

#: The schemes by name.
SCHEMES: dict[str, Scheme] = {scheme.name: scheme for scheme in _ALL}

#: Those that keep participants apart and look at nothing else: a trainer may split participants instead of clips.
PARTICIPANT_SCHEMES: tuple[str, ...] = tuple(
    name for name, scheme in SCHEMES.items() if scheme.new_people and not scheme.new_stimuli
)


@dataclass(frozen=True)
class ClipSplit:
    """The clips of one split's training, validation and test sets; disjoint, sorted.

    Parameters
    ----------
    scheme : str
    fold : int
        Number of the split.
    name : str
        What it tests: ``fold 2``, ``P017``, ``stimulus fold 0``, ``fold 2, stimulus fold 0``.
    train, validation, test : tuple of str
        Clips.
    """

    scheme: str
    fold: int
    name: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


_Member = Callable[[str, str], str]


def clip_splits(folds: Folds, clips: pd.DataFrame, scheme: str = "subject") -> list[ClipSplit]:
    """Split clips by a scheme.

    Parameters
    ----------
    folds : Folds
    clips : DataFrame
        Columns clip_id, participant and stimulus_id.
    scheme : str
        Of :data:`SCHEMES`.

    Returns
    -------
    list of ClipSplit
        Each clip is in one test set; a split without clips to test is left out.

    Raises
    ------
    ExportError
        If there is no such scheme, a participant or stimulus has no fold, there are too few stimuli, or a set is empty.
    """
    if scheme not in SCHEMES:
        raise ExportError(f"there is no scheme '{scheme}'. There are: {', '.join(SCHEMES)}.")
    _check(folds, clips, SCHEMES[scheme])
    rows = list(
        zip(*(clips[name].astype(str).tolist() for name in ("clip_id", "participant", "stimulus_id")), strict=True)
    )
    splits = []
    for fold, name, member in _MEMBERS[scheme](folds, clips):
        sets: dict[str, list[str]] = {"train": [], "validation": [], "test": [], "": []}
        for clip_id, participant, stimulus in rows:
            sets[member(participant, stimulus)].append(clip_id)
        if not sets["test"]:
            continue
        empty = [part for part in ("train", "validation") if not sets[part]]
        if empty:
            raise ExportError(
                f"{scheme}, {name}: no clip in the {' and the '.join(empty)} set. Record more participants or show more "
                "stimuli to each, or choose another scheme."
            )
        parts = (tuple(sorted(sets[part])) for part in ("train", "validation", "test"))
        splits.append(ClipSplit(scheme, fold, name, *parts))
    return splits


def participant_splits(folds: Folds, participants: Iterable[str], scheme: str = "subject") -> list[Split]:
    """Split participants by one of :data:`PARTICIPANT_SCHEMES`.

    Raises
    ------
    ExportError
        If there is no such scheme, a participant has no fold, or a set is empty.
    """
    if scheme not in PARTICIPANT_SCHEMES:
        raise ExportError(
            f"the scheme '{scheme}' does not split participants alone. Those that do: {', '.join(PARTICIPANT_SCHEMES)}."
        )
    present = sorted(set(participants))
    if scheme == "subject":
        return [folds.splits(k, present) for k in folds.used(present)]
    clips = pd.DataFrame({"clip_id": present, "participant": present, "stimulus_id": ""})
    return [Split(s.fold, s.train, s.validation, s.test) for s in clip_splits(folds, clips, scheme)]


def _check(folds: Folds, clips: pd.DataFrame, scheme: Scheme) -> None:
    people = sorted(set(clips["participant"].astype(str)) - set(folds.assignment))
    if people:
        raise ExportError(f"participants without a fold: {', '.join(people)}. Export again to assign them.")
    if not scheme.new_stimuli:
        return
    n_shown = clips["stimulus_id"].nunique()
    if n_shown < MIN_FOLDS:
        raise ExportError(
            f"the scheme {scheme.name} needs clips of at least {MIN_FOLDS} stimuli, there are {n_shown}. Choose another scheme."
        )
    shown = sorted(set(clips["stimulus_id"].astype(str)) - set(folds.stimuli))
    if shown:
        raise ExportError(f"stimuli without a fold: {', '.join(shown)}. Export again to assign them.")


def _set_of(fold: int, tested: int, used: list[int]) -> str:
    """Return the set of a fold when another one is tested."""
    if fold == tested:
        return "test"
    return "validation" if fold == next_fold(tested, used) else "train"


def _used_stimuli(folds: Folds, clips: pd.DataFrame) -> list[int]:
    return sorted({folds.stimuli[str(name)] for name in clips["stimulus_id"]})


def _by_subject(folds: Folds, clips: pd.DataFrame) -> Iterator[tuple[int, str, _Member]]:
    used = folds.used(clips["participant"].astype(str))
    for k in used:

        def member(person: str, _: str, k: int = k) -> str:
            return _set_of(folds.assignment[person], k, used)

        yield k, f"fold {k}", member


def _leave_one_out(folds: Folds, clips: pd.DataFrame) -> Iterator[tuple[int, str, _Member]]:
    used = folds.used(clips["participant"].astype(str))
    for k, tested in enumerate(sorted(set(clips["participant"].astype(str)))):
        validating = next_fold(folds.assignment[tested], used)

        def member(person: str, _: str, tested: str = tested, validating: int = validating) -> str:
            if person == tested:
                return "test"
            return "validation" if folds.assignment[person] == validating else "train"

        yield k, tested, member


def _by_stimulus(folds: Folds, clips: pd.DataFrame) -> Iterator[tuple[int, str, _Member]]:
    used = _used_stimuli(folds, clips)
    for k in used:

        def member(_: str, shown: str, k: int = k) -> str:
            return _set_of(folds.stimuli[shown], k, used)

        yield k, f"stimulus fold {k}", member


def _by_both(folds: Folds, clips: pd.DataFrame) -> Iterator[tuple[int, str, _Member]]:
    people, stimuli = folds.used(clips["participant"].astype(str)), _used_stimuli(folds, clips)
    for i in people:
        for j in stimuli:

            def member(person: str, shown: str, i: int = i, j: int = j) -> str:
                of_person = _set_of(folds.assignment[person], i, people)
                return of_person if of_person == _set_of(folds.stimuli[shown], j, stimuli) else ""

            yield i * folds.n_stimulus_folds + j, f"fold {i}, stimulus fold {j}", member


_MEMBERS: dict[str, Callable[[Folds, pd.DataFrame], Iterator[tuple[int, str, _Member]]]] = {
    "subject": _by_subject,
    "loso": _leave_one_out,
    "cross-stimulus": _by_stimulus,
    "cross-stimulus+subject": _by_both,
}
