from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from data_schema.errors import LabelError
from data_schema.labels import (
    ENTRY_COLUMNS,
    LOG_COLUMNS,
    Label,
    LabelStore,
    import_labels_csv,
    labels_to_csv,
    read_labels,
    read_labels_csv,
    write_labels_csv,
)
from data_schema.labels.csv import may_be_empty
from data_schema.labels.models import LABEL_COLUMNS, LabelColumn
from data_schema.vocabularies import EMOTIONS, POLARITIES, SKIP_REASONS

MakeLabel = Callable[..., Label]
HASHES = {"clip-001": "ab" * 32, "clip-002": "cd" * 32}
HEADER = ",".join(ENTRY_COLUMNS) + "\n"


def entry(**cells: object) -> str:
    """One line of a file with ENTRY_COLUMNS."""
    given_cells = {"clip_id": "clip-001", "task": "er", "emotion": "fear"} | cells
    return ",".join(str(given_cells.get(name, "")) for name in ENTRY_COLUMNS) + "\n"


def _maybe(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.one_of(st.none(), strategy)


_COMMENT = st.text(
    st.one_of(st.sampled_from(",\";\n\t '=喜"), st.characters(exclude_categories=["Cs", "Cc"])), max_size=12
)


@st.composite
def labels(draw: st.DrawFn) -> Label:
    task = draw(st.sampled_from(["er", "fer"]))
    cells: dict[str, object] = {
        "clip_id": draw(st.sampled_from(["c1", "c2", "c3"])),
        "clip_sha256": draw(st.sampled_from(["ab" * 32, "12" * 32])),
        "task": task,
        "view": draw(st.sampled_from(["", "face", "face+stimulus+gaze"])),
        "repetition": draw(st.integers(0, 2)),
        "comment": draw(_COMMENT),
        "confidence": draw(_maybe(st.floats(0, 1))),
        "frame_index": draw(_maybe(st.integers(0, 2**63 - 1))),
        "frame_pts": draw(_maybe(st.integers(-(2**62), 2**62))),
        "duration_ms": draw(_maybe(st.integers(0, 2**53 + 1))),
    }
    if draw(st.booleans()):
        cells |= {
            "emotion": draw(st.sampled_from(EMOTIONS)),
            "polarity": draw(_maybe(st.sampled_from(POLARITIES))),
            "valence": draw(_maybe(st.floats(-1, 1))),
            "arousal": draw(_maybe(st.floats(-1, 1))),
            "intensity": draw(_maybe(st.floats(0, 3))) if task == "fer" else None,
        }
    else:
        cells["skip_reason"] = draw(st.sampled_from(SKIP_REASONS))
    return Label(**cells)  # type: ignore[arg-type]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(said=st.lists(labels(), max_size=6), n_undo=st.integers(0, 4))
def test_out_and_in_again_is_the_same_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, said: list[Label], n_undo: int
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    with LabelStore.open(folder / "a01.sqlite", "a01") as store:
        store.add_many(said)
        for _ in range(n_undo):
            store.undo()
        history, current = store.history(), store.current()
    table = read_labels([folder / "a01.sqlite"])
    write_labels_csv(table, folder / "out.csv")
    with LabelStore.open(folder / "again.sqlite", "a01") as store:
        result = import_labels_csv(folder / "out.csv", store)
        assert (result.n_added, result.n_present) == (len(history), 0)
        assert sorted(store.history(), key=lambda r: r.row_id) == sorted(history, key=lambda r: r.row_id)
        assert sorted(store.current(), key=lambda r: r.row_id) == sorted(current, key=lambda r: r.row_id)
        assert import_labels_csv(folder / "out.csv", store).n_present == len(history)
    again = read_labels([folder / "again.sqlite"])
    assert_frame_equal(again, table)
    assert labels_to_csv(again) == (folder / "out.csv").read_bytes()


def test_export_never_overwrites_unasked(tmp_path: Path, make_label: MakeLabel) -> None:
    with LabelStore.open(tmp_path / "a01.sqlite", "a01") as store:
        store.add(make_label())
    table = read_labels([tmp_path / "a01.sqlite"])
    out = tmp_path / "out.csv"
    out.write_text("mine")
    with pytest.raises(LabelError, match="exists already"):
        write_labels_csv(table, out)
    assert out.read_text() == "mine"
    write_labels_csv(table, out, overwrite=True)
    assert out.read_bytes().startswith(",".join(LOG_COLUMNS).encode())
    with pytest.raises(LabelError, match="cannot be written"):
        write_labels_csv(table, tmp_path / "missing" / "out.csv")
    assert not list(tmp_path.glob("*.partial"))
    with pytest.raises(LabelError, match="lacks the columns emotion"):
        labels_to_csv(table.drop(columns="emotion"))


def test_a_spreadsheet_is_imported_and_the_hash_filled_in(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    text = HEADER + entry(valence="-0.25") + entry(clip_id="clip-002", task="fer", emotion="", skip_reason="no_face")
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())  # as Excel saves "CSV UTF-8"
    with LabelStore.open(tmp_path / "a01.sqlite", "a01") as store:
        first = import_labels_csv(path, store, clip_hashes=HASHES)
        again = import_labels_csv(path, store, clip_hashes=HASHES)
        assert (first.n_added, again.n_added, again.n_present) == (2, 0, 2)
        found = store.current()
    assert [(r.clip_id, r.emotion, r.skip_reason, r.valence, r.clip_sha256) for r in found] == [
        ("clip-001", "fear", None, -0.25, "ab" * 32),
        ("clip-002", None, "no_face", None, "cd" * 32),
    ]


def test_bad_rows_are_named_with_their_line_and_nothing_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text(
        HEADER
        + entry()
        + entry(comment='"two\nlines"', emotion="joyful")
        + entry(valence="1,5")
        + entry(clip_id="clip-01")
        + entry(clip_sha256="99" * 32)
        + entry(arousal="nan")
        + entry(intensity="1.0")
        + entry(frame_index="4.5")
        + entry(clip_id="clip-002", emotion="disgust"),
        encoding="utf-8",
    )
    with LabelStore.open(tmp_path / "a01.sqlite", "a01", emotions=EMOTIONS[:4]) as store:
        with pytest.raises(LabelError) as caught:
            import_labels_csv(path, store, clip_hashes=HASHES)
        assert store.history() == []
    message = str(caught.value)
    assert "8 of 9 rows" in message
    for expected in (
        "line 3: emotion is 'joyful'",
        f"line 5: {len(ENTRY_COLUMNS) + 1} cells",
        "line 6: clip_id is 'clip-01', expected a clip of the study. Did you mean 'clip-001'?",
        "line 7: clip_sha256",
        "line 8: arousal is nan",
        "line 9: intensity",
        "line 10: frame_index is '4.5', expected an integer",
        "line 11: emotion is 'disgust', expected one of happiness, sadness, fear, surprise",
    ):
        assert expected in message


def test_two_labels_of_one_clip_in_one_file_are_refused_with_both_lines(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    rows = entry() + entry(clip_id="clip-002") + entry(task="fer") + entry(emotion="anger")
    path.write_text(HEADER + rows, encoding="utf-8")
    with LabelStore.open(tmp_path / "a01.sqlite", "a01") as store:
        with pytest.raises(LabelError, match="line 5: clip-001, task er is labelled in line 2 already"):
            import_labels_csv(path, store, clip_hashes=HASHES)
        assert store.history() == []
        # A repeat of the showing is another label.
        path.write_text(HEADER + rows.removesuffix(entry(emotion="anger")) + entry(emotion="anger", repetition=1))
        assert import_labels_csv(path, store, clip_hashes=HASHES).n_added == 4


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"clip_id;task;emotion\n", "not separated by commas"),
        (b"clip_id,task,emoton\n", r"unknown column 'emoton' \(did you mean 'emotion'\?\); missing clip_sha256"),
        (",".join(reversed(ENTRY_COLUMNS)).encode(), "the order differs"),
        (",".join(LOG_COLUMNS[:-1]).encode(), "missing toolkit_version"),
        (b"\xff\xfec\x00", "not UTF-8 text"),
        (HEADER.encode() + b'"unclosed,\n', "line 2: no valid CSV"),
    ],
)
def test_a_file_that_is_no_label_table_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(data)
    with pytest.raises(LabelError, match=message):
        read_labels_csv(path)
    with pytest.raises(LabelError, match="no such file"):
        read_labels_csv(tmp_path / "missing.csv")


