"""The search finds an identifier in whatever container and spelling, and raises no alarm without one."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import pickle
import sqlite3
import struct
import zipfile
import zlib
from datetime import date, datetime
from fractions import Fraction
from pathlib import Path
from urllib.parse import quote

import av
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_schema.publishing.containers import is_text
from data_schema.publishing.dates import spellings
from data_schema.publishing.identifiers import Identifier, common_words
from data_schema.publishing.needles import Needles
from data_schema.publishing.scan import scan_folder, search
from tests.data_schema.studies import make_study

CODE = Identifier("participant", "P017")
WORDS = Identifier("text", 'Müller said: "my sister\'s wedding"')
SERIAL = Identifier("device", "TPFC2-010203445566")
ALL = (CODE, WORDS, SERIAL)


def zipped(content: bytes, name: str = "inner.txt") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def png(text: str, compressed: bool) -> bytes:
    body = text.encode("latin-1", "replace")
    kind, content = (b"zTXt", b"k\0\0" + zlib.compress(body)) if compressed else (b"tEXt", b"k\0" + body)
    chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    return b"\x89PNG\r\n\x1a\n" + chunk


def parquet(path: Path, text: str, where: str) -> None:
    table = pd.DataFrame({"n": [1, 2]})
    if where == "cell":
        table["name"] = ["other", text]
    elif where == "list":
        table["names"] = [["other"], [text]]
    elif where == "bytes":
        table["file"] = [{"bytes": gzip.compress(text.encode()), "path": ""}] * 2
    else:
        table.attrs["note"] = text
    table.to_parquet(path, compression="zstd")


def hdf5(path: Path, text: str, where: str) -> None:
    with h5py.File(path, "w") as file:
        if where == "attribute":
            file.attrs["who"] = text
        elif where == "strings":
            file.create_dataset("names", data=["other", text], compression="gzip")
        elif where == "column":
            rows = np.zeros(3, dtype=[("n", "i4"), ("name", "S64")])
            rows["name"][1] = text.encode()
            file.create_dataset("table", data=rows, compression="gzip", chunks=(3,))
        elif where == "bytes":
            file.create_dataset("blob", data=np.frombuffer(gzip.compress(text.encode()), dtype="u1"))
        else:
            file.create_group(text.replace("/", "_"))


def sqlite(path: Path, text: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (a TEXT, b TEXT, c TEXT)")
    # Cells stand without anything between them in the file.
    connection.execute("INSERT INTO t VALUES ('abc', ?, 'def')", (text,))
    connection.commit()
    connection.close()


def mp4(path: Path, text: str = "", created: str = "") -> None:
    with av.open(str(path), "w") as output:
        output.metadata.update({key: value for key, value in (("comment", text), ("creation_time", created)) if value})
        stream = output.add_stream("libx264", rate=Fraction(10))
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(3):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        output.mux(stream.encode(None))


PLANTS = {
    "plain.txt": lambda path, text: path.write_text(f"a\t{text}\tb", encoding="utf-8"),
    "wide.txt": lambda path, text: path.write_text(f"a\t{text}\tb", encoding="utf-16"),
    "wide_big.bin": lambda path, text: path.write_bytes(b"\0\1\2" + f"  {text} ".encode("utf-16-be")),
    "escaped.json": lambda path, text: path.write_text(json.dumps({"x": f"line\n{text}"}), encoding="utf-8"),
    "nested.json": lambda path, text: path.write_text(json.dumps({"x": json.dumps(text)}), encoding="utf-8"),
    "address.html": lambda path, text: path.write_text(f"<a href='x/%2F{quote(text, safe='')}%2F'>", encoding="utf-8"),
    "base64.svg": lambda path, text: path.write_bytes(b"data:" + base64.b64encode(f"name: {text};".encode()) + b"'"),
    "base64_gz.html": lambda path, text: path.write_bytes(
        b"x," + base64.b64encode(gzip.compress(f"{text} ".encode() * 3))
    ),
    "table.tsv.gz": lambda path, text: path.write_bytes(gzip.compress(f"a\t{text}\n".encode())),
    "two_members.gz": lambda path, text: path.write_bytes(gzip.compress(b"first") + gzip.compress(f" {text}".encode())),
    "table.bz2": lambda path, text: path.write_bytes(bz2.compress(text.encode())),
    "table.xz": lambda path, text: path.write_bytes(lzma.compress(text.encode())),
    "archive.zip": lambda path, text: path.write_bytes(zipped(text.encode())),
    "zip_in_zip.zip": lambda path, text: path.write_bytes(zipped(zipped(text.encode()))),
    "gz_in_zip.zip": lambda path, text: path.write_bytes(zipped(gzip.compress(text.encode()), "inner.gz")),
    "cell.parquet": lambda path, text: parquet(path, text, "cell"),
    "list.parquet": lambda path, text: parquet(path, text, "list"),
    "bytes.parquet": lambda path, text: parquet(path, text, "bytes"),
    "metadata.parquet": lambda path, text: parquet(path, text, "metadata"),
    "attribute.h5": lambda path, text: hdf5(path, text, "attribute"),
    "strings.h5": lambda path, text: hdf5(path, text, "strings"),
    "column.h5": lambda path, text: hdf5(path, text, "column"),
    "blob.h5": lambda path, text: hdf5(path, text, "bytes"),
    "log.sqlite": sqlite,
    "picture.png": lambda path, text: path.write_bytes(png(text, compressed=False)),
    "compressed.png": lambda path, text: path.write_bytes(png(text, compressed=True)),
    "video.mp4": lambda path, text: mp4(path, f"recorded for {text} today"),
    "weights.pkl": lambda path, text: path.write_bytes(pickle.dumps({"people": [text, "x"]})),
}


@pytest.mark.parametrize("name", PLANTS)
@pytest.mark.parametrize("planted", [CODE, SERIAL], ids=["code", "serial"])
def test_an_identifier_is_found_in_every_container(tmp_path, name, planted):
    PLANTS[name](tmp_path / name, planted.text)
    (tmp_path / "other.txt").write_text("nothing here", encoding="utf-8")
    report = search(tmp_path, ALL)
    assert {(item.file, item.identifier) for item in report.findings} == {(name, planted)}
    assert report.unopened == []
    assert planted.text in str(report.findings[0])
    assert name in str(report.findings[0])


@pytest.mark.parametrize(
    "name", ["plain.txt", "escaped.json", "nested.json", "address.html", "cell.parquet", "column.h5"]
)
def test_words_with_quotes_and_umlauts_are_found(tmp_path, name):
    PLANTS[name](tmp_path / name, WORDS.text)
    assert {item.identifier for item in scan_folder(tmp_path, ALL)} == {WORDS}


def test_words_are_found_that_were_wrapped_or_escaped_for_html(tmp_path):
    (tmp_path / "a.txt").write_text('Müller said:\n    "my sister\'s\n    wedding"', encoding="utf-8")
    (tmp_path / "b.html").write_text("<p>M&uuml;ller said: &quot;my sister&#39;s wedding&quot;</p>", encoding="utf-8")
    assert {item.file for item in scan_folder(tmp_path, [WORDS])} == {"a.txt", "b.html"}


def test_words_without_any_latin_letter_are_found(tmp_path):
    words = Identifier("text", "我妹妹的婚礼")
    (tmp_path / "a.txt").write_text("说：我妹妹的婚礼。", encoding="utf-8")
    (tmp_path / "b.txt").write_text("说：我妹妹的婚礼。", encoding="utf-16")
    (tmp_path / "c.txt").write_text("说：别的。", encoding="utf-8")
    assert {item.file for item in scan_folder(tmp_path, [words])} == {"a.txt", "b.txt"}


def test_names_of_files_groups_and_columns_are_searched(tmp_path):
    (tmp_path / "sub-P017").mkdir()
    (tmp_path / "sub-P017" / "x.txt").write_text("empty", encoding="utf-8")
    hdf5(tmp_path / "group.h5", "sub-P017", "group")
    (tmp_path / "a.zip").write_bytes(zipped(b"nothing", "sub-P017.txt"))
    pd.DataFrame({"P017": [1]}).to_parquet(tmp_path / "column.parquet")
    found = {item.file for item in scan_folder(tmp_path, [CODE])}
    assert found == {"sub-P017", "sub-P017/x.txt", "group.h5", "a.zip", "column.parquet"}


@pytest.mark.parametrize("text", ["P0171", "XP017", "p0170", "0P017", "AP017B", "P 017", "P01"])
def test_a_code_within_another_word_is_no_code(tmp_path, text):
    for name in ("plain.txt", "cell.parquet", "escaped.json"):
        PLANTS[name](tmp_path / name, text)
    assert scan_folder(tmp_path, [CODE]) == []


def test_capitals_make_no_difference(tmp_path):
    (tmp_path / "a.txt").write_text("sub-p017", encoding="utf-8")
    assert len(scan_folder(tmp_path, [CODE])) == 1


def test_bytes_that_are_no_text_raise_no_alarm_by_chance(tmp_path):
    short = [Identifier("participant", f"P{number}") for number in range(1, 100)]
    rng = np.random.default_rng(0)
    (tmp_path / "random.bin").write_bytes(rng.bytes(4_000_000))
    # Times that are codes, read as letters.
    (tmp_path / "numbers.npy").write_bytes(np.arange(0x3150, 0x4150, dtype="<i8").tobytes() * 20)
    (tmp_path / "table.gz").write_bytes(gzip.compress(rng.bytes(1_000_000)))
    assert scan_folder(tmp_path, short) == []
    (tmp_path / "mixed.bin").write_bytes(rng.bytes(10_000) + b"the participant P17 said" + rng.bytes(10_000))
    assert {item.identifier.text for item in scan_folder(tmp_path, short)} == {"P17"}


def test_a_code_of_digits_is_a_code_only_where_it_names_somebody(tmp_path):
    code = Identifier("participant", "12")
    (tmp_path / "numbers.tsv").write_text("12\t12.5\t12\n", encoding="utf-8")
    pd.DataFrame({"trial": ["12"], "n": [12]}).to_parquet(tmp_path / "trials.parquet")
    assert scan_folder(tmp_path, [code]) == []
    pd.DataFrame({"participant": ["12"]}).to_parquet(tmp_path / "people.parquet")
    (tmp_path / "names.tsv").write_text("sub-12\n", encoding="utf-8")
    assert {item.file for item in scan_folder(tmp_path, [code])} == {"people.parquet", "names.tsv"}


def test_an_annotator_called_by_an_ordinary_word_is_found_where_annotators_stand(tmp_path):
    code = Identifier("annotator", "expert")
    (tmp_path / "readme.md").write_text("Labels of one expert.\n", encoding="utf-8")
    pd.DataFrame({"view": ["expert"]}).to_parquet(tmp_path / "views.parquet")
    assert scan_folder(tmp_path, [code]) == []
    pd.DataFrame({"annotator_id": ["expert"]}).to_parquet(tmp_path / "labels.parquet")
    assert {item.file for item in scan_folder(tmp_path, [code])} == {"labels.parquet"}


def test_an_identifier_across_two_blocks_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("data_schema.publishing.containers.BLOCK", 1000)
    monkeypatch.setattr("data_schema.publishing.containers.OVERLAP", 100)
    for shift in range(990, 1003):
        (tmp_path / f"{shift}.txt").write_bytes(b" " * shift + SERIAL.text.encode() + b" " * 2000)
        (tmp_path / f"{shift}.gz").write_bytes(gzip.compress(b" " * shift + SERIAL.text.encode() + b" " * 2000))
    assert len({item.file for item in scan_folder(tmp_path, [SERIAL])}) == 26


def test_a_video_that_says_when_it_was_made_is_found(tmp_path):
    day = Identifier("date", "2031-01-01")
    mp4(tmp_path / "a.mp4")
    assert scan_folder(tmp_path, [day]) == []
    mp4(tmp_path / "a.mp4", created="2026-03-05T10:11:12Z")
    (found, *_) = scan_folder(tmp_path, [day])
    assert "creation time" in found.place
    assert "2026-03-05" in found.identifier.text


def test_what_cannot_be_opened_is_named_and_searched_as_it_lies(tmp_path):
    (tmp_path / "cut.parquet").write_bytes(b"PAR1" + b"\0" * 50 + SERIAL.text.encode() + b"\0" * 50)
    report = search(tmp_path, [SERIAL])
    assert [item.file for item in report.findings] == ["cut.parquet"]
    assert len(report.unopened) == 1
    assert "cut.parquet" in report.unopened[0]


def test_rows_that_stand_in_the_log_of_an_open_database_are_found(tmp_path):
    path = tmp_path / "a.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=wal")
    connection.execute("CREATE TABLE t (a TEXT)")
    connection.execute("INSERT INTO t VALUES ('sub-P017_ses-01_trial-001')")
    connection.commit()
    found = {item.file for item in scan_folder(tmp_path, [CODE])}
    connection.close()
    assert "a.sqlite" in found


@settings(max_examples=60, deadline=None)
@given(
    before=st.text(max_size=20),
    after=st.text(max_size=20),
    code=st.from_regex(r"[A-Z][A-Z0-9]{1,8}", fullmatch=True),
    spell=st.sampled_from(["utf-8", "utf-16-le", "json", "percent"]),
)
def test_a_word_is_found_whatever_stands_around_it(before, after, code, spell):
    content = f"{before} {code}\t{after}"
    data = {
        "utf-8": lambda: content.encode("utf-8", "replace"),
        "utf-16-le": lambda: content.encode("utf-16-le", "replace"),
        "json": lambda: json.dumps(content).encode(),
        "percent": lambda: quote(content.encode("utf-8", "replace"), safe="").encode(),
    }[spell]()
    text = spell != "utf-16-le"
    assert [item for _, item in Needles([Identifier("participant", code)]).search(data, text=text)]


def test_codes_that_are_words_are_found_where_tables_list_people(tmp_path):
    sought = [
        Identifier("participant", "12"),
        Identifier("annotator", "expert"),
        Identifier("participant", "P10", True),
    ]
    (tmp_path / "people.csv").write_text("age;participant_id\r\n12;7\r\n30;12\r\n", encoding="utf-8-sig")
    (tmp_path / "votes.tsv").write_text("rater\tvalue\nexpert\t1\n", encoding="utf-8")
    with gzip.open(tmp_path / "inner.csv.gz", "wb") as file:
        file.write(b"subject,pupil_mm_p10\nP10,12\n")
    (tmp_path / "fine.csv").write_text("age,pupil_mm_p10,said\n12,12,expert\n", encoding="utf-8")
    found = {(item.file, item.place, item.identifier.text) for item in scan_folder(tmp_path, sought)}
    assert found == {
        ("people.csv", "column participant_id", "12"),
        ("votes.tsv", "column rater", "expert"),
        ("inner.csv.gz", "column subject", "P10"),
    }


def test_codes_that_features_or_stimuli_are_called_like_raise_no_alarm(tmp_path):
    study = make_study(tmp_path / "study", 0)
    assert {"p10", "s00"} <= common_words(study)
    assert "p001" not in common_words(study)


def test_short_lines_of_a_spreadsheet_that_is_not_utf_8_are_text(tmp_path):
    (tmp_path / "a.csv").write_bytes("Kürzel;ja\r\nP017;nö\r\n".encode("cp1252"))
    assert [item.file for item in scan_folder(tmp_path, [CODE])] == ["a.csv"]
    assert not is_text(np.random.default_rng(0).bytes(4000))


DAY = date(2026, 11, 23)


@pytest.mark.parametrize(
    "text", ["2026-11-23T10:00:00Z", '{"at":"2026-11-23T10"}', "on Nov 23, 2026", "23 November 2026"]
)
def test_a_date_is_found_with_a_time_of_day_and_in_words(tmp_path, text):
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    assert scan_folder(tmp_path, [Identifier("date", said) for said in spellings(DAY)])
    assert not scan_folder(tmp_path, [Identifier("date", said) for said in spellings(date(2026, 11, 22))])


def test_dates_and_short_names_in_heads_and_typed_columns_are_found(tmp_path):
    sought = [CODE, *(Identifier("date", said) for said in spellings(DAY))]
    pq.write_table(pa.table({"day": pa.array([DAY])}), tmp_path / "day.parquet")
    pq.write_table(pa.table({"at": pa.array([datetime(2026, 11, 23, 10)])}), tmp_path / "at.parquet")
    with (tmp_path / "named.gz").open("wb") as file, gzip.GzipFile("P017.tsv", "wb", 9, file, 0) as inner:
        inner.write(b"nothing")
    (tmp_path / "dated.gz").write_bytes(gzip.compress(b"nothing", mtime=1_795_416_000))
    (tmp_path / "fine.gz").write_bytes(gzip.compress(b"nothing", mtime=0))
    with av.open(str(tmp_path / "titled.mp4"), "w") as output:
        output.metadata["title"] = "P017 face"
        stream = output.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        output.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        output.mux(stream.encode(None))
    found = {item.file for item in scan_folder(tmp_path, sought)}
    assert found == {"day.parquet", "at.parquet", "named.gz", "dated.gz", "titled.mp4"}
