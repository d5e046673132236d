"""Train and fit a list of models with the same folds, clips and seeds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_schema.errors import TrainingError, UsageError
from emer_model.registry import DEFAULT_MODEL, MODELS, find_model, is_network
from emer_model.training import RunConfig, RunFolder, train
from emer_model.training.idle import unused_settings

_log = logging.getLogger(__name__)

#: Told how much is done, of how much, and a sentence.
Progress = Callable[[int, int, str], None]
#: Told a sentence that the user should read.
Tell = Callable[[str], None]

#: What a paper compares, from the answer that needs no model to ours; the reference with its
#: quirks takes hours and is asked for by name.
SUITE: tuple[str, ...] = tuple(name for name in MODELS if name != "emert-reference")


@dataclass
class SuiteRuns:
    """What came of a suite.

    Parameters
    ----------
    runs : dict of str to list of Path
        By model, one run folder a seed.
    failed : dict of str to str
        Models that could not be trained, and why.
    """

    runs: dict[str, list[Path]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def folders(self) -> list[Path]:
        """All run folders, model by model."""
        return [path for paths in self.runs.values() for path in paths]


def choose_models(text: str) -> tuple[str, ...]:
    """Read ``all``, ``fitted``, ``networks`` or names with commas between; the default model is always among them.

    Raises
    ------
    UsageError
        If there is no such model.
    """
    groups = {
        "all": SUITE,
        "fitted": tuple(name for name in SUITE if not is_network(name) and "epochs" not in find_model(name).defaults),
        "networks": tuple(name for name in SUITE if is_network(name)),
    }
    chosen: list[str] = []
    for word in (part.strip() for part in text.split(",") if part.strip()):
        if word not in groups:
            find_model(word)
        chosen += groups.get(word, (word,))
    if not chosen:
        raise UsageError("--models: name at least one model; `emer models` lists them.")
    named = {*chosen, DEFAULT_MODEL}
    return tuple(name for name in MODELS if name in named)


def run_suite(
    export: Path,
    out: Path,
    models: Sequence[str],
    protocol: str,
    *,
    seeds: Sequence[int] = (0,),
    folds: str = "all",
    device: str = "auto",
    threads: int | None = None,
    workers: int = 1,
    scheduler: str = "",
    overwrite: bool = False,
    progress: Progress | None = None,
    tell: Tell | None = None,
    **settings: Any,
) -> SuiteRuns:
    """Train each model for each seed in a run folder of its own; what is finished is kept.

    A model that fails does not stop the others.

    Parameters
    ----------
    export, out : Path
        The training export, and the folder of the run folders.
    models : sequence of str
    protocol : str
        Names of protocols with commas between, or all.
    seeds : sequence of int
    folds, device, threads, workers, scheduler, overwrite
        As of `emer_model.training.train`.
    progress, tell : callable, optional
    settings
        Further fields of `RunConfig`, for all models.

    Raises
    ------
    UsageError
        If a setting cannot be.
    """
    found = SuiteRuns()
    total = len(models) * len(seeds)
    configs = [_config(protocol, model, seed, settings) for model in models for seed in seeds]
    for position, config in enumerate(configs):
        model, seed = config.model, config.seed
        name = model if len(seeds) == 1 else f"{model}_seed-{seed}"

        def said(done: int, of: int, sentence: str, begun: int = position, name: str = name) -> None:
            if progress is not None:
                progress(begun * 100 + (100 * done) // max(of, 1), total * 100, f"{name}: {sentence}")

        try:
            train(
                export, out / name, config, folds=folds, device=device, threads=threads, overwrite=overwrite,
                workers=workers, scheduler=scheduler, progress=said, tell=None,
            )  # fmt: skip
        except TrainingError as error:
            found.failed[name] = str(error)
            if tell is not None:
                tell(f"{name} failed: {error}")
            continue
        found.runs.setdefault(model, []).append(out / name)
        if tell is not None:
            for note in RunFolder(out / name).notes(RunFolder(out / name).state(), export):
                tell(note)
    return found


def _config(protocol: str, model: str, seed: int, settings: dict[str, Any]) -> RunConfig:
    """Return the settings of a model: those for all, without what does nothing for it, so that its run is not another one."""
    config = RunConfig.of(protocol, model, seed=seed, **settings)
    used = {name: value for name, value in settings.items() if name not in unused_settings(config)}
    return RunConfig.of(protocol, model, seed=seed, **used)
