"""The tables that other systems export, declared once: which column means what, in which spellings and units.

A dialect maps the names of a file's columns to roles, such as ``left_px_x`` (gaze of the left eye, pixels, x).
Names are compared without case, spaces before units and kind of bracket, because versions of Pro Lab and Studio
and programs in between (R, pandas) spell them differently:

    Gaze point left X [DACS px]    Pro Lab since 2022
    Gaze point left X              Pro Lab before, pixels
    Gaze point left X (DACSmm)     Pro Lab before, millimetres
    GazePointLeftX (ADCSpx)        Studio 3
    GazePointXLeft                 Studio 2
    LGazePos2dx                    the tracker's raw text files
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_schema.errors import DataImportError

EYES = ("left", "right")
#: Columns that hold one gaze point made of both eyes, by normalised name.
_BOTH_EYES = ("gaze point x [dacspx]", "gaze point x [px]", "gaze point x", "gazepointx [adcspx]", "gazepointx")
#: Microseconds in a unit of time.
UNIT_US: dict[str, float] = {"μs": 1.0, "us": 1.0, "ms": 1000.0, "s": 1e6}


@dataclass(frozen=True)
class Source:
    """One column that a dialect knows.

    Parameters
    ----------
    role : str
        What the importer calls it.
    spellings : tuple of str
        Names, normalised by :func:`normalised`.
    is_text : bool
    option : str
        Where the exporting software offers the column; empty if the name says it.
    """

    role: str
    spellings: tuple[str, ...]
    is_text: bool = False
    option: str = ""


@dataclass(frozen=True)
class Dialect:
    """One kind of exported table.

    Parameters
    ----------
    name : str
        ``prolab``, ``studio``, ``studio-raw`` or ``sdk``.
    software : str
        For the device description and for messages.
    sources : tuple of Source
    needed : tuple of tuple of str
        Of each group of roles one must be there for each eye; ``{eye}`` stands for left and right.
    coordinates : str
        Coordinate system of the three-dimensional columns; empty if there are none.
    valid_codes : tuple of str
        Cells of the validity columns that mean valid.
    export_step : str
        How a missing column is brought into the file.
    """

    name: str
    software: str
    sources: tuple[Source, ...]
    needed: tuple[tuple[str, ...], ...]
    coordinates: str
    valid_codes: tuple[str, ...]
    export_step: str

    def source(self, role: str) -> Source:
        """Return the declaration of a role."""
        return next(source for source in self.sources if source.role == role)


@dataclass(frozen=True)
class Columns:
    """Which column of a file has which role.

    Parameters
    ----------
    dialect : Dialect
    number : dict of str to int
        Column number by role.
    unit : dict of str to str
        Unit as the header states it, by role; empty if it states none.
    absent : tuple of str
        Roles that the file has no column for.
    """

    dialect: Dialect
    number: dict[str, int]
    unit: dict[str, str]
    absent: tuple[str, ...]

    def has(self, role: str) -> bool:
        """Tell whether the file has a column for `role`."""
        return role in self.number

    def numbers_and_texts(self, roles: Sequence[str]) -> tuple[dict[str, int], dict[str, int]]:
        """Return the column numbers of those `roles` that are there: of number columns, of text columns."""
        is_text = {source.role: source.is_text for source in self.dialect.sources}
        found = {role: self.number[role] for role in roles if role in self.number}
        return (
            {role: number for role, number in found.items() if not is_text[role]},
            {role: number for role, number in found.items() if is_text[role]},
        )


def split_unit(name: str) -> tuple[str, str]:
    """Split a column's name into base and unit: 'Gaze point left X [DACS px]' into 'gaze point left x', 'dacspx'."""
    text = unicodedata.normalize("NFKC", name).strip().strip("\ufeff").lower()
    # R turns brackets and spaces into full stops.
    mangled = re.fullmatch(r"([a-z]+)\.\.([a-zμ]+)\.", text)
    if mangled:
        return mangled[1], mangled[2]
    found = re.fullmatch(r"(.*?)\s*[\[(]([^\])]*)[\])]", text)
    base, unit = (found[1], found[2]) if found else (text, "")
    return " ".join(base.split()), unit.replace(" ", "")


