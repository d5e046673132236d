"""Consensus by Dawid-Skene, and adjudicators' decisions on top."""

from __future__ import annotations

import itertools
import logging
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from data_schema.errors import LabelError
from data_schema.labels import (
    TRAINING_VIEW,
    Decision,
    Judged,
    Label,
    LabelStore,
    consensus,
    current_labels,
    current_votes,
    read_labels,
    read_log,
)
from data_schema.labels.dawid_skene import class_probabilities
from data_schema.labels.decisions import current_decisions

from ...annotation.agreement.published import ANAESTHETISTS, ANAESTHETISTS_SHARES

SHA = "ab" * 32


def rater(folder: Path, name: str, said: dict[str, str], **more: object) -> Path:
    path = folder / f"{name}.sqlite"
    with LabelStore.open(path, name) as store:
        store.add_many([Label(clip, SHA, "fer", emotion=word, **more) for clip, word in said.items()])  # type: ignore[arg-type]
    return path


def decide(folder: Path, name: str, *decisions: Decision) -> Path:
    path = folder / f"{name}.sqlite"
    with LabelStore.open(path, name) as store:
        for one in decisions:
            store.write([one])
    return path


def about(clip: str) -> Judged:
    return Judged(clip, SHA, "fer")


def test_dawid_skene_gives_what_was_published():
    rows = []
    for patient, cells in enumerate(ANAESTHETISTS.replace("\n", "|").strip("|").split("|")):
        for observer, votes in enumerate(cells.split()):
            rows += [(f"p{patient:02d}", f"o{observer}", vote) for vote in votes]
    found = class_probabilities(pd.DataFrame(rows, columns=["clip_id", "annotator_id", "emotion"]), "emotion")
    assert len(found) == 45
    shares = pd.DataFrame(found).T.mean()
    assert tuple(round(shares[name], 2) for name in "1234") == ANAESTHETISTS_SHARES
    shuffled = pd.DataFrame(rows[::-1], columns=["clip_id", "annotator_id", "emotion"])
    assert class_probabilities(shuffled, "emotion") == found  # to the last digit, whatever the order


def test_dawid_skene_listens_to_those_who_are_right_elsewhere(tmp_path):
    """Two raters who agree on all else outvote three who answer the same word whatever they see."""
    truth = {f"c{i:02d}": ("anger", "fear", "sadness")[i % 3] for i in range(30)}
    files = [rater(tmp_path, f"a{i}", truth) for i in (1, 2)]
    files += [rater(tmp_path, f"b{i}", dict.fromkeys(truth, "neutral")) for i in (1, 2, 3)]
    labels = read_labels(files)
    votes = consensus(labels, "fer").set_index("clip_id")
    weighed = consensus(labels, "fer", method="dawid-skene").set_index("clip_id")
    assert set(votes["emotion"]) == {"neutral"}
    assert weighed["emotion"].to_dict() == truth
    assert (weighed["emotion_probability"] > 0.9).all()
    assert set(weighed["method"]) == {"dawid-skene"}
    assert weighed["emotion_share"].tolist() == votes["emotion_share"].tolist()  # what was said stays what was said
    with pytest.raises(LabelError, match="majority, dawid-skene"):
        consensus(labels, "fer", method="mean")


def test_ties_stay_ties_by_dawid_skene(tmp_path):
    """Two raters, one clip, two words: nothing tells which is right."""
    files = [rater(tmp_path, "a1", {"c1": "anger"}), rater(tmp_path, "a2", {"c1": "fear"})]
    row = consensus(read_labels(files), "fer", method="dawid-skene").iloc[0]
    assert row["emotion"] is None
    assert row["emotion_tie"] == "fear|anger"
    assert row["emotion_probability"] == pytest.approx(0.5)


