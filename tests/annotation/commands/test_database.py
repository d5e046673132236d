"""One PostgreSQL for all annotators, from the command line to the merged table."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from annotation.cli import app
from benchmarks.postgres_server import postgres_server
from data_schema.errors import ConfigError, EmerError
from data_schema.labels import Judged, Label, LabelStore, Mark


def _run(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return str(done.stdout)


def _study(folder: Path, database: str = "") -> Path:
    folder.mkdir()
    labels = f'\n[labels]\ndatabase = "{database}"\n' if database else ""
    (folder / "study.toml").write_text(f'[study]\ntitle = "Smiles"\n{labels}', encoding="utf-8")
    return folder


def test_from_an_empty_database_to_a_merged_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with postgres_server() as server:
        server.sql("CREATE ROLE lab LOGIN CREATEROLE PASSWORD 'lab'; CREATE DATABASE smiles OWNER lab")
        address = server.address("smiles")
        study = _study(tmp_path / "study", address)
        monkeypatch.setenv("PGUSER", "lab")
        monkeypatch.setenv("PGPASSWORD", "lab")
        assert "tables made" in _run("database", "init", study)
        assert "there already" in _run("database", "init", study)
        line = _run("database", "add", study, "a01").splitlines()[0]
        *_, database, role, password = line.split(":")
        assert (database, role) == ("smiles", "smiles_a01")
        with pytest.raises(EmerError, match="--new-password"):
            _run("database", "add", study, "a01")

        # The annotator's side: nothing but the study's address and the printed line.
        monkeypatch.delenv("PGUSER")
        monkeypatch.delenv("PGPASSWORD")
        pgpass = tmp_path / "pgpass"
        pgpass.write_text(f"*:*:{database}:{role}:{password}\n", encoding="utf-8")
        pgpass.chmod(0o600)
        monkeypatch.setenv("PGPASSFILE", str(pgpass))
        with LabelStore.open(address, "a01") as store:
            store.write([
                Label("clip-1", "ab" * 32, "fer", emotion="fear"), Mark(Judged("clip-1", "ab" * 32, "fer"), "apex", 3, 9),
            ])  # fmt: skip

        monkeypatch.setenv("PGUSER", "lab")
        monkeypatch.setenv("PGPASSWORD", "lab")
        with LabelStore.open(study / "labels" / "a02.sqlite", "a02") as store:  # came home in a bundle
            store.add(Label("clip-1", "ab" * 32, "fer", emotion="anger"))
        assert "2 rows" in _run("export", study, tmp_path / "all.csv")
        assert "1 rows" in _run("export", study, tmp_path / "marks.csv", "--log", "marks", "--annotator", "a01")
        assert (tmp_path / "marks.csv").read_text(encoding="utf-8").splitlines()[1].count("apex") == 1
        assert "a01" in _run("database", "drop-access", study)
        assert "nobody" in _run("database", "drop-access", study)
        monkeypatch.delenv("PGUSER")
        monkeypatch.delenv("PGPASSWORD")
        with pytest.raises(EmerError, match="password is not right"):
            LabelStore.open(address, "a01")


def test_a_study_without_a_database_is_told_how_to_have_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"names no database.*createdb"):
        _run("database", "init", _study(tmp_path / "study"))
