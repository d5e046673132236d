"""From words to devices."""

from __future__ import annotations

from pathlib import Path

import pytest

from collection.devices.base import Device
from collection.devices.faulty import FaultyDevice
from collection.devices.registry import create_camera, create_eye_tracker
from collection.devices.replay import ReplayCamera, ReplayEyeTracker
from collection.devices.simulated import SimulatedEyeTracker
from collection.devices.simulated_camera import SimulatedCamera
from collection.devices.tobii import TobiiEyeTracker
from collection.devices.video_file import VideoFileCamera
from collection.devices.webcam import Webcam
from data_schema.errors import UsageError

from .device_lab import CONFIG, ManualClock, person, write_video


def tracker(spec: str, **options: object) -> Device:
    return create_eye_tracker(spec, **{"config": CONFIG, "clock": ManualClock(), "seed": 3, **options})  # type: ignore[arg-type]


def camera(spec: str, **options: object) -> Device:
    return create_camera(spec, **{"config": CONFIG, "clock": ManualClock(), "seed": 3, **options})  # type: ignore[arg-type]


def test_each_spec_makes_its_device(tmp_path: Path) -> None:
    video = write_video(tmp_path / "face.mp4", [0, 40])
    assert isinstance(tracker("simulated"), SimulatedEyeTracker)
    assert isinstance(tracker("tobii"), TobiiEyeTracker)
    assert isinstance(tracker("replay:some/where.h5"), ReplayEyeTracker)
    assert isinstance(camera("simulated"), SimulatedCamera)
    assert isinstance(camera("0"), Webcam)
    assert isinstance(camera("udp://127.0.0.1:18999"), Webcam)
    assert isinstance(camera(str(video)), VideoFileCamera)
    assert isinstance(camera(f"replay:{video}"), VideoFileCamera)
    assert isinstance(camera("replay:some/where.h5"), ReplayCamera)
    assert isinstance(camera("some/where.h5"), ReplayCamera)
    by_address = tracker("tobii:tet-tcp://172.28.195.1")
    assert isinstance(by_address, TobiiEyeTracker)
    assert by_address.which == "tet-tcp://172.28.195.1"
    by_serial = tracker("tobii:TPSP1-010203040506")
    assert isinstance(by_serial, TobiiEyeTracker)
    assert by_serial.which == "TPSP1-010203040506"
    badly = tracker("simulated:uncalibrated,offcentre")
    assert isinstance(badly, SimulatedEyeTracker)
    assert (badly.options.uncalibrated, badly.options.offcentre, badly.options.wandering) == (True, True, False)


def test_the_study_decides_rates_and_sizes() -> None:
    config = CONFIG.model_copy(
        update={
            "eye_tracker": CONFIG.eye_tracker.model_copy(update={"rate_hz": 250.0}),
            "camera": CONFIG.camera.model_copy(update={"width_px": 640, "height_px": 360, "fps": 15.0}),
        }
    )
    someone = person("P042")
    eyes, face = tracker("simulated", config=config, participant=someone), camera("simulated", config=config)
    assert isinstance(eyes, SimulatedEyeTracker)
    assert isinstance(face, SimulatedCamera)
    assert eyes.participant is someone
    assert eyes.rate_hz == 250.0
    assert (face.width_px, face.height_px, face.fps) == (640, 360, 15.0)
    assert face.participant.seed == 3


def test_faults_are_written_before_the_device() -> None:
    device = tracker("faulty:silence@3.5+2:simulated")
    assert isinstance(device, FaultyDevice)
    assert isinstance(device.device, SimulatedEyeTracker)
    assert [(f.kind, f.at_s, f.duration_s) for f in device.faults] == [("silence", 3.5, 2.0)]
    at_once = tracker("faulty:one_eye:simulated:wandering")
    assert isinstance(at_once, FaultyDevice)
    assert [(f.kind, f.at_s, f.duration_s) for f in at_once.faults] == [("one_eye", 0.0, float("inf"))]
    nested = camera("faulty:stall@1+1:faulty:disconnect@9:simulated")
    assert isinstance(nested, FaultyDevice)
    assert isinstance(nested.device, FaultyDevice)
    assert nested.device.faults[0].duration_s == float("inf")


@pytest.mark.parametrize(
    ("make", "spec", "message"),
    [
        (tracker, "simulatd", "Did you mean 'simulated'"),
        (tracker, "Tobi", "Did you mean 'tobii'"),
        (tracker, "eyelink", r"Known: tobii, simulated, replay:FILE"),
        (tracker, "replay", "Did you mean 'replay'|Known"),
        (tracker, "", "There is no eye tracker"),
        (camera, "simulate", "Did you mean 'simulated'"),
        (camera, "", "There is no camera"),
        (camera, "webcam", "There is no camera 'webcam'"),
        (tracker, "faulty:silence:simulated", "faulty:silence@3"),
        (tracker, "faulty:silense@3:simulated", "Did you mean 'silence'"),
        (tracker, "faulty:one_eyed:simulated", "Did you mean 'one_eye'"),
        (tracker, "simulated:offcenter", "Did you mean 'offcentre'"),
        (tracker, "faulty:silence@1.2.3:simulated", "numbers of seconds"),
        (tracker, "faulty:silence@1:nonsense", "There is no eye tracker 'nonsense'"),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_one(make, spec: str, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match=message):
        make(spec)


def test_a_recording_in_place_of_a_tracker_is_told_how_to_be_replayed(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"x")
    with pytest.raises(UsageError, match="replay:"):
        tracker(str(tmp_path / "a.h5"))
