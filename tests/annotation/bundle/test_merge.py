from __future__ import annotations

import itertools
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from annotation.bundle import BundleError, BundleSource, build_bundle, merge_labels, study_identity
from annotation.bundle.merge import LOGS
from annotation.cli import app
from annotation.items import Block, Item
from annotation.source import Guess
from annotation.sources.study import StudySource
from data_schema.errors import LabelError
from data_schema.labels import (
    SAMPLE_DTYPE,
    Judged,
    Label,
    LabelStore,
    Mark,
    ShownGuess,
    Step,
    Trace,
    current_labels,
    read_labels,
    read_records,
)
from data_schema.study import StudyFolder

from ..labelled_study import burnt_number

EMOTIONS = ("happiness", "sadness", "fear", "surprise", "disgust", "anger", "neutral")


def _about(item: Item) -> Judged:
    return Judged(item.clip_id, item.clip_sha256, item.task)


def _label(item: Item, emotion: str) -> Label:
    return Label(item.clip_id, item.clip_sha256, item.task, emotion=emotion, view="face", duration_ms=4000)


def _annotate(bundle: Path, answers: dict[str, str] | None = None) -> dict[str, int]:
    """Label a whole bundle with everything that the desk writes; return the number burnt into each marked frame."""
    source = BundleSource(bundle)
    seen: dict[str, int] = {}
    with source.open_store() as store:
        for place, item in enumerate(source.items()):
            frames = source.open_face(item)
            index = 3 + place % 5
            mark = frames.identity(index)
            seen[item.clip_id] = burnt_number(frames.frame(index))
            emotion = (answers or {}).get(item.clip_id, EMOTIONS[place % 7])
            (row,) = store.write([_label(item, emotion)])
            store.write([
                Mark(_about(item), "apex", mark.frame_index, mark.frame_pts),
                ShownGuess(_about(item), "e" * 64, '{"emotion": "fear"}', "changed", label_row_id=row),
                Step(_about(item), item.item_id, "commit", json.dumps({"at": item.item_id}), json.dumps({"row": row})),
            ])  # fmt: skip
            (trace,) = store.write([Trace(_about(item), "bounded", "valence")])
            samples = np.zeros(2, dtype=SAMPLE_DTYPE)
            for row_number, at in enumerate((0, len(frames) - 1)):
                identity = frames.identity(at)
                samples[row_number] = (at * 33_000, identity.frame_index, identity.frame_pts, 0.5, np.nan)
            store.add_samples(trace, 0, samples)
            frames.close()
    source.close()
    return seen


def _rows(study: StudyFolder) -> dict[str, list[object]]:
    # repr: samples hold NaN, which equals nothing.
    return {log: [repr(row) for row in read_records(study.label_files(), log)] for log in LOGS}


def _merge(study: StudyFolder, *paths: Path) -> list[str]:
    files, _ = merge_labels(study, paths)
    return [problem for file in files for problem in file.problems]


