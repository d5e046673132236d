"""Which stimulus was shown when: from the exported table, from a table of events or from messages."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from data_schema.errors import DataImportError, UsageError
from data_schema.importers.dialects import UNIT_US
from data_schema.importers.survey import ShownName
from data_schema.study.config import StudyConfig
from data_schema.study.sections import Stimulus

#: onset_im1.jpeg, "stimulus onset: joy-1", joy-1_offset. Other messages are no one's business here.
_MESSAGE = (
    re.compile(r"(?:stimulus[\s_:-]+)?(?P<edge>onset|offset)[\s_:=-]+(?P<name>.+)", re.IGNORECASE),
    re.compile(r"(?P<name>.+?)[\s_:=-]+(?P<edge>onset|offset)", re.IGNORECASE),
)


@dataclass(frozen=True)
class ImportedTrial:
    """One stimulus of the study that was shown. Microseconds of the recording's clock; offset -1 if its end is not known."""

    stimulus: Stimulus
    t_onset_us: int
    t_offset_us: int


class StimulusNames:
    """Map another system's names of stimuli to the study's.

    Parameters
    ----------
    config : StudyConfig
    named : mapping of str to str
        What the operator said: name in the file to id in the study; an empty id means that it is no stimulus.
    skip_unmapped : bool
        Pass over names that nothing maps.

    Raises
    ------
    UsageError
        If an id is not in the study.
    """

    def __init__(self, config: StudyConfig, named: Mapping[str, str], skip_unmapped: bool = False) -> None:
        self._by_key: dict[str, Stimulus] = {}
        self._ids = {stimulus.id: stimulus for stimulus in config.stimuli}
        self._skip_unmapped = skip_unmapped
        self._named = dict(named)
        for name, wanted in self._named.items():
            if wanted and wanted not in self._ids:
                known = ", ".join(self._ids) or "none yet"
                raise UsageError(
                    f"--stimulus \"{name}={wanted}\": the study has no stimulus '{wanted}'. Known: {known}."
                )
        # The surest name last, so that it wins.
        for key in (_stem, _file_name, lambda stimulus: stimulus.id):
            for stimulus in config.stimuli:
                self._by_key[key(stimulus).casefold()] = stimulus

    def stimulus(self, name: str) -> Stimulus | None:
        """Return the study's stimulus of a name, or None."""
        if name in self._named:
            return self._ids.get(self._named[name])
        plain = PureWindowsPath(name).name if "\\" in name or "/" in name else name
        for key in (plain, re.sub(r"\.[A-Za-z0-9]{2,5}$", "", plain)):
            found = self._by_key.get(key.casefold())
            if found is not None:
                return found
        return None

    def unmapped(self, names: Iterable[str]) -> list[str]:
        """Return the names that nothing maps, each once, in their order."""
        return [name for name in dict.fromkeys(names) if name not in self._named and self.stimulus(name) is None]

    def trials(self, shown: Sequence[ShownName], where: str) -> list[ImportedTrial]:
        """Return the trials of a recording, in the order of time.

        Raises
        ------
        DataImportError
            If a name is not mapped.
        """
        unmapped = [] if self._skip_unmapped else self.unmapped(one.name for one in shown)
        if unmapped:
            listed = "\n".join(f"  {name}" for name in unmapped)
            known = ", ".join(self._ids) or "none yet: add [[stimuli]] to study.toml"
            raise DataImportError(
                f"{where}: these names are no stimuli of the study:\n{listed}\nThe study's ids: {known}.\n"
                f'Say which is which: --stimulus "{unmapped[0]}=ID", or --stimulus "{unmapped[0]}=" for what is no stimulus, '
                "or --skip-unmapped to pass over all of them."
            )
        found = [(self.stimulus(one.name), one) for one in sorted(shown, key=lambda one: one.t_onset_us)]
        return [
            ImportedTrial(stimulus, one.t_onset_us, one.t_offset_us) for stimulus, one in found if stimulus is not None
        ]


def _file_name(stimulus: Stimulus) -> str:
    return PurePosixPath(stimulus.file).name


def _stem(stimulus: Stimulus) -> str:
    return PurePosixPath(stimulus.file).stem


