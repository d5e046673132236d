"""Read what `emer explain` wrote, if it is still about the models that the run has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from data_schema.errors import TrainingError
from emer_model.training.files import read_json
from emer_model.training.run_folder import EXPLAINED, RunFolder
from emer_model.training.run_state import BEST

FORMAT = "emer-explanation"
#: Grows by whole numbers when older readers could misunderstand it.
FORMAT_VERSION = "1.0"


@dataclass(frozen=True)
class Explained:
    """An explanation of a run.

    Parameters
    ----------
    folder : Path
    said : dict
        ``explained.json``.
    """

    folder: Path
    said: dict[str, Any]

    def part(self, name: str) -> dict[str, Any] | None:
        """Return what is said of a part, or None if it was not explained."""
        found: dict[str, Any] | None = self.said["parts"].get(name)
        return found

    def table(self, name: str) -> pd.DataFrame | None:
        """Read a table by the name of its file; None if there is none."""
        listed = {table for part in self.said["parts"].values() for table in part["tables"]}
        path = self.folder / name
        if name not in listed or not path.is_file():
            return None
        # Text columns hold class names; none of them is a missing value.
        return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, keep_default_na=True)

    def outdated(self, run: RunFolder, finished: Sequence[int]) -> bool:
        """Tell whether the run has other models than those that were explained."""
        return bool(self.said.get("checkpoints") != checkpoints(run, finished))


def checkpoints(run: RunFolder, folds: Sequence[int]) -> dict[str, str]:
    """Return the hash of each fold's checkpoint, as the fold's record says it."""
    records = dict(zip(folds, run.fold_records(folds), strict=True))
    return {str(fold): str(record["sha256"][BEST]) for fold, record in records.items()}


def read_explained(run: RunFolder) -> Explained | None:
    """Read what was explained of a run; None if nothing was, or not to the end."""
    path = run.understanding / EXPLAINED
    if not path.is_file():
        return None
    said = read_json(path)
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        raise TrainingError(
            f"{path} is no explanation of this toolkit. Move it away, or run `emer explain {run.root}`."
        )
    if str(said.get("format_version", "")).split(".")[0] != FORMAT_VERSION.split(".")[0]:
        raise TrainingError(
            f"{path} has format {said.get('format_version')}, this toolkit reads {FORMAT_VERSION}. Run `emer explain "
            f"{run.root}` again."
        )
    return Explained(run.understanding, said)
