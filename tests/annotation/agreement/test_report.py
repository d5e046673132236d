"""From label files to rows: who counts, what is missing, repeats, kinds, the page, the command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from annotation.agreement import MEASURES, agreement
from annotation.agreement.counted import counted_labels
from annotation.agreement.page import render
from annotation.commands.agreement import as_text
from annotation.queue.assignments import extend_assignments, load_assignments
from annotation.status import clip_hashes
from data_schema.cli import main
from data_schema.labels import Label, LabelStore, read_labels
from data_schema.study import StudyFolder

from ..labelled_study import write_gold

SHA = "ab" * 32
ER = ["happiness", "happiness", "sadness", "fear", "anger", "neutral"]


def write(folder: Path, name: str, rows: list[Mapping[str, object]], kind: str = "human", task: str = "er") -> Path:
    path = folder / f"{name}.sqlite"
    with LabelStore.open(path, name, kind) as store:
        store.add_many([Label(**{"clip_sha256": SHA, "task": task, **row}) for row in rows])  # type: ignore[arg-type]
    return path


def words(emotions: list[str | None], **more: object) -> list[Mapping[str, object]]:
    return [
        {"clip_id": f"c{i}", **({"emotion": word} if word else {"skip_reason": "too_dark"}), **more}
        for i, word in enumerate(emotions)
        if word != ""
    ]


def test_counts_state_who_judged_what(tmp_path):
    files = [
        write(tmp_path, "a01", words(ER)),
        write(tmp_path, "a02", words([*ER[:4], None, ""])),  # skipped c4, never got c5
        write(tmp_path, "a03", words(["happiness", "sadness"])),
    ]
    one = agreement(read_labels(files), n_resamples=50).passes[0]
    row = next(row for row in one.rows if row.field == "emotion" and not row.class_name)
    assert (row.n_clips, row.n_complete, row.n_raters, row.n_ratings) == (4, 2, 3, 12)
    assert [(r.annotator_id, r.n_labels, r.n_skipped) for r in one.raters] == [
        ("a01", 6, 0),
        ("a02", 4, 1),
        ("a03", 2, 0),
    ]
    pair = one.pairs["emotion"][0]
    assert (pair.first, pair.second, pair.n_clips, pair.kappa) == ("a01", "a02", 4, 1.0)
    # Only words that somebody used have a row; a class is named below its field.
    assert {row.class_name for row in one.rows if row.field == "emotion"} == {"", *ER}
    # Nobody gave a valence: a row without figures, and no crash.
    valence = next(row for row in one.rows if row.field == "valence")
    assert valence.n_clips == 0
    assert all(found.value is None for found in valence.figures.values())


def test_er_and_fer_are_never_compared(tmp_path):
    """One annotator alone in each pass: whatever they said, there is no agreement to report."""
    files = [write(tmp_path, "a01", words(ER)), write(tmp_path, "a02", words(ER), task="fer")]
    report = agreement(read_labels(files), n_resamples=10)
    assert [one.task for one in report.passes] == ["er", "fer"]
    assert all(row.n_clips == 0 for one in report.passes for row in one.rows)
    assert all(found.value is None for one in report.passes for row in one.rows for found in row.figures.values())


def test_superseded_labels_and_undone_ones_do_not_count(tmp_path):
    first = write(tmp_path, "a01", words(ER))
    second = write(tmp_path, "a02", words(["anger"] * 6))
    with LabelStore.open(second, "a02") as store:
        store.add_many([Label(clip_sha256=SHA, task="er", **row) for row in words(ER)])  # type: ignore[arg-type]
    row = agreement(read_labels([first, second]), n_resamples=0).passes[0].rows[0]
    assert row.figures["observed"].value == 1.0
    with LabelStore.open(second, "a02") as store:
        store.undo()
    row = agreement(read_labels([first, second]), n_resamples=0).passes[0].rows[0]
    assert row.figures["observed"].value == pytest.approx(5 / 6)


def test_repeats_measure_self_consistency_and_nothing_else(tmp_path):
    again = ["happiness", "happiness", "sadness", "anger"]  # the fourth changed
    path = write(tmp_path, "a01", words(ER, valence=0.5) + words(again, repetition=1, valence=0.25))
    other = write(tmp_path, "a02", words(ER, valence=0.5))
    one = agreement(read_labels([path, other]), n_resamples=100).passes[0]
    assert one.rows[0].figures["observed"].value == 1.0  # repeats are no opinion of a further rater
    emotion = next(entry for entry in one.consistency if entry.field == "emotion")
    assert (emotion.rater.annotator_id, emotion.n_clips) == ("a01", 4)
    assert emotion.same.value == 0.75
    assert emotion.same.low is not None
    valence = next(entry for entry in one.consistency if entry.field == "valence")
    assert valence.mean_difference.value == pytest.approx(0.25)
    assert {entry.rater.annotator_id for entry in one.consistency} == {"a01"}


def test_simulated_annotators_are_left_out_beside_people_and_named_where_they_count(tmp_path):
    people = [write(tmp_path, "a01", words(ER)), write(tmp_path, "a02", words(ER))]
    machine = [write(tmp_path, "sim-01", words(["anger"] * 6), kind="simulated")]
    report = agreement(read_labels(people + machine), title="Smiles", n_resamples=20)
    assert report.passes[0].rows[0].figures["observed"].value == 1.0
    assert report.left_out == ("sim-01 (simulated)",)
    mixed = agreement(read_labels(people + machine), title="Smiles", kinds=("human", "simulated"), n_resamples=20)
    assert mixed.passes[0].rows[0].figures["observed"].value < 1.0
    assert mixed.simulated == ("sim-01",)
    assert set(mixed.table()["annotator_kinds"]) == {"human|simulated"}
    assert mixed.as_json()["simulated_annotators"] == ["sim-01"]
    page = render(mixed)
    assert "Simulated annotators" in page
    assert "sim-01 (simulated)" in page
    alone = agreement(read_labels(machine), n_resamples=0)
    assert alone.simulated == ("sim-01",)


def test_the_page_stands_alone_and_says_everything(tmp_path):
    files = [
        write(tmp_path, "a01", words(ER, valence=0.5, intensity=2.0), task="fer"),
        write(tmp_path, "a02", words(["happiness"] * 6, valence=-0.5, intensity=1.0), task="fer"),
    ]
    page = render(agreement(read_labels(files), title="A <b>study</b>", n_resamples=50))
    assert "<b>study</b>" not in page  # what a study says is never markup
    head = page[: page.index("<script>/**")] if "<script>/**" in page else page.split("plotly.js")[0]
    assert "http://" not in head
    assert "https://" not in head
    assert 'src="' not in head
    for measure in MEASURES:
        assert measure.title in page
    assert page.count('class="plot"') >= 2
    assert "No annotator has labelled a repeat" in page


def test_a_study_that_was_narrowed_keeps_old_words(tmp_path):
    files = [write(tmp_path, "a01", words(ER)), write(tmp_path, "a02", words(ER))]
    one = agreement(read_labels(files), emotions=("neutral", "happiness"), n_resamples=0).passes[0]
    table = next(table for table in one.tables if table.field == "emotion")
    assert table.classes == ("neutral", "happiness", "sadness", "fear", "anger")
    assert one.rows[0].figures["observed"].value == 1.0


def test_training_and_admission_are_not_agreement(video_study: StudyFolder) -> None:
    text = video_study.config_path.read_text(encoding="utf-8").replace(
        "[annotation]",
        '[annotation]\nannotators = ["a01", "a02"]\ngold_file = "gold.csv"\ntraining_clips = 1\nadmission_clips = 1',
    )
    video_study.config_path.write_text(text, encoding="utf-8")
    study = StudyFolder(video_study.root)
    hashes = clip_hashes(study)
    write_gold(study, [{"clip_id": c, "task": t, "emotion": "fear"} for c in sorted(hashes)[:2] for t in ("er", "fer")])
    extend_assignments(study)
    study.labels_dir.mkdir(exist_ok=True)
    assigned = load_assignments(study)
    mine = assigned[(assigned["annotator_id"] == "a01") & (assigned["task"] == "er")]
    with LabelStore.open(study.labels_dir / "a01.sqlite", "a01") as store:
        for row in mine.itertuples():
            store.add(
                Label(str(row.clip_id), hashes[str(row.clip_id)], "er", emotion="fear", repetition=int(row.repetition))
            )
    kept = counted_labels(study)
    tested = mine[mine["block"] != "main"]
    assert len(tested) == 2
    assert len(kept) == len(mine) - 2
    assert not set(zip(tested["clip_id"], tested["repetition"], strict=True)) & set(
        zip(kept["clip_id"], kept["repetition"], strict=True)
    )


def test_the_training_block_says_nothing_about_agreement_even_without_assignments(tmp_path):
    """A merged file carries the block in its rows: the table of assignments may be that of another study."""
    files = [
        write(tmp_path, "a01", words(ER)),
        write(tmp_path, "a02", words(ER[:4])),
        write(
            tmp_path, "a03", [*words(ER[:2], view="training:face"), *words(ER[:2], view="training:face", repetition=1)]
        ),
    ]
    one = agreement(read_labels(files), n_resamples=0).passes[0]
    assert [rater.annotator_id for rater in one.raters] == ["a01", "a02"]
    assert one.consistency == ()


def test_the_command_writes_table_json_and_page(
    video_study: StudyFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(video_study.root)
    assert main(["annotate", "simulate", root, "--annotators", "3"]) == 0
    outs = [tmp_path / f"agreement{ending}" for ending in (".csv", ".json", ".html")]
    options = [option for out in outs for option in ("--out", str(out))]
    assert main(["annotate", "agreement", root, "--resamples", "30", *options]) == 0
    assert "say nothing about people" in capsys.readouterr().err
    table = pd.read_csv(outs[0])
    assert set(table["task"]) == {"er", "fer"}
    assert {"alpha_nominal", "alpha_nominal_low", "alpha_nominal_high", "icc_a1", "ccc"} <= set(table.columns)
    assert table[table["field"] == "emotion"]["n_clips"].max() == 6
    stored = json.loads(outs[1].read_text(encoding="utf-8"))
    assert stored["tasks"]["fer"]["rows"][0]["figures"]["alpha_nominal"].keys() == {"value", "low", "high"}
    assert outs[2].read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert main(["annotate", "agreement", root, "--out", str(outs[0])]) == 1  # never overwritten without --force
    assert main(["annotate", "agreement", root, "--kind", "human"]) == 2
    assert "sim-01 (simulated)" in capsys.readouterr().err
    assert main(["annotate", "agreement", root, "--out", "a.txt"]) == 2
    assert main(["annotate", "agreement", root, "--task", "er", "--resamples", "0"]) == 0
    assert "α nominal" in capsys.readouterr().out


def test_a_pass_that_no_two_annotators_labelled_says_so_instead_of_empty_tables(tmp_path):
    files = [
        write(tmp_path, "a01", words(ER), task="fer"), write(tmp_path, "a02", words(ER), task="fer"),
        write(tmp_path, "a03", words(ER[:2]), task="er"),
    ]  # fmt: skip
    report = agreement(read_labels(files), n_resamples=0)
    assert {one.task: one.has_overlap for one in report.passes} == {"er": False, "fer": True}
    text = as_text(report)
    assert "er  nothing to compare: no clip was labelled by two annotators yet (a03)" in text
    assert "er  emotion" not in text.replace("fer  emotion", "")
    page = render(report)
    assert "nothing to compare" in page
    assert 'id="fer-classes"' in page and 'id="er-classes"' not in page and 'href="#er-classes"' not in page


def test_matrix_products_take_one_thread_and_give_the_others_back(tmp_path, monkeypatch):
    """Many threads for many small products wait for each other where another program holds the cores."""
    import threadpoolctl

    from annotation.agreement import Resamples

    def threads() -> set[int]:
        return {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}

    seen = []
    sums = Resamples.sums
    monkeypatch.setattr(Resamples, "sums", lambda self, per_clip: (seen.append(threads()), sums(self, per_clip))[1])
    files = [write(tmp_path, "a01", words(ER)), write(tmp_path, "a02", words(ER))]
    with threadpoolctl.threadpool_limits(limits=2, user_api="blas"):
        agreement(read_labels(files), n_resamples=20)
        assert threads() == {2}
    assert seen and all(found == {1} for found in seen)
