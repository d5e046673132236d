"""Simulated raters: what an imperfect person would say of a planted emotion.

A rater is right with a probability (competence); when wrong, they mostly choose
an emotion that people confuse with the right one. On the continuous scales they
have a constant bias and noise. They leave a few clips out and skip a few.

Every number here is chosen by us to give labels of a plausible spread; none is a
result about people. All draws of one clip come from a generator of its own,
seeded by study seed, rater, task and clip, so that a clip more or less, or
another order, changes no other label.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from data_schema.labels.label import Label
from data_schema.vocabularies import AROUSAL, INTENSITY, SUGGESTED_POLARITY, TASKS, VALENCE, Scale

#: Emotions that people take for the first one, likeliest first. After the confusions
#: of Du and Martinez (2011), "The resolution of facial expressions of emotion",
#: Journal of Vision 11(13):24: fear is taken for surprise, anger and disgust for each
#: other; the weaker ones are chosen by us.
NEIGHBOURS: dict[str, tuple[str, ...]] = {
    "happiness": ("surprise", "neutral"),
    "sadness": ("neutral", "disgust", "fear"),
    "fear": ("surprise", "sadness", "disgust"),
    "surprise": ("fear", "happiness", "neutral"),
    "disgust": ("anger", "sadness"),
    "anger": ("disgust", "neutral"),
    "neutral": ("sadness", "happiness", "surprise"),
}
#: Share of wrong answers that are a neighbour; the rest is any other emotion.
NEIGHBOUR_SHARE = 0.85
#: Raters move their marks in these steps.
SCALE_STEP = {"valence": 0.05, "arousal": 0.05, "intensity": 0.5}
#: Valence nearer to 0 than this is called neutral where an emotion suggests no polarity.
NEUTRAL_VALENCE = 0.15
#: Simulated raters see no picture: they are told the planted truth.
SIMULATED_VIEW = "planted"
#: Raised when the same seed would give other labels; stored beside the seed.
RATER_VERSION = 1


def rater_id(number: int) -> str:
    """Return the id of simulated annotator `number`, from 1."""
    return f"sim-{number:02d}"


def rater_details(rater: SimulatedRater) -> dict[str, str]:
    """Return what a simulated annotator's label file says of how it was made, as ``LabelStore.open`` takes it."""
    made = {"seed": rater.seed, "model_version": RATER_VERSION} | ({} if rater.noise == 1.0 else {"noise": rater.noise})
    return {"simulation": json.dumps(made, sort_keys=True)}


@dataclass(frozen=True)
class PlantedTruth:
    """What was planted for one clip, as one task asks for it: felt for ER, shown for FER."""

    emotion: str
    valence: float
    arousal: float
    intensity: float


