"""An export on a real cluster of two worker processes, one of which is killed in the middle."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest

from data_schema.clips.index import build_clip_index
from data_schema.exports.reading import TrainingExport
from data_schema.exports.training import export_training

from ..studies import make_study


@pytest.fixture
def cluster():
    """Return the scheduler's address and a function that kills one worker for good."""
    distributed = pytest.importorskip("distributed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=logging.CRITICAL
        )
        client = distributed.Client(made, set_as_default=False)
        pids = client.run(os.getpid)
        client.close()
        yield made.scheduler_address, sorted(pids.values())
        made.close()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_worker_costs_nothing(tmp_path: Path, cluster):
    address, pids = cluster
    study = make_study(tmp_path / "study", n_participants=8)
    build_clip_index(study)
    shards = tmp_path / "out.partial" / "shards"
    killed: list[float] = []

    def kill() -> None:
        """Wait until a shard is finished and another is being written; then kill."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if list(shards.glob("sub-*.h5")) and list(shards.glob(".sub-*.partial")):
                os.kill(pids[0], signal.SIGKILL)
                killed.append(time.monotonic())
                return
            time.sleep(0.001)

    killer = threading.Thread(target=kill)
    killer.start()
    done: list[tuple[int, int, str]] = []

    result = export_training(study, tmp_path / "out", scheduler=address, progress=lambda *step: done.append(step))
    ended = time.monotonic()
    killer.join()
    assert killed and killed[0] < ended
    assert result.counts["clips"] == 16
    assert done[-1][:2] == (16, 16)
    # Complete, whole, and the same as without a cluster.
    alone = export_training(study, tmp_path / "alone", workers=1)
    with TrainingExport.open(result.path) as export, TrainingExport.open(alone.path) as other:
        first, second = (
            {name: entry["sha256"] for name, entry in one.manifest["files"].items()} for one in (export, other)
        )
    assert first == second
    assert not list(result.path.rglob("*.partial"))
