"""The eye's signals of a clip, from the rows of its session."""

from __future__ import annotations

import numpy as np

from data_schema.derived.parameters import DerivedSettings
from data_schema.derived.spans import ClipSpan
from data_schema.session.layout import GAZE, OPENNESS
from data_schema.session.reader import Session
from data_schema.signals.eye_signals import EyeSignals, prepare_eye_signals, prepare_pupil
from data_schema.signals.features import PupilBaseline
from data_schema.signals.gaze import ScreenGeometry
from data_schema.signals.luminance import LightEffect
from data_schema.signals.pupil import baseline_mm

#: Seconds of gaze read before and after a clip, so that events at its ends are whole.
MARGIN_S = 0.5


def clip_eyes(
    session: Session,
    clip: ClipSpan,
    settings: DerivedSettings,
    screen: ScreenGeometry,
    luminance: LightEffect | None = None,
) -> EyeSignals:
    """Compute the signals of a clip and of half a second around it; empty where there is no gaze."""
    margin_us = round(MARGIN_S * 1e6)
    low, high = clip.t_start_us - margin_us, clip.t_end_us + margin_us
    gaze, openness = session.table(GAZE).between(low, high), session.table(OPENNESS).between(low, high)
    return prepare_eye_signals(gaze, openness, screen, settings.signals, luminance)


def pupil_baselines(session: Session, settings: DerivedSettings) -> dict[int, PupilBaseline]:
    """Measure the participant's pupil before each stimulus; of all trials, without any label.

    Returns
    -------
    dict of int to PupilBaseline
        By trial.
    """
    before: dict[int, float] = {}
    for trial in session.trials():
        span = (trial.t_onset_us - round(settings.baseline_s * 1e6), trial.t_onset_us)
        gaze, openness = session.table(GAZE).between(*span), session.table(OPENNESS).between(*span)
        before[trial.trial_id] = baseline_mm(prepare_pupil(gaze, openness, settings.signals))
    known = [value for value in before.values() if np.isfinite(value)]
    session_mm = float(np.median(known)) if known else float("nan")
    return {trial: PupilBaseline(session_mm, value) for trial, value in before.items()}
