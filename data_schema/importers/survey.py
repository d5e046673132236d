"""Look through an exported table once, before anything is written.

The survey finds the recordings in the file, their times, sampling interval and screen, and which stimuli were shown
when. All that can be wrong with a file is told here, so that an import begins only if it can end.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data_schema.errors import DataImportError
from data_schema.importers.dialects import UNIT_US, Columns, Dialect, match_columns
from data_schema.importers.text import Block, Float, TextColumn, TextTable

Bool = npt.NDArray[np.bool_]
Progress = Callable[[int, int, str], None]

_ROLES = (
    "time", "computer_time", "device_time", "sensor", "participant_name", "recording_name", "width_px", "height_px",
    "resolution", "media_x", "media_y", "media_width", "media_height", "event", "event_value", "stimulus", "media",
    "software_version", "left_validity", "right_validity",
)  # fmt: skip
#: Events that show and hide a stimulus: ImageStimulusStart, VideoStimulusEnd (Pro Lab); MovieStart, ImageEnd (Studio).
_SHOWN = re.compile(r"(?:\w*stimulus|movie|image|video|instruction|url|pdf|webpage)(start|end)", re.IGNORECASE)
#: What Pro Lab puts into the stimulus columns while it calibrates.
_NO_STIMULUS = ("eyetracker calibration", "eye tracker calibration", "eyetracker validation")
_BOX = ("media_x", "media_y", "media_width", "media_height")
#: Sample times that are kept for the median interval.
_INTERVAL_SAMPLES = 20_000
#: Above this share of samples with their neighbour's stamp the stamps were rounded: milliseconds at 2,000 Hz give a half.
_MAX_EQUAL_SHARE = 0.55
#: A larger median step between samples than this cannot be milliseconds: trackers take at least five samples a second.
_MAX_STEP_MS = 200.0
#: No tracker is slower or faster: else the time stamps are not in the unit that they are said to be in.
_RATES_HZ = (1.0, 5000.0)
#: Two clocks of one recording differ by parts per million; by this factor only if one is in another unit.
_MAX_CLOCK_RATIO = 5.0


@dataclass(frozen=True)
class ShownName:
    """A stimulus as the file names it. Times in microseconds of the recording's clock; -1 for an end that is not there."""

    name: str
    t_onset_us: int
    t_offset_us: int


@dataclass
class RecordingSurvey:
    """One recording in a file.

    Parameters
    ----------
    participant_name, recording_name : str
        As in the file. They identify people: for matching and messages, never for a session file.
    """

    participant_name: str = ""
    recording_name: str = ""
    n_samples: int = 0
    n_duplicates: int = 0
    t_first: float = float("nan")
    t_last: float = float("nan")
    #: Row ranges of the file, end excluded, in which the recording stands.
    ranges: list[tuple[int, int]] = field(default_factory=list)
    unit_us: float = 0.0
    computer_offset_us: int = 0
    interval_us: float = float("nan")
    has_device_time: bool = False
    #: Device microseconds to microseconds of the recording, as offset at `device_first` and slope.
    device_first: float = float("nan")
    device_line: tuple[float, float] = (0.0, 1.0)
    screen_px: tuple[int, int] | None = None
    software_version: str = ""
    #: Where media stood on the screen: left, top, width and height in pixels.
    media_boxes: set[tuple[int, int, int, int]] = field(default_factory=set)
    shown: list[ShownName] = field(default_factory=list)

    @property
    def label(self) -> str:
        """Return how messages name the recording."""
        return " / ".join(part for part in (self.participant_name, self.recording_name) if part) or "the recording"

    @property
    def rate_hz(self) -> float:
        """Samples a second, by the median interval; NaN for fewer than two samples."""
        return 1e6 / self.interval_us if self.interval_us > 0 else float("nan")

    @property
    def duration_s(self) -> float:
        """Seconds from the first to the last sample."""
        return (self.t_last - self.t_first) * self.unit_us / 1e6 if self.n_samples else 0.0


@dataclass(frozen=True)
class Survey:
    """What is in a file."""

    table: TextTable
    columns: Columns
    recordings: tuple[RecordingSurvey, ...]
    n_rows: int

    @property
    def dialect(self) -> Dialect:
        """The kind of table."""
        return self.columns.dialect


