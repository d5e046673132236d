"""Who of a planted world watches what, feels and shows what, and what of it goes missing.

All clips are laid out at once from the world's seed, so that shares and class counts come out as asked, whoever writes
the sessions later and in which order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from collection.simulation.planted import INDUCTION_SHARE, NEIGHBOURS
from collection.simulation.world import STIMULI_PER_EMOTION, World, class_counts
from data_schema.vocabularies import EMOTIONS

BoolArray = npt.NDArray[np.bool_]
#: A missed target is followed by its first neighbour so often; as in the rehearsed world.
_FIRST_NEIGHBOUR_SHARE = 0.65
#: A lost stretch covers between these shares of its clip.
LOST_STRETCH = (0.2, 0.6)


@dataclass(frozen=True)
class PlannedClip:
    """One clip of one participant.

    Parameters
    ----------
    trial_id : int
        Number of the trial, from 1.
    stimulus_id, target_emotion : str
        What is shown, and what it is meant to induce.
    felt : str
        What is felt.
    lost_from, lost_until : float
        Stretch without gaze, shares of the clip; 0 and 0 for none, 0 and 1 for all of it.
    covered : bool
        True if the camera is covered.
    labelled : bool
        False if no annotator judges it.
    """

    trial_id: int
    stimulus_id: str
    target_emotion: str
    felt: str
    lost_from: float = 0.0
    lost_until: float = 0.0
    covered: bool = False
    labelled: bool = True


def participant_codes(world: World) -> list[str]:
    """Return the codes of the world's participants: P001, P002, ..."""
    return [f"P{number:03d}" for number in range(1, world.participants + 1)]


def lay_out(world: World) -> dict[str, list[PlannedClip]]:
    """Lay out every clip of a world.

    Returns
    -------
    dict of str to list of PlannedClip
        By participant's code, in the order in which they are shown.
    """
    rng = np.random.default_rng([world.seed, 1])
    felt = [emotion for emotion, count in class_counts(world.clips, world.imbalance).items() for _ in range(count)]
    pairs = [(_target_of(emotion, rng), emotion) for emotion in felt]
    # Sorted by target and dealt out in turn: everybody sees about the same mixture of stimuli, but feels what they feel.
    order = sorted(range(len(pairs)), key=lambda place: (EMOTIONS.index(pairs[place][0]), float(rng.random())))
    codes = participant_codes(world)
    hands: dict[str, list[tuple[str, str]]] = {code: [] for code in codes}
    for turn, place in enumerate(order):
        hands[codes[turn % len(codes)]].append(pairs[place])
    unseen, partly, covered, unlabelled = _flags(world, rng)
    cast: dict[str, list[PlannedClip]] = {}
    at = 0
    for code in codes:
        hand = [hands[code][int(place)] for place in rng.permutation(len(hands[code]))]
        stimuli = _choose_stimuli([target for target, _ in hand], rng)
        clips = []
        for number, ((target, emotion), stimulus) in enumerate(zip(hand, stimuli, strict=True), start=1):
            lost = _lost_stretch(bool(unseen[at]), bool(partly[at]), rng)
            clips.append(
                PlannedClip(number, stimulus, target, emotion, *lost, bool(covered[at]), not unlabelled[at])
            )  # fmt: skip
            at += 1
        cast[code] = clips
    return cast


def _target_of(felt: str, rng: np.random.Generator) -> str:
    """Draw what the stimulus was meant to induce where this is felt."""
    hit, which = rng.random(2)
    # Of whose targets it is the first or the second neighbour.
    weights = {
        target: _FIRST_NEIGHBOUR_SHARE if near[0] == felt else 1 - _FIRST_NEIGHBOUR_SHARE
        for target, near in NEIGHBOURS.items()
        if felt in near
    }
    if hit < INDUCTION_SHARE or not weights:
        return felt
    edges = np.cumsum(list(weights.values()))
    return list(weights)[int(np.searchsorted(edges, which * edges[-1], side="right"))]


def _flags(world: World, rng: np.random.Generator) -> tuple[BoolArray, BoolArray, BoolArray, BoolArray]:
    """Draw which clips have no gaze, lose a part of it, have no face, are unlabelled: exact numbers, at random places."""
    n = world.clips
    places = rng.permutation(n)
    n_unseen, n_partly = round(world.missing_eyes_share * n), round(world.partial_loss_share * n)
    unseen, partly = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
    unseen[places[:n_unseen]] = True
    partly[places[n_unseen : n_unseen + n_partly]] = True
    covered, unlabelled = (
        np.isin(np.arange(n), rng.permutation(n)[: round(share * n)])
        for share in (world.missing_face_share, world.unlabelled_share)
    )
    return unseen, partly, covered, unlabelled


def _lost_stretch(unseen: bool, partly: bool, rng: np.random.Generator) -> tuple[float, float]:
    length = float(rng.uniform(*LOST_STRETCH))
    start = float(rng.uniform(0.0, 1.0 - length))
    if unseen:
        return 0.0, 1.0
    return (round(start, 4), round(start + length, 4)) if partly else (0.0, 0.0)


def _choose_stimuli(targets: list[str], rng: np.random.Generator) -> list[str]:
    """Choose a stimulus of each target; none is seen twice before all of its emotion were seen once."""
    orders = {emotion: rng.permutation(STIMULI_PER_EMOTION) + 1 for emotion in EMOTIONS}
    seen = dict.fromkeys(EMOTIONS, 0)
    chosen = []
    for target in targets:
        chosen.append(f"{target}-{orders[target][seen[target] % STIMULI_PER_EMOTION]}")
        seen[target] += 1
    return chosen
