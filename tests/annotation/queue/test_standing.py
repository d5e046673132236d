"""`emer annotate assign` and `status`, as the lead calls them."""

from __future__ import annotations

from pathlib import Path

import pytest

from annotation.queue.queues import read_queue
from annotation.queue.standing import STANDING_COLUMNS
from data_schema.cli import main
from data_schema.labels import Label, LabelStore
from data_schema.study import StudyFolder

from .table_studies import table_study, write_clips, write_gold_rows

RULES = (
    'annotators = ["a01", "a02"]\nannotators_per_clip = 1\nrepeats_share = 0.2\n'
    'gold_file = "gold.csv"\ntraining_clips = 1\nadmission_clips = 2\nadmission_share = 0.5\n'
)


def call(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = main(["annotate", *argv])
    out, err = capsys.readouterr()
    return code, out, err


def rows_of(table: str) -> dict[tuple[str, str], dict[str, str]]:
    """Read a printed table whose last two cells may hold a blank."""
    lines = table.replace(" passed", "_passed").replace(" not_passed", "_not_passed").replace(" of ", "_of_")
    header, *rows = [line.split() for line in lines.splitlines()]
    header = [name.replace("_of_", "of") for name in header]
    return {(row[0], row[2]): dict(zip(header, row, strict=True)) for row in rows}


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    study = table_study(tmp_path / "s", 40, RULES)
    write_gold_rows(study, range(4))
    return study


def test_from_assigning_to_the_end_of_a_queue(study: StudyFolder, capsys: pytest.CaptureFixture[str]) -> None:
    root = str(study.root)
    code, _, err = call(capsys, "status", root)
    assert (code, "no label files" in err) == (1, True)
    code, out, err = call(capsys, "assign", root, "--dry-run")
    assert (code, "nothing was written" in err) == (0, True)
    code, out, err = call(capsys, "assign", root)
    assert code == 0
    assert out.split()[:8] == ["annotator", "task", "new", "training", "admission", "clips", "repeats", "gold"]
    assert "no training" in err
    assert "items added" in err

    code, out, _ = call(capsys, "status", root)
    assert code == 0
    table = rows_of(out)
    assert tuple(next(iter(table.values()))) == STANDING_COLUMNS
    queue = [entry.item for entry in read_queue(study, "fer", "a01")]
    fresh = table["a01", "fer"]
    assert (fresh["block"], fresh["labelled"], fresh["open"], fresh["of"]) == ("training", "0", *[str(len(queue))] * 2)
    assert table["a01", "er"]["admission"] == "none"

    with LabelStore.open(study.labels_dir / "a01.sqlite", "a01") as store:
        for item in queue[:8]:
            said = {"skip_reason": "no_face"} if item is queue[5] else {"emotion": "happiness"}
            store.add(
                Label(*item.key[:1], item.clip_sha256, "fer", repetition=item.repetition, duration_ms=6000, **said)
            )
    half = rows_of(call(capsys, "status", root)[1])["a01", "fer"]
    assert (half["block"], half["labelled"], half["skipped"], half["open"]) == ("main", "7", "1", str(len(queue) - 8))
    assert (half["today"], half["s_per_clip"]) == ("8", "6.0")

    with LabelStore.open(study.labels_dir / "a01.sqlite", "a01") as store:
        for item in queue[8:]:
            emotion = "fear" if item.repetition and item is queue[-1] else "happiness"
            store.add(Label(item.clip_id, item.clip_sha256, "fer", repetition=item.repetition, emotion=emotion))
    done = rows_of(call(capsys, "status", root)[1])["a01", "fer"]
    assert (done["block"], done["open"], done["labelled"]) == ("done", "0", str(len(queue) - 1))
    n_repeats = sum(item.repetition for item in queue)
    n_same = n_repeats - queue[-1].repetition
    skipped_twice = any(item.repetition and item.clip_id == queue[5].clip_id for item in queue)
    assert (
        done["repeats"]
        == f"{(n_same - skipped_twice) / (n_repeats - skipped_twice):.0%}_of_{n_repeats - skipped_twice}"
    )


@pytest.mark.parametrize(("emotions", "said"), [(("right", "right"), "100%_passed"), (("wrong", "wrong"), "0%")])
def test_the_lead_sees_who_passed_the_admission_test(
    study: StudyFolder, capsys: pytest.CaptureFixture[str], emotions: tuple[str, str], said: str
) -> None:
    call(capsys, "assign", str(study.root))
    gold = dict(line.split(",")[::2] for line in (study.root / "gold.csv").read_text().splitlines()[1:])
    test = [entry.item for entry in read_queue(study, "fer", "a01") if entry.item.block.value == "admission"]
    with LabelStore.open(study.labels_dir / "a01.sqlite", "a01") as store:
        store.add(Label(test[0].clip_id, test[0].clip_sha256, "fer", emotion="happiness"))
        assert " open " in call(capsys, "status", str(study.root))[1]
        for item, kind in zip(test, emotions, strict=True):
            emotion = gold[item.clip_id]
            wrong = "anger" if emotion != "anger" else "fear"
            store.add(Label(item.clip_id, item.clip_sha256, "fer", emotion=emotion if kind == "right" else wrong))
    out = call(capsys, "status", str(study.root))[1]
    assert f"{said.replace('_', ' ')}" in out
    assert ("not passed" in out) is (emotions[0] == "wrong")


def test_clips_that_nobody_has_and_labels_of_other_clips_are_told(
    study: StudyFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    call(capsys, "assign", str(study.root))
    write_clips(study, 45)
    with LabelStore.open(study.labels_dir / "a02.sqlite", "a02") as store:
        store.add(Label("sub-P777_ses-01_trial-001", "0" * 64, "er", emotion="fear"))
    code, _, err = call(capsys, "status", str(study.root))
    assert code == 0
    assert "5 clips of the ER pass are not handed out: emer annotate assign" in err
    assert "the study does not have (any more): a02 1." in err


def test_without_annotators_the_lead_is_told_how_to_share(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = table_study(tmp_path / "s", 10)
    code, _, err = call(capsys, "assign", str(study.root))
    assert (code, "name the annotators in [annotation]" in err) == (2, True)
    code, out, _ = call(capsys, "assign", str(study.root), "--annotator", "b1", "--annotator", "b2")
    assert code == 0
    assert [line.split()[:3] for line in out.splitlines()[1:]] == [
        [name, task, "11"] for name in ("b1", "b2") for task in ("er", "fer")
    ], "ten clips, one of them twice"
    assert len(read_queue(study, "fer", "b2")) == 11
