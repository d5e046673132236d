"""The folder of a run: what is where, and whether it may be written.

::

    RUN/config.json             settings, export, versions: all that a second machine needs
    RUN/folds.json              clips of each part of each fold
    RUN/log.txt
    RUN/backbone.safetensors    weights that the face backbone began with, where the user named some
    RUN/run.lock                empty; held by the system while a process trains here
    RUN/folds/fold-0/           best.safetensors, last.safetensors (of networks), predictions.parquet
                                (test clips), validation.parquet (for calibration), curves.csv,
                                fold.json (written last, with the hashes of the others: the fold
                                is finished while they match); state.pt while it is trained
    RUN/predictions.parquet     test predictions of all finished folds, for the user; the
                                toolkit itself reads those of the folds
    RUN/tensorboard/fold-0/     the curves for TensorBoard
    RUN/model_card.md           what the run is, for people: the model card
    RUN/curves.csv              all finished folds
    RUN/metrics.json
    RUN/understanding/          what `emer explain` found: tables, and explained.json, written last

Only these files are ever removed. Anything else that lies here is the user's and stays.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from data_schema.errors import TrainingError, UsageError
from data_schema.study.folder import WITHDRAWN_NAME
from emer_model.training.config import RunConfig
from emer_model.training.files import read_json, write_json
from emer_model.training.resume import STATE_NAME
from emer_model.training.run_state import BEST, LAST, RECORD, VALIDATION, RunState, find_damage, train_command
from emer_model.training.tensorboard import FOLDER as TENSORBOARD
from emer_model.training.tensorboard import clear as clear_tensorboard

FORMAT = "emer-run"
FORMAT_VERSION = "2.0"

#: What the run is, for people.
MODEL_CARD = "model_card.md"

#: How far a fold is that another process trains.
PROGRESS_NAME = "progress.json"

_LOCK = "run.lock"

#: What a run holds before it has learned anything.
_BEGUN = ("config.json", "folds.json", "log.txt", "backbone.safetensors")
_RUN_FILES = (
    "folds.json",
    "log.txt",
    "backbone.safetensors",
    "predictions.parquet",
    "curves.csv",
    "metrics.json",
    MODEL_CARD,
)
_FOLD_FILES = (BEST, LAST, "predictions.parquet", VALIDATION, "curves.csv", RECORD)

#: Where `emer explain` writes, the file that says what it wrote, and its tables.
UNDERSTANDING = "understanding"
EXPLAINED = "explained.json"
UNDERSTANDING_TABLES = (
    "ablations.csv",
    "missing.csv",
    "attention.csv",
    "attribution.csv",
    "attribution_clips.parquet",
    "participants.csv",
    "stimuli.csv",
    "eye_data.csv",
    "classes.csv",
    "gap_clips.csv",
)

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

    def tensorboard(self, fold: int) -> Path:
        """Return where a fold's logs for TensorBoard are."""
        return self.root / TENSORBOARD / f"fold-{fold}"

    @property
    def understanding(self) -> Path:
        """Return where `emer explain` writes."""
        return self.root / UNDERSTANDING

    def state(self) -> RunState:
        """Find out which folds are finished; hashes their files.

        Raises
        ------
        TrainingError
            If this is no run folder.
        """
        finished, damaged = [], {}
        for folder in sorted(self._fold_folders(), key=_number):
            if (folder / RECORD).is_file():
                damage = find_damage(folder)
                if damage:
                    damaged[_number(folder)] = damage
                else:
                    finished.append(_number(folder))
        planned = self.config()["export"].get("n_folds")
        if planned is None:  # a run of an older toolkit
            planned = len(read_json(self.folds_path))
        return RunState(int(planned), tuple(finished), damaged)

    def finished_folds(self) -> list[int]:
        """Return the numbers of the folds that are finished; hashes their files."""
        return list(self.state().finished)

    def fold_records(self, folds: Sequence[int]) -> list[dict[str, Any]]:
        """Read ``fold.json`` of finished folds."""
        return [read_json(self.fold(k) / RECORD) for k in folds]

    def fold_predictions(self, folds: Sequence[int]) -> pd.DataFrame:
        """Read the test predictions of finished folds from the folds' own files."""
        tables = [pd.read_parquet(self.fold(k) / "predictions.parquet") for k in folds]
        return pd.concat(tables, ignore_index=True)

    def fold_validation(self, folds: Sequence[int]) -> pd.DataFrame:
        """Read the predictions on the validation clips of finished folds: to calibrate by, never to judge by."""
        return pd.concat([pd.read_parquet(self.fold(k) / VALIDATION) for k in folds], ignore_index=True)

    def fold_curves(self, folds: Sequence[int]) -> pd.DataFrame:
        """Read the curves of finished folds from the folds' own files."""
        return pd.concat([pd.read_csv(self.fold(k) / "curves.csv") for k in folds], ignore_index=True)

    def merged_difference(self, state: RunState) -> str:
        """Say how ``RUN/predictions.parquet`` contradicts the finished folds; empty if it does not.

        One that lacks a fold, or is not there, is no contradiction: a kill may come before it is written.
        """
        path = self.predictions_path
        if not path.is_file():
            return ""
        try:
            merged = pd.read_parquet(path)
            present = set(merged["fold"].unique().tolist())
        except (OSError, ValueError, KeyError) as error:
            return f"{path} cannot be read ({str(error).splitlines()[0]})"
        for k in state.finished:
            own = self.fold_predictions([k])
            rows = merged[merged["fold"] == k].reindex(columns=own.columns).reset_index(drop=True)
            if k in present and not rows.equals(own):
                return f"{path} differs from the predictions of fold {k} in {self.fold(k)}"
        # A fold that is being trained again may still be in the merged table.
        unknown = sorted(present - {_number(folder) for folder in self._fold_folders()})
        return f"{path} has predictions of fold {unknown[0]}, which was never trained" if unknown else ""

    def merged_lacks(self, state: RunState) -> str:
        """Say which finished folds ``RUN/predictions.parquet`` lacks; empty if none, or if it contradicts them."""
        if self.predictions_path.is_file() and not self.merged_difference(state):
            present = set(pd.read_parquet(self.predictions_path, columns=["fold"])["fold"])
            lacking = [str(k) for k in state.finished if k not in present]
            if lacking:
                return f"{self.predictions_path} differs: it lacks fold {', '.join(lacking)}"
        return ""

    def export_path(self) -> Path:
        """Return where the run's export lies; a relative place counts from the run."""
        return Path(os.path.normpath(self.root.resolve() / self.config()["export"]["path"]))

    def command(self, export: Path | None = None) -> str:
        """Return the `emer train` command that goes on with this run, on its export or where that is now."""
        export, here = export or self.export_path(), Path.cwd()
        if here in export.parents:
            export = export.relative_to(here)
        return train_command(self.root, export, self.run_config())

    def withdrawn(self, export: Path | None = None) -> str:
        """Say that somebody whose data the run learnt from has withdrawn, and what to do; empty if nobody has."""
        if not (self.root / WITHDRAWN_NAME).is_file():
            return ""
        return (
            f"{self.root}: somebody whose data this run learnt from, or was tested on, has withdrawn ({WITHDRAWN_NAME}). Do not "
            f"use or publish it; train again: {self.command(export)} --force"
        )

    def notes(self, state: RunState, export: Path | None = None) -> list[str]:
        """Say what a reader of this run's figures has to know.

        Parameters
        ----------
        state : RunState
            What `state` said.
        export : Path, optional
            Where the export is now; for the commands that are suggested.

        Returns
        -------
        list of str
            On somebody who withdrew, on folds that lack or are damaged, and on a merged table that differs; often empty.
        """
        command, withdrawn = self.command(export), self.withdrawn(export)
        notes = [withdrawn] if withdrawn else []
        if not state.complete:
            alone = " The figures are those of the finished folds alone." if state.finished else ""
            notes.append(f"{self.root}: {state.count} folds finished; run `{command}` again to go on.{alone}")
        notes += [
            f"{self.root}: fold {k} is damaged: {damage}. It is left out; `{command} --folds {k}` trains it again."
            for k, damage in state.damaged.items()
        ]
        difference = self.merged_difference(state) or self.merged_lacks(state)
        if difference:
            notes.append(f"{difference}. The figures come from the folds' own files; `{command}` writes it again.")
        return notes

    def require_finished(self, state: RunState, export: Path | None = None) -> None:
        """Refuse a run without any finished fold.

        Raises
        ------
        TrainingError
            Saying what is damaged and how to go on.
        """
        if not state.finished:
            raise TrainingError("\n".join(self.notes(state, export)))

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
                "Train again into another folder, or use the version of emer-toolkit that config.json names."
            )
        if not isinstance(config.get("settings"), dict) or "manifest_sha256" not in (config.get("export") or {}):
            raise TrainingError(
                f"{self.config_path} is damaged: it does not say the settings or the export of the run. Copy the run folder "
                "again, or train again into another one."
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
        except (KeyError, TypeError, UsageError) as error:
            raise TrainingError(
                f"{self.config_path}: the settings are not those of a run ({str(error).rstrip('.')}). Copy the run folder again, "
                "or train again into another one."
            ) from error

    def predictions(self) -> pd.DataFrame:
        """Read the test predictions of the finished folds, each from its own checked file.

        Raises
        ------
        TrainingError
            If no fold is finished.
        """
        state = self.state()
        self.require_finished(state)
        return self.fold_predictions(state.finished)

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
        existed = self.root.is_dir()
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
            self._remove_if_nothing_began(folder_too=not existed)

    def check(self, config: dict[str, Any], *, overwrite: bool) -> bool:
        """Tell whether there is a run to go on with, and change nothing.

        Raises
        ------
        UsageError
            If the folder holds something else, or a run with other settings that has come to
            more than a log, and `overwrite` was not asked for.
        """
        if not self._holds_run():
            return False
        before = self.config()
        differing = [key for key in ("settings", "export") if _identity(before, key) != _identity(config, key)]
        if differing and not overwrite and not self._only_begun():
            raise UsageError(
                f"--out {self.root}: holds a run with other {' and '.join(differing)}"
                f"{_differences(before, config)}. Choose another folder, or pass --force to replace that run; "
                "--force removes what `emer train` wrote and leaves other files."
            )
        return not differing and not overwrite

    def prepare(self, config: dict[str, Any], *, overwrite: bool) -> None:
        """Begin a run in the folder, or go on in it if it is the same run; call it within `lock`.

        Raises
        ------
        UsageError
            As `check`.
        """
        if self.check(config, overwrite=overwrite):
            return
        # The old settings stay until the new ones take their place: a kill between leaves a run.
        self._clear()
        write_json(self.config_path, config)

    def abandon(self) -> None:
        """Remove a run that failed before it learned anything; one with a checkpoint stays. Call it within `lock`."""
        for folder in self._fold_folders():
            _remove_if_empty(folder)
        _remove_if_empty(self.root / "folds")
        if self._only_begun():
            self._clear()
            _remove(self.root, ("config.json",))

    def begin_fold(self, fold: int) -> None:
        """Make a fold's folder, without what an unfinished training left in it but the state to go on from."""
        folder = self.fold(fold)
        _remove(folder, _FOLD_FILES)
        if not (folder / STATE_NAME).is_file():
            clear_tensorboard(self.tensorboard(fold))
        folder.mkdir(parents=True, exist_ok=True)

    def _remove_if_nothing_began(self, *, folder_too: bool) -> None:
        """Remove the lock, and the folder if it was made for it, where no run came of it."""
        if self.root.is_dir() and {p.name for p in self.root.iterdir()} <= {_LOCK}:
            # Another process may just have taken them over; then they are its own.
            with suppress(OSError):
                (self.root / _LOCK).unlink(missing_ok=True)
                if folder_too:
                    self.root.rmdir()

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
            _remove(folder, (RECORD,))
            _remove(folder, (*_FOLD_FILES, STATE_NAME, PROGRESS_NAME))
            _remove_if_empty(folder)
        _remove_if_empty(self.root / "folds")
        for folder in self.root.glob(f"{TENSORBOARD}/fold-*"):
            clear_tensorboard(folder)
        _remove_if_empty(self.root / TENSORBOARD)
        _remove(self.understanding, (EXPLAINED, *UNDERSTANDING_TABLES))
        _remove_if_empty(self.understanding)
        _remove(self.root, _RUN_FILES)

    def _fold_folders(self) -> list[Path]:
        """Return the folders of folds; a copy such as fold-0-old is the user's."""
        return [p for p in self.root.glob("folds/fold-*") if p.is_dir() and p.name.partition("-")[2].isdecimal()]


def _number(folder: Path) -> int:
    """Return the number in the name of a fold's folder."""
    return int(folder.name.partition("-")[2])


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
