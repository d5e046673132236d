"""Sections on what happens in the lab: screen, devices, protocol, stimuli."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Literal

from pydantic import Field, field_validator

from data_schema.study.sections.base import Identifier, Section
from data_schema.study.sections.emotions import EmotionName


class ScreenSection(Section):
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


class EyeTrackerSection(Section):
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


class CalibrationSection(Section):
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


class CameraSection(Section):
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


class RecordingSection(Section):
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


class ProtocolSection(Section):
    """What the participant goes through."""

    baseline_s: float = Field(2.0, ge=0, description="Grey screen before the first trial.")
    fixation_s: float = Field(0.5, ge=0, description="Fixation cross before each clip.")
    washout_s: float = Field(0.5, ge=0, description="Neutral pause after each clip.")
    order: Literal["balanced", "random", "listed"] = Field(
        "balanced", description="Order of the stimuli over participants."
    )
    self_report: bool = Field(True, description="Ask for emotions, valence, arousal and familiarity after each clip.")
    break_every: int = Field(0, ge=0, description="Trials between breaks; 0 for none.")
    language: Identifier = Field("en", description="Language of all texts: en, zh, or a file texts/LANGUAGE.toml.")
    consent: Literal["screen", "paper"] = Field(
        "screen", description="screen: the participant is asked for each scope; paper: the operator enters them."
    )
    ask_face_sharing: bool = Field(
        False,
        description="Ask, too, whether the video of the face may be passed on to other researchers: without a yes no "
        "publication holds it, recognisable or blurred.",
    )
    questionnaires_before: tuple[Identifier, ...] = Field(
        ("mood",), description="Questionnaires before the first trial, by identifier."
    )
    questionnaires_after: tuple[Identifier, ...] = Field(
        ("mood",), description="Questionnaires after the last trial, by identifier."
    )
    free_text: bool = Field(True, description="Ask for a few words of the participant's own after each clip.")
    attention_checks: int = Field(
        1, ge=0, description="Times in a session that a self-report holds an item with a prescribed answer."
    )


class Stimulus(Section):
    """One clip that is shown."""

    id: Identifier = Field(description="Identifier, used in files and tables.")
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


class PreflightSection(Section):
    """What is checked before each session."""

    test_recording_s: float = Field(
        10.0, ge=0, le=120, description="Length of the test recording that is made and checked; 0 for none."
    )
    rate_tolerance: float = Field(
        0.05, gt=0, lt=1, description="Share by which a delivered rate may lie below the one asked for."
    )
    disk_margin: float = Field(1.5, ge=1, description="Free disk is to last for this many times the planned minutes.")
    min_free_memory_gb: float = Field(1.0, ge=0, description="Free memory below which a session does not start.")


class LslSection(Section):
    """Lab Streaming Layer."""

    markers: bool = Field(False, description="Send all markers as an LSL stream.")
    inlets: tuple[str, ...] = Field((), description="Names or types of LSL streams that are recorded as well.")


class SimulationSection(Section):
    """What simulated participants and annotators are like. Real recordings ignore it."""

    masking_share: float = Field(0.386, ge=0, le=1, description="Share of trials in which the face hides the feeling.")
    subject_effect: float = Field(1.0, ge=0, le=5, description="Size of the differences between participants.")
    noise: float = Field(1.0, ge=0, le=5, description="Size of the noise in eye behaviour and face.")
    blink_rate_hz: float = Field(0.25, ge=0, le=2, description="Blinks per second at rest.")
    loss_share: float = Field(0.01, ge=0, le=0.9, description="Share of samples lost outside blinks.")