def normalised(name: str) -> str:
    """Return a column's name in the one spelling that dialects use: base, and the unit in brackets if there is one."""
    base, unit = split_unit(name)
    # Only of places does the unit say which column it is; of times it is read apart, elsewhere there is one alone.
    is_place = base.replace(" ", "").startswith(("gazepoint", "eyepos"))
    return f"{base} [{unit}]" if unit and is_place else base


def match_columns(dialect: Dialect, header: Sequence[str], path: Path) -> Columns:
    """Find the columns of a dialect in a file's header.

    Raises
    ------
    DataImportError
        If a column is missing without which there is no recording, or two columns say the same.
    """
    by_name: dict[str, list[int]] = {}
    for number, name in enumerate(header):
        by_name.setdefault(normalised(name), []).append(number)
    found: dict[str, int] = {}
    for source in dialect.sources:
        for spelling in source.spellings:
            places = by_name.get(spelling, [])
            if len(places) > 1:
                twice = ", ".join(f"'{header[place]}'" for place in places)
                raise DataImportError(
                    f"{path.name}: {len(places)} columns mean the same: {twice}. Leave one of them in the export."
                )
            if places and source.role not in found:
                found[source.role] = places[0]
    _check_needed(dialect, header, found, path)
    units = {role: split_unit(header[number])[1] for role, number in found.items()}
    absent = tuple(source.role for source in dialect.sources if source.role not in found)
    return Columns(dialect, found, units, absent)


def _check_needed(dialect: Dialect, header: Sequence[str], found: dict[str, int], path: Path) -> None:
    missing: list[str] = []
    for group in dialect.needed:
        eyes = EYES if any("{eye}" in role for role in group) else ("",)
        for eye in eyes:
            roles = [role.format(eye=eye) for role in group]
            if not any(role in found for role in roles):
                source = dialect.source(roles[0])
                wanted = source.option or f"'{source.spellings[0]}'"
                if wanted not in missing:
                    missing.append(wanted)
    if not missing:
        return
    if not found:
        shown = ", ".join(header[:4])
        raise DataImportError(
            f"{path.name}: this is no export of {dialect.software}: its columns are {shown}{', ...' if len(header) > 4 else ''}."
            f"{_other_verb(dialect, header)}"
        )
    joined = next((name for name in header if normalised(name) in _BOTH_EYES), "")
    like = f" '{joined}' is the mean of both eyes, which cannot be taken apart." if joined else ""
    raise DataImportError(
        f"{path.name}: missing: {', '.join(missing)}.{like} {dialect.export_step}{_other_verb(dialect, header)}"
    )


def _other_verb(dialect: Dialect, header: Sequence[str]) -> str:
    """Name the verb of a dialect that fits the header much better."""
    names = {normalised(name) for name in header}
    fits = {
        other.name: sum(1 for source in other.sources if names.intersection(source.spellings))
        for other in (PROLAB, STUDIO, STUDIO_RAW, SDK)
    }
    best = max(fits, key=lambda name: fits[name])
    verb = {"studio-raw": "studio", "sdk": "csv"}.get(best, best)
    own = {"studio-raw": "studio", "sdk": "csv"}.get(dialect.name, dialect.name)
    if verb == own or fits[best] < 2 * fits.get(dialect.name, 0) + 1:
        return ""
    return f" It looks like what `emer import {verb}` reads."


def _per_eye(role: str, spellings: Sequence[str], option: str = "", is_text: bool = False) -> tuple[Source, ...]:
    """Declare a column of each eye; `{eye}` and `{e}` stand for its name and its first letter."""
    return tuple(
        Source(
            f"{eye}_{role}",
            tuple(s.format(eye=eye, e=eye[0]) for s in spellings),
            is_text,
            option.format(eye=eye, Eye=eye.capitalize(), e=eye[0].upper()),
        )
        for eye in EYES
    )


