"""What happened in a run: clips shown and everything else that was marked, as ``_events.tsv`` and its sidecar.

Onsets are seconds on the run's clock, the one of the gaze's ``timestamp``. Stimuli are named as BEP044 proposes, by
``stim_id``: the files themselves are others' works and are not part of the dataset.

References
----------
BIDS Specification 1.11.1, "Task events": ``onset`` and ``duration`` in seconds come first, sorted by onset; eye tracking
requires ScreenDistance, ScreenOrigin, ScreenResolution and ScreenSize in ``StimulusPresentation``.
HED schema 8.3.0 for the tags.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from data_schema.publishing.bids.tsv import seconds
from data_schema.session.markers import MARKER_KINDS
from data_schema.signals.gaze import ScreenGeometry

#: What a clip is called in ``trial_type``; everything else is named as in the session's markers.
STIMULUS = "stimulus"

#: Version of the Hierarchical Event Descriptors that the tags below come from; the validator reads it.
HED_VERSION = "8.3.0"
#: They stand at the stimulus' name, so that rows without a stimulus need none.
_HED_OF_STIMULUS = "Sensory-event, Experimental-stimulus, (Visual-presentation, Auditory-presentation, Movie), Label/#"

#: Columns of the events of a run: name, unit, description.
EVENT_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("onset", "s", "Start of the event on the run's clock, which gaze and video share."),
    ("duration", "s", "Length of the event; 0 for a moment."),
    ("trial_type", "", "A clip that was shown, or what was marked."),
    ("trial", "", "Number of the trial in its session; 0 outside trials, negative in practice trials."),
    (
        "stim_id",
        "",
        "Identifier of the stimulus in stimuli/stimuli.tsv, where those of practice trials are not listed.",
    ),
    ("target_emotion", "", "Emotion that the stimulus is meant to induce; what people felt is in the annotations."),
    ("completed", "", "1 if the clip played to its end."),
    ("last_flip", "s", "Time of the last refresh that showed the clip; its end follows one refresh later."),
    ("duration_expected", "s", "Length of the stimulus' file."),
    ("n_flips", "", "Screen refreshes while the clip played."),
    ("n_flips_late", "", "Refreshes that came more than half a period late."),
    ("n_flips_dropped", "", "Refreshes in which no flip came."),
    ("ended_early", "", "1 if more than one frame at the clip's end was not shown."),
    ("value", "", "Number that belongs to a marked event; see its kind under trial_type."),
    ("message", "", "Closed vocabulary only, such as the name of a step of the protocol; free text is not published."),
)
_FLAG = {"0": "no", "1": "yes"}


def _texts(column: npt.NDArray[Any]) -> list[str]:
    return [cell.decode("utf-8") if isinstance(cell, bytes) else str(cell) for cell in column.tolist()]


def event_table(presentations: npt.NDArray[Any], markers: npt.NDArray[Any]) -> dict[str, Any]:
    """Return the events of a run as columns, sorted by onset.

    Parameters
    ----------
    presentations, markers : structured ndarray
        Rows of ``/stimulus/presentations`` and ``/events/markers``, times in microseconds of the run's clock.
    """
    shown, n_marked = len(presentations), len(markers)
    nothing = [None] * n_marked

    def of_clips(values: Any) -> list[Any]:
        return [*(values.tolist() if isinstance(values, np.ndarray) else values), *nothing]

    onset_us = np.concatenate((presentations["t_onset_us"], markers["t_system_us"])).astype(np.int64)
    length_us = np.concatenate((_length_us(presentations), np.zeros(n_marked, np.int64)))
    columns: dict[str, Any] = {
        "onset": seconds(onset_us),
        "duration": seconds(length_us),
        "trial_type": [STIMULUS] * shown + _texts(markers["kind"]),
        "trial": np.concatenate((presentations["trial_id"], markers["trial_id"])),
        "stim_id": of_clips(_texts(presentations["stimulus_id"])),
        "target_emotion": of_clips(_texts(presentations["target_emotion"])),
        "completed": of_clips(presentations["completed"]),
        "last_flip": _last_flips(presentations, n_marked),
        "duration_expected": np.concatenate((presentations["duration_expected_s"], np.full(n_marked, np.nan))),
        "n_flips": of_clips(presentations["n_flips"]),
        "n_flips_late": of_clips(presentations["n_flips_late"]),
        "n_flips_dropped": of_clips(presentations["n_flips_dropped"]),
        "ended_early": of_clips(presentations["ended_early"]),
        "value": np.concatenate((np.full(shown, np.nan), markers["value"])),
        "message": [None] * shown + _texts(markers["message"]),
    }
    order = np.lexsort((np.arange(len(onset_us)), onset_us))
    return {name: _reordered(cells, order) for name, cells in columns.items()}


def _last_flips(presentations: npt.NDArray[Any], n_marked: int) -> list[str | None]:
    return [*seconds(presentations["t_offset_us"]).to_pylist(), *([None] * n_marked)]


def _length_us(presentations: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Length of each clip on the screen: to its last flip and one refresh more, where that was recorded."""
    until_last = (presentations["t_offset_us"] - presentations["t_onset_us"]).astype(np.int64)
    actual = presentations["duration_actual_s"].astype(np.float64)
    known = np.isfinite(actual) & (actual > 0)
    length: npt.NDArray[np.int64] = np.where(known, np.round(np.where(known, actual, 0.0) * 1e6), until_last).astype(
        np.int64
    )
    return np.maximum(length, 0)


