"""Tables: what is read back is what was written, to the last bit, and the bytes tell nothing else."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data_schema.publishing.bids.tsv import GzipRows, encode_rows, seconds, write_tsv


@given(st.lists(st.integers(-(2**52), 2**52), max_size=30))
def test_times_are_exact_to_the_microsecond(times: list[int]) -> None:
    texts = seconds(times).to_pylist()
    assert [round(float(t.partition(".")[0].lstrip("-"))) * 10**6 + int(t.partition(".")[2]) for t in texts] == [
        abs(t) for t in times
    ]
    assert [text.startswith("-") for text in texts] == [t < 0 for t in times]


@settings(max_examples=60)
@given(arrays(np.float32, st.integers(1, 40), elements=st.floats(width=32, allow_infinity=False)))
def test_a_trackers_numbers_come_home_unchanged(values: np.ndarray) -> None:
    pixels = values.astype(np.float64) * 1920
    read = pd.read_csv(io.BytesIO(encode_rows([values, pixels])), sep="\t", header=None, na_values="n/a")
    np.testing.assert_array_equal(read[0].to_numpy(dtype=np.float32), values)
    np.testing.assert_array_equal((read[1].to_numpy(dtype=np.float64) / 1920).astype(np.float32), values)


def test_what_is_missing_is_na_and_text_stays_in_its_cell() -> None:
    columns = [np.array([1.0, np.nan]), [None, "a\tb\nc"], np.array([True, False]), pd.array([1, None], dtype="Int64")]
    assert encode_rows(columns) == b"1\tn/a\t1\t1\nn/a\ta b c\t0\tn/a\n"


def test_a_table_without_rows_keeps_its_header(tmp_path: Path) -> None:
    write_tsv(tmp_path / "t.tsv", {"onset": [], "duration": np.zeros(0)})
    assert (tmp_path / "t.tsv").read_bytes() == b"onset\tduration\n"


def test_blocks_make_one_stream_whose_header_is_silent(tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv.gz"
    with GzipRows(path) as file:
        for start in (0, 1000, 2000):
            file.write([np.arange(start, start + 1000)])
    content = path.read_bytes()
    assert content[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # no flags, no time, unknown system
    assert gzip.decompress(content) == "".join(f"{i}\n" for i in range(3000)).encode()
    assert file.n_rows == 3000
