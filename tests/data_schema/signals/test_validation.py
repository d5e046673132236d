"""Gaze at known targets: measured, stored, and measured again."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from data_schema.errors import SessionFileError
from data_schema.session import SessionWriter, open_session
from data_schema.session.layout import CALIBRATION_ATTEMPTS, GAZE, VALIDATION_POINTS, make_row
from data_schema.session.stored_validation import (
    point_row,
    points_of_rows,
    recompute_validation,
    stored_drift,
    stored_validation,
)
from data_schema.signals.validation import PointQuality, drift_between, measure_point, summarise
from data_schema.study.config import parse_config

from .recordings import SCREEN, gaze_rows, stamps

CONFIG = parse_config({"study": {"title": "t"}}, "t")


def shifted(
    target: tuple[float, float], by_deg: tuple[float, float], n: int, noise_deg: float, seed: int
) -> np.ndarray:
    """Return gaze near a target, shares of the display area."""
    rng = np.random.default_rng(seed)
    return np.array(target) + np.array([SCREEN.deg_to_norm(1.0)]) * (rng.normal(0, noise_deg, (n, 2)) + by_deg)


def test_a_point_equals_etdqualitizer_on_the_real_validation(shared_data: Path) -> None:
    samples = pd.read_csv(shared_data / "etdqualitizer" / "Tobii_Spectrum_600Hz.tsv.gz", sep="\t")
    expected = pd.read_csv(shared_data / "etdqualitizer" / "expected_600Hz.csv")
    for row in expected.itertuples():
        part = samples[samples["target_id"] == row.target_id]
        rows = GAZE.empty(len(part))
        rows["t_system_us"] = np.round(part["timestamp"].to_numpy() * 1000)
        norm = part[[f"{row.eye}_x", f"{row.eye}_y"]].to_numpy() / [SCREEN.width_px, SCREEN.height_px] + 0.5
        rows[f"{row.eye}_gaze_norm"], rows[f"{row.eye}_gaze_valid"] = norm, np.isfinite(norm[:, 0])
        target = part[["tar_x", "tar_y"]].to_numpy()[0] / [SCREEN.width_px, SCREEN.height_px] + 0.5
        first, last = int(rows["t_system_us"][0]), int(rows["t_system_us"][-1])
        point = measure_point(rows, target, row.eye, SCREEN, first, last + 1)
        # The file keeps gaze as float32: 0.06 millidegrees on this screen.
        assert_allclose(point.accuracy_deg, row.accuracy, atol=1e-5)
        assert_allclose(point.precision_rms_s2s_deg, row.rms_s2s, rtol=1e-4)
        assert_allclose(point.precision_sd_deg, row.std, rtol=1e-4)
        assert_allclose(point.bcea_deg2, row.bcea, rtol=1e-4)
        assert_allclose(100 * point.data_loss, row.data_loss, atol=1e-9)


def test_only_the_window_is_measured_and_only_valid_gaze() -> None:
    t_us = stamps(1200)
    target = (0.8, 0.5)
    rows = gaze_rows(t_us, shifted(target, (0.5, 0.0), 1200, 0.02, 1))
    rows["left_gaze_norm"][:300] = (0.1, 0.1)
    rows["left_gaze_valid"][500:560] = 0
    rows["left_gaze_norm"][500:560] = (0.9, 0.9)
    point = measure_point(rows, target, "left", SCREEN, int(t_us[300]), int(t_us[900]))
    assert point.n_samples == 600
    assert point.data_loss == pytest.approx(0.1)
    assert point.offset_deg[0] == pytest.approx(0.5, rel=0.15) and abs(point.offset_deg[1]) < 0.02
    empty = measure_point(rows, target, "left", SCREEN, 0, 10)
    assert (empty.n_samples, empty.data_loss) == (0, 1.0) and math.isnan(empty.accuracy_deg)


def test_both_eyes_are_averaged_sample_by_sample() -> None:
    t_us, target = stamps(600), (0.5, 0.5)
    rows = gaze_rows(t_us, shifted(target, (0.0, 0.0), 600, 0.0, 1))
    rows["left_gaze_norm"], rows["right_gaze_norm"] = (
        shifted(target, (0.6, 0.0), 600, 0.0, 1),
        shifted(target, (-0.6, 0.0), 600, 0.0, 1),
    )
    window = (int(t_us[0]), int(t_us[-1]) + 1)
    assert measure_point(rows, target, "both", SCREEN, *window).accuracy_deg == pytest.approx(0.0, abs=1e-4)
    rows["right_gaze_valid"] = 0
    one = measure_point(rows, target, "both", SCREEN, *window)
    assert one.accuracy_deg == pytest.approx(0.6, rel=1e-3) and one.data_loss == 0.0


def test_a_row_keeps_a_point() -> None:
    point = PointQuality("right", (0.25, 0.5), 0.5, (0.25, -0.5), 0.125, 0.5, 2.0, 0.25, 301, 7, 500_007)
    assert points_of_rows(point_row(3, point)) == [point]
    assert point_row(3, point)["attempt_id"] == 3


def test_a_target_without_gaze_counts_in_the_loss_alone() -> None:
    nan = math.nan
    points = [
        PointQuality("left", (0.2, 0.5), 0.4, (0.4, 0.0), 0.1, 0.1, 0.05, 0.0, 300, 0, 1),
        PointQuality("left", (0.8, 0.5), nan, (nan, nan), nan, nan, nan, 1.0, 300, 0, 1),
    ]
    summary = summarise(points, "left")
    assert (summary.accuracy_deg, summary.data_loss) == (0.4, 0.5)
    assert (summary.n_points, summary.n_points_without_gaze) == (2, 1)
    assert math.isnan(summarise(points, "right").accuracy_deg)


TARGETS = ((0.2, 0.5), (0.8, 0.5))


def write_session(path: Path, windows: bool = True) -> None:
    """Write a validation (attempt 2, of calibration 1) and a re-check (3) in which the right eye has moved."""
    t_us = stamps(2400)
    with SessionWriter.create(path, participant="P001", session="01", config_json=CONFIG.to_json()) as writer:
        rows = gaze_rows(t_us, np.full((2400, 2), 0.5))
        for number in range(4):
            part = slice(600 * number, 600 * (number + 1))
            for seed, eye in enumerate(("left", "right")):
                moved = 0.9 if eye == "right" and number >= 2 else 0.0
                rows[f"{eye}_gaze_norm"][part] = shifted(TARGETS[number % 2], (0.3 + moved, 0.1), 600, 0.05, seed)
        rows["left_gaze_valid"][40:50] = 0
        writer.append(GAZE.path, rows)
        for number in range(4):
            first, last = int(t_us[600 * number]), int(t_us[600 * number]) + 500_000
            for eye in ("left", "right"):
                point = measure_point(rows, TARGETS[number % 2], eye, SCREEN, first, last)
                row = point_row(2 if number < 2 else 3, point)
                if not windows:
                    row["t_from_us"] = row["t_until_us"] = 0
                writer.append(VALIDATION_POINTS.path, row)
        for attempt_id, kind, validates in ((1, "calibration", 0), (2, "validation", 1), (3, "recheck", 1)):
            writer.append(
                CALIBRATION_ATTEMPTS.path,
                make_row(CALIBRATION_ATTEMPTS, t_system_us=attempt_id, attempt_id=attempt_id, kind=kind,
                         validates=validates, chosen=kind != "recheck", eyes="both"),
            )  # fmt: skip


def test_the_same_comes_out_of_the_file_again(tmp_path: Path) -> None:
    path = tmp_path / "sub-P001_ses-01.h5"
    write_session(path)
    with open_session(path) as session:
        stored, again = stored_validation(session, 2), recompute_validation(session, 2)
        assert [(p.eye, p.target_norm) for p in again] == [(p.eye, p.target_norm) for p in stored]
        for one, other in zip(stored, again, strict=True):
            assert np.array_equal(point_row(2, one), point_row(2, other))
        assert stored[0].data_loss == pytest.approx(10 / 300)
        both = recompute_validation(session, 2, eyes=("left", "both"))
        assert [point.eye for point in both] == ["left", "both", "left", "both"]


def test_changed_gaze_gives_other_figures(tmp_path: Path) -> None:
    """The figures come from the samples, not from the stored rows."""
    path = tmp_path / "sub-P001_ses-01.h5"
    write_session(path)
    import h5py

    with h5py.File(path, "r+") as file:
        gaze = file[GAZE.path][:]
        gaze["left_gaze_norm"][:600] += 0.02
        file[GAZE.path][:] = gaze
    with open_session(path) as session:
        stored, again = stored_validation(session, 2)[0], recompute_validation(session, 2)[0]
        assert again.accuracy_deg > stored.accuracy_deg + 0.5


def test_drift_between_two_validations(tmp_path: Path) -> None:
    path = tmp_path / "sub-P001_ses-01.h5"
    write_session(path)
    with open_session(path) as session:
        drift = stored_drift(session, 3)
        assert drift.per_eye_deg["left"] == pytest.approx((0.0, 0.0), abs=0.02)
        assert drift.per_eye_deg["right"] == pytest.approx((0.9, 0.0), rel=0.15, abs=0.02)
        assert drift.drift_deg == pytest.approx(math.hypot(*drift.per_eye_deg["right"]))
        assert drift.n_targets == 2
        now = stored_validation(session, 3)
        # Without an earlier validation the offset itself is the drift.
        assert drift_between([], now, ("left",)).drift_deg == pytest.approx(0.3, rel=0.15)
        assert math.isnan(drift_between(now, [], ("left",)).drift_deg)
        with pytest.raises(SessionFileError, match="there is no re-check with the number 2"):
            stored_drift(session, 2)


def test_what_cannot_be_measured_again_says_why(tmp_path: Path) -> None:
    path = tmp_path / "sub-P001_ses-01.h5"
    write_session(path, windows=False)
    with open_session(path) as session:
        with pytest.raises(SessionFileError, match="no validation with the number 9; there are: 2, 3"):
            recompute_validation(session, 9)
        with pytest.raises(SessionFileError, match=r"without its windows \(format before 1.1\)"):
            recompute_validation(session, 2)
