"""What a model is worth without a modality, and how it fades as more and more is missing."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from emer_model.evaluation.alignment import Contender
from emer_model.evaluation.comparison import compare_runs
from emer_model.training.opened import OpenedRun
from emer_model.understanding.asking import ask_folds
from emer_model.understanding.losses import ABLATIONS, CURVES, steps, take_away, take_share

#: Name of the answers to whole clips.
WHOLE = "whole"

#: Columns of both tables after those that say what is missing: figures over the test clips with their interval, and the
#: difference from the answers to whole clips with its paired interval.
COLUMNS = (
    "target_name", "part", "metric", "value", "low", "high", "difference", "difference_low", "difference_high",
    "n_clips", "n_participants",
)  # fmt: skip

#: Called after each question with a word on it.
Step = Callable[[str], None]


def ablations(opened: OpenedRun, whole: pd.DataFrame, masked: pd.Series, step: Step) -> pd.DataFrame:
    """Judge the answers without each modality.

    Parameters
    ----------
    opened : OpenedRun
    whole : DataFrame
        Predictions for the whole clips, of `emer_model.understanding.asking.ask_folds`.
    masked : Series
        Of `emer_model.evaluation.gap.masked_clips`.
    step : callable

    Returns
    -------
    DataFrame
        ``without`` ('nothing' for whole clips), then `COLUMNS`.
    """
    asked = {}
    for what in ABLATIONS:
        asked[what] = ask_folds(opened, take_away(opened.store, what).applied(opened.store))
        step(f"without {what}")
    table = _judge(opened, whole, asked, masked)
    return table.assign(without=table["run"].replace(WHOLE, "nothing"))[["without", *COLUMNS]]


def missing_curves(opened: OpenedRun, whole: pd.DataFrame, masked: pd.Series, seed: int, step: Step) -> pd.DataFrame:
    """Judge the answers while more and more is missing.

    Parameters
    ----------
    opened, whole, masked, step
        As of `ablations`.
    seed : int
        Of what is lost.

    Returns
    -------
    DataFrame
        ``what`` of `CURVES` and the ``share`` of it that is missing, then `COLUMNS`; share 0 for each.
    """
    asked = {}
    for what, share in steps():
        masks = take_share(opened.store, opened.export.clips, what, share, seed)
        asked[f"{what}|{share}"] = ask_folds(opened, masks.applied(opened.store))
        step(f"{share:.0%} of {what}")
    table = _judge(opened, whole, asked, masked)
    said = table["run"].str.rpartition("|")
    table = table.assign(what=said[0], share=pd.to_numeric(said[2], errors="coerce").fillna(0.0))
    begin = [table[table["run"] == WHOLE].assign(what=what) for what in CURVES]
    table = pd.concat([*begin, table[table["run"] != WHOLE]], ignore_index=True)
    order = {what: i for i, what in enumerate(CURVES)}
    table = table.sort_values(["what", "share"], key=lambda c: c.map(order) if c.name == "what" else c, kind="stable")
    return table[["what", "share", *COLUMNS]].reset_index(drop=True)


def _judge(opened: OpenedRun, whole: pd.DataFrame, asked: dict[str, pd.DataFrame], masked: pd.Series) -> pd.DataFrame:
    """Compare all answers with those to whole clips, clip by clip, with the same draws of participants."""
    contenders = [Contender(WHOLE, (whole,)), *(Contender(name, (table,)) for name, table in asked.items())]
    answered = set(whole["target_name"])
    targets = [declared for declared in opened.targets if declared.name in answered]
    found = compare_runs(contenders, targets, masked, by_fold=False, exchanges=0)
    keys = ["run", "target_name", "part", "metric"]
    differences = found.differences.rename(columns={"low": "difference_low", "high": "difference_high"})
    return found.figures.merge(
        differences[[*keys, "difference", "difference_low", "difference_high"]], on=keys, how="left"
    )
