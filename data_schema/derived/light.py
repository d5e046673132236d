"""What the light of the stimulus does to a participant's pupil, from what a session holds of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_schema.derived.parameters import DerivedSettings
from data_schema.session.layout import FLIPS, GAZE, LUMINANCE, OPENNESS, decode_text
from data_schema.session.reader import Session, Trial
from data_schema.signals.eye_signals import prepare_pupil
from data_schema.signals.gaze import Float, Int, ScreenGeometry
from data_schema.signals.luminance import LightEffect, LightResponse, LightTrial, fit_light_response

Rows = npt.NDArray[np.void]


@dataclass(frozen=True)
class ShownLight:
    """The light of one trial.

    Parameters
    ----------
    light_t_us : ndarray of int64, shape (k,)
        From when on each luminance was shown, host clock, microseconds, increasing.
    luminance : ndarray of float64, shape (k,)
        Share of white.
    t_end_us : int
        Until when the last was shown.
    """

    light_t_us: Int
    luminance: Float
    t_end_us: int


def shown_light(session: Session) -> dict[int, ShownLight]:
    """Return the light of each trial whose stimulus' luminance is on file, by trial.

    When a frame was shown follows from the flips; without any (imported recordings) the clip is taken to have begun with the
    trial and to have kept its own time.
    """
    rows = session.table(LUMINANCE)[:]
    names = decode_text(rows["stimulus_id"])
    flips = session.table(FLIPS)[:]
    found = {}
    for trial in session.trials():
        mine = rows[names == trial.stimulus_id]
        if len(mine):
            found[trial.trial_id] = _light_of(trial, mine, flips[flips["trial_id"] == trial.trial_id])
    return found


def _light_of(trial: Trial, rows: Rows, flips: Rows) -> ShownLight:
    rows = rows[np.argsort(rows["clip_time_us"], kind="stable")]
    clip_us, luminance = rows["clip_time_us"].astype(np.int64), rows["luminance"].astype(np.float64)
    if not len(flips):
        return ShownLight(trial.t_onset_us + clip_us - clip_us[0], luminance, trial.t_offset_us)
    shown = np.clip(np.searchsorted(clip_us, flips["clip_time_us"], side="right") - 1, 0, len(rows) - 1)
    # A frame stays for several refreshes: only the first of them changes the light.
    first = np.concatenate(([True], np.diff(shown) != 0))
    return ShownLight(flips["t_flip_us"][first].astype(np.int64), luminance[shown[first]], trial.t_offset_us)


@dataclass(frozen=True)
class SessionLight:
    """What light does to a participant's pupil in a session.

    Parameters
    ----------
    response : LightResponse
        Fitted to all trials.
    effects : dict of int to LightEffect
        Predicted, by trial; none where the stimulus' luminance is not known.
    """

    response: LightResponse
    effects: dict[int, LightEffect]


def session_light(session: Session, settings: DerivedSettings, screen: ScreenGeometry) -> SessionLight:
    """Fit how the participant's pupil follows light to all trials of a session, and predict its effect in each."""
    lights = shown_light(session)

    def trials() -> Iterator[LightTrial]:
        for trial in session.trials():
            light, span = lights.get(trial.trial_id), (trial.t_onset_us, trial.t_offset_us)
            if light is None or span[1] <= span[0]:
                continue
            gaze, openness = session.table(GAZE).between(*span), session.table(OPENNESS).between(*span)
            if len(gaze):
                pupil_mm = prepare_pupil(gaze, openness, settings.signals)
                yield LightTrial(gaze["t_system_us"].astype(np.int64), pupil_mm, light.light_t_us, light.luminance)

    response = fit_light_response(trials(), screen_area_deg2(screen))
    effects = {
        number: response.effect(light.light_t_us, light.luminance, light.t_end_us) for number, light in lights.items()
    }
    return SessionLight(response, effects)


def screen_area_deg2(screen: ScreenGeometry) -> float:
    """Return the solid angle of a screen as the formula of the settled pupil takes it: width times height, degrees."""
    width = 2.0 * np.degrees(np.arctan(screen.width_mm / 2.0 / screen.distance_mm))
    height = 2.0 * np.degrees(np.arctan(screen.height_mm / 2.0 / screen.distance_mm))
    return float(width * height)
