"""Alarms: in time, with a sentence to act on, gone when the trouble is."""

from __future__ import annotations

import pytest

from collection.console.light import PictureState
from collection.console.messages import ERROR, RECORDER, SESSION, WARNING

GAZE = "/eye/gaze"


def test_a_good_session_is_quiet(lab) -> None:
    lab.begin()
    lab.run(30.0, loss={"left": 0.02, "right": 0.03}, clock={"residual_us": 240.0}, minutes_left_on_disk=900.0)
    assert lab.alarms() == []


@pytest.mark.parametrize("stream", [GAZE, "frames"])
def test_a_silent_stream_raises_an_alarm_within_two_seconds(lab, stream: str) -> None:
    lab.begin()
    lab.run(5.0)
    began_s = lab.now_s
    while f"silent:{stream}" not in lab.alarms(ERROR):
        lab.run(0.1, silent=(stream,))
        assert lab.now_s - began_s < 2.0
    assert lab.now_s - began_s > 1.0, "a hiccup is no alarm"
    alarm = lab.alarm(f"silent:{stream}")
    assert alarm.text.startswith("NO DATA")
    assert "cable" in alarm.remedy
    lab.run(0.2)
    assert lab.alarms() == []


def test_one_cable_is_one_alarm_and_no_gaze_is_no_good_gaze(lab) -> None:
    lab.begin()
    lab.run(5.0, loss={"left": 0.01, "right": 0.01})
    assert not lab.model.gaze_silent
    lab.run(3.0, silent=(GAZE, "/eye/openness"), loss={"left": 0.01, "right": 0.01})
    assert lab.alarms(ERROR) == [f"silent:{GAZE}"]
    assert "gaze, eye openness" in lab.alarm(f"silent:{GAZE}").text
    assert lab.model.gaze_silent
    assert lab.model.loss == {"left": None, "right": None}
    lab.run(0.2, loss={"left": 0.01, "right": 0.01})
    assert (lab.model.gaze_silent, lab.model.loss["left"]) == (False, 0.01)


def test_streams_that_may_pause_are_not_watched(lab) -> None:
    lab.begin()
    lab.run(8.0, silent=("/eye/time_sync",))
    assert lab.alarms() == []


def test_the_recorders_own_word_counts_as_well(lab) -> None:
    lab.begin()
    lab.run(1.0)
    # As with a stream that trickles: something arrives, but the recorder has seen the gap.
    lab.model.streams.streams[GAZE].silent_s = 2.4
    assert lab.alarms(ERROR) == [f"silent:{GAZE}"]


def test_a_recorder_that_says_nothing_is_told_apart_from_silent_streams(lab) -> None:
    lab.begin()
    lab.run(3.0)
    lab.wait(1.9)
    assert lab.alarms(ERROR) == ["silent:recorder"]
    lab.run(0.1)
    assert lab.alarms() == [], "streams are not blamed for the time in which nobody could hear them"


def test_lost_connections_are_shown_and_found_again(lab) -> None:
    lab.begin()
    lab.model.set_link(RECORDER, False)
    assert lab.alarms(ERROR) == ["link:recorder"]
    lab.model.set_link(SESSION, False)
    assert set(lab.alarms(ERROR)) == {"link:session", "link:recorder"}
    assert "emer record resume" in lab.alarm("link:session").remedy
    for feed in (SESSION, RECORDER):
        lab.model.set_link(feed, True)
    lab.run(0.1)
    assert lab.alarms() == []


def test_the_end_of_a_session_is_no_alarm(lab) -> None:
    lab.begin()
    lab.session("alarm", key="dropped", text="168 frames were dropped so far.", level="warning")
    lab.session("ended", reason="complete")
    for feed in (SESSION, RECORDER):
        lab.model.set_link(feed, False)
    lab.wait(10.0)
    assert lab.alarms() == []


@pytest.mark.parametrize("recorded", [False, True])
def test_a_session_that_went_without_a_recording_gives_nothing_to_resume(lab, recorded: bool) -> None:
    lab.begin() if recorded else lab.model.set_link(SESSION, True)
    lab.session("recorder", address="", key_hex="")
    for feed in (SESSION, RECORDER):
        lab.model.set_link(feed, False)
    lab.wait(5.0)
    assert lab.alarms(ERROR) == []
    assert lab.alarms() == ["link:session"]
    assert "resume" not in lab.alarm("link:session").remedy


