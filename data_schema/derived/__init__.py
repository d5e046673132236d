"""Derived data: the signals of each clip, stored with what made them, and computed anew only when that changes.

One HDF5 file a session lies in the study's folder ``derived``, with a group a clip and in it ``eye``, ``faces`` and
``features``. Each carries its parameters, the version of the code and a key: the hash of the session, the clip's span and
these two. What has another key is out of date.
"""

from __future__ import annotations

from data_schema.derived.clips import ClipFeatures, DerivedClip, SessionDeriver
from data_schema.derived.opening import open_derived
from data_schema.derived.parameters import DerivedSettings, FaceParameters, derived_settings, signal_parameters
from data_schema.derived.sessions import DeriveSummary, DeriveTask, derive_session, derive_tasks, stale_clips
from data_schema.derived.spans import ClipSpan, clip_spans
from data_schema.derived.store import DerivedStore, derived_path

__all__ = [
    "ClipFeatures",
    "ClipSpan",
    "DeriveSummary",
    "DeriveTask",
    "DerivedClip",
    "DerivedSettings",
    "DerivedStore",
    "FaceParameters",
    "SessionDeriver",
    "clip_spans",
    "derive_session",
    "derive_tasks",
    "derived_path",
    "derived_settings",
    "open_derived",
    "signal_parameters",
    "stale_clips",
]
