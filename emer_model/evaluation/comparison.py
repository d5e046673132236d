"""Compare runs on the same clips, pair by pair.

Two runs are judged on the same people, who are easy or hard for both. The difference of a
figure is therefore taken within each resample of participants: its interval is narrower
than two intervals beside each other suggest.

The p value is that of `emer_model.evaluation.randomisation`. Clips of one person are not
independent, so McNemar's test, which takes clips for independent, is not used; how many
clips only one run gets right is counted.

References
----------
Efron and Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13.
McNemar (1947), "Note on the sampling error of the difference between correlated
proportions or percentages", Psychometrika 12: the counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_schema.errors import TrainingError
from emer_model.data.targets import Target
from emer_model.evaluation.alignment import PARTS, Aligned, Contender, align
from emer_model.evaluation.bootstrap import LEVEL, RESAMPLES, Draws, SubjectSums, interval, intervals
from emer_model.evaluation.metrics import MAIN_METRIC
from emer_model.evaluation.randomisation import EXCHANGES, holm, mean_figures, randomisation

#: Participants below which no run is said to be favoured: with five, not even all differences
#: of one sign bring the randomisation test below 0.05 (2 / 2**5), and percentiles are too narrow.
FEWEST_FAVOURED = 6

#: Figures of which less is better.
LESS_IS_BETTER = ("mae", "mse", "rmse")

#: Columns of the table of differences.
DIFFERENCE_COLUMNS = (
    "run", "against", "target_name", "part", "fold", "metric", "value", "value_against", "difference", "low", "high",
    "p", "p_holm", "favours", "n_clips", "n_participants",
)  # fmt: skip

#: Columns of the table of figures.
FIGURE_COLUMNS = ("run", "target_name", "part", "metric", "value", "low", "high", "n_clips", "n_participants")

#: Columns of the table of clips that one of two runs gets right.
RIGHT_COLUMNS = ("run", "against", "target_name", "part", "n_clips", "both", "only_run", "only_against", "neither")


@dataclass(frozen=True)
class Comparison:
    """Runs beside each other.

    Parameters
    ----------
    names : tuple of str
        As they were given.
    against : dict of str to str
        By target, the run that the others are compared with.
    level : float
        Coverage of the intervals, of each by itself.
    figures : DataFrame
        Columns `FIGURE_COLUMNS`, the parts `PARTS`.
    differences : DataFrame
        Columns `DIFFERENCE_COLUMNS`. ``difference`` is the run less the other; ``fold`` is
        <NA> over all folds together; ``favours`` is the name of the run that the interval
        speaks for, or empty where it holds 0 or rests on fewer than `FEWEST_FAVOURED`
        participants; ``p_holm`` is corrected over the runs for one target, part and figure,
        and over nothing else. Folds by themselves have no p.
    right : DataFrame
        Columns `RIGHT_COLUMNS`; classes and single runs only.
    """

    names: tuple[str, ...]
    against: dict[str, str]
    level: float
    figures: pd.DataFrame
    differences: pd.DataFrame
    right: pd.DataFrame


def compare_runs(
    contenders: Sequence[Contender],
    targets: Sequence[Target],
    masked: pd.Series | None = None,
    *,
    best: bool = False,
    by_fold: bool = True,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    exchanges: int = EXCHANGES,
    seed: int = 0,
) -> Comparison:
    """Compare runs with the first of them, or with the best.

    Parameters
    ----------
    contenders : sequence of Contender
        Two or more, with answers for the same clips.
    targets : sequence of Target
        What is compared.
    masked : Series, optional
        From `emer_model.evaluation.gap.masked_clips`; without it nothing is masked or agreeing.
    best : bool
        Compare with the run whose `MAIN_METRIC` is best, for each target, instead of the
        first. It was chosen by the very figures, which flatters it.
    by_fold : bool
        Give differences for each fold too, where all runs have the same folds.
    level, resamples, exchanges, seed
        Of intervals and of the randomisation test.

    Raises
    ------
    TrainingError
        If the runs do not answer for the same clips, or their labels differ.
    """
    if len(contenders) < 2:
        raise TrainingError(f"{len(contenders)} run to compare; expected two or more.")
    figures, differences, right, against = [], [], [], {}
    for declared in targets:
        aligned = align(contenders, declared, masked)
        draws = Draws.of(aligned.participants, resamples=resamples, seed=seed)
        sums = {part: _sums(aligned, aligned.part(part), draws) for part in PARTS}
        figures += list(_figure_rows(contenders, aligned, sums, draws, level))
        reference = _reference(sums["pooled"], declared) if best else 0
        against[declared.name] = contenders[reference].name
        for i in [i for i in range(len(contenders)) if i != reference]:
            names = {"run": contenders[i].name, "against": contenders[reference].name, "target_name": declared.name}
            for part in PARTS:
                pair = sums[part][i], sums[part][reference]
                rows = _difference_rows(*pair, draws, declared, level, exchanges, seed)
                size = _sizes(aligned, aligned.part(part))
                differences += [names | {"part": part, "fold": pd.NA} | row | size for row in rows]
                right += [names | row for row in _right_row(aligned, i, reference, part)]
            if by_fold and (aligned.folds >= 0).all():
                differences += [names | row for row in _fold_rows(aligned, i, reference, level, resamples, seed)]
    table = _with_holm(pd.DataFrame(differences))
    table["favours"] = _favours(table)
    table["fold"] = table["fold"].astype("Int64")
    return Comparison(
        tuple(contender.name for contender in contenders),
        against,
        level,
        pd.DataFrame(figures, columns=list(FIGURE_COLUMNS)),
        table.reindex(columns=list(DIFFERENCE_COLUMNS)),
        pd.DataFrame(right, columns=list(RIGHT_COLUMNS)),
    )


def _sums(aligned: Aligned, part: np.ndarray, draws: Draws) -> list[list[SubjectSums]]:
    """Sum each contender's answers on some clips by participant."""
    k = len(aligned.declared.classes)
    places = draws.places(aligned.participants[part])
    centre = 0.0 if k else float(aligned.true.mean())
    return [
        [SubjectSums.of(aligned.true[part], p[part], places, len(draws.participants), k, centre) for p in tables]
        for tables in aligned.predicted
    ]


