"""The settings by which an export was computed, read back: new recordings have to be computed by the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from data_schema.derived import DerivedSettings
from data_schema.derived.parameters import FaceParameters
from data_schema.errors import TrainingError
from data_schema.exports.shards import ShardSettings
from data_schema.signals.blinks import BlinkParameters
from data_schema.signals.eye_signals import SignalParameters
from data_schema.signals.faces import TrackingParameters, detector_version
from data_schema.signals.fixations import IVTParameters
from data_schema.signals.pupil import PupilParameters

_OWN = ("face_frames", "face_size_px", "eye_chunks", "max_fixations", "light")
_VERSIONS = ("signal_version", "faces_version", "feature_version")


def settings_of_export(stored: Mapping[str, Any], model_file: str = "") -> ShardSettings:
    """Return the array settings that a manifest's ``settings`` state; what they do not state is as by default.

    Faces are always taken as arrays: how an export packs them is no part of what they show.

    Parameters
    ----------
    stored : mapping
        ``settings`` of a manifest.
    model_file : str
        The detector's model file on this machine, where the export was made with one.

    Raises
    ------
    TrainingError
        If a value cannot be used.
    """
    try:
        own = {name: stored[name] for name in _OWN if name in stored}
        detector = dict(stored.get("face_detector", {}))
        name = str(detector.get("name", FaceParameters.detector))
        signals = dict(stored.get("signals", {}))
        settings = ShardSettings(**own)
        return ShardSettings(
            **own,
            derived=DerivedSettings(
                signals=SignalParameters(
                    fixations=_made(IVTParameters, signals.get("fixations", {})),
                    blinks=_made(BlinkParameters, signals.get("blinks", {})),
                    pupil=_made(PupilParameters, signals.get("pupil", {})),
                ),
                faces=FaceParameters(
                    detector=name,
                    detector_version=detector_version(name),
                    model_file=model_file,
                    model_sha256=str(detector.get("model_sha256", "")),
                    rate_hz=float(stored.get("faces_rate_hz", FaceParameters.rate_hz)),
                    min_frames=settings.face_frames,
                    tracking=_made(TrackingParameters, stored.get("tracking", {})),
                ),
                baseline_s=float(stored.get("pupil_baseline_s", DerivedSettings.baseline_s)),
                luminance=stored.get("luminance", "off") == "regress",
            ),
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise TrainingError(
            f"the settings of the run's export cannot be used to compute new recordings ({error}). Export them with "
            "`emer export training` and predict that export."
        ) from error


def differing_versions(stored: Mapping[str, Any]) -> list[str]:
    """Say in what this toolkit computes signals otherwise than the one that made the run's export; often empty."""
    now = ShardSettings().as_json()
    return [
        f"{name.replace('_', ' ')} {stored[name]} there, {now[name]} here"
        for name in _VERSIONS
        if name in stored and stored[name] != now[name]
    ]


def _made(kind: type[Any], values: Mapping[str, Any]) -> Any:
    """Make parameters of stored values; those that this toolkit does not know are of another version."""
    known = {field.name for field in fields(kind)}
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items() if name in known})
