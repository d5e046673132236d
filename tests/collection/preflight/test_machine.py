"""Disk, memory, processors, clock: numbers against the study, and what to do."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from collection.preflight import machine, said_bytes
from collection.recorder.anchors import STEP_US
from data_schema.study.config import parse_config
from data_schema.study.folder import StudyFolder

GB = 1_000_000_000


@pytest.mark.parametrize(
    ("n_bytes", "said"),
    [(512_000, "512 kB"), (64e6, "64 MB"), (999e6, "999 MB"), (1.26e9, "1.3 GB"), (3.1e12, "3.1 TB")],
)
def test_sizes_are_said_in_the_unit_that_suits_them(n_bytes: float, said: str) -> None:
    assert said_bytes(n_bytes) == said


def test_the_disk_must_last_for_the_planned_minutes_with_margin(tmp_path: Path) -> None:
    config = parse_config({"study": {"title": "t"}, "recording": {"min_free_gb": 0.0}}, "test")
    needed = machine.check_disk(tmp_path, config, 600.0, 10**15)
    assert needed.level == "good"
    enough = 600 * 1.5 * (1280 * 720 * 30 * 0.2 / 8 + 600 * 200)
    assert machine.check_disk(tmp_path, config, 600.0, int(enough)).level == "good"
    refused = machine.check_disk(tmp_path, config, 600.0, int(0.6 * enough))
    assert refused.level == "error"
    assert "10 min need up to" in refused.message
    assert "MB must stay free" in machine.check_disk(tmp_path, config, 60.0, 5).message or "kB" in refused.message
    assert "Make room" in refused.remedy
    wider = config.model_copy(update={"preflight": config.preflight.model_copy(update={"disk_margin": 3.0})})
    assert machine.check_disk(tmp_path, wider, 600.0, int(enough)).level == "error"


def test_little_memory_is_refused_and_busy_processors_are_said(tmp_path: Path) -> None:
    config = parse_config({"study": {"title": "t"}, "preflight": {"min_free_memory_gb": 2.0}}, "test")
    assert machine.check_memory(config, 3 * GB).level == "good"
    refused = machine.check_memory(config, 1 * GB)
    assert (refused.level, refused.value) == ("error", 1e9)
    assert machine.check_processors(0.1).level == "good"
    assert machine.check_processors(0.9).level == "warning"
    assert machine.check_memory(config).value > 0


def test_a_wall_clock_that_is_set_while_we_look_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.WallClockWatch().check().level == "good"
    real = time.time_ns
    watch = machine.WallClockWatch()
    monkeypatch.setattr(time, "time_ns", lambda: real() + 2 * STEP_US * 1000)
    stepped = watch.check()
    assert stepped.level == "warning"
    assert stepped.value == pytest.approx(2 * STEP_US, rel=0.05)


def test_a_folder_that_takes_no_file_is_an_error(study: StudyFolder) -> None:
    assert machine.check_writable(study.root).level == "good"
    assert machine.check_writable(study.root / "not there").level == "error"
    assert sorted(path.name for path in study.root.glob(".emer*")) == []
