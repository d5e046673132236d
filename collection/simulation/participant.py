"""A simulated participant: subject effects, planted trials, eye behaviour, self-report.

A participant is a function of a seed and a code. What is planted for a trial
depends on nothing but these and the trial's number, so a resumed session
plants what an uninterrupted one would have.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from collection.devices.base import PlantedReaction
from collection.simulation.planted import (
    CIRCUMPLEX,
    EYE_SIGNATURES,
    INDUCTION_SHARE,
    MASKS,
    NEIGHBOURS,
    PUPIL_MM_PER_AROUSAL,
)
from data_schema.session.layout import PLANTED
from data_schema.vocabularies import EMOTIONS, SAM_POINTS


class SimulationConfig(Protocol):
    """What is read of the section [simulation] of ``study.toml``."""

    @property
    def masking_share(self) -> float:
        """Share of trials in which the face hides the feeling."""
        ...

    @property
    def subject_effect(self) -> float:
        """Size of the differences between participants; 1 is the default world."""
        ...

    @property
    def noise(self) -> float:
        """Size of the noise in eye behaviour and face; 1 is the default world."""
        ...

    @property
    def blink_rate_hz(self) -> float:
        """Blinks per second at rest."""
        ...

    @property
    def loss_share(self) -> float:
        """Share of samples lost outside blinks."""
        ...


@dataclass(frozen=True)
class DefaultSimulation:
    """The default planted world, for callers that have no study."""

    masking_share: float = 0.386
    subject_effect: float = 1.0
    noise: float = 1.0
    blink_rate_hz: float = 0.25
    loss_share: float = 0.01


@dataclass(frozen=True)
class Traits:
    """What makes one participant differ from the next.

    Parameters
    ----------
    pupil_mm : float
        Pupil diameter at rest.
    pupil_gain, expressivity : float
        Multiply the pupil's response and the face's intensity.
    fixation_s, saccade_deg, dispersion_deg, blink_rate_hz : float
        Median fixation duration, median saccade amplitude, spread of gaze
        (standard deviation around the point of interest), blinks per second.
    gaze_bias_deg : tuple of float
        Constant offset of gaze, right and down.
    masking : float
        Probability that the face hides the feeling.
    valence_shift, arousal_shift : float
        How this participant uses the scales.
    precision_deg : float
        Standard deviation of the tracker's noise on these eyes.
    loss_share : float
        Share of samples lost outside blinks.
    """

    pupil_mm: float
    pupil_gain: float
    expressivity: float
    fixation_s: float
    saccade_deg: float
    dispersion_deg: float
    blink_rate_hz: float
    gaze_bias_deg: tuple[float, float]
    masking: float
    valence_shift: float
    arousal_shift: float
    precision_deg: float
    loss_share: float


@dataclass(frozen=True)
class Appearance:
    """How the simulated face differs from the photograph.

    Parameters
    ----------
    mirrored : bool
        Left and right swapped.
    hue_shift_deg, saturation, brightness : float
        Colour of the picture; saturation and brightness multiply.
    scale : float
        Size of the head.
    action_gains : dict of str to float
        How strongly each facial action moves on this face.
    """

    mirrored: bool
    hue_shift_deg: float
    saturation: float
    brightness: float
    scale: float
    action_gains: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class EyeBehaviour:
    """What the eyes do while one feeling lasts; units as in the names."""

    pupil_change_mm: float
    fixation_s: float
    saccade_deg: float
    dispersion_deg: float
    blink_rate_hz: float
    vertical_bias_deg: float


@dataclass(frozen=True)
class PlantedTrial:
    """The truth about one simulated trial; field meanings as in ``/simulation/planted``."""

    trial_id: int
    felt: str
    shown: str
    masked: bool
    valence: float
    arousal: float
    shown_valence: float
    shown_arousal: float
    intensity: float

    def reaction(self, t_us: int) -> PlantedReaction:
        """Return what the devices need to know, from host time `t_us` on."""
        return PlantedReaction(
            t_us,
            self.trial_id,
            self.felt,
            self.shown,
            self.valence,
            self.arousal,
            self.shown_valence,
            self.shown_arousal,
            self.intensity,
        )

    def row(self) -> npt.NDArray[np.void]:
        """Return the row of ``/simulation/planted``, shape (1,)."""
        row = PLANTED.empty(1)
        row["trial_id"] = self.trial_id
        row["felt_emotion"] = self.felt.encode()
        row["shown_emotion"] = self.shown.encode()
        row["masked"] = self.masked
        for name in ("valence", "arousal", "shown_valence", "shown_arousal", "intensity"):
            row[name] = getattr(self, name)
        return row


@dataclass(frozen=True)
class SelfReport:
    """What the simulated participant answers after a clip.

    Parameters
    ----------
    emotions : dict of str to int
        Intensity of each emotion, 0 to 4.
    valence_sam, arousal_sam : int
        1 to 9.
    familiarity : int
        1 (never seen) to 5.
    attention : bool
        True if the attention check was passed.
    """

    emotions: dict[str, int]
    valence_sam: int
    arousal_sam: int
    familiarity: int
    attention: bool


class SimulatedParticipant:
    """A participant made from a seed and a code.

    Parameters
    ----------
    seed : int
        Seed of the simulation.
    code : str
        Participant code, such as 'P001'.
    config : SimulationConfig, optional
        Section [simulation] of the study.
    """

    def __init__(self, seed: int, code: str, config: SimulationConfig | None = None) -> None:
        self.seed = seed
        self.code = code
        self.config: SimulationConfig = config if config is not None else DefaultSimulation()
        self.traits = self._draw_traits()
        self.appearance = self._draw_appearance()

    def rng(self, *purpose: int | str) -> np.random.Generator:
        """Return a generator for one purpose, the same whenever it is asked for; practice trials are negative."""
        keys = [zlib.crc32(part.encode()) if isinstance(part, str) else part % 2**32 for part in purpose]
        return np.random.default_rng(np.random.SeedSequence([self.seed, zlib.crc32(self.code.encode()), *keys]))

    def _draw_traits(self) -> Traits:
        rng = self.rng("traits")
        effect = self.config.subject_effect
        z = rng.standard_normal(13) * effect
        share = self.config.masking_share
        masking = share
        if effect > 0 and 0 < share < 1:
            # A beta distribution keeps the mean over participants at masking_share.
            concentration = 12.0 / effect**2
            masking = float(rng.beta(share * concentration, (1 - share) * concentration))
        return Traits(
            pupil_mm=float(np.clip(3.6 + 0.45 * z[0], 2.2, 6.0)),
            pupil_gain=float(np.exp(0.15 * z[1])),
            expressivity=float(np.exp(0.22 * z[2])),
            fixation_s=float(0.28 * np.exp(0.15 * z[3])),
            saccade_deg=float(4.0 * np.exp(0.15 * z[4])),
            dispersion_deg=float(3.0 * np.exp(0.15 * z[5])),
            blink_rate_hz=float(self.config.blink_rate_hz * np.exp(0.35 * z[6])),
            gaze_bias_deg=(float(0.5 * z[7]), float(0.7 * z[8])),
            masking=masking,
            valence_shift=float(0.08 * z[9]),
            arousal_shift=float(0.08 * z[10]),
            precision_deg=float(0.05 * np.exp(0.25 * z[11])),
            loss_share=float(min(0.9, self.config.loss_share * np.exp(0.4 * z[12]))),
        )

    def _draw_appearance(self) -> Appearance:
        rng = self.rng("appearance")
        effect = self.config.subject_effect
        z = np.clip(rng.standard_normal(4), -2, 2) * effect
        mirrored = bool(rng.random() < 0.5) and effect > 0
        gains = np.exp(0.15 * effect * rng.standard_normal(len(_ACTION_UNITS)))
        return Appearance(
            mirrored=mirrored,
            hue_shift_deg=float(4.0 * z[0]),
            saturation=float(np.exp(0.12 * z[1])),
            brightness=float(np.exp(0.06 * z[2])),
            scale=float(np.exp(0.05 * z[3])),
            action_gains={f"AU{number}": float(gain) for number, gain in zip(_ACTION_UNITS, gains, strict=True)},
        )

    def react_to(self, trial_id: int, target_emotion: str, felt: str | None = None) -> PlantedTrial:
        """Decide what is felt and shown in a trial.

        Parameters
        ----------
        trial_id : int
            Number of the trial.
        target_emotion : str
            Emotion that the stimulus is meant to induce.
        felt : str, optional
            What is felt, where that is decided already; drawn otherwise.

        Returns
        -------
        PlantedTrial

        Raises
        ------
        ValueError
            If an emotion is not one of the vocabulary.
        """
        for word in (target_emotion, target_emotion if felt is None else felt):
            if word not in EMOTIONS:
                raise ValueError(f"'{word}' is no emotion of the vocabulary: {', '.join(EMOTIONS)}")
        rng = self.rng("trial", trial_id)
        z = rng.standard_normal(6) * self.config.noise
        chances = rng.random(4)
        if felt is None:
            felt = target_emotion
            if chances[0] > INDUCTION_SHARE:
                first, second = NEIGHBOURS[target_emotion]
                felt = first if chances[1] < 0.65 else second
        masked = bool(chances[2] < self.traits.masking)
        shown = _draw_mask(felt, chances[3]) if masked else felt
        valence = _unit(CIRCUMPLEX[felt][0] + self.traits.valence_shift + 0.15 * z[0])
        arousal = _unit(CIRCUMPLEX[felt][1] + self.traits.arousal_shift + 0.15 * z[1])
        if shown == "neutral":
            intensity = float(np.clip(abs(0.15 * z[2]), 0.0, 0.5))
        else:
            # A posed expression is a little weaker than a felt one in this world.
            typical = (1.7 if masked else 2.0) * self.traits.expressivity
            intensity = float(np.clip(typical + 0.35 * z[2], 0.6, 3.0))
        strength = intensity / 2.0
        shown_valence = _unit(CIRCUMPLEX[shown][0] * strength + 0.08 * z[3])
        shown_arousal = _unit(CIRCUMPLEX[shown][1] * strength + 0.08 * z[4])
        return PlantedTrial(
            trial_id, felt, shown, masked, valence, arousal, shown_valence, shown_arousal, round(intensity, 3)
        )

    def eye_behaviour(self, reaction: PlantedReaction) -> EyeBehaviour:
        """Return what the eyes do during a reaction: traits, planted signature, noise of the trial."""
        signature = EYE_SIGNATURES[reaction.felt_emotion]
        z = self.rng("eyes", reaction.trial_id).standard_normal(6) * self.config.noise
        traits = self.traits
        resting = CIRCUMPLEX["neutral"][1]
        pupil_mm = PUPIL_MM_PER_AROUSAL * (reaction.arousal - resting) + signature.pupil_mm
        if reaction.trial_id == 0 and reaction.felt_emotion == "neutral":
            pupil_mm = 0.0
        return EyeBehaviour(
            pupil_change_mm=float(traits.pupil_gain * pupil_mm + 0.05 * z[0]),
            fixation_s=float(traits.fixation_s * signature.fixation_factor * np.exp(0.18 * z[1])),
            saccade_deg=float(traits.saccade_deg * signature.saccade_factor * np.exp(0.15 * z[2])),
            dispersion_deg=float(traits.dispersion_deg * signature.dispersion_factor * np.exp(0.18 * z[3])),
            blink_rate_hz=float(traits.blink_rate_hz * signature.blink_factor * np.exp(0.30 * z[4])),
            vertical_bias_deg=float(signature.vertical_bias_deg + 0.8 * z[5]),
        )

    def eye_course(self, reaction: PlantedReaction) -> tuple[tuple[float, EyeBehaviour], ...]:
        """Return what the eyes do during a reaction, as pairs of seconds since its begin and what holds from then on."""
        return ((0.0, self.eye_behaviour(reaction)),)

    def expression(self, reaction: PlantedReaction) -> dict[str, float]:
        """Return what the face shows during a reaction: the intensity, 0 to 3, of each expression in it."""
        return {reaction.shown_emotion: reaction.intensity}

    def report(self, trial: PlantedTrial) -> SelfReport:
        """Answer the self-report after a trial, from what was felt, with the noise of a rater."""
        rng = self.rng("report", trial.trial_id)
        emotions = {name: int(rng.random() < 0.12) for name in EMOTIONS}
        emotions[trial.felt] = int(rng.integers(2, 5))
        z = rng.standard_normal(2) * self.config.noise
        return SelfReport(
            emotions=emotions,
            valence_sam=_sam(trial.valence + 0.08 * float(z[0])),
            arousal_sam=_sam(trial.arousal + 0.08 * float(z[1])),
            familiarity=int(rng.integers(1, 4)),
            attention=bool(rng.random() < 0.97),
        )


#: Facial actions that a face may exaggerate or hold back (see devices/face.py).
_ACTION_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 15, 16, 17, 20, 23, 25, 26)


def _unit(value: float) -> float:
    return round(float(np.clip(value, -1.0, 1.0)), 4)


def _sam(value: float) -> int:
    return int(np.clip(round(value * 4 + 5), 1, SAM_POINTS))


def _draw_mask(felt: str, chance: float) -> str:
    options = {name: weight for name, weight in MASKS.items() if name != felt}
    total = sum(options.values())
    reached = 0.0
    for name, weight in options.items():
        reached += weight / total
        if chance < reached:
            return name
    return next(iter(options))
