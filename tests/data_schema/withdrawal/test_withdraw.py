"""A participant withdraws: nothing of them is left, everything of the others is."""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
import stat
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from data_schema.atomic import partial_path
from data_schema.cli.dispatch import main
from data_schema.clips.index import build_clip_index, load_clip_index
from data_schema.derived import open_derived
from data_schema.errors import EmerError, StudyError, UsageError
from data_schema.exports.folds import load_folds
from data_schema.exports.manifest import FACE_FEATURES_FOLDER, foreign_files, read_manifest, verify_files
from data_schema.exports.reading import TrainingExport
from data_schema.exports.training import export_training
from data_schema.files import write_json
from data_schema.labels import Judged, Label, LabelStore, Mark, Trace, read_labels, read_log
from data_schema.labels.entry_cells import SAMPLE_DTYPE
from data_schema.publishing import open_publication, publishing
from data_schema.publishing.identifiers import Identifier
from data_schema.publishing.pseudonyms import load_pseudonyms, pseudonyms_path
from data_schema.publishing.scan import scan_folder
from data_schema.session import markers
from data_schema.session.lock import acquire_lock, release_lock
from data_schema.session.reader import file_sha256
from data_schema.study.folder import StudyFolder
from data_schema.study.status import study_status
from data_schema.withdrawal import Outcome, read_records, withdraw_participant
from data_schema.withdrawal.journal import JOURNAL_NAME, Journal
from data_schema.withdrawal.withdraw import plan_withdrawal
from tests.data_schema.publishing.planting import add_marker
from tests.data_schema.studies import add_session, label_all, make_study

GONE = "P002"
OPAQUE = "c7c0f08583aa9428df83"
ITEM = "i51d2c3b4a59687786959"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A study in which everything has happened once."""
    study = make_study(tmp_path_factory.mktemp("whole") / "study", 4, n_trials=1, with_video=False,
                       more="[quality]\nmin_frames_share = 0\n")  # fmt: skip
    add_session(study, GONE, "02", n_trials=1, with_video=False, seed=99)
    label_all(study)
    clips = build_clip_index(study).set_index("clip_id")
    _more_labels(study, clips)
    # Two in the fold that loses one: a fold without anybody cannot test.
    write_json(study.folds_path, {"seed": 7, "n_folds": 3, "assignment": {"P001": 0, GONE: 1, "P003": 1, "P004": 2}})
    export_training(study, study.exports_dir / "training")
    # What a training computed from all faces, in one array that names nobody.
    features = study.exports_dir / "training" / FACE_FEATURES_FOLDER
    features.mkdir()
    for ending in ("npy", "json"):
        (features / f"descriptor-{'0f' * 16}.{ending}").write_bytes(b"{}")
    publication = open_publication(study)
    with publishing(study.exports_dir / "bids", "bids", publication) as folder:
        publication.clips.to_csv(folder / "clips.csv", index=False)
    _annotation(study, clips)
    _run(study)
    study.reports_dir.mkdir()
    (study.reports_dir / "quality.html").write_text("<p>mean of all: 0.4</p>", encoding="utf-8")
    (study.reports_dir / "my notes.docx").write_bytes(b"not ours")
    for name, text in (("benchmark/benchmark.json", '{"format": "emer-benchmark"}'), ("benchmark/figures.csv", "run,value"),
                       ("benchmark/tables/er-7.tex", "0.4"), ("onnx/fold-0.json", '{"format": "emer-onnx"}'),
                       ("onnx/fold-0.onnx", "graph"), ("onnx/mine.json", "{}")):  # fmt: skip
        (study.root / "models" / name).parent.mkdir(parents=True, exist_ok=True)
        (study.root / "models" / name).write_text(text, encoding="utf-8")
    maps = study.reports_dir / "maps"
    maps.mkdir()
    for name in ("sub-P001_ses-01_trial-001", "sub-P002_ses-01_trial-001", *(f"stim-s{n:02d}" for n in range(12))):
        (maps / f"{name}_map.png").write_bytes(b"drawn")
    log = study.root / "sessions" / "log.txt"
    log.write_text("P001 begun\nP002 begun\nP0021 is nobody\n", encoding="utf-8")
    (study.root / "gold.csv").write_text(
        "clip_id,task,emotion\nsub-P001_ses-01_trial-001,fer,fear\nsub-P002_ses-01_trial-001,fer,fear\n",
        encoding="utf-8",
    )
    left = study.exports_dir / "other.partial" / "shards"
    left.mkdir(parents=True)
    (left / "sub-P002_ses-01.h5").write_bytes(b"half")
    return study.root


def _more_labels(study: StudyFolder, clips: pd.DataFrame) -> None:
    """Marks, traces with samples, a superseded label, a comment on somebody else's clip, an open window."""
    with LabelStore.open(study.labels_dir / "sim-01.sqlite", "sim-01", "simulated") as store:
        for name in (f"sub-{GONE}_ses-01_trial-001", "sub-P001_ses-01_trial-001"):
            sha256 = clips.loc[name, "session_sha256"]
            about = Judged(name, sha256, "er")
            (trace,) = store.write([Trace(about, "bounded", "valence")])
            store.add_samples(trace, 0, np.zeros(3, dtype=SAMPLE_DTYPE))
            store.write([Mark(about, "flag", comment=f"see {GONE}")])
            store.add(
                Label(clip_id=name, clip_sha256=sha256, task="er", view="face", emotion="fear", polarity="negative")
            )
        store.set_desk_value("place", json.dumps({"clip": f"sub-{GONE}_ses-01_trial-001"}))