def read_events(path: Path, default_unit: str) -> dict[str, list[ShownName]]:
    """Read a table of what was shown.

    Parameters
    ----------
    path : Path
        CSV with the columns ``onset``, ``offset`` and ``stimulus``; ``onset_ms``, ``onset_us`` or ``onset_s`` say the unit.
        A column ``recording`` tells several recordings apart.
    default_unit : str
        Unit of ``onset`` and ``offset`` without one.

    Returns
    -------
    dict of str to list of ShownName
        By the text in ``recording``; all under an empty text where there is no such column.

    Raises
    ------
    DataImportError
        If a column is missing or a cell is no number.
    """
    rows = _read_csv(path)
    header = list(rows[0]) if rows else []
    edges = {edge: _time_column(header, edge, default_unit, path) for edge in ("onset", "offset")}
    if "stimulus" not in header:
        raise DataImportError(
            f"{path.name}: the column 'stimulus' is missing. Expected onset, offset, stimulus; got: {', '.join(header)}."
        )
    shown: dict[str, list[ShownName]] = {}
    for line, row in enumerate(rows, start=2):
        times = []
        for edge, (column, unit_us) in edges.items():
            text = (row[column] or "").strip().replace(",", ".")
            try:
                times.append(round(float(text) * unit_us) if text or edge == "onset" else -1)
            except ValueError:
                raise DataImportError(
                    f"{path.name}: line {line}, column '{column}': '{text}' is no number. Mend the cell."
                ) from None
        if times[1] != -1 and times[1] < times[0]:
            raise DataImportError(f"{path.name}: line {line}: the offset lies before the onset. Mend the row.")
        shown.setdefault((row.get("recording") or "").strip(), []).append(
            ShownName((row["stimulus"] or "").strip(), times[0], times[1])
        )
    return shown


def read_messages(path: Path) -> list[ShownName]:
    """Read stimulus onsets and offsets from a table of messages of the experiment.

    Parameters
    ----------
    path : Path
        CSV with ``system_time_stamp`` (microseconds) and ``msg`` or ``message``, such as ``onset_joy-1.mp4``. Messages that
        name no onset or offset are passed over.

    Raises
    ------
    DataImportError
        If a column is missing or a stamp is no number.
    """
    rows = _read_csv(path)
    header = list(rows[0]) if rows else []
    text_column = next((name for name in ("msg", "message") if name in header), None)
    if "system_time_stamp" not in header or text_column is None:
        raise DataImportError(
            f"{path.name}: expected the columns system_time_stamp and msg, got: {', '.join(header) or 'none'}."
        )
    shown: list[ShownName] = []
    waiting: ShownName | None = None
    for line, row in enumerate(rows, start=2):
        match = next((m for pattern in _MESSAGE if (m := pattern.fullmatch((row[text_column] or "").strip()))), None)
        if match is None:
            continue
        try:
            time_us = round(float(row["system_time_stamp"] or ""))
        except ValueError:
            raise DataImportError(
                f"{path.name}: line {line}: '{row['system_time_stamp']}' is no time stamp. Mend the cell."
            ) from None
        if match["edge"].lower() == "onset":
            if waiting is not None:
                shown.append(ShownName(waiting.name, waiting.t_onset_us, time_us))
            waiting = ShownName(match["name"].strip(), time_us, -1)
        elif waiting is not None and match["name"].strip() == waiting.name:
            shown.append(ShownName(waiting.name, waiting.t_onset_us, time_us))
            waiting = None
    return [*shown, waiting] if waiting is not None else shown


def _time_column(header: Sequence[str], edge: str, default_unit: str, path: Path) -> tuple[str, float]:
    for unit in ("us", "ms", "s"):
        if f"{edge}_{unit}" in header:
            return f"{edge}_{unit}", UNIT_US[unit]
    if edge in header:
        return edge, UNIT_US[default_unit]
    raise DataImportError(
        f"{path.name}: the column '{edge}' is missing (or {edge}_ms, {edge}_us, {edge}_s). Expected onset, offset, stimulus; "
        f"got: {', '.join(header) or 'none'}."
    )


def _read_csv(path: Path) -> list[dict[str, str | None]]:
    """Read a small CSV table, separated by commas, semicolons or tabs."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataImportError(
            f"{path}: cannot be read as UTF-8 text: {error}. Check the name, and save it as UTF-8."
        ) from error
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2:
        raise DataImportError(f"{path.name}: the table has no rows. Write a header and one row an entry.")
    delimiter = max(",;\t", key=lines[0].count)
    reader = csv.DictReader(lines, delimiter=delimiter, skipinitialspace=True)
    reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or []]
    rows = list(reader)
    for line, row in enumerate(rows, start=2):
        if None in row or any(value is None for value in row.values()):
            raise DataImportError(
                f"{path.name}: line {line} has more or fewer cells than the header. Put quotes around commas."
            )
    return [dict(row) for row in rows]


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a small CSV table by column name in lower case; every cell is text."""
    return [{name: value or "" for name, value in row.items()} for row in _read_csv(path)]
