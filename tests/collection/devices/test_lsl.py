"""Lab streaming with real LSL streams on this machine: senders in threads and in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from collection.devices.base import Device
from collection.devices.lsl import LslInlet
from collection.devices.lsl_outlet import LslMarkerOutlet
from data_schema.clocks import ScaledClock, SystemClock
from data_schema.errors import DeviceError, MissingExtraError
from data_schema.session.layout import (
    LSL_OFFSETS,
    LSL_SAMPLES,
    LSL_STREAMS,
    LSL_TEXTS,
    MARKERS,
    TABLE_BY_PATH,
    make_row,
)

from .device_lab import Collector, wait_until

pylsl = pytest.importorskip("pylsl")


def _unique(word: str) -> str:
    return f"{word}-{uuid.uuid4().hex[:8]}"


class Sender:
    """A sender of numbers in this process; the value of channel k of sample n is n + k / 100."""

    def __init__(
        self, name: str, kind: str = "EEG", n_channels: int = 3, rate_hz: float = 250.0, source_id: str = ""
    ) -> None:
        info = pylsl.StreamInfo(name, kind, n_channels, rate_hz, "float32", source_id)
        info.set_channel_labels([f"C{k}" for k in range(n_channels)])
        info.set_channel_units(["microvolts"] * n_channels)
        self.outlet: Any = pylsl.StreamOutlet(info)
        self.n_channels = n_channels
        self.n = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(rate_hz,))

    def start(self) -> Sender:
        self._thread.start()
        return self

    def _run(self, rate_hz: float) -> None:
        while not self._done.wait(10 / rate_hz):
            self.push(10)

    def push(self, n: int) -> None:
        for _ in range(n):
            self.outlet.push_sample([self.n + k / 100 for k in range(self.n_channels)])
            self.n += 1

    def close(self) -> None:
        self._done.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.outlet = None


@pytest.fixture
def sender() -> Iterator[Callable[..., Sender]]:
    made: list[Sender] = []

    def make(*arguments: Any, **options: Any) -> Sender:
        made.append(Sender(*arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def _started(name: str, number: int = 1) -> tuple[LslInlet, Collector]:
    inlet = LslInlet(SystemClock(), name, number)
    inlet.connect()
    sink = Collector()
    inlet.start(sink)
    return inlet, sink


def _said(sink: Collector) -> str:
    return "\n".join(message for _, message, _, _ in sink.events)


def test_a_stream_is_recorded_with_its_offsets(sender: Callable[..., Sender]) -> None:
    name = _unique("numbers")
    sender(name, source_id=name).start()
    inlet, sink = _started(name, 4)
    assert isinstance(inlet, Device)
    info = inlet.describe()
    assert (info.role, info.kind, info.model) == ("stream", "lsl", name)
    assert info.rates_hz == {LSL_SAMPLES.path: 250.0}
    wait_until(lambda: len(sink.table(LSL_SAMPLES.path)) > 300, "samples")
    inlet.close()
    inlet.close()
    assert sink.events == []
    for table, pieces in sink.pieces.items():
        assert all(piece.dtype == TABLE_BY_PATH[table].dtype for piece in pieces)
    stream = sink.table(LSL_STREAMS.path)[0]
    assert (stream["stream"], stream["name"], stream["type"], stream["n_channels"]) == (4, name.encode(), b"EEG", 3)
    assert json.loads(stream["channels_json"])[2] == {"label": "C2", "unit": "microvolts"}
    rows = sink.table(LSL_SAMPLES.path)
    assert set(rows["stream"]) == {4}
    # Every sample once, in order.
    np.testing.assert_allclose(np.diff(rows["values"][:, 0]), 1.0)
    np.testing.assert_allclose(rows["values"][:, 2] - rows["values"][:, 0], 0.02, atol=1e-3)
    assert np.isnan(rows["values"][:, 3:]).all()
    # Same machine, and on Linux the same clock: the offset is nearly nothing, and host times are those of the samples.
    offsets = sink.table(LSL_OFFSETS.path)
    assert len(offsets) >= 1
    assert set(offsets["stream"]) == {4}
    local_us = pylsl.local_clock() * 1e6
    expected_us = SystemClock().now_us() - local_us
    assert offsets["offset_us"][0] == pytest.approx(expected_us, abs=2_000)
    np.testing.assert_allclose(rows["t_system_us"] - rows["t_lsl_us"], round(offsets["offset_us"][0]), atol=1)


def test_wide_samples_take_several_rows(sender: Callable[..., Sender]) -> None:
    name = _unique("wide")
    source = sender(name, n_channels=19, rate_hz=0.0, source_id=name)
    inlet, sink = _started(name)
    assert inlet.describe().rates_hz == {}
    wait_until(lambda: source.outlet.have_consumers(), "the inlet to listen")
    source.push(5)
    wait_until(lambda: len(sink.table(LSL_SAMPLES.path)) == 15, "five samples in three rows each")
    inlet.close()
    rows = sink.table(LSL_SAMPLES.path)
    assert rows["first_channel"].tolist() == [0, 8, 16] * 5
    assert len(set(rows["t_lsl_us"][:3])) == 1
    np.testing.assert_allclose(rows["values"][1], 0.01 * np.arange(8, 16), atol=1e-6)
    np.testing.assert_allclose(rows["values"][2][:3], 0.01 * np.arange(16, 19), atol=1e-6)
    assert np.isnan(rows["values"][2][3:]).all()


def test_texts_of_another_system_are_recorded() -> None:
    name = _unique("texts")
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "Markers", 1, 0, "string", name))
    inlet, sink = _started(name)
    wait_until(lambda: outlet.have_consumers(), "the inlet to listen")
    outlet.push_sample(["stimulus ä"], timestamp=12.5)
    wait_until(lambda: len(sink.table(LSL_TEXTS.path)) == 1, "the text")
    inlet.close()
    row = sink.table(LSL_TEXTS.path)[0]
    assert row["text"].decode() == "stimulus ä"
    assert row["t_lsl_us"] == 12_500_000
    assert row["t_system_us"] == pytest.approx(12_500_000 + sink.table(LSL_OFFSETS.path)["offset_us"][0], abs=1)


def test_a_stream_is_found_by_its_type_and_several_are_all_named(sender: Callable[..., Sender]) -> None:
    kind = _unique("Pulse")
    first = sender(_unique("one"), kind, source_id="one")
    inlet = LslInlet(SystemClock(), kind)
    inlet.connect()
    assert inlet.describe().details["type"] == kind
    inlet.close()
    second = sender(_unique("two"), kind, source_id="two")
    names = sorted(one.outlet.get_info().name() for one in (first, second))
    with pytest.raises(DeviceError, match="2 LSL streams answer") as caught:
        LslInlet(SystemClock(), kind).connect()
    assert all(name in str(caught.value) for name in names)
    by_name = LslInlet(SystemClock(), names[0])
    by_name.connect()
    by_name.close()


_PROCESS = """
    import sys, time
    import pylsl
    info = pylsl.StreamInfo(sys.argv[1], "EEG", 1, 100.0, "float32", sys.argv[2])
    outlet = pylsl.StreamOutlet(info)
    while True:
        outlet.push_sample([1.0])
        time.sleep(0.01)
