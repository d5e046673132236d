"""What is shown of the eyes is what the session holds, on the clip's own time line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from annotation.evidence import EvidenceParameters, eye_evidence
from annotation.evidence.signals import draw_map
from data_schema.session import SessionWriter
from data_schema.session.layout import GAZE, OPENNESS
from data_schema.session.reader import open_session
from data_schema.session.synthetic import synthetic_config
from data_schema.signals.coordinates import stimulus_box_norm

RATE_HZ = 500
ONSET_US = 10_000_000
#: Planted: start and end of each look in seconds from one second before the clip's onset, and where.
LOOKS = [(0.0, 1.4, 0.3, 0.4), (1.4, 1.8, 0.7, 0.6), (1.8, 3.0, 0.3, 0.4)]
#: Planted: eyes closed, seconds from the clip's onset.
BLINK_S = (1.2, 1.35)


def planted_session(path: Path, with_gaze: bool = True) -> Path:
    """One second before a clip of one second, and one after; looks and a blink are known."""
    n = 3 * RATE_HZ
    t_us = ONSET_US - 1_000_000 + np.arange(n) * 1_000_000 // RATE_HZ
    since_s = np.arange(n) / RATE_HZ
    xy = np.zeros((n, 2))
    for start, end, x, y in LOOKS:
        xy[(since_s >= start) & (since_s < end)] = (x, y)
    closed = (since_s - 1 >= BLINK_S[0]) & (since_s - 1 < BLINK_S[1])
    rows, openness = GAZE.empty(n), OPENNESS.empty(n)
    for table in (rows, openness):
        table["t_system_us"] = table["t_device_us"] = t_us
    for eye, shift in (("left", -0.01), ("right", 0.01)):
        rows[f"{eye}_gaze_norm"] = xy + (shift, 0.0)
        rows[f"{eye}_gaze_user_mm"] = np.column_stack(((xy[:, 0] - 0.5) * 528, (0.5 - xy[:, 1]) * 297, np.zeros(n)))
        rows[f"{eye}_origin_user_mm"] = (shift * 3000, 0.0, 650.0)
        rows[f"{eye}_pupil_mm"] = 3.0 + 0.2 * since_s
        for name in ("gaze_valid", "pupil_valid", "origin_valid"):
            rows[f"{eye}_{name}"] = ~closed
        openness[f"{eye}_openness_mm"], openness[f"{eye}_valid"] = np.where(closed, 0.5, 9.0), 1
    config = synthetic_config()
    with SessionWriter.create(path, participant="P001", session="01", config_json=config.to_json()) as writer:
        if with_gaze:
            writer.append(GAZE.path, rows)
            writer.append(OPENNESS.path, openness)
    return path


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    return planted_session(tmp_path / "planted.h5")


def evidence_of(path: Path, length_s: float = 2.0, **more: object):
    with open_session(path) as session:
        return eye_evidence(session, ONSET_US, ONSET_US + round(length_s * 1e6), **more)


def test_samples_stand_on_the_clips_time_line_and_are_the_mean_of_both_eyes(planted: Path) -> None:
    eyes = evidence_of(planted, 1.0)
    assert eyes.gaze_t_us[0] == 0 and eyes.gaze_t_us[-1] == 1_000_000 - 1_000_000 // RATE_HZ
    assert len(eyes.gaze_t_us) == RATE_HZ == len(eyes.gaze_norm) == len(eyes.velocity_deg_s) == len(eyes.pupil_mm)
    # At the onset the person has looked at the first place for a second already, at 0.4 s the eyes jump.
    np.testing.assert_allclose(eyes.gaze_norm[10], (0.3, 0.4), atol=1e-6)
    np.testing.assert_allclose(eyes.gaze_norm[round(0.5 * RATE_HZ)], (0.7, 0.6), atol=1e-6)
    jump = eyes.gaze_t_us[np.nanargmax(eyes.velocity_deg_s)]
    assert abs(int(jump) - 400_000) < 15_000 or abs(int(jump) - 800_000) < 15_000


def test_fixations_are_cut_to_the_clip_and_lie_where_was_looked(planted: Path) -> None:
    fixations = evidence_of(planted, 1.0).fixations
    np.testing.assert_allclose(fixations[:, 2:], [(0.3, 0.4), (0.7, 0.6), (0.3, 0.4)], atol=0.01)
    # The first look began a second before the onset, the last goes on: both are cut, none is lost.
    assert fixations[0, 0] == 0 and fixations[-1, 1] == 1_000_000
    np.testing.assert_allclose(fixations[1, :2], (400_000, 800_000), atol=25_000)


def test_a_blink_is_found_and_its_pupil_is_not_shown(planted: Path) -> None:
    eyes = evidence_of(planted)
    # The lids' speed is taken over 25 ms, so that a jump of the openness counts half of that on both sides.
    np.testing.assert_allclose(eyes.blinks_us, [(1_188_000, 1_362_000)], atol=4_000)
    inside = (eyes.gaze_t_us > 1_200_000) & (eyes.gaze_t_us < 1_350_000)
    assert np.isnan(eyes.pupil_mm[inside]).all() and np.isnan(eyes.gaze_norm[inside]).all()
    assert np.isfinite(eyes.pupil_mm[eyes.gaze_t_us < 1_100_000]).all()


def test_the_map_weighs_fixations_by_how_long_they_lasted() -> None:
    long_left_short_right = np.array([[0, 3e6, 0.25, 0.5], [3e6, 4e6, 0.75, 0.5]])
    drawn = draw_map(long_left_short_right, (0.03, 0.05))
    assert drawn.dtype == np.float32 and drawn.max() == 1.0
    rows, columns = drawn.shape
    assert drawn[rows // 2, columns // 4] > 0.95
    assert drawn[rows // 2, columns * 3 // 4] == pytest.approx(1 / 3, abs=0.02)
    assert drawn[0].max() < 0.001
    assert not draw_map(np.zeros((0, 4)), (0.03, 0.05)).any()


def test_a_session_without_gaze_has_no_evidence(tmp_path: Path) -> None:
    assert evidence_of(planted_session(tmp_path / "blind.h5", with_gaze=False)) is None
    with open_session(planted_session(tmp_path / "late.h5")) as session:
        assert eye_evidence(session, 3_600_000_000, 3_601_000_000) is None


def test_every_parameter_is_told_by_name(planted: Path) -> None:
    assert evidence_of(planted).parameters == EvidenceParameters().by_name()
    told = EvidenceParameters(map_sigma_deg=0.5).by_name()
    assert told["map_sigma_deg"] == 0.5 and told["fixations.velocity_threshold_deg_s"] == 30.0


@pytest.mark.parametrize(
    ("stimulus", "box"),
    [((640, 360), (0, 0, 1, 1)), ((640, 480), (0.125, 0, 0.75, 1)), ((1920, 800), (0, 7 / 54, 1, 20 / 27))],
)
def test_the_stimulus_stands_where_the_presenter_puts_it(stimulus: tuple[int, int], box: tuple[float, ...]) -> None:
    assert stimulus_box_norm((1920, 1080), stimulus) == pytest.approx(box)


def test_the_evidence_knows_where_the_stimulus_stood(planted: Path) -> None:
    assert evidence_of(planted).stimulus_box_norm == (0, 0, 1, 1)
    assert evidence_of(planted, stimulus_size_px=(640, 480)).stimulus_box_norm == pytest.approx((0.125, 0, 0.75, 1))
