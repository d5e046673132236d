"""An annotator who wants to keep the others from working, or to stay when access ends."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psycopg
import pytest

from benchmarks.postgres_server import PostgresServer, postgres_server
from data_schema.labels import Label, LabelStore, read_labels, read_records
from data_schema.labels.postgres_roles import Access, add_annotator, drop_access, init_database

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a PostgreSQL that a test may start, as Debian's")


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[PostgresServer, str]]:
    """A server, and the address of a study on it; the lab is logged in."""
    with postgres_server() as server:
        server.sql("CREATE ROLE lab LOGIN CREATEROLE PASSWORD 'lab'")
        server.sql("CREATE DATABASE study OWNER lab")
        monkeypatch.setenv("PGUSER", "lab")
        monkeypatch.setenv("PGPASSWORD", "lab")
        address = server.address("study")
        init_database(address)
        yield server, address


def _plain(server: PostgresServer, access: Access, database: str = "study") -> psycopg.Connection:
    return psycopg.connect(
        host=str(server.folder), dbname=database, user=access.role, password=access.password,
        autocommit=True, options="-c search_path=emer",
    )  # fmt: skip


def test_nobody_keeps_the_others_out_and_nobody_stays(lab: tuple[PostgresServer, str]) -> None:
    server, address = lab
    access, other = (add_annotator(address, name) for name in ("a01", "a02"))
    with LabelStore.open(address, "a02") as store:
        store.add(Label("c-1", "ab" * 32, "fer", emotion="fear"))
    with _plain(server, access) as attacker:
        for statement in (
            "SELECT nextval('labels_seq_seq') FROM generate_series(1, 100)",
            "SELECT nextval(pg_get_serial_sequence('steps', 'seq'))",
            "LOCK TABLE labels IN ACCESS EXCLUSIVE MODE",
            "LOCK TABLE desk IN ACCESS EXCLUSIVE MODE",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), attacker.transaction():
                attacker.execute(statement)
        attacker.execute("SELECT lo_from_bytea(0, 'left behind')")
        many = []
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            for _ in range(100):
                many.append(_plain(server, access))
        assert len(many) < 15
        for connection in many:
            connection.close()
        assert drop_access(address, "a01") == ["a01"]
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable)):
            attacker.execute("SELECT * FROM labels")
    # What lies in another database of the server, the lab cannot take away.
    server.sql("CREATE DATABASE elsewhere")
    with _plain(server, other, "elsewhere") as attacker:
        attacker.execute("SELECT lo_from_bytea(0, 'left behind')")
    assert drop_access(address) == ["a02"]
    with pytest.raises(psycopg.OperationalError):
        _plain(server, other)
    # Whoever comes back goes on.
    for name in ("a01", "a02"):
        back = add_annotator(address, name)
        with _plain(server, back) as connection:
            (n_rows,) = connection.execute("SELECT count(*) FROM labels").fetchone() or (-1,)
        assert n_rows == (name == "a02")
    assert len(read_labels(address)) == 1


def test_rows_of_another_program_are_named_and_left_out(
    lab: tuple[PostgresServer, str], caplog: pytest.LogCaptureFixture
) -> None:
    server, address = lab
    access = add_annotator(address, "a01")
    about = "'a01', 'human', '{clip}', '{hash}', '{task}', {repetition}, '2026-01-01T00:00:00.000000Z', '1'"
    columns = "annotator_id, annotator_kind, clip_id, clip_sha256, task, repetition, created_utc, toolkit_version"
    with _plain(server, access) as other:
        for number, change in enumerate((
            {}, {"clip": "../../clip"}, {"hash": "x"}, {"task": "/../../"}, {"repetition": -1},
        )):  # fmt: skip
            said = {"clip": "c-1", "hash": "ab" * 32, "task": "fer", "repetition": 0, **change}
            other.execute(
                f"INSERT INTO marks ({columns}, row_id, kind, frame_index, comment) "
                f"VALUES ({about.format(**said)}, '{number:032x}', 'apex', 1, '')"
            )
        said = {"clip": "c-1", "hash": "ab" * 32, "task": "fer", "repetition": 0}
        other.execute(
            f"INSERT INTO traces ({columns}, row_id, mode, traced, speed) "
            f"VALUES ({about.format(**said)}, '{9:032x}', 'bounded', 'valence', 1)"
        )
        other.execute(
            f"INSERT INTO trace_samples (annotator_id, trace_id, chunk, samples) VALUES ('a01', '{9:032x}', 0, 'x')"
        )
    assert [row.row_id for row in read_records(address, "marks")] == [f"{0:032x}"]
    assert "4 rows of the marks" in caplog.text and "of a01" in caplog.text
    assert read_records(address, "trace_samples") == []
