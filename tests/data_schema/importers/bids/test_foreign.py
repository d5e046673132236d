"""Datasets of others: what the standard says is enough, whatever their tracker, units and clocks."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from data_schema.cli.imports import app
from data_schema.errors import DataImportError
from data_schema.importers.bids import import_bids
from data_schema.publishing.sessions import presented_by
from data_schema.session.layout import GAZE
from data_schema.session.reader import open_session
from data_schema.study.folder import StudyFolder

#: Columns and units as converters of EyeLink recordings write them.
_SHARED = {
    "PhysioType": "eyetrack",
    "Columns": ["timestamp", "x_coordinate", "y_coordinate", "pupil_size"],
    "SampleCoordinateSystem": "gaze-on-screen",
    "SamplingFrequency": 500,
    "StartTime": 0.25,
    "timestamp": {"Units": "ms", "Origin": "System startup"},
    "x_coordinate": {"Units": "pixel"},
    "y_coordinate": {"Units": "pixel"},
    "pupil_size": {"Description": "Pupil area.", "Units": "a.u."},
}
_EVENTS = {
    "StimulusPresentation": {
        "ScreenDistance": 0.6, "ScreenOrigin": ["top", "left"], "ScreenResolution": [1280, 1024], "ScreenSize": [0.38, 0.3]
    }
}  # fmt: skip


def write(root: Path, name: str, content: Any) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(content.encode()))
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def dataset(root: Path, **changes: Any) -> Path:
    """Two runs of one participant, no sessions, sidecars inherited from the root, a pupil in arbitrary units."""
    write(root, "dataset_description.json", {"Name": "Others' eyes", "BIDSVersion": "1.11.1", "Authors": ["C. Three"]})
    write(root, "task-view_physio.json", _SHARED | changes)
    write(root, "task-view_events.json", _EVENTS)
    for run in (1, 2):
        stem = f"sub-07/beh/sub-07_task-view_run-{run:02d}"
        rows = [f"{7186799 + 2 * i}\t{640 + i}\t{512 - i}\t4612.0" for i in range(1000)]
        rows[10] = f"{7186799 + 20}\tn/a\tn/a\tn/a"
        for recording, eye in (("eye1", "right"), ("eye2", "left")):
            write(root, f"{stem}_recording-{recording}_physio.tsv.gz", "\n".join(rows) + "\n")
            write(root, f"{stem}_recording-{recording}_physio.json", {"RecordedEye": eye})
        events = "onset\tduration\ttrial_type\tstim_file\n0.5\t0.75\timage\timages/cat 1.jpg\n1.5\t0\tbutton\tn/a\n"
        write(root, f"{stem}_events.tsv", events)
    return root


def test_a_dataset_of_others_becomes_a_study(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["bids", str(dataset(tmp_path / "theirs")), "--study", str(tmp_path / "study")])
    assert done.exit_code == 0, done.output
    assert "2 runs, 2,000 samples, 2 trials, 0 labels" in done.stdout
    assert "pupil sizes are not in millimetres" in done.output and "2 events" not in done.stdout
    study = StudyFolder(tmp_path / "study")
    assert study.config.study.title == "Others' eyes" and study.config.screen.width_px == 1280
    assert [item.id for item in study.config.stimuli] == ["images-cat-1"]
    with open_session(study.session_path("07", "01", 2)) as session:
        rows, (trial,) = session.table(GAZE)[:], session.trials()
        assert not session.simulated and session.continues_run == 1 and trial.trial_id == 2
        # Nobody knows what showed their stimuli; it was not the toolkit.
        assert presented_by(session) == ("", "")
    start = rows["t_system_us"][0]
    np.testing.assert_array_equal(np.diff(rows["t_system_us"]), 2000)
    # The stimulus begins at 0.5 s of a clock on which the first sample is at 0.25 s.
    assert trial.t_onset_us - start == 250_000 and trial.t_offset_us - trial.t_onset_us == 750_000
    np.testing.assert_allclose(rows["right_gaze_norm"][500], ((640 + 500) / 1280, 12 / 1024), rtol=1e-6)
    assert rows["left_gaze_valid"][10] == 0 and rows["left_gaze_valid"].sum() == 999
    assert np.isnan(rows["left_pupil_mm"]).all() and rows["left_pupil_valid"].sum() == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"SampleCoordinateSystem": "eye-in-head"}, "only gaze-on-screen"),
        ({"x_coordinate": {"Units": "degree"}}, "the unit of x_coordinate is 'degree'"),
        ({"Columns": ["timestamp", "x_coordinate", "y_coordinate"]}, "rows have 4 columns, its sidecar names 3"),
        ({"PhysioType": "generic"}, "PhysioType 'eyetrack'"),
        ({"timestamp": {}, "SamplingFrequency": 77}, "states no unit"),
    ],
)
def test_what_cannot_be_understood_is_said(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataImportError, match=message):
        import_bids(dataset(tmp_path / "theirs", **changes), tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_a_clock_without_a_unit_is_read_by_its_rate(tmp_path: Path) -> None:
    done = import_bids(dataset(tmp_path / "theirs", timestamp={"Description": "of the device"}), tmp_path / "study")
    with open_session(done.runs[0].path) as session:
        assert set(np.diff(session.table(GAZE)[:]["t_system_us"])) == {2000}
