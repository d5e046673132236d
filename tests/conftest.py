"""What every test gets: the real recordings where they are, one thread, and a check that nothing is left behind."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

PROJECT = Path(__file__).resolve().parent.parent

# ---------------------------------------------------------------- real recordings


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real recordings: EMER_TEST_DATA, or shared/data beside the project.

    ``EMER_TEST_DATA=none`` says on purpose that there are none.
    """
    named = os.environ.get("EMER_TEST_DATA", "")
    if named == "none":
        pytest.skip(NO_RECORDINGS_ON_PURPOSE)
    folder = Path(named) if named else PROJECT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real recordings at {folder.name}: name their folder in EMER_TEST_DATA")
    return folder


# ---------------------------------------------------------------- skips are counted in CI

NO_RECORDINGS_ON_PURPOSE = "real recordings left out on purpose (EMER_TEST_DATA=none)"
#: With CI=true, a test may be skipped for a reason that starts with one of these; any other skip fails the run.
ALLOWED_SKIPS = (
    "mediapipe ",  # each of its two tests belongs to one environment
    NO_RECORDINGS_ON_PURPOSE,
    "needs a CUDA device",
    "needs Windows",
    "needs torch",  # the recording PC's environment has none
    "needs the Tobii SDK",  # CPython 3.10 alone
    "needs an environment without PsychoPy",  # runs in the other one
)
_unexpected_skips: list[str] = []


def _note_skip(where: str, longrepr: object) -> None:
    reason = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    reason = reason.removeprefix("Skipped: ")
    if not reason.startswith(ALLOWED_SKIPS):
        _unexpected_skips.append(f"{where}: {reason}")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note each skipped test that no one allowed."""
    if report.skipped and not hasattr(report, "wasxfail"):
        _note_skip(report.nodeid, report.longrepr)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note each module that skips itself as a whole."""
    if report.skipped:
        _note_skip(report.nodeid, report.longrepr)


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a CI run in which a test was skipped for an unknown reason."""
    is_worker = hasattr(session.config, "workerinput")
    if _unexpected_skips and _in_ci() and not is_worker and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which skips failed the run."""
    if _unexpected_skips and _in_ci():
        terminalreporter.section("skipped, and tests/conftest.py does not allow it in CI", red=True)
        for line in _unexpected_skips:
            terminalreporter.line(line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a CUDA device where there is none; torch is imported only if a test asks."""
    gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not gpu:
        return
    import torch

    if not torch.cuda.is_available():
        for item in gpu:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


# ---------------------------------------------------------------- reproducible and single-threaded

# derandomize: a CI run that fails must fail again on the developer's machine.
settings.register_profile(
    "ci", max_examples=60, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
settings.register_profile("dev", max_examples=30, deadline=None)
settings.register_profile("thorough", max_examples=1000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if _in_ci() else "dev"))

# Before any numerical library is imported: the tests run side by side.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Hold torch and OpenCV to one thread, where a test imported them."""
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "set_num_threads") and torch.get_num_threads() != 1:
        torch.set_num_threads(1)
    cv2 = sys.modules.get("cv2")
    if cv2 is not None and hasattr(cv2, "setNumThreads") and cv2.getNumThreads() != 1:
        cv2.setNumThreads(1)


# ---------------------------------------------------------------- nothing is left behind

#: Threads that live as long as the process, by the start of their name: progress bars, pools of libraries.
LASTING_THREADS = (
    "tqdm",
    "Dask-Offload",
    "TMonitor",
    "Dummy-",
    "pydevd",
    "IPythonHistory",
    "execnet",
    "pytest_timeout",
    "asyncio_",
)
#: Processes that Python itself keeps, by a word of their command line.
LASTING_PROCESSES = ("resource_tracker", "forkserver")
GRACE_S = 3.0  # for what was told to stop and is on its way


def _threads() -> set[threading.Thread]:
    return {
        t for t in threading.enumerate() if t.is_alive() and not t.name.startswith(LASTING_THREADS) and not _dummy(t)
    }


def _dummy(thread: threading.Thread) -> bool:
    """Tell a thread that a C++ library started (torch's autograd): Python only lists it."""
    return isinstance(thread, threading._DummyThread)


def _children() -> dict[int, str]:
    import psutil

    found: dict[int, str] = {}
    for child in psutil.Process().children(recursive=True):
        try:
            command = " ".join(child.cmdline())
            if child.status() != psutil.STATUS_ZOMBIE and not any(word in command for word in LASTING_PROCESSES):
                found[child.pid] = command
        except psutil.Error:
            continue
    return found


def _open_hdf5_files() -> set[str]:
    h5f = getattr(sys.modules.get("h5py"), "h5f", None)
    if h5f is None:
        return set()
    return {h5f.get_name(handle).decode(errors="replace") for handle in h5f.get_obj_ids(h5f.OBJ_ALL, h5f.OBJ_FILE)}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Remember whether the test itself failed, so that its left-overs do not hide why."""
    report = yield
    if report.when == "call":
        item.stash[_CALL_FAILED] = report.failed
    return report


_CALL_FAILED: pytest.StashKey[bool] = pytest.StashKey()


@pytest.fixture(autouse=True)
def _nothing_left_behind(request: pytest.FixtureRequest, _one_thread: None) -> Iterator[None]:
    """Fail a test that leaves a thread, a child process or an open HDF5 file behind.

    Fixtures of a wider scope are set up before this one, so what they hold open is not counted.
    """
    threads, children, files = _threads(), set(_children()), _open_hdf5_files()
    yield
    if request.node.stash.get(_CALL_FAILED, False):
        return
    deadline = time.monotonic() + GRACE_S
    while True:
        left = [f"thread {t.name!r}" for t in _threads() - threads]
        left += [f"process {pid}: {command}" for pid, command in _children().items() if pid not in children]
        left += [f"open HDF5 file {name}" for name in _open_hdf5_files() - files]
        if not left:
            return
        if time.monotonic() > deadline:
            pytest.fail("the test left behind: " + "; ".join(left), pytrace=False)
        gc.collect()
        time.sleep(0.02)
