"""The benchmarks measure what they say: they run, notice losses, and skip with a reason what they cannot measure."""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def benchmarks_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PROJECT)


def test_each_benchmark_has_a_run_and_says_what_it_measures() -> None:
    names = importlib.import_module("benchmarks.__main__").NAMES
    assert {"clock_model", "encoding", "markers_latency", "recorder_ingest", "recorder_realtime"} <= set(names)
    for name in names:
        source = (PROJECT / "benchmarks" / f"{name}.py").read_text(encoding="utf-8")
        assert source.startswith('"""'), name
        assert "\ndef run(" in source, name


def test_an_unknown_benchmark_is_refused_with_the_names_there_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "nothing"], cwd=PROJECT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "no benchmark nothing" in done.stderr and "recorder_ingest" in done.stderr


def test_the_ingest_stores_every_row_on_both_ways(tmp_path: Path) -> None:
    from benchmarks import recorder_ingest as ingest
    from collection.devices.sdk import sdk_dictionary

    rows = ingest.gaze_like(2400)
    for rate, n_bytes in (
        ingest.measure_dictionaries(tmp_path, [sdk_dictionary(row) for row in rows]),
        ingest.measure_arrays(tmp_path, rows, ingest.ROWS_A_CALL),
        ingest.measure_arrays(tmp_path, rows, ingest.ROWS_A_CHUNK),
    ):
        assert rate > 0
        assert n_bytes < rows.dtype.itemsize
    assert 0.1 < ingest.measure_waiting(tmp_path, rows) < 2.0


def test_the_baseline_says_what_it_is_and_stores_every_event(tmp_path: Path) -> None:
    from benchmarks import iohub_store
    from benchmarks.recorder_ingest import gaze_like

    pytest.importorskip("tables", reason="needs PyTables, which comes with the environments of this project")
    assert ("psychopy is not installed" in iohub_store.name()) is not iohub_store.is_installed()
    for events_a_call in (1, 12):
        rate, n_bytes = iohub_store.measure(tmp_path, gaze_like(1200), events_a_call)
        assert rate > 0
        assert n_bytes >= (180 if iohub_store.is_installed() else 102)


def test_durations_are_told_to_a_tenth_of_a_factor_ten() -> None:
    from benchmarks.observed_recorder import EDGES_US, _Durations, percentile_us

    durations, values = _Durations(), np.random.default_rng(0).lognormal(3, 1, 20_000)
    for value in values:
        durations.add(float(value))
    for q in (50, 99):
        exact = float(np.percentile(values, q))
        assert exact <= percentile_us(durations.counts, q) <= exact * 1.3
    assert durations.longest_us == values.max()
    assert len(durations.counts) == len(EDGES_US) + 1


@pytest.mark.parametrize("stall", [False, True])
def test_a_recording_is_observed_from_inside(tmp_path: Path, stall: bool) -> None:
    """Small pictures, so that nothing but the stalls can hold it up."""
    from benchmarks.recorder_realtime import record

    result = record(tmp_path / "a.h5", 3.0, stall=stall, width_px=128, height_px=96)
    assert result.samples_lost == 0
    assert result.n_rows > 3000 and result.n_frames > 60
    assert len(result.memory_mb) == 4 and min(result.memory_mb) > 10
    assert 0 < result.callback_p99_ms <= max(result.callback_longest_ms * 1.3, 0.001)
    assert (result.n_stalls >= 2) is stall


def test_the_planted_faults_of_the_clock_are_told_apart(shared_data: Path) -> None:
    from benchmarks import clock_model

    real = clock_model.stamps(shared_data / "tobii_spectrum_600hz" / "eye_openness.csv.gz")
    assert clock_model.found(real, len(real[0]) // 2) == (True, True, True)


def test_without_the_real_recording_the_clock_is_skipped_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from benchmarks import clock_model

    monkeypatch.setenv("EMER_TEST_DATA", str(tmp_path))
    assert clock_model.run() == []
    assert "skipped: no real recording" in capsys.readouterr().err


def test_a_marker_is_on_file_soon_and_in_its_row(tmp_path: Path) -> None:
    from benchmarks import markers_latency

    call_ms, stored_ms, acknowledged_ms = markers_latency.measure(tmp_path / "m.h5", 5)
    assert len(call_ms) == len(stored_ms) == len(acknowledged_ms) == 5
    assert min(stored_ms) > 0
    assert json.dumps(stored_ms)


def test_every_run_takes_no_argument_that_must_be_given() -> None:
    for name in importlib.import_module("benchmarks.__main__").NAMES:
        if name == "flips":
            continue  # imports psychopy, which only the recording PC's environment has
        parameters = inspect.signature(importlib.import_module(f"benchmarks.{name}").run).parameters.values()
        assert all(parameter.default is not inspect.Parameter.empty for parameter in parameters), name
