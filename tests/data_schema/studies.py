"""Small studies with sessions and labels, for the tests of exports."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from data_schema.clips.index import build_clip_index
from data_schema.labels import Label, LabelStore
from data_schema.session import markers
from data_schema.session.layout import FRAMES, PRESENTATIONS, make_row
from data_schema.session.synthetic import START_US, make_synthetic_session, synthetic_config
from data_schema.session.video import VideoStream
from data_schema.session.writer import SessionWriter
from data_schema.study.folder import StudyFolder
from data_schema.vocabularies import EMOTIONS

STUDY_TOML = """\
[study]
title = "Tiny study"
seed = 7
[camera]
width_px = 320
height_px = 240
[folds]
n = 3
{more}
[[stimuli]]
id = "s00"
file = "s00.mp4"
target_emotion = "happiness"
"""


def make_study(root: Path, n_participants: int = 3, n_trials: int = 2, more: str = "", **session) -> StudyFolder:
    """Write a study with one session a participant; gaze at 120 Hz, clips of one second."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "study.toml").write_text(STUDY_TOML.format(more=more), encoding="utf-8")
    study = StudyFolder(root)
    for number in range(1, n_participants + 1):
        add_session(study, f"P{number:03d}", n_trials=n_trials, seed=number, **session)
    return study


def add_session(study: StudyFolder, participant: str, session: str = "01", **options) -> Path:
    path = study.session_path(participant, session)
    path.parent.mkdir(parents=True)
    options = {"n_trials": 2, "trial_s": 1.0, "rate_hz": 120.0, "config": synthetic_config()} | options
    return make_synthetic_session(path, participant=participant, session=session, **options)


def label_all(study: StudyFolder, annotators: int = 2) -> None:
    """Label every clip of the index: ER by trial number, FER neutral, all annotators alike."""
    clips = build_clip_index(study)
    study.labels_dir.mkdir(exist_ok=True)
    for number in range(1, annotators + 1):
        name = f"sim-{number:02d}"
        with LabelStore.open(study.labels_dir / f"{name}.sqlite", name, "simulated") as store:
            for clip in clips.itertuples():
                felt = EMOTIONS[clip.trial_id % 7]
                common = {"clip_id": clip.clip_id, "clip_sha256": clip.session_sha256, "view": "face"}
                store.add(Label(**common, task="er", emotion=felt, polarity="negative", valence=-0.5, arousal=0.25))
                store.add(Label(**common, task="fer", emotion="neutral", polarity="neutral", intensity=number / 2))


def read_frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def add_face_session(study: StudyFolder, participant: str, frames: list[np.ndarray], n_trials: int = 2) -> Path:
    """Write a session whose video repeats `frames` at 30 per second; trials of two seconds; no gaze."""
    path = study.session_path(participant, "01")
    path.parent.mkdir(parents=True)
    height, width = frames[0].shape[:2]
    encoder = av.VideoCodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 1_000_000), Fraction(30)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "15"}
    encoder.flags |= av.codec.context.Flags.global_header
    encoder.open()
    stream = VideoStream("libx264", bytes(encoder.extradata or b""), width, height, encoder.time_base, "yuv420p")
    writer = SessionWriter.create(
        path,
        participant=participant,
        session="01",
        config_json=synthetic_config().to_json(),
        devices=[{"role": "camera", "kind": "replay", "model": "file", "replayed_from": "single_face.mp4"}],
        seeds={},
        video=stream,
        rates_hz={FRAMES.path: 30.0},
        simulated=True,
    )
    with writer:
        writer.marker(markers.RECORDING_STARTED, "faces", t_system_us=START_US)
        for index in range(int((n_trials * 2.5 + 0.5) * 30)):
            t_us = START_US + round(index * 1e6 / 30)
            frame = av.VideoFrame.from_ndarray(frames[index % len(frames)], format="rgb24")
            frame.pts, frame.time_base = t_us - START_US, encoder.time_base
            for packet in encoder.encode(frame):
                row = make_row(FRAMES, t_capture_us=t_us, t_device_us=-1, pts=packet.pts, keyframe=packet.is_keyframe)
                writer.append_packet(bytes(packet), row)
        for trial in range(1, n_trials + 1):
            onset = START_US + round((0.5 + (trial - 1) * 2.5) * 1e6)
            row = make_row(
                PRESENTATIONS, trial_id=trial, stimulus_id="s00", target_emotion="happiness", t_onset_us=onset,
                t_offset_us=onset + 2_000_000, duration_expected_s=2.0, n_flips=120, n_flips_late=0, completed=1,
            )  # fmt: skip
            writer.append(PRESENTATIONS.path, row)
        writer.flush(force=True)
        writer.finish(t_system_us=START_US + round(n_trials * 2.5e6) + 500_000)
    return path
