"""Where the felt and the shown emotion part: the emotion gap."""

from __future__ import annotations

import numpy as np
import pandas as pd


def masked_clips(targets: pd.DataFrame) -> pd.Series:
    """Tell which clips are masked: ER and FER consensus name different emotions.

    Parameters
    ----------
    targets : DataFrame
        ``targets.parquet``.

    Returns
    -------
    Series of bool (nullable), indexed by clip_id
        True where masked, False where they agree, <NA> where either is missing.
    """
    by_clip = targets.set_index("clip_id")
    er, fer = by_clip["er_emotion"], by_clip["fer_emotion"]
    masked = pd.Series(er.to_numpy() != fer.to_numpy(), index=by_clip.index, dtype="boolean")
    masked[(er.isna() | fer.isna()).to_numpy()] = pd.NA
    return masked


def agreement_matrix(targets: pd.DataFrame, classes: tuple[str, ...]) -> np.ndarray:
    """Count clips by felt (rows) and shown (columns) emotion, shape (n_classes, n_classes)."""
    both = targets.dropna(subset=["er_emotion", "fer_emotion"])
    table = pd.crosstab(both["er_emotion"], both["fer_emotion"])
    return table.reindex(index=list(classes), columns=list(classes), fill_value=0).to_numpy()
