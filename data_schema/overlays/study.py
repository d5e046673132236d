"""Fixation maps and overlay videos of a study's clips and stimuli."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from data_schema.clips.index import load_clip_index
from data_schema.derived import DerivedStore, SessionDeriver, derive_tasks
from data_schema.errors import ExportError, MediaError, SessionFileError, StudyError, UsageError
from data_schema.files import write_bytes
from data_schema.overlays.drawing import MAP_SHAPE, blend_map, clip_map, draw_gaze
from data_schema.overlays.looks import Looks, looks_of, stimulus_clock
from data_schema.overlays.video import draw_over, stimulus_picture, stimulus_size
from data_schema.session.reader import open_session
from data_schema.signals.maps import SIGMA_DEG, MovingMap
from data_schema.study.folder import StudyFolder

_log = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]
#: The map of a group's video shows this much of the past: about three fixations.
WINDOW_US = 1_000_000


@dataclass(frozen=True)
class Drawn:
    """What was written.

    Parameters
    ----------
    files : tuple of Path
    skipped : tuple of str
        One sentence for each clip or stimulus of which nothing could be drawn.
    """

    files: tuple[Path, ...]
    skipped: tuple[str, ...]


def chosen_clips(study: StudyFolder, patterns: tuple[str, ...]) -> pd.DataFrame:
    """Return the included clips whose name, participant or stimulus fits one of the patterns; all without one.

    Raises
    ------
    UsageError
        If a pattern fits none.
    """
    index = load_clip_index(study)
    clips: pd.DataFrame = index[index["included"]]
    if not patterns:
        return clips
    names = ("clip_id", "participant", "stimulus_id")
    fits = pd.Series(False, index=clips.index)
    for pattern in patterns:
        these = pd.Series(False, index=clips.index)
        for name in names:
            these |= clips[name].map(lambda value, pattern=pattern: fnmatch(str(value), pattern))
        if not these.any():
            raise UsageError(
                f"'{pattern}' is no included clip, participant or stimulus of the study. `emer clips` lists them; "
                "* stands for anything."
            )
        fits |= these
    chosen: pd.DataFrame = clips[fits]
    return chosen


def draw_maps(
    study: StudyFolder,
    out: Path,
    clips: pd.DataFrame,
    *,
    videos: bool = False,
    sigma_deg: float = SIGMA_DEG,
    force: bool = False,
    progress: Progress | None = None,
) -> Drawn:
    """Draw each clip's fixation map and each stimulus' map over all participants; with `videos` also over their time.

    Parameters
    ----------
    study : StudyFolder
    out : Path
        Folder; made if need be. Holds ``CLIP_map.png``, ``CLIP_map.npy``, ``CLIP_gaze.mp4`` and the same by stimulus.
    clips : DataFrame
        Rows of the clip index.
    videos : bool
        Draw gaze over each clip's stimulus, and the moving map of all participants over each stimulus.
    sigma_deg : float
        Width of a fixation's Gaussian, degrees of visual angle.
    force : bool
        Replace files that are there.
    progress : callable, optional
        Called with clips done, clips in all and the one just done.

    Raises
    ------
    ExportError
        If there is nothing to draw, files are there already, or the disk is full.
    """
    if not len(clips):
        raise ExportError("no clip is included, so there is nothing to draw. `emer clips` says why.")
    _refuse_old(out, force)
    files: list[Path] = []
    skipped: list[str] = []
    by_stimulus: dict[str, list[Looks]] = {}
    for done, looked in enumerate(_looks(study, clips, sigma_deg, skipped), start=1):
        stimulus, looks = looked
        by_stimulus.setdefault(stimulus, []).append(looks)
        path = study.stimulus_path(stimulus)
        files += _write_map(out / f"{looks.clip_id}_map", path, clip_map([looks]))
        if videos:
            target = out / f"{looks.clip_id}_gaze.mp4"
            draw_over(path, target, partial(_with_gaze, looks))
            files.append(target)
        if progress:
            progress(done, len(clips), looks.clip_id)
    for stimulus, group in sorted(by_stimulus.items()):
        path = study.stimulus_path(stimulus)
        files += _write_map(out / f"stim-{stimulus}_map", path, clip_map(group))
        if videos:
            files.append(_group_video(out / f"stim-{stimulus}_map.mp4", path, group))
    return Drawn(tuple(files), tuple(skipped))


def _refuse_old(out: Path, force: bool) -> None:
    old = sorted([*out.glob("*_map.png"), *out.glob("*_map.mp4"), *out.glob("*_gaze.mp4")]) if out.is_dir() else []
    if old and not force:
        raise ExportError(
            f"{out}: holds {len(old)} maps already, such as {old[0].name}. Replace them with --force, or name another folder."
        )
    if out.is_file():
        raise ExportError(f"{out}: is a file. Name a folder.")


def _looks(
    study: StudyFolder, clips: pd.DataFrame, sigma_deg: float, skipped: list[str]
) -> Iterator[tuple[str, Looks]]:
    """Yield stimulus and looks clip by clip; what cannot be drawn is added to `skipped`."""
    stimuli = dict(zip(clips["clip_id"], clips["stimulus_id"], strict=True))
    for task in derive_tasks(study, clips).values():
        path = Path(task.session_path)
        try:
            with open_session(path) as session, DerivedStore(Path(task.target), task.session_sha256) as store:
                trials = {trial.trial_id: trial for trial in session.trials()}
                deriver = SessionDeriver(session, task.settings, store)
                for span in task.clips:
                    stimulus = str(stimuli[span.clip_id])
                    try:
                        size = stimulus_size(study.stimulus_path(stimulus))
                    except (MediaError, StudyError) as error:
                        skipped.append(f"{span.clip_id}: {error}")
                        continue
                    eye, _ = deriver.eye(span)
                    if not eye.gaze.valid.any():
                        skipped.append(f"{span.clip_id}: has no gaze")
                        continue
                    trial = trials[span.trial_id]
                    clock = stimulus_clock(session, span.trial_id, trial.t_onset_us, trial.t_offset_us)
                    times = (span.t_start_us, span.t_end_us)
                    yield stimulus, looks_of(span.clip_id, eye, times, clock, deriver.screen, size, sigma_deg)
        except SessionFileError as error:
            skipped.append(str(error))


def _with_gaze(looks: Looks, t_us: int, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return draw_gaze(picture, looks, t_us)


def _write_map(stem: Path, stimulus: Path, drawn: npt.NDArray[np.float64]) -> list[Path]:
    """Write a map as numbers, and as a picture over the middle of the stimulus."""
    picture = blend_map(stimulus_picture(stimulus), drawn, float(drawn.max()))
    ok, encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not ok:
        raise MediaError(f"{stem.name}.png: the picture could not be encoded.")
    write_bytes(stem.with_name(f"{stem.name}.png"), encoded.tobytes())
    write_bytes(stem.with_name(f"{stem.name}.npy"), _npy(drawn.astype(np.float32)))
    return [stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.npy")]


def _npy(array: npt.NDArray[np.float32]) -> bytes:
    import io

    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def _group_video(target: Path, stimulus: Path, group: list[Looks]) -> Path:
    """Draw where all participants looked in the last second, over the stimulus."""
    times = np.concatenate([looks.fixation_us for looks in group])
    places = np.concatenate([looks.fixation_norm for looks in group])
    moving = MovingMap(times[:, 0], times[:, 1], places, group[0].sigma_norm, MAP_SHAPE)
    # Half of the participants at one place at once is the brightest shade, whatever else the video shows.
    one = MovingMap(np.array([0]), np.array([WINDOW_US]), np.array([[0.5, 0.5]]), group[0].sigma_norm, MAP_SHAPE)
    highest = float(one.between(0, WINDOW_US).max()) * max(1.0, len(group) / 2.0)
    draw_over(
        stimulus,
        target,
        lambda t_us, picture: blend_map(picture, moving.between(t_us - WINDOW_US, t_us + 1), highest),
    )
    return target
