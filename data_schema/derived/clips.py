"""The derived data of one clip: read where they are fresh, computed and stored where they are not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from data_schema.derived.eyes import MARGIN_S, clip_eyes, pupil_baselines
from data_schema.derived.faces import FACE_VERSION, FaceCrops, FaceReader, no_faces
from data_schema.derived.fields import read_fields, write_array, write_fields
from data_schema.derived.parameters import DerivedSettings
from data_schema.derived.spans import ClipSpan
from data_schema.derived.store import DerivedStore, part_key
from data_schema.session.reader import Session
from data_schema.session.screen import recorded_screen
from data_schema.signals.eye_signals import SIGNAL_VERSION, EyeSignals
from data_schema.signals.features import PupilBaseline
from data_schema.signals.fixations import IVTParameters
from data_schema.signals.gaze import ScreenGeometry


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
    crops : FaceCrops, optional
        The aligned faces, where they were asked for.
    computed : tuple of str
        The parts that were computed now; the others were fresh.
    """

    span: ClipSpan
    eye: EyeSignals
    baseline: PupilBaseline
    faces: npt.NDArray[np.void]
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
    def _faces(self) -> FaceReader:
        return FaceReader(self.session, self.settings.faces)

    def close(self) -> None:
        """Give back the detector."""
        if "_faces" in self.__dict__:
            self._faces.close()

    def keys(self, span: ClipSpan) -> dict[str, str]:
        """Return the key of each part of a clip."""
        return clip_keys(self.store.session_sha256, span, self.settings)

    def complete(self, span: ClipSpan) -> tuple[str, ...]:
        """Compute and store what is missing of a clip, without reading the rest; return which parts were."""
        missing = [part for part, key in self.keys(span).items() if not self.store.is_fresh(span.clip_id, part, key)]
        if "eye" in missing:
            self._compute_eye(span)
        if "faces" in missing:
            self._compute_faces(span, 0)
        return tuple(missing)

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
        keys, computed = self.keys(span), []
        if not self.store.is_fresh(span.clip_id, "eye", keys["eye"]):
            computed.append("eye")
        eye = self.eye(span)
        crops = None
        faces = self.store.read(span.clip_id, "faces", keys["faces"], lambda group: group["frames"][...])
        if faces is None:
            faces, crops = self._compute_faces(span, n_crops, light)
            computed.append("faces")
        elif n_crops:
            crops = self._faces.crops(span, faces, n_crops, light)
        return DerivedClip(span, *eye, faces, crops, tuple(computed))

    def eye(self, span: ClipSpan) -> tuple[EyeSignals, PupilBaseline]:
        """Return the eye signals of a clip and the pupil before stimuli, whatever there is of its faces."""
        stored = self.store.read(span.clip_id, "eye", self.keys(span)["eye"], self._read_eye)
        return self._compute_eye(span) if stored is None else stored

    def _compute_eye(self, span: ClipSpan) -> tuple[EyeSignals, PupilBaseline]:
        baseline = self._baselines.get(span.trial_id, PupilBaseline())
        eye = clip_eyes(self.session, span, self.settings, self.screen)

        def fill(group: h5py.Group) -> None:
            write_fields(group, eye, given=(IVTParameters,))
            group.attrs["pupil_baseline_json"] = json.dumps([baseline.session_mm, baseline.trial_mm])

        self.store.write(span.clip_id, "eye", self.keys(span)["eye"], self.settings.eye_json(), SIGNAL_VERSION, fill)
        return eye, baseline

    def _read_eye(self, group: h5py.Group) -> tuple[EyeSignals, PupilBaseline]:
        eye = read_fields(group, EyeSignals, {IVTParameters: self.settings.signals.fixations})
        return eye, PupilBaseline(*json.loads(str(group.attrs["pupil_baseline_json"])))

    def _compute_faces(
        self, span: ClipSpan, n_crops: int, light: str = "none"
    ) -> tuple[npt.NDArray[np.void], FaceCrops | None]:
        if self.session.video is None:
            rows, crops = no_faces(n_crops)
        else:
            rows, crops = self._faces.read(span, n_crops, light)
        self.store.write(
            span.clip_id,
            "faces",
            self.keys(span)["faces"],
            self.settings.faces.as_json(),
            FACE_VERSION,
            lambda group: write_array(group, "frames", rows),
        )
        return rows, crops


def clip_keys(session_sha256: str, span: ClipSpan, settings: DerivedSettings) -> dict[str, str]:
    """Return the key of each part of a clip's derived data, from what can be known without opening the session."""
    eye: dict[str, Any] = settings.eye_json() | {"margin_s": MARGIN_S}
    faces = settings.faces.as_json() | {"n_frames": settings.faces.frames_of(span.duration_s)}
    return {
        "eye": part_key("eye", session_sha256, span.as_json(), eye, SIGNAL_VERSION),
        "faces": part_key("faces", session_sha256, span.as_json(), faces, FACE_VERSION),
    }


def derive_clip(session: Session, clip: ClipSpan, settings: DerivedSettings, store: DerivedStore) -> DerivedClip:
    """Return the derived data of one clip: what is fresh is read, the rest computed and stored.

    Raises
    ------
    SessionFileError
        If the session cannot be read.
    ExportError
        If the derived data cannot be stored.
    """
    deriver = SessionDeriver(session, settings, store)
    try:
        return deriver.clip(clip)
    finally:
        deriver.close()
