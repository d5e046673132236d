"""Who judges which clip: a balanced overlap that only ever grows.

Each clip is judged by the same number of annotators, and each annotator gets the
same number of clips, within one, in all and nearly so of each target emotion.
Pairs of annotators meet about equally often, so that agreement between any two can be told.
Where the overlap leaves a choice, a clip's two passes go to different people: who
knows what somebody felt reads their face otherwise.

What was handed out is never taken back: new clips and new annotators only add.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

#: Clips among which the next is chosen; more of them find hardly better ones.
_LOOK_AHEAD = 24
_Thing = TypeVar("_Thing", str, int)


def shuffled(things: Sequence[_Thing], rng: random.Random) -> list[_Thing]:
    """Return things in random order; from `random()` alone, which every version of Python draws alike."""
    keys = [rng.random() for _ in things]
    return [thing for _, thing in sorted(zip(keys, things, strict=True))]


def share_clips(
    strata: Mapping[str, str],
    annotators: Sequence[str],
    per_clip: int,
    rng: random.Random,
    *,
    held: Mapping[str, Collection[str]] | None = None,
    other_pass: Mapping[str, Collection[str]] | None = None,
) -> dict[str, list[str]]:
    """Say who judges which clips, beyond what is handed out already.

    Parameters
    ----------
    strata : mapping
        Of each clip, the kind of which everyone should get a like share (its target emotion).
    annotators : sequence of str
        Those among whom clips are shared now.
    per_clip : int
        Annotators of each clip; 0 for all of them, and never more than there are.
    rng : random.Random
        Seeded by the study.
    held : mapping, optional
        Who judges a clip already. They count, also if they are not among `annotators` any more.
    other_pass : mapping, optional
        Who judges a clip in the other pass; avoided where it costs no balance.

    Returns
    -------
    dict
        New clips of each annotator; those who get none have an empty list.
    """
    held, other_pass = held or {}, other_pass or {}
    wanted = len(annotators) if per_clip == 0 else per_clip
    loads, pairs = _counts(strata, annotators, held)
    new: dict[str, list[str]] = {name: [] for name in annotators}
    line = _in_strata(strata, rng)
    while line:
        clip = line.pop(_next_clip(line, strata, annotators, loads, wanted, other_pass))
        judges = list(held.get(clip, ()))
        left = [name for name in annotators if name not in judges]
        n_open = len(left) if per_clip == 0 else min(wanted - len(judges), len(left))
        for _ in range(n_open):
            elsewhere = other_pass.get(clip, ())
            # Fewest clips first keeps everyone within one; the rest only decides between equals.
            name = min(
                left,
                key=lambda one: (loads[one], one in elsewhere, sum(pairs[one, j] for j in judges), rng.random()),
            )
            left.remove(name)
            new[name].append(clip)
            loads[name] += 1
            for judge in judges:
                pairs[name, judge] += 1
                pairs[judge, name] += 1
            judges.append(name)
    return new


def _next_clip(
    line: Sequence[str],
    strata: Mapping[str, str],
    annotators: Sequence[str],
    loads: Mapping[str, int],
    wanted: int,
    other_pass: Mapping[str, Collection[str]],
) -> int:
    """Return the place in `line` of a clip that those whose turn it is do not judge in the other pass; else the last."""
    if not other_pass:
        return -1
    lowest = min(loads[name] for name in annotators)
    due = [name for name in annotators if loads[name] == lowest]
    n_due = min(wanted, len(due))
    for back in range(1, min(_LOOK_AHEAD, len(line)) + 1):
        clip = line[-back]
        if strata[clip] != strata[line[-1]]:
            break
        elsewhere = other_pass.get(clip, ())
        if sum(name not in elsewhere for name in due) >= n_due:
            return -back
    return -1


def _counts(
    strata: Mapping[str, str], annotators: Sequence[str], held: Mapping[str, Collection[str]]
) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """Count the clips of each annotator and of each pair, of those that are handed out already."""
    loads: Counter[str] = Counter(dict.fromkeys(annotators, 0))
    pairs: Counter[tuple[str, str]] = Counter()
    for clip, judges in held.items():
        if clip in strata:
            loads.update(judges)
            pairs.update((one, other) for one in judges for other in judges if one != other)
    return loads, pairs


def _in_strata(strata: Mapping[str, str], rng: random.Random) -> list[str]:
    """Return the clips one stratum after the other: dealt in turns, each stratum is then shared evenly."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for clip in sorted(strata):
        groups[strata[clip]].append(clip)
    return [clip for name in shuffled(sorted(groups), rng) for clip in shuffled(groups[name], rng)]
