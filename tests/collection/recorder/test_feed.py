"""What an operator sees of a running recording, over a real connection to a real recorder."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import signal
import threading
import time
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from collection.devices.base import CapturedFrame
from collection.live import LiveClient, LiveServer
from collection.recorder import Recorder, RecorderSettings
from collection.recorder.feed import (
    LiveFeed,
    LossWindow,
    SyncTap,
    clock_message,
    gaze_message,
    head_message,
    preview,
)
from collection.recorder.recording import Recording
from data_schema.errors import RecordingError
from data_schema.session import markers
from data_schema.session.layout import GAZE, MARKERS, TIME_SYNC, USER_POSITION
from data_schema.session.reader import open_session

HERE = Path(__file__).parent


class Ears:
    """Collect what a client hears, by kind."""

    def __init__(self, client: LiveClient) -> None:
        self.client = client
        self.heard: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.payloads: dict[str, bytes] = {}

    def listen(self) -> None:
        while (item := self.client.receive(0.01)) is not None:
            message, payload = item
            # Whatever a listener in another language would choke on would have been sent as NaN.
            json.dumps(message, allow_nan=False)
            self.heard[message["kind"]].append(message)
            if payload is not None:
                self.payloads[message["kind"]] = payload

    def until(self, kind: str, condition: Any, deadline_s: float = 30.0) -> dict[str, Any]:
        """Listen until a message of a kind fulfils a condition; return it."""
        end = time.monotonic() + deadline_s
        seen = 0
        while time.monotonic() < end:
            self.listen()
            for message in self.heard[kind][seen:]:
                if condition(message):
                    return message
            seen = len(self.heard[kind])
        pytest.fail(f"no such message: {kind}; the last one: {self.heard[kind][-1:]}")


@pytest.fixture
def simulated(settings: RecorderSettings, lab: SimpleNamespace) -> RecorderSettings:
    """A simulated tracker and camera, from the registry."""
    return dataclasses.replace(settings, planned_s=600.0, second_camera="simulated")


def test_a_running_recording_is_seen_live(simulated: RecorderSettings) -> None:
    recorder = Recorder(simulated)
    with pytest.raises(RecordingError, match="no live feed"):
        _ = recorder.live
    with recorder:
        recorder.start()
        with LiveClient(recorder.live) as client:
            ears = Ears(client)
            ears.until("gaze", lambda m: m["t_us"])
            recorder.marker(markers.OPERATOR_MARK, "cough", 2.0, t_system_us=77, trial_id=3)
            marker = ears.until("marker", lambda m: m["marker"] == markers.OPERATOR_MARK)
            assert marker == {
                "kind": "marker", "t_us": 77, "marker": "operator_mark", "value": 2.0, "message": "cough", "trial_id": 3
            }  # fmt: skip
            for camera in (1, 2):
                frame = ears.until("frame", lambda m, camera=camera: m["camera"] == camera)
                assert (frame["width"], frame["height"]) == (128, 96)
            image = cv2.imdecode(np.frombuffer(ears.payloads["frame"], np.uint8), cv2.IMREAD_COLOR)
            assert image.shape == (96, 128, 3)
            head = ears.until("head", lambda m: m["left"] is not None)
            assert abs(head["distance_mm"] - simulated.config.screen.distance_mm) < 60
            assert np.all(np.abs(np.array(head["left"]) - 0.5) < 0.5)
            status = ears.until("status", lambda m: m["clock"] is not None and m["loss"]["both"] is not None)
            assert status["state"] == "recording"
            assert status["planned_s"] == 600.0
            assert status["streams"][GAZE.path]["received"] > 0
            assert status["clock"]["residual_us"] < 1000
            assert abs(status["clock"]["drift_ppm"]) < 1e5
            assert 0 <= status["loss"]["both"] <= status["loss"]["left"] <= 1
            assert status["nominal_hz"][GAZE.path] == 600.0
            rated = ears.until("status", lambda m: m["effective_hz"]["frames_2"] > 25)
            assert rated["effective_hz"][GAZE.path] > 500
            assert rated["minutes_left_on_disk"] > 0
            # Two seconds of gaze: all of them valid shapes, and no more than a window can draw.
            n_before = sum(len(m["t_us"]) for m in ears.heard["gaze"])
            began = time.monotonic()
            ears.until("gaze", lambda m: time.monotonic() - began > 2.0)
            assert 60 < sum(len(m["t_us"]) for m in ears.heard["gaze"]) - n_before < 150
            message = ears.heard["gaze"][-1]
            assert np.array(message["left"], dtype=float).shape == (len(message["t_us"]), 2)
            assert all(isinstance(valid, bool) for valid in message["right_valid"])
            recorder.stop()
            with pytest.raises(ConnectionError):
                while True:
                    ears.listen()
            assert ears.heard["status"][-1]["state"] == "closed"


def test_a_listener_that_is_stopped_or_killed_does_not_touch_the_recording(
    settings: RecorderSettings, lab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGSTOP a real listener process in the middle of a recording, then SIGKILL it."""
    import subprocess
    import sys

    monkeypatch.syspath_prepend(HERE)
    listener = HERE.parent / "live" / "listener.py"
    with Recorder(dataclasses.replace(settings, device_factory="recorder_lab:pulses")) as recorder:
        recorder.start()
        process = subprocess.Popen(
            [sys.executable, str(listener), recorder.live.address, recorder.live.key_hex, "listens"],
            stdout=subprocess.PIPE, text=True, cwd=HERE.parents[2],
            env={**os.environ, "PYTHONPATH": str(HERE.parents[2])},
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "connected\n"
        for number in (signal.SIGSTOP, signal.SIGKILL):
            os.kill(process.pid, number)
            before = recorder.status().durable[GAZE.path]
            lab.until(lambda before=before: recorder.status().durable[GAZE.path] > before + 300)
        process.wait()
        process.stdout.close()
        summary = recorder.stop()
    assert (summary.reason, summary.problems, summary.status.dropped) == ("complete", (), 0)


def test_nothing_is_computed_while_nobody_listens(settings: RecorderSettings, lab: SimpleNamespace) -> None:
    recording = Recording(settings, [lab.tracker(lab.steady_gaze), lab.camera(lab.steady_frames)])
    server = LiveServer()
    feed = LiveFeed(server, recording, 10.0)
    asked = threading.Event()
    status = recording.status

    def counted() -> Any:
        asked.set()
        return status()

    recording.status = counted  # type: ignore[method-assign]
    recording.start()
    before = status().stream(GAZE.path).received
    lab.until(lambda: status().stream(GAZE.path).received > before + 300)
    assert not asked.is_set()
    assert [type(observer) for observer in recording._sink.observers] == [SyncTap]
    with LiveClient(server.address):
        assert asked.wait(10.0)
        lab.until(lambda: len(recording._sink.observers) == 2)
    lab.until(lambda: len(recording._sink.observers) == 1)
    feed.close()
    assert recording._sink.observers == ()
    server.close()
    recording.finish()


def test_a_feed_that_fails_does_not_end(settings: RecorderSettings, lab: SimpleNamespace) -> None:
    recording = Recording(settings, [lab.tracker(lab.steady_gaze)])
    server = LiveServer()
    feed = LiveFeed(server, recording, 10.0)
    recording.start()
    status = recording.status

    def broken() -> None:
        raise OSError("no counters")

    recording.status = broken  # type: ignore[method-assign, assignment]
    with LiveClient(server.address) as client:
        ears = Ears(client)
        ears.until("gaze", lambda m: True)
        recording.status = status  # type: ignore[method-assign]
        ears.until("status", lambda m: True)
    feed.close()
    server.close()
    assert recording.finish().problems == ()


def test_a_feed_that_cannot_open_leaves_the_recording_alone(
    settings: RecorderSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A folder for temporary files whose name leaves no room for a socket's."""
    far_away = tmp_path / ("x" * 120)
    far_away.mkdir()
    monkeypatch.setenv("TMPDIR", str(far_away))
    # A folder that this process has used for sockets before would be handed on.
    monkeypatch.delitem(multiprocessing.current_process()._config, "tempdir", raising=False)  # type: ignore[attr-defined]
    monkeypatch.syspath_prepend(HERE)
    with Recorder(dataclasses.replace(settings, device_factory="recorder_lab:pulses")) as recorder:
        recorder.start()
        with pytest.raises(RecordingError, match="no live feed"):
            _ = recorder.live
        assert recorder.stop().problems == ()


def test_markers_of_the_writer_itself_are_shown(settings: RecorderSettings, lab: SimpleNamespace) -> None:
    """What is dropped is marked by the writer's own thread; the operator must see it, too."""
    burst = threading.Event()

    def deliver(sink: Any, stop: threading.Event) -> None:
        sink.rows(GAZE.path, lab.gaze_rows(1, 0))
        burst.wait(10)
        for number in range(4):
            sink.rows(GAZE.path, lab.gaze_rows(900, number * 2_000_000))
        stop.wait(10)

    config = lab.make_config(recording={"queue_seconds": 1.0})
    recording = Recording(dataclasses.replace(settings, config=config), [lab.tracker(deliver)])
    seen: list[str] = []

    class Tap:
        def rows(self, table: str, rows: np.ndarray) -> None:
            if table == MARKERS.path:
                seen.extend(bytes(kind).decode() for kind in rows["kind"])

        def frame(self, stream: str, frame: CapturedFrame) -> None:
            """Nothing."""

    recording.observe(Tap())
    recording.start()
    burst.set()
    lab.until(lambda: markers.SAMPLES_DROPPED in seen)
    recording.finish()
    with open_session(settings.path) as session:
        assert markers.SAMPLES_DROPPED in list(session.table(MARKERS).column("kind"))


def test_the_clock_is_that_since_the_last_reset() -> None:
    host = 1_000_000_000 + np.arange(60) * 1_000_000
    device = host - 5_000_000 - (np.arange(60) * 20)
    device[30:] += 777_000_000
    message = clock_message(list(zip(device.tolist(), host.tolist(), strict=True)), "time_sync")
    assert message is not None
    assert message["drift_ppm"] == pytest.approx(20.0, abs=0.1)
    assert message["offset_us"] == pytest.approx(host[-1] - device[-1], abs=1)
    assert message["residual_us"] < 1
    assert message["n"] == 30
    assert clock_message([(1, 2)] * 5, "gaze") is None
    tap = SyncTap()
    row = TIME_SYNC.empty(1)
    row["t_request_us"], row["t_device_us"], row["t_response_us"] = 1000, 5, 1300
    for _ in range(400):
        tap.rows(TIME_SYNC.path, row)
    assert (len(tap.pairs), tap.pairs[0]) == (300, (5, 1150))


def test_loss_is_counted_by_eye_over_ten_seconds() -> None:
    window = LossWindow()
    assert window.shares(0.0) == {"left": None, "right": None, "both": None}
    rows = GAZE.empty(10)
    rows["left_gaze_valid"][:8] = 1
    rows["right_gaze_valid"][1:7] = 1
    window.add(rows, 0.0)
    assert window.shares(5.0) == {"left": 0.2, "right": 0.4, "both": 0.2}
    rows["left_gaze_valid"] = rows["right_gaze_valid"] = 1
    window.add(rows, 9.0)
    assert window.shares(9.5)["right"] == 0.2
    assert window.shares(10.5) == {"left": 0.0, "right": 0.0, "both": 0.0}


def test_gaze_is_thinned_and_the_head_forgotten() -> None:
    rows = GAZE.empty(120)
    rows["t_system_us"] = np.arange(120)
    rows["left_gaze_norm"] = np.nan
    message = gaze_message(rows, 6)
    assert message["t_us"].tolist() == [20, 40, 60, 79, 99, 119]
    assert len(gaze_message(rows[:4], 6)["t_us"]) == 4
    position = USER_POSITION.empty(1)
    position["left_valid"], position["left_position_norm"] = 1, (0.5, 0.4, 0.3)
    rows["right_origin_valid"], rows["right_origin_user_mm"] = 1, (0, 0, 640.0)
    head = head_message((10.0, position), rows, 10.5)
    assert (head["left"].tolist(), head["right"], head["distance_mm"]) == ([0.5, 0.4, 0.3], None, 640.0)
    assert head_message((10.0, position), rows[:0], 12.0) == {
        "kind": "head", "left": None, "right": None, "distance_mm": None
    }  # fmt: skip


def test_a_preview_is_small() -> None:
    image = np.full((720, 1280, 3), 128, dtype=np.uint8)
    message, payload = preview(1, CapturedFrame(5, image))
    assert message == {"kind": "frame", "camera": 1, "t_us": 5, "width": 480, "height": 270}
    assert cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_COLOR).shape == (270, 480, 3)
