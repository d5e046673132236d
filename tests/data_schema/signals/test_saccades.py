from __future__ import annotations

import numpy as np
import pytest

from data_schema.signals.fixations import IVTParameters, SampleKind, classify_directions
from data_schema.signals.saccades import SACCADE_DTYPE, saccade_table

from .recordings import stamps


def test_nothing_fast_is_no_saccade():
    table = saccade_table(np.zeros(4, dtype=bool), stamps(4), np.ones((4, 3)), np.zeros(4), 1667.0)
    assert table.dtype == SACCADE_DTYPE
    assert len(table) == 0


@pytest.mark.parametrize("amplitude_deg", [5.0, 10.0, 30.0])
def test_amplitude_and_peak_of_a_known_saccade(amplitude_deg):
    # Position along a raised cosine: the peak speed is pi / 2 times the mean.
    rate_hz, duration_s = 1200.0, 0.08
    t_us = stamps(1200, rate_hz)
    phase = np.clip(((t_us - t_us[0]) / 1e6 - 0.5) / duration_s, 0.0, 1.0)
    angle = np.radians(amplitude_deg) * (1.0 - np.cos(np.pi * phase)) / 2.0
    direction = np.column_stack([np.sin(angle), np.zeros_like(angle), -np.cos(angle)])
    found = classify_directions(t_us, direction, parameters=IVTParameters(velocity_window_ms=2.0))
    assert len(found.saccades) == 1
    saccade = found.saccades[0]
    assert saccade["amplitude_deg"] == pytest.approx(amplitude_deg, rel=0.1 if amplitude_deg == 5.0 else 0.03)
    assert saccade["amplitude_deg"] <= amplitude_deg
    assert saccade["peak_velocity_deg_s"] == pytest.approx(np.pi / 2 * amplitude_deg / duration_s, rel=0.01)
    assert saccade["t_start_us"] == t_us[saccade["first"]]
    assert (found.kind == SampleKind.SACCADE).sum() == saccade["last"] - saccade["first"] + 1
    # A longer window flattens the peak.
    wide = classify_directions(t_us, direction, parameters=IVTParameters(velocity_window_ms=40.0)).saccades[0]
    assert wide["peak_velocity_deg_s"] < saccade["peak_velocity_deg_s"]