def _annotation(study: StudyFolder, clips: pd.DataFrame) -> None:
    rows = [
        {"annotator_id": "a01", "item_id": ITEM if GONE in clip else f"i{n}", "clip_id": clip}
        for n, clip in enumerate(clips.index)
    ]
    study.annotation_dir.mkdir(exist_ok=True)
    pd.DataFrame(rows).to_parquet(study.annotation_dir / "assignments.parquet")
    items = [
        {"name": OPAQUE, "clip_id": f"sub-{GONE}_ses-01_trial-001"},
        {"name": "c1", "clip_id": "sub-P001_ses-01_trial-001"},
    ]
    write_json(
        study.annotation_dir / "bundles" / "b1.json",
        {"version": 1, "items": items, "left_out": {f"sub-{GONE}_ses-02_trial-001": "x"}},
    )
    checks = {path.relative_to(study.root).as_posix(): ["1", 2] for path in study.session_files()}
    write_json(study.annotation_dir / "session_checks.json", checks)
    bundle = study.root / "bundles" / "a01"
    write_json(bundle / "manifest.json", {"format": "emer-bundle", "items": [{"name": OPAQUE}]})
    (bundle / "face").mkdir()
    (bundle / "face" / f"{OPAQUE}.mp4").write_bytes(b"video")


def _run(study: StudyFolder) -> None:
    run = study.models_dir / "r1"
    fold = run / "folds" / "fold-0"
    fold.mkdir(parents=True)
    names = [f"P{number:03d}" for number in range(1, 5)]
    write_json(run / "config.json", {"protocol": "er-7", "export": {"n_folds": 1}})
    write_json(run / "folds.json", {"0": {"train": names[:2], "validation": [names[2]], "test": [names[3]]}})
    table = pd.DataFrame(
        {"clip_id": [f"sub-{name}_ses-01_trial-001" for name in names], "participant": names, "fold": 0}
    )
    for folder in (run, fold):
        table.to_parquet(folder / "predictions.parquet")
    (fold / "best.safetensors").write_bytes(np.random.default_rng(0).bytes(200_000))
    (fold / "curves.csv").write_text("epoch,loss\r\n1,0.5\r\n", encoding="utf-8")
    write_json(
        fold / "fold.json",
        {
            "sha256": {
                name: file_sha256(fold / name) for name in ("best.safetensors", "predictions.parquet", "curves.csv")
            }
        },
    )


@pytest.fixture
def study(whole, tmp_path) -> StudyFolder:
    return StudyFolder(shutil.copytree(whole, tmp_path / "study"))


