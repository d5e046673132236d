"""Bad files get one clear message, and are never changed by being looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from data_schema.cli import main
from data_schema.errors import SessionFileError, SessionVersionError
from data_schema.session import open_session
from data_schema.session.attributes import write_attribute
from data_schema.session.layout import GAZE
from data_schema.session.synthetic import make_synthetic_session
from data_schema.session.validate import check_session


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return make_synthetic_session(tmp_path / "sub-P001_ses-01.h5", n_trials=2, trial_s=0.5)


def test_a_good_file_has_no_findings(good: Path) -> None:
    assert check_session(good) == []


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def no_hdf5(path: Path) -> None:
    path.write_text("participant,gaze\nP001,0.5\n", encoding="utf-8")


def foreign(path: Path) -> None:
    path.unlink()
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(3)


def newer(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        write_attribute(file, "format_version", "9.0")


def nonsense_version(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        write_attribute(file, "format_version", "latest")


UNREADABLE: list[tuple[Callable[[Path], None], str]] = [
    (truncated, "cut short|cannot be opened"),
    (empty, "is empty"),
    (no_hdf5, "no HDF5 file"),
    (foreign, "not a session file"),
    (newer, "newer emer-toolkit"),
    (nonsense_version, "expected major.minor"),
]


@pytest.mark.parametrize(("damage", "message"), UNREADABLE, ids=[damage.__name__ for damage, _ in UNREADABLE])
def test_an_unreadable_file_is_named_with_the_next_step(
    good: Path, damage: Callable[[Path], None], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    damage(good)
    before = good.read_bytes()
    with pytest.raises(SessionFileError, match=message):
        open_session(good)
    verbs = ("check", "describe") if damage is truncated else ("check", "describe", "repair")
    for verb in verbs:
        assert main([verb, str(good)]) == 1
        printed = capfd.readouterr()
        assert good.name in printed.out + printed.err
        assert "Traceback" not in printed.out + printed.err
    assert good.read_bytes() == before
    assert sorted(good.parent.iterdir()) == [good]


def test_a_newer_version_has_its_own_error(good: Path) -> None:
    newer(good)
    with pytest.raises(SessionVersionError):
        open_session(good)


def test_a_newer_minor_version_is_read(good: Path) -> None:
    with h5py.File(good, "r+") as file:
        write_attribute(file, "format_version", "1.7")
        file["/eye/later_invention"] = np.arange(4)
    with open_session(good) as session:
        assert len(session.table(GAZE.path)) > 0


def test_a_missing_table_is_found(good: Path) -> None:
    with h5py.File(good, "r+") as file:
        del file["/eye/gaze"]
    assert [finding.hdf5_path for finding in check_session(good) if finding.level == "error"] == ["/eye/gaze"]


def test_a_missing_column_is_named(good: Path) -> None:
    with h5py.File(good, "r+") as file:
        names = [name for name in GAZE.dtype.names or () if name != "left_pupil_mm"]
        rows = file["/eye/gaze"][:][names]
        del file["/eye/gaze"]
        file["/eye/gaze"] = rows
    assert any("left_pupil_mm" in finding.message for finding in check_session(good))
    with open_session(good) as session:
        assert np.isnan(session.table(GAZE.path)[:]["left_pupil_mm"]).all()


def test_time_that_goes_back_is_found(good: Path) -> None:
    with h5py.File(good, "r+") as file:
        rows = file["/eye/gaze"][:]
        rows["t_system_us"][100] -= 1_000_000
        file["/eye/gaze"][:] = rows
    findings = check_session(good)
    assert any("goes back 1 times, first at row 100" in finding.message for finding in findings)


def test_a_corrupt_chunk_is_found(good: Path) -> None:
    with h5py.File(good, "r") as file:
        chunk = file["/eye/gaze"].id.get_chunk_info(1)
    raw = bytearray(good.read_bytes())
    raw[chunk.byte_offset + 5] ^= 0xFF
    good.write_bytes(bytes(raw))
    assert any(finding.level == "error" and finding.hdf5_path == "/eye/gaze" for finding in check_session(good))


def test_packets_that_do_not_fit_the_frames_are_found(good: Path) -> None:
    with h5py.File(good, "r+") as file:
        packets = file["/face/packets"]
        packets.resize((packets.shape[0] - 10,))
    assert any("emer repair" in finding.message for finding in check_session(good))


def test_a_file_renamed_by_hand_is_found(good: Path) -> None:
    renamed = good.rename(good.with_name("sub-P002_ses-01.h5"))
    assert any("renamed by hand" in finding.message for finding in check_session(renamed))


def test_a_folder_that_cannot_be_written_is_said_by_repair(
    good: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from filelock import FileLock

    def refused(self: FileLock, *args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(FileLock, "acquire", refused)
    assert main(["repair", str(good)]) == 1
    assert "cannot be written" in capsys.readouterr().err


def drop_gaze_after(path: Path, share: float) -> None:
    with h5py.File(path, "r+") as file:
        gaze = file["/eye/gaze"]
        gaze.resize((int(gaze.shape[0] * share),))


def test_a_tracker_that_died_is_said(tmp_path: Path) -> None:
    path = make_synthetic_session(tmp_path / "sub-P001_ses-01.h5", n_trials=4, trial_s=1.5)
    drop_gaze_after(path, 0.3)
    (finding,) = check_session(path)
    assert finding.hdf5_path == "/eye/gaze"
    assert "ends 5.9 s early" in finding.message


def test_a_hole_in_a_stream_is_said(tmp_path: Path) -> None:
    path = make_synthetic_session(tmp_path / "sub-P001_ses-01.h5", n_trials=4, trial_s=1.5)
    with h5py.File(path, "r+") as file:
        rows = file["/eye/gaze"][:]
        rows["t_system_us"][300:] += 3_000_000
        file["/eye/gaze"][:] = rows
    assert any("1 holes of more than 2 s, the longest 3.0 s" in finding.message for finding in check_session(path))


def test_what_the_recorder_marked_is_said(tmp_path: Path) -> None:
    from data_schema.session import SessionWriter, markers

    path = tmp_path / "sub-P001_ses-01.h5"
    with SessionWriter.create(path, participant="P001", session="01") as writer:
        writer.marker(markers.STREAM_SILENT, "/eye/gaze", 2.5)
        writer.marker(markers.SAMPLES_DROPPED, "/eye/gaze: queue full", 40)
    said = " ".join(finding.message for finding in check_session(path))
    assert "a stream fell silent 1 times: /eye/gaze" in said
    assert "40 samples dropped" in said


def test_a_renamed_file_needs_no_repair(good: Path) -> None:
    from data_schema.session.repair import repair_session

    renamed = good.rename(good.with_name("sub-P002_ses-01.h5"))
    assert not repair_session(renamed).repaired
