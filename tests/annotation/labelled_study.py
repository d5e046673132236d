"""A small study with real video for the tests of annotation: every frame carries its own number.

`make_study` writes study.toml, stimuli, sessions and the clip table. Frame n of a session's
video, and frame n of a stimulus, hold n as black and white bars; `burnt_number` reads it from
an image of any size, also from a picture of the window cut to the frame's rectangle.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from data_schema.clips.index import build_clip_index
from data_schema.session.synthetic import make_synthetic_session
from data_schema.study.folder import StudyFolder
from data_schema.vocabularies import EMOTIONS

WIDTH_PX, HEIGHT_PX = 320, 240
_BITS = 16
#: Share of the height that the bars take at the top; their negative takes as much at the bottom.
_BAND = 0.15

STUDY_TOML = """\
[study]
title = "Labelled study"
seed = 7
[camera]
width_px = 320
height_px = 240
[annotation]
{annotation}
{more}
"""
STIMULUS_TOML = """
[[stimuli]]
id = "s{number:02d}"
file = "secret-{emotion}-{number:02d}.mp4"
target_emotion = "{emotion}"
"""


def numbered_picture(number: int) -> npt.NDArray[np.uint8]:
    """Draw a frame that carries `number`: bars at the top, their negative at the bottom, a ramp between."""
    bits = ((number >> np.arange(_BITS)[::-1]) & 1).astype(np.uint8) * 255
    bars = np.repeat(bits, WIDTH_PX // _BITS)
    band = round(HEIGHT_PX * _BAND)
    grey = np.empty((HEIGHT_PX, WIDTH_PX), dtype=np.uint8)
    grey[:] = 60 + np.arange(WIDTH_PX) * 120 // WIDTH_PX
    grey[:band], grey[-band:] = bars, 255 - bars
    return np.dstack([grey] * 3)


def burnt_number(image: npt.NDArray[np.uint8]) -> int:
    """Read the number of a frame; -1 if the bars cannot be read for certain."""
    grey = image[..., :3].mean(axis=2) if image.ndim == 3 else image.astype(float)
    height, width = grey.shape
    columns = ((np.arange(_BITS) + 0.5) * width / _BITS).astype(int)
    reach = max(1, width // _BITS // 4)
    rows = (int(height * _BAND * 0.5), int(height * (1 - _BAND * 0.5)))
    top, bottom = (
        np.array([grey[row - 1 : row + 2, at - reach : at + reach + 1].mean() for at in columns]) for row in rows
    )
    if np.any(np.abs(top - bottom) < 100):
        return -1
    return int(sum(1 << (_BITS - 1 - place) for place in range(_BITS) if top[place] > bottom[place]))


def write_stimulus(path: Path, n_frames: int = 50, fps: int = 25, sound: bool = False) -> Path:
    """Write a numbered video, with a title in its metadata and, if asked, a tone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        container.metadata["title"] = f"secret title of {path.stem}"
        video = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "g": "12"})
        video.width, video.height, video.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        audio = container.add_stream("aac", rate=44_100, layout="mono") if sound else None
        for number in range(n_frames):
            frame = av.VideoFrame.from_ndarray(numbered_picture(number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            n_samples = 1024 * max(1, n_frames * 44_100 // fps // 1024)
            tone = np.sin(np.arange(n_samples) * 2 * np.pi * 440 / 44_100).astype(np.float32)
            for start in range(0, n_samples, 1024):
                block = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], format="fltp", layout="mono")
                block.sample_rate, block.pts, block.time_base = 44_100, start, Fraction(1, 44_100)
                container.mux(audio.encode(block))
            container.mux(audio.encode(None))
    return path


def make_study(
    root: Path,
    *,
    n_participants: int = 2,
    n_trials: int = 3,
    trial_s: float = 1.0,
    annotation: str = "",
    more: str = "",
    sound: bool = False,
) -> StudyFolder:
    """Write a study with one session a participant and its clip table.

    Parameters
    ----------
    root : Path
        The study folder; made.
    n_participants, n_trials, trial_s
        P001 ... with one clip a trial, each of `trial_s` seconds at 30 frames a second, half a second between.
    annotation : str
        Lines of ``[annotation]`` in study.toml, such as ``repeats_share = 0.0``.
    more : str
        Further sections.
    sound : bool
        True for stimuli with a tone.
    """
    root.mkdir(parents=True, exist_ok=True)
    text = STUDY_TOML.format(annotation=annotation, more=more)
    for number in range(n_trials):
        text += STIMULUS_TOML.format(number=number, emotion=EMOTIONS[number % len(EMOTIONS)])
    (root / "study.toml").write_text(text, encoding="utf-8")
    study = StudyFolder(root)
    for stimulus in study.config.stimuli:
        write_stimulus(study.stimuli_dir / stimulus.file, n_frames=round(25 * trial_s), sound=sound)
    for number in range(1, n_participants + 1):
        add_session(study, f"P{number:03d}", n_trials=n_trials, trial_s=trial_s, seed=number)
    build_clip_index(study)
    return study


def add_session(study: StudyFolder, participant: str, *, n_trials: int, trial_s: float, seed: int) -> Path:
    """Write one more session; the clip table is the caller's to build anew."""
    path = study.session_path(participant, "01")
    path.parent.mkdir(parents=True, exist_ok=True)
    return make_synthetic_session(
        path,
        participant=participant,
        n_trials=n_trials,
        trial_s=trial_s,
        seed=seed,
        rate_hz=120.0,
        config=study.config,
        picture=numbered_picture,
    )


def write_gold(study: StudyFolder, rows: Iterable[Mapping[str, object]], name: str = "gold.csv") -> Path:
    """Write a gold file; `[annotation] gold_file` has to name it."""
    fields = ("clip_id", "task", "emotion", "polarity", "valence", "arousal", "intensity", "explanation")
    path = study.root / name
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fields, restval="")
        writer.writeheader()
        writer.writerows(dict(row) for row in rows)
    return path