@pytest.fixture(scope="module")
def withdrawn(whole, tmp_path_factory) -> tuple[StudyFolder, Outcome]:
    """The study after the withdrawal; to be read alone. `whole` is as it was before."""
    study = StudyFolder(shutil.copytree(whole, tmp_path_factory.mktemp("withdrawn") / "study"))
    return study, withdraw_participant(study, GONE)


def traces_left(study: StudyFolder) -> set[str]:
    names = [GONE, OPAQUE, ITEM, load_pseudonyms(pseudonyms_path(study)).participants.get(GONE, "")]
    return {item.file for item in scan_folder(study.root, [Identifier("participant", name) for name in names if name])}


def rows_of(path: Path) -> dict[str, int]:
    connection = sqlite3.connect(path)
    names = [
        name
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite%'"
        )
    ]
    counts = {name: connection.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in names}
    connection.close()
    return counts


def test_nothing_is_left_and_all_of_the_others_is(whole, withdrawn):
    earlier, (study, _) = StudyFolder(whole), withdrawn
    published = load_pseudonyms(pseudonyms_path(earlier)).participants[GONE]
    folds = load_folds(earlier.folds_path).assignment
    before = {name: rows_of(earlier.labels_dir / f"{name}.sqlite") for name in ("sim-01", "sim-02")}
    triggers = sqlite_triggers(earlier)
    shards = {path.name: path.read_bytes() for path in (earlier.exports_dir / "training" / "shards").iterdir()}
    assert traces_left(earlier)
    everything = b"".join(path.read_bytes() for path in sorted(study.root.rglob("*")) if path.is_file())
    for name in (GONE, published, OPAQUE, ITEM):
        assert name.encode() not in everything.replace(b"P0021", b"")
        assert not [path for path in study.root.rglob("*") if name in path.name]
    assert traces_left(study) == set()
    assert set(load_pseudonyms(pseudonyms_path(study)).participants) == {"P001", "P003", "P004"}
    if os.name != "nt":
        assert stat.S_IMODE(pseudonyms_path(study).stat().st_mode) == 0o600
    # Everybody else is as before.
    assert load_folds(study.folds_path).assignment == {name: fold for name, fold in folds.items() if name != GONE}
    after = {name: rows_of(study.labels_dir / f"{name}.sqlite") for name in before}
    assert after["sim-02"]["labels"] == before["sim-02"]["labels"] - 4
    assert after["sim-01"]["labels"] == before["sim-01"]["labels"] - 5
    assert {name: after["sim-01"][name] for name in ("traces", "trace_samples", "marks", "desk")} == {
        "traces": 1, "trace_samples": 1, "marks": 1, "desk": before["sim-01"]["desk"] - 1,
    }  # fmt: skip
    assert sqlite_triggers(study) == triggers
    (mark,) = read_log(study.labels_dir / "sim-01.sqlite", "marks").to_dict("records")
    assert mark["comment"] == "see [withdrawn]"
    kept = {path.name: path.read_bytes() for path in (study.exports_dir / "training" / "shards").iterdir()}
    assert kept == {name: content for name, content in shards.items() if GONE not in name}
    assert (study.root / "sessions" / "log.txt").read_text(encoding="utf-8") == "P001 begun\nP0021 is nobody\n"
    assert len((study.root / "gold.csv").read_text(encoding="utf-8").splitlines()) == 2
    assert set(json.loads((study.annotation_dir / "session_checks.json").read_text())) == {
        path.relative_to(study.root).as_posix() for path in study.session_files()
    }
    assert len(json.loads((study.annotation_dir / "bundles" / "b1.json").read_text())["items"]) == 1
    assert (study.reports_dir / "my notes.docx").is_file()
    models = study.root / "models"
    assert not (models / "benchmark").exists() and [p.name for p in (models / "onnx").iterdir()] == ["mine.json"]
    kept_maps = [path.name for path in (study.reports_dir / "maps").iterdir()]
    assert kept_maps == ["sub-P001_ses-01_trial-001_map.png"], (
        "a map of all was drawn with the participant, one of another not"
    )
    for place in ("reports/quality.html", "exports/bids", "bundles/a01", "exports/other.partial", JOURNAL_NAME):
        assert not (study.root / place).exists()


