"""Cover faces in pictures that leave the lab: nothing of what was there can be had back.

The head is replaced, not softened: a light blur can be undone, mosaics can be matched
with known faces, and the mean colour of a mosaic's cells over time still carries the
pulse. Whatever is covered here is one fixed grey, whatever lay below; it errs on the
side of covering.

References
----------
McPherson et al. (2016), "Defeating image obfuscation with deep learning",
arXiv:1609.00408: people recognised behind mosaics and blurs.
Verkruysse et al. (2008), "Remote plethysmographic imaging using ambient light",
Optics Express 16: the pulse in the mean colour of a face.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from data_schema.signals.faces.analysis import Rows
from data_schema.signals.faces.detectors import FaceDetector, MtcnnDetector
from data_schema.signals.faces.pictures import Image
from data_schema.signals.gaze import Float

#: What lies over a head, RGB.
COVER_RGB: tuple[int, int, int] = (128, 128, 128)
#: Longest time between two sightings of a face over which the space between them is covered; beyond it all is.
MAX_GAP_S = 2.0
#: From the centre of eyes and mouth, in units of the larger of the eyes' distance and 0.9 of that from eyes to mouth (equal in
#: a frontal face; one of them stays when the head turns): hair and ears with room to spare, for heads that move on.
_REACH_SIDE, _REACH_UP, _REACH_DOWN = 1.7, 2.8, 1.9
#: The detector's box is enlarged by this share on each side and covered as well.
_BOX_MARGIN = 0.2


def rows_around(rows: Rows, t_us: int, max_gap_s: float = MAX_GAP_S) -> Rows:
    """Choose the analysed frames that say where a face is at a time.

    Parameters
    ----------
    rows : ndarray of FACE_FRAME_DTYPE, shape (n,)
        In the order of time.
    t_us : int
        Time of the frame that is to be covered.
    max_gap_s : float
        Longest time between the sightings before and after it.

    Returns
    -------
    ndarray of FACE_FRAME_DTYPE, shape (m,)
        The last one with a face at or before the time and the first one at or after it, with all between them, and on to the
        next that the detector itself looked at; empty if there is no face on either side, or they lie too far apart: then
        nobody knows where the face is.
    """
    seen = np.flatnonzero(rows["found"])
    times = rows["t_us"][seen].astype(np.int64)
    before = int(np.searchsorted(times, t_us, side="right")) - 1
    after = int(np.searchsorted(times, t_us, side="left"))
    if before < 0 or after >= len(seen) or (times[after] - times[before]) > max_gap_s * 1e6:
        return rows[:0]
    # As far as the detector's next look, which tells whether somebody else came in since its last.
    looks = np.flatnonzero(rows["detected"][seen[after] :])
    return rows[seen[before] : seen[after] + (int(looks[0]) if len(looks) else 0) + 1]


def head_box(row: Rows) -> tuple[float, float, float, float]:
    """Return left, top, right, bottom of what a head may fill around a found face, in pixels."""
    points: Float = row["points_px"].astype(np.float64)
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    unit = max(float(np.linalg.norm(points[1] - points[0])), 0.9 * float(np.linalg.norm(mouth - eyes)))
    # The head leans with the face: its axes are the picture's turned by the roll.
    down = mouth - eyes
    length = float(np.linalg.norm(down))
    down = down / length if length > 0 else np.array([0.0, 1.0])
    side = np.array([down[1], -down[0]])
    centre = (eyes + mouth) / 2.0
    corners = [
        centre + across * _REACH_SIDE * unit * side + along * unit * down
        for across in (-1.0, 1.0)
        for along in (-_REACH_UP, _REACH_DOWN)
    ]
    x, y, width, height = row["box_px"].astype(np.float64)
    corners += [np.array([x - _BOX_MARGIN * width, y - _BOX_MARGIN * height])]
    corners += [np.array([x + (1 + _BOX_MARGIN) * width, y + (1 + _BOX_MARGIN) * height])]
    reached = np.array(corners)
    left, top = reached.min(axis=0).tolist()
    right, bottom = reached.max(axis=0).tolist()
    return left, top, right, bottom


def blur_faces(picture: Image, rows: Rows) -> Image:
    """Return the picture with the participant's head covered.

    Parameters
    ----------
    picture : ndarray of uint8, shape (height, width, 3)
        RGB; it is not changed.
    rows : ndarray of FACE_FRAME_DTYPE, shape (n,) or ()
        What is known of the face at this time: the frame's own row, or those of :func:`rows_around`.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
        One grey where a head may be: the rectangle around the heads of all rows, so the space that a face crossed between
        two analysed frames is covered, too. All of it, if no row has a face or the detector saw somebody else.
    """
    covered: Image = np.array(picture, dtype=np.uint8)
    known = np.atleast_1d(rows)
    found = known[known["found"]]
    if len(found) == 0 or (known["n_faces"] > known["found"]).any() or not np.isfinite(found["points_px"]).all():
        return _all_covered(picture)
    boxes = np.array([head_box(row) for row in found])
    left, top = np.floor(np.maximum(boxes[:, :2].min(axis=0), 0)).astype(int)
    right, bottom = np.ceil(np.maximum(boxes[:, 2:].max(axis=0), 0)).astype(int)
    covered[top:bottom, left:right] = COVER_RGB
    return covered


#: How often the covered pictures are searched for faces that are left.
CHECK_S = 0.5


def make_watchman() -> FaceDetector:
    """Return the detector that searches covered pictures: finer and more easily alarmed than the one that follows a face."""
    return MtcnnDetector(width_px=640, min_face_share=0.08, min_confidence=0.8)


def cover_video(
    frames: Iterable[tuple[int, Image]],
    clips: Sequence[Rows],
    watchman: FaceDetector | None = None,
    check_s: float = CHECK_S,
) -> Iterator[tuple[int, Image]]:
    """Cover the participant's head in a video, and all of it wherever another face is left.

    The analysis does not look for small faces in the background. So the covered pictures are searched at each end of spans of
    `check_s`; where a face is found at either end, the whole span is grey. Somebody who is in the picture for less than a span
    may be missed.

    Parameters
    ----------
    frames : iterable of (t_us, picture)
        In the order of time; RGB of shape (height, width, 3).
    clips : sequence of ndarray of FACE_FRAME_DTYPE
        Analysed frames, one array a clip. Outside the clips the whole picture is covered.
    watchman : FaceDetector, optional
        By default that of :func:`make_watchman`.
    check_s : float
        Length of a span, seconds.

    Yields
    ------
    t_us : int
    picture : ndarray of uint8, shape (height, width, 3)
    """
    guard = watchman or make_watchman()
    spans = [rows for rows in clips if len(rows)]
    held: list[tuple[int, Image]] = []
    alarmed = True
    for t_us, picture in frames:
        own = next((rows for rows in spans if rows["t_us"][0] <= t_us <= rows["t_us"][-1]), None)
        covered = _all_covered(picture) if own is None else blur_faces(picture, rows_around(own, t_us))
        if not held:
            alarmed = bool(guard.detect(covered))
        held.append((t_us, covered))
        if t_us - held[0][0] >= check_s * 1e6:
            now = bool(guard.detect(covered))
            # The last one opens the next span: it is handed on with that one.
            yield from _span(held[:-1], alarmed or now)
            held, alarmed = held[-1:], now
    if held:
        yield from _span(held, alarmed or bool(guard.detect(held[-1][1])))


def _span(held: list[tuple[int, Image]], alarmed: bool) -> Iterator[tuple[int, Image]]:
    for t_us, covered in held:
        yield t_us, _all_covered(covered) if alarmed else covered


def _all_covered(picture: Image) -> Image:
    covered: Image = np.empty_like(picture)
    covered[:] = COVER_RGB
    return covered
