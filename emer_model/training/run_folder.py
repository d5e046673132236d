"""The folder of a run: what is where, and whether it may be written.

::

    RUN/config.json             settings, export, versions: all that a second machine needs
    RUN/folds.json              participants of each part of each fold
    RUN/log.txt
    RUN/run.lock                empty; held by the system while a process trains here
    RUN/folds/fold-0/           best.safetensors, last.safetensors, predictions.parquet,
                                curves.csv, fold.json (written last: the fold is finished)
    RUN/predictions.parquet     test predictions of all finished folds
    RUN/curves.csv              all finished folds
    RUN/metrics.json

Only these files are ever removed. Anything else that lies here is the user's and stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from data_schema.errors import TrainingError, UsageError
from emer_model.training.config import RunConfig
from emer_model.training.files import read_json, write_json

FORMAT = "emer-run"
FORMAT_VERSION = "1.0"

#: Checkpoints of a fold: the best on validation clips, and that of the last epoch.
BEST, LAST = "best.safetensors", "last.safetensors"

_LOCK = "run.lock"

#: What a run holds before it has learned anything.
_BEGUN = ("config.json", "folds.json", "log.txt")
_RUN_FILES = ("folds.json", "log.txt", "predictions.parquet", "curves.csv", "metrics.json")
_FOLD_FILES = (BEST, LAST, "predictions.parquet", "curves.csv", "fold.json")

#: Name of a file that a kill left half-written, around the name that it should have got.
_PARTIAL = re.compile(r"\.?(?P<name>.+?)(\.[0-9a-f]{8})?\.partial")


class RunFolder:
    """Paths of a run and what has been finished in it.

    Parameters
    ----------
    root : Path
        The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.config_path = self.root / "config.json"
        self.folds_path = self.root / "folds.json"
        self.log_path = self.root / "log.txt"
        self.predictions_path = self.root / "predictions.parquet"
        self.curves_path = self.root / "curves.csv"
        self.metrics_path = self.root / "metrics.json"

    def fold(self, fold: int) -> Path:
        """Return the folder of a fold."""
        return self.root / "folds" / f"fold-{fold}"

    def finished_folds(self) -> list[int]:
        """Return the numbers of the folds that are finished."""
        return sorted(int(p.name.partition("-")[2]) for p in self._fold_folders() if (p / "fold.json").is_file())

    def fold_records(self) -> list[dict[str, Any]]:
        """Read ``fold.json`` of the finished folds, in order."""
        return [read_json(self.fold(k) / "fold.json") for k in self.finished_folds()]

    def config(self) -> dict[str, Any]:
        """Read ``config.json``.

        Raises
        ------
        TrainingError
            If this is no run folder, or one of a newer toolkit.
        """
        config = read_json(self.config_path)
        if not isinstance(config, dict) or config.get("format") != FORMAT:
            raise TrainingError(f"{self.root}: config.json is not that of a run. Expected a folder of `emer train`.")
        if str(config.get("format_version", "")).split(".")[0] != FORMAT_VERSION.split(".")[0]:
            raise TrainingError(
                f"{self.root}: run format {config.get('format_version')}, this toolkit reads {FORMAT_VERSION}. "
                "Update emer-toolkit."
            )
        return config

    def run_config(self) -> RunConfig:
        """Read the run's settings.

        Raises
        ------
        TrainingError
            If they are incomplete.
        """
        try:
            return RunConfig.from_json(self.config()["settings"])
        except (KeyError, TypeError) as error:
            raise TrainingError(f"{self.config_path}: the settings are incomplete ({error}).") from error

    def predictions(self) -> pd.DataFrame:
        """Read the test predictions of the finished folds.

        Raises
        ------
        TrainingError
            If there are none.
        """
        if not self.predictions_path.is_file():
            raise TrainingError(f"{self.root}: no fold is finished, so there are no predictions. Run `emer train` on.")
        return pd.read_parquet(self.predictions_path)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Make the folder and let no other process train in it within.

        The system gives the lock back when the process ends, however it ends.

        Raises
        ------
        UsageError
            If the folder holds something else than a run.
        TrainingError
            If another process trains here, or the folder cannot be written.
        """
        self._holds_run()
        lock = FileLock(self.root / _LOCK, timeout=0)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise TrainingError(
                f"{self.root}: another `emer train` is working in this folder right now. Wait until it has ended, or "
                "choose another --out."
            ) from None
        except (OSError, NotImplementedError) as error:
            raise TrainingError(
                f"{self.root}: cannot be written and locked ({error}). Choose an --out on another disk."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def prepare(self, config: dict[str, Any], *, overwrite: bool) -> None:
        """Begin a run in the folder, or go on in it if it is the same run; call it within `lock`.

        Raises
        ------
        UsageError
            If the folder holds something else, or a run with other settings that has come to
            more than a log, and `overwrite` was not asked for.
        """
        if self._holds_run():
            before = self.config()
            differing = [key for key in ("settings", "export") if _identity(before, key) != _identity(config, key)]
            if not differing and not overwrite:
                return
            if not overwrite and not self._only_begun():
                raise UsageError(
                    f"--out {self.root}: holds a run with other {' and '.join(differing)}"
                    f"{_differences(before, config)}. Choose another folder, or pass --force to replace that run; "
                    "--force removes what `emer train` wrote and leaves other files."
                )
            # The old settings stay until the new ones take their place: a kill between leaves a run.
            self._clear()
        write_json(self.config_path, config)

    def clear_fold(self, fold: int) -> None:
        """Make a fold's folder, without what an unfinished training left in it."""
        folder = self.fold(fold)
        _remove(folder, _FOLD_FILES)
        folder.mkdir(parents=True, exist_ok=True)

    def _holds_run(self) -> bool:
        """Tell whether there is a run to go on with; refuse a folder of something else."""
        if self.root.exists() and not self.root.is_dir():
            raise UsageError(f"--out {self.root}: is a file. Choose a folder.")
        if self.config_path.is_file():
            self.config()
            return True
        # A kill before the first file is whole leaves the lock and the half of it.
        if self.root.is_dir() and {_whole(p.name) for p in self.root.iterdir()} - {_LOCK, "config.json"}:
            raise UsageError(f"--out {self.root}: the folder holds other files. Choose an empty or a new one.")
        return False

    def _only_begun(self) -> bool:
        """Tell whether there is nothing but settings and a log: no checkpoint, no file of the user."""
        files = [p for p in self.root.rglob("*") if not p.is_dir()]
        return all(p.parent == self.root and _whole(p.name) in (_LOCK, *_BEGUN) for p in files)

    def _clear(self) -> None:
        """Remove what a run wrote except its settings, the mark of a finished fold first, and nothing else."""
        for folder in self._fold_folders():
            _remove(folder, ("fold.json",))
            _remove(folder, _FOLD_FILES)
            _remove_if_empty(folder)
        _remove_if_empty(self.root / "folds")
        _remove(self.root, _RUN_FILES)

    def _fold_folders(self) -> list[Path]:
        """Return the folders of folds; a copy such as fold-0-old is the user's."""
        return [p for p in self.root.glob("folds/fold-*") if p.is_dir() and p.name.partition("-")[2].isdecimal()]


def _whole(name: str) -> str:
    """Return the name that a half-written file should have got; other names as they are."""
    match = _PARTIAL.fullmatch(name)
    return match["name"] if match else name


def _remove(folder: Path, names: tuple[str, ...]) -> None:
    """Remove files of these names, half-written ones too."""
    for path in list(folder.iterdir()) if folder.is_dir() else []:
        if _whole(path.name) in names and path.is_file():
            try:
                path.unlink()
            except OSError as error:
                raise TrainingError(f"{path} cannot be removed: {error.strerror}. Choose another --out.") from error


def _remove_if_empty(folder: Path) -> None:
    """Remove a folder unless something is left in it."""
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _identity(config: dict[str, Any], key: str) -> Any:
    """Return the part of a configuration that makes two runs the same; an export may have moved."""
    return config.get("export", {}).get("manifest_sha256") if key == "export" else config.get(key)


def _differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Name the settings that differ."""
    old, new = before.get("settings", {}), now["settings"]
    names = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    return f" ({', '.join(f'{key}: {old.get(key)} there, {new.get(key)} now' for key in names)})" if names else ""
