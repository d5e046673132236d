"""Facial actions as displacement and shading of one photograph.

Each action moves a few places of the face by a few pixels, with a Gaussian
falloff. Numbers are those of the Facial Action Coding System (Ekman and Friesen
1978); the combinations are the prototypes of EMFACS (Friesen and Ekman 1983).
Places and sizes were measured on ``assets/eileen_collins.jpg`` and chosen by eye.
The result is a picture that is plainly an expression to a classifier and to a
viewer. It is no model of how faces move.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_schema.vocabularies import EMOTIONS

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Push:
    """Move what lies around (x, y) by (dx, dy); pixels of the photograph, y down."""

    x: float
    y: float
    dx: float
    dy: float
    spread_x: float
    spread_y: float


@dataclass(frozen=True)
class Shade:
    """Multiply the brightness around (x, y) by exp(log_gain) at full strength."""

    x: float
    y: float
    log_gain: float
    spread_x: float
    spread_y: float


#: Part of the photograph that moves: x0, y0, x1, y1.
REGION = (156, 56, 296, 204)

#: Action 43 is a closed eye.
ACTIONS: dict[str, tuple[Push | Shade, ...]] = {
    "AU1": (Push(212, 90, 0, -6, 7, 5.5), Push(238, 91, 0, -6, 7, 5.5), Shade(225, 83, -0.12, 12, 2)),
    "AU2": (Push(194, 89, 0, -6, 8, 5.5), Push(259, 92, 0, -6, 8, 5.5)),
    "AU4": (
        Push(211, 92, 3, 6, 7, 7),
        Push(239, 93, -3, 6, 7, 7),
        Push(199, 89, 1, 4, 8, 7),
        Push(251, 92, -1, 4, 8, 7),
        Shade(221, 93, -0.35, 1.5, 6),
        Shade(229, 93, -0.35, 1.5, 6),
    ),
    "AU5": (
        Push(203, 96, 0, -2.4, 9, 5),
        Push(246, 98, 0, -2.4, 9, 5),
        Push(203, 106, 0, 1.0, 8, 4),
        Push(246, 108, 0, 1.0, 8, 4),
    ),
    "AU6": (
        Push(199, 124, 0, -5, 12, 9),
        Push(252, 125, 0, -5, 12, 9),
        Push(203, 107, 0, -3, 9, 4),
        Push(246, 109, 0, -3, 9, 4),
        Shade(190, 105, -0.2, 4, 2),
        Shade(260, 107, -0.2, 4, 2),
    ),
    "AU7": (
        Push(203, 106, 0, -2.5, 9, 4),
        Push(246, 108, 0, -2.5, 9, 4),
        Push(203, 96, 0, 2.0, 9, 4),
        Push(246, 98, 0, 2.0, 9, 4),
    ),
    "AU9": (
        Push(213, 121, 0, -5, 8, 9),
        Push(235, 121, 0, -5, 8, 9),
        Push(224, 136, 0, -4, 14, 6),
        Shade(224, 103, -0.3, 7, 1.5),
        Shade(224, 108, -0.2, 6, 1.5),
        Shade(208, 128, -0.25, 2.5, 6),
        Shade(241, 128, -0.25, 2.5, 6),
    ),
    "AU10": (Push(215, 139, 0, -5, 9, 5), Push(233, 139, 0, -5, 9, 5)),
    "AU12": (
        Push(204, 140, -6, -6, 9, 8),
        Push(246, 139, 6, -6, 9, 8),
        Shade(196, 133, -0.15, 2.5, 6),
        Shade(252, 132, -0.15, 2.5, 6),
    ),
    "AU15": (
        Push(205, 141, 1, 9, 9, 8),
        Push(245, 140, -1, 9, 9, 8),
        Shade(203, 152, -0.2, 2.5, 4),
        Shade(247, 151, -0.2, 2.5, 4),
    ),
    "AU16": (Push(224, 153, 0, 5, 13, 5),),
    "AU17": (Push(224, 160, 0, -5, 14, 6), Shade(224, 158, -0.25, 10, 2)),
    "AU20": (Push(205, 141, -7, 2, 9, 8), Push(245, 140, 7, 2, 9, 8)),
    "AU23": (
        Push(206, 141, 6, 0, 9, 7),
        Push(244, 140, -6, 0, 9, 7),
        Push(224, 152, 0, -4, 14, 4),
        Push(224, 139, 0, 1.5, 14, 4),
    ),
    "AU25": (Push(224, 152, 0, 4, 16, 5),),
    "AU26": (Push(224, 164, 0, 14, 26, 15), Shade(224, 155.5, -1.7, 9, 3.5)),
    "AU43": (
        Push(203, 98, 0, 6, 9, 5),
        Push(246, 100, 0, 6, 9, 5),
        Shade(203, 103, -0.35, 8, 3),
        Shade(246, 105, -0.35, 8, 3),
    ),
}

#: The photograph smiles. This takes the smile out of it.
RESTING: dict[str, float] = {"AU6": -0.35, "AU12": -0.85, "AU25": -1.3, "AU10": -0.5}

#: Strength of each action at intensity 3.
EXPRESSIONS: dict[str, dict[str, float]] = {
    "happiness": {"AU6": 1.1, "AU12": 1.25, "AU25": 1.5, "AU10": 0.6},
    "sadness": {"AU1": 1.0, "AU4": 0.5, "AU15": 1.1, "AU17": 0.7},
    "fear": {"AU1": 1.0, "AU2": 0.7, "AU4": 0.5, "AU5": 1.3, "AU20": 1.2, "AU25": 1.2, "AU26": 0.25},
    "surprise": {"AU1": 1.1, "AU2": 1.1, "AU5": 1.0, "AU26": 1.1, "AU23": 0.5},
    "disgust": {"AU4": 0.4, "AU7": 0.6, "AU9": 1.2, "AU10": 1.3, "AU15": 0.6, "AU16": 0.5},
    "anger": {"AU4": 1.4, "AU5": 0.4, "AU7": 0.9, "AU23": 1.2, "AU17": 0.4},
    "neutral": {},
}

if set(EXPRESSIONS) != set(EMOTIONS):
    raise RuntimeError("the expressions of the simulated face and the vocabulary of emotions differ")

ACTION_NAMES: tuple[str, ...] = tuple(ACTIONS)


def action_basis() -> tuple[FloatArray, FloatArray]:
    """Compute what each action does at full strength, over :data:`REGION`.

    Returns
    -------
    displacement : ndarray of float32, shape (n_actions, height, width, 2)
        Pixels that the picture moves, right and down.
    log_gain : ndarray of float32, shape (n_actions, height, width)
        Logarithm of the brightness factor.
    """
    x0, y0, x1, y1 = REGION
    y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
    displacement = np.zeros((len(ACTIONS), y1 - y0, x1 - x0, 2), dtype=np.float32)
    log_gain = np.zeros((len(ACTIONS), y1 - y0, x1 - x0), dtype=np.float32)
    # The border of the region stands still, so that it joins the rest of the picture.
    edge = np.minimum.reduce([x - x0, x1 - 1 - x, y - y0, y1 - 1 - y])
    hold = np.clip(edge / 12.0, 0.0, 1.0)
    for k, parts in enumerate(ACTIONS.values()):
        for part in parts:
            weight = np.exp(-0.5 * (((x - part.x) / part.spread_x) ** 2 + ((y - part.y) / part.spread_y) ** 2))
            if isinstance(part, Push):
                displacement[k] += (weight * hold)[..., None] * np.array([part.dx, part.dy], dtype=np.float32)
            else:
                log_gain[k] += weight * part.log_gain
    return displacement, log_gain


def action_weights(strengths: dict[str, float], gains: dict[str, float], eyes_closed: float = 0.0) -> FloatArray:
    """Mix expressions into strengths of actions.

    Parameters
    ----------
    strengths : dict of str to float
        Intensity of each emotion's expression, 0 to 3.
    gains : dict of str to float
        How strongly each action moves on this face; 1 where it is not named.
    eyes_closed : float
        0 open to 1 closed.

    Returns
    -------
    ndarray of float32, shape (n_actions,)
    """
    mixed = dict.fromkeys(ACTION_NAMES, 0.0)
    mixed.update(RESTING)
    for emotion, intensity in strengths.items():
        for action, strength in EXPRESSIONS[emotion].items():
            mixed[action] += strength * gains.get(action, 1.0) * intensity / 3.0
    mixed["AU43"] += eyes_closed
    return np.array([mixed[name] for name in ACTION_NAMES], dtype=np.float32)
