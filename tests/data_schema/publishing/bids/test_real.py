"""A real recording, imported and published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from data_schema.clips.index import build_clip_index
from data_schema.importers import Codes, ImportOptions, plan_import, write_sessions
from data_schema.publishing.bids import export_bids
from data_schema.study.folder import StudyFolder
from tests.data_schema.publishing.bids.conftest import PUBLISH
from tests.data_schema.publishing.bids.test_samples import read_physio
from tests.data_schema.publishing.bids.validator import validate


def test_a_real_recording_passes_the_validator_and_keeps_its_samples(tmp_path: Path, shared_data: Path) -> None:
    (tmp_path / "lab").mkdir()
    text = '[study]\ntitle = "Real gaze"\n' + PUBLISH.format(more="")
    (tmp_path / "lab" / "study.toml").write_text(text, encoding="utf-8")
    (tmp_path / "events.csv").write_text("onset_s,offset_s,stimulus\n1.0,9.0,s01\n", encoding="utf-8")
    study, source = StudyFolder(tmp_path / "lab"), shared_data / "tobii_prolab_ivt" / "ivt_300Hz.tsv.gz"
    options = ImportOptions(
        codes=Codes("P001", "01"), events=tmp_path / "events.csv", consent=("gaze", "sharing"), stimuli={"s01": "s01"}
    )
    write_sessions(study, plan_import(study, "prolab", [source], options), options)
    build_clip_index(study)
    export_bids(study, tmp_path / "out", workers=1)
    assert validate(tmp_path / "out", tmp_path) == []
    (path,) = (tmp_path / "out").rglob("*_recording-eye1_physio.tsv.gz")
    ours, about = read_physio(path)
    theirs = pd.read_csv(source, sep="\t", decimal=",", low_memory=False)
    theirs = theirs[theirs["Sensor"] == "Eye Tracker"].reset_index(drop=True)
    assert len(ours) == len(theirs) == about["SampleCount"] and "Simulated" not in about
    valid = (theirs["Validity left"] == "Valid").to_numpy()
    np.testing.assert_array_equal(ours["gaze_valid"] == 1, valid)
    np.testing.assert_allclose(
        ours["x_coordinate"][valid], theirs["Gaze point left X [DACS px]"][valid].astype(float), rtol=1e-6
    )
    np.testing.assert_array_equal(np.diff(ours["device_time"]), np.diff(theirs["Eyetracker timestamp [μs]"]))
