"""Somebody who has only the dataset and the standard opens it with pandas, pymovements and MNE."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_schema import __version__
from tests.data_schema.publishing.bids.conftest import Published

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def sidecar(path: Path) -> dict:
    return json.loads(Path(str(path).replace(".tsv.gz", ".json").replace(".tsv", ".json")).read_text(encoding="utf-8"))


def first_eye(published: Published) -> Path:
    return published.files("sub-P001/**/*_run-01_recording-eye1_physio.tsv.gz")[0]


def test_pymovements_finds_our_fixations(published: Published) -> None:
    pm = pytest.importorskip("pymovements", exc_type=ImportError)
    path = first_eye(published)
    about = sidecar(path)
    screen = sidecar(published.files("sub-P001/**/*_run-01_events.tsv")[0])["StimulusPresentation"]
    assert about["timestamp"]["Units"] == "s" and about["x_coordinate"]["Units"] == "pixel"
    (width, height), (width_m, height_m) = screen["ScreenResolution"], screen["ScreenSize"]
    experiment = pm.Experiment(
        width, height, width_m * 100, height_m * 100, screen["ScreenDistance"] * 100,
        origin="upper left", sampling_rate=about["SamplingFrequency"],
    )  # fmt: skip
    assert screen["ScreenOrigin"] == ["top", "left"]
    gaze = pm.gaze.from_csv(
        path,
        experiment=experiment,
        time_column="timestamp",
        time_unit="s",
        pixel_columns=["x_coordinate", "y_coordinate"],
        separator="\t",
        has_header=False,
        new_columns=about["Columns"],
        null_values="n/a",
    )
    gaze.pix2deg()
    gaze.pos2vel(method="neighbors")
    gaze.detect("ivt", velocity_threshold=30.0, minimum_duration=60)
    theirs = gaze.events.frame.to_pandas()

    events_path = Path(str(path).replace("_physio.", "_physioevents."))
    ours = pd.read_csv(events_path, sep="\t", names=sidecar(events_path)["Columns"], na_values="n/a")
    ours = ours[(ours["trial_type"] == "fixation") & (ours["duration"] > 0.1)]
    samples = pd.read_csv(path, sep="\t", names=about["Columns"], na_values="n/a")
    lost_s = samples.loc[samples["gaze_valid"] == 0, "timestamp"].to_numpy()
    compared = 0
    for start_s, length_s in zip(ours["onset"], ours["duration"], strict=True):
        # Their velocity is missing beside a lost sample, which cuts their fixation in two.
        if ((lost_s > start_s - 0.03) & (lost_s < start_s + length_s + 0.03)).any():
            continue
        start, end = start_s * 1000, (start_s + length_s) * 1000
        overlap = np.minimum(theirs["offset"], end) - np.maximum(theirs["onset"], start)
        # Each end is a sample or two of 8.3 ms away: velocity over two samples here, over 20 ms there.
        assert overlap.max() > end - start - 35
        compared += 1
    assert compared >= 2


def test_pymovements_reads_participants_and_questionnaires(published: Published) -> None:
    pm = pytest.importorskip("pymovements", exc_type=ImportError)
    people = pm.Participants.load(published.root / "participants.tsv", verify_bids="REQUIRED")
    assert people.data["participant_id"].to_list() == ["sub-P001", "sub-P002", "sub-P003"]
    answers = pm.Phenotype.load(published.root / "phenotype" / "panas.tsv", verify_bids="REQUIRED")
    assert answers.data["ses01_before_interested"].to_list() == [3, None, 3]


def test_mne_opens_both_eyes_with_the_clips_as_annotations(published: Published) -> None:
    mne = pytest.importorskip("mne")
    data, names, types = [], [], []
    for recording in ("eye1", "eye2"):
        path = published.files(f"sub-P001/**/*_run-01_recording-{recording}_physio.tsv.gz")[0]
        about = sidecar(path)
        table = pd.read_csv(path, sep="\t", names=about["Columns"], na_values="n/a")
        for column, kind in (("x_coordinate", "eyegaze"), ("y_coordinate", "eyegaze"), ("pupil_size", "pupil")):
            data.append(table[column].to_numpy())
            names.append(f"{column}_{about['RecordedEye']}")
            types.append(kind)
    raw = mne.io.RawArray(np.array(data), mne.create_info(names, about["SamplingFrequency"], types), verbose="error")
    events = pd.read_csv(published.files("sub-P001/**/*_run-01_events.tsv")[0], sep="\t", na_values="n/a")
    clips = events[events["trial_type"] == "stimulus"]
    raw.set_annotations(mne.Annotations(clips["onset"] - about["StartTime"], clips["duration"], clips["stim_id"]))
    assert raw.get_channel_types(unique=True) == ["eyegaze", "pupil"]
    assert list(raw.annotations.description) == ["s00", "s01"]
    # A clip's samples are where its annotation says, without a word about clocks.
    cut = raw.copy().crop(clips["onset"].iloc[1], clips["onset"].iloc[1] + 0.5)
    at = np.searchsorted(table["timestamp"], clips["onset"].iloc[1])
    assert abs(int(cut.first_samp) - at) <= 1


def test_a_stranger_learns_how_to_split_and_to_cite(published: Published) -> None:
    people = pd.read_csv(published.root / "participants.tsv", sep="\t", na_values="n/a", index_col="participant_id")
    assert people["fold"].to_dict() == {"sub-P001": 2, "sub-P002": 0, "sub-P003": 1}
    # One of the four folds has nobody in this dataset: it counts all the same.
    assert "0 to 3" in sidecar(published.root / "participants.tsv")["fold"]["Description"]
    about = json.loads((published.root / "dataset_description.json").read_text(encoding="utf-8"))
    cited = "Ada One, Ben Two. Clips and eyes, version 1.0.0 [Data set]."
    assert cited in about["HowToAcknowledge"]
    shown = sidecar(published.files("sub-P001/**/*_run-01_events.tsv")[0])["StimulusPresentation"]
    assert (shown["SoftwareName"], shown["SoftwareVersion"]) == ("EMER toolkit", __version__)
    readme = (published.root / "README.md").read_text(encoding="utf-8")
    assert cited in readme and "(of 4, counted from 0)" in readme and "upper left corner" in readme


def test_the_tracker_is_as_far_away_as_its_samples_say(published: Published) -> None:
    path = first_eye(published)
    about = sidecar(path)
    eye = pd.read_csv(path, sep="\t", names=about["Columns"], na_values="n/a")
    place = eye.loc[eye["eye_valid"] == 1, ["eye_x", "eye_y", "eye_z"]]
    assert about["EyeTrackerDistance"] == pytest.approx(np.linalg.norm(place, axis=1).mean() / 1000, abs=0.0006)


def test_words_of_closed_lists_are_listed(published: Published) -> None:
    for path in published.files("derivatives/annotations-*/**/*_events.tsv"):
        table, about = pd.read_csv(path, sep="\t", na_values="n/a", keep_default_na=False), sidecar(path)
        for name in {"emotion", "polarity", "source", "annotator_kind", "skip_reason"} & set(table):
            assert set(table[name].dropna()) <= set(about[name]["Levels"]), (path.name, name)


def test_every_column_is_explained_where_it_stands(published: Published) -> None:
    for path in published.files("**/*.tsv"):
        if path.name in ("stimuli.tsv",) or path.parent == published.root:
            continue
        named = pd.read_csv(path, sep="\t", nrows=0).columns
        about = sidecar(path)
        assert [name for name in named if not about.get(name, {}).get("Description")] == [], path.name
    for path in published.files("**/*.tsv.gz"):
        about = sidecar(path)
        assert [name for name in about["Columns"] if not about.get(name, {}).get("Description")] == [], path.name
