"""What a model's guesses did: how many were taken over, what labour they saved, and how far they pulled.

The clips that were judged without a guess although the model was just as sure (the
control share) are what all of this is compared with. They are drawn for each
annotator, so annotators are compared with themselves: a difference is computed for
each and averaged by how much each of them tells. Intervals are percentile
bootstraps over clips, drawn within annotators.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from data_schema.labels import current_votes

#: Fewer control clips than this say nothing about a difference; chosen by us.
MIN_CONTROL = 10
Columns = dict[str, npt.NDArray[Any]]
#: Returns a figure and the number of rows that it rests on.
Statistic = Callable[[Columns], "tuple[float, int]"]
_KEY = ["annotator_id", "clip_id", "task", "repetition"]


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval; None where the data cannot say."""

    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class AlaReport:
    """What became of the guesses of one pass.

    Parameters
    ----------
    task : str
    annotators : list of str
    simulated : bool
        True if any of these labels is by a simulated annotator.
    models : list of str
        SHA-256 of the models.
    n_shown, n_control, n_unseen : int
        Labels given after a guess was shown; given blind on purpose; given before the guess could be seen.
    accepted, changed, retyped, skipped : Estimate
        Shares of the labels given after a guess was shown: taken over with one key, another emotion, the same
        emotion given by hand, clip skipped.
    seconds_shown, seconds_control : Estimate
        Median seconds from showing a clip to its label.
    time_saved : Estimate
        Share of the time that is saved: 1 minus the ratio of these medians.
    hours_saved : float or None
        That, over the labels given with a guess.
    agreement_shown, agreement_control : Estimate
        Share of the labels that are the model's emotion.
    anchoring : Estimate
        Their difference within annotators: above 0, seeing the guess pulls the label towards it.
    anchoring_wrong : Estimate
        The same on clips where the blind labels of others contradict the guess.
    valence_pull : Estimate
        Mean absolute distance from the guessed valence, control minus shown; above 0, seeing pulls towards it.
    per_annotator : list of dict
        Counts and shares of each.
    n_bootstrap, seed, level : int, int, float
        Of the intervals.
    """

    task: str
    annotators: list[str]
    simulated: bool
    models: list[str]
    n_shown: int
    n_control: int
    n_unseen: int
    accepted: Estimate
    changed: Estimate
    retyped: Estimate
    skipped: Estimate
    seconds_shown: Estimate
    seconds_control: Estimate
    time_saved: Estimate
    hours_saved: float | None
    agreement_shown: Estimate
    agreement_control: Estimate
    anchoring: Estimate
    anchoring_wrong: Estimate
    valence_pull: Estimate
    per_annotator: list[dict[str, Any]]
    n_bootstrap: int
    seed: int
    level: float

    def as_json(self) -> dict[str, Any]:
        """Return the report in JSON types."""
        return asdict(self)


