"""A video of the face goes into the session with every frame's own time."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from data_schema.errors import DataImportError, MediaError, UsageError
from data_schema.importers import ImportOptions, plan_import
from data_schema.importers.face_video import inspect_video
from data_schema.session import open_session
from data_schema.session.layout import CONSENT, decode_text
from data_schema.session.validate import check_session

from .tables import P001, make_study, prolab_header, prolab_rows, run_import, write_text

TIMES_MS = np.cumsum(
    [0, 33, 34, 70, 20, 33, 33, 41, 25, 33, 33, 120, 33, 33, 30, 36, 33, 33, 33, 33, 33, 33, 33, 33, 33]
)


def write_video(path: Path, size: tuple[int, int] = (64, 48)) -> Path:
    """Write frames of rising brightness at irregular times, with B-frames and one key frame."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"bf": "2", "g": "300", "crf": "10"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number, time_ms in enumerate(TIMES_MS):
            picture = np.full((size[1], size[0], 3), 20 + 8 * number, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = int(time_ms), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def prolab(tmp_path: Path) -> Path:
    return write_text(tmp_path / "x.tsv", prolab_header(), prolab_rows())


@pytest.mark.parametrize("name", ["face.mp4", "face.mkv"])
def test_every_frame_keeps_its_time_and_picture(tmp_path: Path, name: str) -> None:
    options = replace(P001, face_video=write_video(tmp_path / name), video_offset_ms=12.5)
    (one,) = run_import(make_study(tmp_path / "s"), "prolab", prolab(tmp_path), options=options)
    assert one.n_frames == len(TIMES_MS)
    with open_session(one.path) as session:
        video = session.video
        assert np.array_equal(video.frame_times_us, 5_000_000_000 + 12_500 + TIMES_MS * 1000)
        keys = np.flatnonzero(video.frames["keyframe"])
        brightness = [video.decode(index).mean() for index in range(len(video))]
        camera = session.devices[1]
    # The study asks for a key frame every 10 frames.
    assert keys.tolist() == [0, 10, 20]
    assert np.abs(np.diff(brightness) - 8).max() < 4
    assert camera["kind"] == "imported"
    assert (camera["width_px"], camera["height_px"]) == (64, 48)
    assert not [finding for finding in check_session(one.path) if finding.level == "error"]


def test_a_real_video_of_variable_rate_keeps_its_times(tmp_path: Path, shared_data: Path) -> None:
    source = shared_data / "face_video" / "face_noface.mov"
    options = replace(P001, face_video=source, video_offset_ms=-500.0)
    (one,) = run_import(make_study(tmp_path / "s", "[recording]\n"), "prolab", prolab(tmp_path), options=options)
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        times = np.array([float(frame.pts * stream.time_base) for frame in container.decode(stream)])
    with open_session(one.path) as session:
        got = session.video.frame_times_us
        size = session.video.decode(100).shape
    assert np.abs((got - got[0]) / 1e6 - (times - times[0])).max() < 2e-6
    assert got[0] == 5_000_000_000 - 500_000
    assert size[0] % 2 == size[1] % 2 == 0


@pytest.mark.parametrize("offset_ms", [-60_000.0, 60_000.0])
def test_a_video_of_another_time_is_told(tmp_path: Path, offset_ms: float) -> None:
    options = replace(P001, face_video=write_video(tmp_path / "face.mp4"), video_offset_ms=offset_ms)
    with pytest.raises(DataImportError, match="face.mp4: goes from .* Check --video-offset-ms"):
        run_import(make_study(tmp_path / "s"), "prolab", prolab(tmp_path), options=options)


def test_an_odd_picture_loses_its_last_row_and_column(tmp_path: Path) -> None:
    path = tmp_path / "odd.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 65, 47, "bgr0"
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((47, 65, 3), 60 * number, dtype=np.uint8), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame.reformat(format="bgr0")))
        container.mux(stream.encode())
    found = inspect_video(path)
    assert (found.width_px, found.height_px, found.n_frames) == (64, 46, 3)


def test_what_is_no_video_is_told(tmp_path: Path) -> None:
    (tmp_path / "face.mp4").write_bytes(b"no video at all")
    for name, message in (("face.mp4", "cannot be read as a video"), ("none.mp4", "cannot be read as a video")):
        with pytest.raises(MediaError, match=message):
            plan_import(
                make_study(tmp_path / "s"), "prolab", [prolab(tmp_path)], replace(P001, face_video=tmp_path / name)
            )


def test_consent_is_what_the_operator_says_and_nothing_else(tmp_path: Path) -> None:
    path = prolab(tmp_path)
    (without,) = run_import(make_study(tmp_path / "a"), "prolab", path)
    (given,) = run_import(
        make_study(tmp_path / "b"), "prolab", path, options=replace(P001, consent=("gaze", "sharing"))
    )
    with open_session(without.path) as session:
        assert len(session.table(CONSENT)) == 0
    assert any("no consent recorded" in note for note in without.notes)
    with open_session(given.path) as session:
        rows = session.table(CONSENT)[:]
    decided = dict(zip(decode_text(rows["scope"]), rows["granted"].tolist(), strict=True))
    assert decided == {"gaze": 1, "video": 0, "sharing": 1}
    assert set(decode_text(rows["way"])) == {"paper"}


@pytest.mark.parametrize(
    ("consent", "video", "message"),
    [
        (("gaze", "everything"), False, "no scope 'everything'"),
        (("sharing",), False, "does not name 'gaze'"),
        (("gaze",), True, "does not name 'video'"),
    ],
)
def test_consent_must_cover_what_is_imported(
    tmp_path: Path, consent: tuple[str, ...], video: bool, message: str
) -> None:
    options = ImportOptions(codes=P001.codes, consent=consent, face_video=tmp_path / "face.mp4" if video else None)
    with pytest.raises(UsageError, match=message):
        plan_import(make_study(tmp_path / "s"), "prolab", [prolab(tmp_path)], options)
