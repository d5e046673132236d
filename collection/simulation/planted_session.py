"""Write the session of one simulated participant of a planted world, as fast as the machine can.

The devices are the simulated ones that a rehearsal uses; they deliver a whole session at once instead of by the clock,
and no window, process or queue stands between them and the file. What the file holds is what a recorded session holds.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import numpy.typing as npt

from collection.devices.base import CapturedFrame, DeviceInfo, PlantedReaction
from collection.devices.simulated import SimulatedEyeTracker
from collection.devices.simulated_camera import SimulatedCamera
from collection.protocol.self_report import self_report_items
from collection.protocol.steps import Item
from collection.recorder.encoder import PIXEL_FORMAT, TIME_BASE, VideoEncoder
from collection.simulation.cast import PlannedClip
from collection.simulation.courses import PlantedParticipant
from collection.simulation.participant import PlantedTrial, SelfReport
from collection.simulation.world import FLIP_HZ, World
from data_schema.clocks import HostClock
from data_schema.session import markers
from data_schema.session.layout import (
    FLIPS,
    GAZE,
    OPENNESS,
    PLANTED,
    PRESENTATIONS,
    RESPONSES,
    USER_POSITION,
    make_row,
)
from data_schema.session.synthetic_setup import write_setup
from data_schema.session.video import VideoStream
from data_schema.session.writer import SessionWriter
from data_schema.study.config import StudyConfig

Rows = npt.NDArray[np.void]

#: Host time at which every planted recording starts, microseconds. Arbitrary, large and not round.
START_US = 2_345_678_901
#: Before the first clip: the calibration, and the pupil's rest.
LEAD_IN_S = 2.0
#: Planted recordings are dated one an hour from this moment on, so that the same world is the same bytes.
_FIRST_DATE = datetime(2025, 1, 1, tzinfo=timezone.utc)
#: Rows wait this long, so that a chunk of a planted file holds some seconds; nobody reads it while it grows.
_FLUSH_S = 4.0
#: A covered camera sees this grey, and noise.
_COVERED_GREY = 28
#: Which columns of which table a lost stretch empties, and which say so.
_LOST: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    GAZE.path: (
        "t_system_us",
        ("gaze_norm", "gaze_user_mm", "pupil_mm", "origin_user_mm"),
        ("gaze_valid", "pupil_valid", "origin_valid"),
    ),
    OPENNESS.path: ("t_system_us", ("openness_mm",), ("valid",)),
    USER_POSITION.path: ("t_received_us", ("position_norm",), ("valid",)),
}


@dataclass(frozen=True)
class PlantedSession:
    """All that is needed to write one session, here or in another process.

    Parameters
    ----------
    path : str
        The session file; must not exist.
    code : str
        The participant.
    number : int
        Place of the participant among all, from 1.
    world : World
    clips : tuple of PlannedClip
    config : StudyConfig
        Stored in the file.
    """

    path: str
    code: str
    number: int
    world: World
    clips: tuple[PlannedClip, ...]
    config: StudyConfig


@dataclass(frozen=True)
class _StandingClock:
    """The clock of a recording that nobody waits for: it stands at the beginning."""

    t_us: int = START_US
    # Not 1: there is no pair of host time and wall time to be noted.
    speed: float = 0.0

    def now_us(self) -> int:
        return self.t_us

    def sleep_until(self, t_us: int) -> None:
        """Nobody waits."""


def write_planted_session(task: PlantedSession) -> int:
    """Write one session file; return how many clips are in it.

    Raises
    ------
    RecordingError
        If the file exists already or cannot be written.
    """
    world, config = task.world, task.config
    participant = PlantedParticipant(world.seed, task.code, config.simulation, world.clip_s)
    trials = [participant.react_to(clip.trial_id, clip.target_emotion, clip.felt) for clip in task.clips]
    onsets_us = [START_US + round((LEAD_IN_S + at * (world.clip_s + world.gap_s)) * 1e6) for at in range(len(trials))]
    end_us = onsets_us[-1] + round((world.clip_s + world.gap_s) * 1e6)
    clock = _StandingClock()
    tracker = SimulatedEyeTracker(clock, participant, config.screen, world.rate_hz)
    devices: list[SimulatedEyeTracker | SimulatedCamera] = [tracker]
    encoder = None
    if world.fps:
        size = (config.camera.width_px, config.camera.height_px)
        camera = config.camera
        encoder = VideoEncoder(
            *size,
            world.fps,
            codec=camera.codec,
            preset=camera.preset,
            crf=camera.crf,
            keyframe_every=round(2 * world.fps),
        )
        devices.append(SimulatedCamera(clock, participant, *size, world.fps))
    for device in devices:
        device.connect()
        for trial, onset_us in zip(trials, onsets_us, strict=True):
            device.react(trial.reaction(onset_us))
            device.react(PlantedReaction.rest(onset_us + round(world.clip_s * 1e6)))
    described = [device.describe() for device in devices]
    writer = _create(Path(task.path), task, clock, described, encoder)
    with writer:
        writer.marker(markers.RECORDING_STARTED, "planted recording", t_system_us=START_US)
        write_setup(writer, participant.rng("setup"), config, START_US)
        sink = _FileSink(writer, encoder, _spans(task, onsets_us), _covered(task, onsets_us), participant.rng("cover"))
        for device in devices:
            device.deliver(sink, START_US, end_us)
            device.close()
        items = self_report_items(free_text=False)
        for clip, trial, onset_us in zip(task.clips, trials, onsets_us, strict=True):
            _write_trial(writer, clip, trial, onset_us, world)
            _write_answers(
                writer, items, trial.trial_id, participant.report(trial), onset_us + round(world.clip_s * 1e6)
            )
        writer.flush(force=True)
        writer.finish(t_system_us=end_us)
    if encoder is not None:
        encoder.close()
    return len(trials)


def _create(
    path: Path, task: PlantedSession, clock: HostClock, described: list[DeviceInfo], encoder: VideoEncoder | None
) -> SessionWriter:
    video = None
    if encoder is not None:
        video = VideoStream(
            encoder.codec, encoder.extradata, encoder.width_px, encoder.height_px, TIME_BASE, PIXEL_FORMAT
        )  # fmt: skip
    return SessionWriter.create(
        path,
        participant=task.code,
        session="01",
        config_json=task.config.to_json(),
        devices=[vars(info) for info in described],
        seeds={"planted_world": task.world.seed},
        video=video,
        rates_hz={table: rate for info in described for table, rate in info.rates_hz.items()},
        simulated=True,
        clock=clock,
        flush_interval_s=_FLUSH_S,
        created_utc=(_FIRST_DATE + timedelta(hours=task.number)).isoformat(timespec="microseconds"),
    )


def _spans(task: PlantedSession, onsets_us: list[int]) -> list[tuple[int, int]]:
    """Return the stretches without gaze, on the host clock."""
    length_us = task.world.clip_s * 1e6
    return [
        (onset_us + round(clip.lost_from * length_us), onset_us + round(clip.lost_until * length_us))
        for clip, onset_us in zip(task.clips, onsets_us, strict=True)
        if clip.lost_until > 0
    ]


def _covered(task: PlantedSession, onsets_us: list[int]) -> list[tuple[int, int]]:
    """Return the stretches in which the camera is covered."""
    length_us = round(task.world.clip_s * 1e6)
    return [(at, at + length_us) for clip, at in zip(task.clips, onsets_us, strict=True) if clip.covered]


class _FileSink:
    """Takes what the devices deliver, loses what is to be lost, and writes the rest."""

    def __init__(
        self,
        writer: SessionWriter,
        encoder: VideoEncoder | None,
        lost_us: list[tuple[int, int]],
        covered_us: list[tuple[int, int]],
        rng: np.random.Generator,
    ) -> None:
        self._writer, self._encoder = writer, encoder
        self._lost_us, self._covered_us, self._rng = lost_us, covered_us, rng

    def rows(self, table: str, rows: Rows) -> None:
        if table in _LOST:
            stamp, values, flags = _LOST[table]
            lost = np.zeros(len(rows), dtype=np.bool_)
            for begin_us, end_us in self._lost_us:
                lost |= (rows[stamp] >= begin_us) & (rows[stamp] < end_us)
            if lost.any():
                for eye in ("left", "right"):
                    for name in values:
                        rows[f"{eye}_{name}"][lost] = np.nan
                    for name in flags:
                        rows[f"{eye}_{name}"][lost] = 0
        self._writer.append(table, rows)

    def frame(self, frame: CapturedFrame) -> None:
        if self._encoder is None:
            return
        image = frame.image
        if any(begin_us <= frame.t_capture_us < end_us for begin_us, end_us in self._covered_us):
            image = self._rng.integers(_COVERED_GREY - 4, _COVERED_GREY + 5, image.shape, dtype=np.uint8)
        encoded = self._encoder.encode(image, frame.t_capture_us, frame.t_device_us, frame.missed_before)
        self._writer.append_packet(encoded.payload, encoded.row)

    def event(self, kind: str, message: str, value: float = float("nan"), t_system_us: int | None = None) -> None:
        self._writer.marker(kind, message, value, t_system_us)


def _write_trial(writer: SessionWriter, clip: PlannedClip, trial: PlantedTrial, onset_us: int, world: World) -> None:
    n = round(world.clip_s * FLIP_HZ)
    flips = FLIPS.empty(n)
    flips["trial_id"] = clip.trial_id
    flips["clip_time_us"] = np.round(np.arange(n) * 1e6 / FLIP_HZ)
    flips["t_due_us"] = flips["t_flip_us"] = onset_us + flips["clip_time_us"]
    writer.append(FLIPS.path, flips)
    row = make_row(
        PRESENTATIONS,
        trial_id=clip.trial_id,
        stimulus_id=clip.stimulus_id,
        target_emotion=clip.target_emotion,
        t_onset_us=onset_us,
        t_offset_us=onset_us + round(world.clip_s * 1e6),
        duration_expected_s=world.clip_s,
        n_flips=n,
        completed=1,
        duration_actual_s=world.clip_s,
        stimulus_sha256=hashlib.sha256(clip.stimulus_id.encode()).hexdigest(),
    )
    writer.append(PRESENTATIONS.path, row)
    writer.append(PLANTED.path, trial.row())


def _write_answers(
    writer: SessionWriter, items: tuple[Item, ...], trial_id: int, report: SelfReport, shown_us: int
) -> None:
    """Write what the participant answers after a clip; all of it fits into the rest between clips."""
    ratings = {
        **report.emotions,
        "valence": report.valence_sam,
        "arousal": report.arousal_sam,
        "familiarity": report.familiarity,
        "attention": int(report.attention),
    }
    for place, item in enumerate(items, start=1):
        value, text = item.stored_value(ratings[item.scale])
        times = {"t_shown_us": shown_us + 10_000, "t_answered_us": shown_us + 10_000 + 40_000 * place}
        row = make_row(RESPONSES, trial_id=trial_id, scale=item.scale, value=value, text=text, **times)
        writer.append(RESPONSES.path, row)
