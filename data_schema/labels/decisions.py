"""Adjudicators' decisions that hold. They lie beside the labels and change none."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


_log = logging.getLogger(__name__)
#: What an adjudicator can decide; a field left empty stays the raters'.
DECIDED_FIELDS: tuple[str, ...] = ("emotion", "polarity", "valence", "arousal", "intensity")
_SORT = ["created_utc", "annotator_id", "row_id"]


def current_decisions(decisions: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return the decisions of a pass that hold now: one a clip.

    A decision that a later one of the same adjudicator replaces does not hold,
    nor does one without any field, which takes the earlier ones back. Where two
    adjudicators decided on one clip, the newer decision holds, and a warning
    names the clips.

    Parameters
    ----------
    decisions : DataFrame
        From ``read_log(paths, "decisions")``.
    task : {'er', 'fer'}

    Returns
    -------
    DataFrame
        Rows of `decisions`, sorted by clip.
    """
    import pandas as pd

    own = decisions[decisions["task"] == task]
    replaced = pd.MultiIndex.from_frame(own.loc[own["supersedes"].notna(), ["annotator_id", "supersedes"]])
    standing = own[~pd.MultiIndex.from_frame(own[["annotator_id", "row_id"]]).isin(replaced)]
    # Copies of one file that went on apart leave two last rows: the newer one is what the adjudicator says.
    last = standing.sort_values(_SORT, kind="stable").drop_duplicates(["annotator_id", "clip_id"], keep="last")
    says = last[last[list(DECIDED_FIELDS)].notna().any(axis=1)]
    twice = says.duplicated("clip_id", keep="last")
    if twice.any():
        names = sorted(set(says.loc[twice, "clip_id"].astype(str)))
        _log.warning(
            "%d clips were decided by two adjudicators; the newer decision holds: %s%s",
            len(names), ", ".join(names[:5]), ", ..." if len(names) > 5 else "",
        )  # fmt: skip
    chosen: pd.DataFrame = says[~twice].sort_values("clip_id", kind="stable", ignore_index=True)
    return chosen
