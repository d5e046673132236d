"""Folds of a run as tasks of their own, for several processes or machines.

A task is plain data: where the export and the run are, and which fold. Whoever works on it reads
the export itself and writes the fold's folder, whole or not at all, so that a fold that is worked
on twice, or killed and worked on again, does no harm.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from data_schema.errors import TrainingError
from data_schema.exports.reading import TrainingExport
from data_schema.work import run_tasks
from emer_model.data.targets import Target
from emer_model.registry import find_model
from emer_model.training.config import RunConfig
from emer_model.training.environment import deterministic, limited_threads, quiet_lightning, run_log
from emer_model.training.faces import Progress, face_memory_mb, open_store
from emer_model.training.files import read_json, write_json
from emer_model.training.fold import train_fold
from emer_model.training.plan import FoldPlan, export_labels
from emer_model.training.run_folder import PROGRESS_NAME, RunFolder

_log = logging.getLogger(__name__)

#: Seconds between two looks at how far the folds are.
_LOOK_S = 1.0


@dataclass(frozen=True)
class FoldTask:
    """One fold to train.

    Parameters
    ----------
    export, run : str
        Folders.
    fold : int
    settings : dict
        Of `RunConfig.as_json`.
    targets, auxiliary : tuple of Target
    device : str
    threads : int
    tensorboard : bool
    """

    export: str
    run: str
    fold: int
    settings: dict[str, Any]
    targets: tuple[Target, ...]
    auxiliary: tuple[Target, ...]
    device: str
    threads: int
    tensorboard: bool


def train_in_workers(
    plan: FoldPlan,
    export: Path,
    folds: Sequence[int],
    threads: int,
    *,
    workers: int,
    scheduler: str,
    progress: Progress | None,
) -> None:
    """Train folds in several processes, or on the workers of a Dask scheduler.

    Raises
    ------
    EmerError
        The first error of a fold; the others that are done are kept.
    """
    tasks = {
        f"fold {k}": FoldTask(
            str(Path(export).resolve()),
            str(plan.run.root.resolve()),
            k,
            plan.config.as_json(),
            plan.targets,
            plan.auxiliary,
            str(plan.device),
            threads,
            plan.tensorboard,
        )
        for k in folds
    }
    with _watched(plan.run, folds, plan.config.epochs, progress):
        for name, seconds in run_tasks(train_task, tasks, workers=workers, scheduler=scheduler):
            _log.info("%s done by a worker in %.1f s", name, seconds)


def train_task(task: FoldTask) -> float:
    """Train one fold; returns the seconds that it took."""
    began = time.perf_counter()
    config, run = RunConfig.from_json(task.settings), RunFolder(Path(task.run))
    with TrainingExport.open(Path(task.export), verify=False) as opened:
        asked = {"backbone": config.face_backbone, "training": config.face_training, "size_px": config.face_size_px}
        device = torch.device(task.device)
        inputs, most = find_model(config.model).inputs, face_memory_mb(device)
        store, face = open_store(opened, inputs, asked, config.face_weights, face_memory_mb=most)
        split = next(split for split in opened.splits(config.scheme) if split.fold == task.fold)
        plan = FoldPlan(
            store,
            export_labels(opened, config.protocols),
            config,
            run,
            device,
            face,
            task.targets,
            task.auxiliary,
            task.tensorboard,
        )
        written = _Written(run.fold(task.fold) / PROGRESS_NAME)
        with (
            run_log(run.log_path),
            quiet_lightning(),
            deterministic(),
            limited_threads(task.threads),
            torch.random.fork_rng(devices=[]),
        ):
            train_fold(plan, split, written)
        written.remove()
    return time.perf_counter() - began


class _Written:
    """Writes how far a fold is, for whoever began the work."""

    def __init__(self, path: Path) -> None:
        self._path, self._next = path, 0.0

    def __call__(self, epoch: int, epochs: int, sentence: str) -> None:
        if time.monotonic() >= self._next:
            write_json(self._path, {"epoch": epoch, "epochs": epochs, "said": sentence})
            self._next = time.monotonic() + _LOOK_S

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


@contextmanager
def _watched(run: RunFolder, folds: Sequence[int], epochs: int, progress: Progress | None) -> Iterator[None]:
    """Tell how far the folds are while others train them: the epochs done over all folds."""
    if progress is None:
        yield
        return
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(_LOOK_S):
            progress(*_how_far(run, folds, epochs))

    looking = threading.Thread(target=look, name="progress of folds", daemon=True)
    looking.start()
    try:
        yield
    finally:
        ended.set()
        looking.join()
    progress(len(folds) * epochs, len(folds) * epochs, "")


def _how_far(run: RunFolder, folds: Sequence[int], epochs: int) -> tuple[int, int, str]:
    """Read how far each fold is."""
    done, said = 0, []
    for k in folds:
        if (run.fold(k) / "fold.json").is_file():
            done += epochs
            continue
        path = run.fold(k) / PROGRESS_NAME
        if path.is_file():
            found = _read(path)
            done += int(found.get("epoch", 0))
            said.append(f"fold {k}: {found.get('said', '')}")
    return done, len(folds) * epochs, "; ".join(said)


def _read(path: Path) -> dict[str, Any]:
    """Read a fold's progress; nothing where the fold has just ended."""
    try:
        return dict(read_json(path))
    except (TrainingError, OSError):
        return {}
