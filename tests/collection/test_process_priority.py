"""Who goes first: places are taken, inherited, given back, and where they are not permitted nothing happens."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import psutil
import pytest

from collection.process_priority import LOOKING_ON, PLAYING, RECORDING, raised

_AT_POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")


def run(code: str) -> list[int]:
    """Run code in a process of its own, which may not give its place back; returns the numbers that it printed."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


def may_raise() -> bool:
    """Tell whether this user may go before others."""
    tried = subprocess.run(
        [sys.executable, "-c", "import os; os.setpriority(os.PRIO_PROCESS, 0, -10)"], capture_output=True, check=False
    )
    return tried.returncode == 0


def nice_of(process: psutil.Process) -> int:
    return int(process.nice())


def test_the_console_goes_behind_the_others_for_good() -> None:
    code = """
import psutil, threading
from collection.process_priority import LOOKING_ON, take_place
print(int(psutil.Process().nice()))
print(int(take_place(LOOKING_ON)))
print(int(psutil.Process().nice()))
"""
    before, permitted, after = run(code)
    assert permitted, "going behind others is always permitted"
    wanted = psutil.BELOW_NORMAL_PRIORITY_CLASS if sys.platform == "win32" else max(before, LOOKING_ON.nice)
    assert after == wanted != before or before >= LOOKING_ON.nice


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a place of their own on Linux alone")
def test_a_clip_raises_all_threads_and_gives_their_places_back() -> None:
    if not may_raise():
        with raised() as permitted:
            assert not permitted
        return
    end, number = threading.Event(), []
    started = threading.Event()

    def work() -> None:
        number.append(threading.get_native_id())
        started.set()
        end.wait(20)

    decoder = threading.Thread(target=work)
    decoder.start()
    started.wait(20)
    own = threading.get_native_id()
    before = os.getpriority(os.PRIO_PROCESS, own), os.getpriority(os.PRIO_PROCESS, number[0])
    with raised() as permitted:
        assert permitted
        within = os.getpriority(os.PRIO_PROCESS, own), os.getpriority(os.PRIO_PROCESS, number[0])
        started.clear()
        late = threading.Thread(target=work)
        late.start()
        started.wait(20)
    after = [os.getpriority(os.PRIO_PROCESS, one) for one in (own, *number)]
    end.set()
    decoder.join(20)
    late.join(20)
    assert within == (min(before[0], PLAYING.nice), min(before[1], PLAYING.nice))
    assert after == [before[0], before[1], before[0]], "also that of a thread that was started meanwhile"


@_AT_POSIX
def test_who_has_a_better_place_keeps_it() -> None:
    if not may_raise():
        return
    code = """
import os
from collection.process_priority import RECORDING, raised, take_place
os.setpriority(os.PRIO_PROCESS, 0, -15)
take_place(RECORDING)
print(os.getpriority(os.PRIO_PROCESS, 0))
with raised():
    print(os.getpriority(os.PRIO_PROCESS, 0))
print(os.getpriority(os.PRIO_PROCESS, 0))
"""
    assert run(code) == [-15, -15, -15]
    assert RECORDING.nice > PLAYING.nice, "the screen goes before the recorder while a clip plays"


@_AT_POSIX
def test_without_permission_all_goes_on_as_before() -> None:
    drop = "os.setuid(65534)\n" if os.geteuid() == 0 else ""
    code = f"""
import os, resource
from collection.process_priority import raised
if hasattr(resource, "RLIMIT_NICE"):
    resource.setrlimit(resource.RLIMIT_NICE, (0, resource.getrlimit(resource.RLIMIT_NICE)[1]))
{drop}before = os.getpriority(os.PRIO_PROCESS, 0)
with raised() as permitted:
    print(int(permitted))
    print(os.getpriority(os.PRIO_PROCESS, 0) - before)
print(os.getpriority(os.PRIO_PROCESS, 0) - before)
"""
    assert run(code) == [0, 0, 0]