def sqlite_triggers(study: StudyFolder) -> list[tuple[str, str]]:
    connection = sqlite3.connect(study.labels_dir / "sim-01.sqlite")
    found = connection.execute("SELECT name, sql FROM sqlite_master WHERE type='trigger' ORDER BY name").fetchall()
    connection.close()
    assert found
    return found


def test_what_is_left_still_works(study, tmp_path):
    withdraw_participant(study, GONE)
    assert set(load_clip_index(study)["participant"]) == {"P001", "P003", "P004"}
    folder = study.exports_dir / "training"
    verify_files(folder, read_manifest(folder))
    assert not (folder / FACE_FEATURES_FOLDER).exists()
    assert not foreign_files(folder)
    assert read_manifest(folder)["counts"]["participants"] == 3
    assert read_manifest(folder)["counts"]["clips"] == 3
    assert "3 clips" in (folder / "data_card.md").read_text(encoding="utf-8")
    with TrainingExport.open(folder) as export:
        assert len(export.clips) == 3
        for name in export.clips["clip_id"]:
            assert export.read(name)["eye"].size
    labels = read_labels(study.label_files())
    assert set(labels["clip_id"].str[4:8]) == {"P001", "P003", "P004"}
    with LabelStore.open(study.labels_dir / "sim-01.sqlite", "sim-01", "simulated") as store:
        clip = load_clip_index(study).iloc[0]
        store.add(
            Label(
                clip_id=clip["clip_id"],
                clip_sha256=clip["session_sha256"],
                task="er",
                view="",
                emotion="anger",
                polarity="negative",
            )
        )
    assert open_derived(study, "sub-P001_ses-01_trial-001").computed == ()
    build_clip_index(study)
    folds = load_folds(study.folds_path).assignment
    export_training(study, folder, force=True)
    assert load_folds(study.folds_path).assignment == folds
    assert len(open_publication(study).participants) == 3
    # Who joins later moves nobody either.
    add_session(study, "P009", n_trials=1, with_video=False)
    build_clip_index(study)
    export_training(study, folder, force=True)
    grown = load_folds(study.folds_path).assignment
    assert {name: grown[name] for name in folds} == folds


def test_a_run_is_marked_as_stale_and_not_as_damaged(whole, withdrawn):
    study = withdrawn[0]
    run = study.models_dir / "r1"
    weights = (StudyFolder(whole).models_dir / "r1" / "folds" / "fold-0" / "best.safetensors").read_bytes()
    assert json.loads((run / "withdrawn.json").read_text(encoding="utf-8"))["stale"] is True
    assert json.loads((run / "folds.json").read_text())["0"]["train"] == ["P001"]
    assert len(pd.read_parquet(run / "predictions.parquet")) == 3
    fold = run / "folds" / "fold-0"
    record = json.loads((fold / "fold.json").read_text())["sha256"]
    assert {name: file_sha256(fold / name) for name in record} == record
    assert (fold / "best.safetensors").read_bytes() == weights
    status = study_status(study)
    assert status.runs_withdrawn == ["r1"]
    # The export was described anew, of the clips and labels that are left.
    assert status.exports_outdated == {}
    assert "r1 learnt from somebody who has withdrawn" in status.as_text()
    assert (fold / "curves.csv").read_bytes() == b"epoch,loss\r\n1,0.5\r\n"


def test_models_can_be_deleted_instead(study):
    # Beside the run nothing is left of the study, so that it goes quickly.
    for name in ("exports", "derived", "labels", "bundles", "annotation", "publishing"):
        shutil.rmtree(study.root / name)
    outcome = withdraw_participant(study, GONE, delete_models=True)
    assert not (study.models_dir / "r1").exists()
    assert "model" in {action.kind for action in outcome.plan.actions}


def test_the_record_shows_that_it_was_done_and_not_who_it_was(withdrawn):
    study = withdrawn[0]
    (record,) = read_records(study.root)
    assert set(record) == {"id", "date", "toolkit_version", "removed", "verified"}
    assert record["removed"]["label rows"] >= 9
    assert record["removed"]["clips in exports"] == 2
    with pytest.raises(UsageError, match=r"P002: nothing.*P001, P003, P004.*done already: 1 withdrawal"):
        withdraw_participant(study, GONE)


