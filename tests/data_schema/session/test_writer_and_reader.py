"""What is written is what is read, while it grows and afterwards."""

from __future__ import annotations

import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_schema.errors import RecordingError
from data_schema.session import SessionWriter, markers, open_session
from data_schema.session.layout import (
    FRAMES,
    GAZE,
    MARKERS,
    PACKETS,
    RESPONSES,
    ROOT_ATTRIBUTES,
    SECOND_FRAMES,
    SECOND_PACKETS,
    STUDY_ATTRIBUTES,
    TABLES,
    Growth,
    decode_text,
    encode_text,
    make_row,
)
from data_schema.session.synthetic import make_synthetic_session


def gaze_rows(n: int, first: int = 0) -> np.ndarray:
    rows = GAZE.empty(n)
    rows["t_system_us"] = (first + np.arange(n)) * 1667
    rows["t_device_us"] = rows["t_system_us"] + 17
    rows["left_gaze_norm"] = np.random.default_rng(first).uniform(size=(n, 2))
    rows["left_pupil_mm"][::3] = np.nan
    return rows


def new_writer(tmp_path: Path, **kwargs: object) -> SessionWriter:
    return SessionWriter.create(tmp_path / "sub-P001_ses-01.h5", participant="P001", session="01", **kwargs)


def test_every_declared_table_exists_with_its_columns_in_order(tmp_path: Path) -> None:
    path = make_synthetic_session(tmp_path / "sub-P001_ses-01.h5", n_trials=1, trial_s=0.5)
    with h5py.File(path, "r") as file:
        for table in TABLES:
            assert file[table.path].dtype == table.dtype, table.path
        for attribute in ROOT_ATTRIBUTES:
            assert attribute.name in file.attrs
        for attribute in STUDY_ATTRIBUTES:
            assert attribute.name in file["study"].attrs


def test_a_gaze_row_takes_102_bytes_and_names_all_sdk_fields() -> None:
    assert GAZE.dtype.itemsize == 102
    fields = {column.sdk_field for column in GAZE.columns if column.sdk_field}
    per_eye = {
        "gaze_point_on_display_area", "gaze_point_in_user_coordinate_system", "gaze_point_validity", "pupil_diameter",
        "pupil_validity", "gaze_origin_in_user_coordinate_system", "gaze_origin_validity",
    }  # fmt: skip
    assert fields == {"device_time_stamp", "system_time_stamp"} | {
        f"{e}_{n}" for e in ("left", "right") for n in per_eye
    }


def test_rows_come_back_exactly(tmp_path: Path) -> None:
    written = [gaze_rows(37, first=37 * k) for k in range(40)]
    with new_writer(tmp_path, rates_hz={GAZE.path: 600.0}) as writer:
        for rows in written:
            writer.append(GAZE.path, rows)
            writer.flush()
    with open_session(writer.path) as session:
        stored = session.table(GAZE.path)[:]
        assert stored.tobytes() == np.concatenate(written).tobytes()
        assert session.status == "complete"


def test_a_reader_sees_what_was_flushed_while_the_writer_goes_on(tmp_path: Path) -> None:
    with new_writer(tmp_path) as writer:
        writer.append(GAZE.path, gaze_rows(500))
        acknowledged = writer.flush(force=True)[GAZE.path]
        with open_session(writer.path) as session:
            assert session.status == "recording"
            assert len(session.table(GAZE.path)) == acknowledged == 500
        writer.append(GAZE.path, gaze_rows(10, first=500))


def test_fast_tables_are_written_in_whole_chunks_until_the_interval_is_over(tmp_path: Path) -> None:
    with new_writer(tmp_path, rates_hz={GAZE.path: 600.0}, flush_interval_s=0.5) as writer:
        chunk = round(600 * 0.5 * 0.8)
        writer.append(GAZE.path, gaze_rows(chunk + 5))
        assert writer.flush()[GAZE.path] == chunk
        deadline = time.monotonic() + 5
        while writer.flush()[GAZE.path] == chunk:
            assert time.monotonic() < deadline, "the rest was not written after the flush interval"
        assert writer.durable[GAZE.path] == chunk + 5


