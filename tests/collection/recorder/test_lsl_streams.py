"""A stream of another program through the Lab Streaming Layer, recorded beside the eyes by the recorder's process."""

from __future__ import annotations

import dataclasses
import uuid
from types import SimpleNamespace

import numpy as np
import pytest

from collection.recorder import Recorder, RecorderSettings
from data_schema.errors import DeviceError
from data_schema.session.layout import GAZE, LSL_OFFSETS, LSL_SAMPLES, LSL_STREAMS
from data_schema.session.reader import open_session


@pytest.mark.slow
def test_an_inlet_named_in_the_settings_is_recorded(settings: RecorderSettings, lab: SimpleNamespace) -> None:
    pylsl = pytest.importorskip("pylsl")
    name = f"heart-{uuid.uuid4().hex[:8]}"
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "ECG", 2, 0.0, "float32", name))
    settings = dataclasses.replace(settings, camera="", lsl_inlets=(name,))
    n_sent = 0
    with Recorder(settings) as recorder:
        recorder.start()

        def enough() -> bool:
            nonlocal n_sent
            outlet.push_sample([float(n_sent), -1.0])
            n_sent += 1
            durable = recorder.status().durable
            return durable.get(LSL_SAMPLES.path, 0) >= 50 and durable.get(GAZE.path, 0) > 0

        lab.until(enough)
        summary = recorder.stop()
    assert (summary.problems, summary.status.dropped) == ((), 0)
    with open_session(settings.path) as session:
        assert session.table(LSL_STREAMS).column("name").tolist() == [name]
        values = session.table(LSL_SAMPLES)[:]["values"]
        assert np.all(np.diff(values[:, 0]) == 1)
        assert np.all(values[:, 1] == -1)
        assert len(session.table(LSL_OFFSETS)) > 0


def test_an_inlet_that_nobody_sends_is_refused_at_the_start(settings: RecorderSettings) -> None:
    pytest.importorskip("pylsl")
    settings = dataclasses.replace(settings, camera="", lsl_inlets=(f"nobody-{uuid.uuid4().hex[:8]}",))
    with Recorder(settings) as recorder, pytest.raises(DeviceError, match="nobody-"):
        recorder.start()
    assert not settings.path.exists()
