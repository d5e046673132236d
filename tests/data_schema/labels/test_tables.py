from __future__ import annotations

import itertools
import logging
import math
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from data_schema.errors import LabelError
from data_schema.labels import (
    CONSENSUS_COLUMNS,
    LABEL_COLUMNS,
    LOG_COLUMNS,
    Label,
    LabelStore,
    consensus,
    current_labels,
    label_frame,
    read_labels,
)
from data_schema.labels.consensus import majority
from data_schema.vocabularies import EMOTIONS, POLARITIES

MakeLabel = Callable[..., Label]
SKIP = {"emotion": None, "polarity": None, "valence": None, "arousal": None, "intensity": None}


def write(path: Path, annotator: str, labels: list[Label], kind: str = "human") -> Path:
    with LabelStore.open(path, annotator, kind) as store:
        for label in labels:
            store.add(label)
    return path


def test_merging_gives_the_same_table_in_any_order(tmp_path: Path, make_label: MakeLabel) -> None:
    files = [
        write(tmp_path / f"{name}.sqlite", name, [make_label(clip_id=f"clip-{i}", confidence=0.5) for i in range(4)])
        for name in ("a01", "a02", "sim-01")
    ]
    copy = tmp_path / "copy-of-a01.sqlite"
    shutil.copy(files[0], copy)
    write(files[0], "a01", [make_label(clip_id="clip-0", emotion="anger")])
    tables = [read_labels(order) for order in itertools.permutations([*files, copy])]
    for table in tables[1:]:
        assert_frame_equal(table, tables[0])
    first = tables[0]
    assert list(first.columns) == list(LOG_COLUMNS)
    assert len(first) == 13
    assert first["row_id"].is_unique
    assert first["valence"].dtype == np.float64
    assert first["emotion"].tolist().count("anger") == 1
    # Reading leaves nothing beside the files.
    assert sorted(tmp_path.iterdir()) == sorted([*files, copy])
    assert read_labels([]).columns.tolist() == list(LOG_COLUMNS)


def test_what_holds_is_what_the_store_says(tmp_path: Path, make_label: MakeLabel) -> None:
    path = tmp_path / "a01.sqlite"
    with LabelStore.open(path, "a01") as store:
        store.add(make_label(emotion="fear"))
        store.add(make_label(emotion="anger"))
        store.add(make_label(clip_id="clip-002"))
        store.undo()
        store.add(make_label(clip_id="clip-003", **SKIP | {"skip_reason": "too_dark"}))
        expected = {record.row_id for record in store.current()}
    table = current_labels(read_labels([path]))
    assert set(table["row_id"]) == expected
    assert sorted(table["clip_id"]) == ["clip-001", "clip-003"]
    assert_frame_equal(current_labels(table), table)


def test_two_copies_that_went_on_keep_the_newer_label_and_warn(
    tmp_path: Path, make_label: MakeLabel, caplog: pytest.LogCaptureFixture
) -> None:
    here = write(tmp_path / "a01.sqlite", "a01", [make_label(emotion="fear")])
    there = tmp_path / "laptop.sqlite"
    shutil.copy(here, there)
    write(here, "a01", [make_label(emotion="anger")])
    write(there, "a01", [make_label(emotion="disgust")])
    with caplog.at_level(logging.WARNING):
        table = current_labels(read_labels([there, here]))
    assert table["emotion"].tolist() == ["disgust"]
    assert "a01: clip-001 (fer)" in caplog.text


def test_files_that_contradict_each_other_are_both_named(tmp_path: Path, make_label: MakeLabel) -> None:
    first = write(tmp_path / "a01.sqlite", "a01", [make_label(emotion="fear")])
    second = tmp_path / "altered.sqlite"
    shutil.copy(first, second)
    other = sqlite3.connect(second)
    other.execute("DROP TRIGGER labels_no_update")
    other.execute("UPDATE labels SET emotion = 'anger'")
    other.commit()
    other.close()
    for order in ([first, second], [second, first]):
        with pytest.raises(LabelError, match=r"emotion 'fear' and 'anger'.*a01\.sqlite and .*altered\.sqlite"):
            read_labels(order)
    twin = write(tmp_path / "twin.sqlite", "a01", [make_label()], kind="simulated")
    with pytest.raises(LabelError, match=r"'a01' is human in .*a01\.sqlite but simulated in .*twin\.sqlite"):
        read_labels([twin, first])
    with pytest.raises(LabelError, match="no such label file"):
        read_labels([tmp_path / "missing.sqlite"])