def block_columns(
    columns: Columns, block: Block, roles: tuple[str, ...]
) -> tuple[dict[str, Float], dict[str, TextColumn]]:
    """Return the columns of a block by role: numbers and texts."""
    numbers, texts = columns.numbers_and_texts(roles)
    return (
        {role: block.numbers[number] for role, number in numbers.items()},
        {role: block.texts[number] for role, number in texts.items()},
    )


def sample_rows(numbers: dict[str, Float], texts: dict[str, TextColumn], n_rows: int) -> Bool:
    """Tell which rows of a block are samples of the eye tracker, not of a mouse and no events."""
    if "sensor" in texts:
        return texts["sensor"].equals(lambda name: name.lower().replace(" ", "").startswith("eyetracker"))
    if "device_time" in numbers:
        return np.isfinite(numbers["device_time"])
    found = np.zeros(n_rows, dtype=np.bool_)
    for eye in ("left", "right"):
        if f"{eye}_validity" in texts:
            found |= texts[f"{eye}_validity"].present
    if any(role.endswith("_validity") for role in texts):
        return found
    return ~texts["event"].present if "event" in texts else np.ones(n_rows, dtype=np.bool_)


class _Collector:
    """What is known of one recording so far."""

    def __init__(self, participant_name: str, recording_name: str) -> None:
        self.found = RecordingSurvey(participant_name, recording_name)
        self.times: list[Float] = []
        self.device_times: list[Float] = []
        self.n_kept = 0
        self.last_device = float("nan")
        self.n_equal = 0
        #: Sums for the line through device and host stamps, relative to the first pair.
        self.sums = np.zeros(5)
        self.first_pair: tuple[float, float] | None = None
        self.computer: tuple[float, float] | None = None
        self.events: list[tuple[float, str, str]] = []
        self.runs: list[list[float | str]] = []
        self.open_run = ""


def survey_table(path: Path, dialect: Dialect, progress: Progress | None = None) -> Survey:
    """Look through a file.

    Raises
    ------
    DataImportError
        If it is no export of this kind, has no sample of an eye tracker, or its times do not rise.
    """
    table = TextTable(path)
    columns = match_columns(dialect, table.header, path)
    numbers, texts = columns.numbers_and_texts(_ROLES)
    collectors: dict[tuple[str, str], _Collector] = {}
    current = ("", "")
    sensors: set[str] = set()
    n_rows = 0
    for block in table.blocks(tuple(numbers.values()), tuple(texts.values())):
        values, words = block_columns(columns, block, _ROLES)
        if "sensor" in words:
            sensors.update(words["sensor"].values)
        for start, stop, key in _stretches(words, block.n_rows, current):
            current = key
            collector = collectors.setdefault(key, _Collector(*key))
            part = slice(start, stop)
            cut = {role: TextColumn(word.codes[part], word.values) for role, word in words.items()}
            _collect(collector, {role: v[part] for role, v in values.items()}, cut, block.first_row + start, table)
        n_rows = block.first_row + block.n_rows
        if progress:
            progress(block.done_bytes, table.size_bytes, "looking through")
    if not n_rows:
        raise DataImportError(f"{path.name}: the table has a header and no rows. Export the recording again.")
    found = tuple(_finished(c, columns, path) for c in collectors.values() if c.found.n_samples)
    if not found:
        seen = f" The column Sensor holds: {', '.join(sorted(sensors)) or 'nothing'}." if "sensor" in texts else ""
        raise DataImportError(
            f"{path.name}: no row comes from an eye tracker.{seen} Choose a recording with eye tracking, and export 'Gaze data'."
        )
    return Survey(table, columns, found, n_rows)


