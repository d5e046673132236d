"""``study.toml``: everything that defines a study.

Each section is a model of :mod:`data_schema.study.sections`; its fields carry their
unit in the name and their meaning in the description, from which the reference page
is generated. Unknown keys are errors, answered with the nearest known key.
"""

from __future__ import annotations

import difflib
import json
import sys
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from data_schema.errors import ConfigError
from data_schema.study.sections import (
    AnnotationSection,
    BlinksSection,
    CalibrationSection,
    CameraSection,
    ClipsSection,
    ExportSection,
    EyeMovementsSection,
    EyeTrackerSection,
    FacesSection,
    FoldsSection,
    LabelsSection,
    LslSection,
    PreflightSection,
    ProtocolSection,
    PublishSection,
    PupilSection,
    QualitySection,
    RecordingSection,
    ScreenSection,
    Section,
    SimulationSection,
    Stimulus,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class StudySection(Section):
    """What the study is called and how its random choices are seeded."""

    title: str = Field(min_length=1, max_length=200, description="Title of the study, for reports and exports.")
    seed: int = Field(2025, ge=0, description="Seed of every random choice that the study makes (orders, folds).")


class StudyConfig(Section):
    """The whole of ``study.toml``."""

    schema_version: Literal[1] = Field(1, description="Version of this file's format.")
    study: StudySection
    screen: ScreenSection = ScreenSection()
    eye_tracker: EyeTrackerSection = EyeTrackerSection()
    calibration: CalibrationSection = CalibrationSection()
    camera: CameraSection = CameraSection()
    recording: RecordingSection = RecordingSection()
    protocol: ProtocolSection = ProtocolSection()
    clips: ClipsSection = ClipsSection()
    quality: QualitySection = QualitySection()
    eye_movements: EyeMovementsSection = EyeMovementsSection()
    blinks: BlinksSection = BlinksSection()
    pupil: PupilSection = PupilSection()
    faces: FacesSection = FacesSection()
    labels: LabelsSection = LabelsSection()
    annotation: AnnotationSection = AnnotationSection()
    export: ExportSection = ExportSection()
    folds: FoldsSection = FoldsSection()
    publish: PublishSection = PublishSection()
    preflight: PreflightSection = PreflightSection()
    lsl: LslSection = LslSection()
    simulation: SimulationSection = SimulationSection()
    stimuli: tuple[Stimulus, ...] = Field((), description="The clips, one [[stimuli]] table each.")

    @model_validator(mode="after")
    def _unique_stimuli(self) -> StudyConfig:
        seen: set[str] = set()
        for stimulus in self.stimuli:
            if stimulus.id in seen:
                raise ValueError(f"two [[stimuli]] have the id '{stimulus.id}'; give each its own")
            seen.add(stimulus.id)
        return self

    @property
    def trial_stimuli(self) -> tuple[Stimulus, ...]:
        """The stimuli of the trials: all but those for practice."""
        return tuple(stimulus for stimulus in self.stimuli if not stimulus.practice)

    @property
    def practice_stimuli(self) -> tuple[Stimulus, ...]:
        """The stimuli of the practice trials, in the order in which they are listed."""
        return tuple(stimulus for stimulus in self.stimuli if stimulus.practice)

    def to_json(self) -> str:
        """Return the resolved configuration as JSON, keys sorted."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)


def config_from_json(text: str) -> StudyConfig:
    """Rebuild the configuration that a session file carries.

    Raises
    ------
    ConfigError
        If the text is not a configuration of this version.
    """
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"the stored configuration is not JSON: {error}") from error
    return parse_config(data, "the stored configuration")


def load_config(path: Path) -> StudyConfig:
    """Read and check a ``study.toml``.

    Raises
    ------
    ConfigError
        If the file is missing, is no TOML, or has unknown keys or bad values.
        The message names each of them.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file. Make a study with: emer init FOLDER") from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: is not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8."
        ) from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}. Give yourself the right to.") from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{path.name}: not valid TOML: {error}. Mend that line: text stands in quotes, numbers have a decimal point."
        ) from error
    return parse_config(data, path.name)


def parse_config(data: Any, source: str) -> StudyConfig:
    """Check a parsed configuration; `source` names it in messages."""
    if not isinstance(data, dict):
        raise ConfigError(f"{source}: expected tables such as [study], got {type(data).__name__}")
    try:
        return StudyConfig.model_validate(data)
    except ValidationError as error:
        problems = [_explain(dict(item), data, source) for item in error.errors()]
        raise ConfigError("\n".join(problems)) from None


def _explain(item: dict[str, Any], data: dict[str, Any], source: str) -> str:
    """Turn one pydantic finding into a sentence with the next step."""
    location = [str(part) for part in item["loc"]]
    key = location[-1] if location else ""
    section = _section_name(location[:-1], data)
    where = f"{source}: {section}" if section else f"{source}:"
    if item["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        hint = f"Did you mean '{near[0]}'?" if near else f"Known keys: {', '.join(sorted(known))}."
        kind = "key" if section else "section"
        return f"{where} has no {kind} '{key}'. {hint}"
    if item["type"] == "missing":
        return f"{where} lacks '{key}'. Add it; `emer init` in an empty folder shows a complete file."
    message = str(item["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    if not location:
        return f"{where} {message}"
    return f"{where} {key} = {item['input']!r}: {message}"


def _section_name(parts: list[str], data: dict[str, Any]) -> str:
    if not parts:
        return ""
    if parts[0] == "stimuli":
        if len(parts) < 2:
            return "[[stimuli]]"
        entries = data.get("stimuli")
        index = int(parts[1])
        name = ""
        if isinstance(entries, list) and isinstance(entries[index], dict):
            name = str(entries[index].get("id", ""))
        return f"[[stimuli]] number {index + 1}" + (f" ('{name}')" if name else "")
    return f"[{'.'.join(parts)}]"


def _known_keys(parts: list[str]) -> list[str]:
    model: type[BaseModel] = StudyConfig
    if parts and parts[0] == "stimuli":
        model = Stimulus
    elif parts:
        annotation = StudyConfig.model_fields[parts[0]].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
    return list(model.model_fields)