def _axes(role: str, spelling: Sequence[str], axes: str, option: str = "") -> tuple[Source, ...]:
    return tuple(
        source
        for axis in axes
        for source in _per_eye(
            f"{role}_{axis}", [s.replace("@", axis) for s in spelling], option.replace("@", axis.upper())
        )
    )


PROLAB = Dialect(
    "prolab",
    "Tobii Pro Lab",
    (
        Source("time", ("recording timestamp",), option="'Recording timestamp'"),
        Source("computer_time", ("computer timestamp",)),
        Source("device_time", ("eyetracker timestamp", "eye tracker timestamp")),
        Source("sensor", ("sensor",), True),
        Source("participant_name", ("participant name",), True),
        Source("recording_name", ("recording name",), True),
        Source("width_px", ("recording resolution width",)),
        Source("height_px", ("recording resolution height",)),
        Source("event", ("event",), True),
        Source("event_value", ("event value",), True),
        Source("stimulus", ("presented stimulus name",), True),
        Source("media", ("presented media name",), True),
        Source("media_x", ("presented media position x",)),
        Source("media_y", ("presented media position y",)),
        Source("media_width", ("presented media width",)),
        Source("media_height", ("presented media height",)),
        Source("software_version", ("recording software version",), True),
        *_axes(
            "px", ("gaze point {eye} @ [dacspx]", "gaze point {eye} @ [px]", "gaze point {eye} @"), "xy",
            "'Gaze point {eye} @ [DACS px]'",
        ),
        *_axes("mm", ("gaze point {eye} @ [dacsmm]", "gaze point {eye} @ [mm]"), "xy"),
        *_axes("eye", ("eye position {eye} @ [dacsmm]", "eye position {eye} @ [mm]", "eye position {eye} @"), "xyz"),
        *_axes("direction", ("gaze direction {eye} @",), "xyz"),
        *_per_eye("pupil", ("pupil diameter {eye}",)),
        *_per_eye("openness", ("eye openness {eye}",)),
        *_per_eye("validity", ("validity {eye}",), is_text=True),
    ),
    (("time",), ("{eye}_px_x", "{eye}_mm_x"), ("{eye}_px_y", "{eye}_mm_y")),
    "display area (DACS), mm: origin at the top left corner, x right, y down, z towards the participant; gaze points have z = 0",
    ("valid", "1"),
    "In Pro Lab: Analyze, Data export, tick the column under 'Gaze data' (the time stamp under 'General'), format "
    "'Single standard file (.tsv)', and export again.",
)  # fmt: skip

_STUDIO_TIME = ("recordingtimestamp", "recording timestamp", "timestamp")

STUDIO = Dialect(
    "studio",
    "Tobii Studio",
    (
        Source("time", _STUDIO_TIME, option="'RecordingTimestamp'"),
        Source("device_time", ("eyetrackertimestamp",)),
        Source("participant_name", ("participantname", "participant"), True),
        Source("recording_name", ("recordingname", "recording"), True),
        Source("resolution", ("recordingresolution",), True),
        Source("event", ("studioevent", "event"), True),
        Source("event_value", ("studioeventdata", "descriptor"), True),
        Source("media", ("medianame", "stimuliname"), True),
        Source("software_version", ("studioversionrec",), True),
        *_axes(
            "px", ("gazepoint{eye}@ [adcspx]", "gazepoint@{eye}", "gazepoint{eye}@"), "xy", "'GazePoint{Eye}@ (ADCSpx)'"
        ),
        *_axes("mm", ("gazepoint{eye}@ [adcsmm]",), "xy"),
        *_axes("eye", ("eyepos{eye}@ [adcsmm]",), "xyz"),
        *_per_eye("pupil", ("pupil{eye}",)),
        *_per_eye("validity", ("validity{eye}",), "'Validity{Eye}'", is_text=True),
    ),
    (("time",), ("{eye}_px_x", "{eye}_mm_x"), ("{eye}_px_y", "{eye}_mm_y"), ("{eye}_validity",)),
    "display area (ADCS), mm, as Tobii Studio exported it; gaze points have z = 0",
    # Codes 0 (both eyes found) and 1 (probably this eye) are sure; 2 to 4 are not (Tobii Studio manual, validity codes).
    ("0", "1"),
    "In Studio: Data Export, add the columns under 'Gaze tracking data', and export as .tsv again.",
)

