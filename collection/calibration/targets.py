"""Where the targets of calibration and validation are, and in which order they come.

Shares of the display area, x right, y down. The places of the 5-point calibration and of the 4-point validation are
Titta's defaults (Niehorster, Andersson and Nyström 2020, Behavior Research Methods 52; github.com/dcnieho/Titta,
``getDefaults``): calibration reaches out to a tenth of the screen from its edges, since a tracker interpolates better
than it extrapolates, and the corners bind it most; a validation target never stands where a calibration target did,
since a mapping fits its own support points better than what lies between them. The other layouts follow from these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Target = tuple[float, float]

CENTRE: Target = (0.5, 0.5)
_CORNERS: tuple[Target, ...] = ((0.1, 0.1), (0.9, 0.1), (0.1, 0.9), (0.9, 0.9))
_EDGES: tuple[Target, ...] = ((0.5, 0.1), (0.1, 0.5), (0.9, 0.5), (0.5, 0.9))
#: Half way between centre and corners: what 13 points add to 9, as SR Research's HV13 does (EyeLink II manual, 2.12,
#: p. 43, "if a large calibration region is involved").
_INNER: tuple[Target, ...] = ((0.3, 0.3), (0.7, 0.3), (0.3, 0.7), (0.7, 0.7))

CALIBRATION_LAYOUTS: dict[int, tuple[Target, ...]] = {
    0: (),
    1: (CENTRE,),
    5: (CENTRE, *_CORNERS),
    9: (CENTRE, *_CORNERS, *_EDGES),
    13: (CENTRE, *_CORNERS, *_EDGES, *_INNER),
}

_CROSS: tuple[Target, ...] = ((0.5, 0.2), (0.2, 0.5), (0.8, 0.5), (0.5, 0.8))
#: Off both diagonals and both axes, so that they meet no target of any calibration; ours.
_OBLIQUE: tuple[Target, ...] = ((0.25, 0.2), (0.75, 0.2), (0.25, 0.8), (0.75, 0.8))

#: One target that no calibration has, near the centre where clips are looked at most; five are the cross and that one.
_NEAR_CENTRE: Target = (0.4, 0.6)
VALIDATION_LAYOUTS: dict[int, tuple[Target, ...]] = {
    0: (),
    1: (_NEAR_CENTRE,),
    4: _CROSS,
    5: (_NEAR_CENTRE, *_CROSS),
    8: (*_CROSS, *_OBLIQUE),
}
#: A quick re-check shows at most this many targets; ours.
MAX_RECHECK_TARGETS = 2


def calibration_targets(n_points: int, rng: np.random.Generator) -> tuple[Target, ...]:
    """Return the targets of a calibration in the order in which they are shown: the centre first, then at random.

    A random order keeps people from looking ahead (EyeLink II manual, 2.12, p. 44). The first target's samples are
    typically among the poorest (EyeLink Portable Duo manual, "Repeat First Target"), and the centre, where the eyes
    rest already and which the other targets surround, can bear that best.

    Raises
    ------
    ValueError
        If there is no layout of so many points.
    """
    layout = _layout(CALIBRATION_LAYOUTS, n_points, "calibration")
    others = [target for target in layout if target != CENTRE]
    return (*layout[:1], *(others[i] for i in rng.permutation(len(others))))


def validation_targets(n_points: int, rng: np.random.Generator) -> tuple[Target, ...]:
    """Return the targets of a validation in random order.

    Raises
    ------
    ValueError
        If there is no layout of so many points.
    """
    layout = _layout(VALIDATION_LAYOUTS, n_points, "validation")
    return tuple(layout[i] for i in rng.permutation(len(layout)))


def recheck_targets(validated: Sequence[Target], rng: np.random.Generator) -> tuple[Target, ...]:
    """Return the targets of a quick re-check in random order.

    Two targets of the validation that was accepted, the two that lie farthest apart, so that a shift shows against
    it target by target; the centre alone where there was none.
    """
    distinct = list(dict.fromkeys(validated))
    if not distinct:
        return (CENTRE,)
    if len(distinct) <= MAX_RECHECK_TARGETS:
        chosen = distinct
    else:
        pairs = [(math.dist(a, b), i, j) for i, a in enumerate(distinct) for j, b in enumerate(distinct[:i])]
        _, i, j = max(pairs)
        chosen = [distinct[j], distinct[i]]
    return tuple(chosen[i] for i in rng.permutation(len(chosen)))


def nearest_target(target: Target, among: Sequence[Target]) -> Target:
    """Return the one of `among` that lies nearest to `target`."""
    return min(among, key=lambda other: math.dist(target, other))


def _layout(layouts: dict[int, tuple[Target, ...]], n_points: int, what: str) -> tuple[Target, ...]:
    if n_points not in layouts:
        known = ", ".join(map(str, layouts))
        raise ValueError(f"there is no {what} with {n_points} points; there are: {known}")
    return layouts[n_points]
