"""Out and home again: a dataset that was imported is published as the same bytes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from data_schema.clips.index import load_clip_index
from data_schema.errors import DataImportError
from data_schema.exports.folds import load_folds
from data_schema.importers.bids import import_bids
from data_schema.labels.tables import read_labels
from data_schema.publishing.bids import export_bids
from data_schema.session.layout import FACTS, FLIPS, FRAMES, GAZE, OPENNESS, PRESENTATIONS, RESPONSES, decode_text
from data_schema.session.reader import open_session
from data_schema.study.folder import StudyFolder
from tests.data_schema.publishing.bids.conftest import build_study
from tests.data_schema.publishing.bids.test_export import contents
from tests.data_schema.studies import label_all

#: What cannot come home: a run without gaze has no calibration in the dataset, and landmarks no pictures.
_NOT_CARRIED = {"datasheet.md", "SHA256SUMS"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyFolder, Path, StudyFolder]:
    folder = tmp_path_factory.mktemp("round")
    study = build_study(folder / "study_one", 'pseudonyms = "keep"')
    # Landmarks of pictures that stay in the study cannot be found again.
    with h5py.File(study.session_path("P003", "01"), "r+", libver=("v110", "v110")) as file:
        file[FRAMES.path].resize(0, axis=0)
        file["/face/packets"].resize(0, axis=0)
    for path in study.label_files():
        path.unlink()
    label_all(study)
    export_bids(study, folder / "one", workers=1)
    result = import_bids(folder / "one", folder / "study_two")
    assert result.n_labels == 20 and len(result.runs) == 4
    return study, folder / "one", StudyFolder(folder / "study_two")


def test_export_import_export_gives_the_same_bytes(home: tuple[StudyFolder, Path, StudyFolder], tmp_path: Path) -> None:
    _, first, study = home
    export_bids(study, tmp_path / "two", workers=1)
    one, two = contents(first), contents(tmp_path / "two")
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name] and name not in _NOT_CARRIED] == []


def test_clips_whose_pictures_are_held_back_come_home(home: tuple[StudyFolder, Path, StudyFolder]) -> None:
    clips = load_clip_index(home[2])
    mine = clips[clips["participant"] == "P002"]
    assert len(mine) == 2 and mine["included"].all() and (mine["n_face_frames"] == 0).all()
    assert "held back" in (home[1] / "README.md").read_text(encoding="utf-8")


def test_folds_come_home_frozen_and_are_no_fact(home: tuple[StudyFolder, Path, StudyFolder]) -> None:
    folds = load_folds(home[2].folds_path)
    assert folds.assignment == {"P001": 2, "P002": 0, "P003": 1} and folds.n_folds == 4
    with open_session(home[2].session_path("P001", "01")) as session:
        assert "fold" not in decode_text(session.table(FACTS)[:]["key"])


def test_the_sessions_hold_what_was_recorded(home: tuple[StudyFolder, Path, StudyFolder]) -> None:
    before, _, after = home
    with (
        open_session(before.session_path("P001", "01")) as old,
        open_session(after.session_path("P001", "01")) as new,
    ):
        for table in (GAZE, OPENNESS, PRESENTATIONS, FLIPS, FRAMES, RESPONSES):
            mine, theirs = new.table(table)[:], old.table(table)[:]
            assert len(mine) == len(theirs) > 0, table.path
        was, comes = old.table(GAZE)[:], new.table(GAZE)[:]
        for name in was.dtype.names:
            if not name.startswith("t_"):
                np.testing.assert_array_equal(was[name], comes[name], err_msg=name)
        np.testing.assert_array_equal(np.diff(was["t_system_us"]), np.diff(comes["t_system_us"]))
        assert [np.array(frame).sum() for _, frame in new.video.decode_many(np.arange(3))] == [
            np.array(frame).sum() for _, frame in old.video.decode_many(np.arange(3))
        ]
        assert new.simulated and new.trials()[0].stimulus_id == old.trials()[0].stimulus_id
    labels = read_labels(after.label_files())
    assert set(labels["annotator_id"]) == {"sim-01", "sim-02"} and set(labels["annotator_kind"]) == {"simulated"}


def test_a_real_recording_beside_simulated_ones_comes_home_as_real(
    home: tuple[StudyFolder, Path, StudyFolder], tmp_path: Path
) -> None:
    mixed = tmp_path / "mixed"
    shutil.copytree(home[1], mixed)
    for path in (mixed / "sub-P002").rglob("*_events.json"):
        about = json.loads(path.read_text(encoding="utf-8"))
        assert about.pop("Simulated")
        path.write_text(json.dumps(about), encoding="utf-8")
    import_bids(mixed, tmp_path / "back")
    real = set()
    for path in StudyFolder(tmp_path / "back").session_files():
        with open_session(path) as session:
            real |= set() if session.simulated else {session.participant}
    assert real == {"P002"}


def test_nothing_is_left_of_an_import_that_fails(home: tuple[StudyFolder, Path, StudyFolder], tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(home[1], broken)
    damaged = sorted(broken.rglob("*_recording-eye2_physio.tsv.gz"))[-1]
    damaged.write_bytes(damaged.read_bytes()[:200])
    with pytest.raises(DataImportError, match=damaged.name):
        import_bids(broken, tmp_path / "study")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken"]
    with pytest.raises(DataImportError, match="exists already"):
        import_bids(home[1], tmp_path)
    with pytest.raises(DataImportError, match="no BIDS dataset"):
        import_bids(tmp_path, tmp_path / "study")
