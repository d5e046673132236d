"""What happens to a device's clock besides running: its drift changes, its stamps come twice."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Stamps = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: Rows of this long are summed up by their median before changes of drift are looked for.
_BLOCK_US = 1_000_000
#: Blocks that each side of a change has at least: the SDK's own estimate of the host's time wanders within seconds.
_MIN_BLOCKS = 6
#: A change of drift is one if a single line is wrong by at least this much, microseconds, and if two lines leave at
#: most this share of its squared residuals. Chosen by us on a real Spectrum recording of 64 s, whose host stamps
#: wander by 0.3 ms: there the best two lines leave 0.44, the best three 0.33; a change by 200 ppm anywhere in its
#: middle half leaves at most 0.13 and makes the line wrong by 1.5 ms or more.
DRIFT_CHANGE_US = 1_000.0
_SHARE_LEFT = 1 / 6
_COARSE_CANDIDATES, _COARSE_PAIRS = 64, 20


def find_drift_changes(device: Stamps, difference: Stamps) -> list[int]:
    """Find rows from which on a device's clock runs at another speed against the host's.

    Two lines that meet are fitted to the medians of a second each, at every
    place where they could meet; if the best are much better than one line,
    the place is a change, and both sides are looked at in the same way. Three
    lines are tried, too, since two changes can hide each other.

    Parameters
    ----------
    device : ndarray of int64, shape (n_samples,)
        Device stamps without resets, microseconds.
    difference : ndarray of int64, shape (n_samples,)
        Host minus device clock.

    Returns
    -------
    list of int
        Rows, ascending, to about a second; empty for less than 12 s.
    """
    first_rows, times, values = _blocks(device, difference)
    changes: list[int] = []
    waiting = [(0, len(times))]
    while waiting:
        start, stop = waiting.pop()
        places = [start + place for place in _hinges(times[start:stop], values[start:stop])]
        if places:
            changes += [int(first_rows[place]) for place in places]
            waiting += list(zip([start, *places], [*places, stop], strict=True))
    return sorted(changes)


def find_duplicates(device: Stamps, system: Stamps) -> list[int]:
    """Find rows with a stamp that was there before.

    Parameters
    ----------
    device, system : ndarray of int64, shape (n_samples,)
        Device stamps without resets, and the host's.

    Returns
    -------
    list of int
        Rows whose device stamp any earlier row has, or whose host stamp the row before has.
    """
    twice = np.zeros(len(device), dtype=bool)
    twice[1:] = system[1:] == system[:-1]
    if np.any(np.diff(device) <= 0):
        order = np.argsort(device, kind="stable")
        twice[order[1:][device[order][1:] == device[order][:-1]]] = True
    return [int(row) for row in np.flatnonzero(twice)]


def _blocks(device: Stamps, difference: Stamps) -> tuple[npt.NDArray[np.intp], Floats, Floats]:
    """Return the first row, the median time (s) and the median difference (us) of each second."""
    number = (device - device[0]) // _BLOCK_US
    edges = np.concatenate(([0], np.flatnonzero(np.diff(number)) + 1, [len(device)]))
    # One bad stamp may open a block of its own: blocks with few rows say little.
    sizes = np.diff(edges)
    kept = sizes >= max(1, int(np.median(sizes)) // 4)
    pairs = [(a, b) for a, b, keep in zip(edges[:-1], edges[1:], kept, strict=True) if keep]
    base = difference[0]
    times = np.array([float(np.median(device[a:b] - device[0])) for a, b in pairs]) / 1e6
    values = np.array([float(np.median(difference[a:b] - base)) for a, b in pairs])
    return np.array([a for a, _ in pairs], dtype=np.intp), times, values


def _hinges(times: Floats, values: Floats) -> list[int]:
    """Return the blocks, one or two, at which lines meet that are much better than one line; empty if none are."""
    places = range(_MIN_BLOCKS, len(times) - _MIN_BLOCKS + 1)
    if not places:
        return []
    line = np.column_stack([np.ones_like(times), times])
    fitted, squares = _fit(line, values)

    def bent(at: tuple[int, ...]) -> tuple[Floats, float]:
        return _fit(np.column_stack([line, *(np.maximum(0.0, times - times[place]) for place in at)]), values)

    def best(candidates: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
        return min(candidates, key=lambda at: bent(at)[1])

    step = max(1, len(places) // _COARSE_CANDIDATES)
    coarse = best((place,) for place in places[::step])
    one = best((place,) for place in _near(places, coarse[0], step))
    # Two changes that undo each other leave one hinge little to win.
    step = max(1, len(places) // _COARSE_PAIRS)
    pairs = [(a, b) for a in places[::step] for b in places[::step] if b - a >= _MIN_BLOCKS]
    found = [one]
    if pairs:
        a, b = best(pairs)
        found.append(best((x, y) for x in _near(places, a, step) for y in _near(places, b, step) if y > x))
    for at in found:
        curve, squares_left = bent(at)
        if squares_left <= _SHARE_LEFT * squares and float(np.abs(curve - fitted).max()) >= DRIFT_CHANGE_US:
            return list(at)
    return []


def _near(places: range, place: int, step: int) -> range:
    """Return the places around one that a coarse search found."""
    stride = max(1, step // 8)
    return range(max(places[0], place - step), min(places[-1], place + step) + 1, stride)


def _fit(terms: Floats, values: Floats) -> tuple[Floats, float]:
    """Return fitted values and the sum of squared residuals of a least-squares fit."""
    weights = np.linalg.lstsq(terms, values, rcond=None)[0]
    fitted: Floats = terms @ weights
    return fitted, float(((values - fitted) ** 2).sum())
