"""The folder of a run: what is where, and whether it may be written.

::

    RUN/config.json             settings, export, versions: all that a second machine needs
    RUN/folds.json              participants of each part of each fold
    RUN/log.txt
    RUN/folds/fold-0/           best.safetensors, last.safetensors, predictions.parquet,
                                curves.csv, fold.json (written last: the fold is finished)
    RUN/predictions.parquet     test predictions of all finished folds
    RUN/curves.csv              all finished folds
    RUN/metrics.json
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from data_schema.errors import TrainingError, UsageError
from emer_model.training.config import RunConfig
from emer_model.training.files import read_json, write_json

FORMAT = "emer-run"
FORMAT_VERSION = "1.0"


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
        return sorted(int(p.parent.name.partition("-")[2]) for p in self.root.glob("folds/fold-*/fold.json"))

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

    def prepare(self, config: dict[str, Any], *, overwrite: bool) -> None:
        """Make the folder, or go on in it if it is the same run.

        Raises
        ------
        UsageError
            If the folder holds something else, or a run with other settings and a finished
            fold, and `overwrite` was not asked for. Only a run folder is ever overwritten.
        """
        if self.root.exists() and not self.root.is_dir():
            raise UsageError(f"--out {self.root}: is a file. Choose a folder.")
        occupied = self.root.is_dir() and any(self.root.iterdir())
        if occupied and not self.config_path.is_file():
            raise UsageError(f"--out {self.root}: the folder holds other files. Choose an empty or a new one.")
        if occupied:
            before = self.config()
            differing = [key for key in ("settings", "export") if _identity(before, key) != _identity(config, key)]
            if not differing and not overwrite:
                return
            if self.finished_folds() and not overwrite:
                raise UsageError(
                    f"--out {self.root}: holds a run with other {' and '.join(differing)}"
                    f"{_differences(before, config)}. Choose another folder, or pass --force to replace that run."
                )
            shutil.rmtree(self.root)
        self.root.mkdir(parents=True, exist_ok=True)
        write_json(self.config_path, config)


def _identity(config: dict[str, Any], key: str) -> Any:
    """Return the part of a configuration that makes two runs the same; an export may have moved."""
    return config.get("export", {}).get("manifest_sha256") if key == "export" else config.get(key)


def _differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Name the settings that differ."""
    old, new = before.get("settings", {}), now["settings"]
    names = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    return f" ({', '.join(f'{key}: {old.get(key)} there, {new.get(key)} now' for key in names)})" if names else ""
