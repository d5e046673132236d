"""Features of eyes and faces: numbers for models, per chunk of a clip and per clip.

Nothing here knows a label. The pupil is referred to the participant's own diameter before stimuli, so that its changes
can be compared between people.
"""

from data_schema.signals.features.chunked import PupilBaseline, eye_features, fixation_sequence
from data_schema.signals.features.declaration import (
    ENTROPY_GRID,
    EYE_FEATURE_NAMES,
    EYE_FEATURES,
    FEATURE_SOURCES,
    FEATURE_VERSION,
    FIXATION_FEATURES,
    SUMMARY_FEATURE_NAMES,
    SUMMARY_FEATURES,
    EyeFeature,
)
from data_schema.signals.features.subjects import complete_session, normalise_by_subject
from data_schema.signals.features.summary import summary_features

__all__ = [
    "ENTROPY_GRID",
    "EYE_FEATURES",
    "EYE_FEATURE_NAMES",
    "FEATURE_SOURCES",
    "FEATURE_VERSION",
    "FIXATION_FEATURES",
    "SUMMARY_FEATURES",
    "SUMMARY_FEATURE_NAMES",
    "EyeFeature",
    "PupilBaseline",
    "complete_session",
    "eye_features",
    "fixation_sequence",
    "normalise_by_subject",
    "summary_features",
]
