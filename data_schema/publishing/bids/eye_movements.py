"""Fixations, saccades and blinks of the clips of a run, found while its samples stream by.

Only the samples of one clip and half a second around it are held. Each clip is looked at three times: with the left eye alone
and the right eye alone, for the ``_physioevents.tsv.gz`` beside that eye's samples, and with the study's own choice of eye, for
the derivatives and as the training export has it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from data_schema.publishing.bids.physio import EYES, Rows
from data_schema.publishing.bids.tsv import seconds
from data_schema.session.layout import GAZE
from data_schema.signals.eye_signals import EyeSignals, SignalParameters, prepare_eye_signals
from data_schema.signals.gaze import ScreenGeometry

#: Samples around a clip that its signals are computed with, as everywhere in the toolkit.
MARGIN_US = 500_000

FIXATION, SACCADE, BLINK = "fixation", "saccade", "blink"
#: The study's own choice of eye, beside ``left`` and ``right``.
CHOSEN = "chosen"


@dataclass(frozen=True)
class ClipSpan:
    """One clip on the run's clock.

    Parameters
    ----------
    trial_id : int
    t_start_us, t_end_us : int
    """

    trial_id: int
    t_start_us: int
    t_end_us: int


@dataclass(frozen=True)
class EyeEvent:
    """One fixation, saccade or blink.

    Parameters
    ----------
    kind : str
    trial_id : int
    t_start_us, t_end_us : int
        On the run's clock.
    x_norm, y_norm : float
        Mean gaze of a fixation, shares of the screen; NaN otherwise.
    amplitude_deg, peak_velocity_deg_s : float
        Of a saccade; NaN otherwise.
    """

    kind: str
    trial_id: int
    t_start_us: int
    t_end_us: int
    x_norm: float = float("nan")
    y_norm: float = float("nan")
    amplitude_deg: float = float("nan")
    peak_velocity_deg_s: float = float("nan")


def events_of(signals: EyeSignals, span: ClipSpan) -> list[EyeEvent]:
    """Return what the eyes did while a clip ran: events that overlap it, whole, in the order of their start."""
    events = [
        EyeEvent(
            FIXATION, span.trial_id, int(f["t_start_us"]), int(f["t_end_us"]), float(f["x_norm"]), float(f["y_norm"])
        )
        for f in signals.movements.fixations
    ]
    events += [
        EyeEvent(
            SACCADE, span.trial_id, int(s["t_start_us"]), int(s["t_end_us"]),
            amplitude_deg=float(s["amplitude_deg"]), peak_velocity_deg_s=float(s["peak_velocity_deg_s"]),
        )
        for s in signals.movements.saccades
    ]  # fmt: skip
    events += [EyeEvent(BLINK, span.trial_id, int(b["t_start_us"]), int(b["t_end_us"])) for b in signals.blinks]
    inside = [event for event in events if event.t_start_us < span.t_end_us and event.t_end_us > span.t_start_us]
    return sorted(inside, key=lambda event: (event.t_start_us, event.kind))


class ClipWatch:
    """Find the eye movements of each clip while chunks of samples pass.

    Parameters
    ----------
    spans : sequence of ClipSpan
    screen : ScreenGeometry
    parameters : SignalParameters
        The study's own, with its choice of eye.

    Attributes
    ----------
    events : dict of str to list of EyeEvent
        By ``left``, ``right`` and :data:`CHOSEN`; complete after :meth:`close`.
    """

    def __init__(self, spans: Sequence[ClipSpan], screen: ScreenGeometry, parameters: SignalParameters) -> None:
        self._waiting = sorted(spans, key=lambda span: span.t_start_us)
        self._screen = screen
        self._parameters = {
            eye: replace(parameters, fixations=replace(parameters.fixations, eye=eye)) for eye in EYES.values()
        } | {CHOSEN: parameters}
        self._held: list[tuple[Rows, Rows | None]] = []
        self.events: dict[str, list[EyeEvent]] = {eye: [] for eye in self._parameters}

    def __call__(self, gaze: Rows, openness: Rows | None) -> None:
        """Take the next chunk of samples, and the openness at them."""
        if not self._waiting or not len(gaze):
            return
        self._held.append((gaze, openness))
        last_us = int(gaze["t_system_us"].max())
        while self._waiting and last_us >= self._waiting[0].t_end_us + MARGIN_US:
            self._finish(self._waiting.pop(0))
        # Chunks that end before the next clip begins are of no more use.
        begin_us = self._waiting[0].t_start_us - MARGIN_US if self._waiting else last_us + 1
        self._held = [held for held in self._held if int(held[0]["t_system_us"].max()) >= begin_us]

    def close(self) -> None:
        """Finish the clips at the recording's end."""
        while self._waiting:
            self._finish(self._waiting.pop(0))
        self._held = []

    def _finish(self, span: ClipSpan) -> None:
        parts, opened = [], []
        for gaze, openness in self._held:
            times = gaze["t_system_us"]
            inside = (times >= span.t_start_us - MARGIN_US) & (times < span.t_end_us + MARGIN_US)
            if inside.any():
                parts.append(gaze[inside])
                if openness is not None:
                    opened.append(openness[inside])
        if not parts:
            return
        rows = np.concatenate(parts)
        rows = rows[np.argsort(rows["t_system_us"], kind="stable")].astype(GAZE.dtype, copy=False)
        lids = np.sort(np.concatenate(opened), order="t_system_us") if opened else None
        for eye, parameters in self._parameters.items():
            signals = prepare_eye_signals(rows, lids, self._screen, parameters)
            self.events[eye] += events_of(signals, span)


