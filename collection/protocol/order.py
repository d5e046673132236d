"""The order of the stimuli: seeded, and counterbalanced over participants.

``balanced`` shows the stimuli in rounds, each target emotion at most once in a
round. Inside a round the emotions follow a Williams design, so that a feeling
that has not faded does not always colour the same next clip. What holds, for n
emotions with a clip in every round (a block is n participants, or 2 n if n is odd):

* over a block, in every round, each emotion stands equally often at each place
  and follows each other emotion equally often;
* over n - 1 blocks, each emotion follows each other equally often across the
  border of two rounds as well; over fewer, no such pair comes more than once more
  than another in a border (n odd: as long as there are fewer than n / 2 borders);
* no emotion ever follows itself;
* over as many blocks as an emotion has clips, each of its clips is equally often
  the first one; over one block as nearly as possible.

Rows of this design are given out by :func:`choose_row`, block by block, by what the
study's sessions have used so far: random pseudonyms are balanced as exactly as
consecutive numbers, and a row that an aborted session wasted is used again. Studies
recorded on several computers have to be told apart by their codes: then each is
balanced by itself.

References
----------
Williams (1949), "Experimental designs balanced for the estimation of residual
effects of treatments", Aust. J. Sci. Res. A 2(2).
"""

from __future__ import annotations

import hashlib
import logging
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from data_schema.errors import SessionFileError
from data_schema.session.reader import open_session
from data_schema.study.folder import StudyFolder, parse_session_name
from data_schema.study.sections import Stimulus

logger = logging.getLogger(__name__)

#: Name under which a session file keeps its row, among the seeds.
ROW_SEED = "order_row"

_NUMBERED = re.compile(r"^[A-Za-z]*?0*([1-9][0-9]{0,5})$")


def order_index(participant: str, session: str = "01") -> int:
    """Return the row of the plan that a participant and session would take in an empty study.

    Codes that end in a number (P001, P002) take the rows one after the other.
    Random pseudonyms are spread by a hash.
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


def n_rows(stimuli: Sequence[Stimulus], rule: str) -> int:
    """Return after how many participants the plan repeats itself; 1 where rows play no part."""
    if rule != "balanced" or not stimuli:
        return 1
    clips = Counter(str(stimulus.target_emotion) for stimulus in stimuli)
    blocks = math.lcm(max(1, len(clips) - 1), *clips.values())
    return len(williams_rows(len(clips))) * blocks


def choose_row(preferred: int, n: int, used: Mapping[int, int], block: int = 1) -> int:
    """Return the row that comes next: one block is filled before the next is begun.

    Parameters
    ----------
    preferred : int
        Its place in the block is taken if it is free, otherwise the next free one after it.
    n : int
        Number of rows, a multiple of `block`.
    used : mapping of int to int
        How often each row was used.
    block : int
        Rows of one block: over these the design is balanced.
    """
    least = min(used.get(row, 0) for row in range(n))
    free = [row for row in range(n) if used.get(row, 0) == least]
    first_block = free[0] // block
    return min(
        (row for row in free if row // block == first_block), key=lambda row: (row % block - preferred % block) % block
    )


def used_rows(study: StudyFolder, participant: str, session: str) -> tuple[Counter[int], int | None]:
    """Look into the study's sessions for the rows that they used.

    Only sessions of the same name count (a second session of everybody is balanced
    by itself), and only those that reached their end or are still being recorded.
    Rehearsals count as long as the study has nothing else.

    Returns
    -------
    used : Counter of int
        How often each row was used by other participants.
    own : int or None
        The row that this very session was recorded with, if it exists already.
    """
    real: dict[str, int] = {}
    rehearsed: dict[str, int] = {}
    own: int | None = None
    for path in study.session_files():
        named = parse_session_name(path)
        if named is None or named[1] != session:
            continue
        try:
            with open_session(path) as opened:
                row, status, simulated = opened.seeds.get(ROW_SEED), opened.status, opened.simulated
        except SessionFileError as error:
            logger.warning("the order of %s is not known: %s", path.name, error)
            continue
        if not isinstance(row, int):
            continue
        if named[0] == participant:
            own = row if own is None else own
        elif status in ("complete", "recording"):
            # Once, however many runs the session has.
            (rehearsed if simulated else real)[named[0]] = row
    return Counter((real or rehearsed).values()), own


def study_row(study: StudyFolder, participant: str, session: str) -> int:
    """Return the row for a session: its own if it was begun before, else the one used least."""
    used, own = used_rows(study, participant, session)
    if own is not None:
        return own
    config = study.config
    stimuli, rule = config.trial_stimuli, config.protocol.order
    period = n_rows(stimuli, rule)
    folded: Counter[int] = Counter()
    for row, times in used.items():
        folded[row % period] += times
    block = len(williams_rows(_n_emotions(stimuli))) if rule == "balanced" and stimuli else 1
    return choose_row(order_index(participant, session), period, folded, block)


def stimulus_order(
    stimuli: Sequence[Stimulus], rule: str, seed: int, participant: str, session: str = "01", row: int | None = None
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
    row : int, optional
        Row of the balanced design; by default the one that the codes would take in an empty study.

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
        return _balanced(stimuli, seed, order_index(participant, session) if row is None else row)
    raise ValueError(f"unknown order '{rule}'; known: balanced, random, listed")


def _n_emotions(stimuli: Sequence[Stimulus]) -> int:
    return len({str(stimulus.target_emotion) for stimulus in stimuli})


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
    n_rounds = max(len(clips) for clips in by_emotion.values())
    rounds = _rounds(len(emotions), n_rounds, index)
    n_in_block = len(williams_rows(len(emotions)))
    # Which clip of an emotion comes first rotates inside a block and from block to block.
    turn = index % n_in_block + index // n_in_block
    ordered: list[Stimulus] = []
    for number, row in enumerate(rounds):
        for treatment in row:
            clips = by_emotion[emotions[treatment]]
            if number < len(clips):
                ordered.append(clips[(number + turn) % len(clips)])
    return ordered


def _rounds(n: int, n_rounds: int, index: int) -> list[list[int]]:
    """Return the row of each round for one participant.

    The first round takes the participant's row. Each next round takes the row of
    the same half of the design that begins with the treatment at distance d of the
    one that ended the last; d runs through 1 to n - 1 from round to round, half to
    half and block to block.
    """
    rows = williams_rows(n)
    block, place = divmod(index, len(rows))
    half, row = divmod(place, n)
    base = rows[half * n]
    rounds = [rows[half * n + row]]
    for border in range(n_rounds - 1):
        distance = 1 + (block + border + half * ((n - 1) // 2)) % (n - 1) if n > 1 else 0
        row = (row + base[-1] - base[0] + distance) % n
        rounds.append(rows[half * n + row])
    return rounds
