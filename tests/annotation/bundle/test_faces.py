from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from annotation.bundle.faces import write_face
from annotation.bundle.stimuli import write_stimulus
from data_schema.clips.index import load_clip_index
from data_schema.errors import MediaError
from data_schema.session import Session, open_session
from data_schema.session.encoder_notes import without_notes
from data_schema.study import StudyFolder

from ..labelled_study import burnt_number
from ..labelled_study import write_stimulus as numbered_video

SEED = bytes(range(32))


@pytest.fixture
def session(shared_study: StudyFolder) -> Iterator[Session]:
    with open_session(shared_study.session_files()[0]) as opened:
        yield opened


@pytest.fixture
def span(shared_study: StudyFolder) -> tuple[int, int]:
    clip = load_clip_index(shared_study).iloc[1]
    return int(clip["t_start_us"]), int(clip["t_end_us"])


@pytest.mark.parametrize("turn", [0, 1])
def test_every_frame_carries_its_number_and_its_moved_time_stamp(
    session: Session, span: tuple[int, int], turn: int, tmp_path: Path
) -> None:
    assert session.video is not None
    target = tmp_path / "face.mp4"
    facts = write_face(session.video, span, target, SEED, turn)
    with av.open(str(target)) as opened:
        seen = [(burnt_number(frame.to_ndarray(format="rgb24")), frame.pts) for frame in opened.decode(video=0)]
    numbers = list(range(facts.home_first, facts.home_first + facts.n_frames))
    assert [number for number, _ in seen] == numbers
    rows = session.video.frames[numbers]
    assert [pts + facts.home_pts for _, pts in seen] == rows["pts"].tolist() and seen[0][1] == 0
    assert rows["keyframe"][0]
    times = rows["t_capture_us"].astype(np.int64)[facts.n_lead :] - span[0]
    assert facts.times_us.tolist() == times.tolist() and times[0] >= 0 and times[-1] < span[1] - span[0]
    assert (facts.n_lead >= 15) == bool(turn)


def test_the_same_seed_gives_the_same_file_and_another_seed_another(
    session: Session, span: tuple[int, int], tmp_path: Path
) -> None:
    assert session.video is not None
    written = []
    for place, seed in enumerate((SEED, SEED, SEED[::-1])):
        write_face(session.video, span, tmp_path / f"{place}.mp4", seed, 0)
        written.append((tmp_path / f"{place}.mp4").read_bytes())
    assert written[0] == written[1] != written[2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.mp4", "1.mp4", "2.mp4"]


def test_a_clip_without_frames_is_refused_and_leaves_nothing(session: Session, tmp_path: Path) -> None:
    assert session.video is not None
    with pytest.raises(MediaError, match="no camera frame"):
        write_face(session.video, (10**12, 10**12 + 5), tmp_path / "face.mp4", SEED, 0)
    assert [*tmp_path.iterdir()] == []


def _note(*messages: tuple[int, bytes]) -> bytes:
    """Return an SEI unit with messages of a type each."""
    said = b"".join(bytes([kind, len(text)]) + text for kind, text in messages) + b"\x80"
    return b"\x06" + said.replace(b"\x00\x00\x01", b"\x00\x00\x03\x01")


def test_notes_are_taken_out_of_both_ways_of_writing_packets() -> None:
    who, clock, captions = (5, b"who"), (1, b"12:01:59"), (4, b"what is said")
    recovery = (6, b"\x00\x00\x01")  # a decoder may need it, to begin elsewhere than at a key frame
    picture, start = bytes([0x65, 1, 2, 3]), b"\x00\x00\x00\x01"
    cut_short = bytes([6, 1, 200, 9])
    units = [_note(who), _note(who, recovery, clock), _note(recovery), _note(captions, clock), cut_short, picture]
    kept = [_note(recovery), _note(recovery), picture]
    assert without_notes(b"".join(start + unit for unit in units)) == b"".join(start + unit for unit in kept)
    sized = [b"".join(len(unit).to_bytes(4, "big") + unit for unit in given) for given in (units, kept)]
    assert without_notes(sized[0], 4) == sized[1]
    assert without_notes(b"\x00\x00\x01" + picture) == b"\x00\x00\x01" + picture
    for broken, size in ((b"\x07" + picture, 0), (b"\x00\x00\x00\xff" + picture, 4)):
        with pytest.raises(MediaError, match="damaged"):
            without_notes(broken, size)


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".ts"])
def test_a_stimulus_keeps_its_frames_and_loses_sound_title_and_notes(ending: str, tmp_path: Path) -> None:
    source = numbered_video(tmp_path / f"secret{ending}", sound=ending != ".ts")
    target = tmp_path / "opaque.mp4"
    write_stimulus(source, target)
    with av.open(str(target)) as opened:
        assert [stream.type for stream in opened.streams] == ["video"]
        seen = [burnt_number(frame.to_ndarray(format="rgb24")) for frame in opened.decode(video=0)]
    assert seen == list(range(50))
    content = target.read_bytes()
    assert b"secret" not in content and b"x264" not in content and b"Lavf" not in content
