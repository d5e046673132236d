"""The faces of a clip, from the video of its session, and the aligned crops of some of its frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_schema.derived.parameters import FaceParameters
from data_schema.derived.spans import ClipSpan
from data_schema.session.reader import Session
from data_schema.session.video import SessionVideo
from data_schema.signals.faces import (
    CROP_PX,
    FACE_FRAME_DTYPE,
    AnyPicture,
    FaceTracker,
    align_face,
    clip_faces,
    make_detector,
    normalise_light,
)

Rows = npt.NDArray[np.void]


@dataclass(frozen=True)
class FaceCrops:
    """Aligned faces at equally spaced times of a clip.

    Parameters
    ----------
    faces : ndarray of uint8, shape (n, 112, 112, 3)
        RGB; 0 where there is no face.
    mask : ndarray of bool, shape (n,)
        True where there is one.
    row : ndarray of int64, shape (n,)
        The row of the clip's faces that each was cut from; -1 where no frame lies near.
    """

    faces: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]
    row: npt.NDArray[np.int64]


def face_slots(
    frame_times_us: npt.NDArray[np.int64], t_start_us: int, t_end_us: int, n_frames: int
) -> npt.NDArray[np.int64]:
    """Choose the camera frame for each equally spaced time of a clip.

    Parameters
    ----------
    frame_times_us : ndarray of int64, shape (n,)
        Capture times, increasing.
    t_start_us, t_end_us : int
        The clip.
    n_frames : int
        Times: the middles of as many equal parts of the clip.

    Returns
    -------
    ndarray of int64, shape (n_frames,)
        Index of the nearest frame inside the clip; -1 where none lies within half a part.
    """
    part_us = (t_end_us - t_start_us) / n_frames
    times = t_start_us + (np.arange(n_frames) + 0.5) * part_us
    first, last = np.searchsorted(frame_times_us, [t_start_us, t_end_us])
    slots = np.full(n_frames, -1, dtype=np.int64)
    if last <= first:
        return slots
    inside = frame_times_us[first:last]
    right = np.clip(np.searchsorted(inside, times), 0, len(inside) - 1)
    left = np.clip(right - 1, 0, None)
    nearest = np.where(np.abs(inside[left] - times) <= np.abs(inside[right] - times), left, right)
    close = np.abs(inside[nearest] - times) <= part_us / 2.0
    slots[close] = nearest[close] + first
    return slots


def no_faces(n_crops: int) -> tuple[Rows, FaceCrops | None]:
    """Return what a clip without video has."""
    return np.zeros(0, dtype=FACE_FRAME_DTYPE), _empty(n_crops) if n_crops else None


class FaceReader:
    """Look for faces in the clips of one session.

    Parameters
    ----------
    session : Session
        With a video.
    parameters : FaceParameters
    """

    def __init__(self, session: Session, parameters: FaceParameters) -> None:
        self.session = session
        self.parameters = parameters
        self._tracker: FaceTracker | None = None

    def close(self) -> None:
        """Give back the detector."""
        if self._tracker is not None:
            self._tracker.detector.close()
            self._tracker = None

    @property
    def _video(self) -> SessionVideo:
        video = self.session.video
        if video is None:
            raise ValueError(f"{self.session.path.name}: has no video")
        return video

    def read(self, span: ClipSpan, n_crops: int, light: str) -> tuple[Rows, FaceCrops | None]:
        """Analyse the frames of a clip and, in the same pass, cut out `n_crops` faces."""
        times = self._video.frame_times_us
        looked_at = face_slots(times, span.t_start_us, span.t_end_us, self.parameters.frames_of(span.duration_s))
        frames = np.unique(looked_at[looked_at >= 0])
        if not len(frames):
            return no_faces(n_crops)
        if self._tracker is None:
            detector = make_detector(self.parameters.detector, self.parameters.model_file)
            self._tracker = FaceTracker(detector, self.parameters.tracking)
        slots = face_slots(times[frames], span.t_start_us, span.t_end_us, max(1, n_crops))
        wanted = frames[slots[slots >= 0]] if n_crops else frames[:0]
        pictures = ((index, int(times[index]), picture) for index, picture in self._pictures(frames))
        found = clip_faces(pictures, self._tracker, wanted.tolist(), light=light)
        if not n_crops:
            return found.rows, None
        crops = _empty(n_crops)
        crops.row[:] = slots
        used = slots >= 0
        place = np.searchsorted(found.crop_frames, frames[slots[used]])
        crops.faces[used], crops.mask[used] = found.crops[place], found.mask[place]
        return found.rows, crops

    def crops(self, span: ClipSpan, rows: Rows, n_crops: int, light: str) -> FaceCrops:
        """Cut out `n_crops` faces where they are known to be: only frames with a face are decoded."""
        crops = _empty(n_crops)
        crops.row[:] = face_slots(rows["t_us"], span.t_start_us, span.t_end_us, n_crops)
        used = np.unique(crops.row[crops.row >= 0])
        by_frame = {int(rows["frame"][place]): int(place) for place in used if rows["found"][place]}
        for index, picture in self._pictures(np.array(sorted(by_frame), dtype=np.int64)):
            if picture is None:
                continue
            at = crops.row == by_frame[index]
            points = rows["points_px"][by_frame[index]].astype(np.float64)
            crops.faces[at] = normalise_light(align_face(picture, points), light)
            crops.mask[at] = True
        return crops

    def _pictures(self, frames: npt.NDArray[np.int64]) -> Iterator[tuple[int, AnyPicture | None]]:
        # A damaged packet costs the frames up to the next key frame, not the session.
        yield from self._video.pictures(frames, broken="none")


def _empty(n_crops: int) -> FaceCrops:
    return FaceCrops(
        np.zeros((n_crops, CROP_PX, CROP_PX, 3), dtype=np.uint8),
        np.zeros(n_crops, dtype=np.bool_),
        np.full(n_crops, -1, dtype=np.int64),
    )
