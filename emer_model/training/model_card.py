"""The model card of a run: what it is, how well it does, what it is not for, and how to repeat it.

References
----------
Mitchell et al. (2019), "Model Cards for Model Reporting", FAT*, section 4: its headings.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection
from typing import Any

from data_schema.exports.protocols import PROTOCOLS
from emer_model.registry import find_model, is_network
from emer_model.training.config import RunConfig
from emer_model.training.files import write_atomically
from emer_model.training.idle import unused_settings
from emer_model.training.run_folder import MODEL_CARD, RunFolder

_SIMULATED = """> **Simulated.** The clips of this run were made by a program, not recorded from people. Its figures say
> whether the software works. They say nothing about people, and no result about people may rest on them.

"""

_LIMITS = """- For research on emotion recognition. What it answers is a guess about how people rated clips, not a measurement of
  what somebody feels.
- It is no diagnosis and must not be used for decisions about persons: in medicine, employment, education, policing or
  the like.
- It knows participants, stimuli, cameras and eye trackers like those of its export. Anything else is outside of what
  was tested.
- Labels are opinions of raters. Where these differ by culture, age or acquaintance, so do the answers.
- Licences and consents of the recordings bind whatever was learned from them: ask before you pass it on.
"""


def write_model_card(run: RunFolder, metrics: dict[str, Any]) -> None:
    """Write the model card of a run from its ``config.json`` and what ``metrics.json`` holds.

    Raises
    ------
    TrainingError
        If it cannot be written.
    """
    write_atomically(run.root / MODEL_CARD, model_card(run, metrics).encode("utf-8"))


def model_card(run: RunFolder, metrics: dict[str, Any]) -> str:
    """Return the model card of a run, in Markdown."""
    config, settings = run.config(), run.run_config()
    export = config["export"]
    software = {**config["versions"], **config["machine"]}
    idle = unused_settings(settings)
    return f"""# {settings.model}: {", ".join(settings.protocols)}

{_SIMULATED if metrics["simulated"] else ""}`{settings.model}`: {find_model(settings.model).summary_line.rstrip(".")}.

## What it was trained for

{"".join(f"- `{name}`: {PROTOCOLS[name].meaning}{chr(10)}" for name in settings.protocols)}
## Data

Training export of *{export.get("study_title") or "a study without a title"}*{_simulated(metrics)}; SHA-256 of its
manifest `{export["manifest_sha256"]}`. {len(metrics["finished_folds"])} of {metrics["n_folds"]} folds of the scheme
`{settings.scheme}`; `folds.json` has the clips of each part. Training, validation and test clips of a fold are disjoint; the
test clips chose nothing.{_refitted(settings)}

{_clips(metrics["folds"])}
## Figures

Over the test clips of all finished folds{_simulated(metrics)}, with 95 % intervals over participants. `metrics.json` has more,
`predictions.parquet` the single answers.

{_figures(metrics["targets"])}
## Intended use and limits

{_LIMITS}
## Settings and versions

{_rows(("Setting", "Value"), [(f"`{key}`", f"`{value}`") for key, value in settings.as_json().items() if key not in idle])}
{_idle(idle)}{_rows(("Software and machine", ""), [(name, str(value)) for name, value in software.items()])}
## Load it

```python
from pathlib import Path

from emer_model.training import load_checkpoint

checkpoint = load_checkpoint(Path("folds/fold-{metrics["finished_folds"][0]}/best.safetensors"))
checkpoint.model, checkpoint.info.targets, checkpoint.normalisation
```

Checkpoints hold numbers and a description, and nothing that could run. `emer predict` asks them about clips.

## Repeat it

On any machine with this folder and the export, in the versions above:

```sh
{_repeat(run)}
```

On the same kind of machine, with the same versions and threads, every bit is the same; elsewhere the last digits may differ.
`emer evaluate` predicts again from the checkpoints here.
"""


def _simulated(metrics: dict[str, Any]) -> str:
    """Say it wherever a reader may begin."""
    return " (simulated)" if metrics["simulated"] else ""


def _refitted(settings: RunConfig) -> str:
    """Say that a fitted model was fitted to the validation clips as well."""
    if is_network(settings.model) or not settings.refit:
        return ""
    return (
        " The model needs no clips to stop by, so what is stored was fitted to the training and the validation clips together; "
        "its calibration rests on answers to clips that the answering model had not seen."
    )


def _idle(names: Collection[str]) -> str:
    """Name the settings that do nothing for the model."""
    return f"For this model these do nothing: {', '.join(f'`{name}`' for name in names)}.\n\n" if names else ""


def _repeat(run: RunFolder) -> str:
    """Return the command that repeats a run on another machine."""
    return shlex.join(["emer", "train", "EXPORT", "--like", run.root.name, "--out", f"{run.root.name}_again"])


def _clips(folds: list[dict[str, Any]]) -> str:
    """Lay out how many clips each fold had."""
    rows = [
        (str(f["fold"]), *(str(f["clips"][part]) for part in ("train", "validation", "test")), str(f.get("best_epoch", "-")))
        for f in folds
    ]  # fmt: skip
    return _rows(("Fold", "Training clips", "Validation", "Test", "Best epoch"), rows)


def _figures(targets: dict[str, Any]) -> str:
    """Lay out the pooled figures of all targets."""
    rows = []
    for name, summary in targets.items():
        for metric, value in summary["pooled"].items():
            if metric.startswith("n_"):
                continue
            bounds = summary["intervals"].get(metric)
            rows.append(
                (
                    f"`{name}`",
                    metric,
                    _number(value),
                    f"{_number(bounds['low'])} to {_number(bounds['high'])}" if bounds else "",
                    str(int(summary["pooled"]["n_clips"])),
                )
            )
    return _rows(("Target", "Figure", "Value", "Interval", "Clips"), rows)


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _rows(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Lay out a Markdown table."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
