"""All figures of agreement of a study, with their intervals, ready for a table, JSON and a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pandas as pd

import data_schema
from annotation.agreement.classes import (
    ClassSums,
    alpha,
    class_sums,
    cohen_kappas,
    fleiss_kappa,
    gwet_ac1,
    mean_of_pairs,
    observed_agreement,
)
from annotation.agreement.measures import MEASURES
from annotation.agreement.ratings import ClassRatings, PassRatings, Rater, ScaleRatings, pass_ratings
from annotation.agreement.resampling import Estimate, Resamples, estimate, one_blas_thread
from annotation.agreement.scales import (
    concordances,
    icc_one_way,
    icc_two_way,
    interval_alpha,
    mean_absolute_difference,
)
from annotation.agreement.self_consistency import Consistency, self_consistency
from data_schema.vocabularies import EMOTIONS, TASKS, AnnotatorKind

#: 2,000 resamples put the bounds of a 95 % percentile interval within a few percent of its width. Chosen.
N_RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Pair:
    """Two raters on one field: clips that both judged, how far they agree, and for classes who said what."""

    first: str
    second: str
    n_clips: int
    kappa: float | None
    ccc: float | None
    table: list[list[int]] | None


@dataclass(frozen=True)
class Row:
    """Agreement on one field, or on one class of it against all others.

    Parameters
    ----------
    task, field : str
    class_name : str
        Empty for the whole field.
    n_clips : int
        Clips with two ratings or more: those that say something about agreement.
    n_complete : int
        Clips that all raters judged; ICC(A,1), ICC(C,1) and ICC(A,k) are of these.
    n_raters, n_ratings : int
    figures : dict of str to Estimate
        By the name of the measure.
    """

    task: str
    field: str
    class_name: str
    n_clips: int
    n_complete: int
    n_raters: int
    n_ratings: int
    figures: dict[str, Estimate]

    @property
    def title(self) -> str:
        """The field, and the class if it is of one."""
        return f"{self.field}: {self.class_name}" if self.class_name else self.field


@dataclass(frozen=True)
class FieldTables:
    """Of a field with classes: who confused what with what."""

    field: str
    classes: tuple[str, ...]
    coincidences: list[list[float]]
    """Ordered pairs of ratings of a clip, each clip weighted by 1 / (ratings - 1); symmetric."""


@dataclass(frozen=True)
class PassAgreement:
    """Agreement in one pass."""

    task: str
    raters: tuple[Rater, ...]
    n_clips: int
    rows: tuple[Row, ...]
    pairs: dict[str, tuple[Pair, ...]]
    tables: tuple[FieldTables, ...]
    consistency: tuple[Consistency, ...]

    @property
    def has_overlap(self) -> bool:
        """Whether any clip was judged by two raters; without one there is nothing to compare."""
        return any(row.n_clips for row in self.rows)


@dataclass(frozen=True)
class AgreementReport:
    """Agreement in all passes that have labels. ER and FER are never compared: they judge different things."""

    title: str
    kinds: tuple[str, ...]
    left_out: tuple[str, ...]
    """Annotators whose kind does not count here, with their kind."""
    n_resamples: int
    seed: int
    passes: tuple[PassAgreement, ...]

    @property
    def simulated(self) -> tuple[str, ...]:
        """Simulated annotators among the raters."""
        kind = AnnotatorKind.SIMULATED.value
        return tuple(sorted({r.annotator_id for one in self.passes for r in one.raters if r.kind == kind}))

    def table(self) -> pd.DataFrame:
        """Return one row a task and field or class; each measure with its bounds."""
        rows = []
        for one in self.passes:
            kinds = "|".join(sorted({rater.kind for rater in one.raters}))
            for row in one.rows:
                cells: dict[str, Any] = {
                    "task": row.task, "field": row.field, "class": row.class_name, "annotator_kinds": kinds,
                    "n_raters": row.n_raters, "n_clips": row.n_clips, "n_complete": row.n_complete,
                    "n_ratings": row.n_ratings,
                }  # fmt: skip
                for measure in MEASURES:
                    found = row.figures.get(measure.name, Estimate(None))
                    cells[measure.name] = found.value
                    cells[f"{measure.name}_low"], cells[f"{measure.name}_high"] = found.low, found.high
                rows.append(cells)
        return pd.DataFrame(rows)

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "study_title": self.title,
            "toolkit_version": data_schema.__version__,
            "annotator_kinds": list(self.kinds),
            "simulated_annotators": list(self.simulated),
            "left_out": list(self.left_out),
            "interval": {"method": "percentile bootstrap over clips", "level": LEVEL,
                         "n_resamples": self.n_resamples, "seed": self.seed},
            "measures": {m.name: {"title": m.title, "form": m.form, "source": m.source} for m in MEASURES},
            "tasks": {one.task: _pass_json(one) for one in self.passes},
        }  # fmt: skip


def agreement(
    labels: pd.DataFrame,
    *,
    title: str = "",
    kinds: Sequence[str] = (),
    tasks: Sequence[str] = TASKS,
    emotions: Sequence[str] = EMOTIONS,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> AgreementReport:
    """Compute how far annotators agree, pass by pass.

    Parameters
    ----------
    labels : DataFrame
        From `data_schema.labels.read_labels`.
    title : str
        Of the study.
    kinds : sequence of str
        Kinds of annotators that count. By default people, and simulated
        annotators only where there are no people: simulated labels among
        people's would flatter or spoil the figures. Models never count by default.
    tasks : sequence of str
    emotions : sequence of str
        Emotions that the study offers, in its order.
    n_resamples : int
        Bootstrap resamples over clips.
    seed : int

    Returns
    -------
    AgreementReport
        Without the passes that nobody labelled.
    """
    chosen = tuple(kinds) or _kinds_that_count(labels)
    others = labels[~labels["annotator_kind"].isin(chosen)]
    left_out = sorted(
        {f"{who} ({kind})" for who, kind in zip(others["annotator_id"], others["annotator_kind"], strict=True)}
    )
    passes = []
    with one_blas_thread():
        for task in tasks:
            ratings = pass_ratings(labels, task, kinds=chosen, emotions=emotions)
            if ratings.clip_ids:
                repeats = self_consistency(
                    labels, task, kinds=chosen, emotions=emotions, n_resamples=n_resamples, seed=seed
                )
                passes.append(_agreement_of(ratings, Resamples(len(ratings.clip_ids), n_resamples, seed), repeats))
    return AgreementReport(title, chosen, tuple(left_out), n_resamples, seed, tuple(passes))


def _kinds_that_count(labels: pd.DataFrame) -> tuple[str, ...]:
    human, simulated = AnnotatorKind.HUMAN.value, AnnotatorKind.SIMULATED.value
    return (human,) if (labels["annotator_kind"] == human).any() else (simulated,)


def _agreement_of(ratings: PassRatings, resamples: Resamples, consistency: tuple[Consistency, ...]) -> PassAgreement:
    rows: list[Row] = []
    pairs: dict[str, tuple[Pair, ...]] = {}
    tables: list[FieldTables] = []
    scales = {scale.name: scale for scale in ratings.scales}
    for field in ratings.classes:
        sums = class_sums(field.codes, len(field.classes), resamples)
        kappas = cohen_kappas(sums, power=2 if field.ordered else 0)
        if field.name not in scales:
            rows.append(_class_row(ratings.task, field, sums))
            rows += [
                _class_row(ratings.task, field, sums.of_class(index), word)
                for index, word in enumerate(field.classes)
                if (field.codes == index).any()
            ]
            pairs[field.name] = _pairs(ratings.raters, sums, kappas[:, 0])
        else:
            rows.append(_scale_row(ratings.task, scales.pop(field.name), resamples, (field, sums)))
        tables.append(FieldTables(field.name, field.classes, sums.coincidences[0].tolist()))
    for scale in ratings.scales:
        if scale.name in scales:
            rows.append(_scale_row(ratings.task, scale, resamples))
        pairs[scale.name] = _scale_pairs(ratings.raters, scale)
    order = {name: place for place, name in enumerate(("emotion", "polarity", "valence", "arousal", "intensity"))}
    rows.sort(key=lambda row: order[row.field])
    return PassAgreement(
        ratings.task, ratings.raters, len(ratings.clip_ids), tuple(rows), pairs, tuple(tables), consistency
    )


def _class_figures(sums: ClassSums, *, ordered: bool) -> dict[str, Estimate]:
    figures = {
        "observed": observed_agreement(sums),
        "alpha_nominal": alpha(sums),
        "cohen_kappa": mean_of_pairs(cohen_kappas(sums)),
        "fleiss_kappa": fleiss_kappa(sums),
        "gwet_ac1": gwet_ac1(sums),
    }
    if ordered:
        figures["alpha_ordinal"] = alpha(sums, ordinal=True)
        figures["cohen_kappa_linear"] = mean_of_pairs(cohen_kappas(sums, power=1))
        figures["cohen_kappa_quadratic"] = mean_of_pairs(cohen_kappas(sums, power=2))
    return {name: estimate(values, LEVEL) for name, values in figures.items()}


def _class_row(task: str, field: ClassRatings, sums: ClassSums, word: str = "") -> Row:
    given = field.codes >= 0
    return Row(
        task, field.name, word, int((given.sum(axis=1) >= 2).sum()), int(given.all(axis=1).sum()),
        int(given.any(axis=0).sum()), int(given.sum()), _class_figures(sums, ordered=field.ordered and not word),
    )  # fmt: skip


def _scale_row(
    task: str, scale: ScaleRatings, resamples: Resamples, steps: tuple[ClassRatings, ClassSums] | None = None
) -> Row:
    values = scale.values
    given = values == values
    figures = {
        "alpha_interval": interval_alpha(values, resamples),
        "icc_11": icc_one_way(values, resamples),
        **icc_two_way(values, resamples),
        "ccc": mean_of_pairs(concordances(values, resamples)),
        "mean_difference": mean_absolute_difference(values, resamples),
    }
    estimates = {name: estimate(found, LEVEL) for name, found in figures.items()}
    if steps is not None:
        estimates = {**_class_figures(steps[1], ordered=True), **estimates}
    return Row(
        task, scale.name, "", int((given.sum(axis=1) >= 2).sum()), int(given.all(axis=1).sum()),
        int(given.any(axis=0).sum()), int(given.sum()), estimates,
    )  # fmt: skip


def _number(value: float) -> float | None:
    return float(value) if value == value else None


def _pairs(raters: tuple[Rater, ...], sums: ClassSums, kappas: Any) -> tuple[Pair, ...]:
    return tuple(
        Pair(
            first.annotator_id, second.annotator_id, int(table.sum()), _number(kappa), None, table.astype(int).tolist()
        )
        for (first, second), table, kappa in zip(combinations(raters, 2), sums.tables[:, 0], kappas, strict=True)
    )


def _scale_pairs(raters: tuple[Rater, ...], scale: ScaleRatings) -> tuple[Pair, ...]:
    found = concordances(scale.values, Resamples(len(scale.values), 0, 0))[:, 0]
    given = scale.values == scale.values
    return tuple(
        Pair(first.annotator_id, second.annotator_id, int((given[:, a] & given[:, b]).sum()), None, _number(ccc), None)
        for ((a, first), (b, second)), ccc in zip(combinations(enumerate(raters), 2), found, strict=True)
    )


def _pass_json(one: PassAgreement) -> dict[str, Any]:
    return {
        "n_clips": one.n_clips,
        "raters": [
            {"annotator_id": r.annotator_id, "annotator_kind": r.kind, "n_labels": r.n_labels, "n_skipped": r.n_skipped}
            for r in one.raters
        ],
        "rows": [
            {
                "field": row.field, "class": row.class_name or None, "n_clips": row.n_clips,
                "n_complete": row.n_complete, "n_raters": row.n_raters, "n_ratings": row.n_ratings,
                "figures": {name: found.as_json() for name, found in row.figures.items()},
            }
            for row in one.rows
        ],
        "pairs": {field: [vars(pair) for pair in pairs] for field, pairs in one.pairs.items()},
        "confusions": {t.field: {"classes": list(t.classes), "coincidences": t.coincidences} for t in one.tables},
        "self_consistency": [entry.as_json() for entry in one.consistency],
    }  # fmt: skip
