"""Gaze in the dataset is the session's gaze: every number, every time, both eyes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_schema.publishing.bids.physio import OpennessAt, write_eyes
from data_schema.publishing.sessions import _rate_hz
from data_schema.session.layout import FLIPS, FRAMES, GAZE, OPENNESS, PRESENTATIONS
from data_schema.session.reader import open_session
from tests.data_schema.publishing.bids.conftest import Published


def read_physio(path: Path) -> tuple[pd.DataFrame, dict]:
    """Read samples as anybody would who has read the standard: columns from the sidecar, n/a for what is missing."""
    about = json.loads(Path(str(path).replace(".tsv.gz", ".json")).read_text(encoding="utf-8"))
    table = pd.read_csv(path, sep="\t", names=about["Columns"], na_values="n/a", compression="gzip")
    return table, about


@pytest.mark.parametrize(("participant", "run"), [("P001", 1), ("P001", 2), ("P002", 1)])
@pytest.mark.parametrize(("recording", "eye"), [("eye1", "left"), ("eye2", "right")])
def test_samples_are_the_sessions_own(
    published: Published, participant: str, run: int, recording: str, eye: str
) -> None:
    (path,) = published.files(f"sub-{participant}/**/*_run-{run:02d}_recording-{recording}_physio.tsv.gz")
    table, about = read_physio(path)
    with open_session(published.study.session_path(participant, "01", run)) as session:
        rows, openness = session.table(GAZE)[:], session.table(OPENNESS)[:]
    origin = int(rows["t_system_us"][0])
    assert about["RecordedEye"] == eye and about["StartTime"] == 0.0
    # One clock, exact: microseconds survive the way through decimal seconds.
    np.testing.assert_array_equal(np.round(table["timestamp"] * 1e6), rows["t_system_us"] - origin)
    np.testing.assert_array_equal(table["device_time"], rows["t_device_us"] - rows["t_device_us"][0])
    for axis, name, size in ((0, "x_coordinate", 1920), (1, "y_coordinate", 1080)):
        np.testing.assert_array_equal((table[name] / size).astype(np.float32), rows[f"{eye}_gaze_norm"][:, axis])
    np.testing.assert_array_equal(table["pupil_size"].astype(np.float32), rows[f"{eye}_pupil_mm"])
    np.testing.assert_array_equal(table[["eye_x", "eye_y", "eye_z"]].astype(np.float32), rows[f"{eye}_origin_user_mm"])
    np.testing.assert_array_equal(table["gaze_valid"], rows[f"{eye}_gaze_valid"])
    np.testing.assert_array_equal(table["openness"].astype(np.float32), openness[f"{eye}_openness_mm"])
    assert about["SamplingFrequency"] == pytest.approx(120, rel=1e-3) and about["SampleCount"] == len(rows)


def test_events_and_video_share_the_clock_of_the_samples(published: Published) -> None:
    with open_session(published.study.session_path("P001", "01")) as session:
        origin = int(session.table(GAZE)[:1]["t_system_us"][0])
        shown, flips = session.table(PRESENTATIONS)[:], session.table(FLIPS)[:]
        first_frame = int(session.table(FRAMES)[:1]["t_capture_us"][0])
        n_frames = len(session.table(FRAMES))
    (events_path,) = published.files("sub-P001/**/*_run-01_events.tsv")
    events = pd.read_csv(events_path, sep="\t", na_values="n/a", keep_default_na=False)
    clips = events[events["trial_type"] == "stimulus"]
    np.testing.assert_array_equal(np.round(clips["onset"] * 1e6), shown["t_onset_us"] - origin)
    assert list(clips["stim_id"]) == ["s00", "s01"] and list(clips["trial"]) == [1, 2]
    assert events["onset"].is_monotonic_increasing
    (stim_path,) = published.files("sub-P001/**/*_run-01_recording-screen_stim.tsv.gz")
    refreshes, about = read_physio(stim_path)
    np.testing.assert_array_equal(np.round(refreshes["timestamp"] * 1e6), flips["t_flip_us"] - origin)
    assert about["StartTime"] == refreshes["timestamp"][0]
    (video,) = published.files("sub-P001/**/*_run-01_recording-face_video.json")
    sidecar = json.loads(video.read_text(encoding="utf-8"))
    assert sidecar["StartTime"] == (first_frame - origin) / 1e6
    assert sidecar["VideoFrameCount"] == n_frames and sidecar["ImageWidth"] == 320 and not sidecar["FaceBlurred"]


def _gaze(n: int) -> np.ndarray:
    rows = GAZE.empty(n)
    rows["t_system_us"] = rows["t_device_us"] = np.arange(n) * 1000
    for eye in ("left", "right"):
        rows[f"{eye}_gaze_valid"] = 1
    return rows


def test_chunks_of_any_size_give_the_same_bytes(tmp_path: Path) -> None:
    rows, opened = _gaze(1000), OPENNESS.empty(400)
    opened["t_device_us"] = opened["t_system_us"] = np.arange(400) * 2000 + 1000
    opened["left_openness_mm"], opened["left_valid"] = np.arange(400), 1
    for size, other in ((1000, 400), (7, 3), (130, 256)):
        paths = {eye: tmp_path / f"{eye}_{size}.tsv.gz" for eye in ("left", "right")}
        openness = OpennessAt(opened[i : i + other] for i in range(0, 400, other))
        facts = write_eyes((rows[i : i + size] for i in range(0, 1000, size)), paths, (1920, 1080), openness)
        assert facts.n_samples == 1000 and facts.last_us == 999_000
    left = [pd.read_csv(tmp_path / f"left_{size}.tsv.gz", sep="\t", header=None) for size in (1000, 7, 130)]
    assert left[0].equals(left[1]) and left[0].equals(left[2])
    # Openness lies at the samples with its own stamp and at no others.
    np.testing.assert_array_equal(left[0][14][1:800:2], np.arange(400.0))
    assert left[0][14][::2].isna().all()


def test_the_rate_is_that_of_the_samples_not_of_whole_microseconds() -> None:
    times_us = np.rint(np.arange(3000) * 1e6 / 300).astype(np.int64)
    times_us[2000:] += 700_000  # a hole
    assert _rate_hz(times_us) == pytest.approx(300.0, abs=0.001)
    assert np.isnan(_rate_hz(times_us[:1]))


def test_no_more_is_held_than_the_samples_need() -> None:
    drawn = []

    def stream():
        for start in range(0, 100_000, 1000):
            drawn.append(start)
            chunk = OPENNESS.empty(1000)
            chunk["t_device_us"] = np.arange(start, start + 1000) * 1000
            yield chunk

    openness = OpennessAt(stream())
    openness.rows(_gaze(2500))
    assert len(drawn) == 3
