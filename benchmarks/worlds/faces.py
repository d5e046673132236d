"""Features of face frames, as a frozen backbone would give them, and small pictures that carry the same."""

from __future__ import annotations

import numpy as np

from benchmarks.worlds.people import Clips
from benchmarks.worlds.settings import WorldSettings
from data_schema.vocabularies import EMOTIONS

FRAMES = 8
#: Dimensions in which expressions lie; the rest of a face's features is identity and chance.
EXPRESSION_DIMENSIONS = 24


def face_features(clips: Clips, settings: WorldSettings, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Plant the shown emotion, who it is, and, in two frames of masked faces, a share of what is felt.

    Returns
    -------
    features : ndarray of float32, shape (n_clips, FRAMES, face_width)
    mask : ndarray of bool, shape (n_clips, FRAMES)
    """
    n, width = len(clips.felt), settings.face_width
    basis = np.linalg.qr(rng.normal(size=(width, min(width, EXPRESSION_DIMENSIONS))))[0].T  # (24, D)
    look = rng.normal(size=(len(EMOTIONS), len(basis))) @ basis  # (7, D), of length about 5
    look[EMOTIONS.index("neutral")] *= 0.25
    who = settings.identity * rng.normal(size=(settings.people, width))
    apex, breadth = rng.uniform(2, 6, n), rng.uniform(2, 4, n)
    frames = np.arange(FRAMES)
    envelope = np.exp(-0.5 * ((frames - apex[:, None]) / breadth[:, None]) ** 2)  # (n, F)
    shown = settings.expression * (clips.intensity[:, None] * envelope)[:, :, None] * look[clips.shown][:, None]
    slip = rng.integers(0, FRAMES - 1, n)
    slipped = (frames >= slip[:, None]) & (frames < slip[:, None] + 2) & clips.masked[:, None]
    felt = settings.leak * settings.expression * slipped[:, :, None] * look[clips.felt][:, None]
    stay = settings.face_clip_noise * rng.normal(size=(n, 1, width))
    values = (
        shown + felt + stay + who[clips.person][:, None] + settings.face_noise * rng.normal(size=(n, FRAMES, width))
    )
    mask = (rng.random((n, FRAMES)) > 0.04) & (rng.random(n) >= settings.face_absent)[:, None]
    return np.where(mask[:, :, None], values, 0.0).astype(np.float32), mask


def face_pictures(features: np.ndarray, mask: np.ndarray, size_px: int, seed: int = 0) -> np.ndarray:
    """Draw faces as sums of smooth patterns, one a feature: what is in the features is in the pictures.

    Parameters
    ----------
    features : ndarray, shape (n_clips, frames, width)
    mask : ndarray of bool, shape (n_clips, frames)
    size_px : int
        Side of a picture.

    Returns
    -------
    ndarray of uint8, shape (n_clips, frames, size_px, size_px, 3)
        RGB; 0 where there is no face.
    """
    width = features.shape[2]
    waves = np.cos(np.pi * np.outer(np.arange(8), (np.arange(size_px) + 0.5) / size_px))  # (8, S)
    places = [(a, b) for a in range(8) for b in range(8)][1:]
    mixing = np.random.default_rng(seed).normal(size=(width, 3 * len(places))) / np.sqrt(width)
    patterns = np.stack([np.outer(waves[a], waves[b]) for a, b in places])  # (63, S, S)
    pictures = np.zeros((*mask.shape, size_px, size_px, 3), dtype=np.uint8)
    for clip in range(len(features)):
        weights = (features[clip] @ mixing).reshape(len(features[clip]), 3, len(places))
        drawn = 128 + 14 * np.tensordot(weights, patterns, axes=(2, 0))  # (F, 3, S, S)
        pictures[clip] = np.clip(drawn, 1, 255).transpose(0, 2, 3, 1)
    pictures[~mask] = 0
    return pictures
