"""What the verbs of the model side say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from data_schema.errors import UsageError


def talk(sentence: str) -> None:
    """Say something on standard error."""
    typer.echo(sentence, err=True)


def require_folder(path: Path, what: str) -> None:
    """Refuse a path that is no folder.

    Raises
    ------
    UsageError
    """
    if not path.is_dir():
        raise UsageError(f"{what} {path}: there is no such folder.")


def short_target(summary: dict[str, Any]) -> dict[str, Any]:
    """Keep of a target's figures what fits a screen."""
    keys = ("pooled", "mean_of_folds", "intervals", "agreeing", "agreeing_intervals", "masked", "masked_intervals")
    short = {key: summary[key] for key in keys if key in summary}
    if "calibration" in summary:
        found = summary["calibration"]
        short["calibration"] = {"temperatures": found["temperatures"]} | {
            side: {name: value for name, value in found[side].items() if name not in ("intervals", "reliability")}
            for side in ("before", "after")
        }
    return short


def figures_table(targets: dict[str, Any]) -> str:
    """Lay out the figures of each target, over all clips and apart for agreeing and masked ones, as text."""
    lines = []
    for name, summary in targets.items():
        for part in ("pooled", "agreeing", "masked"):
            shown = "  ".join(
                f"{key} {value:.3f}" if value is not None else f"{key} undefined"
                for key, value in summary[part].items()
                if not key.startswith("n_")
            )
            lines.append(f"{name:<14} {part:<9} n {int(summary[part]['n_clips']):>5}  {shown}")
    return "\n".join(lines)
