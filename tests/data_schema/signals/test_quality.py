from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from data_schema.signals.gaps import find_gaps
from data_schema.signals.quality import (
    accuracy_deg,
    bcea_deg2,
    contour_ellipse,
    data_loss,
    effective_rate_hz,
    frame_quality,
    gaze_quality,
    mean_offset_deg,
    rms_s2s_deg,
    sd_deg,
    windowed_precision_deg,
)

from .recordings import SCREEN, gaze_rows, spectrum_600hz, stamps


def test_equals_etdqualitizer_on_its_own_example(shared_data):
    samples = pd.read_csv(shared_data / "etdqualitizer" / "Tobii_Spectrum_600Hz.tsv.gz", sep="\t")
    expected = pd.read_csv(shared_data / "etdqualitizer" / "expected_600Hz.csv")
    assert len(expected) == 18
    for row in expected.itertuples():
        part = samples[samples["target_id"] == row.target_id]
        px = part[[f"{row.eye}_x", f"{row.eye}_y"]].to_numpy()
        gaze = SCREEN.norm_to_deg(px / [SCREEN.width_px, SCREEN.height_px] + 0.5)
        valid = np.isfinite(gaze[:, 0])
        # Microseconds times 1000, so that stamps of whole numbers keep the file's digits.
        t_us = np.round(part["timestamp"].to_numpy() * 1000).astype(np.int64)
        assert_allclose(rms_s2s_deg(gaze), row.rms_s2s, rtol=1e-6)
        assert_allclose(sd_deg(gaze), row.std, rtol=1e-6)
        target_px = part[["tar_x", "tar_y"]].to_numpy()[0]
        target = SCREEN.norm_to_deg(target_px / [SCREEN.width_px, SCREEN.height_px] + 0.5)
        assert_allclose(accuracy_deg(gaze, target), row.accuracy, rtol=1e-6)
        assert_allclose(bcea_deg2(gaze), row.bcea, rtol=1e-6)
        assert_allclose(100 * data_loss(valid), row.data_loss, rtol=1e-6, atol=1e-12)
        assert_allclose(effective_rate_hz(t_us, valid), row.effective_frequency, rtol=1e-6)


def test_known_noise_is_measured():
    rng = np.random.default_rng(1)
    gaze = rng.normal(0.0, 0.1, (60_000, 2))
    t_us = stamps(len(gaze))
    assert rms_s2s_deg(gaze) == pytest.approx(0.2, rel=0.02)
    assert sd_deg(gaze) == pytest.approx(0.1 * np.sqrt(2), rel=0.02)
    rms, sd = windowed_precision_deg(t_us, gaze)
    assert rms == pytest.approx(0.2, rel=0.02)
    assert sd == pytest.approx(0.141, rel=0.02)
    # A saccade in the middle raises the plain figures, not the windowed ones.
    gaze[30_000:] += 10.0
    assert sd_deg(gaze) > 5.0
    assert windowed_precision_deg(t_us, gaze)[1] == pytest.approx(0.141, rel=0.02)


def test_offset_has_a_size_and_a_direction():
    target = np.array([10.0, -5.0])
    gaze = np.tile(target, (50, 1)) + [0.6, 0.0]
    gaze[7] = np.nan
    # An azimuth of 0.6 deg at an elevation of 5 deg is a little less of visual angle.
    right, down = mean_offset_deg(gaze, target)
    assert right == pytest.approx(0.6 * np.cos(np.radians(5.0)), rel=1e-3)
    assert abs(down) < 0.02
    assert mean_offset_deg(np.tile(target, (9, 1)), target) == pytest.approx((0.0, 0.0), abs=1e-9)
    below = mean_offset_deg(np.tile(target, (9, 1)) + [0.0, 0.4], target)
    assert below[1] == pytest.approx(0.4, rel=1e-2)
    assert np.isnan(accuracy_deg(np.full((4, 2), np.nan), target))


def test_contour_ellipse_has_the_area_and_holds_its_share():
    rng = np.random.default_rng(3)
    gaze = rng.multivariate_normal([1.0, 2.0], [[0.09, 0.04], [0.04, 0.04]], 20_000)
    outline = contour_ellipse(gaze, n_corners=720)
    x, y = outline.T
    area = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))
    assert area == pytest.approx(bcea_deg2(gaze), rel=1e-3)
    inverse = np.linalg.inv(np.cov(gaze.T))
    centred = gaze - gaze.mean(axis=0)
    inside = np.einsum("ni,ij,nj->n", centred, inverse, centred) <= -2 * np.log(1 - 0.68)
    assert inside.mean() == pytest.approx(0.68, abs=0.01)
    assert contour_ellipse(np.full((5, 2), np.nan)).shape == (0, 2)
    assert np.isnan(bcea_deg2(np.full((5, 2), np.nan)))


def test_loss_per_eye_rate_and_holes():
    t_us = stamps(6000)
    gaze = np.full((6000, 2), 0.5)
    gaze[1000:1600] = np.nan
    rows = gaze_rows(t_us, gaze)
    rows["left_gaze_valid"][:300] = 0
    quality = gaze_quality(rows, SCREEN)
    assert quality.rate_hz == pytest.approx(600.0, rel=1e-3)
    assert quality.loss_left == pytest.approx(0.15)
    assert quality.loss_right == quality.loss_both == pytest.approx(0.10)
    assert quality.effective_rate_hz == pytest.approx(540.0, rel=1e-3)
    assert quality.longest_loss_s == pytest.approx(1.0, abs=0.01)
    assert quality.n_gaps == 0
    cut = np.delete(rows, slice(3000, 3300))
    assert gaze_quality(cut, SCREEN).n_gaps == 1
    assert find_gaps(cut["t_system_us"])[0].duration_s == pytest.approx(0.5, abs=0.01)


def test_real_hole_is_found(shared_data):
    openness = pd.read_csv(shared_data / "tobii_spectrum_600hz" / "eye_openness.csv.gz")
    gaps = find_gaps(openness["system_time_stamp"].to_numpy().astype(np.int64))
    assert len(gaps) == 1
    assert gaps[0].duration_s == pytest.approx(0.538, abs=0.005)


def test_real_recording(shared_data):
    quality = gaze_quality(spectrum_600hz(shared_data), SCREEN)
    assert quality.rate_hz == pytest.approx(600.0, rel=0.01)
    assert 0.0 < quality.loss_both <= min(quality.loss_left, quality.loss_right) < 0.2
    assert 0.02 < quality.rms_s2s_deg < 0.5


def test_frames_of_a_real_camera(shared_data):
    table = pd.read_csv(shared_data / "camera_timestamps" / "pupil_invisible_world_timestamps_VFR.csv")
    t_us = table.iloc[:, -1].to_numpy().astype(np.int64) // 1000
    quality = frame_quality(t_us, np.zeros(len(t_us), dtype=np.int32))
    assert quality.n_frames == 516
    assert quality.rate_hz == pytest.approx(29.23, abs=0.05)
    assert quality.median_interval_ms == pytest.approx(33.2, abs=0.2)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_nearly_nothing(n):
    quality = gaze_quality(gaze_rows(stamps(n), np.full((n, 2), 0.5)), SCREEN)
    assert quality.n_samples == n
    assert frame_quality(stamps(n), np.zeros(n, dtype=np.int32)).n_missed == 0
