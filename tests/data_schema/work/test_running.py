from __future__ import annotations

import math
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from data_schema.errors import EmerError, MissingExtraError, SessionFileError, WorkerError
from data_schema.session import open_session
from data_schema.work import run_tasks


def test_a_pool_and_this_process_give_the_same():
    tasks = {str(n): n for n in range(6)}
    here = dict(run_tasks(math.sqrt, tasks, workers=1))
    assert list(here) == list(tasks)
    assert dict(run_tasks(math.sqrt, tasks, workers=2)) == here


@pytest.mark.parametrize("workers", [1, 2])
def test_one_bad_task_does_not_stop_the_others(workers, tmp_path):
    tasks = {"gone": tmp_path / "gone.h5", "empty": tmp_path / "empty.h5"}
    tasks["empty"].touch()
    found = dict(run_tasks(open_session, tasks, workers=workers, keep_going=True))
    # Errors of workers come home as they were.
    assert all(isinstance(error, SessionFileError) for error in found.values())
    assert "there is no such file" in str(found["gone"])
    assert found["empty"].path == tasks["empty"]
    odd = dict(run_tasks(int, {"odd": "x", "good": "1"}, workers=1, keep_going=True))
    assert odd["good"] == 1
    assert isinstance(odd["odd"], WorkerError)
    assert "did not foresee (ValueError" in str(odd["odd"])


def test_the_first_error_ends_the_work():
    with pytest.raises(SessionFileError, match="no such file"):
        list(run_tasks(open_session, {"a": Path("gone.h5")}, workers=1))


def test_a_worker_that_dies_is_told_in_a_sentence(caplog):
    """Each pool that is begun loses its processes: first a warning and a second pool, then an error."""
    with pytest.raises(WorkerError, match=r"ended on its own, twice .* 2 of 2 sessions are left.*what is done already"):
        list(run_tasks(os._exit, {"a": 3, "b": 3}, workers=2))
    assert "tried once more with 1" in caplog.text


_INTERRUPTED = """
import os, signal
from functools import partial
from data_schema.work import run_tasks

if __name__ == "__main__":
    try:
        list(run_tasks(partial(os.killpg, 0), {"interrupts": signal.SIGINT, "waits": 0}, workers=2))
    except KeyboardInterrupt:
        print("stopped")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no process groups")
def test_an_interrupt_of_all_processes_is_told_once(tmp_path):
    (tmp_path / "script.py").write_text(_INTERRUPTED, encoding="utf-8")
    argv = [sys.executable, str(tmp_path / "script.py")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, start_new_session=True)
    assert (done.stdout.strip(), done.stderr) == ("stopped", "")


@pytest.mark.parametrize(
    "error",
    [
        SessionFileError("folder/a.h5", "is odd", "/eye/gaze"),
        MissingExtraError("cluster", "distributed", "`emer signals`"),
        WorkerError("lost"),
    ],
)
def test_errors_can_be_sent(error: EmerError):
    home = pickle.loads(pickle.dumps(error))
    assert (type(home), str(home), home.exit_code) == (type(error), str(error), error.exit_code)


def test_a_scheduler_that_does_not_answer(monkeypatch):
    monkeypatch.setattr("data_schema.work.cluster.CONNECT_S", 0.3)
    with pytest.raises(WorkerError, match="no Dask scheduler answers there"):
        list(run_tasks(math.sqrt, {"a": 1.0}, scheduler="tcp://127.0.0.1:9"))
    with pytest.raises(WorkerError, match="no Dask scheduler answers there"):
        list(run_tasks(math.sqrt, {"a": 1.0}, scheduler="nonsense://x"))
