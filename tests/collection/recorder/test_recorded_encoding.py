"""A recording stores pictures as this machine can encode them, and says so in the file."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from collection.recorder import cameras
from collection.recorder.encoding_choice import EncodingChoice, choose_encoding
from collection.recorder.recording import Recording
from collection.recorder.settings import RecorderSettings
from data_schema.clocks import ScaledClock
from data_schema.session import markers
from data_schema.session.layout import FRAMES, MARKERS
from data_schema.session.reader import open_session


def record(settings: RecorderSettings, lab: SimpleNamespace) -> None:
    recording = Recording(settings, [lab.tracker(lab.steady_gaze), lab.camera(lab.steady_frames)])
    recording.start()
    lab.until(lambda: recording.status().stream("frames").received >= 20)
    assert recording.finish().problems == ()


def forbidden(*_: object, **__: object) -> EncodingChoice:
    raise AssertionError("nothing was to be measured")


def test_a_machine_that_is_too_slow_stores_a_smaller_picture_instead_of_dropping(
    settings: RecorderSettings, lab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(camera: object, preset: str, source: object, encoded: tuple[int, int], fps: float) -> float:
        return 2000.0 if encoded[0] <= lab.width // 2 and preset == "ultrafast" else 3.0

    monkeypatch.setattr("collection.recorder.encoding_choice.MIN_WIDTH_PX", 32)
    monkeypatch.setattr(cameras, "choose_encoding", lambda *a, **k: choose_encoding(*a, **k, measure=slow))
    camera = settings.config.camera.model_copy(update={"preset": "medium"})
    settings = dataclasses.replace(settings, config=settings.config.model_copy(update={"camera": camera}))
    record(settings, lab)
    with open_session(settings.path) as session:
        assert (session.video.stream.width_px, session.video.stream.height_px) == (lab.width // 2, lab.height // 2)
        assert session.video.decode(-1).shape == (lab.height // 2, lab.width // 2, 3)
        assert not session.table(FRAMES)[:]["missed_before"].any()
        marks = session.table(MARKERS).frame()
        chosen = marks[marks["kind"] == markers.ENCODER_CHOSEN]
        assert len(chosen) == 1
        assert "medium at 128x96 encodes only 3" in chosen["message"].iloc[0]
        assert "ultrafast at 64x48" in chosen["message"].iloc[0]
        assert chosen["value"].iloc[0] == 2000.0
        stored = next(device for device in session.devices if device["role"] == "camera")["details"]["encoding"]
    assert (stored["preset"], stored["width"], stored["height"], stored["as_asked"]) == ("ultrafast", 64, 48, False)
    assert (stored["measured_fps"], stored["sufficient"]) == (2000.0, True)
    assert json.dumps(stored)


def test_a_machine_that_is_fast_enough_stores_what_was_asked(settings: RecorderSettings, lab: SimpleNamespace) -> None:
    """With the real measurement."""
    record(settings, lab)
    with open_session(settings.path) as session:
        assert session.video.decode(0).shape == (lab.height, lab.width, 3)
        marks = session.table(MARKERS).frame()
        message = marks.loc[marks["kind"] == markers.ENCODER_CHOSEN, "message"].iloc[0]
    assert "ultrafast at 128x96 as asked" in message


def test_a_study_can_forbid_to_adapt(
    settings: RecorderSettings, lab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cameras, "choose_encoding", forbidden)
    camera = settings.config.camera.model_copy(update={"adapt": False})
    settings = dataclasses.replace(settings, config=settings.config.model_copy(update={"camera": camera}))
    record(settings, lab)
    with open_session(settings.path) as session:
        assert session.video.decode(0).shape == (lab.height, lab.width, 3)
        assert markers.ENCODER_CHOSEN not in set(session.table(MARKERS).column("kind"))


def test_frames_that_wait_for_the_encoder_need_no_choice(
    settings: RecorderSettings, lab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cameras, "choose_encoding", forbidden)
    record(dataclasses.replace(settings, clock=ScaledClock.starting_now(4.0)), lab)
    with open_session(settings.path) as session:
        assert np.diff(session.table(FRAMES)[:]["pts"]).min() > 0
