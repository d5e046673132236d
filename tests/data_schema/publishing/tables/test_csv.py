"""CSV files read back as what they were; codebook and scripts say what is in them."""

from __future__ import annotations

import csv
import io
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from data_schema.cli.exports import app
from data_schema.errors import ExportError
from data_schema.publishing.tables.csv_folder import csv_files, export_csv, read_csv_folder
from data_schema.publishing.tables.declarations import EMOTION_WORDS, PublishedColumn, PublishedTable
from data_schema.publishing.tables.spreadsheets import DIALECTS, from_csv, to_csv
from data_schema.publishing.tables.wide import variable_name

RUN = CliRunner()
ANY = PublishedTable(
    "any",
    "a row",
    (
        PublishedColumn("text", "text", "", "Any text."),
        PublishedColumn("number", "float64", "s", "Any number."),
        PublishedColumn("small", "float32", "", "Any single."),
        PublishedColumn("count", "int64", "", "Any count."),
        PublishedColumn("yes", "bool", "", "Yes or no."),
    ),
    ("text",),
)


@pytest.fixture(scope="module")
def made(publication, tmp_path_factory):
    """A finished CSV export by decimal mark."""
    folder = tmp_path_factory.mktemp("csv")
    return {mark: export_csv(publication, folder / mark, decimal=mark) for mark in DIALECTS}


_CELLS = st.characters(blacklist_categories=("Cs",), blacklist_characters="\r\x00")


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.none() | st.text(_CELLS, min_size=1, max_size=12),
            st.none() | st.floats(allow_nan=False),
            st.none() | st.floats(allow_nan=False, width=32),
            st.none() | st.integers(-(2**63), 2**63 - 1),
            st.none() | st.booleans(),
        ),
        max_size=5,
    ),
    mark=st.sampled_from(sorted(DIALECTS)),
)
def test_written_read_and_written_again_gives_the_same_bytes(rows, mark, tmp_path_factory) -> None:
    frame = pd.DataFrame(rows, columns=ANY.names, dtype=object)
    first = to_csv(ANY, frame, DIALECTS[mark])
    path = tmp_path_factory.mktemp("any") / "any.csv"
    path.write_bytes(first)
    back = from_csv(path, ANY, DIALECTS[mark])
    assert to_csv(ANY, back, DIALECTS[mark]) == first
    assert [tuple(row) for row in back.astype(object).where(back.notna(), None).to_numpy()] == [
        tuple(None if cell is None else cell for cell in row) for row in rows
    ]


@pytest.mark.parametrize("mark", sorted(DIALECTS))
def test_a_whole_export_read_back_gives_the_same_files(made, publication, mark) -> None:
    export = made[mark]
    tables = read_csv_folder(export.path, export.tables, mark)
    again = csv_files(publication.name, tables, DIALECTS[mark])
    for name, content in again.items():
        if name.endswith(".csv"):
            assert content == (export.path / name).read_bytes(), name


def test_pandas_reads_both_dialects_alike(made) -> None:
    point = pd.read_csv(made["point"].path / "targets.csv")
    comma = pd.read_csv(made["comma"].path / "targets.csv", sep=";", decimal=",", encoding="utf-8-sig")
    pd.testing.assert_frame_equal(point, comma)
    assert point["fer_emotion"].notna().any()
    assert (point["fold"] >= 0).all()
    assert made["comma"].path.joinpath("targets.csv").read_bytes().startswith(b"\xef\xbb\xbf")


def test_wide_labels_have_a_row_a_clip_and_a_column_a_rater(made, publication) -> None:
    wide = pd.read_csv(made["point"].path / "labels_wide_fer.csv")
    long = publication.labels
    assert len(wide) == len(publication.clips)
    rater = publication.pseudonyms.annotators["a03"]
    said = long[(long["annotator_id"] == rater) & (long["task"] == "fer") & (long["repetition"] == 0)]
    want = dict(zip(said["clip_id"], said["valence"].astype(float), strict=True))
    for clip, value in zip(wide["clip_id"], wide[f"valence_{rater}"], strict=True):
        assert value == want[clip] or (np.isnan(value) and np.isnan(want[clip])), clip
    # Who skips says nothing, and a second showing is no second judgement.
    assert set(wide[f"emotion_{rater}"].dropna()) == {"surprise"}
    assert "valence_self" in pd.read_csv(made["point"].path / "labels_wide_er.csv").columns