STUDIO_RAW = Dialect(
    "studio-raw",
    "a Tobii tracker's raw text file",
    (
        Source("time", ("time",), option="'Time'"),
        *_axes("norm", ("{e}gazepos2d@",), "xy", "'{e}GazePos2d@'"),
        *_axes("mm", ("{e}gazepos3d@",), "xyz"),
        *_axes("eye", ("{e}eyepos3d@",), "xyz"),
        *_per_eye("pupil", ("{e}pupildm",)),
        *_per_eye("validity", ("{e}validity",), "'{e}Validity'", is_text=True),
    ),
    (("time",), ("{eye}_norm_x",), ("{eye}_norm_y",), ("{eye}_validity",)),
    "user coordinate system, mm",
    ("0", "1"),
    "Name a file that holds the columns Time, LGazePos2dx, LGazePos2dy, LValidity and the same of the right eye.",
)


def _sdk_sources() -> tuple[Source, ...]:
    sources: list[Source] = [
        Source("time", ("system_time_stamp",), option="'system_time_stamp'"),
        Source("device_time", ("device_time_stamp",)),
    ]
    for role, field, axes in (
        ("norm", "gaze_point_on_display_area", "xy"),
        ("mm", "gaze_point_in_user_coordinate_system", "xyz"),
        ("eye", "gaze_origin_in_user_coordinate_system", "xyz"),
    ):
        for place, axis in enumerate(axes):
            spellings = (f"{{eye}}_{field}_{axis}", f"{{eye}}_{field}_{place}", f"{{eye}}_{field}.{place}")
            sources += _per_eye(f"{role}_{axis}", spellings, f"'{{eye}}_{field}' (or its parts _{axes[0]}, _{axes[1]})")
        sources += _per_eye(f"{role}_tuple", (f"{{eye}}_{field}",), is_text=True)
    for role, field in (("gaze_valid", "gaze_point"), ("pupil_valid", "pupil"), ("origin_valid", "gaze_origin")):
        sources += _per_eye(role, (f"{{eye}}_{field}_validity",), f"'{{eye}}_{field}_validity'")
    sources += _per_eye("pupil", ("{eye}_pupil_diameter",))
    return tuple(sources)


SDK = Dialect(
    "sdk",
    "the Tobii Pro SDK",
    _sdk_sources(),
    (("time",), ("{eye}_norm_x", "{eye}_norm_tuple"), ("{eye}_gaze_valid",)),
    "user coordinate system, mm",
    ("1",),
    "Write all fields of the SDK's gaze dictionaries, such as pandas.DataFrame(samples).to_csv('gaze.csv', index=False).",
)

OPENNESS = Dialect(
    "sdk-openness",
    "the Tobii Pro SDK (eye openness)",
    (
        Source("time", ("system_time_stamp",), option="'system_time_stamp'"),
        Source("device_time", ("device_time_stamp",)),
        *_per_eye("openness", ("{eye}_eye_openness_value", "{eye}_openness_mm"), "'{eye}_eye_openness_value'"),
        *_per_eye("openness_valid", ("{eye}_eye_validity", "{eye}_valid")),
    ),
    (("time",), ("{eye}_openness",)),
    "",
    ("1",),
    "Write all fields of the SDK's eye openness dictionaries.",
)