@pytest.mark.parametrize("task", ["fer", "er"])
def test_everything_comes_home_to_the_clip_and_frame_that_was_seen(
    task: str, own_study: StudyFolder, bundle_copy: Callable[[str], Path]
) -> None:
    bundle = bundle_copy(task)
    seen = _annotate(bundle)
    away = BundleSource(bundle)
    home = StudySource(own_study, task, "a01")
    sent_rows = {row.row_id: row for row in read_records([away.label_path], "labels")}
    assert _merge(own_study, bundle) == []
    by_key = {(item.clip_id, item.repetition): item for item in home.items()}
    labels = read_records(own_study.label_files(), "labels")
    assert len(labels) == len(home.items()) == len(sent_rows)
    assert {(row.clip_id, row.repetition) for row in labels} == set(by_key)
    place = {item.position: item for item in home.items()}
    for sent in away.items():
        at_home = place[sent.position]
        (row,) = [row for row in labels if (row.clip_id, row.repetition) == (at_home.clip_id, at_home.repetition)]
        before = sent_rows[row.row_id]
        assert before.clip_id == sent.clip_id and before.emotion == row.emotion
        assert row.created_utc == before.created_utc and row.clip_sha256 == at_home.clip_sha256
        (mark,) = [m for m in read_records(own_study.label_files(), "marks") if m.key == row.key]
        frames = home.open_face(at_home)
        index = 3 + sent.position % 5
        assert (mark.frame_index, mark.frame_pts) == (
            frames.identity(index).frame_index,
            frames.identity(index).frame_pts,
        )
        assert mark.frame_index == seen[sent.clip_id], "the number burnt into the frame that was marked"
        (trace,) = [t for t in read_records(own_study.label_files(), "traces") if t.key == row.key]
        (chunk,) = [c for c in read_records(own_study.label_files(), "trace_samples") if c.trace_id == trace.row_id]
        ends = [frames.identity(0), frames.identity(len(frames) - 1)]
        assert chunk.values["frame_index"].tolist() == [end.frame_index for end in ends]
        assert chunk.values["frame_pts"].tolist() == [end.frame_pts for end in ends]
        (guess,) = [g for g in read_records(own_study.label_files(), "guesses") if g.key == row.key]
        assert guess.label_row_id == row.row_id
        (step,) = [s for s in read_records(own_study.label_files(), "steps") if s.key == row.key]
        assert step.item_id == at_home.item_id and json.loads(step.before) == {"at": at_home.item_id}
        frames.close()
    everything = "".join(itertools.chain(*(rows for rows in _rows(own_study).values())))  # type: ignore[arg-type]
    assert not any(item.clip_id in everything for item in away.items()), "no opaque name is left"


def test_any_order_and_any_number_of_times_gives_the_same(
    own_study: StudyFolder, bundle_copy: Callable[[str], Path], tmp_path: Path
) -> None:
    """An early copy of a file, the file itself, the other pass, and a copy of the study's own file."""
    fer, er = bundle_copy("fer"), bundle_copy("er")
    early = tmp_path / "early.sqlite"
    source = BundleSource(fer)
    with source.open_store() as store:
        store.write([_label(item, "fear") for item in source.items()[:4]])
    shutil.copy(source.label_path, early)
    _annotate(fer)
    _annotate(er)
    results = []
    for number, order in enumerate([(early, fer, er), (er, fer, early), (fer, early, er)]):
        copy = tmp_path / f"study-{number}"
        shutil.copytree(own_study.root, copy)
        study = StudyFolder(copy)
        for path in order:
            assert _merge(study, path) == []
        first = _rows(study)
        assert _merge(study, *order) == []
        assert _rows(study) == first
        results.append(first)
    assert all(result == results[0] for result in results)
    assert len(results[0]["labels"]) == 4 + len(source.items()) + len(BundleSource(er).items())


def test_a_later_label_of_the_same_clip_holds(own_study: StudyFolder, bundle_copy: Callable[[str], Path]) -> None:
    bundle = bundle_copy("fer")
    source = BundleSource(bundle)
    item = source.items()[0]
    with source.open_store() as store:
        store.add(_label(item, "fear"))
        _merge(own_study, bundle)
        store.add(_label(item, "anger"))
    _merge(own_study, bundle)
    holds = current_labels(read_labels(own_study.label_files()))
    assert holds["emotion"].tolist() == ["anger"]


def test_a_file_of_another_study_and_a_corrupt_one_are_named_and_the_rest_is_merged(
    own_study: StudyFolder, bundle_copy: Callable[[str], Path], tmp_path: Path
) -> None:
    good = bundle_copy("fer")
    _annotate(good)
    label_file = BundleSource(good).label_path
    files = {name: tmp_path / f"{name}.sqlite" for name in ("foreign", "torn", "text", "lost")}
    for name, meta in (("foreign", {"study_id": "7" * 32}), ("lost", {"study_id": "5" * 32})):
        LabelStore.open(files[name], "a01", details={"bundle_id": "b0000", "task": "fer"}, **meta).close()
    files["torn"].write_bytes(label_file.read_bytes()[:9000])
    files["text"].write_text("no database", encoding="utf-8")
    problems = _merge(own_study, *files.values(), good)
    assert len(problems) == 4 and all("Nothing of this file was merged" in problem for problem in problems)
    said = "\n".join(problems)
    for words in ("belongs to another study", "damaged", "not a label file", "key of the bundle is not here"):
        assert words in said, words
    assert len(read_labels(own_study.label_files())) == len(BundleSource(good).items())


