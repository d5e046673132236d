"""A world: all arrays of its clips, as a training export holds them, and the truth behind them."""

from __future__ import annotations

import warnings
import zlib
from dataclasses import dataclass

import numpy as np

from benchmarks.worlds.eyes import eye_chunks
from benchmarks.worlds.faces import face_features
from benchmarks.worlds.fixations import fixation_sequences
from benchmarks.worlds.people import draw_clips, label_columns
from benchmarks.worlds.settings import WORLDS, WorldSettings
from benchmarks.worlds.summaries import clip_summary


@dataclass(frozen=True)
class World:
    """Arrays of a planted world; n clips, in order of participants.

    Parameters
    ----------
    name : str
    seed : int
    settings : WorldSettings
    participants : ndarray of str, shape (n,)
    arrays : dict of ndarray
        ``face_features`` (n, 8, D), ``face_mask`` (n, 8); ``eye``, ``eye_mask`` (n, 32, 39); ``fixations`` (n, 32, 4),
        ``fixation_mask`` (n, 32); ``gaze_points`` (n, 32, 2), ``gaze_points_mask`` (n, 32); ``summary``,
        ``summary_mask`` (n, 79). float32 in units, 0 where masked; masks of bool.
    labels : dict of ndarray, shape (n,)
        Columns of ``targets.parquet``, ``er_emotion`` to ``fer_intensity``.
    felt, shown : ndarray of int, shape (n,)
        The truth, also of clips without labels.
    duration_s : ndarray, shape (n,)
    """

    name: str
    seed: int
    settings: WorldSettings
    participants: np.ndarray
    arrays: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    felt: np.ndarray
    shown: np.ndarray
    duration_s: np.ndarray

    def __len__(self) -> int:
        return len(self.felt)


def make_world(name: str, seed: int = 0, settings: WorldSettings | None = None) -> World:
    """Draw a world.

    Parameters
    ----------
    name : str
        One of `WORLDS`, or any name with `settings`.
    seed : int
        Of everything that is drawn, also of where the information is put.
    settings : WorldSettings, optional
        Those of the name by default.

    Raises
    ------
    KeyError
        If there is no such world.
    """
    settings = settings or WORLDS[name]
    rng = np.random.default_rng([seed, zlib.crc32(name.encode("utf-8"))])
    clips = draw_clips(settings, rng)
    eye, eye_mask = eye_chunks(clips, settings, rng)
    fixations, fixation_mask = fixation_sequences(clips, settings, rng)
    nothing = ~eye_mask.any(axis=(1, 2))  # without eyes there are no fixations either
    fixation_mask = fixation_mask & ~nothing[:, None]
    fixations = np.where(fixation_mask[:, :, None], fixations, np.float32(0))
    faces, face_mask = face_features(clips, settings, rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # clips without eyes have no medians
        summary, summary_mask = clip_summary(eye, eye_mask, fixations, fixation_mask, clips.duration_s)
    gaze, gaze_mask = eye[:, :, [0, 3]], eye_mask[:, :, 0]
    arrays = {
        "face_features": faces,
        "face_mask": face_mask,
        "eye": eye,
        "eye_mask": eye_mask,
        "fixations": fixations,
        "fixation_mask": fixation_mask,
        "gaze_points": gaze,
        "gaze_points_mask": gaze_mask,
        "summary": summary,
        "summary_mask": summary_mask,
    }
    participants = np.array([f"P{i + 1:03d}" for i in range(settings.people)])[clips.person]
    labels = label_columns(clips, settings, rng)
    return World(name, seed, settings, participants, arrays, labels, clips.felt, clips.shown, clips.duration_s)
