"""The one checksum that we compute ourselves is HDF5's."""

from __future__ import annotations

import struct
from pathlib import Path

import h5py
import numpy as np
import pytest

from data_schema.errors import SessionFileError
from data_schema.session.unclean import open_unclean, superblock_checksum


def test_the_checksum_is_the_one_that_hdf5_stores(tmp_path: Path) -> None:
    for index in range(12):
        path = tmp_path / f"{index}.h5"
        with h5py.File(path, "w", libver=("v110", "v110")) as file:
            file["x"] = np.arange(index * 1000)
        head = path.read_bytes()[:48]
        assert superblock_checksum(head[:44]) == struct.unpack("<I", head[44:])[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [(b"", 0xDEADBEEF), (b"Four score and seven years ago", 0x17770551)],
    ids=["empty", "the example of lookup3.c"],
)
def test_the_checksum_is_jenkins_lookup3(text: bytes, expected: int) -> None:
    assert superblock_checksum(text) == expected


def test_a_flagged_file_opens_without_being_changed(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        file["x"] = np.arange(5)
    raw = bytearray(path.read_bytes())
    raw[11] = 5
    raw[44:48] = struct.pack("<I", superblock_checksum(bytes(raw[:44])))
    path.write_bytes(bytes(raw))
    with pytest.raises(OSError, match="open"):
        h5py.File(path, "r")
    file, view = open_unclean(path)
    try:
        assert file["x"][:].tolist() == [0, 1, 2, 3, 4]
    finally:
        file.close()
        view.close()
    assert path.read_bytes() == bytes(raw)


def test_what_is_no_hdf5_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(SessionFileError, match="first bytes"):
        open_unclean(path)