def _altered(path: Path, *statements: str) -> None:
    """Change a label file as somebody with a database tool would."""
    with sqlite3.connect(path) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        for statement in statements:
            connection.execute(statement)
            connection.commit()
    connection.close()


def test_rows_that_contradict_the_studys_are_named_and_change_nothing(
    own_study: StudyFolder, bundle_copy: Callable[[str], Path]
) -> None:
    bundle = bundle_copy("fer")
    _annotate(bundle)
    _merge(own_study, bundle)
    before = _rows(own_study)
    path = BundleSource(bundle).label_path
    _altered(path, "UPDATE labels SET comment = 'changed later' WHERE seq = 2")
    (problem,) = _merge(own_study, bundle)
    assert "comment '' and 'changed later'" in problem and "the study's stays" in problem
    assert _rows(own_study) == before


@pytest.mark.parametrize(("statement", "said"), [
    ("UPDATE labels SET clip_id = 'c0123456789012345678' WHERE seq = 1", "no bundle of this annotator has a clip"),
    (f"UPDATE labels SET clip_sha256 = '{'9' * 64}' WHERE seq = 1", "another video than the one"),
    ("UPDATE labels SET annotator_id = 'colleague' WHERE seq = 1", "is by colleague"),
    ("UPDATE labels SET task = 'er', intensity = NULL WHERE seq = 1", "is about er"),
    ("UPDATE labels SET repetition = 3 WHERE seq = 1", "repetition 3"),
    ("UPDATE labels SET frame_index = 5000, frame_pts = 0 WHERE seq = 1", "frame 5000 of a clip with"),
])  # fmt: skip
def test_a_row_that_does_not_fit_is_left_out_and_the_rest_comes_home(
    own_study: StudyFolder, bundle_copy: Callable[[str], Path], statement: str, said: str
) -> None:
    bundle = bundle_copy("fer")
    _annotate(bundle)
    source = BundleSource(bundle)
    _altered(source.label_path, statement)
    (problem,) = _merge(own_study, bundle)
    assert problem.startswith("labels, left out: row ") and said in problem
    assert len(read_labels(own_study.label_files())) == len(source.items()) - 1
    assert len(read_records(own_study.label_files(), "marks")) == len(source.items())


def test_an_emotion_that_the_study_does_not_offer_is_left_out(
    own_study: StudyFolder, bundle_copy: Callable[[str], Path]
) -> None:
    bundle = bundle_copy("fer")
    _annotate(bundle)
    config = own_study.config_path
    offered = 'emotions = ["happiness", "sadness", "fear", "surprise", "anger", "disgust"]'
    config.write_text(f"{config.read_text(encoding='utf-8')}\n[labels]\n{offered}\n", encoding="utf-8")
    study = StudyFolder(own_study.root)
    problems = _merge(study, bundle)
    n_neutral = sum(place % 7 == 6 for place in range(len(BundleSource(bundle).items())))
    assert n_neutral == len(problems) > 0
    assert all("emotion is 'neutral', expected one of happiness" in problem for problem in problems)
    assert len(read_labels(study.label_files())) == len(BundleSource(bundle).items()) - n_neutral


