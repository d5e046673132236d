"""The sections of ``study.toml``, by the part of the work that they are about."""

from data_schema.study.sections.analysis import (
    BlinksSection,
    ClipsSection,
    EyeMovementsSection,
    FacesSection,
    PupilSection,
    QualitySection,
)
from data_schema.study.sections.base import Identifier, Section, allowed
from data_schema.study.sections.emotions import EmotionName, PolarityName
from data_schema.study.sections.exporting import ExportSection, FoldsSection, PublishSection
from data_schema.study.sections.labelling import AnnotationSection, LabelField, LabelsSection
from data_schema.study.sections.recording import (
    CalibrationSection,
    CameraSection,
    EyeTrackerSection,
    LslSection,
    PreflightSection,
    ProtocolSection,
    RecordingSection,
    ScreenSection,
    SimulationSection,
    Stimulus,
)

__all__ = [
    "AnnotationSection",
    "BlinksSection",
    "CalibrationSection",
    "CameraSection",
    "ClipsSection",
    "EmotionName",
    "ExportSection",
    "EyeMovementsSection",
    "EyeTrackerSection",
    "FacesSection",
    "FoldsSection",
    "Identifier",
    "LabelField",
    "LabelsSection",
    "LslSection",
    "PolarityName",
    "PreflightSection",
    "ProtocolSection",
    "PublishSection",
    "PupilSection",
    "QualitySection",
    "RecordingSection",
    "ScreenSection",
    "Section",
    "SimulationSection",
    "Stimulus",
    "allowed",
]
