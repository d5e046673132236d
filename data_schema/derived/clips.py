"""The derived data of one clip: read where they are fresh, computed and stored where they are not."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from data_schema.derived.eyes import MARGIN_S, clip_eyes, pupil_baselines
from data_schema.derived.faces import FaceCrops, FaceReader, no_faces
from data_schema.derived.fields import read_fields, write_array, write_fields
from data_schema.derived.light import SessionLight, session_light
from data_schema.derived.parameters import DerivedSettings
from data_schema.derived.spans import ClipSpan
from data_schema.derived.store import DerivedStore, part_key
from data_schema.session.reader import Session
from data_schema.session.screen import recorded_screen
from data_schema.signals.eye_signals import SIGNAL_VERSION, EyeSignals
from data_schema.signals.faces import FACES_VERSION
from data_schema.signals.features import FEATURE_VERSION, SUMMARY_FEATURE_NAMES, PupilBaseline, summary_features
from data_schema.signals.fixations import IVTParameters
from data_schema.signals.gaze import ScreenGeometry


@dataclass(frozen=True)
class ClipFeatures:
    """Summary features of a clip, in the order of ``SUMMARY_FEATURES``.

    What refers to the whole session is masked; see ``data_schema.signals.features.complete_session``.

    Parameters
    ----------
    values : ndarray of float32, shape (n_features,)
        0 where masked.
    mask : ndarray of bool, shape (n_features,)
        True where measured.
    """

    values: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class DerivedClip:
    """What was derived of a clip.

    Parameters
    ----------
    span : ClipSpan
    eye : EyeSignals
        Of the clip and half a second around it, so that events at its ends are whole.
    baseline : PupilBaseline
        The participant's pupil before stimuli.
    faces : structured ndarray of FACE_FRAME_DTYPE
        The camera frames that were looked at, in the order of time.
    features : ClipFeatures
        Summary features of the clip.
    crops : FaceCrops, optional
        The aligned faces, where they were asked for.
    computed : tuple of str
        The parts that were computed now; the others were fresh.
    """

    span: ClipSpan
    eye: EyeSignals
    baseline: PupilBaseline
    faces: npt.NDArray[np.void]
    features: ClipFeatures
    crops: FaceCrops | None = None
    computed: tuple[str, ...] = ()


class SessionDeriver:
    """Derive the clips of one open session, one in memory at a time.

    Parameters
    ----------
    session : Session
    settings : DerivedSettings
    store : DerivedStore
        Where the session's derived data lie.
    """

    def __init__(self, session: Session, settings: DerivedSettings, store: DerivedStore) -> None:
        self.session = session
        self.settings = settings
        self.store = store

    @cached_property
    def screen(self) -> ScreenGeometry:
        """The screen that the session was recorded on."""
        return recorded_screen(self.session)

    @cached_property
    def _baselines(self) -> dict[int, PupilBaseline]:
        return pupil_baselines(self.session, self.settings)

    @cached_property
    def _light(self) -> SessionLight | None:
        return session_light(self.session, self.settings, self.screen) if self.settings.luminance else None

    @cached_property
    def _faces(self) -> FaceReader:
        return FaceReader(self.session, self.settings.faces)

    def close(self) -> None:
        """Give back the detector."""
        if "_faces" in self.__dict__:
            self._faces.close()

    def complete(self, span: ClipSpan) -> tuple[str, ...]:
        """Compute and store what is missing of a clip; return which parts were. What is fresh is not read."""
        keys = clip_keys(self.store.session_sha256, span, self.settings)
        if all(self.store.is_fresh(span.clip_id, part, key) for part, key in keys.items()):
            return ()
        return self.clip(span).computed

    def clip(self, span: ClipSpan, n_crops: int = 0, light: str = "none") -> DerivedClip:
        """Return all of a clip.

        Parameters
        ----------
        span : ClipSpan
        n_crops : int
            Aligned faces that are wanted, at the middles of as many equal parts of the clip. Where the faces have to be
            looked for anyway, one pass over the video gives both.
        light : str
            Light normalisation of the crops.
        """
        name, keys = span.clip_id, clip_keys(self.store.session_sha256, span, self.settings)
        computed = []
        if not self.store.is_fresh(name, "eye", keys["eye"]):
            computed.append("eye")
        eye, baseline = self.eye(span)
        crops = None
        faces = self.store.read(name, "faces", keys["faces"], lambda group: group["frames"][...])
        if faces is None:
            faces, crops = self._compute_faces(span, keys["faces"], n_crops, light)
            computed.append("faces")
        elif n_crops:
            crops = self._faces.crops(span, faces, n_crops, light) if len(faces) else no_faces(n_crops)[1]
        features = self.store.read(name, "features", keys["features"], _read_features)
        if features is None:
            features = self._compute_features(span, keys["features"], eye, faces, baseline)
            computed.append("features")
        return DerivedClip(span, eye, baseline, faces, features, crops, tuple(computed))

    def eye(self, span: ClipSpan) -> tuple[EyeSignals, PupilBaseline]:
        """Return the eye signals of a clip and the pupil before stimuli, whatever there is of its faces."""
        key = clip_keys(self.store.session_sha256, span, self.settings)["eye"]
        stored = self.store.read(span.clip_id, "eye", key, self._read_eye)
        return self._compute_eye(span, key) if stored is None else stored

    def _compute_eye(self, span: ClipSpan, key: str) -> tuple[EyeSignals, PupilBaseline]:
        baseline = self._baselines.get(span.trial_id, PupilBaseline())
        light = self._light
        effect = light.effects.get(span.trial_id) if light else None
        eye = clip_eyes(self.session, span, self.settings, self.screen, effect)

        def fill(group: h5py.Group) -> None:
            write_fields(group, eye, given=(IVTParameters,))
            group.attrs["pupil_baseline_json"] = json.dumps([baseline.session_mm, baseline.trial_mm])
            if light:
                group.attrs["light_response_json"] = json.dumps(asdict(light.response))

        self.store.write(span.clip_id, "eye", key, self.settings.eye_json(), SIGNAL_VERSION, fill)
        return eye, baseline

    def _read_eye(self, group: h5py.Group) -> tuple[EyeSignals, PupilBaseline]:
        eye = read_fields(group, EyeSignals, {IVTParameters: self.settings.signals.fixations})
        return eye, PupilBaseline(*json.loads(str(group.attrs["pupil_baseline_json"])))

    def _compute_faces(
        self, span: ClipSpan, key: str, n_crops: int, light: str
    ) -> tuple[npt.NDArray[np.void], FaceCrops | None]:
        if self.session.video is None:
            rows, crops = no_faces(n_crops)
        else:
            rows, crops = self._faces.read(span, n_crops, light)
        self.store.write(
            span.clip_id,
            "faces",
            key,
            self.settings.faces.as_json(),
            FACES_VERSION,
            lambda group: write_array(group, "frames", rows),
        )
        return rows, crops

    def _compute_features(
        self, span: ClipSpan, key: str, eye: EyeSignals, faces: npt.NDArray[np.void], baseline: PupilBaseline
    ) -> ClipFeatures:
        features = ClipFeatures(*summary_features(eye, faces, (span.t_start_us, span.t_end_us), baseline))

        def fill(group: h5py.Group) -> None:
            write_fields(group, features)
            group.attrs["names_json"] = json.dumps(list(SUMMARY_FEATURE_NAMES))

        self.store.write(span.clip_id, "features", key, {}, FEATURE_VERSION, fill)
        return features


def _read_features(group: h5py.Group) -> ClipFeatures:
    return read_fields(group, ClipFeatures, {})


def clip_keys(session_sha256: str, span: ClipSpan, settings: DerivedSettings) -> dict[str, str]:
    """Return the key of each part of a clip's derived data, from what can be known without opening the session."""
    eye: dict[str, Any] = settings.eye_json() | {"margin_s": MARGIN_S}
    faces = settings.faces.as_json() | {"n_frames": settings.faces.frames_of(span.duration_s)}
    keys = {
        "eye": part_key("eye", session_sha256, span.as_json(), eye, SIGNAL_VERSION),
        "faces": part_key("faces", session_sha256, span.as_json(), faces, FACES_VERSION),
    }
    made_of: dict[str, Any] = keys | {"names": list(SUMMARY_FEATURE_NAMES)}
    return keys | {"features": part_key("features", session_sha256, span.as_json(), made_of, FEATURE_VERSION)}
