"""Markers of a recording reach other programs through the Lab Streaming Layer, with their own times."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from collection.recorder import Recorder, RecorderSettings
from data_schema.clocks import ScaledClock
from data_schema.errors import DeviceError
from data_schema.session import markers
from data_schema.session.layout import MARKERS
from data_schema.session.reader import open_session
from data_schema.study.config import parse_config

pylsl = pytest.importorskip("pylsl")


def _settings(path: Path, **given: object) -> RecorderSettings:
    config = parse_config(
        {
            "study": {"title": "lsl"},
            "eye_tracker": {"kind": "simulated", "rate_hz": 120.0},
            "recording": {"min_free_gb": 0.0},
        },
        "test",
    )
    return RecorderSettings(path, "P1", "01", config, camera="", simulated=True, lsl_markers=True, **given)  # type: ignore[arg-type]


def test_another_program_hears_a_marker_with_the_time_that_is_on_file(tmp_path: Path) -> None:
    path = tmp_path / "sub-P1_ses-01.h5"
    with Recorder(_settings(path)) as recorder:
        recorder.start()
        streams = pylsl.resolve_byprop("name", "emer-markers", timeout=10.0)
        assert streams
        inlet = pylsl.StreamInlet(streams[0])
        inlet.open_stream(timeout=10.0)
        heard: list[dict] = []
        deadline = time.monotonic() + 10.0
        while not heard and time.monotonic() < deadline:
            # The receiver subscribes a moment after it has opened; a mark before that is not for it.
            recorder.marker(markers.OPERATOR_MARK, "a mark", 7.0, trial_id=3)
            text, _ = inlet.pull_sample(timeout=0.5)
            heard += [json.loads(text[0])] if text else []
        inlet.close_stream()
        recorder.stop()
    assert heard
    assert {name: heard[0][name] for name in ("kind", "message", "value", "trial_id")} == {
        "kind": markers.OPERATOR_MARK, "message": "a mark", "value": 7.0, "trial_id": 3,
    }  # fmt: skip
    with open_session(path) as session:
        rows = session.table(MARKERS)[:]
        assert heard[0]["t_system_us"] in rows["t_system_us"][rows["kind"] == markers.OPERATOR_MARK.encode()].tolist()


def test_markers_cannot_be_sent_faster_than_real_time(tmp_path: Path) -> None:
    with (
        Recorder(_settings(tmp_path / "sub-P1_ses-01.h5", clock=ScaledClock.starting_now(5.0))) as recorder,
        pytest.raises(DeviceError, match="real time only"),
    ):
        recorder.start()