@pytest.mark.parametrize(("statement", "log", "said"), [
    ("UPDATE labels SET emotion = 'bliss' WHERE seq = 2", "labels", "emotion is 'bliss', expected one of happiness"),
    ("UPDATE labels SET emotion = 'fearful' WHERE seq = 2", "labels", "Did you mean 'fear'?"),
    ("UPDATE labels SET valence = 4.0 WHERE seq = 2", "labels", "valence is 4.0"),
    ("UPDATE labels SET emotion = NULL WHERE seq = 2", "labels", "emotion is 'nothing'"),
    ("UPDATE labels SET view = x'00ff' WHERE seq = 2", "labels", "view is b'"),
    ("UPDATE marks SET kind = 'peak' WHERE seq = 2", "marks", "kind is 'peak'"),
    ("UPDATE guesses SET outcome = 'liked' WHERE seq = 2", "guesses", "outcome is 'liked'"),
])  # fmt: skip
def test_a_row_with_a_word_that_no_label_file_takes_is_left_out_and_the_rest_comes_home(
    own_study: StudyFolder, bundle_copy: Callable[[str], Path], statement: str, log: str, said: str
) -> None:
    bundle = bundle_copy("fer")
    _annotate(bundle)
    path = BundleSource(bundle).label_path
    bad = read_records([path], log)[1].row_id
    n = {name: len(read_records([path], name)) for name in LOGS}
    _altered(path, statement)
    (problem,) = _merge(own_study, bundle)
    assert problem.startswith(f"{log}, left out: row {bad}: ") and said in problem
    assert bad not in {row.row_id for row in read_records(own_study.label_files(), log)}
    found = {name: len(read_records(own_study.label_files(), name)) for name in LOGS}
    assert found == n | {log: n[log] - 1}


def test_a_file_with_such_a_word_is_not_read_as_it_is_and_says_what_to_do(
    own_study: StudyFolder, bundle_copy: Callable[[str], Path]
) -> None:
    bundle = bundle_copy("fer")
    _annotate(bundle)
    _merge(own_study, bundle)
    own = own_study.labels_dir / "a01.sqlite"
    _altered(own, "UPDATE labels SET emotion = 'bliss' WHERE seq = 2")
    with pytest.raises(LabelError, match=r"a01\.sqlite: another program wrote .*emer annotate merge STUDY FILE"):
        read_labels(own_study.label_files())
    aside = own.rename(own_study.root / "aside.sqlite")
    (problem,) = _merge(own_study, aside)
    assert "emotion is 'bliss'" in problem
    assert _merge(own_study, bundle) == [], "the bundle brings the row as it was said"
    assert len(read_labels(own_study.label_files())) == len(BundleSource(bundle).items())


def test_damage_is_told_from_such_a_word(own_study: StudyFolder, bundle_copy: Callable[[str], Path]) -> None:
    bundle = bundle_copy("fer")
    _annotate(bundle)
    path = BundleSource(bundle).label_path
    _altered(path, "UPDATE labels SET emotion = 'bliss'", "PRAGMA wal_checkpoint(TRUNCATE)")
    with sqlite3.connect(path) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'steps'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 64)
    (problem,) = _merge(own_study, bundle)
    assert "the label file is damaged" in problem and "Nothing of this file was merged" in problem
    assert own_study.label_files() == []


def test_a_clip_that_was_recorded_anew_since_is_said(
    own_study: StudyFolder, bundle_copy: Callable[[str], Path]
) -> None:
    import h5py

    from data_schema.clips.index import build_clip_index

    bundle = bundle_copy("fer")
    _annotate(bundle)
    with h5py.File(own_study.session_path("P001", "01"), "r+") as file:
        file.attrs["touched"] = 1
    old = {item.clip_id: item.clip_sha256 for item in StudySource(own_study, "fer", "a01").items()}
    build_clip_index(own_study)
    (merged,), _ = merge_labels(own_study, [bundle])
    assert merged.problems == [] and "recordings that changed since" in merged.notes[0]
    labels = read_labels(own_study.label_files())
    assert all(labels["clip_sha256"] == labels["clip_id"].map(old)), "the log says which recording was judged"


