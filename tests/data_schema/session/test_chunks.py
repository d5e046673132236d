"""Chunks that we compress are what HDF5's own filters read, checksum included."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_schema.session import SessionWriter
from data_schema.session.chunks import FILTERS, fletcher32, pack_chunk, takes_packed_chunks
from data_schema.session.creation import LIBVER
from data_schema.session.layout import GAZE, TABLES, Growth


def noisy_rows(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.frombuffer(rng.bytes(n * GAZE.dtype.itemsize), dtype=GAZE.dtype)


def in_memory(n_rows: int, dtype: np.dtype) -> tuple[h5py.File, h5py.Dataset]:
    file = h5py.File("chunks.h5", "w", driver="core", backing_store=False, libver=LIBVER)
    return file, file.create_dataset(
        "rows", shape=(n_rows,), maxshape=(None,), dtype=dtype, chunks=(n_rows,), **FILTERS
    )


@given(st.integers(1, 700), st.integers(0, 5), st.floats(0, 1))
def test_hdf5_reads_a_packed_chunk_back(n: int, seed: int, share_of_zeros: float) -> None:
    rows = noisy_rows(n, seed).copy()
    rows[: round(n * share_of_zeros)] = np.zeros(1, dtype=GAZE.dtype)
    file, dataset = in_memory(n, GAZE.dtype)
    with file:
        dataset.id.write_direct_chunk((0,), pack_chunk(rows))
        assert dataset[:].tobytes() == rows.tobytes()


@given(st.binary(min_size=1, max_size=2000))
def test_the_checksum_is_that_of_hdf5(data: bytes) -> None:
    """Also where a sum is a multiple of 65535, or the length is odd."""
    file = h5py.File("sums.h5", "w", driver="core", backing_store=False)
    with file:
        dataset = file.create_dataset("bytes", data=np.frombuffer(data, np.uint8), chunks=(len(data),), fletcher32=True)
        stored = dataset.id.read_direct_chunk((0,))[1]
    assert stored[:-4] == data
    assert int.from_bytes(stored[-4:], "little") == fletcher32(data)


@pytest.mark.parametrize("data", [b"\xff\xff", b"\xff\xff" * 3, b"\0\0", b"\0" * 7, b"\xff\xfe\0\x01", b"\x01"])
def test_sums_at_the_edge_of_the_modulus(data: bytes) -> None:
    with h5py.File("edge.h5", "w", driver="core", backing_store=False) as file:
        dataset = file.create_dataset("bytes", data=np.frombuffer(data, np.uint8), chunks=(len(data),), fletcher32=True)
        stored = dataset.id.read_direct_chunk((0,))[1]
    assert int.from_bytes(stored[-4:], "little") == fletcher32(data)


def test_a_flipped_bit_is_noticed_when_reading() -> None:
    packed = bytearray(pack_chunk(noisy_rows(50)))
    packed[100] ^= 4
    file, dataset = in_memory(50, GAZE.dtype)
    with file:
        dataset.id.write_direct_chunk((0,), bytes(packed))
        with pytest.raises(OSError, match="filter returned failure"):
            dataset[:]


def test_packed_chunks_go_only_where_the_filters_are_ours(tmp_path: Path) -> None:
    SessionWriter.create(tmp_path / "a.h5", participant="P001", session="01").close()
    with h5py.File(tmp_path / "a.h5") as file:
        for table in TABLES:
            assert takes_packed_chunks(file[table.path]) is (table.growth is Growth.FAST), table.path


@pytest.mark.parametrize("sizes", [(40,), (39, 1), (39, 42, 200, 3), (13,) * 31, (500,), (41, 38, 1)])
@pytest.mark.parametrize("force_at", [0, 1, 2])
def test_rows_are_in_their_place_however_they_come(tmp_path: Path, sizes: tuple[int, ...], force_at: int) -> None:
    """Chunks that are begun late, filled later, and whole ones: each row is where it belongs."""
    rows = noisy_rows(sum(sizes))
    path = tmp_path / "a.h5"
    with SessionWriter.create(path, participant="P001", session="01", rates_hz={GAZE.path: 100.0}) as writer:
        first = 0
        for number, n in enumerate(sizes):
            writer.append(GAZE.path, rows[first : first + n])
            writer.flush(force=number == force_at)
            first += n
    with h5py.File(path) as file:
        assert file[GAZE.path].chunks == (40,)
        assert file[GAZE.path][:].tobytes() == rows.tobytes()


def test_packed_chunks_take_little_more_room_than_hdf5s_own(tmp_path: Path) -> None:
    """Run lengths find less than deflate's search, but on gaze hardly so."""
    rng = np.random.default_rng(1)
    n = 4800
    rows = GAZE.empty(n)
    rows["t_system_us"] = np.arange(n) * 833 + rng.integers(0, 60, n)
    rows["t_device_us"] = np.arange(n) * 833
    for eye in ("left", "right"):
        rows[f"{eye}_gaze_norm"] = 0.5 + np.cumsum(rng.normal(0, 1e-3, (n, 2)), axis=0)
        rows[f"{eye}_pupil_mm"] = 3.5 + rng.normal(0, 0.01, n)
        rows[f"{eye}_origin_user_mm"] = 600 + rng.normal(0, 0.2, (n, 3))
    file, dataset = in_memory(480, GAZE.dtype)
    with file:
        dataset.resize((n,))
        dataset[:] = rows
        file.flush()
        theirs = sum(dataset.id.get_chunk_info(i).size for i in range(n // 480))
    ours = sum(len(pack_chunk(rows[i : i + 480])) for i in range(0, n, 480))
    assert ours < 1.15 * theirs
