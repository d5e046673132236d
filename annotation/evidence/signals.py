"""From a session's gaze samples to what an ER annotator sees of the eyes in one clip."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

import numpy as np

from annotation.evidence.eyes import EyeEvidence

if TYPE_CHECKING:
    from data_schema.session.reader import Session
    from data_schema.signals.eye_signals import EyeSignals, SignalParameters

#: Rows and columns of the fixation map. 90 rows give cells of about a third of a degree on a usual screen, finer than
#: the Gaussian of one degree that is drawn; more would cost time and show nothing.
MAP_SHAPE = (90, 160)
#: Read before and after the clip, so that velocities, fixations and blinks at its ends are whole.
MARGIN_US = 500_000


def _signal_parameters() -> SignalParameters:
    from data_schema.signals.eye_signals import SignalParameters

    return SignalParameters()


@dataclass(frozen=True)
class EvidenceParameters:
    """What the signals are computed with.

    Parameters
    ----------
    signals : SignalParameters
        Of fixations, blinks and pupil; the defaults are those of the training export.
    map_sigma_deg : float
        Standard deviation of the fixation map's Gaussian, degrees of visual angle (Le Meur and Baccino 2013).
    """

    signals: SignalParameters = field(default_factory=_signal_parameters)
    map_sigma_deg: float = 1.0

    def by_name(self) -> dict[str, float | str]:
        """Return every parameter, the names of the nested ones joined by a full stop."""
        named: dict[str, float | str] = {"map_sigma_deg": self.map_sigma_deg}
        for group in fields(self.signals):
            part = getattr(self.signals, group.name)
            for one in fields(part):
                named[f"{group.name}.{one.name}"] = getattr(part, one.name)
        return named


def eye_evidence(
    session: Session,
    t_start_us: int,
    t_end_us: int,
    *,
    stimulus_size_px: tuple[int, int] | None = None,
    parameters: EvidenceParameters | None = None,
) -> EyeEvidence | None:
    """Compute the eye behaviour of one clip.

    Parameters
    ----------
    session : Session
        Opened by `data_schema.session.reader.open_session`.
    t_start_us, t_end_us : int
        The clip on the host clock, start included and end excluded, as in the clip index.
    stimulus_size_px : tuple of int, optional
        Width and height of the stimulus' frames, to know where it stood on the screen; the whole screen without.
    parameters : EvidenceParameters, optional

    Returns
    -------
    EyeEvidence or None
        None if there is no gaze sample in the clip.

    Raises
    ------
    SessionFileError
        If the session's rows cannot be read.
    ConfigError
        If the session does not say on which screen it was recorded.
    """
    from data_schema.session.layout import GAZE, OPENNESS
    from data_schema.session.screen import recorded_screen
    from data_schema.signals.coordinates import WHOLE_SCREEN, stimulus_box_norm
    from data_schema.signals.eye_signals import prepare_eye_signals

    parameters = parameters or EvidenceParameters()
    low, high = t_start_us - MARGIN_US, t_end_us + MARGIN_US
    gaze_rows = session.table(GAZE).between(low, high)
    inside = (gaze_rows["t_system_us"] >= t_start_us) & (gaze_rows["t_system_us"] < t_end_us)
    if not inside.any():
        return None
    screen = recorded_screen(session)
    openness_rows = session.table(OPENNESS).between(low, high)
    signals = prepare_eye_signals(gaze_rows, openness_rows, screen, parameters.signals)
    fixations = _fixations(signals, t_start_us, t_end_us)
    box = WHOLE_SCREEN
    if stimulus_size_px is not None:
        box = stimulus_box_norm((screen.width_px, screen.height_px), stimulus_size_px)
    return EyeEvidence(
        gaze_t_us=(signals.gaze.t_us[inside] - t_start_us).astype(np.int64),
        gaze_norm=signals.gaze.gaze_norm[inside],
        velocity_deg_s=signals.movements.velocity_deg_s[inside],
        pupil_mm=signals.pupil_mm[inside],
        fixations=fixations,
        blinks_us=_blinks(signals, t_start_us, t_end_us),
        fixation_map=draw_map(fixations, screen.deg_to_norm(parameters.map_sigma_deg)),
        stimulus_box_norm=box,
        parameters=parameters.by_name(),
    )


def draw_map(fixations: np.ndarray, sigma_norm: tuple[float, float]) -> np.ndarray:
    """Draw the fixation map of a clip, 1 at its highest place, shape `MAP_SHAPE`; all 0 without a fixation."""
    from data_schema.signals.maps import fixation_map

    drawn = fixation_map(fixations[:, 2:4], (fixations[:, 1] - fixations[:, 0]) / 1e6, sigma_norm, MAP_SHAPE)
    highest = drawn.max()
    return (drawn / highest if highest > 0 else drawn).astype(np.float32)


def _fixations(signals: EyeSignals, t_start_us: int, t_end_us: int) -> np.ndarray:
    """Return the fixations cut to the clip: start, end (microseconds from the onset), x, y."""
    found = signals.movements.fixations
    start = np.maximum(found["t_start_us"], t_start_us) - t_start_us
    end = np.minimum(found["t_end_us"], t_end_us) - t_start_us
    keep = (end > start) & np.isfinite(found["x_norm"]) & np.isfinite(found["y_norm"])
    columns = (start[keep], end[keep], found["x_norm"][keep], found["y_norm"][keep])
    return np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)


def _blinks(signals: EyeSignals, t_start_us: int, t_end_us: int) -> np.ndarray:
    """Return start and end of the blinks, cut to the clip."""
    start = np.maximum(signals.blinks["t_start_us"], t_start_us) - t_start_us
    end = np.minimum(signals.blinks["t_end_us"], t_end_us) - t_start_us
    keep = end > start
    return np.stack([start[keep], end[keep]], axis=1).astype(np.int64)