def _stretches(
    words: dict[str, TextColumn], n_rows: int, current: tuple[str, str]
) -> list[tuple[int, int, tuple[str, str]]]:
    """Cut a block where another recording begins; a row that names none belongs to the recording before it."""
    names = [words.get("participant_name"), words.get("recording_name")]
    there = [name for name in names if name is not None]
    if not there:
        return [(0, n_rows, current)]
    change = np.zeros(n_rows, dtype=np.bool_)
    known = np.ones(n_rows, dtype=np.bool_)
    for name in there:
        known &= name.present
    rows = np.flatnonzero(known)
    for name in there:
        codes = name.codes[rows]
        change[rows[1:][codes[1:] != codes[:-1]]] = True
    starts = [0, *np.flatnonzero(change).tolist()]
    if len(rows) and (first := int(rows[0])) > 0 and first not in starts:
        key = tuple(name.at(first) if name is not None else "" for name in names)
        if current not in (key, ("", "")):
            starts = sorted({*starts, first})
    result = []
    for start, stop in zip(starts, [*starts[1:], n_rows], strict=True):
        inside = rows[(rows >= start) & (rows < stop)]
        if len(inside):
            row = int(inside[0])
            current = (names[0].at(row) if names[0] else "", names[1].at(row) if names[1] else "")
        result.append((int(start), int(stop), current))
    return result


def _collect(
    state: _Collector, values: dict[str, Float], words: dict[str, TextColumn], first_row: int, table: TextTable
) -> None:
    found = state.found
    times = values["time"]
    samples = np.flatnonzero(sample_rows(values, words, len(times)))
    if found.ranges and found.ranges[-1][1] == first_row:
        found.ranges[-1] = (found.ranges[-1][0], first_row + len(times))
    else:
        found.ranges.append((first_row, first_row + len(times)))
    if len(samples):
        _collect_times(state, times[samples], first_row, samples, table)
        _collect_device(state, values, samples)
    _collect_facts(state, values, words, table)
    _collect_shown(state, times, words, samples)


def _collect_times(
    state: _Collector, times: Float, first_row: int, samples: npt.NDArray[np.intp], table: TextTable
) -> None:
    found = state.found
    missing = np.flatnonzero(~np.isfinite(times))
    if len(missing):
        line = table.line_of(first_row + int(samples[missing[0]]))
        raise DataImportError(
            f"{table.path.name}: line {line}: a sample has no time stamp. Export the recording again."
        )
    before = found.t_last if found.n_samples else times[0]
    steps = np.diff(times, prepend=before)
    back = np.flatnonzero(steps < 0)
    if len(back):
        place = int(back[0])
        line = table.line_of(first_row + int(samples[place]))
        earlier = before if place == 0 else times[place - 1]
        raise DataImportError(
            f"{table.path.name}: line {line}: the time goes back from {earlier:.16g} to {times[place]:.16g} within "
            f"{found.label}. The rows were sorted or joined after the export, or two recordings have one name. Export each "
            "recording again, with 'Recording name' and 'Participant name'."
        )
    state.n_equal += int(np.count_nonzero(steps[1:] == 0)) + int(found.n_samples > 0 and steps[0] == 0)
    if not found.n_samples:
        found.t_first = float(times[0])
    found.t_last = float(times[-1])
    found.n_samples += len(times)
    if state.n_kept < _INTERVAL_SAMPLES:
        state.times.append(times[: _INTERVAL_SAMPLES - state.n_kept])
        state.n_kept += len(state.times[-1])


def _collect_device(state: _Collector, values: dict[str, Float], samples: npt.NDArray[np.intp]) -> None:
    if "device_time" not in values:
        return
    device, times = values["device_time"][samples], values["time"][samples]
    known = np.isfinite(device)
    if not known.any():
        return
    device, times = device[known], times[known]
    if sum(map(len, state.device_times)) < _INTERVAL_SAMPLES:
        state.device_times.append(device[:_INTERVAL_SAMPLES])
    state.found.has_device_time = True
    state.found.n_duplicates += int(np.count_nonzero(np.diff(device, prepend=state.last_device) == 0))
    state.last_device = float(device[-1])
    if state.first_pair is None:
        state.first_pair = (float(device[0]), float(times[0]))
    x, y = device - state.first_pair[0], times - state.first_pair[1]
    state.sums += np.array([len(x), x.sum(), y.sum(), (x * x).sum(), (x * y).sum()])


