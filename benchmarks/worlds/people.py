"""Who takes part, what they feel, what they show, and how it was labelled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.worlds.settings import WorldSettings
from data_schema.vocabularies import EMOTIONS

#: Clips of each emotion among 1,303, unbalanced 377 to 75; ours. The order is that of EMOTIONS.
CLASS_CLIPS = np.array([377, 190, 130, 140, 121, 75, 270])
#: What a masked face shows, before what is felt is taken out: mostly a smile or nothing. Ours.
SHOWN_WHEN_MASKED = np.array([0.32, 0.09, 0.06, 0.1, 0.06, 0.05, 0.32])
#: Valence and arousal of the emotions; ours.
VALENCE = np.array([0.75, -0.65, -0.55, 0.2, -0.6, -0.6, 0.0])
AROUSAL = np.array([0.45, -0.35, 0.65, 0.7, 0.25, 0.55, -0.25])


@dataclass(frozen=True)
class Clips:
    """What is true of each clip.

    Parameters
    ----------
    person : ndarray of int, shape (n_clips,)
        Sorted.
    felt, shown : ndarray of int, shape (n_clips,)
        Places in EMOTIONS.
    strength : ndarray of float, shape (n_clips,)
        How strongly it is felt, about 1.
    intensity : ndarray of float, shape (n_clips,)
        How strongly it is shown, 0 to about 1.3.
    duration_s : ndarray of float, shape (n_clips,)
    """

    person: np.ndarray
    felt: np.ndarray
    shown: np.ndarray
    strength: np.ndarray
    intensity: np.ndarray
    duration_s: np.ndarray

    @property
    def masked(self) -> np.ndarray:
        """Tell for each clip whether it shows another emotion than is felt."""
        return self.felt != self.shown


def draw_clips(settings: WorldSettings, rng: np.random.Generator) -> Clips:
    """Draw who feels and shows what."""
    n, classes = settings.clips, len(EMOTIONS)
    person = np.sort(np.resize(np.arange(settings.people), n))
    if settings.uneven_people:
        odds = np.log(CLASS_CLIPS) + settings.uneven_people * rng.normal(size=(settings.people, classes))
        share = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
        felt = _draw(share[person], rng)
    else:
        counts = np.floor(CLASS_CLIPS / CLASS_CLIPS.sum() * n).astype(int)
        counts[0] += n - counts.sum()
        felt = rng.permutation(np.repeat(np.arange(classes), counts))
    inclined = np.clip(settings.masking + 0.12 * rng.normal(size=settings.people), 0.02, 0.95)[person]
    masked = rng.random(n) < inclined
    other = np.tile(SHOWN_WHEN_MASKED, (n, 1))
    other[np.arange(n), felt] = 0.0
    shown = np.where(masked, _draw(other / other.sum(axis=1, keepdims=True), rng), felt)
    expressivity = np.exp(0.25 * rng.normal(size=settings.people))[person]
    intensity = expressivity * rng.uniform(0.6, 1.2, n)
    strength = np.exp(0.2 * rng.normal(size=n))
    return Clips(person, felt, shown, strength, np.clip(intensity, 0.2, 1.8), rng.uniform(20.0, 60.0, n))


def label_columns(clips: Clips, settings: WorldSettings, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Label the clips as a study would: the columns of ``targets.parquet`` from ``er_emotion`` to ``fer_intensity``.

    Returns
    -------
    dict of ndarray, shape (n_clips,)
        Texts (None where there is no label) and floats (NaN).
    """
    columns: dict[str, np.ndarray] = {}
    n = len(clips.felt)
    for task, emotion, noise, unlabelled in (
        ("er", clips.felt, 0.25, settings.er_unlabelled),
        ("fer", clips.shown, 0.12, settings.fer_unlabelled),
    ):
        size = clips.strength if task == "er" else np.sqrt(clips.intensity)
        valence = np.clip(VALENCE[emotion] * size + noise * rng.normal(size=n), -1, 1)
        arousal = np.clip(AROUSAL[emotion] * size + noise * rng.normal(size=n), -1, 1)
        polarity = np.where(valence > 0.25, "positive", np.where(valence < -0.25, "negative", "neutral"))
        if task == "er":  # a person's own answer on a scale of nine steps
            valence, arousal = np.round(4 * valence) / 4, np.round(4 * arousal) / 4
        there = rng.random(n) >= unlabelled
        columns[f"{task}_emotion"] = np.where(there, np.array(EMOTIONS, dtype=object)[emotion], None)
        columns[f"{task}_polarity"] = np.where(there, polarity.astype(object), None)
        columns[f"{task}_valence"] = np.where(there, valence, np.nan)
        columns[f"{task}_arousal"] = np.where(there, arousal, np.nan)
        if task == "fer":
            shown = np.where(emotion == EMOTIONS.index("neutral"), 0.3, 1.0) * clips.intensity
            columns["fer_intensity"] = np.where(there, np.clip(1.8 * shown + 0.2 * rng.normal(size=n), 0, 3), np.nan)
    return columns


def _draw(share: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a class for each row of shares, shape (n, classes)."""
    drawn = (share.cumsum(axis=1) > rng.random(len(share))[:, None]).argmax(axis=1)
    return np.asarray(drawn)
