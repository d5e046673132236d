from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from data_schema.signals.eye_signals import prepare_eye_signals
from data_schema.signals.faces import FACE_FRAME_DTYPE
from data_schema.signals.features import (
    EYE_FEATURE_NAMES,
    SUMMARY_FEATURE_NAMES,
    PupilBaseline,
    eye_features,
    summary_features,
)
from data_schema.signals.features.summary import main_sequence_slope

from ..recordings import SCREEN, gaze_rows, spectrum_600hz, stamps
from .test_chunked import BASELINE, END, START, wandering

SPAN = (START, END)


def named(rows, faces=None, span=SPAN, baseline=BASELINE):
    values, mask = summary_features(prepare_eye_signals(rows, None, SCREEN), faces, span, baseline)
    assert values.dtype == np.float32
    assert np.isfinite(values).all()
    assert (values[~mask] == 0).all()
    return {name: float(v) for name, v, known in zip(SUMMARY_FEATURE_NAMES, values, mask, strict=True) if known}


def test_a_summary_begins_with_the_eye_features_over_the_whole_clip():
    signals = prepare_eye_signals(wandering(), None, SCREEN)
    values, mask = summary_features(signals, None, SPAN, BASELINE)
    whole, known = eye_features(signals, *SPAN, 1, BASELINE)
    assert SUMMARY_FEATURE_NAMES[: len(EYE_FEATURE_NAMES)] == EYE_FEATURE_NAMES
    assert_array_equal(values[: len(EYE_FEATURE_NAMES)], whole[0])
    assert_array_equal(mask[: len(EYE_FEATURE_NAMES)], known[0])


def test_the_course_of_the_pupil():
    found = named(wandering())  # 0.1 mm wider each second, 3.0 at the start; baselines 3.0 and 2.9
    quarters = [found[f"pupil_change_quarter_{n}"] for n in (1, 2, 3, 4)]
    assert_allclose(quarters, [0.05, 0.15, 0.25, 0.35], atol=2e-3)
    assert found["pupil_peak"] == pytest.approx(0.1 + 0.1 * 3.875, abs=2e-3)
    assert found["pupil_peak_latency"] == pytest.approx(3.875)
    assert found["pupil_trough_latency"] == pytest.approx(0.125)
    assert found["pupil_trough"] == pytest.approx(0.1125, abs=2e-3)


def test_a_dilation_is_found_where_it_is():
    t_us = stamps(600 * 6, 600.0, START - 1_000_000)
    t_s = (t_us - START) / 1e6
    # With noise, as every tracker has: without it the slow parts would make the dilation itself an outlier in speed.
    noise = np.random.default_rng(0).normal(0, 0.01, len(t_us))
    pupil_mm = 3.0 + 0.4 * np.exp(-((t_s - 2.6) ** 2) / 0.2) + noise
    rows = gaze_rows(t_us, np.full((len(t_us), 2), 0.5), pupil_mm=pupil_mm)
    found = named(rows, baseline=PupilBaseline(3.0, 3.0))
    assert found["pupil_peak_latency"] == pytest.approx(2.625, abs=0.13)
    assert found["pupil_peak"] == pytest.approx(0.4, abs=0.02)
    assert "pupil_peak" not in named(rows, baseline=PupilBaseline(3.0))
    assert "pupil_change_quarter_1" not in named(rows, baseline=PupilBaseline(trial_mm=3.0))


def test_eye_movements_of_a_known_scanpath():
    found = named(wandering())
    assert (found["fixation_count"], found["saccade_count"]) == (10, 10)  # a jump every 0.4 s
    assert found["fixation_rate"] == pytest.approx(2.5)
    for name in ("p10", "median", "p90"):
        assert found[f"fixation_duration_{name}"] == pytest.approx(0.38, abs=0.03)
    assert found["fixation_duration_sd"] < 0.02
    assert found["k_pair_count"] == 10
    assert found["k_duration_mean"] == pytest.approx(found["fixation_duration_mean"], rel=1e-5)
    assert found["k_amplitude_mean"] == pytest.approx(found["saccade_amplitude_mean"], rel=0.2)
    assert found["saccade_main_sequence_slope"] > 10
    assert 2.0 < found["scan_stationary_entropy"] <= np.log2(10) + 1e-6
    assert "scan_transition_entropy" not in found  # nine steps are too few
    assert "k_coefficient" not in found  # the session is not known yet
    assert found["blink_count"] == 0