def _collect_facts(state: _Collector, values: dict[str, Float], words: dict[str, TextColumn], table: TextTable) -> None:
    found = state.found
    if state.computer is None and "computer_time" in values:
        both = np.flatnonzero(np.isfinite(values["computer_time"]) & np.isfinite(values["time"]))
        if len(both):
            state.computer = (float(values["computer_time"][both[0]]), float(values["time"][both[0]]))
    if not found.software_version and "software_version" in words and words["software_version"].present.any():
        found.software_version = words["software_version"].at(int(np.flatnonzero(words["software_version"].present)[0]))
    if all(role in values for role in _BOX):
        boxes = np.column_stack([values[role] for role in _BOX])
        boxes = np.unique(boxes[np.isfinite(boxes).all(axis=1)], axis=0)
        found.media_boxes.update((int(x), int(y), int(w), int(h)) for x, y, w, h in boxes)
    for size in _screens(values, words):
        if found.screen_px is not None and size != found.screen_px:
            raise DataImportError(
                f"{table.path.name}: {found.label} has two screen resolutions, {found.screen_px[0]}x{found.screen_px[1]} and "
                f"{size[0]}x{size[1]} px. Export it again, or cut it where the screen was changed."
            )
        found.screen_px = size


def _screens(values: dict[str, Float], words: dict[str, TextColumn]) -> set[tuple[int, int]]:
    if "width_px" in values and "height_px" in values:
        both = np.column_stack([values["width_px"], values["height_px"]])
        both = both[np.isfinite(both).all(axis=1)]
        return {(int(w), int(h)) for w, h in np.unique(both, axis=0)} if len(both) else set()
    if "resolution" in words:
        column = words["resolution"]
        used = {column.values[code] for code in np.unique(column.codes[column.codes >= 0])}
        parts = [re.fullmatch(r"\s*(\d+)\s*[x×X*]\s*(\d+)\s*", text) for text in used]
        return {(int(part[1]), int(part[2])) for part in parts if part}
    return set()


def _collect_shown(
    state: _Collector, times: Float, words: dict[str, TextColumn], samples: npt.NDArray[np.intp]
) -> None:
    if "event" in words:
        event = words["event"]
        for row in np.flatnonzero(event.equals(lambda text: _SHOWN.fullmatch(text) is not None)):
            match = _SHOWN.fullmatch(event.at(int(row)))
            name = words["event_value"].at(int(row)) if "event_value" in words else ""
            name = name or _name_at(words, int(row))
            if match and np.isfinite(times[row]):
                state.events.append((float(times[row]), match[1].lower(), name))
    column = _stimulus_column(words)
    if column is None or not len(samples):
        return
    codes = column.codes[samples]
    edges = np.flatnonzero(np.diff(codes)) + 1
    for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), len(codes)], strict=True):
        name = column.at(int(samples[start]))
        if name and name == state.open_run:
            state.runs[-1][2] = float(times[samples[stop - 1]])
        elif name:
            state.runs.append([name, float(times[samples[start]]), float(times[samples[stop - 1]])])
        state.open_run = name


def _stimulus_column(words: dict[str, TextColumn]) -> TextColumn | None:
    """Return the column that names what is shown: the stimulus, or the media where that one is empty."""
    stimulus, media = words.get("stimulus"), words.get("media")
    if stimulus is None or media is None:
        return stimulus if stimulus is not None else media
    return stimulus if stimulus.present.any() else media


def _name_at(words: dict[str, TextColumn], row: int) -> str:
    column = _stimulus_column(words)
    return column.at(row) if column is not None else ""


def _finished(state: _Collector, columns: Columns, path: Path) -> RecordingSurvey:
    found = state.found
    times = np.concatenate(state.times)
    steps = np.diff(times)
    rising = steps[steps > 0]
    step = float(np.median(rising)) if len(rising) else float("nan")
    if state.n_equal > _MAX_EQUAL_SHARE * found.n_samples and found.n_samples > 20:
        raise DataImportError(
            f"{path.name}: {state.n_equal} of {found.n_samples} samples of {found.label} have the time stamp of the sample "
            "before. A spreadsheet program has probably rounded them. Export the recording again and leave the file as it is."
        )
    found.unit_us = _unit_us(columns, "time", step)
    if state.computer is not None:
        unit = _unit_us(columns, "computer_time", step) if columns.unit.get("computer_time") else found.unit_us
        found.computer_offset_us = round(state.computer[0] * unit - state.computer[1] * found.unit_us)
    # Of rounded milliseconds the mean without holes is better than a median.
    plain = steps[steps < 2.5 * step]
    found.interval_us = (float(plain.mean()) if found.unit_us > 1 and len(plain) else step) * found.unit_us
    step_us = found.interval_us
    if state.first_pair is not None:
        device_steps = np.diff(np.concatenate(state.device_times))
        if np.any(device_steps > 0):
            found.interval_us = float(np.median(device_steps[device_steps > 0]))
        found.device_first, found.device_line = _line(state, found.unit_us)
    _check_unit(found, step_us, found.interval_us, path)
    found.shown = _shown_by_events(state, found) or _shown_by_runs(state, found)
    return found