"""


@pytest.mark.parametrize("recoverable", [True, False])
def test_a_sender_that_is_killed_and_started_again_is_recorded_again(recoverable: bool) -> None:
    """With a source identifier LSL finds the stream again itself, without one we do."""
    name = _unique("process")
    command = [sys.executable, "-c", textwrap.dedent(_PROCESS), name, name if recoverable else ""]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        inlet = LslInlet(SystemClock(), name, search_s=15.0)
        inlet.connect()
        sink = Collector()
        inlet.start(sink)
        wait_until(lambda: len(sink.table(LSL_SAMPLES.path)) > 50, "samples")
        process.kill()
        process.wait()
        wait_until(lambda: bool(sink.events), "a report of the silence", 30.0)
        before = len(sink.table(LSL_SAMPLES.path))
        n_offsets = len(sink.table(LSL_OFFSETS.path))
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_until(lambda: len(sink.table(LSL_SAMPLES.path)) > before + 50, "samples of the new sender", 60.0)
        wait_until(lambda: len(sink.table(LSL_OFFSETS.path)) > n_offsets, "its clock offset")
        inlet.close()
    finally:
        process.kill()
        process.wait()
    assert [kind for kind, *_ in sink.events] == ["device_fault", "device_connected"]
    assert "again" in _said(sink)


def test_starting_stopping_and_starting_again(sender: Callable[..., Sender]) -> None:
    name = _unique("again")
    sender(name, source_id=name).start()
    inlet = LslInlet(SystemClock(), name)
    for verb in (inlet.describe, lambda: inlet.start(Collector())):
        with pytest.raises(DeviceError, match="before connect"):
            verb()
    inlet.stop()
    inlet.connect()
    inlet.connect()
    for _ in range(2):
        sink = Collector()
        inlet.start(sink)
        with pytest.raises(DeviceError, match="already"):
            inlet.start(sink)
        wait_until(lambda sink=sink: len(sink.table(LSL_SAMPLES.path)) > 20, "samples")
        inlet.stop()
        inlet.stop()
        delivered = sink.n_calls
    inlet.close()
    assert sink.n_calls == delivered


def test_a_missing_stream_is_refused_with_a_next_step() -> None:
    with pytest.raises(DeviceError, match=r"No LSL stream has the name or type .*\[lsl\]"):
        LslInlet(SystemClock(), _unique("absent"), search_s=0.2).connect()
    with pytest.raises(DeviceError, match="real time only"):
        LslInlet(ScaledClock.starting_now(10.0), "EEG").connect()
    with pytest.raises(DeviceError, match="real time only"):
        LslMarkerOutlet(clock=ScaledClock.starting_now(10.0))


def test_without_pylsl_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pylsl", None)
    for use in (LslInlet(SystemClock(), "EEG").connect, LslMarkerOutlet):
        with pytest.raises(MissingExtraError, match=r'pip install "emer-toolkit\[lsl\]"'):
            use()


def test_nothing_is_imported_while_it_is_not_used() -> None:
    code = (
        "import sys, collection.devices.lsl, collection.devices.lsl_outlet, collection.devices.registry, "
        "collection.recorder.settings; sys.exit('pylsl' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=100).returncode == 0


def test_markers_reach_another_program_with_their_own_time() -> None:
    name = _unique("markers")
    outlet = LslMarkerOutlet(name)
    inlet, sink = _started(name)
    wait_until(lambda: outlet.has_consumers, "a receiver")
    t_us = SystemClock().now_us() - 3_000_000
    rows = np.concatenate(
        [
            make_row(MARKERS, t_system_us=t_us, trial_id=7, kind="stimulus_onset", value=1.5, message="joy-1 ü"),
            make_row(MARKERS, t_system_us=t_us + 1, kind="operator_mark"),
        ]
    )
    outlet.push(rows)
    wait_until(lambda: len(sink.table(LSL_TEXTS.path)) == 2, "both markers")
    inlet.close()
    received = sink.table(LSL_TEXTS.path)
    first, second = (json.loads(text.decode()) for text in received["text"])
    assert first == {
        "kind": "stimulus_onset", "message": "joy-1 ü", "value": 1.5, "trial_id": 7, "t_system_us": t_us,
    }  # fmt: skip
    assert second["value"] is None
    # There and back through LSL's clock: the marker's time, not that of sending.
    assert received["t_system_us"][0] == pytest.approx(t_us, abs=2_000)
    outlet.close()
    outlet.push(rows)
    outlet.close()
