"""The simulated tracker against the SDK's conventions and what is known of eyes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from collection.devices import sdk
from collection.devices.base import PlantedReaction
from collection.devices.simulated import SimulatedEyeTracker
from collection.simulation.eye_movements import saccade_duration_s
from data_schema.clocks import ScaledClock, fit_clock
from data_schema.errors import DeviceError
from data_schema.session.layout import GAZE, OPENNESS, TIME_SYNC, USER_POSITION

from .device_lab import SCREEN, Collector, ManualClock, person, record, wait_until


def _recorded(seconds: float = 60.0, rate_hz: float = 600.0, **simulation: float) -> Collector:
    clock = ManualClock()
    tracker = SimulatedEyeTracker(clock, person(**simulation), SCREEN, rate_hz)
    sink = record(tracker, clock, seconds)
    tracker.close()
    return sink


def _angles_deg(gaze: np.ndarray, eye: str = "left") -> np.ndarray:
    mm = (gaze[f"{eye}_gaze_norm"].astype(float) - 0.5) * (SCREEN.width_mm, SCREEN.height_mm)
    return np.degrees(np.arctan(mm / SCREEN.distance_mm))


@pytest.mark.parametrize("rate_hz", [60.0, 250.0, 1200.0])
def test_rate_and_regularity(rate_hz: float) -> None:
    gaze = _recorded(5.0, rate_hz).table(GAZE.path)
    assert len(gaze) == pytest.approx(5.0 * rate_hz, abs=0.01 * rate_hz + 2)
    device_us = np.diff(gaze["t_device_us"])
    assert np.abs(device_us - 1e6 / rate_hz).max() < 3
    assert np.median(np.diff(gaze["t_system_us"])) == pytest.approx(1e6 / rate_hz, rel=0.02)
    assert np.all(gaze["t_received_us"] > gaze["t_system_us"])


def test_invalid_means_nan_and_valid_means_a_number() -> None:
    sink = _recorded(loss_share=0.1)
    gaze, openness = sink.table(GAZE.path), sink.table(OPENNESS.path)
    for eye in ("left", "right"):
        valid = gaze[f"{eye}_gaze_valid"].astype(bool)
        assert 0.7 < valid.mean() < 0.97
        for name, flag in (
            ("gaze_norm", "gaze"),
            ("gaze_user_mm", "gaze"),
            ("pupil_mm", "pupil"),
            ("origin_user_mm", "origin"),
        ):
            values = gaze[f"{eye}_{name}"].reshape(len(gaze), -1)
            np.testing.assert_array_equal(gaze[f"{eye}_{flag}_valid"].astype(bool), valid)
            assert np.isnan(values[~valid]).all()
            assert np.isfinite(values[valid]).all()
        seen = openness[f"{eye}_valid"].astype(bool)
        np.testing.assert_array_equal(np.isnan(openness[f"{eye}_openness_mm"]), ~seen)
        assert seen.mean() > valid.mean()
    both_lost = (gaze["left_gaze_valid"] == 0) & (gaze["right_gaze_valid"] == 0)
    one_lost = (gaze["left_gaze_valid"] == 0) ^ (gaze["right_gaze_valid"] == 0)
    assert both_lost.any()
    assert one_lost.any()


def test_the_loss_that_was_asked_for_is_lost() -> None:
    openness = _recorded(300.0, 100.0, loss_share=0.08, blink_rate_hz=0.0, subject_effect=0.0).table(OPENNESS.path)
    # Four fifths of the episodes take the left eye.
    assert 1 - openness["left_valid"].mean() == pytest.approx(0.8 * 0.08, rel=0.35)


def test_blinks_close_both_eyes_and_take_the_gaze_away() -> None:
    sink = _recorded(120.0, blink_rate_hz=0.3, loss_share=0.0, subject_effect=0.0)
    gaze, openness = sink.table(GAZE.path), sink.table(OPENNESS.path)
    shut = openness["left_openness_mm"] < 2.0
    assert np.all(gaze["left_gaze_valid"][shut] == 0)
    assert np.all(gaze["right_gaze_valid"][shut] == 0)
    assert np.all(openness["right_openness_mm"][shut] < 3.0)
    n_blinks = np.count_nonzero(np.diff(shut.astype(int)) == 1)
    assert n_blinks == pytest.approx(0.3 * 120, rel=0.4)
    starts = np.flatnonzero(np.diff(shut.astype(int)) == 1)
    ends = np.flatnonzero(np.diff(shut.astype(int)) == -1)
    durations_s = (ends[: len(starts)] - starts[: len(ends)]) / 600.0
    assert 0.03 < np.median(durations_s) < 0.3
    assert openness["left_openness_mm"][~shut].max() < 12


def test_saccades_lie_on_the_main_sequence() -> None:
    """Peak velocity grows with amplitude as 1.875 amplitude / duration, the minimum-jerk profile."""
    gaze = _recorded(60.0, 1200.0, blink_rate_hz=0.0, loss_share=0.0).table(GAZE.path)
    angle = _angles_deg(gaze)
    kernel = np.ones(7) / 7
    smooth = np.column_stack([np.convolve(angle[:, axis], kernel, mode="same") for axis in (0, 1)])
    speed = np.hypot(*(np.gradient(smooth, axis=0) * 1200.0).T)
    fast = speed > 60
    edges = np.flatnonzero(np.diff(fast.astype(int)))
    starts, ends = edges[:-1][fast[edges[:-1] + 1]], edges[1:][fast[edges[:-1] + 1]]
    checked = 0
    for start, end in zip(starts, ends, strict=True):
        before, after = smooth[max(start - 25, 0)], smooth[min(end + 25, len(smooth) - 1)]
        amplitude = float(np.hypot(*(after - before)))
        if amplitude < 3:
            continue
        expected = 1.875 * amplitude / saccade_duration_s(amplitude)
        assert speed[start : end + 1].max() == pytest.approx(expected, rel=0.25)
        checked += 1
    assert checked > 20
    # Carpenter's line for the sequence of Bahill, Clark and Stark: 43 ms at 10 degrees.
    assert saccade_duration_s(10.0) == pytest.approx(0.043)


def test_fixations_are_precise_and_gaze_stays_on_the_screen() -> None:
    gaze = _recorded().table(GAZE.path)
    step_deg = np.hypot(*np.diff(_angles_deg(gaze), axis=0).T)
    assert 0.02 < np.nanmedian(step_deg) < 0.2
    seen = gaze["left_gaze_norm"][gaze["left_gaze_valid"] == 1]
    assert np.all(np.abs(seen - 0.5) < 0.5, axis=1).mean() > 0.99


def test_user_coordinates_agree_with_the_display_area() -> None:
    gaze = _recorded(5.0).table(GAZE.path)
    valid = gaze["left_gaze_valid"] == 1
    x_mm = (gaze["left_gaze_norm"][valid, 0] - 0.5) * SCREEN.width_mm
    np.testing.assert_allclose(gaze["left_gaze_user_mm"][valid, 0], x_mm, atol=0.1)
    # y grows upwards in the user coordinate system, downwards on the display.
    assert np.corrcoef(gaze["left_gaze_norm"][valid, 1], gaze["left_gaze_user_mm"][valid, 1])[0, 1] < -0.999
    apart = gaze["right_origin_user_mm"][:, 0] - gaze["left_origin_user_mm"][:, 0]
    assert np.nanmedian(apart) == pytest.approx(63.0, abs=1.0)
    position = _recorded(5.0).table(USER_POSITION.path)
    seen = position["left_valid"] == 1
    assert np.all((position["left_position_norm"][seen] > 0) & (position["left_position_norm"][seen] < 1))


def test_the_pupil_answers_arousal_after_a_latency() -> None:
    quiet = person(blink_rate_hz=0.0, loss_share=0.0, noise=0.0)
    clock = ManualClock()
    tracker = SimulatedEyeTracker(clock, quiet, SCREEN, 300.0)
    tracker.connect()
    onset_us = clock.now_us() + 6_000_000
    tracker.react(PlantedReaction(onset_us, 1, "fear", "neutral", arousal=0.9))
    sink = record(tracker, clock, 12.0)
    tracker.close()
    gaze = sink.table(GAZE.path)
    since_s = (gaze["t_system_us"] - onset_us) / 1e6

    def pupil(start_s: float, stop_s: float) -> float:
        return float(np.nanmean(gaze["left_pupil_mm"][(since_s >= start_s) & (since_s < stop_s)]))

    assert pupil(0.0, 0.3) == pytest.approx(pupil(-0.4, 0.0), abs=0.02)
    # Hippus of up to 0.07 mm rides on the planted 0.4 mm.
    assert pupil(2.0, 5.0) - pupil(-3.0, 0.0) > 0.25


def test_felt_emotions_move_the_eyes_as_planted() -> None:
    def gaze_of(emotion: str) -> np.ndarray:
        clock = ManualClock()
        tracker = SimulatedEyeTracker(clock, person(noise=0.0, blink_rate_hz=0.0), SCREEN, 120.0)
        tracker.connect()
        tracker.react(PlantedReaction(clock.now_us(), 1, emotion, "neutral"))
        sink = record(tracker, clock, 60.0)
        tracker.close()
        return _angles_deg(sink.table(GAZE.path))

    sad, afraid, surprised = gaze_of("sadness"), gaze_of("fear"), gaze_of("surprise")
    assert np.nanmean(sad[:, 1]) - np.nanmean(surprised[:, 1]) > 2.0
    assert np.nanstd(afraid[:, 0]) > 1.4 * np.nanstd(sad[:, 0])


def test_the_device_clock_has_its_own_drift_that_can_be_recovered() -> None:
    clock = ManualClock()
    tracker = SimulatedEyeTracker(clock, person(), SCREEN, 120.0, drift_ppm=37.0)
    gaze = record(tracker, clock, 120.0).table(GAZE.path)
    tracker.close()
    model = fit_clock(gaze["t_device_us"], gaze["t_system_us"])
    # The model maps device to host, so a device that runs fast has a negative slope there.
    assert abs(model.segments[0].drift_ppm) == pytest.approx(37.0, abs=3.0)
    assert np.abs(model.to_system(gaze["t_device_us"]) - gaze["t_system_us"]).max() < 2_000


def test_time_synchronisation_brackets_the_device_clock() -> None:
    sink = _recorded(10.0, 60.0)
    sync = sink.table(TIME_SYNC.path)
    assert len(sync) == pytest.approx(10, abs=1)
    assert np.all(sync["t_request_us"] < sync["t_response_us"])
    gaze = sink.table(GAZE.path)
    slope, offset = np.polyfit(
        gaze["t_device_us"] - gaze["t_device_us"][0], gaze["t_system_us"] - gaze["t_system_us"][0], 1
    )
    host_us = slope * (sync["t_device_us"] - gaze["t_device_us"][0]) + offset + gaze["t_system_us"][0]
    assert np.all(host_us > sync["t_request_us"] - 100)
    assert np.all(host_us < sync["t_response_us"] + 100)


def test_same_seed_same_samples_other_seed_or_participant_other_samples() -> None:
    def left_gaze(code: str, seed: int) -> np.ndarray:
        clock = ManualClock()
        tracker = SimulatedEyeTracker(clock, person(code, seed), SCREEN, 120.0)
        sink = record(tracker, clock, 2.0)
        tracker.close()
        return sink.table(GAZE.path)["left_gaze_norm"]

    one = left_gaze("P001", 7)
    np.testing.assert_array_equal(one, left_gaze("P001", 7))
    assert not np.array_equal(one, left_gaze("P001", 8), equal_nan=True)
    assert not np.array_equal(one, left_gaze("P002", 7), equal_nan=True)


@pytest.mark.parametrize("speed", [5.0, 60.0])
def test_speed_changes_the_duration_and_not_the_content(speed: float) -> None:
    clock = ScaledClock.starting_now(speed)
    tracker = SimulatedEyeTracker(clock, person(), SCREEN, 300.0)
    sink = Collector()
    tracker.connect()
    tracker.start(sink)
    wait_until(lambda: len(sink.table(GAZE.path)) >= 300, "one second of samples")
    tracker.stop()
    tracker.close()
    manual = _recorded(1.5, 300.0)
    for name in ("left_gaze_norm", "right_pupil_mm", "left_origin_user_mm", "right_gaze_valid"):
        np.testing.assert_array_equal(sink.table(GAZE.path)[name][:300], manual.table(GAZE.path)[name][:300])


def test_sdk_dictionary_and_row_are_inverse() -> None:
    gaze = _recorded(10.0, loss_share=0.1).table(GAZE.path)
    valid, lost = gaze[gaze["left_gaze_valid"] == 1][0], gaze[gaze["left_gaze_valid"] == 0][0]
    for row in (valid, lost):
        sample = sdk.sdk_dictionary(row)
        assert set(sample) == {column.sdk_field for column in GAZE.columns if column.sdk_field}
        assert isinstance(sample["left_gaze_point_on_display_area"], tuple)
        assert isinstance(sample["device_time_stamp"], int)
        back = sdk.gaze_row(sample, int(row["t_received_us"]))
        assert back.tobytes() == row.tobytes()
    assert math.isnan(sdk.sdk_dictionary(lost)["left_pupil_diameter"])
    assert sdk.sdk_dictionary(lost)["left_pupil_validity"] == 0


@pytest.mark.parametrize("rate_hz", [0.0, -60.0, 1201.0])
def test_an_impossible_rate_is_refused_with_the_key_to_change(rate_hz: float) -> None:
    with pytest.raises(DeviceError, match=r"rate_hz in \[eye_tracker\]"):
        SimulatedEyeTracker(ManualClock(), person(), SCREEN, rate_hz)


def test_a_sink_that_fails_ends_the_stream_with_an_event() -> None:
    class Failing(Collector):
        def rows(self, table: str, rows: np.ndarray) -> None:
            raise OSError("no space left")

    clock = ManualClock()
    tracker = SimulatedEyeTracker(clock, person(), SCREEN, 120.0)
    sink = record(tracker, clock, 1.0, Failing())
    tracker.close()
    assert [kind for kind, *_ in sink.events] == ["device_fault"]
    assert "no space left" in sink.events[0][1]


def test_stop_pays_what_is_owed_through_a_slow_sink() -> None:
    class Slow(Collector):
        def rows(self, table: str, rows: np.ndarray) -> None:
            super().rows(table, rows)
            if table == GAZE.path:
                pause.wait(0.005)

    import threading

    pause = threading.Event()
    clock = ManualClock()
    tracker = SimulatedEyeTracker(clock, person(), SCREEN, 1200.0)
    sink = record(tracker, clock, 20.0, Slow())
    tracker.close()
    assert len(sink.table(GAZE.path)) == pytest.approx(20 * 1200, abs=10)


def test_what_is_delivered_at_once_is_what_the_clock_would_have_brought() -> None:
    waited = _recorded(3.0, 120.0)
    clock = ManualClock()
    tracker = SimulatedEyeTracker(clock, person(), SCREEN, 120.0)
    with pytest.raises(DeviceError, match="before connect"):
        tracker.deliver(Collector(), clock.now_us(), clock.now_us() + 1)
    tracker.connect()
    at_once = Collector()
    tracker.deliver(at_once, clock.now_us(), clock.now_us() + 3_000_000)
    tracker.close()
    for table in (GAZE.path, OPENNESS.path, USER_POSITION.path, TIME_SYNC.path):
        assert at_once.table(table).tobytes() == waited.table(table).tobytes()
