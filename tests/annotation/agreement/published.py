"""Examples that were published with their results."""

from __future__ import annotations

import numpy as np

NAN = np.nan
#: Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", section C: 12 units by observers A to D. The same
#: table is `cac.raw4raters` of the R package irrCAC (Gwet 2014), whose vignette gives the other results.
FOUR_RATERS = np.array(
    [
        [1, 1, NAN, 1], [2, 2, 3, 2], [3, 3, 3, 3], [3, 3, 3, 3], [2, 2, 2, 2], [1, 2, 3, 4],
        [4, 4, 4, 4], [1, 1, 2, 1], [2, 2, 2, 2], [NAN, 5, 5, 5], [NAN, NAN, 1, 1], [NAN, NAN, 3, NAN],
    ]
)  # fmt: skip
#: Shrout and Fleiss (1979), Psychol. Bull. 86, table 2: six targets by four judges.
SIX_TARGETS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float
)
#: irrCAC, vignette "Calculating Chance-corrected Agreement Coefficients", cont3x3abstractors: Cohen's kappa 0.7964094.
TWO_ABSTRACTORS = np.array([[13, 0, 0], [0, 20, 7], [0, 4, 56]])
#: Wikipedia, "Fleiss' kappa", worked example after Fleiss (1971): 10 subjects by 14 raters in 5 categories, 0.210.
FOURTEEN_RATERS = np.array(
    [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]
)  # fmt: skip
#: Dawid and Skene (1979), Appl. Stat. 28, table 1: 45 patients, five anaesthetists, the first of them three times.
ANAESTHETISTS = """
111 1 1 1 1|333 4 3 3 4|112 2 1 2 2|222 3 1 2 1|222 3 2 2 2|222 3 3 2 2|122 2 1 1 1|333 3 4 3 3|222 2 2 2 3
232 2 2 2 3|444 4 4 4 4|222 3 3 4 3|111 1 1 1 1|222 3 2 1 2|121 1 1 1 1|111 2 1 1 1|111 1 1 1 1|111 1 1 1 1
222 2 2 2 1|222 1 3 2 2|222 2 2 2 2|222 2 2 2 1|222 3 2 2 2|221 2 2 2 2|111 1 1 1 1|111 1 1 1 1|232 2 2 2 2
111 1 1 1 1|111 1 1 1 1|112 1 1 2 1|111 1 1 1 1|333 3 2 3 3|111 1 1 1 1|222 2 2 2 2|222 3 2 3 2|433 4 3 4 3
221 2 2 3 2|232 3 2 3 3|333 3 4 3 2|111 1 1 1 1|111 1 1 1 1|121 2 1 1 1|232 2 2 2 2|121 1 1 1 1|222 2 2 2 2
"""
#: Their table 2: estimated share of each class.
ANAESTHETISTS_SHARES = (0.40, 0.42, 0.11, 0.07)


def as_codes(table: np.ndarray) -> np.ndarray:
    """Return classes from 0, -1 where nothing was said."""
    return np.where(np.isnan(table), -1, np.nan_to_num(table) - 1).astype(np.int16)


def as_raters(counts: np.ndarray) -> np.ndarray:
    """Return one column a rater from counts of raters by subject and class."""
    return np.array([np.repeat(np.arange(len(row)), row) for row in counts], dtype=np.int16)
