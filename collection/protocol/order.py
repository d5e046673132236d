"""The order of the stimuli: seeded, and counterbalanced over participants.

``balanced`` shows the stimuli in rounds, each target emotion at most once in a
round. Inside a round the emotions follow a Williams design: over a full set of
participants each emotion stands equally often at each place, and follows each
other emotion equally often, so that a feeling that has not faded does not always
colour the same next clip.

References
----------
Williams (1949), "Experimental designs balanced for the estimation of residual
effects of treatments", Aust. J. Sci. Res. A 2(2).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from data_schema.study.config import Stimulus

_NUMBERED = re.compile(r"^[A-Za-z]*?0*([1-9][0-9]{0,5})$")


def order_index(participant: str, session: str = "01") -> int:
    """Return the row of the counterbalancing plan for a participant and session.

    Codes that end in a number (P001, P002) take the rows one after the other, so
    that the plan is exactly balanced over consecutive participants. Random
    pseudonyms are spread by a hash: balanced on average only.
    """
    shift = _number(session)
    number = _number(participant)
    if number is None:
        number = int.from_bytes(hashlib.sha256(participant.encode("utf-8")).digest()[:4], "big")
    else:
        number -= 1
    return number + ((shift - 1) if shift is not None else 0)


def _number(code: str) -> int | None:
    match = _NUMBERED.match(code)
    return int(match.group(1)) if match else None


def williams_rows(n: int) -> list[list[int]]:
    """Return a Williams design of n treatments: n rows, or 2 n for an odd n.

    Returns
    -------
    list of list of int
        Each row is a permutation of range(n).
    """
    if n < 1:
        raise ValueError(f"a design needs at least 1 treatment, got {n}")
    first = [0]
    low, high = 1, n - 1
    while len(first) < n:
        first.append(low)
        low += 1
        if len(first) < n:
            first.append(high)
            high -= 1
    rows = [[(value + shift) % n for value in first] for shift in range(n)]
    if n % 2 and n > 1:
        rows += [row[::-1] for row in rows]
    return rows


def stimulus_order(
    stimuli: Sequence[Stimulus], rule: str, seed: int, participant: str, session: str = "01"
) -> list[Stimulus]:
    """Return the stimuli in the order for one participant and session.

    Parameters
    ----------
    stimuli : sequence of Stimulus
        As listed in study.toml.
    rule : str
        'balanced', 'random' or 'listed'.
    seed : int
        The study's seed.
    participant, session : str
        Codes.

    Raises
    ------
    ValueError
        If the rule is unknown.
    """
    if rule == "listed":
        return list(stimuli)
    if rule == "random":
        digest = hashlib.sha256(f"{participant}/{session}".encode()).digest()
        generator = np.random.default_rng([seed, int.from_bytes(digest[:4], "big")])
        return [stimuli[i] for i in generator.permutation(len(stimuli))]
    if rule == "balanced":
        return _balanced(stimuli, seed, order_index(participant, session))
    raise ValueError(f"unknown order '{rule}'; known: balanced, random, listed")


def _balanced(stimuli: Sequence[Stimulus], seed: int, index: int) -> list[Stimulus]:
    if not stimuli:
        return []
    generator = np.random.default_rng(seed)
    by_emotion: dict[str, list[Stimulus]] = {}
    for stimulus in stimuli:
        by_emotion.setdefault(str(stimulus.target_emotion), []).append(stimulus)
    emotions = sorted(by_emotion)
    # The study's seed decides which emotion is which treatment, the same for everybody.
    emotions = [emotions[i] for i in generator.permutation(len(emotions))]
    rows = williams_rows(len(emotions))
    step = _round_step(rows[0], len(emotions))
    n_rounds = max(len(clips) for clips in by_emotion.values())
    ordered: list[Stimulus] = []
    for number in range(n_rounds):
        row = _row(rows, index, number * step, len(emotions))
        for treatment in row:
            clips = by_emotion[emotions[treatment]]
            if number < len(clips):
                # Which clip of an emotion comes first rotates over participants.
                ordered.append(clips[(number + index // len(rows)) % len(clips)])
    return ordered


def _row(rows: list[list[int]], index: int, shift: int, n: int) -> list[int]:
    """Return the participant's row, shifted inside its half of the design for a later round."""
    place = index % len(rows)
    half = place // n
    return rows[half * n + (place + shift) % n]


def _round_step(first: list[int], n: int) -> int:
    """Return by how much each round is shifted so that no emotion ends one and begins the next."""
    forward = (first[-1] - first[0]) % n
    forbidden = {forward, (-forward) % n}
    for step in range(1, n):
        if step not in forbidden:
            return step
    return 1