@dataclass(frozen=True)
class SimulatedRater:
    """One simulated annotator.

    Parameters
    ----------
    annotator_id : str
        Such as ``sim-01``.
    seed : int
        Seed of everything that this rater says.
    er_competence, fer_competence : float
        Probability of naming the planted emotion.
    valence_bias, arousal_bias, intensity_bias : float
        Added to each mark.
    scale_noise : float
        Standard deviation of a mark, in units of the valence scale.
    polarity_agreement : float
        Probability of following the emotion's suggested polarity.
    missing_share, skip_share : float
        Shares of clips never opened, and opened but not decided.
    typical_duration_s : float
        Median time for a clip.
    noise : float
        By which errors, biases, noise and gaps were multiplied.
    """

    annotator_id: str
    seed: int
    er_competence: float
    fer_competence: float
    valence_bias: float
    arousal_bias: float
    intensity_bias: float
    scale_noise: float = 0.12
    polarity_agreement: float = 0.92
    missing_share: float = 0.03
    skip_share: float = 0.01
    typical_duration_s: float = 8.0
    noise: float = 1.0

    @classmethod
    def draw(cls, annotator_id: str, seed: int, noise: float = 1.0) -> SimulatedRater:
        """Draw a rater's traits from the seed and their name.

        Parameters
        ----------
        annotator_id : str
        seed : int
        noise : float
            Multiplies errors, biases, noise and gaps; a rater of noise 0 says of every clip what was planted.
        """
        rng = np.random.default_rng([seed, zlib.crc32(annotator_id.encode())])
        # What is felt is harder to see than what is shown.
        fer_competence = float(rng.uniform(0.86, 0.95))
        drawn = cls(
            annotator_id=annotator_id,
            seed=seed,
            er_competence=fer_competence - float(rng.uniform(0.02, 0.06)),
            fer_competence=fer_competence,
            valence_bias=float(rng.normal(0, 0.06)),
            arousal_bias=float(rng.normal(0, 0.06)),
            intensity_bias=float(rng.normal(0, 0.15)),
            scale_noise=float(rng.uniform(0.08, 0.16)),
            polarity_agreement=float(rng.uniform(0.88, 0.97)),
            missing_share=float(rng.uniform(0.0, 0.05)),
            skip_share=float(rng.uniform(0.0, 0.02)),
            typical_duration_s=float(rng.uniform(5.0, 12.0)),
        )
        return drawn if noise == 1.0 else drawn.scaled(noise)

    def scaled(self, noise: float) -> SimulatedRater:
        """Return the same rater with errors, biases, noise and gaps multiplied by `noise`, shares cut to 0 to 1."""
        return replace(
            self,
            er_competence=max(0.0, 1.0 - noise * (1.0 - self.er_competence)),
            fer_competence=max(0.0, 1.0 - noise * (1.0 - self.fer_competence)),
            valence_bias=noise * self.valence_bias,
            arousal_bias=noise * self.arousal_bias,
            intensity_bias=noise * self.intensity_bias,
            scale_noise=noise * self.scale_noise,
            polarity_agreement=max(0.0, 1.0 - noise * (1.0 - self.polarity_agreement)),
            missing_share=min(1.0, noise * self.missing_share),
            skip_share=min(1.0, noise * self.skip_share),
            noise=noise,
        )

    def judge(
        self,
        clip_id: str,
        clip_sha256: str,
        task: str,
        truth: PlantedTruth,
        *,
        emotions: Sequence[str],
        has_face: bool = True,
        repetition: int = 0,
        may_leave_out: bool = True,
    ) -> Label | None:
        """Return what the rater says of one clip.

        Parameters
        ----------
        clip_id, clip_sha256 : str
            The clip.
        task : {'er', 'fer'}
            Which judgement.
        truth : PlantedTruth
            What was planted.
        emotions : sequence of str
            Emotions that the study offers.
        has_face : bool
            False if no frame of the clip shows a face: an FER rater skips it.
        repetition : int
            0 for the first showing; a repeat is judged anew, with noise of its own.
        may_leave_out : bool
            False for clips that have to be judged before the queue goes on: training and admission.

        Returns
        -------
        Label or None
            None if the rater never opened the clip.
        """
        seeds = [self.seed, zlib.crc32(self.annotator_id.encode()), TASKS.index(task), zlib.crc32(clip_id.encode())]
        # The first showing keeps the noise that it had before there were repeats.
        rng = np.random.default_rng([*seeds, repetition] if repetition else seeds)
        opened, decided = rng.random(2) >= (self.missing_share, self.skip_share)
        emotion = self._emotion(task, truth.emotion, emotions, rng)
        marks = rng.normal(0.0, self.scale_noise, size=3)
        duration_ms = int(1000 * self.typical_duration_s * rng.lognormal(0.0, 0.4))
        follows = bool(rng.random() < self.polarity_agreement)
        if may_leave_out and not opened:
            return None
        common: dict[str, Any] = {
            "clip_id": clip_id,
            "clip_sha256": clip_sha256,
            "task": task,
            "view": SIMULATED_VIEW,
            "repetition": repetition,
            "duration_ms": duration_ms,
        }
        if task == "fer" and not has_face:
            return Label(**common, skip_reason="no_face")
        if not decided:
            return Label(**common, skip_reason="cannot_decide")
        valence = _mark(VALENCE, truth.valence + self.valence_bias + marks[0])
        arousal = _mark(AROUSAL, truth.arousal + self.arousal_bias + marks[1])
        intensity = None
        if task == "fer":
            # The intensity scale is 1.5 times as long as the valence scale.
            intensity = _mark(INTENSITY, truth.intensity + self.intensity_bias + 1.5 * marks[2])
        polarity = SUGGESTED_POLARITY[emotion] if follows else None
        return Label(
            **common,
            emotion=emotion,
            polarity=polarity or _polarity_of(valence),
            valence=valence,
            arousal=arousal,
            intensity=intensity,
        )

    def _emotion(self, task: str, planted: str, emotions: Sequence[str], rng: np.random.Generator) -> str:
        competence = self.er_competence if task == "er" else self.fer_competence
        is_right, is_neighbour = rng.random(2) < (competence, NEIGHBOUR_SHARE)
        pick = rng.random()
        neighbours = [word for word in NEIGHBOURS[planted] if word in emotions]
        others = [word for word in emotions if word != planted]
        if is_right and planted in emotions:
            return planted
        if neighbours and (is_neighbour or planted not in emotions):
            # The first neighbour is twice as likely as the next, and so on.
            weights = np.cumsum(0.5 ** np.arange(len(neighbours)))
            return neighbours[int(np.searchsorted(weights, pick * weights[-1], side="right"))]
        return others[int(pick * len(others))]


def _mark(scale: Scale, value: float) -> float:
    """Put a mark on the scale, on its step."""
    step = SCALE_STEP[scale.name]
    return min(max(round(round(value / step) * step, 2), scale.low), scale.high)


def _polarity_of(valence: float) -> str:
    if abs(valence) < NEUTRAL_VALENCE:
        return "neutral"
    return "positive" if valence > 0 else "negative"