def ala_report(
    guesses: pd.DataFrame,
    labels: pd.DataFrame,
    task: str,
    *,
    n_bootstrap: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> AlaReport:
    """Say what became of a model's guesses.

    Parameters
    ----------
    guesses : DataFrame
        From `read_log(..., "guesses")`.
    labels : DataFrame
        From `read_labels`.
    task : {'er', 'fer'}
    n_bootstrap : int
        Draws of each interval.
    seed : int
    level : float
        Of the intervals, such as 0.95.
    """
    holds = current_votes(labels[labels["task"] == task])
    table = _judged(guesses[guesses["task"] == task], holds)
    columns = _columns(_with_blind_majority(table, holds))
    draws = _Draws(columns, n_bootstrap, seed, level)
    took, blind = draws.of(median("seconds", "shown")), draws.of(median("seconds", "control"))
    hours = None
    if took.value is not None and blind.value is not None:
        hours = (blind.value - took.value) * took.n / 3600
    return AlaReport(
        task=task,
        annotators=sorted(set(table["annotator_id"])),
        simulated=bool((table["annotator_kind"] == "simulated").any()),
        models=sorted(set(table["model_sha256"])),
        n_shown=int(columns["shown"].sum()),
        n_control=int(columns["control"].sum()),
        n_unseen=int((~columns["shown"] & ~columns["control"]).sum()),
        accepted=draws.of(share("accepted", "shown")),
        changed=draws.of(share("other", "shown")),
        retyped=draws.of(share("retyped", "shown")),
        skipped=draws.of(share("skipped", "shown")),
        seconds_shown=took,
        seconds_control=blind,
        time_saved=draws.of(time_saved),
        hours_saved=hours,
        agreement_shown=draws.of(share("agrees", "shown_known")),
        agreement_control=draws.of(share("agrees", "control_known")),
        anchoring=draws.of(difference("agrees", "known")),
        anchoring_wrong=draws.of(difference("agrees", "contradicted")),
        valence_pull=draws.of(difference("valence_distance", "valence_known", sign=-1.0)),
        per_annotator=[_of_annotator(str(name), group) for name, group in table.groupby("annotator_id")],
        n_bootstrap=n_bootstrap,
        seed=seed,
        level=level,
    )


def _judged(guesses: pd.DataFrame, holds: pd.DataFrame) -> pd.DataFrame:
    """Put the last thing that became of each guess beside the label that holds now.

    Returns
    -------
    DataFrame
        One row a guess whose clip has a label or a skip; sorted, so that intervals do not depend on files' order.
    """
    last = guesses.sort_values(["created_utc", "row_id"], kind="stable").drop_duplicates(_KEY, keep="last")
    said = [json.loads(text) for text in last["guess"]]
    last = last.assign(
        guessed=[str(one.get("emotion", "")) for one in said],
        guessed_valence=pd.Series([one.get("valence") for one in said], index=last.index, dtype="float64"),
    )
    wanted = holds[[*_KEY, "annotator_kind", "emotion", "valence", "skip_reason"]]
    table = last.drop(columns="annotator_kind").merge(wanted, on=_KEY, how="inner")
    table = table.sort_values(_KEY, kind="stable").reset_index(drop=True)
    table["control"] = table["outcome"] == "control"
    table["shown"] = table["shown_utc"].notna() & ~table["control"]
    table["skipped"] = table["emotion"].isna()
    table["agrees"] = (table["emotion"] == table["guessed"]).astype("float64")
    table["accepted"] = table["outcome"] == "accepted"
    table["retyped"] = ~table["accepted"] & (table["emotion"] == table["guessed"])
    table["other"] = table["emotion"].notna() & (table["emotion"] != table["guessed"])
    table["seconds"] = table["label_ms"].astype("float64") / 1000
    table["valence_distance"] = (table["valence"] - table["guessed_valence"]).abs()
    return table


def _with_blind_majority(table: pd.DataFrame, holds: pd.DataFrame) -> pd.DataFrame:
    """Say whether those who judged a clip without seeing the guess contradict it, by majority.

    An annotator's own label is never among those that their row is compared with.
    """
    seen = set(table.loc[table["shown"], _KEY].itertuples(index=False, name=None))
    keys = list(holds[_KEY].itertuples(index=False, name=None))
    usable = (holds["repetition"] == 0) & holds["emotion"].notna() & (holds["annotator_kind"] != "model")
    blind = holds[usable & np.array([key not in seen for key in keys], dtype=bool)]
    by_clip = dict(iter(blind.groupby("clip_id")))
    contradicted = []
    for row in table.itertuples():
        others = by_clip.get(row.clip_id)
        votes = others.loc[others["annotator_id"] != row.annotator_id, "emotion"] if others is not None else None
        contradicted.append(votes is not None and len(votes) > 0 and float((votes != row.guessed).mean()) > 0.5)
    return table.assign(guess_contradicted=np.array(contradicted, dtype=bool))


def _columns(table: pd.DataFrame) -> Columns:
    """Return what the figures are computed from, as arrays of shape (n_rows,)."""
    columns: Columns = {
        name: table[name].to_numpy()
        for name in (
            "shown",
            "control",
            "skipped",
            "agrees",
            "accepted",
            "retyped",
            "other",
            "seconds",
            "valence_distance",
        )
    }
    columns["annotator"] = pd.factorize(table["annotator_id"])[0]
    columns["known"] = ~columns["skipped"]
    columns["shown_known"] = columns["shown"] & columns["known"]
    columns["control_known"] = columns["control"] & columns["known"]
    columns["contradicted"] = columns["known"] & table["guess_contradicted"].to_numpy()
    columns["valence_known"] = np.isfinite(columns["valence_distance"])
    return columns


def share(of: str, among: str) -> Statistic:
    """Return the share of rows with `of` among those with `among`, and their number."""

    def statistic(columns: Columns) -> tuple[float, int]:
        chosen = columns[of][columns[among]]
        return (float(np.mean(chosen)) if len(chosen) else np.nan), len(chosen)

    return statistic


def median(of: str, among: str) -> Statistic:
    """Return the median of `of` among the rows with `among`, and their number."""

    def statistic(columns: Columns) -> tuple[float, int]:
        chosen = columns[of][columns[among]]
        chosen = chosen[np.isfinite(chosen)]
        return (float(np.median(chosen)) if len(chosen) else np.nan), len(chosen)

    return statistic


def time_saved(columns: Columns) -> tuple[float, int]:
    """Return 1 minus the ratio of the median times with and without a guess, and the smaller number of rows."""
    (took, n_shown), (blind, n_control) = median("seconds", "shown")(columns), median("seconds", "control")(columns)
    if n_control < MIN_CONTROL or not blind > 0:
        return np.nan, min(n_shown, n_control)
    return 1.0 - took / blind, min(n_shown, n_control)


def difference(of: str, among: str, *, sign: float = 1.0) -> Statistic:
    """Return the mean of `of` with a guess minus without, within annotators, and the number of control rows.

    Annotators are weighted by the harmonic mean of their two numbers of rows, which is
    the inverse of the difference's variance where single rows vary alike.
    """

    def statistic(columns: Columns) -> tuple[float, int]:
        chosen = columns[among]
        who, values = columns["annotator"][chosen], columns[of][chosen].astype(np.float64)
        shown, control = columns["shown"][chosen], columns["control"][chosen]
        n_people = int(columns["annotator"].max(initial=-1)) + 1
        n_shown = np.bincount(who[shown], minlength=n_people)
        n_control = np.bincount(who[control], minlength=n_people)
        if n_control.sum() < MIN_CONTROL:
            return np.nan, int(n_control.sum())
        both = (n_shown > 0) & (n_control > 0)
        if not both.any():
            return np.nan, int(n_control.sum())
        mean_shown = np.bincount(who[shown], values[shown], n_people)[both] / n_shown[both]
        mean_control = np.bincount(who[control], values[control], n_people)[both] / n_control[both]
        weights = n_shown[both] * n_control[both] / (n_shown[both] + n_control[both])
        return sign * float(np.average(mean_shown - mean_control, weights=weights)), int(n_control.sum())

    return statistic


class _Draws:
    """Bootstrap draws of clips within annotators; the same draws for every figure."""

    def __init__(self, columns: Columns, n: int, seed: int, level: float) -> None:
        self._columns = columns
        self._tails = [50 * (1 - level), 50 * (1 + level)]
        rng = np.random.default_rng(seed)
        who = columns["annotator"]
        groups = [np.flatnonzero(who == k) for k in range(int(who.max(initial=-1)) + 1)]
        self._rows = [
            np.concatenate([rng.choice(rows, len(rows)) for rows in groups]) for _ in range(n if groups else 0)
        ]

    def of(self, statistic: Statistic) -> Estimate:
        """Return a figure with its interval."""
        value, n = statistic(self._columns)
        if not np.isfinite(value):
            return Estimate(None, None, None, n)
        drawn = np.array([statistic({name: c[rows] for name, c in self._columns.items()})[0] for rows in self._rows])
        drawn = drawn[np.isfinite(drawn)]
        if not len(drawn):
            return Estimate(value, None, None, n)
        low, high = np.percentile(drawn, self._tails)
        return Estimate(value, float(low), float(high), n)


def _of_annotator(name: str, table: pd.DataFrame) -> dict[str, Any]:
    shown, control = table["shown"], table["control"]
    known = table["emotion"].notna()

    def mean(values: pd.Series[Any]) -> float | None:
        return float(values.mean()) if len(values) else None

    return {
        "annotator_id": name,
        "annotator_kind": str(table["annotator_kind"].iloc[0]),
        "n_shown": int(shown.sum()),
        "n_control": int(control.sum()),
        "accepted": mean(table.loc[shown, "accepted"]),
        "agreement_shown": mean(table.loc[shown & known, "agrees"]),
        "agreement_control": mean(table.loc[control & known, "agrees"]),
    }