def _sizes(aligned: Aligned, part: np.ndarray) -> dict[str, int]:
    return {"n_clips": int(part.sum()), "n_participants": len(np.unique(aligned.participants[part]))}


def _figure_rows(
    contenders: Sequence[Contender],
    aligned: Aligned,
    sums: Mapping[str, list[list[SubjectSums]]],
    draws: Draws,
    level: float,
) -> Iterator[dict[str, object]]:
    for part in PARTS:
        sizes = _sizes(aligned, aligned.part(part))
        for contender, tables in zip(contenders, sums[part], strict=True):
            bounds = intervals(mean_figures(tables, draws.times), level) if sizes["n_participants"] > 1 else {}
            for name, value in mean_figures(tables).items():
                low, high = (bounds[name].low, bounds[name].high) if name in bounds else (math.nan, math.nan)
                yield {
                    "run": contender.name, "target_name": aligned.declared.name, "part": part, "metric": name,
                    "value": float(value), "low": low, "high": high, **sizes,
                }  # fmt: skip


def _reference(sums: list[list[SubjectSums]], declared: Target) -> int:
    """Return the place of the contender whose main figure is greatest; the first of several."""
    main = MAIN_METRIC["classes" if declared.classes else "continuous"]
    values = [float(mean_figures(tables)[main]) for tables in sums]
    return int(np.argmax([-math.inf if math.isnan(value) else value for value in values]))


def _difference_rows(
    one: list[SubjectSums],
    other: list[SubjectSums],
    draws: Draws,
    declared: Target,
    level: float,
    exchanges: int,
    seed: int,
) -> list[dict[str, object]]:
    """Return value, difference, interval and p of each figure."""
    values, values_other = mean_figures(one), mean_figures(other)
    resampled, resampled_other = mean_figures(one, draws.times), mean_figures(other, draws.times)
    enough = one[0].n_with_clips > 1
    p_values = randomisation(one, other, exchanges=exchanges, seed=seed) if enough and exchanges else {}
    rows = []
    for name, value in values.items():
        bounds = interval(resampled[name] - resampled_other[name], level) if enough else None
        rows.append(
            {
                "metric": name,
                "value": float(value),
                "value_against": float(values_other[name]),
                "difference": float(value - values_other[name]),
                "low": bounds.low if bounds else math.nan,
                "high": bounds.high if bounds else math.nan,
                "p": p_values.get(name, math.nan),
            }
        )
    return rows


def _fold_rows(
    aligned: Aligned, i: int, reference: int, level: float, resamples: int, seed: int
) -> Iterator[dict[str, object]]:
    """Give the differences of each fold by itself, with the draws of its own participants and no p."""
    for fold in np.unique(aligned.folds):
        inside = aligned.folds == fold
        draws = Draws.of(aligned.participants[inside], resamples=resamples, seed=seed)
        sums = _sums(aligned, inside, draws)
        rows = _difference_rows(sums[i], sums[reference], draws, aligned.declared, level, 0, seed)
        yield from ({"part": "pooled", "fold": int(fold)} | row | _sizes(aligned, inside) for row in rows)


def _right_row(aligned: Aligned, i: int, reference: int, part: str) -> Iterator[dict[str, object]]:
    """Count the clips that both, one or none of two single runs of classes get right."""
    pair = aligned.predicted[i], aligned.predicted[reference]
    if not aligned.declared.classes or any(len(tables) != 1 for tables in pair):
        return
    inside = aligned.part(part)
    one, other = (tables[0][inside] == aligned.true[inside] for tables in pair)
    yield {
        "part": part,
        "n_clips": int(inside.sum()),
        "both": int((one & other).sum()),
        "only_run": int((one & ~other).sum()),
        "only_against": int((~one & other).sum()),
        "neither": int((~one & ~other).sum()),
    }


def _favours(table: pd.DataFrame) -> list[str]:
    """Name the run that each interval speaks for; empty where it holds 0, is undefined or of a few people."""
    said = []
    for row in table.to_dict("records"):
        sign = 1 if row["low"] > 0 else -1 if row["high"] < 0 else 0
        sign = sign if row["n_participants"] >= FEWEST_FAVOURED else 0
        sign = -sign if row["metric"] in LESS_IS_BETTER else sign
        said.append({1: row["run"], -1: row["against"], 0: ""}[sign])
    return said


def _with_holm(table: pd.DataFrame) -> pd.DataFrame:
    """Add p corrected over the runs, for each target, part, fold and figure."""
    table["p_holm"] = math.nan
    for _, rows in table[table["p"].notna()].groupby(["target_name", "part", "metric"], sort=False):
        table.loc[rows.index, "p_holm"] = holm(rows["p"].to_numpy(np.float64))
    return table
