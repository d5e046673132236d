"""Make a small session file without a device, for tests, examples and golden files.

The gaze jumps between random fixations and the picture is a moving gradient: the
right shapes and clocks, no psychology. For simulated participants, see the
simulated devices of `collection`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from data_schema.session import markers
from data_schema.session.layout import (
    FLIPS,
    FRAMES,
    GAZE,
    OPENNESS,
    PLANTED,
    PRESENTATIONS,
    RESPONSES,
    SECOND_FRAMES,
    TIME_SYNC,
    make_row,
)
from data_schema.session.synthetic_setup import write_free_text, write_luminance, write_setup
from data_schema.session.video import VideoStream
from data_schema.session.writer import SessionWriter
from data_schema.study.config import StudyConfig, parse_config
from data_schema.vocabularies import EMOTIONS

Rows = npt.NDArray[np.void]

#: Host time at which a synthetic recording starts, microseconds. Arbitrary, large and not round.
START_US = 1_234_567_891
#: The synthetic tracker's clock differs from the host's by this offset and drift.
DEVICE_OFFSET_US = -987_654_321
DEVICE_DRIFT_PPM = 12.0

_TIME_BASE = Fraction(1, 1_000_000)


def synthetic_config(n_stimuli: int = 7) -> StudyConfig:
    """Return a small valid study configuration."""
    return parse_config(
        {
            "study": {"title": "Synthetic study"},
            "camera": {"width_px": 320, "height_px": 240},
            "stimuli": [
                {
                    "id": f"s{number:02d}",
                    "file": f"s{number:02d}.mp4",
                    "target_emotion": EMOTIONS[number % len(EMOTIONS)],
                }
                for number in range(n_stimuli)
            ],
        },
        "synthetic study",
    )


def make_synthetic_session(
    path: Path,
    *,
    participant: str = "P001",
    session: str = "01",
    n_trials: int = 3,
    trial_s: float = 2.0,
    seed: int = 0,
    rate_hz: float = 300.0,
    fps: float = 30.0,
    with_video: bool = True,
    with_gaze: bool = True,
    with_second_video: bool = False,
    config: StudyConfig | None = None,
    continues_run: int = 0,
    first_trial: int = 1,
    cut_trial: bool = False,
    picture: Callable[[int], npt.NDArray[np.uint8]] | None = None,
) -> Path:
    """Write a complete session file.

    Parameters
    ----------
    path : Path
        Must not exist.
    participant, session : str
        Names of the recording.
    n_trials : int
        Clips shown; each takes `trial_s` seconds with half a second between.
    trial_s : float
        Length of a trial in seconds.
    seed : int
        The same seed gives the same rows.
    rate_hz, fps : float
        Gaze samples and camera frames per second.
    with_video, with_gaze : bool
        Leave a stream out to test what follows.
    with_second_video : bool
        True for a second camera.
    config : StudyConfig, optional
        Stored in the file.
    continues_run : int
        Run of the session that this file continues; 0 for none.
    first_trial : int
        Number of the first trial.
    cut_trial : bool
        One more trial begins and never ends; the session is marked as aborted.
    picture : callable, optional
        Returns the first camera's frame by its number, 240 x 320 RGB; default: a moving ramp.

    Returns
    -------
    Path
        `path`.
    """
    rng = np.random.default_rng(seed)
    config = config or synthetic_config()
    numbers = range(first_trial, first_trial + n_trials + cut_trial)
    total_s = 0.5 + len(numbers) * (trial_s + 0.5)
    encoder, stream = _encoder(fps) if with_video else (None, None)
    second, second_stream = _encoder(fps) if with_second_video else (None, None)
    # Of their own, so that what was there before stays as it was for the same seed.
    setup_rng = np.random.default_rng([seed, 1])
    writer = SessionWriter.create(
        path,
        participant=participant,
        session=session,
        config_json=config.to_json(),
        devices=[
            {"role": "eye_tracker", "kind": "synthetic", "model": "synthetic", "rates_hz": {GAZE.path: rate_hz}},
            {"role": "camera", "kind": "synthetic", "model": "synthetic", "rates_hz": {FRAMES.path: fps}},
        ],
        seeds={"synthetic": seed},
        video=stream,
        second_video=second_stream,
        rates_hz={GAZE.path: rate_hz, FRAMES.path: fps, SECOND_FRAMES.path: fps},
        simulated=True,
    )
    with writer:
        writer.marker(markers.RECORDING_STARTED, "synthetic recording", t_system_us=START_US)
        if continues_run:
            writer.marker(markers.CONTINUES_RUN, "synthetic", value=float(continues_run), t_system_us=START_US)
        write_setup(writer, setup_rng, config, START_US)
        write_luminance(writer, setup_rng, config, trial_s)
        if with_gaze:
            _write_eyes(writer, rng, total_s, rate_hz)
        if encoder is not None:
            _write_video(writer, encoder, rng, total_s, fps, 1, picture)
        if second is not None:
            _write_video(writer, second, setup_rng, total_s, fps, 2)
        for index, trial_id in enumerate(numbers):
            onset_us = START_US + round((0.5 + index * (trial_s + 0.5)) * 1e6)
            cut = cut_trial and index == n_trials
            _write_trial(writer, rng, config, trial_id, onset_us, trial_s, cut)
        if cut_trial:
            writer.marker(markers.RECORDING_ABORTED, "synthetic", t_system_us=START_US + round(total_s * 1e6))
        writer.flush(force=True)
        writer.finish(t_system_us=START_US + round(total_s * 1e6))
    return path


def _write_eyes(writer: SessionWriter, rng: np.random.Generator, total_s: float, rate_hz: float) -> None:
    n = int(total_s * rate_hz)
    t_system = START_US + np.arange(n) * 1e6 / rate_hz
    since = t_system - START_US
    rows = GAZE.empty(n)
    rows["t_system_us"] = np.round(t_system)
    rows["t_device_us"] = np.round(t_system + DEVICE_OFFSET_US - since * DEVICE_DRIFT_PPM * 1e-6)
    rows["t_received_us"] = rows["t_system_us"] + 900
    n_fixations = max(1, int(total_s / 0.3))
    targets = rng.uniform(0.15, 0.85, (n_fixations, 2))
    gaze = targets[np.minimum((since / 3e5).astype(int), n_fixations - 1)]
    pupil = 3.2 + 0.2 * np.sin(since / 1e6) + rng.normal(0, 0.02, n)
    lost = rng.uniform(size=n) < 0.02
    for eye, shift_mm in (("left", -31.0), ("right", 31.0)):
        rows[f"{eye}_gaze_norm"] = gaze + rng.normal(0, 0.003, (n, 2))
        rows[f"{eye}_gaze_user_mm"] = np.column_stack(
            ((gaze[:, 0] - 0.5) * 528.0, (0.5 - gaze[:, 1]) * 297.0, np.zeros(n))
        )
        rows[f"{eye}_origin_user_mm"] = np.array([shift_mm, 0.0, 650.0]) + rng.normal(0, 0.1, (n, 3))
        rows[f"{eye}_pupil_mm"] = pupil
        for name in ("gaze_norm", "gaze_user_mm", "origin_user_mm", "pupil_mm"):
            rows[f"{eye}_{name}"][lost] = np.nan
        for name in ("gaze_valid", "pupil_valid", "origin_valid"):
            rows[f"{eye}_{name}"] = ~lost
    writer.append(GAZE.path, rows)
    openness = OPENNESS.empty(n)
    for name in ("t_device_us", "t_system_us"):
        openness[name] = rows[name]
    for eye in ("left", "right"):
        openness[f"{eye}_openness_mm"] = np.where(lost, 0.5, 9.0 + rng.normal(0, 0.2, n))
        openness[f"{eye}_valid"] = 1
    writer.append(OPENNESS.path, openness)
    for second in range(int(total_s) + 1):
        request = START_US + second * 1_000_000
        device = round(request + 150 + DEVICE_OFFSET_US - second * DEVICE_DRIFT_PPM)
        row = make_row(TIME_SYNC, t_request_us=request, t_device_us=device, t_response_us=request + 300)
        writer.append(TIME_SYNC.path, row)


def _encoder(fps: float) -> tuple[av.VideoCodecContext, VideoStream]:
    context = av.VideoCodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = 320, 240, "yuv420p"
    context.time_base = _TIME_BASE
    context.framerate = Fraction(round(fps))
    context.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "15"}
    context.flags |= av.codec.context.Flags.global_header
    context.open()
    return context, VideoStream("libx264", bytes(context.extradata or b""), 320, 240, _TIME_BASE, "yuv420p")


def _write_video(
    writer: SessionWriter,
    encoder: av.VideoCodecContext,
    rng: np.random.Generator,
    total_s: float,
    fps: float,
    camera: int,
    picture: Callable[[int], npt.NDArray[np.uint8]] | None = None,
) -> None:
    table = FRAMES if camera == 1 else SECOND_FRAMES
    ramp = np.add.outer(np.arange(240), np.arange(320))
    for index in range(int(total_s * fps)):
        t_us = START_US + round(index * 1e6 / fps + rng.uniform(0, 2000))
        image = picture(index) if picture else np.dstack([((ramp + index * 5) % 256).astype(np.uint8)] * 3)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts, frame.time_base = t_us - START_US, _TIME_BASE
        for packet in encoder.encode(frame):
            row = make_row(
                table, t_capture_us=t_us, t_device_us=-1, pts=packet.pts, keyframe=packet.is_keyframe, missed_before=0
            )
            writer.append_packet(bytes(packet), row, camera)


def _write_trial(
    writer: SessionWriter,
    rng: np.random.Generator,
    config: StudyConfig,
    trial_id: int,
    onset_us: int,
    trial_s: float,
    cut: bool = False,
) -> None:
    stimulus = config.stimuli[(trial_id - 1) % len(config.stimuli)]
    felt, shown = rng.choice(EMOTIONS, 2)
    period_us = 1e6 / config.screen.refresh_hz
    n_flips = int(trial_s * config.screen.refresh_hz)
    flips = FLIPS.empty(n_flips)
    flips["trial_id"] = trial_id
    flips["t_due_us"] = onset_us + np.round(np.arange(n_flips) * period_us)
    flips["t_flip_us"] = flips["t_due_us"] + rng.integers(0, 300, n_flips)
    flips["clip_time_us"] = np.round(np.arange(n_flips) * period_us)
    writer.append(FLIPS.path, flips)
    if cut:
        writer.marker(markers.TRIAL_STARTED, stimulus.id, t_system_us=onset_us, trial_id=trial_id)
        return
    offset_us = int(flips["t_flip_us"][-1])
    writer.append(
        PRESENTATIONS.path,
        make_row(
            PRESENTATIONS,
            trial_id=trial_id,
            stimulus_id=stimulus.id,
            target_emotion=stimulus.target_emotion,
            t_onset_us=int(flips["t_flip_us"][0]),
            t_offset_us=offset_us,
            duration_expected_s=trial_s,
            n_flips=n_flips,
            n_flips_late=0,
            completed=1,
            duration_actual_s=trial_s,
            stimulus_sha256=hashlib.sha256(stimulus.id.encode()).hexdigest(),
        ),
    )
    write_free_text(writer, trial_id, offset_us + 10_000, offset_us + 95_000)
    for scale, value in (("valence", rng.integers(-4, 5) / 4), ("arousal", rng.integers(-4, 5) / 4)):
        writer.append(
            RESPONSES.path,
            make_row(
                RESPONSES,
                trial_id=trial_id,
                scale=scale,
                value=value,
                t_shown_us=offset_us + 10_000,
                t_answered_us=offset_us + 90_000,
            ),
        )
    writer.append(
        PLANTED.path,
        make_row(
            PLANTED, trial_id=trial_id, felt_emotion=felt, shown_emotion=shown, masked=felt != shown,
            valence=0.0, arousal=0.0, shown_valence=0.0, shown_arousal=0.0, intensity=1.0,
        ),
    )  # fmt: skip
