"""Summary features of an export: as derived, and completed over the session."""

from __future__ import annotations

import h5py
import numpy as np
from numpy.testing import assert_array_equal

from data_schema.derived import open_derived
from data_schema.exports.reading import TrainingExport
from data_schema.signals.features import SUMMARY_FEATURE_NAMES, complete_session


def test_each_clip_has_its_summary(made):
    study, path = made
    with TrainingExport.open(path) as export:
        assert [item["name"] for item in export.manifest["summary_features"]] == list(SUMMARY_FEATURE_NAMES)
        mine = export.clips[export.clips["participant"] == "P001"]
        arrays = [export.read(name, ("summary", "summary_mask")) for name in mine["clip_id"]]
        derived = [open_derived(study, name).features for name in mine["clip_id"]]
    values, mask = (np.stack([row[name] for row in arrays]) for name in ("summary", "summary_mask"))
    expected = complete_session(np.stack([f.values for f in derived]), np.stack([f.mask for f in derived]))
    assert_array_equal(values, expected[0])
    assert_array_equal(mask, expected[1])
    assert mask.mean() > 0.4
    assert not values[~mask].any()
    with h5py.File(path / mine["shard"].iloc[0]) as file:
        assert file["summary"].shape == (2, len(SUMMARY_FEATURE_NAMES))
        assert "pupil_peak_latency" in file["summary"].attrs["features"]