def test_the_codebook_lists_every_variable_of_every_file(made) -> None:
    folder = made["point"].path
    book = pd.read_csv(folder / "codebook.csv", keep_default_na=False)
    for path in sorted(folder.glob("*.csv")):
        if path.name == "codebook.csv":
            continue
        header = next(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
        assert book.loc[book["file"] == path.name, "variable"].tolist() == header, path.name
    row = book[(book["file"] == "labels.csv") & (book["variable"] == "emotion")].iloc[0]
    assert row["type"] == "category"
    assert row["values"] == "; ".join(EMOTION_WORDS)
    labels = pd.read_csv(folder / "labels.csv")
    assert row["missing"] == f"{int(labels['emotion'].isna().sum())} of {len(labels)}"
    assert book.loc[book["variable"] == "peak_velocity_deg_s", "unit"].tolist() == ["deg/s"]
    page = (folder / "codebook.md").read_text(encoding="utf-8")
    assert "A missing value is an empty cell" in page
    assert (book["definition"] != "").all()


def test_the_script_for_r_gives_each_column_its_type(made) -> None:
    for mark, export in made.items():
        script = (export.path / "import.R").read_text(encoding="utf-8")
        assert f"sep = '{DIALECTS[mark].delimiter}', dec = '{DIALECTS[mark].decimal}'" in script
        for declared in export.tables:
            (types,) = re.findall(
                rf"^{declared.name} <- read_published\('{declared.name}\.csv', c\((.*)\)\)$", script, re.MULTILINE
            )
            assert len(types.split(", ")) == len(declared.columns)
    assert "labels$emotion <- factor(labels$emotion, levels = c('happiness', 'sadness'" in script
    assert "clips$included <- as.logical(clips$included)" in script
    assert script.count("{") == script.count("}")


def test_the_script_for_spss_labels_values_in_their_order(made) -> None:
    script = (made["comma"].path / "import.sps").read_text(encoding="utf-8")
    assert "SET DECIMAL=COMMA." in script
    assert '/DELIMITERS=";"' in script
    assert "RECODE er_emotion ('happiness'=1) ('sadness'=2)" in script
    assert "VALUE LABELS er_emotion_code 1 'happiness' 2 'sadness'" in script
    assert "participant''s" in script
    for declared in made["comma"].tables:
        assert f"SAVE OUTFILE='{declared.name}.sav'." in script
    labels = [line for line in script.splitlines() if line.startswith("  /") and "'" in line and "FILE" not in line]
    assert max(len(line.split("'", 1)[1]) for line in labels) <= 260
    # Any variable may be called like a command, such as comment: inside a command no line begins with a word.
    commands = ("*", "SET", "GET", "VARIABLE", "VALUE", "RECODE", "FORMATS", "SAVE")
    for line in script.splitlines():
        start = line.split(maxsplit=1)[0] if line else "*"
        assert start.startswith(("/", *commands)) or re.fullmatch(r"A\d+\.?|F\d+\.\d\.?", start), line


def test_names_of_variables_suit_r_and_spss() -> None:
    assert variable_name("item 1") == "item_1"
    assert variable_name("3-back") == "v_3_back"
    assert len(variable_name("x" * 100)) == 64


def test_a_changed_file_is_refused(made, tmp_path) -> None:
    folder = tmp_path / "csv"
    shutil.copytree(made["point"].path, folder)
    path = folder / "clips.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("duration_s", "length_s", 1), encoding="utf-8")
    with pytest.raises(ExportError, match=r"clips\.csv: its columns are"):
        read_csv_folder(folder, made["point"].tables)


def test_the_command_says_what_it_wrote(published_study, tmp_path) -> None:
    done = RUN.invoke(app, ["csv", str(published_study.root), str(tmp_path / "out"), "--decimal", "comma"])
    assert done.exit_code == 0, done.output
    assert "6 clips of 3 participants" in done.output
