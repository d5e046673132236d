from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from data_schema.exports.reading import TrainingExport
from emer_model.data.store import ClipStore
from emer_model.data.summaries import chunk_summaries
from emer_model.understanding.losses import Masks, take_away, take_share


@pytest.fixture(scope="module")
def opened(tiny_export: Path):
    with TrainingExport.open(tiny_export, verify=False) as export:
        yield ClipStore(export, images=False), export.clips


def test_what_is_lost_is_lost_to_every_summary(opened) -> None:
    store, clips = opened
    left = take_share(store, clips, "eye chunks", 0.5, seed=3).applied(store)
    assert left.eye_mask.any(axis=2).sum(axis=1).max() == 16  # of 32 chunks
    expected, mask, names = chunk_summaries(store.eye, left.eye_mask, store.names["eye"])
    columns = [left.names["summary"].index(name) for name in names]
    np.testing.assert_array_equal(left.summary[:, columns], expected)
    np.testing.assert_array_equal(left.summary_mask[:, columns], mask)
    # A fixation goes with the chunk in which it began: clips are of 4 s.
    onset = store.fixations[:, :, store.names["fixations"].index("onset_s")]
    chunk = np.clip((onset / 4.0 * 32).astype(int), 0, 31)
    lost = ~np.take_along_axis(left.gaze_points_mask, chunk, axis=1)
    np.testing.assert_array_equal(left.fixation_mask, store.fixation_mask & ~lost)
    assert (store.eye_mask.any(axis=2)).all() and left.face_mask is not store.face_mask
    np.testing.assert_array_equal(left.face_mask, store.face_mask)


def test_more_missing_is_the_same_missing_and_more(opened) -> None:
    store, clips = opened
    for what, kind in (("eye chunks", "eye"), ("face frames", "faces"), ("clips without eyes", "eye")):
        masks = [getattr(take_share(store, clips, what, share, seed=0), kind) for share in (0.25, 0.5, 1.0)]
        assert (masks[0] <= masks[1]).all() and masks[0].sum() < masks[1].sum() and masks[2].all()
        again = getattr(take_share(store, clips, what, 0.5, seed=0), kind)
        other = getattr(take_share(store, clips, what, 0.5, seed=1), kind)
        assert (again == masks[1]).all() and (what == "face frames" or not (other == masks[1]).all())


class _Described(SimpleNamespace):
    def __len__(self) -> int:
        return 200


def test_summaries_of_the_export_go_with_what_they_are_of() -> None:
    names = ("clip/pupil_peak", "clip/fixation_count", "clip/scan_stationary_entropy", "head/head_yaw_mean")
    store = _Described(
        eye=np.zeros((200, 8, 2)), fixation_mask=np.ones((200, 3), bool), face_mask=np.ones((200, 2), bool),
        names={"summary": (*names, "chunks/a/mean"), "fixations": ("onset_s",)}, fixations=np.zeros((200, 3, 1)),
        n_exported_summaries=4, clip_ids=[str(i) for i in range(200)],
    )  # fmt: skip
    lost = {
        what: take_away(store, what).exported_summary.all(axis=0).tolist() for what in ("face", "eyes", "fixations")
    }
    assert lost["face"] == [False, False, False, True]
    assert lost["eyes"] == [True, True, True, False]
    assert lost["fixations"] == [False, True, True, False]
    assert take_away(store, "eye chunks").exported_summary.all(axis=0).tolist() == [True, False, False, False]
    clips = pd.DataFrame({"clip_id": store.clip_ids, "duration_s": 4.0})
    share = take_share(store, clips, "eye chunks", 0.25, seed=0).exported_summary.mean(axis=0)
    assert share[3] == 0.0 and share[:3] == pytest.approx(np.full(3, 0.25), abs=0.1)
    assert not Masks.none(store).exported_summary.any()
