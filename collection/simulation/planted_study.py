"""Plant a whole study: simulated people as real session files, cut into clips and labelled.

The folder appears under its name when it is complete; what an interrupted run has made is removed. Each session depends on
the world's seed and the participant's code alone, so that the data are the same however many processes write them.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from collection.simulation.cast import PlannedClip, lay_out
from collection.simulation.planted_labels import write_labels
from collection.simulation.planted_session import PlantedSession, write_planted_session
from collection.simulation.world import STIMULI_PER_EMOTION, World
from data_schema.clips.index import index_study
from data_schema.clips.table import write_clip_index
from data_schema.errors import StudyError, WorkerError
from data_schema.files import write_json
from data_schema.study import StudyFolder, init_study
from data_schema.work import run_tasks

Progress = Callable[[int, int, str], None]
#: The parameters of a planted world, in its study folder.
WORLD_NAME = "planted.json"
#: Frames a second of the placeholder stimuli.
_STIMULUS_FPS = 5
_TITLE = "Planted world (simulated)"


@dataclass(frozen=True)
class PlantedStudy:
    """What was planted.

    Parameters
    ----------
    study : StudyFolder
    n_clips, n_labels : int
        Clips in all sessions, labels of all annotators.
    seconds : float
        Time that it took.
    """

    study: StudyFolder
    n_clips: int
    n_labels: int
    seconds: float


def plant_study(
    root: Path | str,
    world: World | None = None,
    *,
    title: str = _TITLE,
    settings: Mapping[str, Mapping[str, object]] | None = None,
    workers: int = 0,
    progress: Progress | None = None,
) -> PlantedStudy:
    """Plant a study of simulated people, with clips and labels.

    Parameters
    ----------
    root : Path
        The folder; it must not exist, or be empty.
    world : World, optional
        The default world by default.
    title : str
        Title of the study; "(simulated)" is added where it lacks the word.
    settings : mapping, optional
        Sections and keys of ``study.toml`` beside those that the world needs, such as ``{"export": {"face_frames": 4}}``.
    workers : int
        Processes; 0 for one a core. The data do not depend on it.
    progress : callable, optional
        Called with steps done, steps in all, and what is done.

    Returns
    -------
    PlantedStudy

    Raises
    ------
    StudyError
        If the folder exists and is not empty, or cannot be made.
    ConfigError
        If `settings` are not valid.
    """
    began_s = time.monotonic()
    root, world = Path(root), world or World()
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise StudyError(f"{root} exists and is not empty. Name a new folder; nothing was changed.")
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    except OSError as error:
        raise StudyError(f"{root}: cannot be made: {error}. Choose a folder that you may write to.") from error
    try:
        study = _make_folder(building / "study", world, title, settings or {})
        cast = lay_out(world)
        _write_sessions(study, world, cast, workers, progress)
        hashes = _index(study)
        n_labels = write_labels(study, world, cast, hashes, progress)
        write_json(study.root / WORLD_NAME, world.as_json())
        if root.exists():
            root.rmdir()
        study.root.replace(root)
    except OSError as error:
        raise StudyError(f"{root}: cannot be made: {error}. Check the disk; nothing was left behind.") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return PlantedStudy(StudyFolder(root), len(hashes), n_labels, time.monotonic() - began_s)


def _make_folder(root: Path, world: World, title: str, settings: Mapping[str, Mapping[str, object]]) -> StudyFolder:
    merged: dict[str, dict[str, object]] = world.settings()
    for section, keys in settings.items():
        merged[section] = {**merged.get(section, {}), **keys}
    said = title if "simulated" in title.lower() else f"{title} (simulated)"
    return init_study(
        root,
        title=said,
        clips_per_emotion=STIMULI_PER_EMOTION,
        clip_s=world.clip_s,
        # Nobody watches them.
        clip_fps=_STIMULUS_FPS,
        seed=world.seed,
        practice=False,
        settings=merged,
    )


def _write_sessions(
    study: StudyFolder,
    world: World,
    cast: Mapping[str, list[PlannedClip]],
    workers: int,
    progress: Progress | None,
) -> None:
    tasks = {
        code: PlantedSession(str(study.session_path(code, "01")), code, number, world, tuple(clips), study.config)
        for number, (code, clips) in enumerate(cast.items(), start=1)
    }
    for done, (code, result) in enumerate(run_tasks(write_planted_session, tasks, workers=workers), start=1):
        if not isinstance(result, int):
            raise WorkerError(f"{code}: was not written: {result}")
        if progress:
            progress(done, len(tasks) + world.annotators, f"session of {code}")


def _index(study: StudyFolder) -> dict[str, str]:
    """Cut the sessions into clips; return the hash of each clip's session."""
    built = index_study(study)
    write_clip_index(study.clip_index_path, built.table, built.facts)
    return dict(zip(built.table["clip_id"], built.table["session_sha256"], strict=True))
