"""Repeat a run elsewhere: the settings of one run for another."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_schema.errors import UsageError
from emer_model.training.config import RunConfig
from emer_model.training.environment import versions
from emer_model.training.faces import BACKBONE, Tell
from emer_model.training.run_folder import RunFolder
from emer_model.training.runner import manifest_sha256

#: Of these, other versions may change the last digits of what is learned.
_MATTER = ("emer-toolkit", "torch", "numpy", "scikit-learn")


def settings_like(run: RunFolder, export: Path, given: Mapping[str, Any], tell: Tell) -> tuple[RunConfig, int | None]:
    """Return the settings of a run, changed by what is given, and the threads that it used.

    Parameters
    ----------
    run : RunFolder
        The run to repeat; its folds need not be there.
    export : Path
        The export to train on.
    given : mapping
        Settings by name that shall be others; None counts as not given.
    tell : callable
        Told in what this machine, or the export, differs from the run's.

    Raises
    ------
    UsageError
        If the model shall be another one: its settings would not be the run's.
    TrainingError
        If this is no run folder.
    """
    config, settings = run.config(), run.run_config()
    changes = {name: value for name, value in given.items() if value is not None}
    if changes.pop("model", settings.model) != settings.model:
        raise UsageError(f"--like {run.root} is a run of '{settings.model}'. Leave --model out, or leave --like out.")
    if "model_arguments" in changes:  # what is said changes single arguments, too
        changes["model_arguments"] = {**settings.model_arguments, **changes["model_arguments"]}
    if settings.face_weights and "face_weights" not in changes:
        kept = run.root / BACKBONE  # a file of the same name may be another one by now
        if kept.is_file():
            changes["face_weights"] = str(kept)
        elif not Path(settings.face_weights).is_file():
            raise UsageError(
                f"--like {run.root}: its backbone began with {settings.face_weights}, which is not here. Give the file with "
                "--face-weights."
            )
    if manifest_sha256(export) != config["export"]["manifest_sha256"]:
        tell(
            f"{export} is not the export that {run.root} was trained on (its manifest differs): the figures will differ, too."
        )
    here, there = versions(), config.get("versions", {})
    other = [
        f"{name} {there[name]} there, {here[name]} here"
        for name in _MATTER
        if name in there and there[name] != here[name]
    ]
    if other:
        tell(f"The last digits may differ from {run.root}: {'; '.join(other)}.")
    threads = config.get("machine", {}).get("threads")
    return dataclasses.replace(settings, **changes), int(threads) if threads else None
