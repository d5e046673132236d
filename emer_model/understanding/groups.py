"""Figures of a run by person, film, class, and by how much of the eyes was seen, for all its targets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from emer_model.evaluation.breakdowns import by_class, by_eye_data, by_participant, by_stimulus, spread
from emer_model.training.opened import OpenedRun


def group_tables(
    opened: OpenedRun, whole: pd.DataFrame, masked: pd.Series
) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Compute the breakdowns of all targets.

    Parameters
    ----------
    opened : OpenedRun
    whole : DataFrame
        Predictions for the test clips.
    masked : Series
        Of `emer_model.evaluation.gap.masked_clips`.

    Returns
    -------
    tables : dict of DataFrame
        ``participants``, ``stimuli``, ``eye_data``, ``classes``: the breakdowns of `emer_model.evaluation.breakdowns`,
        ``target_name`` first.
    spreads : dict
        By target, how the main figure is spread over participants and over stimuli.
    """
    clips = opened.export.clips
    store = opened.store
    share = store.eye_mask.reshape(len(store), -1).mean(axis=1, dtype=np.float64)
    shares = pd.Series(share, index=pd.Index(store.clip_ids, name="clip_id"))
    tables: dict[str, list[pd.DataFrame]] = {"participants": [], "stimuli": [], "eye_data": [], "classes": []}
    spreads = {}
    for declared in opened.targets:
        if not (whole["target_name"] == declared.name).any():
            continue
        found = {
            "participants": by_participant(whole, declared, masked),
            "stimuli": by_stimulus(whole, clips, declared, masked),
            "eye_data": by_eye_data(whole, shares, declared, masked),
        }
        spreads[declared.name] = {name: spread(found[name], declared) for name in ("participants", "stimuli")}
        if declared.classes:
            found["classes"] = by_class(whole, declared)
        for name, table in found.items():
            table = table.reset_index()
            table.insert(0, "target_name", declared.name)
            tables[name].append(table)
    return {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items() if parts}, spreads
