"""Which named feature each column of a model's inputs belongs to.

The pupil's change enters a model as 32 chunks, as mean, slope and quarters of the clip, as extremes and cosines. Whoever
asks what the pupil did for an answer means all of these together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from emer_model.data.store import ClipStore

#: Modalities of features.
MODALITIES = ("face", "eyes", "fixations")

_QUARTER = re.compile(r"_quarter_\d+$")
_CELL = re.compile(r"^cell_\d+_\d+$")
_OF_FIXATIONS = ("fixation_", "scan_", "k_")


@dataclass(frozen=True)
class Groups:
    """Features, and the one that each column belongs to.

    Parameters
    ----------
    names, modalities : tuple of str
        Of the features.
    columns : dict of str to ndarray of int64, shape (columns,)
        By input, the place of each column's feature.
    """

    names: tuple[str, ...]
    modalities: tuple[str, ...]
    columns: dict[str, np.ndarray]


def group_columns(store: ClipStore, widths: dict[str, int]) -> Groups:
    """Group the columns of some inputs by feature.

    Parameters
    ----------
    store : ClipStore
        Knows their names.
    widths : dict of str to int
        Columns of each input.
    """
    chunked = set(store.names["eye"])
    known: dict[tuple[str, str], int] = {}
    columns = {}
    for name, width in widths.items():
        said = [_feature(name, column, chunked) for column in store.names.get(name, ("",) * width)]
        columns[name] = np.array([known.setdefault(feature, len(known)) for feature in said], dtype=np.int64)
    return Groups(tuple(name for _, name in known), tuple(modality for modality, _ in known), columns)


def _feature(table: str, column: str, chunked: set[str]) -> tuple[str, str]:
    """Return modality and feature of a column of an input."""
    if table in ("face_features", "face_summary", "faces"):
        return "face", "face"
    if table == "gaze_points":
        return "eyes", "gaze point"
    if table == "eye":
        return "eyes", column
    if table == "fixations":
        return "fixations", f"fixation {column}"
    kind, _, rest = column.partition("/")
    feature = rest.split("/")[0]
    if kind == "head":
        return "face", "head" if feature.startswith("head_") else "face"
    if kind == "fixations":
        feature = (
            "place"
            if _CELL.match(feature)
            else feature.replace("log_duration", "duration_s").replace("number", "count")
        )
        return "fixations", f"fixation {feature}"
    if kind == "clip" and feature not in chunked:
        whole = _QUARTER.sub("_mean", feature)
        if whole in chunked:
            return "eyes", whole
        return ("fixations" if feature.startswith(_OF_FIXATIONS) else "eyes"), feature
    return "eyes", feature
