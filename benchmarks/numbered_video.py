"""Videos at 1280x720 whose frames carry their number, for benchmarks that also count wrong frames."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from collection.recorder.encoder import VideoEncoder
from data_schema.session.layout import PRESENTATIONS, make_row
from data_schema.session.video import VideoStream
from data_schema.session.writer import SessionWriter

SIZE = (1280, 720)
FPS = 30
_BITS = 16
_BAND = 48
#: Different pictures, drawn once: drawing each anew would take longer than encoding it.
_VIEWS = 24
_MICRO = Fraction(1, 1_000_000)
#: Host clock at the first frame of a session.
START_US = 5_000_000


class Pictures:
    """A soft picture that moves, with a camera's noise and a number in black and white bars along the top."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        width, height = SIZE
        coarse = rng.integers(30, 220, (height // 80 + 2, width * 2 // 80 + 2, 3), dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(coarse), format="rgb24")
        scene = frame.reformat(width=width * 2, height=height, interpolation="BICUBIC").to_ndarray()
        noise = [rng.normal(0, 2, (height, width, 1)).astype(np.int16) for _ in range(6)]
        self._views = [
            np.clip(scene[:, step * 3 : step * 3 + width].astype(np.int16) + noise[step % 6], 0, 255).astype(np.uint8)
            for step in range(_VIEWS)
        ]

    def __call__(self, number: int) -> npt.NDArray[np.uint8]:
        # There and back, so that the picture never jumps.
        step = number % (2 * _VIEWS - 2)
        picture = self._views[min(step, 2 * _VIEWS - 2 - step)].copy()
        bits = (number >> np.arange(_BITS)[::-1]) & 1
        picture[:_BAND] = np.repeat(bits * 255, SIZE[0] // _BITS)[None, :, None]
        return picture


def number_in(image: npt.NDArray[np.uint8]) -> int:
    """Read the number of a frame (RGB or BGR)."""
    step = image.shape[1] // _BITS
    bright = image[_BAND // 2, step // 2 :: step].mean(axis=-1)[:_BITS] > 127
    return int(sum(1 << (_BITS - 1 - place) for place in range(_BITS) if bright[place]))


def write_file(path: Path, n_frames: int, *, variable: bool = False, key_every: int = 15, b_frames: int = 0) -> Path:
    """Write an ordinary video, at a constant rate or with irregular times (20 to 120 ms apart)."""
    pictures = Pictures()
    gaps = np.random.default_rng(1).integers(20_000, 120_000, n_frames)
    pts = np.concatenate([[0], np.cumsum(gaps)[:-1]]).tolist()
    with av.open(str(path), "w") as container:
        options = {
            "preset": "veryfast",
            "crf": "23",
            "x264-params": f"keyint={key_every}:bframes={b_frames}:scenecut=0",
        }
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        time_base = Fraction(1, 90_000) if variable else Fraction(1, FPS)
        stream.codec_context.time_base = time_base
        for number in range(n_frames):
            frame = av.VideoFrame.from_ndarray(pictures(number), format="rgb24")
            frame.pts = pts[number] * 9 // 100 if variable else number
            frame.time_base = time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_session(path: Path, seconds: float, *, clip_s: float | None = None) -> int:
    """Write a session as the recorder encodes it (irregular capture times); returns its number of frames."""
    width, height = SIZE
    n_frames = round(seconds * FPS)
    pictures, rng = Pictures(), np.random.default_rng(2)
    encoder = VideoEncoder(width, height, FPS)
    video = VideoStream("libx264", encoder.extradata, width, height, _MICRO, "yuv420p")
    with SessionWriter.create(path, participant="P001", session="01", video=video, simulated=True) as writer:
        for number in range(n_frames):
            time_us = START_US + round(number * 1e6 / FPS) + int(rng.integers(0, 5000))
            done = encoder.encode(np.ascontiguousarray(pictures(number)[..., ::-1]), time_us)
            writer.append_packet(done.payload, done.row)
        for trial in range(1, 1 + int(seconds / clip_s) if clip_s else 1):
            onset = START_US + round((trial - 1) * clip_s * 1e6)
            offset = onset + round((clip_s - 0.5) * 1e6)
            writer.append(
                PRESENTATIONS.path,
                make_row(PRESENTATIONS, trial_id=trial, stimulus_id=f"s{trial:02d}", target_emotion="neutral",
                         t_onset_us=onset, t_offset_us=offset, completed=1),
            )  # fmt: skip
    encoder.close()
    return n_frames