def test_a_copy_of_a_studys_label_file_is_merged_as_it_is(own_study: StudyFolder, tmp_path: Path) -> None:
    source = StudySource(own_study, "fer", "a01")
    item = source.items()[0]
    with source.open_store() as store:
        store.add(_label(item, "fear"))
    copy = tmp_path / "copy.sqlite"
    shutil.copy(own_study.labels_dir / "a01.sqlite", copy)
    with LabelStore.open(copy, "a01", study_id=source.study_id) as store:
        store.add(_label(item, "anger"))
        store.write([Mark(_about(item), "flag"), Mark(Judged("clip-9", item.clip_sha256, "fer"), "flag")])
    (problem,) = _merge(own_study, copy)
    assert "the study has no clip clip-9" in problem
    assert current_labels(read_labels(own_study.label_files()))["emotion"].tolist() == ["anger"]
    assert len(read_records(own_study.label_files(), "marks")) == 1


def test_the_code_comes_with_the_passed_test(own_study: StudyFolder, bundle_copy: Callable[[str], Path]) -> None:
    home = StudySource(own_study, "fer", "a01")
    test = [item for item in home.items() if item.block is Block.ADMISSION]
    right = {item.position: home._gold[item.clip_id, "fer"].emotion for item in test}
    for name, wrong, passed in (("failed", True, False), ("passed", False, True)):
        bundle = bundle_copy("fer")
        if not passed:
            bundle = bundle.rename(bundle.with_name(name))
        source = BundleSource(bundle)
        answers = {
            item.clip_id: "neutral" if wrong else right[item.position]
            for item in source.items()
            if item.block is Block.ADMISSION
        }
        with source.open_store() as store:
            tested = [item for item in source.items() if item.clip_id in answers]
            store.add(_label(tested[0], answers[tested[0].clip_id]))
            _, (state,) = merge_labels(own_study, [bundle])
            if not passed:
                assert (state.passed, state.n_open, state.code) == (None, 1, "")
            store.add(_label(tested[1], answers[tested[1].clip_id]))
        done = CliRunner().invoke(app, ["merge", str(own_study.root), str(bundle)])
        assert done.exit_code == 0, done.output
        code = study_identity(own_study).admission_code("a01", "fer")
        assert (f"the code to send: {code}" in done.output) is passed
        assert ("not passed" in done.output) is not passed
        assert ("lower admission_share in study.toml and merge again" in done.output) is not passed
    assert BundleSource(bundle).unlock(code)


class _Guessing(StudySource):
    def guess(self, item: Item) -> Guess | None:
        return Guess("e" * 64, "disgust", 0.9, {"valence": -0.25}, item.position % 2 == 0)


@pytest.mark.parametrize("threshold", ["bounded", "off"])  # other rules, another bundle, keys in another order
def test_guesses_of_the_control_share_are_logged_at_home(
    own_study: StudyFolder, tmp_path: Path, threshold: str
) -> None:
    config = own_study.config_path
    config.write_text(config.read_text(encoding="utf-8").replace('"bounded"', f'"{threshold}"'), encoding="utf-8")
    home = _Guessing(StudyFolder(own_study.root), "fer", "a01")
    bundle = tmp_path / "guessed"
    build_bundle(own_study, home, bundle, with_guesses=True)
    source = BundleSource(bundle)
    with source.open_store() as store:
        store.write([_label(item, "fear") for item in source.items()])
    for _ in range(2):
        assert _merge(own_study, bundle) == []
        guesses = read_records(own_study.label_files(), "guesses")
        assert {(guess.clip_id, guess.repetition) for guess in guesses} == {
            (item.clip_id, item.repetition) for item in home.items() if item.position % 2
        }
        assert {(guess.outcome, guess.shown_utc, guess.label_ms) for guess in guesses} == {("control", None, 4000)}


def test_what_is_not_there_is_said(own_study: StudyFolder, bundle_copy: Callable[[str], Path], tmp_path: Path) -> None:
    for path, said in ((tmp_path / "nowhere", "no such file"), (bundle_copy("fer"), "no label file")):
        with pytest.raises(BundleError, match=said):
            merge_labels(own_study, [path])
