"""The planted world: what simulated participants feel, show and do with their eyes.

Everything here is invented so that a pipeline and a model can be tested against
a known truth. None of it is a claim about people. The sizes were chosen so that
the task can be learnt from one or two hundred clips of three to four seconds,
that the face alone fails where it is masked, and that neighbouring emotions are
confused now and then.
"""

from __future__ import annotations

from dataclasses import dataclass

from data_schema.vocabularies import EMOTIONS


@dataclass(frozen=True)
class EyeSignature:
    """How a felt emotion changes eye behaviour in the planted world.

    Parameters
    ----------
    fixation_factor, saccade_factor, dispersion_factor, blink_factor : float
        Multiply the participant's own fixation duration, saccade amplitude,
        spread of gaze and blink rate.
    vertical_bias_deg : float
        Shift of gaze, degrees, positive downwards.
    pupil_mm : float
        Change of the pupil beside what arousal does, millimetres.
    """

    fixation_factor: float
    saccade_factor: float
    dispersion_factor: float
    blink_factor: float
    vertical_bias_deg: float
    pupil_mm: float


#: Planted, not a claim about people: one signature a felt emotion.
EYE_SIGNATURES: dict[str, EyeSignature] = {
    "happiness": EyeSignature(0.85, 1.20, 1.15, 1.5, -0.6, 0.04),
    "sadness": EyeSignature(1.55, 0.75, 0.75, 0.9, 2.0, -0.08),
    "fear": EyeSignature(0.65, 1.50, 1.60, 0.5, -0.8, 0.10),
    "surprise": EyeSignature(1.15, 1.00, 0.70, 0.4, -2.0, 0.06),
    "disgust": EyeSignature(0.80, 0.90, 1.30, 2.2, 1.5, -0.06),
    "anger": EyeSignature(1.35, 0.90, 0.60, 0.9, 0.6, 0.02),
    "neutral": EyeSignature(1.00, 1.00, 1.00, 1.0, 0.0, 0.0),
}

#: Planted centre of each emotion: valence and arousal, -1 to 1. The order along
#: the circle follows Russell (1980), "A circumplex model of affect", J. Pers.
#: Soc. Psychol. 39; the numbers are ours.
CIRCUMPLEX: dict[str, tuple[float, float]] = {
    "happiness": (0.75, 0.35),
    "sadness": (-0.65, -0.45),
    "fear": (-0.60, 0.70),
    "surprise": (0.15, 0.65),
    "disgust": (-0.65, 0.25),
    "anger": (-0.70, 0.55),
    "neutral": (0.0, -0.10),
}

#: What is felt when the stimulus misses its target, first the likelier ones.
NEIGHBOURS: dict[str, tuple[str, ...]] = {
    "happiness": ("surprise", "neutral"),
    "sadness": ("neutral", "fear"),
    "fear": ("surprise", "disgust"),
    "surprise": ("happiness", "fear"),
    "disgust": ("anger", "fear"),
    "anger": ("disgust", "sadness"),
    "neutral": ("happiness", "sadness"),
}

#: What a masking face shows instead of the feeling, and how often. A mask equal
#: to the feeling is drawn again.
MASKS: dict[str, float] = {
    "neutral": 0.50,
    "happiness": 0.32,
    "surprise": 0.08,
    "sadness": 0.04,
    "disgust": 0.03,
    "anger": 0.03,
}

#: Pupil dilation per unit of arousal, millimetres. Planted; the size is that of
#: arousing pictures in Bradley et al. (2008), Psychophysiology 45, about 0.1 to 0.3 mm.
PUPIL_MM_PER_AROUSAL = 0.30

#: How often a stimulus induces the emotion that it is meant to induce.
INDUCTION_SHARE = 0.82

if set(EYE_SIGNATURES) != set(EMOTIONS) or set(CIRCUMPLEX) != set(EMOTIONS) or set(NEIGHBOURS) != set(EMOTIONS):
    raise RuntimeError("the planted world and the vocabulary of emotions differ")
