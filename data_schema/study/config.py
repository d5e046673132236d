"""``study.toml``: everything that defines a study.

Each section is a model below; its fields carry their unit in the name and their
meaning in the description, from which the reference page is generated. Unknown
keys are errors, answered with the nearest known key.
"""

from __future__ import annotations

import difflib
import json
import sys
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from data_schema.errors import ConfigError
from data_schema.vocabularies import EMOTIONS, POLARITIES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)]


def _known_emotion(value: str) -> str:
    if value not in EMOTIONS:
        near = difflib.get_close_matches(value, EMOTIONS, n=1)
        hint = f"Did you mean '{near[0]}'? " if near else ""
        raise ValueError(f"no such emotion. {hint}Known: {', '.join(EMOTIONS)}.")
    return value


def _known_polarity(value: str) -> str:
    if value not in POLARITIES:
        raise ValueError(f"no such polarity. Known: {', '.join(POLARITIES)}.")
    return value


EmotionName = Annotated[str, AfterValidator(_known_emotion)]
PolarityName = Annotated[str, AfterValidator(_known_polarity)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StudySection(_Section):
    """What the study is called and how its random choices are seeded."""

    title: str = Field(min_length=1, max_length=200, description="Title of the study, for reports and exports.")
    seed: int = Field(2025, ge=0, description="Seed of every random choice that the study makes (orders, folds).")


class ScreenSection(_Section):
    """The participant's screen, as measured with a ruler."""

    width_px: int = Field(1920, gt=0, description="Width of the screen in pixels.")
    height_px: int = Field(1080, gt=0, description="Height of the screen in pixels.")
    width_mm: float = Field(528.0, gt=0, description="Width of the visible area.")
    height_mm: float = Field(297.0, gt=0, description="Height of the visible area.")
    distance_mm: float = Field(650.0, gt=0, description="Usual distance between eyes and screen.")
    refresh_hz: float = Field(60.0, gt=0, description="Refresh rate.")
    number: int = Field(
        0, ge=0, description="Which monitor the participant's window fills, from 0; the console takes another one."
    )
    fullscreen: bool = Field(True, description="False shows a window of this size instead, to try things out.")


class EyeTrackerSection(_Section):
    """The eye tracker."""

    kind: str = Field(
        "simulated",
        pattern=r"^(tobii|simulated|replay|faulty)(:.*)?$",
        description="tobii, tobii:SERIAL_OR_ADDRESS, simulated, or replay:FILE_OR_FOLDER.",
    )
    rate_hz: float = Field(600.0, gt=0, le=2000, description="Gaze samples per second.")
    mode: str = Field("", description="Eye tracking mode to set on a Tobii tracker; empty leaves the one it has.")
    licence_file: str = Field(
        "", description="Full path of a licence that a Tobii tracker needs; empty if it needs none."
    )


class CalibrationSection(_Section):
    """Positioning, calibration and validation of the eye tracker."""

    points: Literal[0, 1, 5, 9, 13] = Field(9, description="Calibration targets; 0 for no calibration.")
    validation_points: Literal[0, 1, 4, 5, 8] = Field(
        4, description="Validation targets, at other places than the calibration's; 0 for no validation."
    )
    eyes: Literal["both", "left", "right"] = Field("both", description="Eyes that are calibrated.")
    target_s: float = Field(1.0, ge=0.3, le=10, description="Time that a target stands still before it is used up.")
    max_accuracy_deg: float = Field(1.0, gt=0, description="Largest mean offset that the gate lets pass.")
    max_precision_rms_deg: float = Field(1.0, gt=0, description="Largest mean RMS-S2S that the gate lets pass.")
    max_loss: float = Field(0.2, ge=0, le=1, description="Largest share of lost samples that the gate lets pass.")
    gate: Literal["required", "warn"] = Field(
        "required", description="required: the operator needs a reason to go on past a failed validation."
    )
    recheck_every: int = Field(0, ge=0, description="Trials between quick re-checks of the calibration; 0 for none.")
    max_drift_deg: float = Field(1.5, gt=0, description="Drift at a re-check from which a new calibration is advised.")


class CameraSection(_Section):
    """The face camera and its encoding."""

    source: str = Field("simulated", min_length=1, description="Camera index, video file, or simulated.")
    width_px: int = Field(1280, ge=64, multiple_of=2, description="Width of the picture.")
    height_px: int = Field(720, ge=64, multiple_of=2, description="Height of the picture.")
    fps: float = Field(30.0, gt=0, le=240, description="Frames per second asked of the camera.")
    codec: Literal["libx264"] = Field("libx264", description="Video encoder.")
    preset: str = Field("ultrafast", description="Speed preset of the encoder.")
    crf: int = Field(23, ge=0, le=51, description="Constant rate factor: lower is better and larger.")
    keyframe_every: int = Field(
        15, ge=1, le=15, description="Frames between key frames; annotators seek faster with fewer."
    )
    exposure_ms: float = Field(
        0.0, ge=0, le=1000, description="Fixed exposure time where the camera allows it; 0 leaves it to the camera."
    )
    second_source: str = Field("", description="A second camera: index, video file or simulated; empty for none.")
    adapt: bool = Field(
        True, description="Choose a faster preset, then a smaller picture, if this machine cannot encode what is asked."
    )


class RecordingSection(_Section):
    """How the recorder saves."""

    flush_interval_s: float = Field(
        0.5, gt=0, le=1.0, description="Longest time that a row waits before it is written."
    )
    fsync_interval_s: float = Field(
        5.0, gt=0, le=60, description="Longest time before what is written is forced onto the disk."
    )
    min_free_gb: float = Field(
        2.0, ge=0, description="Recording does not start with less free disk than this plus what the session needs."
    )
    queue_seconds: float = Field(
        10.0,
        gt=0,
        le=60,
        description="Seconds of samples that may wait for the writer before any is counted as dropped.",
    )
    silence_s: float = Field(
        1.5, gt=0, description="A stream that is silent for longer raises an alarm, which is seen within another 0.2 s."
    )


class ProtocolSection(_Section):
    """What the participant goes through."""

    baseline_s: float = Field(2.0, ge=0, description="Grey screen before the first trial.")
    fixation_s: float = Field(0.5, ge=0, description="Fixation cross before each clip.")
    washout_s: float = Field(0.5, ge=0, description="Neutral pause after each clip.")
    order: Literal["balanced", "random", "listed"] = Field(
        "balanced", description="Order of the stimuli over participants."
    )
    self_report: bool = Field(True, description="Ask for emotions, valence, arousal and familiarity after each clip.")
    break_every: int = Field(0, ge=0, description="Trials between breaks; 0 for none.")
    language: _Identifier = Field("en", description="Language of all texts: en, zh, or a file texts/LANGUAGE.toml.")
    consent: Literal["screen", "paper"] = Field(
        "screen", description="screen: the participant is asked for each scope; paper: the operator enters them."
    )
    questionnaires_before: tuple[_Identifier, ...] = Field(
        ("mood",), description="Questionnaires before the first trial, by identifier."
    )
    questionnaires_after: tuple[_Identifier, ...] = Field(
        ("mood",), description="Questionnaires after the last trial, by identifier."
    )
    free_text: bool = Field(True, description="Ask for a few words of the participant's own after each clip.")
    attention_checks: int = Field(
        1, ge=0, description="Times in a session that a self-report holds an item with a prescribed answer."
    )


class Stimulus(_Section):
    """One clip that is shown."""

    id: _Identifier = Field(description="Identifier, used in files and tables.")
    file: str = Field(min_length=1, description="File below stimuli/, with forward slashes.")
    target_emotion: EmotionName = Field(description="Emotion that it is meant to induce.")
    licence: str = Field("", description="Licence or source of the clip.")
    practice: bool = Field(False, description="Shown in the practice trial only, which never becomes a clip.")

    @field_validator("file")
    @classmethod
    def _inside_stimuli(cls, value: str) -> str:
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts or "\\" in value or ":" in value:
            raise ValueError("must be a path below stimuli/ with forward slashes, such as 'joy-1.mp4'")
        return value


class ClipsSection(_Section):
    """How a trial becomes a clip."""

    rule: Literal["whole"] = Field("whole", description="Part of the trial that is used: the whole stimulus.")


class QualitySection(_Section):
    """Which clips are good enough."""

    max_gaze_loss: float = Field(0.5, ge=0, le=1, description="Largest share of samples without gaze from either eye.")
    min_frames_share: float = Field(0.8, ge=0, le=1, description="Smallest share of the expected camera frames.")


class LabelsSection(_Section):
    """What annotators may say."""

    emotions: tuple[EmotionName, ...] = Field(
        EMOTIONS, min_length=2, description="Emotions offered; a study may narrow the seven."
    )
    polarities: tuple[PolarityName, ...] = Field(
        POLARITIES, min_length=2, description="Polarities offered; a study may narrow the three."
    )
    er_source: Literal["annotators", "self_report"] = Field(
        "annotators", description="Who says what was felt: annotators of the ER pass, or the participant."
    )
    consensus: Literal["majority", "dawid-skene"] = Field(
        "majority",
        description="How the training export finds the class that annotators say together; dawid-skene needs the extra consensus.",
    )
    database: str = Field(
        "",
        pattern=r"^$|^postgresql://[^\s]+$",
        description="postgresql://HOST/DATABASE where annotators write at once, without a password; empty for one file each.",
    )


LabelField = Literal["emotion", "polarity", "valence", "arousal", "intensity", "confidence"]


class AnnotationSection(_Section):
    """Who labels what, in which order, and what a label must hold."""

    annotators: tuple[_Identifier, ...] = Field(
        (),
        description="Pseudonyms of the annotators among whom the clips are shared; empty: whoever comes gets all clips.",
    )
    annotators_per_clip: int = Field(
        0, ge=0, description="Annotators who judge each clip in each pass; 0 for all of them."
    )
    required: tuple[LabelField, ...] = Field(
        ("emotion", "valence", "arousal", "intensity"),
        description="What a label must hold before it counts; intensity is asked in the FER pass alone.",
    )
    trace: Literal["off", "bounded", "relative"] = Field(
        "off",
        description="A continuous trace while the clip plays: on the scale (bounded), or free of ends (relative).",
    )
    trace_of: Literal["valence", "arousal", "both"] = Field("valence", description="What the trace is of.")
    repeats_share: float = Field(
        0.1, ge=0, le=0.5, description="Share of an annotator's clips that come a second time, unannounced."
    )
    repeats_distance: int = Field(20, ge=1, description="Clips that lie between a clip and its repeat, at least.")
    gold_file: str = Field(
        "", description="CSV in the study folder with the clips whose labels are agreed on by experts; empty for none."
    )
    training_clips: int = Field(0, ge=0, description="Gold clips of the training block, answered with feedback.")
    admission_clips: int = Field(0, ge=0, description="Gold clips of the admission test, without feedback.")
    admission_share: float = Field(
        0.7, ge=0, le=1, description="Share of the admission test's emotions that must be right."
    )
    break_every_min: float = Field(
        30.0, ge=0, description="Minutes of work after which a break is proposed; 0 for none."
    )
    guess_min_confidence: float = Field(
        0.8, ge=0, le=1, description="Confidence from which a model's guess is offered for verification."
    )
    control_share: float = Field(
        0.2,
        gt=0,
        le=1,
        description="Share of those clips that is judged without a guess, to measure what seeing one does.",
    )
    query_strategy: Literal["random", "least_confident", "margin", "entropy"] = Field(
        "entropy", description="Which clips come first where a model's predictions order the queue."
    )


class ExportSection(_Section):
    """Shapes of the training export."""

    face_frames: int = Field(8, ge=1, le=512, description="Face crops per clip, equally spaced in time.")
    face_size_px: Literal[112] = Field(112, description="Side of an aligned face crop.")
    eye_chunks: int = Field(32, ge=1, le=1024, description="Time chunks of eye features per clip.")
    max_fixations: int = Field(32, ge=1, le=1024, description="Fixations kept per clip, from its start.")


class FoldsSection(_Section):
    """Subject-independent folds."""

    n: int = Field(5, ge=3, le=100, description="Number of folds: one tests, the next validates, the rest train.")


class PreflightSection(_Section):
    """What is checked before each session."""

    test_recording_s: float = Field(
        10.0, ge=0, le=120, description="Length of the test recording that is made and checked; 0 for none."
    )
    rate_tolerance: float = Field(
        0.05, gt=0, lt=1, description="Share by which a delivered rate may lie below the one asked for."
    )
    disk_margin: float = Field(1.5, ge=1, description="Free disk is to last for this many times the planned minutes.")
    min_free_memory_gb: float = Field(1.0, ge=0, description="Free memory below which a session does not start.")


class LslSection(_Section):
    """Lab Streaming Layer."""

    markers: bool = Field(False, description="Send all markers as an LSL stream.")
    inlets: tuple[str, ...] = Field((), description="Names or types of LSL streams that are recorded as well.")


class SimulationSection(_Section):
    """What simulated participants and annotators are like. Real recordings ignore it."""

    masking_share: float = Field(0.386, ge=0, le=1, description="Share of trials in which the face hides the feeling.")
    subject_effect: float = Field(1.0, ge=0, le=5, description="Size of the differences between participants.")
    noise: float = Field(1.0, ge=0, le=5, description="Size of the noise in eye behaviour and face.")
    blink_rate_hz: float = Field(0.25, ge=0, le=2, description="Blinks per second at rest.")
    loss_share: float = Field(0.01, ge=0, le=0.9, description="Share of samples lost outside blinks.")


class StudyConfig(_Section):
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
    labels: LabelsSection = LabelsSection()
    annotation: AnnotationSection = AnnotationSection()
    export: ExportSection = ExportSection()
    folds: FoldsSection = FoldsSection()
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
