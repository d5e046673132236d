"""In which order one annotator meets their clips, and where the hidden repeats lie."""

from __future__ import annotations

import bisect
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

from annotation.queue.design import shuffled


class Role(str, Enum):
    """Why an item stands in a queue. Known to the lab alone: it never reaches an annotator."""

    TRAINING = "training"
    ADMISSION = "admission"
    CLIP = "clip"
    """A clip of the study."""
    REPEAT = "repeat"
    """The same clip once more, to see whether the annotator agrees with themselves."""
    GOLD = "gold"
    """A clip with an agreed answer, hidden among the others."""


@dataclass(frozen=True)
class Slot:
    """One place of a queue that is being made."""

    clip_id: str
    role: Role

    @property
    def repetition(self) -> int:
        """Return 1 for a repeat, 0 for all others."""
        return int(self.role is Role.REPEAT)


def main_order(
    clips: Collection[str],
    gold: Collection[str],
    rng: random.Random,
    *,
    repeats_share: float,
    distance: int,
    before: Sequence[Slot] = (),
) -> list[Slot]:
    """Put new clips in random order, gold clips and repeats among them.

    Parameters
    ----------
    clips, gold : collection of str
        Clips to be judged, and clips with an agreed answer.
    rng : random.Random
        Seeded by study, annotator and pass.
    repeats_share : float
        Share of the annotator's clips that come twice, over the whole queue.
    distance : int
        Items that lie between a clip and its repeat, at least.
    before : sequence of Slot
        The queue so far. It stays; clips that stand in it may be repeated among the new ones.

    Returns
    -------
    list of Slot
        What follows `before`. A queue too short for the distance gets fewer repeats, never closer ones.
    """
    roles = dict.fromkeys(clips, Role.CLIP) | dict.fromkeys(gold, Role.GOLD)
    new = [Slot(clip, roles[clip]) for clip in shuffled(sorted(roles), rng)]
    if not new:
        return []
    line = [*before, *new]
    n_repeats = round(repeats_share * sum(slot.role is Role.CLIP for slot in line))
    n_repeats -= sum(slot.role is Role.REPEAT for slot in line)
    after = _repeats(line, len(before), n_repeats, distance, rng)
    result: list[Slot] = []
    for index in range(len(before), len(line)):
        result.append(line[index])
        if index in after:
            result.append(Slot(after[index], Role.REPEAT))
    return result


def _repeats(line: Sequence[Slot], start: int, n: int, distance: int, rng: random.Random) -> dict[int, str]:
    """Choose up to `n` repeats: for places from `start` on, the clip that comes again right after it.

    Places are drawn first, evenly over the queue, then the clip from all that lie far enough back;
    the other way round, repeats would crowd at the queue's end and could be guessed.
    """
    twice = {slot.clip_id for slot in line if slot.role is Role.REPEAT}
    candidates = [at for at, slot in enumerate(line) if slot.role is Role.CLIP and slot.clip_id not in twice]
    if not candidates or n <= 0:
        return {}
    places = shuffled(range(max(start, candidates[0] + distance), len(line)), rng)
    chosen: dict[int, str] = {}
    spare = sorted(places[n:])
    for place in sorted(places[:n]):
        _repeat_at(place, line, candidates, distance, rng, chosen)
    # Some of the early places may have had too few clips before them; the last places have most.
    while len(chosen) < n and spare:
        _repeat_at(spare.pop(), line, candidates, distance, rng, chosen)
    return chosen


def _repeat_at(
    place: int, line: Sequence[Slot], candidates: list[int], distance: int, rng: random.Random, chosen: dict[int, str]
) -> None:
    """Repeat after `place` a clip that lies `distance` items back, if one is left."""
    n_far = bisect.bisect_right(candidates, place - distance)
    if n_far:
        at = candidates.pop(int(rng.random() * n_far))
        chosen[place] = line[at].clip_id