def _unit_us(columns: Columns, role: str, step: float) -> float:
    unit = columns.unit.get(role, "")
    if unit in UNIT_US:
        return UNIT_US[unit]
    if columns.dialect.name in ("sdk", "sdk-openness", "studio-raw"):
        return 1.0
    return 1.0 if step > _MAX_STEP_MS else 1000.0


def _check_unit(found: RecordingSurvey, step_us: float, device_us: float, path: Path) -> None:
    """Refuse a recording whose time stamps are in another unit than they are taken to be in."""
    rate_hz, ratio = 1e6 / step_us if step_us > 0 else float("nan"), device_us / step_us if step_us > 0 else 1.0
    if _RATES_HZ[0] <= rate_hz <= _RATES_HZ[1] and 1.0 / _MAX_CLOCK_RATIO <= ratio <= _MAX_CLOCK_RATIO:
        return
    if np.isfinite(rate_hz):
        device = f", but the tracker's own clock {1e6 / device_us:.6g}" if device_us != step_us else ""
        raise DataImportError(
            f"{path.name}: by its time stamps {found.label} has {rate_hz:.6g} samples a second{device}. They are not in the "
            "unit that the file says (or that this kind of file has). Export the recording again, or mend the column."
        )


def _line(state: _Collector, unit_us: float) -> tuple[float, tuple[float, float]]:
    """Fit the recording's time (us) as offset + slope x device time (us since the first pair)."""
    first_device, first_time = state.first_pair or (0.0, 0.0)
    n, sx, sy, sxx, sxy = state.sums
    spread = n * sxx - sx * sx
    slope = (n * sxy - sx * sy) / spread * unit_us if spread > 0 else 1.0
    # Two crystals differ by less than this; a fit that says otherwise has seen a reset, and tells nothing.
    if not 0.999 < slope < 1.001:
        return first_device, (float("nan"), 1.0)
    offset = first_time * unit_us + (sy * unit_us - slope * sx) / n
    return first_device, (float(offset), float(slope))


def is_no_stimulus(name: str) -> bool:
    """Tell whether a name is the software's own, such as that of its calibration screen."""
    return name.strip().lower() in _NO_STIMULUS


def _shown_by_events(state: _Collector, found: RecordingSurvey) -> list[ShownName]:
    shown: list[ShownName] = []
    waiting: tuple[float, str] | None = None
    for time, kind, name in sorted(state.events, key=lambda event: event[0]):
        if kind == "start":
            if waiting is not None:
                shown.append(_shown(waiting[1], waiting[0], time, found))
            waiting = (time, name)
        elif waiting is not None and (not name or name == waiting[1]):
            shown.append(_shown(waiting[1], waiting[0], time, found))
            waiting = None
    if waiting is not None:
        shown.append(ShownName(waiting[1], round(waiting[0] * found.unit_us), -1))
    return [one for one in shown if one.name and not is_no_stimulus(one.name)]


def _shown_by_runs(state: _Collector, found: RecordingSurvey) -> list[ShownName]:
    step = found.interval_us / found.unit_us
    return [
        _shown(str(name), float(first), float(last) + step, found)
        for name, first, last in state.runs
        if not is_no_stimulus(str(name))
    ]


def _shown(name: str, t_onset: float, t_offset: float, found: RecordingSurvey) -> ShownName:
    return ShownName(name, round(t_onset * found.unit_us), round(t_offset * found.unit_us))