def _reordered(cells: Any, order: npt.NDArray[np.int64]) -> Any:
    if isinstance(cells, list):
        picked = [cells[i] for i in order]
        if all(cell is None or isinstance(cell, int) for cell in picked):
            return pd.Series(picked, dtype="Int64")
        return picked
    return cells.take(order)


def event_sidecar(
    screen: ScreenGeometry, refresh_hz: float | None, task: dict[str, Any], kinds: set[str], software: tuple[str, str]
) -> dict[str, Any]:
    """Return the sidecar of a run's events.

    Parameters
    ----------
    screen : ScreenGeometry
    refresh_hz : float or None
        Refresh rate of the screen, where it is known.
    task : dict
        Name and description of the task, the institution, as all sidecars of the task have them.
    kinds : set of str
        What occurs in ``trial_type``.
    software : tuple of str
        Name and version of the software that showed the stimuli; empty if unknown.
    """
    levels = {STIMULUS: "A clip was shown, from its first flip until one refresh after its last."}
    levels |= {kind: MARKER_KINDS.get(kind, "Marked while recording.") for kind in sorted(kinds - {STIMULUS})}
    notes: dict[str, Any] = {}
    for name, unit, description in EVENT_COLUMNS:
        note: dict[str, Any] = {"Description": description}
        if unit:
            note["Units"] = unit
        if name in ("completed", "ended_early"):
            note["Levels"] = _FLAG
        notes[name] = note
    notes["trial_type"]["Levels"] = levels
    notes["stim_id"]["HED"] = _HED_OF_STIMULUS
    return {**task, "StimulusPresentation": stimulus_presentation(screen, refresh_hz, software), **notes}


def stimulus_presentation(
    screen: ScreenGeometry, refresh_hz: float | None, software: tuple[str, str]
) -> dict[str, Any]:
    """Return the screen as ``StimulusPresentation`` has it: metres, pixels, origin at the top left."""
    about: dict[str, Any] = {
        "ScreenDistance": round(screen.distance_mm / 1000.0, 6),
        "ScreenOrigin": ["top", "left"],
        "ScreenResolution": [screen.width_px, screen.height_px],
        "ScreenSize": [round(screen.width_mm / 1000.0, 6), round(screen.height_mm / 1000.0, 6)],
    }
    if refresh_hz:
        about["ScreenRefreshRate"] = refresh_hz
    named = dict(zip(("SoftwareName", "SoftwareVersion"), software, strict=True))
    return about | {key: text for key, text in named.items() if text}