def test_consensus_by_hand(tmp_path: Path, make_label: MakeLabel) -> None:
    says = {
        "a01": [
            make_label(clip_id="c1", emotion="fear", polarity="negative", valence=-0.5),
            make_label(clip_id="c2", emotion="fear", polarity="negative"),
            make_label(clip_id="c3", **SKIP | {"skip_reason": "no_face"}),
        ],
        "a02": [
            make_label(clip_id="c1", emotion="surprise", polarity="positive", valence=0.5, intensity=1.0),
            make_label(clip_id="c2", emotion="anger", polarity=None, valence=None),
        ],
        "a03": [
            make_label(clip_id="c1", emotion="fear", polarity="negative", valence=-0.6, intensity=None),
            make_label(clip_id="c2", **SKIP | {"skip_reason": "cannot_decide"}),
        ],
    }
    files = [write(tmp_path / f"{name}.sqlite", name, labels) for name, labels in says.items()]
    # None of these may vote: a superseded row, a repeat, a model, the other task.
    write(files[0], "a01", [make_label(clip_id="c1", emotion="happiness"), says["a01"][0]])
    write(files[1], "a02", [make_label(clip_id="c1", emotion="surprise", repetition=1)] * 2)
    write(files[2], "a03", [make_label(clip_id="c1", task="er", intensity=None, emotion="anger")])
    files.append(write(tmp_path / "model.sqlite", "emert", [make_label(clip_id="c2", emotion="anger")], kind="model"))
    table = consensus(read_labels(files), "fer").set_index("clip_id")
    assert list(table.reset_index().columns) == list(CONSENSUS_COLUMNS)
    assert table.index.tolist() == ["c1", "c2", "c3"]
    one, two, three = (table.loc[clip] for clip in ("c1", "c2", "c3"))
    assert (one.emotion, one.emotion_tie, one.n_raters, one.n_skipped) == ("fear", "", 3, 0)
    assert one.emotion_share == pytest.approx(2 / 3)
    assert (one.polarity, one.n_polarity) == ("negative", 3)
    assert one.valence == pytest.approx(-0.2)
    assert one.intensity == pytest.approx(1.5)
    assert (two.emotion, two.emotion_tie, two.n_raters, two.n_skipped) == (None, "fear|anger", 2, 1)
    assert (two.polarity, two.n_polarity, two.valence) == ("negative", 1, -0.4)
    assert (three.emotion, three.emotion_tie, three.n_raters, three.n_skipped) == (None, "", 0, 1)
    assert math.isnan(three.valence)
    assert consensus(read_labels(files), "er")["emotion"].tolist() == ["anger"]
    assert consensus(read_labels([]), "er").empty
    with pytest.raises(LabelError, match="expected one of er, fer"):
        consensus(read_labels(files), "felt")


_UNIT = st.floats(-1, 1)
_ROWS = st.lists(
    st.tuples(
        st.integers(0, 4),  # rater
        st.integers(0, 2),  # clip
        st.sampled_from([*EMOTIONS, "skip"]),
        st.one_of(st.none(), st.sampled_from(POLARITIES)),
        st.one_of(st.none(), _UNIT),
    ),
    max_size=15,
    unique_by=lambda row: (row[0], row[1]),
)


def _frame(rows: list[tuple[int, int, str, str | None, float | None]]) -> pd.DataFrame:
    cells = []
    for rater, clip, emotion, polarity, valence in rows:
        skipped = emotion == "skip"
        cell = {column.name: None for column in LABEL_COLUMNS} | {
            "row_id": f"{rater:016x}{clip:016x}",
            "action": "label",
            "annotator_id": f"a{rater}",
            "annotator_kind": "human",
            "clip_id": f"c{clip}",
            "clip_sha256": "0" * 64,
            "task": "er",
            "view": "",
            "comment": "",
            "repetition": 0,
            "created_utc": "2026-01-01T00:00:00.000000Z",
            "toolkit_version": "0.1.0",
            "emotion": None if skipped else emotion,
            "skip_reason": "cannot_decide" if skipped else None,
            "polarity": None if skipped else polarity,
            "valence": None if skipped else valence,
        }
        cells.append(tuple(cell[column.name] for column in LABEL_COLUMNS))
    return label_frame(cells)


@given(rows=_ROWS, random=st.randoms(use_true_random=False))
def test_consensus_does_not_depend_on_the_order_of_raters(
    rows: list[tuple[int, int, str, str | None, float | None]], random: object
) -> None:
    table = consensus(_frame(rows), "er")
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    # Exactly equal, means too: not merely close.
    assert_frame_equal(consensus(_frame(shuffled), "er"), table, check_exact=True)
    for clip in table.itertuples():
        votes = [row[2] for row in rows if f"c{row[1]}" == clip.clip_id and row[2] != "skip"]
        most = max((votes.count(word) for word in votes), default=0)
        best = [word for word in EMOTIONS if most and votes.count(word) == most]
        assert clip.n_raters == len(votes)
        assert (clip.emotion, clip.emotion_tie) == ((best[0], "") if len(best) == 1 else (None, "|".join(best)))


@settings(max_examples=50)
@given(votes=st.lists(st.sampled_from(EMOTIONS)))
def test_majority_names_each_winner_once(votes: list[str]) -> None:
    winner, tie, share = majority(votes, EMOTIONS)
    assert (winner is None) == (not votes or bool(tie))
    if votes:
        words = tie.split("|") if tie else [winner]
        assert len(words) == len(set(words))
        assert all(votes.count(str(word)) / len(votes) == share for word in words)
