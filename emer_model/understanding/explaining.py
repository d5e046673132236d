"""Explain a run: ask its models again in other ways, and write what came of it beside the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from data_schema.errors import UsageError
from emer_model.evaluation.gap import masked_clips
from emer_model.evaluation.summary import without_nan
from emer_model.training.environment import deterministic, limited_threads
from emer_model.training.files import write_csv, write_json, write_parquet
from emer_model.training.opened import OpenedRun
from emer_model.training.run_folder import EXPLAINED, UNDERSTANDING_TABLES, RunFolder
from emer_model.understanding.asking import ask_folds
from emer_model.understanding.attention import attention_table
from emer_model.understanding.attribution_tables import CLIPS, attribution_tables
from emer_model.understanding.emotion_gap import gap_tables
from emer_model.understanding.groups import group_tables
from emer_model.understanding.losses import ABLATIONS, CURVES, steps
from emer_model.understanding.missing import ablations, missing_curves
from emer_model.understanding.reading import FORMAT, FORMAT_VERSION, checkpoints, read_explained

#: What can be asked for, with the tables that each part writes.
PARTS: dict[str, tuple[str, ...]] = {
    "ablations": ("ablations.csv",),
    "missing": ("missing.csv",),
    "attention": ("attention.csv",),
    "attribution": ("attribution.csv", "attribution_clips.parquet"),
    "groups": ("participants.csv", "stimuli.csv", "eye_data.csv", "classes.csv"),
    "gap": ("gap_clips.csv",),
}

Progress = Callable[[int, int, str], None]
Tell = Callable[[str], None]


def explain(
    run: RunFolder,
    export_path: Path | None = None,
    *,
    parts: Sequence[str] = tuple(PARTS),
    n_clips: int = CLIPS,
    seed: int = 0,
    other: RunFolder | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """Explain a run by its test clips, each judged by the model of the fold that never learned from its participant.

    All parts are computed before anything is written; ``explained.json`` is removed first and written last, so that no
    reader takes an unfinished explanation for a whole one. Parts that were explained before are kept while the
    checkpoints are the same.

    Parameters
    ----------
    run : RunFolder
    export_path : Path, optional
        Where the export is now; the run knows where it was.
    parts : sequence of str
        Of `PARTS`.
    n_clips : int
        Test clips whose answers are attributed.
    seed : int
        Of what is lost in the curves, of the sample of clips, and of sampled Shapley values.
    other : RunFolder, optional
        A run that answers the other task, for the gap.
    device : str
    progress, tell : callable, optional

    Returns
    -------
    dict
        ``explained.json``.

    Raises
    ------
    UsageError
        If there is no such part.
    TrainingError
        If the run cannot be opened, or `other` is of another export.
    """
    unknown = [name for name in parts if name not in PARTS]
    if unknown or not parts:
        raise UsageError(f"--parts {','.join(unknown)}: expected some of {', '.join(PARTS)}.")
    state = run.state()
    with OpenedRun(run, export_path, device=device, state=state, tell=tell) as opened:
        for note in run.notes(state, opened.path) if tell is not None else ():
            tell(note)
        asked = _Count(opened, parts, progress)
        with deterministic(), limited_threads(opened.threads):
            masked = masked_clips(opened.export.targets)
            found = {name: _PART[name](opened, masked, asked, n_clips, seed, other) for name in PARTS if name in parts}
    tables = {name: table for made, _ in found.values() for name, table in made.items()}
    said = {name: about for name, (_, about) in found.items()}
    own = checkpoints(run, state.finished)
    before = read_explained(run)
    if before is not None and before.said.get("checkpoints") == own:
        kept = {name: about for name, about in before.said["parts"].items() if name not in said}
    else:
        kept = {}
    result = without_nan(
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "model": opened.settings.model,
            "protocols": list(opened.settings.protocols),
            "checkpoints": own,
            "parts": {name: (kept | said)[name] for name in PARTS if name in kept | said},
        }
    )
    _write(run, tables, result)
    return result


def _write(run: RunFolder, tables: dict[str, pd.DataFrame], result: dict[str, Any]) -> None:
    """Write the tables, and then what says so; remove tables of parts that are no longer explained."""
    folder = run.understanding
    (folder / EXPLAINED).unlink(missing_ok=True)
    listed = {name for part in result["parts"].values() for name in part["tables"]}
    for name in UNDERSTANDING_TABLES:
        if name not in listed:
            (folder / name).unlink(missing_ok=True)
    for name, table in tables.items():
        (write_parquet if name.endswith(".parquet") else write_csv)(folder / name, table)
    write_json(folder / EXPLAINED, result)


class _Count:
    """Counts what has been asked, and asks for the whole clips once."""

    def __init__(self, opened: OpenedRun, parts: Sequence[str], progress: Progress | None) -> None:
        sizes = {"ablations": len(ABLATIONS), "missing": len(list(steps())), "attribution": len(opened.finished)}
        self.total, self.done, self.progress = 1 + sum(sizes.get(name, 1) for name in set(parts)), 0, progress
        self._opened = opened
        self._whole: pd.DataFrame | None = None

    def step(self, what: str) -> None:
        """Note that one more thing is done."""
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total, what)

    @property
    def whole(self) -> pd.DataFrame:
        """Predictions for the test clips as they are."""
        if self._whole is None:
            self._whole = ask_folds(self._opened, self._opened.store)
            self.step("whole clips")
        return self._whole


_Found = tuple[dict[str, pd.DataFrame], dict[str, Any]]


def _of_ablations(
    opened: OpenedRun, masked: pd.Series, asked: _Count, n_clips: int, seed: int, other: RunFolder | None
) -> _Found:
    table = ablations(opened, asked.whole, masked, asked.step)
    return {"ablations.csv": table}, {"tables": ["ablations.csv"], "without": ABLATIONS}


def _of_missing(
    opened: OpenedRun, masked: pd.Series, asked: _Count, n_clips: int, seed: int, other: RunFolder | None
) -> _Found:
    table = missing_curves(opened, asked.whole, masked, seed, asked.step)
    about = {"tables": ["missing.csv"], "seed": seed, "what": CURVES}
    exported = opened.store.n_exported_summaries
    about["exported_summaries"] = (
        f"{exported} summaries that the export holds are lost at the same rate, drawn at random"
        if exported
        else "the export holds no summaries; all are computed from chunks and fixations"
    )
    return {"missing.csv": table}, about


def _of_attention(
    opened: OpenedRun, masked: pd.Series, asked: _Count, n_clips: int, seed: int, other: RunFolder | None
) -> _Found:
    table = attention_table(opened, masked)
    asked.step("attention")
    if table is None:
        return {}, {"tables": [], "note": f"{opened.settings.model} does not weigh what it sees over time"}
    return {"attention.csv": table}, {"tables": ["attention.csv"]}


def _of_attribution(
    opened: OpenedRun, masked: pd.Series, asked: _Count, n_clips: int, seed: int, other: RunFolder | None
) -> _Found:
    found = attribution_tables(opened, n_clips, seed, asked.step)
    tables = {"attribution.csv": found.features, "attribution_clips.parquet": found.clips}
    about = {
        "tables": list(tables),
        "method": found.method,
        "n_clips": int(found.clips["clip_id"].nunique()),
        "seed": seed,
        "baseline": "0 in every normalised input: the mean of the training clips",
        "greatest_incompleteness": found.completeness,
    }
    return tables, about


def _of_groups(
    opened: OpenedRun, masked: pd.Series, asked: _Count, n_clips: int, seed: int, other: RunFolder | None
) -> _Found:
    tables, spreads = group_tables(opened, asked.whole, masked)
    asked.step("people and films")
    named = {f"{name}.csv": table for name, table in tables.items()}
    return named, {"tables": list(named), "spread": spreads}


def _of_gap(
    opened: OpenedRun, masked: pd.Series, asked: _Count, n_clips: int, seed: int, other: RunFolder | None
) -> _Found:
    predictions = asked.whole
    about: dict[str, Any] = {"tables": []}
    if other is not None:
        predictions = pd.concat([predictions, _of_other(opened, other, set(predictions["target_name"]))])
        about["other"] = other.root.resolve().name
    clips, figures = gap_tables(predictions)
    asked.step("gap")
    if not figures:
        note = "the run answers one task alone; name a run of the other task with --with to predict the gap"
        return {}, about | {"note": note}
    return {"gap_clips.csv": clips}, about | {"tables": ["gap_clips.csv"], "figures": figures}


def _of_other(opened: OpenedRun, other: RunFolder, answered: set[str]) -> pd.DataFrame:
    """Read what another run answers that this one does not."""
    with OpenedRun(other, opened.path, device="cpu") as second:
        rows = other.fold_predictions(second.finished)
    rows = rows[~rows["target_name"].isin(answered)]
    if not len(rows):
        raise UsageError(f"--with {other.root}: answers nothing that {opened.run.root} does not answer itself.")
    return rows


_PART: dict[str, Callable[..., _Found]] = {
    "ablations": _of_ablations,
    "missing": _of_missing,
    "attention": _of_attention,
    "attribution": _of_attribution,
    "groups": _of_groups,
    "gap": _of_gap,
}