def test_an_unknown_participant_is_answered_with_the_known_ones(study):
    content = folder_state(study.root)
    with pytest.raises(UsageError, match="P077: nothing of this participant is in the study.*P001, P002, P003, P004"):
        withdraw_participant(study, "P077")
    with pytest.raises(UsageError, match="not usable"):
        withdraw_participant(study, "../P001")
    assert folder_state(study.root) == content


def folder_state(root: Path) -> dict[str, bytes]:
    return {
        path.as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def test_a_dry_run_lists_all_and_changes_nothing(study, capsys):
    content = folder_state(study.root)
    assert main(["withdraw", str(study.root), GONE, "--dry-run"]) == 0
    said = capsys.readouterr().out
    for place in ("sessions/sub-P002", "labels/sim-01.sqlite", "exports/training", "exports/bids", "models/r1", "folds.json",
                  "publishing/pseudonyms.json", "annotation/bundles/b1.json", "bundles/a01", "clips.parquet", "gold.csv",
                  "reports/quality.html", "backups"):  # fmt: skip
        assert place in said
    assert "reports/maps: 12 files, such as stim-s00_map.png" in said
    assert folder_state(study.root) == content


def test_the_command_asks_and_takes_no_for_an_answer(study, monkeypatch, capsys):
    content = folder_state(study.root)
    monkeypatch.setattr("sys.stdin", io.StringIO("no\n"))
    assert main(["withdraw", str(study.root), GONE]) == 1
    assert "nothing was changed" in capsys.readouterr().err
    assert folder_state(study.root) == content
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{GONE}\n"))
    assert main(["withdraw", str(study.root), GONE]) == 0
    assert "no trace" in capsys.readouterr().out
    assert traces_left(study) == set()


class Killed(BaseException):
    """What ends a process in the middle."""


def test_a_withdrawal_that_was_cut_off_anywhere_goes_on(whole, tmp_path):
    n_actions = len(plan_withdrawal(StudyFolder(whole), GONE).actions)
    assert n_actions > 12
    study = StudyFolder(shutil.copytree(whole, tmp_path / "study"))
    for stop in (0, n_actions // 2, n_actions - 1):
        done = []

        def cut(action, stop=stop, done=done):
            done.append(action)
            if len(done) > stop:
                raise Killed

        with pytest.raises(Killed):
            withdraw_participant(study, GONE, step=cut)
        assert (study.root / JOURNAL_NAME).is_file()
        with pytest.raises(StudyError, match=f"has not ended.*emer withdraw .* {GONE}"):
            withdraw_participant(study, "P001")
    withdraw_participant(study, GONE)
    assert traces_left(study) == set()
    assert len(read_records(study.root)) == 1
    folder = study.exports_dir / "training"
    verify_files(folder, read_manifest(folder))
    assert not (study.root / JOURNAL_NAME).exists()
    # Who withdraws next does so beside the first.
    withdraw_participant(study, "P001")
    assert len(read_records(study.root)) == 2


def test_it_waits_for_nobody_and_says_who_is_in_the_way(study):
    content = folder_state(study.root)
    path = study.session_path("P001", "01")
    lock = acquire_lock(path)
    with pytest.raises(StudyError, match=r"sub-P001_ses-01\.h5: is being recorded.*nothing was changed"):
        withdraw_participant(study, GONE)
    release_lock(path, lock)
    with LabelStore.open(study.labels_dir / "sim-02.sqlite", "sim-02", "simulated") as store:
        store.take_seat()
        with pytest.raises(StudyError, match=r"sim-02\.sqlite: an annotator's window"):
            withdraw_participant(study, GONE)
    with (
        FileLock(study.exports_dir / ".training.lock"),
        pytest.raises(StudyError, match="training: a program is writing"),
    ):
        withdraw_participant(study, GONE)
    assert set(folder_state(study.root)) == set(content)


def test_labels_in_a_bundle_are_brought_home_first(study):
    (study.root / "bundles" / "a01" / "labels").mkdir()
    shutil.copy(study.labels_dir / "sim-01.sqlite", study.root / "bundles" / "a01" / "labels" / "a01_fer.sqlite")
    with pytest.raises(StudyError, match=r"bundles/a01: the bundle holds labels.*emer annotate merge"):
        withdraw_participant(study, GONE)
    assert study.session_path(GONE, "01").is_file()


def test_what_no_program_can_mend_is_named_before_anything_is_done(study):
    text = study.config_path.read_text(encoding="utf-8")
    study.config_path.write_text(f"# {GONE} had glasses\n{text}", encoding="utf-8")
    (study.root / "old.txt").write_bytes(f"{GONE} \xfcber".encode("latin-1"))
    with pytest.raises(
        StudyError, match=r"old\.txt, study\.toml: names the participant and cannot be changed.*nothing was changed"
    ):
        withdraw_participant(study, GONE)
    assert study.session_path(GONE, "01").is_file()


def test_a_stimulus_that_is_called_like_a_participant_is_not_deleted(study):
    study.stimuli_dir.mkdir()
    (study.stimuli_dir / f"{GONE}.mp4").write_bytes(b"a clip")
    with pytest.raises(StudyError, match=r"stimuli/P002\.mp4.*cannot be changed.*nothing was changed"):
        withdraw_participant(study, GONE)
    assert (study.stimuli_dir / f"{GONE}.mp4").is_file()


def test_what_is_left_over_is_found_and_the_withdrawal_not_called_done(study, monkeypatch):
    monkeypatch.setattr("data_schema.withdrawal.withdraw._CLEANERS", {"entries": lambda path, traces: 0})
    with pytest.raises(EmerError, match=r"still names the participant"):
        withdraw_participant(study, GONE)
    assert read_records(study.root) == []
    monkeypatch.undo()
    withdraw_participant(study, GONE)
    assert len(read_records(study.root)) == 1


def test_the_last_participant_can_withdraw(tmp_path):
    study = make_study(tmp_path / "study", 1, n_trials=1, with_video=False, more="[quality]\nmin_frames_share = 0\n")
    label_all(study)
    withdraw_participant(study, "P001")
    assert study.session_files() == []
    assert not len(load_clip_index(study))
    assert scan_folder(study.root, [Identifier("participant", "P001")]) == []


@pytest.mark.parametrize("code", ["12", "face", "x1"])
def test_a_code_that_is_a_word_or_a_number_takes_nothing_else_along(tmp_path, code):
    study = make_study(tmp_path / "study", 2, n_trials=1, with_video=False, more="[quality]\nmin_frames_share = 0\n")
    add_session(study, code, n_trials=1, with_video=False)
    label_all(study)
    write_json(study.folds_path, {"seed": 1, "n_folds": 3, "assignment": {"P001": 0, "P002": 1, code: 2}})
    (study.root / "notes.txt").write_text(f"{code} clips in all, the face is clear\n", encoding="utf-8")
    before = len(read_labels(study.label_files()))
    # Where a code such as x1 stands as a word, people are asked to look.
    assert plan_withdrawal(study, code).perhaps == (["notes.txt"] if code == "x1" else [])
    withdraw_participant(study, code)
    assert len(read_labels(study.label_files())) == before * 2 // 3
    assert load_folds(study.folds_path).assignment == {"P001": 0, "P002": 1}
    assert set(load_clip_index(study)["participant"]) == {"P001", "P002"}
    assert (study.root / "notes.txt").read_text(encoding="utf-8").startswith(code)
    assert not (study.sessions_dir / f"sub-{code}").exists()


def test_free_pages_and_logs_of_label_files_are_emptied(study):
    path = study.labels_dir / "sim-01.sqlite"
    holder = sqlite3.connect(path)
    holder.execute("PRAGMA journal_mode=wal")
    holder.execute("PRAGMA wal_autocheckpoint=0")
    holder.execute("INSERT INTO desk VALUES ('sim-01', 'x', 'sub-P002_ses-01_trial-001')")
    holder.commit()
    shutil.copy(path.with_name(path.name + "-wal"), study.root / "kept")
    wal = (study.root / "kept").read_bytes()
    (study.root / "kept").unlink()
    assert b"P002" in wal
    holder.close()
    withdraw_participant(study, GONE)
    for side in study.labels_dir.iterdir():
        assert b"P002" not in side.read_bytes()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA freelist_count").fetchone()[0] == 0
    assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    connection.close()


def test_derived_data_of_others_are_not_computed_again(whole, withdrawn):
    name = withdrawn[0].root / "derived" / "sub-P001_ses-01.h5"
    assert name.read_bytes() == (whole / "derived" / name.name).read_bytes()
    with h5py.File(name, "r") as file:
        assert len(file)


@pytest.fixture
def small(tmp_path) -> StudyFolder:
    """Two participants, without labels."""
    study = make_study(tmp_path / "small", 2, n_trials=1, with_video=False, more="[quality]\nmin_frames_share = 0\n")
    build_clip_index(study)
    return study


def test_what_a_killed_withdrawal_had_begun_to_write_goes(small):
    left = partial_path(small.root / JOURNAL_NAME)
    left.write_text(f'{{"code": "{GONE}"', encoding="utf-8")
    withdraw_participant(small, GONE)
    assert not left.exists()


def test_a_code_that_differs_in_capitals_alone_is_never_taken_for_another(small):
    with pytest.raises(UsageError, match="p002: the study writes this code as P002"):
        withdraw_participant(small, "p002")
    if os.path.normcase("A") == "A":
        (small.sessions_dir / "sub-p002").mkdir()
        with pytest.raises(StudyError, match=r"p002 would be removed as well.*nothing was changed"):
            withdraw_participant(small, GONE)
        assert small.session_path(GONE, "01").is_file()


def test_a_recording_of_somebody_else_that_names_the_participant_is_asked_about_first(small):
    path = small.session_path("P001", "01")
    add_marker(path, markers.OPERATOR_NOTE, f"{GONE} came along as a friend")
    build_clip_index(small)
    before = path.read_bytes()
    with pytest.raises(StudyError, match=r"sub-P001_ses-01\.h5: somebody wrote the code.*--keep-mentions.*nothing was"):
        withdraw_participant(small, GONE)
    assert small.session_path(GONE, "01").is_file()
    outcome = withdraw_participant(small, GONE, keep_mentions=True)
    assert outcome.record["left"] == "the code in words that were said in 1 recordings of others"
    assert path.read_bytes() == before
    assert not small.session_path(GONE, "01").exists()


def test_a_publication_whose_codes_were_lost_goes_with_the_first_who_withdraws(small):
    for name in ("lost", "known"):
        with publishing(small.exports_dir / name, "csv", open_publication(small)) as folder:
            open_publication(small).clips[:1].to_csv(folder / "clips.csv", index=False)
        if name == "lost":
            pseudonyms_path(small).unlink()
    (only,) = pd.read_csv(small.exports_dir / "known" / "clips.csv")["participant"]
    codes = load_pseudonyms(pseudonyms_path(small)).participants
    other = next(name for name, code in codes.items() if code != only)
    withdraw_participant(small, other)
    assert not (small.exports_dir / "lost").exists()
    assert (small.exports_dir / "known").is_dir()


def test_an_export_that_was_half_removed_does_not_stop_the_withdrawal(small):
    (small.exports_dir / "training").mkdir(parents=True)
    (small.exports_dir / "training" / "clips.parquet").write_bytes(b"half")
    journal = Journal(GONE, "", [], [["export", "exports/training"]])
    journal.save(small.root)
    withdraw_participant(small, GONE)
    assert not (small.exports_dir / "training").exists()


def test_a_participant_called_like_a_stimulus_leaves_the_stimulus_alone(small):
    add_session(small, "S00", n_trials=1, with_video=False)
    clips = build_clip_index(small)
    (small.root / "people.csv").write_text("participant,stimulus\nS00,s00\nP001,s00\n", encoding="utf-8")
    withdraw_participant(small, "S00")
    left = load_clip_index(small)
    assert set(left["stimulus_id"]) == set(clips["stimulus_id"]) == {"s00"}
    assert set(left["participant"]) == {"P001", GONE}
    assert (small.root / "people.csv").read_text(encoding="utf-8") == "participant,stimulus\nP001,s00\n"