def test_rows_of_others_and_altered_rows_are_refused(tmp_path: Path, make_label: MakeLabel) -> None:
    with LabelStore.open(tmp_path / "a01.sqlite", "a01") as store:
        store.add(make_label())
    path = tmp_path / "out.csv"
    write_labels_csv(read_labels([tmp_path / "a01.sqlite"]), path)
    with (
        LabelStore.open(tmp_path / "a02.sqlite", "a02") as store,
        pytest.raises(LabelError, match=r"line 2: annotator_id is 'a01 \(human\)', expected 'a02|line 2: annotator_id"),
    ):
        import_labels_csv(path, store)
    path.write_text(path.read_text().replace("fear", "anger"))
    with LabelStore.open(tmp_path / "a01.sqlite", "a01") as store:
        with pytest.raises(LabelError, match="with other content"):
            import_labels_csv(path, store)
        assert [record.emotion for record in store.history()] == ["fear"]
    text = path.read_text()
    path.write_text(text + text.splitlines()[1] + "\n")
    with pytest.raises(LabelError, match=r"line 3: row_id .* line 2 has this one"):
        read_labels_csv(path)
    path.write_text(text.replace(",label,", ",undo,"))
    with pytest.raises(LabelError, match="line 2: supersedes"):
        read_labels_csv(path)


def test_the_pages_show_the_header_that_import_takes() -> None:
    docs = Path(__file__).resolve().parents[3] / "docs"
    assert f"\n{HEADER}" in (docs / "annotator.md").read_text(encoding="utf-8")
    assert f"\n{HEADER}" in (docs / "reference" / "labels.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("column", [column for column in LABEL_COLUMNS if column.name in ENTRY_COLUMNS])
def test_what_may_be_empty_may_be_empty(tmp_path: Path, column: LabelColumn) -> None:
    path = tmp_path / "in.csv"
    cells = {"clip_sha256": "ab" * 32, "view": "face", "polarity": "negative", "valence": 0, "frame_index": 3}
    full = entry(**cells | {column.name: ""})
    if column.name == "emotion":  # empty where the clip was skipped
        full = entry(emotion="", skip_reason="too_dark")
    path.write_text(HEADER + full, encoding="utf-8")
    if may_be_empty(column).startswith("yes"):
        assert len(read_labels_csv(path, clip_hashes=HASHES)) == 1
    else:
        with pytest.raises(LabelError, match=f"line 2: {column.name} is ''"):
            read_labels_csv(path, clip_hashes=HASHES)
