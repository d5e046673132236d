"""What is encoded is what this machine can encode, and never more than the study asks for."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from collection.recorder import encoding_choice
from collection.recorder.encoder import VideoEncoder
from collection.recorder.encoding_choice import MARGIN, PRESETS, EncoderMeter, camera_like, choose_encoding
from data_schema.errors import MediaError
from data_schema.study.sections import CameraSection


class Machine:
    """A machine whose speed is known: frames a second of ultrafast at 1920x1080, each slower preset a share of it."""

    def __init__(self, fps_ultrafast_1080: float, share_a_preset: float = 0.6) -> None:
        self.fps = fps_ultrafast_1080
        self.share = share_a_preset
        self.asked: list[tuple[str, tuple[int, int]]] = []

    def __call__(
        self, camera: CameraSection, preset: str, source: tuple[int, int], encoded: tuple[int, int], fps: float
    ) -> float:
        self.asked.append((preset, encoded))
        slower = len(PRESETS) - 1 - PRESETS.index(preset)
        return self.fps * self.share**slower * (1920 * 1080) / (encoded[0] * encoded[1])


@pytest.fixture(autouse=True)
def four_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)


def test_what_is_asked_is_kept_where_the_machine_can() -> None:
    machine = Machine(200.0)
    choice = choose_encoding(CameraSection(preset="superfast"), 1920, 1080, 30.0, measure=machine)
    assert (choice.preset, choice.width, choice.height) == ("superfast", 1920, 1080)
    assert choice.as_asked and choice.sufficient
    assert machine.asked == [("superfast", (1920, 1080))], "a machine that is fast enough is measured once"


def test_a_preset_gives_way_before_the_size_and_no_further_than_needed() -> None:
    # ultrafast 100, superfast 60, veryfast 36, faster 21.6; needed are 45.
    choice = choose_encoding(CameraSection(preset="faster"), 1920, 1080, 30.0, measure=Machine(100.0))
    assert (choice.preset, choice.width, choice.height) == ("superfast", 1920, 1080)
    assert not choice.as_asked and choice.sufficient
    assert choice.measured_fps == pytest.approx(60.0)
    assert "faster at 1920x1080 encodes only 22" in choice.reason and "superfast" in choice.reason


def test_then_the_size_gives_way_to_the_largest_that_is_fast_enough() -> None:
    # 30 frames/s at 1920x1080: 53 at 1440x810.
    choice = choose_encoding(CameraSection(preset="veryfast"), 1920, 1080, 30.0, measure=Machine(30.0))
    assert (choice.preset, choice.width, choice.height) == ("ultrafast", 1440, 810)


def test_nothing_finer_than_asked_is_ever_measured() -> None:
    for preset in PRESETS:
        for fps in (5.0, 50.0, 500.0, 5000.0):
            machine = Machine(fps)
            choice = choose_encoding(CameraSection(preset=preset), 1280, 720, 30.0, measure=machine)
            assert all(PRESETS.index(tried) >= PRESETS.index(preset) for tried, _ in machine.asked)
            assert choice.width <= 1280 and choice.height <= 720
            assert choice.width % 2 == choice.height % 2 == 0


def test_the_margin_leaves_room_for_the_rest() -> None:
    just_enough, too_little = Machine(30.0 * MARGIN), Machine(30.0 * MARGIN - 1)
    assert choose_encoding(CameraSection(), 1920, 1080, 30.0, measure=just_enough).as_asked
    assert not choose_encoding(CameraSection(), 1920, 1080, 30.0, measure=too_little).as_asked


def test_one_bad_moment_does_not_make_the_picture_worse() -> None:
    rates = iter([20.0, 90.0, 80.0])
    choice = choose_encoding(CameraSection(), 1920, 1080, 30.0, measure=lambda *_: next(rates))
    assert choice.as_asked
    assert choice.measured_fps == 80.0


def test_one_good_moment_on_a_busy_machine_is_not_believed() -> None:
    rates = iter([32.0, 50.0, 31.0, 60.0])
    choice = choose_encoding(CameraSection(), 1920, 1080, 30.0, measure=lambda *_: next(rates))
    assert (choice.width, choice.height) == (1440, 810)
    assert "encodes only 32" in choice.reason


def test_two_cameras_on_few_processors_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert choose_encoding(CameraSection(), 1920, 1080, 30.0, measure=Machine(80.0)).as_asked
    assert not choose_encoding(CameraSection(), 1920, 1080, 30.0, measure=Machine(80.0), n_cameras=2).as_asked
    assert not choose_encoding(CameraSection(), 1920, 1080, 30.0, measure=Machine(60.0)).as_asked, (
        "few processors, large margin"
    )
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert choose_encoding(CameraSection(), 1920, 1080, 30.0, measure=Machine(60.0), n_cameras=2).as_asked


def test_a_machine_that_is_too_slow_for_anything_says_so() -> None:
    choice = choose_encoding(CameraSection(), 1920, 1080, 30.0, measure=Machine(1.0))
    assert not choice.sufficient
    assert (choice.preset, choice.width) == ("ultrafast", 480)
    assert "dropped" in choice.reason and "[camera]" in choice.reason


def test_small_pictures_are_not_made_smaller() -> None:
    choice = choose_encoding(CameraSection(), 320, 240, 30.0, measure=lambda *_: 3.0)
    assert (choice.width, choice.height) == (320, 240)
    assert not choice.sufficient


def test_an_unknown_preset_is_named() -> None:
    with pytest.raises(MediaError, match=r"warpspeed.*study\.toml"):
        choose_encoding(CameraSection(preset="warpspeed"), 640, 360, 30.0)


def test_odd_pictures_are_stored_even() -> None:
    choice = choose_encoding(CameraSection(), 641, 361, 30.0, measure=lambda *_: 500.0)
    assert (choice.width, choice.height) == (640, 360)
    assert choice.as_asked


def test_the_choice_can_be_stored() -> None:
    choice = choose_encoding(CameraSection(), 640, 360, 30.0, measure=lambda *_: 500.0)
    assert json.loads(json.dumps(choice.as_json()))["preset"] == "ultrafast"


def test_the_pictures_cost_like_a_cameras() -> None:
    """Noise that changes from frame to frame: still pictures would cost nearly nothing."""
    pictures = camera_like(320, 180)
    assert {picture.shape for picture in pictures} == {(180, 320, 3)}
    steps = [np.abs(a.astype(int) - b).mean() for a, b in zip(pictures[1:], pictures[:-1], strict=True)]
    assert min(steps) > 2.0

    def packet_bytes(images: list[np.ndarray]) -> float:
        encoder = VideoEncoder(320, 180, 30.0)
        sizes = [len(encoder.encode(images[i % len(images)], 33_333 * i).payload) for i in range(30)]
        encoder.close()
        return float(np.median(sizes))

    assert packet_bytes(pictures) > 5 * packet_bytes(pictures[:1])


def test_a_real_measurement_at_full_hd(monkeypatch: pytest.MonkeyPatch) -> None:
    """On any machine: a rate that is measured, a choice that fits it, and a slower preset that costs more."""
    monkeypatch.setattr(encoding_choice, "MEASURE_S", 0.2)
    meter, camera = EncoderMeter(), CameraSection()
    full, half = (1920, 1080), (960, 540)
    fast = meter(camera, "ultrafast", full, full, 30.0)
    assert fast > 2 * meter(camera, "slower", full, full, 30.0)
    assert meter(camera, "ultrafast", full, half, 30.0) > 1.2 * fast
    choice = choose_encoding(camera, *full, fast / MARGIN / 4)
    assert choice.as_asked and choice.measured_fps > fast / 4
    choice = choose_encoding(camera, *full, fast * 2)
    assert not choice.as_asked
