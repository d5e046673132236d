"""The face video of a run, named as the proposal for recordings of behaviour asks, and passed over by the validator.

References
----------
BIDS Extension Proposal 047, "Audio/video recordings for behavioral experiments" (in community review): ``_video`` below
``beh/``, sidecar with RecordingDuration, VideoFrameRate, VideoFrameCount, VideoCodec, ImageWidth, ImageHeight.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import av

from data_schema.errors import MediaError
from data_schema.publishing.bids.names import RunName
from data_schema.publishing.bids.tsv import GzipRows, seconds, write_json
from data_schema.publishing.sessions import PublishedSession
from data_schema.session.layout import FRAMES

#: The video is no part of BIDS 1.11 yet.
IGNORED = ("*_video.mp4", "*_video.json")
RECORDING = "face"
_LEVELS = ("video", "blurred")


def write_video(root: Path, name: RunName, session: PublishedSession, simulated: bool, task_name: str) -> float:
    """Write the face video and its sidecar, where it may leave.

    Parameters
    ----------
    root : Path
        The dataset.
    name : RunName
    session : PublishedSession
    simulated : bool
    task_name : str

    Returns
    -------
    float
        Length in seconds; 0 where nothing was written.
    """
    if session.faces not in _LEVELS or not session.n_rows(FRAMES):
        return 0.0
    path = name.file(root, "video", ".mp4", recording=RECORDING)
    path.parent.mkdir(parents=True, exist_ok=True)
    session.write_face_video(path)
    times = session.frame_times_us
    start_us = session.video_start_us or 0
    about: dict[str, Any] = {
        "TaskName": task_name,
        "Simulated": True if simulated else None,
        "Description": (
            "The participant's face while clips were shown."
            + (" The face is blurred in every frame." if session.faces == "blurred" else "")
        ),
        "StartTime": start_us / 1e6,
        "Device": session.camera.name if session.camera is not None and session.camera.name else None,
        **_stream_facts(path),
        "RecordingDuration": (int(times[-1]) - int(times[0])) / 1e6,
        "FaceBlurred": session.faces == "blurred",
        "AudioRecorded": False,
        "Timing": (
            "The first frame was taken at StartTime seconds of the run's clock, which gaze and events share; time stamps of the "
            "video count from there. Exact times stand in recording-face_physio.tsv.gz."
        ),
    }
    write_json(name.file(root, "video", ".json", recording=RECORDING), about)
    _write_frames(root, name, session, simulated, task_name)
    return float(about["RecordingDuration"])


#: One row a frame of the video: name, unit, description.
FRAME_COLUMNS: tuple[tuple[str, str, str], ...] = (
    (
        "timestamp",
        "s",
        "When the frame was taken, on the run's clock: exact, where the container of the video may round.",
    ),
    ("missed_before", "", "Frames that were lost just before this one."),
)


def _write_frames(root: Path, name: RunName, session: PublishedSession, simulated: bool, task_name: str) -> None:
    with GzipRows(name.file(root, "physio", ".tsv.gz", recording=RECORDING)) as file:
        for rows in session.rows(FRAMES):
            file.write([seconds(rows["t_capture_us"]), rows["missed_before"]])
    rate = session.camera.rate_hz if session.camera is not None else float("nan")
    about: dict[str, Any] = {
        "TaskName": task_name,
        "Simulated": True if simulated else None,
        "Description": "Times of the frames of the face video, in the order of the video.",
        "PhysioType": "generic",
        "SamplingFrequency": round(rate, 4) if math.isfinite(rate) else 0.0,
        "StartTime": (session.video_start_us or 0) / 1e6,
        "Columns": [column for column, _, _ in FRAME_COLUMNS],
    }
    about |= {key: {"Description": text} | ({"Units": unit} if unit else {}) for key, unit, text in FRAME_COLUMNS}
    write_json(name.file(root, "physio", ".json", recording=RECORDING), about)


def _stream_facts(path: Path) -> dict[str, Any]:
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            rate = stream.average_rate
            return {
                "VideoFrameRate": round(float(rate), 4) if rate else None,
                "VideoFrameCount": sum(1 for packet in container.demux(stream) if packet.size),
                "VideoCodec": stream.codec_context.name,
                "ImageWidth": stream.width,
                "ImageHeight": stream.height,
                "ImagePixelFormat": stream.format.name if stream.format is not None else None,
            }
    except (av.FFmpegError, IndexError) as error:
        raise MediaError(
            f"{path.name}: the video that was just written cannot be read: {error}. Check the disk."
        ) from error
