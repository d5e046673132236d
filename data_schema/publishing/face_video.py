"""Write a recording's face video with the head covered."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from data_schema.session.video import SessionVideo
from data_schema.signals.faces.covering import cover_video

#: Microseconds: the unit in which the recorder stamps frames.
_TIME_BASE = Fraction(1, 1_000_000)
#: Constant rate factor: visually good; what is covered costs nothing.
_CRF = "23"


def write_covered(video: SessionVideo, faces: Sequence[npt.NDArray[np.void]], path: Path) -> None:
    """Write the video with one grey over the head, or over the whole picture where nobody knows where the head is or another
    face is seen.

    Outside the clips nothing was analysed, so that the whole picture is grey there. Times are those of the recording, the
    first frame at 0. The same input gives the same bytes: one thread encodes, and no date is written.

    Parameters
    ----------
    video : SessionVideo
    faces : sequence of ndarray of FACE_FRAME_DTYPE
        Analysed frames, one array a clip.
    path : Path
        Where to write; its ending chooses the container.

    Raises
    ------
    SessionFileError
        If a frame cannot be decoded.
    """
    times = video.frame_times_us
    rate = Fraction(1_000_000 * max(1, len(times) - 1), max(1, int(times[-1] - times[0]))).limit_denominator(1000)
    # mbtree reads memory that it never wrote where pictures are constant (seen with x264 165): the bytes would differ by chance.
    options = {"crf": _CRF, "preset": "medium", "threads": "1", "bf": "0", "x264-params": "mbtree=0"}
    with av.open(str(path), mode="w") as output:
        stream = output.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = video.stream.width_px, video.stream.height_px, "yuv420p"
        stream.thread_count = 1
        stream.codec_context.time_base = _TIME_BASE
        pictures = ((int(times[index]), picture) for index, picture in video.decode_many(np.arange(len(video))))
        for t_us, covered in cover_video(pictures, faces):
            frame = av.VideoFrame.from_ndarray(covered, format="rgb24")
            frame.pts, frame.time_base = t_us - int(times[0]), _TIME_BASE
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
