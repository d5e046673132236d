"""Tobii Studio's exports and the raw text files of older trackers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_schema.errors import DataImportError
from data_schema.importers import survey_files
from data_schema.session import open_session
from data_schema.session.layout import GAZE

from .tables import EYES, P001, make_study, run_import, write_text

HEADER = [
    "ParticipantName", "RecordingName", "RecordingResolution", "StudioVersionRec", "MediaName", "RecordingTimestamp",
    "StudioEvent", "StudioEventData", "GazePointLeftX (ADCSpx)", "GazePointLeftY (ADCSpx)", "GazePointRightX (ADCSpx)",
    "GazePointRightY (ADCSpx)", "GazePointLeftX (ADCSmm)", "GazePointLeftY (ADCSmm)", "GazePointRightX (ADCSmm)",
    "GazePointRightY (ADCSmm)", "EyePosLeftX (ADCSmm)", "EyePosLeftY (ADCSmm)", "EyePosLeftZ (ADCSmm)", "EyePosRightX (ADCSmm)",
    "EyePosRightY (ADCSmm)", "EyePosRightZ (ADCSmm)", "PupilLeft", "PupilRight", "ValidityLeft", "ValidityRight",
]  # fmt: skip
OLD_NAMES = {
    "ParticipantName": "Participant", "RecordingName": "Recording", "RecordingTimestamp": "Timestamp", "StudioEvent": "Event",
    "StudioEventData": "Descriptor", "GazePointLeftX (ADCSpx)": "GazePointXLeft", "GazePointLeftY (ADCSpx)": "GazePointYLeft",
    "GazePointRightX (ADCSpx)": "GazePointXRight", "GazePointRightY (ADCSpx)": "GazePointYRight",
}  # fmt: skip


def studio_rows(n: int = 90) -> list[list[str]]:
    rows = []
    for sample in range(n):
        t_ms = round(sample * 1000 / 60)
        name = "Joy 1.mp4" if 20 <= sample < 60 else ""
        start = ["Anna", "Rec 01", "1920 x 1080", "3.4.8", name, str(t_ms)]
        if sample in (20, 60):
            rows.append([*start, "MovieStart" if sample == 20 else "MovieEnd", "Joy 1.mp4", *[""] * 18])
        code = sample % 5
        if code == 4:
            rows.append([*start, "", "", *["-1"] * 4, *[""] * 10, "-1", "-1", "4", "4"])
        else:
            numbers = ["480", "270", "960", "540", "100", "75", "264", "148", "200", "90", "600", "262", "90", "601"]
            rows.append([*start, "", "", *numbers, "3,1", "3,3", str(code), "0"])
    return rows


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("old_names", [False, True])
def test_studio_gives_a_session_with_its_trials(tmp_path: Path, encoding: str, old_names: bool) -> None:
    header = [OLD_NAMES.get(name, name) for name in HEADER] if old_names else HEADER
    path = write_text(tmp_path / "studio.tsv", header, studio_rows(), encoding)
    (one,) = run_import(make_study(tmp_path / "s"), "studio", path)
    assert one.n_samples == 90
    assert one.rate_hz == 60.0
    with open_session(one.path) as session:
        rows = session.table(GAZE)[:]
        (trial,) = session.trials()
        (device,) = session.devices
    assert (trial.stimulus_id, trial.t_onset_us, trial.t_offset_us) == ("joy-1", 333_000, 1_000_000)
    assert device["details"]["software_version"] == "3.4.8"
    code = np.arange(90) % 5
    # Codes 0 and 1 are sure, 2 to 4 are not.
    assert np.array_equal(rows["left_gaze_valid"], code <= 1)
    assert np.array_equal(rows["right_gaze_valid"], code <= 3)
    assert np.allclose(rows["left_gaze_norm"][0], (0.25, 0.25))
    assert np.isnan(rows["left_gaze_norm"][code > 1]).all()
    assert np.allclose(rows["right_gaze_user_mm"][0], (264.0, 148.0, 0.0))
    assert np.allclose(rows["left_origin_user_mm"][0], (200.0, 90.0, 600.0))
    assert np.isnan(rows["right_pupil_mm"][code == 4]).all()
    assert np.allclose(rows["right_pupil_mm"][code < 4], 3.3)


@pytest.mark.parametrize("trial", [1, 2])
def test_the_raw_file_of_a_tx300_arrives_sample_by_sample(tmp_path: Path, shared_data: Path, trial: int) -> None:
    source = shared_data / "i2mc" / f"TX300_participant1_trial{trial}.tsv"
    events = tmp_path / "events.csv"
    table = pd.read_csv(source, sep="\t")
    onset = table["Time"].iloc[10]
    events.write_text(f"onset_us,offset_us,stimulus\n{onset},{onset + 1_000_000},fear-1\n", encoding="utf-8")
    (one,) = run_import(make_study(tmp_path / "s"), "studio", source, options=replace(P001, events=events))
    with open_session(one.path) as session:
        rows = session.table(GAZE)[:]
        assert [t.t_onset_us for t in session.trials()] == [onset]
    assert len(rows) == len(table)
    assert one.rate_hz == 300.0
    assert np.array_equal(rows["t_system_us"], table["Time"])
    for eye, letter in zip(EYES, "LR", strict=True):
        valid = (table[f"{letter}Validity"] <= 1).to_numpy()
        assert np.array_equal(rows[f"{eye}_gaze_valid"] == 1, valid)
        for column, field, axes in (
            ("gaze_norm", "GazePos2d", "xy"),
            ("gaze_user_mm", "GazePos3d", "xyz"),
            ("origin_user_mm", "EyePos3d", "xyz"),
        ):
            exported = table[[f"{letter}{field}{axis}" for axis in axes]].to_numpy(np.float32)
            assert np.array_equal(rows[f"{eye}_{column}"], np.where(valid[:, None], exported, np.nan), equal_nan=True)


def test_validity_is_needed(tmp_path: Path) -> None:
    keep = [n for n, name in enumerate(HEADER) if not name.startswith("Validity")]
    rows = [[row[n] for n in keep] for row in studio_rows(5)]
    path = write_text(tmp_path / "x.tsv", [HEADER[n] for n in keep], rows)
    with pytest.raises(DataImportError, match="missing: 'ValidityLeft', 'ValidityRight'.*In Studio: Data Export"):
        survey_files("studio", [path])