#: Columns of eye movements, in physioevents and in the derivatives: name, unit, description.
MOVEMENT_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("onset", "s", "Start on the run's clock; the same unit and origin as the column timestamp of the samples."),
    ("duration", "s", "Length; 0 for a message."),
    ("trial_type", "", "What it is."),
    ("trial", "", "Number of the trial in whose clip it lies; n/a for a message."),
    ("blink", "", "Whether the eye was closed."),
    ("x_coordinate", "pixel", "Mean gaze of a fixation, to the right of the screen's left edge."),
    ("y_coordinate", "pixel", "Mean gaze of a fixation, downwards from the screen's upper edge."),
    ("amplitude", "degree", "Visual angle between the ends of a saccade."),
    ("peak_velocity", "degree/s", "Highest angular velocity of a saccade."),
)
MESSAGE_COLUMN = ("message", "", "What the recorder noted: the kind of the marker and its number.")


def movement_columns(
    events: Sequence[EyeEvent], resolution: tuple[int, int], messages: Sequence[tuple[int, str]] | None = None
) -> list[Any]:
    """Return eye movements, and messages among them, as columns sorted by onset.

    Parameters
    ----------
    events : sequence of EyeEvent
    resolution : tuple of int
        Of the screen, pixels.
    messages : sequence of (t_us, text), optional
        None leaves the column out.

    Returns
    -------
    list of columns
        In the order of :data:`MOVEMENT_COLUMNS`, then :data:`MESSAGE_COLUMN` with `messages`.
    """
    notes = list(messages or ())
    n = len(notes)
    starts = np.array([e.t_start_us for e in events] + [t for t, _ in notes], dtype=np.int64)
    ends = np.array([e.t_end_us for e in events] + [t for t, _ in notes], dtype=np.int64)
    order = np.argsort(starts, kind="stable")

    def number(value: Callable[[EyeEvent], float], factor: float = 1.0) -> npt.NDArray[np.float64]:
        return np.array([value(e) * factor for e in events] + [np.nan] * n, dtype=np.float64)[order]

    def text(value: Callable[[EyeEvent], str | None]) -> list[str | None]:
        cells = [value(e) for e in events] + [None] * n
        return [cells[i] for i in order]

    columns: list[Any] = [
        seconds(starts[order]),
        seconds((ends - starts)[order]),
        text(lambda e: e.kind),
        text(lambda e: str(e.trial_id)),
        text(lambda e: "1" if e.kind == BLINK else "0"),
        number(lambda e: e.x_norm, resolution[0]),
        number(lambda e: e.y_norm, resolution[1]),
        number(lambda e: e.amplitude_deg),
        number(lambda e: e.peak_velocity_deg_s),
    ]
    if messages is not None:
        said = [None] * len(events) + [words for _, words in notes]
        columns.append([said[i] for i in order])
    return columns


def movement_notes(parameters: SignalParameters, eye: str, *, with_message: bool) -> dict[str, Any]:
    """Return the data dictionary of eye movements, with the parameters that found them."""
    declared = (*MOVEMENT_COLUMNS, MESSAGE_COLUMN) if with_message else MOVEMENT_COLUMNS
    ivt = replace(parameters.fixations, eye=eye)
    notes: dict[str, Any] = {
        "Description": (
            "Fixations and saccades during the clips, found by I-VT (Olsen 2012), and blinks; computed from the samples, not "
            "by the tracker. Gaze tells fixations and saccades, the lids tell blinks: a fixation may reach into a blink."
            + (" Messages of the whole run." if with_message else "")
        ),
        "EyeMovementParameters": {"I-VT": vars(ivt), "blinks": vars(parameters.blinks)},
    }
    for name, unit, description in declared:
        note: dict[str, Any] = {"Description": description}
        if unit:
            note["Units"] = unit
        notes[name] = note
    notes["trial_type"]["Levels"] = {
        FIXATION: "The gaze rested.",
        SACCADE: "The gaze jumped.",
        BLINK: "The lids were closed, by their openness or by the loss of both eyes.",
    }
    notes["blink"]["Levels"] = {"0": "open", "1": "closed"}
    return notes
