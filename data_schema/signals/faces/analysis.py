"""Everything about the face in some frames of a clip, in one pass over its pictures.

A frame is looked at once: the row of its landmarks and quality, and the aligned crop
where one is wanted, come from the same decoded picture. A frame without a face gives a
row that says so; nothing is filled.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_schema.signals.faces.alignment import CROP_PX, align_face
from data_schema.signals.faces.light import normalise_light
from data_schema.signals.faces.pictures import AnyPicture, Image, as_picture
from data_schema.signals.faces.pose import head_pose
from data_schema.signals.faces.quality import eye_distance_px, measure_quality
from data_schema.signals.faces.tracking import FaceTracker
from data_schema.signals.gaze import Bool, Int

#: Raise it whenever a number of the analysis changes for the same pictures and parameters.
FACES_VERSION = 1

Rows = npt.NDArray[np.void]

#: One analysed frame. Floats are NaN where no face was found.
FACE_FRAME_DTYPE = np.dtype(
    [
        ("frame", "<i8"),  # row in /face/frames of the session
        ("t_us", "<i8"),  # capture time, host clock, microseconds
        ("decoded", "?"),  # the picture could be decoded
        ("found", "?"),  # the participant's face is in it
        ("detected", "?"),  # by the detector (else its points were followed by optical flow)
        ("n_faces", "<i2"),  # faces that the detector saw when it was last asked, at this frame or before
        ("confidence", "<f4"),  # 0 to 1, the detector's when it last found this face
        ("box_px", "<f4", (4,)),  # x, y, width, height, pixels of the picture
        ("points_px", "<f4", (5, 2)),  # eyes (viewer's left first), nose, corners of the mouth
        ("size_px", "<f4"),  # distance of the eyes, pixels
        ("yaw_deg", "<f4"),  # positive: turned to the viewer's right; relative to the camera
        ("pitch_deg", "<f4"),  # positive: turned up
        ("roll_deg", "<f4"),  # positive: leaning clockwise in the picture
        ("sharpness", "<f4"),  # variance of the Laplacian of the aligned luma, grey levels squared
        ("brightness", "<f4"),  # mean luma of the face, 0 to 1
        ("contrast", "<f4"),  # standard deviation of the luma, 0 to 0.5
        ("underexposed_share", "<f4"),  # share of the face that is nearly black, 0 to 1
        ("overexposed_share", "<f4"),  # share of the face that is nearly white, 0 to 1
    ]
)
_FLOATS = tuple(name for name in FACE_FRAME_DTYPE.names or () if FACE_FRAME_DTYPE[name].base == np.dtype("<f4"))

#: A frame to be looked at: its number, its time, and its picture (None if it could not be decoded).
FrameInput = tuple[int, int, AnyPicture | None]


@dataclass(frozen=True)
class FaceFrame:
    """What one frame gave.

    Parameters
    ----------
    row : ndarray of FACE_FRAME_DTYPE, shape ()
    crop : ndarray of uint8, shape (size, size, 3), or None
        The aligned face, where it was asked for and there is one.
    """

    row: Rows
    crop: Image | None


@dataclass(frozen=True)
class ClipFaces:
    """What the frames of a clip gave.

    Parameters
    ----------
    rows : ndarray of FACE_FRAME_DTYPE, shape (n_frames,)
    crop_frames : ndarray of int64, shape (n_crops,)
        Numbers of the frames of which crops were asked for, ascending.
    crops : ndarray of uint8, shape (n_crops, size, size, 3)
        RGB; 0 where there is no face.
    mask : ndarray of bool, shape (n_crops,)
        True where there is one.
    """

    rows: Rows
    crop_frames: Int
    crops: Image
    mask: Bool


def face_stream(
    frames: Iterable[FrameInput],
    tracker: FaceTracker,
    crop_frames: Collection[int] | None = (),
    *,
    size_px: int = CROP_PX,
    light: str = "none",
) -> Iterator[FaceFrame]:
    """Look at frames in the order of time, each once.

    Parameters
    ----------
    frames : iterable of (frame, t_us, picture)
        As ``SessionVideo.pictures`` gives them with the time of each; the picture is None where it cannot be decoded.
    tracker : FaceTracker
        Is reset first: a clip's result does not depend on the clip before.
    crop_frames : collection of int, or None
        Frames of which the aligned face is wanted; None: of all.
    size_px : int
        Side of a crop.
    light : str
        Light normalisation of the crops, as in :func:`normalise_light`.

    Yields
    ------
    FaceFrame
    """
    wanted = None if crop_frames is None else frozenset(int(frame) for frame in crop_frames)
    tracker.reset()
    for frame, t_us, picture in frames:
        row = _empty_row(frame, t_us)
        crop: Image | None = None
        if picture is not None:
            seen = as_picture(picture)
            face = tracker.update(seen, t_us)
            row["decoded"], row["n_faces"] = True, tracker.n_faces
            if face is not None:
                # As they are stored, so that a crop that is cut later from the row is the same, bit for bit.
                points = face.points_px.astype(np.float32).astype(np.float64)
                row["found"], row["detected"], row["confidence"] = True, face.detected, face.confidence
                row["box_px"], row["points_px"], row["size_px"] = face.box_px, points, eye_distance_px(points)
                row["yaw_deg"], row["pitch_deg"], row["roll_deg"] = head_pose(points)
                quality = measure_quality(seen, points)
                row["sharpness"], row["brightness"], row["contrast"] = (
                    quality.sharpness,
                    quality.brightness,
                    quality.contrast,
                )
                row["underexposed_share"], row["overexposed_share"] = (
                    quality.underexposed_share,
                    quality.overexposed_share,
                )
                if wanted is None or frame in wanted:
                    crop = normalise_light(align_face(seen, points, size_px), light)
        yield FaceFrame(row, crop)


def clip_faces(
    frames: Iterable[FrameInput],
    tracker: FaceTracker,
    crop_frames: Collection[int] = (),
    *,
    size_px: int = CROP_PX,
    light: str = "none",
) -> ClipFaces:
    """Look at the frames of a clip in one pass; rows of all, crops of some.

    Parameters
    ----------
    As in :func:`face_stream`. A frame of `crop_frames` that never comes gives a masked crop.
    """
    numbers = np.unique(np.asarray(list(crop_frames), dtype=np.int64))
    place = {int(number): i for i, number in enumerate(numbers)}
    crops = np.zeros((len(numbers), size_px, size_px, 3), dtype=np.uint8)
    mask = np.zeros(len(numbers), dtype=np.bool_)
    rows = []
    for found in face_stream(frames, tracker, place.keys(), size_px=size_px, light=light):
        rows.append(found.row)
        if found.crop is not None:
            i = place[int(found.row["frame"])]
            crops[i], mask[i] = found.crop, True
    table = np.stack(rows) if rows else np.zeros(0, dtype=FACE_FRAME_DTYPE)
    return ClipFaces(table, numbers, crops, mask)


@dataclass(frozen=True)
class FaceSummary:
    """How well the face of a clip was seen.

    Parameters
    ----------
    n_frames, n_found, n_detected, n_undecoded : int
        Frames looked at, with the face, with the face found by the detector itself, not decodable.
    missing_share : float
        Share of the frames without the face, 0 to 1; NaN without frames.
    longest_loss_s : float
        Longest time without it, from the frame before the loss to the one after; at the ends from the first or to the last
        frame that was looked at.
    others_share : float
        Share of the frames in which the detector saw somebody else as well, 0 to 1; NaN without frames.
    size_px, sharpness, brightness, contrast : float
        Medians over the frames with the face; NaN without one.
    yaw_deg, pitch_deg, roll_deg : float
        Medians likewise.
    """

    n_frames: int
    n_found: int
    n_detected: int
    n_undecoded: int
    missing_share: float
    longest_loss_s: float
    others_share: float
    size_px: float
    sharpness: float
    brightness: float
    contrast: float
    yaw_deg: float
    pitch_deg: float
    roll_deg: float


def summarise_faces(rows: Rows) -> FaceSummary:
    """Summarise the rows of a clip, shape (n_frames,)."""
    n, found = len(rows), np.asarray(rows["found"], dtype=np.bool_)
    others = rows["n_faces"] > found
    medians = {}
    for name in ("size_px", "sharpness", "brightness", "contrast", "yaw_deg", "pitch_deg", "roll_deg"):
        known = rows[name][found & np.isfinite(rows[name])]
        medians[name] = float(np.median(known)) if len(known) else float("nan")
    return FaceSummary(
        n_frames=n,
        n_found=int(found.sum()),
        n_detected=int((found & rows["detected"]).sum()),
        n_undecoded=int((~rows["decoded"]).sum()),
        missing_share=float(1.0 - found.mean()) if n else float("nan"),
        longest_loss_s=_longest_loss_s(rows["t_us"].astype(np.int64), found),
        others_share=float(others.mean()) if n else float("nan"),
        **medians,
    )


def _longest_loss_s(t_us: Int, found: Bool) -> float:
    if found.all():
        return 0.0
    kept = np.concatenate([t_us[:1], t_us[found], t_us[-1:]])
    # Only spans that hold a frame without the face are losses.
    places = np.concatenate([[-1], np.flatnonzero(found), [len(t_us)]])
    return float((np.diff(kept) * (np.diff(places) > 1)).max() / 1e6)


def _empty_row(frame: int, t_us: int) -> Rows:
    row = np.zeros((), dtype=FACE_FRAME_DTYPE)
    row["frame"], row["t_us"] = frame, t_us
    for name in _FLOATS:
        row[name] = np.nan
    return row