def test_whole_chunks_keep_the_file_small(tmp_path: Path) -> None:
    """A partly filled compressed chunk is written anew at each flush and its old place is lost."""
    rng = np.random.default_rng(0)
    rows = gaze_rows(6000)
    for name in ("left_gaze_norm", "right_gaze_norm", "left_origin_user_mm", "right_origin_user_mm"):
        rows[name] = rng.normal(size=rows[name].shape)
    with new_writer(tmp_path, rates_hz={GAZE.path: 600.0}) as writer:
        empty = writer.path.stat().st_size
        for start in range(0, 6000, 10):
            writer.append(GAZE.path, rows[start : start + 10])
            writer.flush()
    assert (writer.path.stat().st_size - empty) / 6000 < 102


def test_slow_tables_are_on_file_after_each_flush(tmp_path: Path) -> None:
    with new_writer(tmp_path) as writer:
        for number in range(5):
            writer.marker(markers.OPERATOR_NOTE, f"note {number}")
            assert writer.flush()[MARKERS.path] == number + 1


def test_an_existing_recording_is_never_overwritten(tmp_path: Path) -> None:
    with new_writer(tmp_path) as writer:
        writer.append(GAZE.path, gaze_rows(3))
    before = writer.path.read_bytes()
    with pytest.raises(RecordingError, match="never overwritten"):
        new_writer(tmp_path)
    assert writer.path.read_bytes() == before


def test_rows_of_another_shape_are_refused(tmp_path: Path) -> None:
    with new_writer(tmp_path) as writer:
        with pytest.raises(RecordingError, match="expected"):
            writer.append(GAZE.path, RESPONSES.empty(2))
        with pytest.raises(RecordingError, match="/eye/nothing"):
            writer.append("/eye/nothing", gaze_rows(1))


def test_an_exception_ends_the_file_as_aborted_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="sensor"):
        with new_writer(tmp_path) as writer:
            raise ValueError("the sensor fell off")
    with open_session(writer.path) as session:
        assert session.status == "aborted"
        assert "the sensor fell off" in " ".join(session.table(MARKERS.path).column("message"))


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder", encoding="utf-8")
    with pytest.raises(RecordingError, match="cannot create"):
        SessionWriter.create(blocked / "x.h5", participant="P001", session="01")


def test_time_slices_match_a_full_scan(tmp_path: Path) -> None:
    path = make_synthetic_session(tmp_path / "sub-P001_ses-01.h5", n_trials=4, trial_s=2.0, rate_hz=1200.0)
    with open_session(path) as session:
        view = session.table(GAZE.path)
        times = view[:]["t_system_us"]
        assert len(times) > 4096, "the bisection needs a table larger than its last block"
        for low, high in ((0, 10), (times[0], times[-1]), (times[77], times[7000]), (times[-1], times[-1] + 1)):
            expected = view[:][(times >= low) & (times < high)]
            assert view.between(int(low), int(high)).tobytes() == expected.tobytes()


def test_a_data_frame_has_one_column_per_axis_and_decoded_text(tmp_path: Path) -> None:
    path = make_synthetic_session(tmp_path / "sub-P001_ses-01.h5", n_trials=2, trial_s=0.5)
    with open_session(path) as session:
        frame = session.table(GAZE.path).frame()
        assert {"left_gaze_norm_x", "left_gaze_norm_y", "left_origin_user_mm_z"} <= set(frame.columns)
        assert session.table(MARKERS.path).frame()["kind"].iloc[-1] == markers.RECORDING_CLOSED
        assert [trial.trial_id for trial in session.trials()] == [1, 2]


@given(st.text(max_size=40), st.integers(1, 64))
def test_text_is_cut_at_a_character_and_round_trips(text: str, size: int) -> None:
    raw = encode_text(text, size)
    assert len(raw) <= size
    clean = text.replace("\0", " ")
    assert clean.startswith(raw.decode("utf-8"))
    if len(clean.encode("utf-8")) <= size:
        stored = np.array([raw], dtype=f"S{size}")
        assert decode_text(stored)[0] == clean


def test_half_characters_are_stored_as_question_marks() -> None:
    row = make_row(MARKERS, kind="operator_note", message="a\ud83db")
    assert decode_text(row["message"]).tolist() == ["a?b"]


def test_numbers_that_are_not_given_are_nan_not_zero() -> None:
    row = make_row(RESPONSES, trial_id=3, scale="familiarity", text="ja")
    assert np.isnan(row["value"][0])
    with pytest.raises(KeyError, match="colour"):
        make_row(RESPONSES, colour=1)


def test_only_fast_tables_are_compressed(tmp_path: Path) -> None:
    path = make_synthetic_session(tmp_path / "sub-P001_ses-01.h5", n_trials=1, trial_s=0.5)
    with h5py.File(path, "r") as file:
        for table in TABLES:
            assert (file[table.path].compression is not None) == (table.growth is Growth.FAST), table.path


