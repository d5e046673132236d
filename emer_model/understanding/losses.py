"""What can be missing of clips: a modality, or a share of its steps, or of the clips that have it.

What is lost is lost to everything computed from it: chunks that are gone take their gaze points and the fixations that
began in them along, and all summaries of chunks and fixations are computed again from what is left. The summaries that
the export itself holds come from recordings that are not at hand. Where a modality is gone, so are they; where a share
of it is gone, the same share of them is, drawn at random.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from emer_model.data.store import ClipStore

#: Shares at which the curves are drawn: ours.
SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)

#: Modalities that are taken away one by one, with what goes with each.
ABLATIONS = {
    "face": "face frames, and the export's summaries of face and head",
    "eyes": "all that the eye tracker gave: chunks, gaze points, fixations and every summary of them",
    "eye chunks": "chunks and gaze points with their summaries; fixations stay",
    "fixations": "the list of fixations with its summaries; chunks, which tell rates of fixations, stay",
    "everything": "all of it: what is answered for a clip of which nothing is known",
}

#: What is taken away little by little.
CURVES = {
    "eye chunks": "share of the chunks of each clip, with gaze points and fixations in them",
    "face frames": "share of the face frames of each clip",
    "clips without eyes": "share of the clips that have no eye data at all",
    "clips without face": "share of the clips that have no face at all",
}

#: Beginnings of the export's own summaries that are made of fixations and saccades between them.
_OF_FIXATIONS = ("clip/fixation_", "clip/scan_", "clip/k_")


@dataclass(frozen=True)
class Masks:
    """What is lost, True where; shapes as `ClipStore.without` takes them."""

    eye: np.ndarray
    fixations: np.ndarray
    faces: np.ndarray
    exported_summary: np.ndarray

    @classmethod
    def none(cls, store: ClipStore) -> Masks:
        """Return masks that take nothing."""
        shapes = (
            store.eye.shape[:2],
            store.fixation_mask.shape,
            store.face_mask.shape,
            (len(store), store.n_exported_summaries),
        )
        return cls(*(np.zeros(shape, dtype=bool) for shape in shapes))

    def applied(self, store: ClipStore) -> ClipStore:
        """Return the store that is left."""
        return store.without(
            eye=self.eye, fixations=self.fixations, faces=self.faces, exported_summary=self.exported_summary
        )


def take_away(store: ClipStore, what: str, clips: np.ndarray | None = None) -> Masks:
    """Take one of `ABLATIONS` away, from all clips or from some.

    Parameters
    ----------
    store : ClipStore
    what : str
    clips : ndarray of bool, shape (n,), optional
    """
    masks = Masks.none(store)
    rows = np.ones(len(store), dtype=bool) if clips is None else clips
    head, fixation = (_columns(store, begin) for begin in (("head/",), _OF_FIXATIONS))
    if what in ("face", "everything"):
        masks.faces[rows] = True
        masks.exported_summary[np.ix_(rows, head)] = True
    if what in ("eyes", "eye chunks", "everything"):
        masks.eye[rows] = True
        kept = head | fixation if what == "eye chunks" else head
        masks.exported_summary[np.ix_(rows, ~kept)] = True
    if what in ("eyes", "fixations", "everything"):
        masks.fixations[rows] = True
        masks.exported_summary[np.ix_(rows, fixation)] = True
    return masks


def take_share(store: ClipStore, clips: pd.DataFrame, what: str, share: float, seed: int) -> Masks:
    """Take a share of one of `CURVES` away.

    What is lost at a small share is lost at all greater ones, too, so that a curve shows what is missing and not
    another draw.

    Parameters
    ----------
    store : ClipStore
    clips : DataFrame
        ``clips.parquet`` of the export: the length of a clip says in which chunk a fixation began.
    what : str
    share : float
        0 to 1.
    seed : int
    """
    rng = np.random.default_rng([seed, list(CURVES).index(what)])
    if what.startswith("clips without "):
        away = "face" if what.endswith("face") else "eyes"
        return take_away(store, away, _lowest(rng.random((1, len(store))), share)[0])
    masks = Masks.none(store)
    lost_columns = rng.random((len(store), store.n_exported_summaries)) < share
    head = _columns(store, ("head/",))
    if what == "face frames":
        masks.faces[:] = _lowest(rng.random(store.face_mask.shape), share)
        masks.exported_summary[:] = lost_columns & head
        return masks
    masks.eye[:] = _lowest(rng.random(store.eye.shape[:2]), share)
    masks.exported_summary[:] = lost_columns & ~head
    masks.fixations[:] = np.take_along_axis(masks.eye, _chunk_of_fixations(store, clips), axis=1)
    return masks


def steps() -> Iterator[tuple[str, float]]:
    """Yield what is taken away and how much of it; nothing taken away is the same for all and not yielded."""
    for what in CURVES:
        for share in SHARES:
            if share > 0.0:
                yield what, share


def _columns(store: ClipStore, beginnings: tuple[str, ...]) -> np.ndarray:
    """Tell which of the export's own summaries have names that begin so, shape (exported,)."""
    names = store.names["summary"][: store.n_exported_summaries]
    return np.array([name.startswith(beginnings) for name in names], dtype=bool)


def _lowest(values: np.ndarray, share: float) -> np.ndarray:
    """Mark the lowest share of each row of random values (n, steps), rounded to whole steps."""
    rank = np.argsort(np.argsort(values, axis=1), axis=1)
    return rank < np.round(share * values.shape[1])


def _chunk_of_fixations(store: ClipStore, clips: pd.DataFrame) -> np.ndarray:
    """Return the chunk in which each fixation began, int64 (n, M)."""
    onset = store.fixations[:, :, store.names["fixations"].index("onset_s")]
    duration_s = clips.set_index("clip_id")["duration_s"].reindex(store.clip_ids).to_numpy(np.float64)
    place = np.floor(onset / np.maximum(duration_s, 1e-9)[:, None] * store.eye.shape[1])
    return np.clip(np.nan_to_num(place), 0, store.eye.shape[1] - 1).astype(np.int64)
