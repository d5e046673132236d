"""Tables of text: every encoding, delimiter and decimal sign reads alike, and every mistake is told with its line."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_schema.errors import DataImportError
from data_schema.importers import text
from data_schema.importers.text import TextTable

from .tables import write_text

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be-mark", "utf-16-be")


def read(path: Path, numbers: tuple[int, ...], texts: tuple[int, ...] = ()) -> tuple[TextTable, dict, dict]:
    table = TextTable(path)
    values: dict[int, list] = {number: [] for number in numbers}
    words: dict[int, list] = {number: [] for number in texts}
    n_rows = 0
    for block in table.blocks(numbers, texts):
        assert block.first_row == n_rows
        n_rows += block.n_rows
        for number in numbers:
            values[number] += block.numbers[number].tolist()
        for number in texts:
            words[number] += [block.texts[number].at(row) for row in range(block.n_rows)]
    return table, values, words


@settings(max_examples=25)
@given(
    numbers=st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6).map(lambda v: round(v, 4))), min_size=1, max_size=40),
    names=st.lists(st.text("abcäßжあ 12", max_size=8).map(str.strip), min_size=1, max_size=3),
    encoding=st.sampled_from(ENCODINGS),
    decimal=st.sampled_from(".,"),
    delimiter=st.sampled_from("\t;"),
    end=st.sampled_from(("\n", "\r\n")),
    packed=st.booleans(),
    block=st.sampled_from((64, 1000, 1 << 20)),
)
def test_any_export_reads_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, numbers, names, encoding, decimal, delimiter, end, packed, block
) -> None:
    path = tmp_path_factory.mktemp("t") / "x.tsv"
    cells = ["" if value is None else repr(value).replace(".", decimal) for value in numbers]
    rows = [[cell, names[row % len(names)], str(row)] for row, cell in enumerate(cells)]
    write_text(path, ["Größe [μs]", "Name", "Row"], rows, encoding, delimiter, end)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "BLOCK_BYTES", block)
        table, values, words = read(path, (0, 2), (1,))
    assert table.header == ("Größe [μs]", "Name", "Row")
    assert np.array_equal(values[0], [np.nan if v is None else v for v in numbers], equal_nan=True)
    assert values[2] == list(range(len(rows)))
    assert [word or "" for word in words[1]] == [row[1] if row[1] not in ("NA",) else "" for row in rows]


def test_the_decimal_sign_may_show_up_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "BLOCK_BYTES", 32)
    path = write_text(tmp_path / "x.tsv", ["a", "b"], [["1", "2"]] * 20 + [["1,5", "2,25"]] * 3)
    _, values, _ = read(path, (0, 1))
    assert values[0] == [1.0] * 20 + [1.5] * 3


def test_mixed_decimal_signs_are_told_with_their_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "BLOCK_BYTES", 16)
    path = write_text(tmp_path / "x.tsv", ["a", "b"], [["1,5", "2,5"]] * 9 + [["1.5", "2"]])
    with pytest.raises(DataImportError, match=r"x\.tsv: line 11, column 'a': '1\.5': decimal signs are mixed"):
        read(path, (0, 1))


def test_thousands_made_by_a_spreadsheet_are_told(tmp_path: Path) -> None:
    path = write_text(tmp_path / "x.tsv", ["a", "b"], [["1", "6.223.715.132"]])
    with pytest.raises(DataImportError, match="line 2, column 'b': '6.223.715.132': expected a number.*spreadsheet"):
        read(path, (0, 1))


def test_a_last_line_that_is_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_bytes(b"a\tb\tc\n1\t2\t3\n4\t5\t6\n7\t8")
    table, values, _ = read(path, (0, 2))
    assert values == {0: [1.0, 4.0], 2: [3.0, 6.0]}
    assert table.truncated


def test_a_last_line_without_its_end_is_kept_where_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_bytes(b"a\tb\n1\t2\n3\t4")
    table, values, _ = read(path, (0, 1))
    assert values[0] == [1.0, 3.0]
    assert not table.truncated


def test_utf_16_cut_within_a_character_loses_its_last_line_alone(tmp_path: Path) -> None:
    path = write_text(tmp_path / "x.tsv", ["a", "b"], [["1", "2"], ["3", "4"]], "utf-16")
    path.write_bytes(path.read_bytes()[:-9])
    table, values, _ = read(path, (0, 1))
    assert values[0] == [1.0]
    assert table.truncated


def test_rows_may_end_with_a_delimiter_that_the_header_lacks(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_bytes(b"a\tb\n1\t2\t\n3\t4\t\n")
    assert read(path, (0, 1))[1] == {0: [1.0, 3.0], 1: [2.0, 4.0]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"PK\x03\x04rest", "Excel workbook"),
        (b"\xd0\xcf\x11\xe0rest", "Excel workbook"),
        (b"one column\n1\n", "holds one column"),
        (b"a\tb\n1\t2\n1\t2\t3\t4\n1\t2\n", "line 3 has 4 cells, but the header has 2"),
        (b"a\tb\n1\tx2\n", "line 2, column 'b': 'x2': expected a number"),
        ("Größe\tb\n1\t2\n".encode("cp1252"), "not UTF-8"),
        (gzip.compress(b"a\tb\n" + b"1\t2\n" * 500, mtime=0)[:-30], "cut off or damaged"),
    ],
)
def test_a_broken_file_is_told(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.tsv"
    path.write_bytes(content)
    with pytest.raises(DataImportError, match=message):
        read(path, (0, 1))


def test_text_that_turns_to_another_encoding_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_bytes(b"a\tname\n" + b"1\tplain\n" * 3 + "1\tGröße\n".encode("cp1252"))
    with pytest.raises(DataImportError, match="not UTF-8"):
        read(path, (0,), (1,))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataImportError, match="nowhere.tsv"):
        TextTable(tmp_path / "nowhere.tsv")
