"""How eyes and face of the planted world go through a clip.

What is felt shows in the eyes in two ways: in how they look on the whole (the signatures of
:mod:`collection.simulation.planted`, weakened), and in when they do it: each emotion's pupil has a shape over the
quarters of a clip, and its way of looking builds up or fades. Shapes sum to zero over the quarters, so that a mean over
the clip does not see them. The face shows an expression in which another one is mixed.

All numbers are ours. They were chosen once, with logistic regressions on exported summaries (``docs/planted.md``).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from collection.devices.base import PlantedReaction
from collection.simulation.participant import EyeBehaviour, SimulatedParticipant, SimulationConfig
from collection.simulation.planted import CIRCUMPLEX, EYE_SIGNATURES, PUPIL_MM_PER_AROUSAL
from data_schema.vocabularies import EMOTIONS

#: Change of the pupil in each quarter of a clip beside what arousal does, millimetres.
PUPIL_SHAPES_MM: dict[str, tuple[float, float, float, float]] = {
    "happiness": (-0.04, 0.06, 0.04, -0.06),
    "sadness": (-0.02, -0.08, -0.02, 0.12),
    "fear": (0.14, 0.02, -0.06, -0.10),
    "surprise": (0.06, 0.10, -0.08, -0.08),
    "disgust": (-0.08, 0.02, 0.10, -0.04),
    "anger": (-0.10, -0.06, 0.04, 0.12),
    "neutral": (0.0, 0.0, 0.0, 0.0),
}
#: How much of an emotion's way of looking there is in each quarter; the mean is 1.
BUILD_UPS: dict[str, tuple[float, float, float, float]] = {
    "happiness": (0.7, 1.2, 1.2, 0.9),
    "sadness": (0.4, 0.8, 1.2, 1.6),
    "fear": (1.8, 1.2, 0.6, 0.4),
    "surprise": (1.6, 1.4, 0.6, 0.4),
    "disgust": (0.8, 1.4, 1.2, 0.6),
    "anger": (0.4, 0.7, 1.2, 1.7),
    "neutral": (1.0, 1.0, 1.0, 1.0),
}
#: Of the rehearsed world's signatures, which were made for a few clips of few people, so much is left.
SIGNATURE_STRENGTH = 0.65
#: Of what arousal does to the pupil, so much is there in each quarter: it builds up after the onset.
_AROUSAL_BUILD_UP = (0.6, 1.0, 1.2, 1.2)
#: Standard deviations of a clip's own noise: logarithms of factors, millimetres, degrees.
CLIP_NOISE = {
    "fixation": 0.20,
    "saccade": 0.18,
    "dispersion": 0.22,
    "blink": 0.35,
    "vertical_deg": 0.9,
    "pupil_mm": 0.08,
}
#: The same for each quarter of a clip.
QUARTER_NOISE = {"fixation": 0.10, "pupil_mm": 0.06}
#: Another expression is mixed into the shown one, at up to this share of its intensity (in the mean half of it).
MIXTURE = 0.6


class PlantedParticipant(SimulatedParticipant):
    """A participant of a planted world.

    Parameters
    ----------
    seed : int
    code : str
    config : SimulationConfig
    clip_s : float
        Length of the clips: a course covers one.
    """

    def __init__(self, seed: int, code: str, config: SimulationConfig, clip_s: float) -> None:
        super().__init__(seed, code, config)
        self.clip_s = clip_s
        # A camera asks for each frame.
        self._expressions = lru_cache(maxsize=64)(self._draw_expression)

    def eye_course(self, reaction: PlantedReaction) -> tuple[tuple[float, EyeBehaviour], ...]:
        """Return the eye behaviour of each quarter of a clip; of rest, what it is from its begin on."""
        if reaction.trial_id == 0:
            return ((0.0, self.eye_behaviour(reaction)),)
        rng = self.rng("eye course", reaction.trial_id)
        clip = rng.standard_normal(6) * self.config.noise
        quarters = rng.standard_normal((4, 2)) * self.config.noise
        return tuple(
            (quarter * self.clip_s / 4, self._behaviour(reaction, quarter, clip, quarters[quarter]))
            for quarter in range(4)
        )

    def _behaviour(self, reaction: PlantedReaction, quarter: int, clip: np.ndarray, own: np.ndarray) -> EyeBehaviour:
        """Return the behaviour of one quarter; `clip` (6,) and `own` (2,) are standard normal noise."""
        traits, felt, noise = self.traits, reaction.felt_emotion, CLIP_NOISE
        signature = EYE_SIGNATURES[felt]
        strength = SIGNATURE_STRENGTH * BUILD_UPS[felt][quarter]
        arousal = reaction.arousal - CIRCUMPLEX["neutral"][1]
        pupil_mm = PUPIL_MM_PER_AROUSAL * arousal * _AROUSAL_BUILD_UP[quarter]
        pupil_mm += strength * signature.pupil_mm + PUPIL_SHAPES_MM[felt][quarter]
        pupil_noise_mm = noise["pupil_mm"] * clip[0] + QUARTER_NOISE["pupil_mm"] * own[0]
        fixation = noise["fixation"] * clip[1] + QUARTER_NOISE["fixation"] * own[1]
        return EyeBehaviour(
            pupil_change_mm=float(traits.pupil_gain * pupil_mm + pupil_noise_mm),
            fixation_s=float(traits.fixation_s * signature.fixation_factor**strength * np.exp(fixation)),
            saccade_deg=float(
                traits.saccade_deg * signature.saccade_factor**strength * np.exp(noise["saccade"] * clip[2])
            ),
            dispersion_deg=float(
                traits.dispersion_deg * signature.dispersion_factor**strength * np.exp(noise["dispersion"] * clip[3])
            ),
            blink_rate_hz=float(
                traits.blink_rate_hz * signature.blink_factor**strength * np.exp(noise["blink"] * clip[4])
            ),
            vertical_bias_deg=float(strength * signature.vertical_bias_deg + noise["vertical_deg"] * clip[5]),
        )

    def expression(self, reaction: PlantedReaction) -> dict[str, float]:
        """Return the shown expression with another one mixed in."""
        return self._expressions(reaction)

    def _draw_expression(self, reaction: PlantedReaction) -> dict[str, float]:
        """Draw what is mixed in; always the same of a trial."""
        if reaction.trial_id == 0:
            return {reaction.shown_emotion: reaction.intensity}
        rng = self.rng("expression", reaction.trial_id)
        others = [emotion for emotion in EMOTIONS if emotion not in (reaction.shown_emotion, "neutral")]
        other = others[int(rng.integers(len(others)))]
        share = MIXTURE * self.config.noise * float(rng.random())
        # A neutral face is not free of them either: its mixture is measured against a weak expression.
        base = max(reaction.intensity, 1.0)
        return {reaction.shown_emotion: reaction.intensity, other: min(base * share, 3.0)}