def test_no_lock_is_left_behind(tmp_path: Path) -> None:
    with new_writer(tmp_path) as writer:
        assert writer.path.with_name(writer.path.name + ".lock").exists()
    assert list(tmp_path.iterdir()) == [writer.path]


def test_rows_whose_time_went_back_are_kept_and_found(tmp_path: Path) -> None:
    with new_writer(tmp_path) as writer:
        rows = gaze_rows(9000)
        rows["t_system_us"][4000:] -= 3_000_000
        writer.append(GAZE.path, rows)
        writer.marker(markers.TIME_WENT_BACK, GAZE.path, 1800.0)
    with open_session(writer.path) as session:
        view = session.table(GAZE.path)
        assert view[:].tobytes() == rows.tobytes()
        low, high = 3_500_000, 6_000_000
        found = view.between(low, high)
        assert len(found) == int(((rows["t_system_us"] >= low) & (rows["t_system_us"] < high)).sum())
        assert np.all(np.diff(found["t_system_us"]) >= 0)


def test_a_row_left_over_from_a_chunk_keeps_its_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows behind a chunk's end wait from when they came, not from when the chunk was written."""
    now_s = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    with new_writer(tmp_path, rates_hz={GAZE.path: 100.0}, flush_interval_s=0.5) as writer:
        chunk = 40
        writer.append(GAZE.path, gaze_rows(chunk - 4))
        now_s = 100.2
        writer.append(GAZE.path, gaze_rows(6, chunk - 4))
        now_s = 100.4
        assert writer.flush()[GAZE.path] == chunk
        now_s = 100.69
        assert writer.flush()[GAZE.path] == chunk
        now_s = 100.71
        assert writer.flush()[GAZE.path] == chunk + 2


def test_rows_that_come_one_by_one_are_those_that_come_at_once(tmp_path: Path) -> None:
    rows = gaze_rows(1000)
    rng = np.random.default_rng(4)
    with new_writer(tmp_path, rates_hz={GAZE.path: 600.0}) as writer:
        first = 0
        while first < len(rows):
            n = int(rng.integers(1, 30))
            # Not contiguous: every second row of a longer array.
            writer.append(GAZE.path, np.repeat(rows[first : first + n], 2)[::2])
            writer.flush()
            first += n
    with open_session(tmp_path / "sub-P001_ses-01.h5") as session:
        assert session.table(GAZE)[:].tobytes() == rows.tobytes()


def test_what_flush_returned_stays_as_it_was(tmp_path: Path) -> None:
    """Another thread compares what it acknowledged with what is on file now."""
    with new_writer(tmp_path) as writer:
        writer.marker(markers.OPERATOR_NOTE)
        before = writer.flush()
        writer.marker(markers.OPERATOR_NOTE)
        after = writer.flush()
    assert (before[MARKERS.path], after[MARKERS.path]) == (1, 2)


def test_packets_of_two_cameras_are_kept_apart(tmp_path: Path) -> None:
    with new_writer(tmp_path) as writer:
        for number in range(6):
            camera = 1 + number % 2
            table = FRAMES if camera == 1 else SECOND_FRAMES
            writer.append_packet(bytes([number]) * (number + 1), make_row(table, t_capture_us=number), camera)
        counts = writer.flush(force=True)
    assert (counts[PACKETS.path], counts[SECOND_PACKETS.path]) == (1 + 3 + 5, 2 + 4 + 6)
    with h5py.File(tmp_path / "sub-P001_ses-01.h5") as file:
        for table, blob, numbers in ((FRAMES, PACKETS, (0, 2, 4)), (SECOND_FRAMES, SECOND_PACKETS, (1, 3, 5))):
            frames, packets = file[table.path][:], file[blob.path][:]
            starts = frames["packet_offset"]
            sizes = frames["packet_size"]
            assert [packets[a : a + n].tolist() for a, n in zip(starts, sizes, strict=True)] == [
                [number] * (number + 1) for number in numbers
            ]


def test_packets_do_not_wait_longer_than_the_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    with new_writer(tmp_path, rates_hz={FRAMES.path: 30.0}, flush_interval_s=0.5) as writer:
        writer.append_packet(b"abc", make_row(FRAMES, t_capture_us=1))
        assert writer.flush()[PACKETS.path] == 0
        now_s = 100.51
        counts = writer.flush()
    assert (counts[PACKETS.path], counts[FRAMES.path]) == (3, 1)
