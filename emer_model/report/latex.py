"""Tables for the paper, as LaTeX with booktabs."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from data_schema.exports.protocols import PROTOCOLS
from emer_model.data.targets import protocol_targets
from emer_model.training.files import write_atomically

#: Titles of figures.
TITLES = {
    "war": "WAR", "uar": "UAR", "weighted_f1": "wF1", "macro_f1": "mF1",
    "mae": "MAE", "mse": "MSE", "rmse": "RMSE", "ccc": "CCC", "pearson": "$r$",
}  # fmt: skip
_MEANINGS = "WAR: share of clips right; UAR: mean recall of classes; wF1, mF1: weighted and macro F1."
#: Figures of which less is better.
LESS_IS_BETTER = ("mae", "mse", "rmse")

_SPECIAL = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
            "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}  # fmt: skip


def latex_table(figures: pd.DataFrame, target: str, caption: str, label: str) -> str:
    """Lay out the figures of one target: a row a model, the best in bold, intervals below.

    Parameters
    ----------
    figures : DataFrame
        Columns `emer_model.evaluation.comparison.FIGURE_COLUMNS`.
    target : str
    caption, label : str
        The caption is escaped; the label is not.

    Returns
    -------
    str
        A ``table*`` environment; needs the package booktabs.
    """
    rows = figures[figures["target_name"] == target]
    pooled = rows[rows["part"] == "pooled"]
    metrics = list(dict.fromkeys(pooled["metric"]))
    masked = rows[(rows["part"] == "masked") & (rows["metric"] == metrics[0])].set_index("run")
    models = list(dict.fromkeys(pooled["run"]))
    by_place = pooled.set_index(["run", "metric"])
    best = {metric: _best(by_place["value"].xs(metric, level="metric"), metric) for metric in metrics}
    best_masked = _best(masked["value"], metrics[0])
    n_clips, n_masked = (int(part["n_clips"].max()) if len(part) else 0 for part in (pooled, masked))
    caption = f"{caption} {n_clips} clips, {n_masked} of them masked (felt and shown emotion differ). Bold: the best. {_MEANINGS}"
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table*}",
        r"\centering",
        rf"\caption{{{escape(caption)}}}",
        rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(metrics) + 1)}}}",
        r"\toprule",
        " & ".join(["model", *(TITLES.get(m, escape(m)) for m in metrics), f"{TITLES[metrics[0]]}, masked"]) + r" \\",
        r"\midrule",
    ]
    for model in models:
        cells = [_cell(by_place.loc[(model, metric)], model in best[metric]) for metric in metrics]
        cells.append(_cell(masked.loc[model], model in best_masked) if model in masked.index else "--")
        lines.append(" & ".join([escape(model), *cells]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table*}", ""]
    return "\n".join(lines)


def escape(text: str) -> str:
    """Write text so that LaTeX takes it as it is."""
    return "".join(_SPECIAL.get(character, character) for character in text)


def _cell(row: pd.Series, best: bool) -> str:
    value = _number(row["value"])
    value = rf"\textbf{{{value}}}" if best else value
    if not (math.isfinite(row["low"]) and math.isfinite(row["high"])):
        return value
    return rf"{value} {{\footnotesize [{_number(row['low'])}, {_number(row['high'])}]}}"


def _best(values: pd.Series, metric: str) -> set[str]:
    """Name the models whose figure is the best as it is printed."""
    shown = values.dropna().round(3)
    if shown.empty:
        return set()
    top = shown.min() if metric in LESS_IS_BETTER else shown.max()
    return set(shown.index[shown == top])


def _number(value: float) -> str:
    """Write three digits after the point, without the zero before it where there is none."""
    if not math.isfinite(value):
        return "--"
    text = f"{abs(value):.3f}".removeprefix("0")
    return f"$-${text}" if value < 0 and float(f"{value:.3f}") != 0 else text


def latex_overview(figures: pd.DataFrame, caption: str, label: str) -> str:
    """Lay out the main figure of all models and targets: UAR of classes, CCC of values, the best of each in bold.

    Parameters
    ----------
    figures, caption, label
        As of `latex_table`.
    """
    rows = figures[(figures["part"] == "pooled") & figures["metric"].isin(("uar", "ccc"))]
    targets, models = (list(dict.fromkeys(rows[column])) for column in ("target_name", "run"))
    values = rows.pivot(index="run", columns="target_name", values="value")
    best = {target: _best(values[target], "uar") for target in targets}
    metric = rows.drop_duplicates("target_name").set_index("target_name")["metric"]
    lines = [
        r"\begin{table*}",
        r"\centering",
        rf"\caption{{{escape(caption)}}}",
        rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{l{'r' * len(targets)}}}",
        r"\toprule",
        " & ".join(["model", *(escape(target.replace("_", " ")) for target in targets)]) + r" \\",
        " & ".join(["", *(TITLES[metric[target]] for target in targets)]) + r" \\",
        r"\midrule",
    ]
    for model in models:
        cells = [
            rf"\textbf{{{_number(value)}}}" if model in best[target] else _number(value)
            for target, value in ((target, values.loc[model, target]) for target in targets)
        ]
        lines.append(" & ".join([escape(model), *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table*}", ""])


def write_tables(figures: pd.DataFrame, folder: Path, about: str) -> list[Path]:
    """Write one table a target, and one of all models and targets.

    Parameters
    ----------
    figures : DataFrame
        Columns `emer_model.evaluation.comparison.FIGURE_COLUMNS`.
    folder : Path
        Is made if need be; tables of these names are replaced.
    about : str
        Of whom the figures are, for the captions: how many participants, whether simulated, which folds.

    Returns
    -------
    list of Path
    """
    written = []
    answered = set(figures["target_name"])
    for protocol in PROTOCOLS.values():
        for declared in protocol_targets(protocol):
            if declared.name not in answered:
                continue
            caption = f"{protocol.name}, {declared.name}: {protocol.meaning} {about}; brackets: 95% intervals over participants."
            text = latex_table(figures, declared.name, caption, f"tab:{declared.name.replace('_', '-')}")
            written.append(folder / f"{protocol.name}_{declared.name}.tex")
            write_atomically(written[-1], text.encode("utf-8"))
    text = latex_overview(figures, f"UAR of classes and CCC of values; {about}.", "tab:all-models")
    written.append(folder / "all_models.tex")
    write_atomically(written[-1], text.encode("utf-8"))
    return written
