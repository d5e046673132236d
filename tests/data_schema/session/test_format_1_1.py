"""What format 1.1 adds: a second camera and all that comes before the trials; files of 1.0 stay good."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from data_schema.session import open_session
from data_schema.session.describe import as_text, describe_session
from data_schema.session.layout import (
    CALIBRATION_ATTEMPTS,
    CALIBRATION_DATA,
    CONSENT,
    FORMAT_VERSION,
    LUMINANCE,
    PREFLIGHT,
    RESPONSE_TEXTS,
    SECOND_FRAMES,
    SECOND_PACKETS,
    TABLES,
    VALIDATION_POINTS,
)
from data_schema.session.repair import repair_session
from data_schema.session.synthetic import make_synthetic_session
from data_schema.session.validate import check_session

GOLDEN_1_0 = Path(__file__).resolve().parents[2] / "golden" / "v1.0" / "sub-P001_ses-01.h5"


@pytest.fixture
def two_cameras(tmp_path: Path) -> Path:
    return make_synthetic_session(
        tmp_path / "sub-P001_ses-01.h5", n_trials=1, trial_s=1.0, fps=15.0, with_second_video=True
    )


def spoil(path: Path, change: Callable[[h5py.File], None]) -> None:
    with h5py.File(path, "r+") as file:
        change(file)


def test_the_second_camera_is_read_checked_and_described(two_cameras: Path) -> None:
    assert check_session(two_cameras) == []
    with open_session(two_cameras) as session:
        first, second = session.video, session.second_video
        assert first is not None
        assert second is not None
        assert (len(first), len(second)) == (len(second), len(session.table(SECOND_FRAMES)))
        assert np.array_equal(second.decode(-1), second.decode(len(second) - 1))
        assert not np.array_equal(first.frame_times_us, second.frame_times_us)
    item = describe_session(two_cameras)
    assert item["second_video"]["n_frames"] == item["video"]["n_frames"] > 0
    assert "second video: libx264 320x240" in as_text(item)


@pytest.mark.parametrize(
    ("what", "message"),
    [("frames", "overlap or leave holes"), ("packets", "but /camera_2/packets holds")],
)
def test_damage_to_the_second_video_is_found_where_it_is(two_cameras: Path, what: str, message: str) -> None:
    def change(file: h5py.File) -> None:
        if what == "frames":
            rows = file[SECOND_FRAMES.path][:]
            rows["packet_offset"][3] += 1
            file[SECOND_FRAMES.path][:] = rows
        else:
            file[SECOND_PACKETS.path].resize((100,))

    spoil(two_cameras, change)
    (finding,) = check_session(two_cameras)
    assert finding.level == "error"
    assert finding.hdf5_path.startswith("/camera_2/")
    assert message in finding.message


def test_repair_keeps_both_videos_as_far_as_they_go(two_cameras: Path) -> None:
    with open_session(two_cameras) as session:
        n = len(session.table(SECOND_FRAMES))
        last = session.second_video.decode(n - 4) if session.second_video else None
    spoil(two_cameras, lambda file: file[SECOND_PACKETS.path].resize((file[SECOND_PACKETS.path].shape[0] - 1,)))
    result = repair_session(two_cameras)
    assert result.repaired
    assert result.losses == ["1 frames of /camera_2/frames have lost their bytes or do not decode"]
    with open_session(two_cameras) as session:
        assert session.second_video is not None
        assert session.video is not None
        assert (len(session.second_video), len(session.video)) == (n - 1, n)
        assert np.array_equal(session.second_video.decode(n - 4), last)
        assert session.file[CALIBRATION_DATA.path][:].tobytes() == b"synthetic calibration"
    assert [finding.level for finding in check_session(two_cameras)] == ["warning"]


def test_a_hole_in_the_second_video_is_said(two_cameras: Path) -> None:
    def change(file: h5py.File) -> None:
        rows = file[SECOND_FRAMES.path][:]
        rows["t_capture_us"][5:] += 3_000_000
        file[SECOND_FRAMES.path][:] = rows

    spoil(two_cameras, change)
    said = [finding.message for finding in check_session(two_cameras) if finding.hdf5_path == SECOND_FRAMES.path]
    assert said[0].startswith("1 holes of more than 2 s")


def test_calibration_data_that_are_missing_are_said(two_cameras: Path) -> None:
    spoil(two_cameras, lambda file: file[CALIBRATION_DATA.path].resize((5,)))
    (finding,) = check_session(two_cameras)
    assert (finding.level, finding.hdf5_path) == ("warning", CALIBRATION_ATTEMPTS.path)
    assert "attempt 1 are missing" in finding.message


def test_downstream_code_meets_every_new_table(tmp_path: Path) -> None:
    path = make_synthetic_session(tmp_path / "sub-P001_ses-01.h5", n_trials=2, trial_s=1.0, fps=15.0)
    with open_session(path) as session:
        assert session.table(CONSENT).column("scope").tolist() == ["video", "gaze", "sharing"]
        assert set(session.table(PREFLIGHT).column("level")) == {"good"}
        attempts = session.table(CALIBRATION_ATTEMPTS)
        assert attempts.column("kind").tolist() == ["calibration", "validation"]
        assert attempts.column("gate").tolist() == ["", "passed"]
        points = session.table(VALIDATION_POINTS)[:]
        gaze = session.table("/eye/gaze")
        assert len(points) == 8
        for point in points:
            assert len(gaze.between(int(point["t_from_us"]), int(point["t_until_us"]))) > 0
        assert set(session.table(LUMINANCE).column("stimulus_id")) == {s.id for s in session.config().stimuli}
        assert session.table(RESPONSE_TEXTS)[:]["trial_id"].tolist() == [1, 2]


def test_a_file_of_1_0_is_opened_checked_described_and_repaired(tmp_path: Path) -> None:
    path = tmp_path / GOLDEN_1_0.name
    shutil.copy(GOLDEN_1_0, path)
    assert check_session(path) == []
    assert not repair_session(path).repaired
    item = describe_session(path)
    assert item["format_version"] == "1.0"
    assert item["second_video"] is None
    assert {blob["path"]: blob["bytes"] for blob in item["blobs"]}[SECOND_PACKETS.path] == 0
    with open_session(path) as session:
        before = {table.path: session.table(table)[:] for table in TABLES}
        assert session.second_video is None
        assert len(session.table(CONSENT)) == 0

    def forget_the_end(file: h5py.File) -> None:
        rows = file["/events/markers"]
        rows.resize((rows.shape[0] - 1,))

    spoil(path, forget_the_end)
    result = repair_session(path)
    assert (result.repaired, result.losses) == (True, [])
    with open_session(path) as session:
        assert session.format_version == FORMAT_VERSION
        for table in TABLES:
            if table.path != "/events/markers":
                assert session.table(table)[:].tobytes() == before[table.path].tobytes(), table.path
        assert session.video is not None
        assert session.second_video is None
