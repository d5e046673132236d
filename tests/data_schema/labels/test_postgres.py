"""Labels in a real PostgreSQL, whose annotators try to do what they may not."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest

from benchmarks.postgres_server import PostgresServer, postgres_server
from data_schema.errors import LabelError
from data_schema.labels import (
    SAMPLE_DTYPE,
    Judged,
    Label,
    LabelStore,
    Mark,
    Restored,
    SeatTakenError,
    Step,
    TakenBack,
    Trace,
    read_labels,
    read_log,
)
from data_schema.labels.postgres_roles import Access, add_annotator, drop_access, init_database

MakeLabel = Callable[..., Label]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a PostgreSQL that a test may start, as Debian's")
ABOUT = Judged("clip-001", "ab" * 32, "fer")
_LAB = "lab-password"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server for this module, with a lab's role that may make roles and nothing more."""
    with postgres_server() as running:
        running.sql(f"CREATE ROLE lab LOGIN CREATEROLE PASSWORD '{_LAB}'")
        yield running


class Lab:
    """A database with two annotators; logs in as whom the test names."""

    def __init__(self, server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server, self.database, self._monkeypatch = server, database, monkeypatch
        self.address = server.address(database)
        server.sql(f"CREATE DATABASE {database} OWNER lab")
        self.as_lab()
        assert init_database(self.address, study_id="s-1", study_title="Smiles")
        self.access: dict[str, Access] = {name: add_annotator(self.address, name) for name in ("a01", "a02")}

    def as_lab(self) -> None:
        """Log in as the lab."""
        self._monkeypatch.setenv("PGUSER", "lab")
        self._monkeypatch.setenv("PGPASSWORD", _LAB)

    def as_annotator(self, name: str) -> None:
        """Log in as an annotator does: by the study's address and the own password."""
        self._monkeypatch.delenv("PGUSER", raising=False)
        self._monkeypatch.setenv("PGPASSWORD", self.access[name].password)

    def open(self, name: str, **options: Any) -> LabelStore:
        """Open an annotator's store as that annotator."""
        self.as_annotator(name)
        return LabelStore.open(self.address, name, **options)

    def plain(self, name: str) -> psycopg.Connection[Any]:
        """Connect with a plain client, as an annotator who attacks."""
        access = self.access[name]
        return psycopg.connect(
            host=str(self.server.folder), dbname=self.database, user=access.role, password=access.password,
            autocommit=True, options="-c search_path=emer",
        )  # fmt: skip


_numbers = iter(range(1000))


@pytest.fixture
def lab(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A fresh database."""
    return Lab(server, f"study{next(_numbers)}", monkeypatch)


def test_the_same_interface_as_a_file(lab: Lab, make_label: MakeLabel) -> None:
    with lab.open("a01", study_id="s-1") as store:
        label, mark, step = store.write([
            make_label(), Mark(ABOUT, "apex", 12, -400), Step(ABOUT, "i-1", "set", "{}", '{"emotion": "fear"}'),
        ])  # fmt: skip
        second = store.add(make_label(emotion="anger"))
        assert [(row.emotion, row.supersedes) for row in store.current()] == [("anger", label)]
        store.write([TakenBack(second)])
        assert [row.emotion for row in store.current("fer")] == ["fear"]
        store.write([Restored(second), Mark(ABOUT, "apex", 12, -400, removes=mark)])
        assert [row.emotion for row in store.current()] == ["anger"]
        assert store.marks() == []
        (trace,) = store.write([Trace(ABOUT, "bounded", "valence")])
        samples = np.zeros(5, SAMPLE_DTYPE)
        samples["valence"] = np.linspace(-1, 1, 5)
        store.add_samples(trace, 0, samples)
        store.add_samples(trace, 0, samples)
        assert store.samples(trace).tolist() == samples.tolist()
        store.set_desk_value("place", "7")
        store.set_desk_value("place", "8")
    with lab.open("a01") as store:
        assert [row.row_id for row in store.steps("fer")] == [step]
        assert store.desk_value("place") == "8"
        assert store.undo() is not None
    lab.as_lab()
    everyone = read_labels([lab.address])
    assert len(everyone) == 5
    assert read_log(lab.address, "marks")["kind"].tolist() == ["apex", "apex"]


def test_rows_of_the_file_and_of_the_database_are_the_same(lab: Lab, make_label: MakeLabel, tmp_path: Any) -> None:
    path = tmp_path / "a01.sqlite"
    with LabelStore.open(path, "a01") as store:
        store.add_many([make_label(clip_id=f"c-{n}", valence=0.1 * n, comment="看起来") for n in range(5)])
        store.undo()
        records = store.history()
    with lab.open("a01") as store:
        assert store.add_records(records).n_added == 6
        assert store.add_records(records).n_present == 6
        assert store.history() == records
    lab.as_lab()
    pd.testing.assert_frame_equal(read_labels([lab.address]), read_labels([path]))
    pd.testing.assert_frame_equal(read_labels([path, lab.address]), read_labels([path]))


def test_an_annotator_sees_own_rows_alone(lab: Lab, make_label: MakeLabel) -> None:
    with lab.open("a01") as store:
        (row_id,) = store.write([make_label(comment="of a01")])
        (trace,) = store.write([Trace(ABOUT, "bounded", "valence")])
        store.add_samples(trace, 0, np.zeros(2, SAMPLE_DTYPE))
        store.write([Step(ABOUT, "i-1", "set", "{}", "{}"), Mark(ABOUT, "flag")])
        store.set_desk_value("place", "of a01")
    with lab.open("a02") as store:
        assert (store.history(), store.steps("fer"), store.marks(), store.traces()) == ([], [], [], [])
        assert store.desk_value("place") is None
        with pytest.raises(LabelError, match=f"there is no label {row_id}"):
            store.write([TakenBack(row_id)])
        with pytest.raises(LabelError, match="no trace"):
            store.add_samples(trace, 1, np.zeros(2, SAMPLE_DTYPE))
    with lab.plain("a02") as other:
        for table in ("labels", "marks", "traces", "trace_samples", "guesses", "steps", "decisions"):
            assert other.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
        assert other.execute("SELECT count(*) FROM desk WHERE annotator_id <> 'a02'").fetchone() == (0,)
        with other.cursor().copy("COPY (SELECT * FROM labels) TO STDOUT") as copy:
            assert b"".join(bytes(block) for block in copy) == b""
    with pytest.raises(LabelError, match="logged in as the annotator 'a02', who reads nobody else's"):
        lab.as_annotator("a02")
        read_labels([lab.server.address(lab.database, lab.access["a02"].role)])
    with pytest.raises(LabelError, match="logged in as the annotator 'a02', not as 'a01'"):
        LabelStore.open(lab.server.address(lab.database, lab.access["a02"].role), "a01")


_FORGED = (
    "INSERT INTO labels (row_id, action, annotator_id, annotator_kind, clip_id, clip_sha256, task, view, repetition, "
    "emotion, comment, created_utc, toolkit_version) VALUES ('{row_id}', 'label', '{who}', '{kind}', 'clip-001', "
    "repeat('ab', 32), 'er', '', 0, 'anger', '', '2026-01-01T00:00:00.000000Z', '0.1.0')"
)
ATTACKS = {
    "forge a row": _FORGED.format(row_id="1" * 32, who="a01", kind="human"),
    "call oneself a model": _FORGED.format(row_id="2" * 32, who="a02", kind="model"),
    "choose a seq": _FORGED.format(row_id="3" * 32, who="a02", kind="human")
    .replace("(row_id,", "(seq, row_id,")
    .replace("VALUES (", "VALUES (99, "),
    "forge a place at the desk": "INSERT INTO desk VALUES ('a01', 'stolen', '1')",
    "give a desk row away": "UPDATE desk SET annotator_id = 'a01' WHERE annotator_id = 'a02'",
    "change a row": "UPDATE labels SET emotion = 'anger'",
    "delete rows": "DELETE FROM labels",
    "delete a desk row": "DELETE FROM desk",
    "empty a table": "TRUNCATE labels",
    "drop a table": "DROP TABLE labels CASCADE",
    "drop a trigger": "DROP TRIGGER labels_no_change ON labels",
    "switch a trigger off": "ALTER TABLE labels DISABLE TRIGGER ALL",
    "switch all triggers off": "SET session_replication_role = replica",
    "switch row security off": "ALTER TABLE labels DISABLE ROW LEVEL SECURITY",
    "read without row security": "SET row_security = off; SELECT * FROM labels",
    "drop a policy": "DROP POLICY own_read ON labels",
    "add a policy": "CREATE POLICY all_read ON labels USING (true)",
    "make a function": "CREATE FUNCTION emer.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "make a function in public": "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "make a temporary function": "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "replace who one is": "CREATE OR REPLACE FUNCTION emer.own_annotator() RETURNS text LANGUAGE sql AS 'SELECT ''a01'''",
    "make a temporary table": "CREATE TEMP TABLE annotators (role_name text)",
    "make a schema": "CREATE SCHEMA mine",
    "make a table": "CREATE TABLE public.mine (x int)",
    "read who there is": "SELECT * FROM annotators",
    "become another": "UPDATE annotators SET annotator_id = 'a01'",
    "change the description": "UPDATE meta SET value = 's-2'",
    "add to the description": "INSERT INTO meta VALUES ('x', 'y')",
    "become the lab": "SET ROLE lab",
    "become another session": "SET SESSION AUTHORIZATION lab",
    "make a role": "CREATE ROLE friend LOGIN",
    "rewind a counter": "SELECT setval('labels_seq_seq', 1)",
    "run a program": "COPY labels (comment) FROM PROGRAM 'echo hello'",
    "read a file of the server": "SELECT pg_read_file('/etc/passwd')",
}  # fmt: skip


def test_an_annotator_who_attacks_gets_nothing_and_changes_nothing(lab: Lab, make_label: MakeLabel) -> None:
    with lab.open("a01") as store:
        store.write([make_label(), Step(ABOUT, "i-1", "set", "{}", "{}")])
        store.set_desk_value("place", "7")
        before = (store.history(), store.steps("fer"))
    with lab.open("a02") as store:
        store.add(make_label())
    lab.as_lab()
    everything = read_labels([lab.address])
    for what, statement in ATTACKS.items():
        with lab.plain("a02") as attacker:
            try:
                attacker.execute(statement)
            except psycopg.Error as error:
                assert error.sqlstate in ("42501", "42P01"), f"{what}: {error}"
            else:
                pytest.fail(f"an annotator can {what}")
    # These raise no error: the first touches own rows alone, the second grants nothing (PostgreSQL warns).
    with lab.plain("a02") as attacker:
        attacker.execute("UPDATE desk SET value = 'stolen'")
        attacker.execute("GRANT ALL ON labels TO CURRENT_USER")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            attacker.execute("DELETE FROM labels")
    pd.testing.assert_frame_equal(read_labels([lab.address]), everything)
    with lab.open("a01") as store:
        assert (store.history(), store.steps("fer")) == before
        assert store.desk_value("place") == "7"


def test_also_the_lab_cannot_change_a_row_by_accident(lab: Lab, make_label: MakeLabel) -> None:
    with lab.open("a01") as store:
        store.add(make_label())
    connect = {"host": str(lab.server.folder), "dbname": lab.database, "user": "lab", "password": _LAB}
    for statement in ("UPDATE emer.labels SET emotion = 'anger'", "DELETE FROM emer.labels", "TRUNCATE emer.labels"):
        with psycopg.connect(**connect) as plain, pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            plain.execute(statement)
    with psycopg.connect(**connect) as plain:
        plain.execute("DROP TRIGGER labels_no_change ON emer.labels")
    with pytest.raises(LabelError, match=r"removed the protection against changes \(labels_no_change\)"):
        lab.open("a01")


def test_a_row_cannot_supersede_another_annotators(lab: Lab, make_label: MakeLabel) -> None:
    from data_schema.labels import current_labels

    with lab.open("a01") as store:
        row_id = store.add(make_label())
    with lab.plain("a02") as attacker:  # who somehow learnt the id
        statement = _FORGED.format(row_id="4" * 32, who="a02", kind="human")
        statement = statement.replace("(row_id,", "(supersedes, row_id,").replace("VALUES (", f"VALUES ('{row_id}', ")
        attacker.execute(statement)
    lab.as_lab()
    holds = current_labels(read_labels([lab.address]))
    assert row_id in set(holds["row_id"])


def test_access_ends_at_once_and_labels_stay(lab: Lab, make_label: MakeLabel) -> None:
    with lab.open("a01") as store:
        store.add(make_label())
        lab.as_lab()
        assert drop_access(lab.address, "a01") == ["a01"]
        with pytest.raises(LabelError, match="no label tables that this role may see"):
            store.add(make_label(emotion="anger"))
    with pytest.raises(LabelError, match="password is not right"):
        lab.open("a01")
    lab.as_lab()
    assert read_labels([lab.address])["emotion"].tolist() == ["fear"]
    lab.access["a01"] = add_annotator(lab.address, "a01")
    with pytest.raises(LabelError, match="can log in already"):
        add_annotator(lab.address, "a01")
    with lab.open("a01") as store:
        assert [row.emotion for row in store.current()] == ["fear"]
    lab.as_lab()
    assert drop_access(lab.address) == ["a01", "a02"]


def test_a_server_that_went_away_is_said_and_work_goes_on_when_it_is_back(lab: Lab, make_label: MakeLabel) -> None:
    with lab.open("a01") as store:
        store.add(make_label())
        lab.server.stop("immediate")
        try:
            for _ in range(2):
                with pytest.raises(LabelError, match="the server cannot be reached"):
                    store.add(make_label(emotion="anger"))
        finally:
            lab.server.start()
        assert [row.emotion for row in store.current()] == ["fear"]
        store.add(make_label(emotion="anger"))
        assert [row.emotion for row in store.current()] == ["anger"]
        assert len(store.history()) == 2


def test_annotators_at_once_and_one_of_them_twice(lab: Lab, make_label: MakeLabel) -> None:
    n = 25
    stores = [lab.open(name) for name in ("a01", "a01", "a02")]

    def work(store: LabelStore, name: str) -> None:
        for number in range(n):
            store.write([make_label(clip_id=f"{name}-{number}"), make_label(clip_id="shared", comment=f"{number}")])

    threads = [
        threading.Thread(target=work, args=(store, name))
        for store, name in zip(stores, ("left", "right", "other"), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    chain = stores[0].history("shared")
    assert [row.supersedes for row in chain] == [None, *[row.row_id for row in chain[:-1]]]
    for store in stores:
        store.close()
    lab.as_lab()
    labels = read_labels([lab.address])
    assert len(labels) == 6 * n
    assert labels["row_id"].is_unique
    assert set(labels["clip_id"]) == {
        f"{name}-{number}" for name in ("left", "right", "other") for number in range(n)
    } | {"shared"}


_SITS = """
import sys
from data_schema.labels import LabelStore
store = LabelStore.open(sys.argv[1], "a01")
store.take_seat()
print("seated", flush=True)
sys.stdin.read()
"""


def test_a_second_window_is_refused_until_the_first_one_ends(lab: Lab, make_label: MakeLabel) -> None:
    lab.as_annotator("a01")
    with subprocess.Popen(
        [sys.executable, "-c", _SITS, lab.address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        try:
            assert other.stdout is not None and other.stdout.readline() == "seated\n"
            with lab.open("a01") as store, lab.open("a02") as neighbour:
                with pytest.raises(SeatTakenError, match=f"'a01' are open.*process {other.pid}, since 20"):
                    store.take_seat()
                neighbour.take_seat()
                store.add(make_label())  # as merge does, without a seat
                lab.as_lab()
                assert len(read_labels([lab.address])) == 1
                other.kill()
                other.wait(20)
                _until_free(store)
        finally:
            other.kill()


def _until_free(store: LabelStore) -> None:
    """The server notices a killed client when it next reads from its socket: at once, but not in the same instant."""
    for _ in range(200):
        try:
            return store.take_seat()
        except SeatTakenError:
            threading.Event().wait(0.02)
    pytest.fail("the seat of a killed process was never free")


def test_another_annotator_cannot_keep_a_window_out(lab: Lab) -> None:
    """Everyone may take advisory locks, and see which are taken."""
    held = "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND granted"
    with lab.plain("a02") as attacker:
        with lab.open("a01") as store, lab.open("a01") as second:
            store.take_seat()
            numbers = attacker.execute(held).fetchall()
            assert len(numbers) == 1
            store._connection.invalidate()  # type: ignore[attr-defined]  # as a kill: the desk row still names the lock
            store._sitting = None
            for _ in range(200):
                if attacker.execute("SELECT pg_try_advisory_lock(%s)", numbers[0]).fetchone() == (True,):
                    break
                threading.Event().wait(0.02)
            second.take_seat()
            with pytest.raises(SeatTakenError), lab.open("a01") as third:
                third.take_seat()


def test_the_seat_is_kept_over_a_broken_connection(lab: Lab, make_label: MakeLabel) -> None:
    with lab.open("a01") as store, lab.open("a01") as second:
        store.take_seat()
        lab.server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid IN "
                       "(SELECT pid FROM pg_locks WHERE locktype = 'advisory')", lab.database)  # fmt: skip
        with pytest.raises(LabelError, match="the server cannot be reached"):
            store.add(make_label())
        store.add(make_label())
        with pytest.raises(SeatTakenError):
            second.take_seat()
        lab.server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid IN "
                       "(SELECT pid FROM pg_locks WHERE locktype = 'advisory')", lab.database)  # fmt: skip
        second.take_seat()
        with pytest.raises(LabelError, match="the server cannot be reached"):
            store.add(make_label(emotion="anger"))
        with pytest.raises(SeatTakenError, match=f"process {os.getpid()}"):
            store.add(make_label(emotion="anger"))
        second.close()
        store.add(make_label(emotion="anger"))
        assert [row.emotion for row in store.history()] == ["fear", "anger"]


def test_a_connection_that_the_server_takes_for_living_does_not_keep_its_window_out(
    lab: Lab, make_label: MakeLabel
) -> None:
    """A network cable that was pulled: our side knows, the server does not."""
    with lab.open("a01") as store:
        store.take_seat()
        old = store._connection.connection.driver_connection  # type: ignore[attr-defined]
        store._connection.detach()  # type: ignore[attr-defined]
        old.execute("SELECT 1 FROM desk WHERE annotator_id = 'a01' AND key = 'writer' FOR UPDATE")
        store._is_broken = True
        store.add(make_label())
        with pytest.raises(psycopg.OperationalError):
            old.execute("SELECT 1")
        old.close()


def test_mistakes_are_answered_with_the_next_step(lab: Lab, server: PostgresServer) -> None:
    lab.as_lab()
    assert not init_database(lab.address, study_id="s-1")
    with pytest.raises(LabelError, match="another study"):
        init_database(lab.address, study_id="s-2")
    with pytest.raises(LabelError, match="another study"):
        lab.open("a01", study_id="s-2")
    with pytest.raises(LabelError, match="human annotator, not a model"):
        lab.open("a01", annotator_kind="model")
    lab.as_lab()
    with pytest.raises(LabelError, match=r"no such database.*createdb"):
        read_labels([server.address("nothing_here")])
    with pytest.raises(LabelError, match=r"no label tables.*emer annotate database init"):
        read_labels([server.address("postgres")])
    with pytest.raises(LabelError, match=r"holds a password.*pgpass"):
        read_labels(["postgresql://lab:secret@host/study"])
    with pytest.raises(LabelError, match="server cannot be reached"):
        read_labels([f"postgresql:///study?host={server.folder}/nowhere"])
    server.sql("CREATE DATABASE not_ours")
    with pytest.raises(LabelError, match=r"Nothing was made.*\n.*REVOKE ALL ON DATABASE|may not do that"):
        init_database(server.address("not_ours"))


def test_a_password_is_never_in_the_servers_log_or_catalog_as_text(lab: Lab) -> None:
    server = lab.server
    server.sql("ALTER SYSTEM SET log_statement = 'all'; SELECT pg_reload_conf()")
    lab.as_lab()
    access = add_annotator(lab.address, "a01", new_password=True)
    assert access.password not in (server.folder / "log").read_text(encoding="utf-8", errors="replace")
    lab.access["a01"] = access
    lab.open("a01").close()
