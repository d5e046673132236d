"""Gold files, as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from annotation.queue.gold import read_gold
from data_schema.errors import LabelError
from data_schema.study.sections import LabelsSection

HEADER = "clip_id,task,emotion,polarity,valence,arousal,intensity,explanation\n"


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "gold.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_a_gold_file_from_a_spreadsheet(tmp_path: Path) -> None:
    text = HEADER + 'c1,fer,fear,negative,-0.5,0.75,2,"Brows up,\nlips stretched"\nc1,er,neutral,,,,,\n'
    answers = read_gold(written(tmp_path, text.replace("\n", "\r\n"), "utf-8-sig"), LabelsSection())
    assert set(answers) == {("c1", "fer"), ("c1", "er")}
    fear = answers["c1", "fer"]
    assert (fear.emotion, fear.polarity, fear.valence, fear.arousal, fear.intensity) == (
        "fear",
        "negative",
        -0.5,
        0.75,
        2,
    )
    assert fear.explanation.startswith("Brows up,")
    assert answers["c1", "er"].valence is None


def test_columns_that_are_not_needed_may_be_left_out(tmp_path: Path) -> None:
    answers = read_gold(written(tmp_path, "task,clip_id,emotion\ner,c1,anger\n"), LabelsSection())
    assert answers["c1", "er"].emotion == "anger"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clip_id;task;emotion\nc1;er;fear\n", "semicolons"),
        ("clip_id,task,emotoin\nc1,er,fear\n", "Did you mean 'emotion'"),
        ("clip_id,task\nc1,er\n", "lacks the column(s) emotion"),
        ("", "lacks the column(s) clip_id, task, emotion"),
        (HEADER + "c1,er,fearr,,,,,\n", "line 2: emotion is 'fearr'"),
        (HEADER + "c1,er,,,,,,\n", "line 2: emotion is 'nothing'"),
        (HEADER + "c1,er,disgust,,,,,\n", "line 2: emotion is 'disgust', expected one of fear, anger"),
        (HEADER + "c1,both,fear,,,,,\n", "line 2: task is 'both'"),
        (HEADER + "c1,er,fear,,,,2,\n", "FER only"),
        (HEADER + "c1,er,fear,,\"0,5\",,,\n", "line 2: valence is '0,5'"),
        (HEADER + "c1,er,fear,,7,,,\n", "line 2: valence is 7.0"),
        (HEADER + "c1,er,fear\n", "more or fewer cells"),
        (HEADER + "c9,er,fear,,,,,\n", "line 2: clip_id is 'c9'"),
        (HEADER + "c1,er,fear,,,,,\nc1,er,anger,,,,,\n", "line 3: c1 has an answer for er in line 2 already"),
        (HEADER + "c1,er,x,,,,,\n" * 14, "and 4 more"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    labels = LabelsSection(emotions=("fear", "anger"))
    with pytest.raises(LabelError) as caught:
        read_gold(written(tmp_path, text), labels, {"c1"})
    assert message in str(caught.value)
    assert "gold.csv" in str(caught.value)


def test_a_missing_or_foreign_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="no such gold file"):
        read_gold(tmp_path / "gold.csv", LabelsSection())
    with pytest.raises(LabelError, match="not UTF-8"):
        read_gold(written(tmp_path, HEADER + "c1,er,fear,,,,,süß\n", "latin-1"), LabelsSection())