def test_before_anything_was_connected_there_is_no_alarm(lab) -> None:
    lab.wait(30.0)
    assert lab.alarms() == []


def test_a_slow_rate_is_said_once_it_can_be_judged(lab) -> None:
    lab.begin()
    lab.run(5.0, slow=0.5)
    assert lab.alarms() == []
    lab.run(10.0, slow=0.5)
    assert set(lab.alarms(WARNING)) == {f"rate:{GAZE}", "rate:/eye/openness", "rate:frames"}
    assert "15 Hz instead of 30" in lab.alarm("rate:frames").text
    assert "exposure" in lab.alarm("rate:frames").remedy


def test_a_short_hiccup_of_the_rate_is_no_warning(lab) -> None:
    lab.begin()
    lab.run(20.0)
    lab.run(0.4, slow=0.2)
    assert lab.alarms() == []
    assert lab.model.streams.streams[GAZE].rate_hz == pytest.approx(600 * 0.97, rel=0.01)


def test_lost_eyes_are_named(lab) -> None:
    lab.begin()
    lab.run(0.1, loss={"left": 0.2, "right": 0.8})
    assert lab.alarms() == ["loss:right"]
    lab.run(0.1, loss={"left": 0.9, "right": 0.8})
    assert lab.alarms() == ["loss:both"]
    lab.session("setup", title="t", max_gaze_loss=0.95)
    assert lab.alarms() == []


def test_loss_is_worked_out_here_if_the_recorder_does_not_say(lab) -> None:
    lab.begin()
    times = [lab.model._host_us() + i * 16_667 for i in range(600)]
    lab.recorder(
        "gaze", t_us=times, left=[[0.5, 0.5]] * 600, right=[None] * 600, left_valid=[1] * 600, right_valid=[0] * 600
    )
    assert lab.model.loss == {"left": 0.0, "right": 1.0}
    assert lab.alarms() == ["loss:right"]


def test_clock_disk_and_distance(lab) -> None:
    lab.begin(remaining_s=1800.0)
    lab.session("setup", title="t", screen={"distance_mm": 650.0})
    lab.run(0.1, clock={"residual_us": 1500.0, "drift_ppm": 1.0}, minutes_left_on_disk=31.0)
    assert set(lab.alarms(WARNING)) == {"clock", "disk"}
    lab.run(0.1, minutes_left_on_disk=2.0)
    assert lab.alarms(ERROR) == ["disk"]
    lab.run(0.1, minutes_left_on_disk=200.0)
    lab.recorder("head", left=None, right=None, distance_mm=520.0)
    assert lab.alarms() == ["distance"]
    assert "back" in lab.alarm("distance").remedy


def test_camera_warnings(lab) -> None:
    lab.begin()
    face = (0.3, 0.2, 0.2, 0.5)
    for state, expected in (
        (PictureState(120, face=face, face_known=True), []),
        (PictureState(120, face=None, face_known=True, no_face_s=1.0), []),
        (PictureState(120, face=None, face_known=True, no_face_s=4.0), ["face:1"]),
        (PictureState(20, face=face, face_known=True), ["light:1"]),
        (PictureState(120, face=face, face_known=True, frozen_s=3.0), ["frozen:1"]),
    ):
        lab.model.set_picture(1, state)
        assert lab.alarms() == expected
    lab.run(3.0, silent=("frames",))
    assert lab.alarms() == ["silent:frames"], "a camera without pictures is one trouble, not two"


def test_the_sessions_alarms_stand_until_they_are_taken_back(lab) -> None:
    lab.begin()
    lab.session("alarm", key="tracker", text="Connection lost. Plug it in.", level="error")
    assert lab.alarms(ERROR) == ["session:tracker"]
    lab.session("alarm", key="tracker", text="", level="note")
    assert lab.alarms() == []
    lab.session("alarm", key="silent frames", text="the camera is silent", level="error")
    assert lab.alarms() == [], "heard from the recorder directly"
    lab.model.set_link(RECORDER, False)
    assert "session:silent frames" in lab.alarms(ERROR)


def test_errors_come_first(lab) -> None:
    lab.begin()
    lab.session("alarm", key="a", text="just so", level="note")
    lab.run(3.0, silent=("frames",), loss={"left": 0.9, "right": 0.9})
    assert [alarm.level for alarm in lab.model.alarms] == ["error", "warning", "note"]
