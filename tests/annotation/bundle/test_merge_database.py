"""Bundles come home into the study's PostgreSQL, where its desks look."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from annotation.bundle import BundleSource, merge_labels, study_identity
from annotation.desk.desk import Desk
from annotation.desk.state import Page
from annotation.items import Block
from annotation.sources.study import StudySource
from benchmarks.postgres_server import PostgresServer, postgres_server
from data_schema.labels import Judged, Label, LabelStore, Mark, current_labels, read_labels, read_log
from data_schema.labels.postgres_roles import add_annotator, init_database
from data_schema.study import StudyFolder

from .test_merge import _altered

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a PostgreSQL that a test may start, as Debian's")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        running.sql("CREATE ROLE lab LOGIN CREATEROLE PASSWORD 'lab'")
        yield running


@pytest.fixture
def study(own_study: StudyFolder, server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> StudyFolder:
    """The study of the bundles with a fresh database; the lab is logged in."""
    monkeypatch.setenv("PGUSER", "lab")
    monkeypatch.setenv("PGPASSWORD", "lab")
    server.sql("DROP DATABASE IF EXISTS smiles; CREATE DATABASE smiles OWNER lab")
    config, address = own_study.config_path, server.address("smiles")
    config.write_text(f'{config.read_text(encoding="utf-8")}\n[labels]\ndatabase = "{address}"\n', encoding="utf-8")
    study = StudyFolder(own_study.root)
    init_database(address, study_id=study_identity(study).study_id)
    return study


def _label_all(bundle: Path, right: dict[int, str]) -> int:
    source = BundleSource(bundle)
    with source.open_store() as store:
        for item in source.items():
            store.write([
                Label(item.clip_id, item.clip_sha256, "fer", emotion=right.get(item.position, "anger"), view="face"),
                Mark(Judged(item.clip_id, item.clip_sha256, "fer"), "flag"),
            ])  # fmt: skip
    return len(source.items())


def test_a_bundle_comes_home_into_the_database(
    study: StudyFolder, bundle_copy: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = study.config.labels.database
    home = StudySource(study, "fer", "a01")
    test = [item for item in home.items() if item.block is Block.ADMISSION]
    bundle = bundle_copy("fer")
    n = _label_all(bundle, {item.position: home._gold[item.clip_id, "fer"].emotion for item in test})
    access = add_annotator(address, "a01")
    for n_added, n_present in ((n, 0), (0, n)):
        (merged,), (state,) = merge_labels(study, [bundle])
        assert (merged.problems, merged.notes) == ([], [])
        assert (merged.n_added["labels"], merged.n_present["labels"]) == (n_added, n_present)
        assert (merged.n_added["marks"], merged.n_present["marks"]) == (n_added, n_present)
        assert state.passed and state.code
    assert study.label_files() == [], "no file that nobody's desk looks into"
    labels = current_labels(read_labels(address))
    assert {(row.clip_id, row.repetition) for row in labels.itertuples()} == {i.key[::2] for i in home.items()}
    assert set(labels["annotator_id"]) == {"a01"} and len(read_log(address, "marks")) == n
    # The annotator sits down at the lab, in the own role: all is there, and the lab's merge is told of the window.
    monkeypatch.delenv("PGUSER")
    monkeypatch.setenv("PGPASSWORD", access.password)
    desk = Desk(StudySource(study, "fer", "a01"))
    try:
        assert desk.page is Page.FINISHED and desk.flagged
        monkeypatch.setenv("PGUSER", "lab")
        monkeypatch.setenv("PGPASSWORD", "lab")
        (merged,), _ = merge_labels(study, [bundle])
        assert merged.problems == [] and "open in a window" in merged.notes[0]
    finally:
        desk.close()


def test_the_lab_goes_as_the_lab_and_conflicts_are_named(
    study: StudyFolder, bundle_copy: Callable[[str], Path], server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose login role is the lab's needs no PGUSER: merging never tries the annotator's role."""
    bundle = bundle_copy("fer")
    n = _label_all(bundle, {})
    monkeypatch.delenv("PGUSER")
    config = study.config_path
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("postgresql:///", "postgresql://lab@/"), encoding="utf-8")
    assert merge_labels(StudyFolder(study.root), [bundle])[0][0].problems == []
    config.write_text(text, encoding="utf-8")
    (refused,), _ = merge_labels(study, [bundle])
    assert "Nothing of this file was merged" in refused.problems[0]
    assert "smiles_a01" not in refused.problems[0], "the operating system's user is who is logged in"
    monkeypatch.setenv("PGUSER", "lab")
    _altered(BundleSource(bundle).label_path, "UPDATE labels SET comment = 'changed later' WHERE seq = 2")
    (merged,), _ = merge_labels(study, [bundle])
    assert "comment '' and 'changed later'" in merged.problems[0] and "the study's stays" in merged.problems[0]
    assert len(read_labels(study.config.labels.database)) == n


def test_a_file_that_lay_in_the_studys_folder_is_taken_into_the_database(study: StudyFolder) -> None:
    """As an earlier version, or a study that had no database yet, left it."""
    item = StudySource(study, "fer", "a01").items()[0]
    path = study.labels_dir / "a01.sqlite"
    with LabelStore.open(path, "a01") as store:
        store.add(Label(item.clip_id, item.clip_sha256, "fer", emotion="fear", repetition=item.repetition))
    (merged,), _ = merge_labels(study, [path])
    assert merged.problems == [] and merged.n_added["labels"] == 1
    pair = [read_labels(place)["row_id"].tolist() for place in (path, study.config.labels.database)]
    assert pair[0] == pair[1]
