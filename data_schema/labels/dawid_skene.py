"""Dawid-Skene by the library crowd-kit: classes by raters who err each in their own way.

References
----------
Dawid and Skene (1979), "Maximum likelihood estimation of observer error-rates using
the EM algorithm", Appl. Stat. 28. Ustalov et al. (2024), "Learning from crowds with
Crowd-Kit", JOSS 9.
"""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING

from data_schema.errors import MissingExtraError

if TYPE_CHECKING:
    import pandas as pd

_N_ITERATIONS = 100


def class_probabilities(labels: pd.DataFrame, field: str) -> dict[str, dict[str, float]]:
    """Return the probability of each class of each clip.

    Parameters
    ----------
    labels : DataFrame
        One row a rater and clip: clip_id, annotator_id and `field`, missing where nothing was said.
    field : {'emotion', 'polarity'}

    Returns
    -------
    dict of str to dict of str to float
        By clip, by class; clips without a vote are left out.

    Raises
    ------
    MissingExtraError
        If crowd-kit is not installed.
    """
    try:
        aggregation = importlib.import_module("crowdkit.aggregation")
    except ImportError as error:
        raise MissingExtraError("consensus", error.name or "crowdkit", "Dawid-Skene") from None

    votes = labels.loc[labels[field].notna(), ["clip_id", "annotator_id", field]].astype(str)
    if votes.empty:
        return {}
    # Sums run in the order of rows: sorted, so that the order in which files were read changes no digit.
    votes = votes.set_axis(["task", "worker", "label"], axis=1).sort_values(
        ["task", "worker", "label"], ignore_index=True
    )
    with warnings.catch_warnings():
        # crowd-kit 1.4 calls pandas in ways that pandas 3.1 is about to drop; nobody here can act on that.
        warnings.filterwarnings("ignore", message="The (inplace|copy) keyword")
        found = aggregation.DawidSkene(n_iter=_N_ITERATIONS).fit_predict_proba(votes)
    return {
        str(clip): {str(word): float(share) for word, share in row.items()}
        for clip, row in found.to_dict("index").items()
    }