def test_decisions_lie_on_top_and_change_no_label(tmp_path):
    files = [
        rater(tmp_path, "a1", {"c1": "anger", "c2": "fear"}, valence=-1.0),
        rater(tmp_path, "a2", {"c1": "fear", "c2": "fear"}, valence=-0.5),
    ]
    before = [path.read_bytes() for path in files]
    files.append(
        decide(tmp_path, "e01", Decision(about("c1"), "the brows", "[]", emotion="anger", polarity="negative"))
    )
    labels, decisions = read_labels(files), read_log(files, "decisions")
    plain = consensus(labels, "fer").set_index("clip_id")
    decided = consensus(labels, "fer", decisions=decisions).set_index("clip_id")
    assert plain.loc["c1", "emotion_tie"] == "fear|anger"
    assert decided.loc["c1", ["emotion", "emotion_tie", "decided_by", "decided_fields", "reason"]].tolist() == [
        "anger", "", "e01", "emotion|polarity", "the brows",
    ]  # fmt: skip
    assert decided.loc["c1", "valence"] == -0.75  # not decided: the raters' mean stays
    assert decided.loc["c1", "n_raters"] == 2
    assert decided.loc["c2", "decided_by"] is None
    assert [path.read_bytes() for path in files[:2]] == before
    assert consensus(labels, "er", decisions=decisions).empty  # a decision holds in its own pass alone


def test_a_decision_is_replaced_taken_back_and_merged_in_any_order(tmp_path, caplog):
    first = decide(tmp_path, "e01", Decision(about("c1"), "one", "[]", emotion="anger"))
    with LabelStore.open(first, "e01") as store:
        old = store.decisions("fer")[0].row_id
        new = store.write([Decision(about("c1"), "two", "[]", emotion="fear", supersedes=old)])[0]
    log = read_log([first], "decisions")
    assert current_decisions(log, "fer")["reason"].tolist() == ["two"]
    other = decide(tmp_path, "e02", Decision(about("c1"), "three", "[]", emotion="disgust"))
    tables = [
        current_decisions(read_log(list(order), "decisions"), "fer") for order in itertools.permutations([first, other])
    ]
    with caplog.at_level(logging.WARNING):
        assert current_decisions(read_log([first, other], "decisions"), "fer")["emotion"].tolist() == ["disgust"]
    assert "decided by two adjudicators" in caplog.text
    assert "c1" in caplog.text
    pd.testing.assert_frame_equal(tables[0], tables[1])
    decide(tmp_path, "e02", Decision(about("c1"), "I was wrong", "[]", supersedes=tables[0]["row_id"][0]))
    assert current_decisions(read_log([first, other], "decisions"), "fer")["row_id"].tolist() == [new]


def test_without_the_library_the_message_names_the_extra(tmp_path):
    code = (
        "import sys; sys.modules['crowdkit'] = None\n"
        "import pandas as pd\n"
        "from data_schema.labels.dawid_skene import class_probabilities\n"
        "from data_schema.errors import MissingExtraError\n"
        "try:\n    class_probabilities(pd.DataFrame(), 'emotion')\n"
        "except MissingExtraError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "emer-toolkit[consensus]" in done.stdout


def test_labels_of_the_training_block_are_no_votes(tmp_path):
    """Also where one replaced a label of the main block, or stands again after that was taken back."""
    plain = rater(tmp_path, "a01", {"c1": "fear", "c2": "fear", "c3": "fear"}, view="face")
    taught = tmp_path / "a02.sqlite"
    with LabelStore.open(taught, "a02") as store:
        for clip in ("c1", "c2", "c4"):
            store.add(Label(clip, SHA, "fer", emotion="anger", view=f"{TRAINING_VIEW}face"))
        store.add(Label("c1", SHA, "fer", emotion="sadness", view="face"))
        store.add(Label("c2", SHA, "fer", emotion="sadness", view="face"))
        store.undo()
        store.add(Label("c3", SHA, "fer", emotion="sadness", view="face"))
        store.add(Label("c3", SHA, "fer", emotion="anger", view=f"{TRAINING_VIEW}face"))
    labels = read_labels([plain, taught])
    votes = current_votes(labels)
    assert len(current_labels(labels)) == 7
    assert sorted(zip(votes["annotator_id"], votes["clip_id"], strict=True)) == [
        ("a01", "c1"), ("a01", "c2"), ("a01", "c3"), ("a02", "c1"),
    ]  # fmt: skip
    table = consensus(labels, "fer").set_index("clip_id")
    assert table["n_raters"].to_dict() == {"c1": 2, "c2": 1, "c3": 1}
    assert table.loc["c1", "emotion_tie"] == "sadness|fear"
    assert current_votes(labels[:0]).empty
