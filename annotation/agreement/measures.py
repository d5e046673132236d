"""Every coefficient of agreement, declared once: columns of the table, keys of the JSON, notes of the page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """One coefficient: its name, how it is shown, its form in words and where it comes from."""

    name: str
    title: str
    form: str
    source: str


_COMPLETE = "clips that all raters judged"

MEASURES: tuple[Measure, ...] = (
    Measure(
        "observed", "agreement", "share of pairs of ratings of a clip that are equal, averaged over clips", "Gwet 2014"
    ),
    Measure("alpha_nominal", "α nominal", "Krippendorff's alpha, unequal is unequal", "Krippendorff 2011"),
    Measure("alpha_ordinal", "α ordinal", "Krippendorff's alpha, distance in ranks", "Krippendorff 2011"),
    Measure("alpha_interval", "α interval", "Krippendorff's alpha, squared differences", "Krippendorff 2011"),
    Measure("cohen_kappa", "κ Cohen", "Cohen's kappa, mean of all pairs of raters", "Cohen 1960, Light 1971"),
    Measure("cohen_kappa_linear", "κ linear", "Cohen's kappa weighted by distance, mean of pairs", "Cohen 1968"),
    Measure(
        "cohen_kappa_quadratic",
        "κ quadratic",
        "Cohen's kappa weighted by squared distance, mean of pairs",
        "Cohen 1968",
    ),
    Measure(
        "fleiss_kappa",
        "κ Fleiss",
        "Fleiss' kappa; with missing ratings in Gwet's generalisation",
        "Fleiss 1971, Gwet 2014",
    ),
    Measure("gwet_ac1", "AC1", "Gwet's AC1", "Gwet 2008"),
    Measure(
        "icc_11",
        "ICC(1,1)",
        "one-way random, absolute agreement, single rating; all clips with two ratings or more",
        "Shrout and Fleiss 1979",
    ),
    Measure(
        "icc_a1",
        "ICC(A,1)",
        f"two-way random, absolute agreement, single rating (ICC(2,1)); {_COMPLETE}",
        "McGraw and Wong 1996",
    ),
    Measure(
        "icc_c1", "ICC(C,1)", f"two-way, consistency, single rating (ICC(3,1)); {_COMPLETE}", "McGraw and Wong 1996"
    ),
    Measure(
        "icc_ak",
        "ICC(A,k)",
        f"two-way random, absolute agreement, mean of all raters (ICC(2,k)); {_COMPLETE}",
        "McGraw and Wong 1996",
    ),
    Measure("ccc", "CCC", "Lin's concordance correlation, mean of all pairs of raters", "Lin 1989"),
    Measure("mean_difference", "mean distance", "mean distance of two raters, in units of the scale", ""),
)
MEASURE_BY_NAME: dict[str, Measure] = {measure.name: measure for measure in MEASURES}