def test_the_main_sequence_of_saccades_that_follow_it():
    amplitude = np.array([1.5, 3.0, 6.0, 9.0, 12.0, 30.0, 0.2])
    velocity = np.array([100 + 25 * a for a in amplitude[:5]] + [500.0, 999.0])
    assert main_sequence_slope(amplitude, velocity) == pytest.approx(25.0)
    assert np.isnan(main_sequence_slope(amplitude[:4], velocity[:4]))
    assert np.isnan(main_sequence_slope(np.linspace(3, 4.5, 20), np.arange(20.0)))


def test_without_gaze_nothing_is_known_and_nothing_fails():
    assert named(wandering()[:0]) == {}
    lost = wandering()
    for side in ("left", "right"):
        for name in ("gaze", "pupil", "origin"):
            lost[f"{side}_{name}_valid"] = 0
    found = named(lost)
    assert found["gaze_valid_share"] == 0
    assert "fixation_count" not in found
    assert "pupil_peak" not in found
    # A clip shorter than a sample.
    assert named(wandering(60.0), span=(START, START + 5_000)) == {}
    with pytest.raises(ValueError, match="ends after"):
        named(wandering(), span=(START, START))


def faces_at(times_s, yaw, found=None):
    rows = np.zeros(len(times_s), dtype=FACE_FRAME_DTYPE)
    rows["t_us"] = START + np.asarray(times_s) * 1e6
    rows["found"] = True if found is None else found
    rows["yaw_deg"], rows["pitch_deg"], rows["roll_deg"] = yaw, 2.0, -3.0
    rows["size_px"], rows["sharpness"], rows["brightness"] = 60.0, 120.0, 0.5
    lost = ~rows["found"]
    for name in ("yaw_deg", "pitch_deg", "roll_deg", "size_px", "sharpness", "brightness"):
        rows[name][lost] = np.nan
    return rows


def test_the_face_and_the_head():
    times = np.arange(20) * 0.2
    found = named(wandering()[:0], faces_at(times, 5.0 * times))
    assert found["head_speed"] == pytest.approx(5.0, rel=1e-4)
    assert found["head_yaw_mean"] == pytest.approx(9.5, rel=1e-4)
    assert found["head_pitch_sd"] == pytest.approx(0.0, abs=1e-5)
    assert (found["face_found_share"], found["face_size_mean"], found["face_brightness_mean"]) == (1.0, 60.0, 0.5)
    # The head turned while nobody saw it: that is no speed.
    gone = np.ones(20, dtype=bool)
    gone[8:12] = False
    jumped = named(wandering()[:0], faces_at(times, np.where(times < 2.0, 0.0, 40.0), gone))
    assert jumped["face_found_share"] == pytest.approx(0.8)
    assert jumped["head_speed"] == pytest.approx(0.0, abs=1e-5)
    nobody = named(wandering()[:0], faces_at(times, 0.0, np.zeros(20, dtype=bool)))
    assert nobody == {"face_found_share": 0.0}


def test_a_real_recording_has_nearly_all_of_them(shared_data):
    rows = spectrum_600hz(shared_data)
    t_us = rows["t_system_us"]
    found = named(rows, span=(int(t_us[600]), int(t_us[-600])), baseline=PupilBaseline(3.0, 3.0))
    missing = [name for name in SUMMARY_FEATURE_NAMES if name not in found]
    named_so = ("face", "head", "openness", "light", "k_coefficient", "blink")
    assert all(any(word in name for word in named_so) for name in missing), missing
    # Collewijn, Erkelens and Steinman (1988): 300 to 400 deg/s at 10 deg; the slope of small saccades is steeper.
    assert 15 < found["saccade_main_sequence_slope"] < 60
    assert 0.1 < found["fixation_duration_median"] < 1.0
    assert 0 < found["scan_transition_entropy"] < found["scan_stationary_entropy"] <= np.log2(40)
