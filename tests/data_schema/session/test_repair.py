"""A killed recording opens again, with all that was acknowledged."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from data_schema.errors import SessionFileError
from data_schema.session import open_session
from data_schema.session.layout import FRAMES, GAZE, MARKERS, PACKETS
from data_schema.session.lock import acquire_lock, release_lock
from data_schema.session.repair import repair_session
from data_schema.session.synthetic import make_synthetic_session
from data_schema.session.torn import mended_checksums
from data_schema.session.unclean import superblock_checksum
from data_schema.session.validate import check_session

#: Writes gaze and video for ever and prints what is acknowledged after each flush.
CHILD = """
import sys
from fractions import Fraction
from pathlib import Path
import av, numpy as np
from data_schema.session import SessionWriter
from data_schema.session.layout import FRAMES, GAZE, make_row
from data_schema.session.synthetic import _encoder, synthetic_config

context, stream = _encoder(30.0)
writer = SessionWriter.create(
    Path(sys.argv[1]), participant="P001", session="01", config_json=synthetic_config().to_json(), video=stream,
    rates_hz={"/eye/gaze": 600.0, "/face/frames": 30.0}, simulated=True,
)
index = 0
while True:
    frame = av.VideoFrame.from_ndarray(np.full((240, 320, 3), index * 3 % 256, np.uint8), format="rgb24")
    frame.pts, frame.time_base = 1_000_000 + index * 33_333, Fraction(1, 1_000_000)
    for packet in context.encode(frame):
        writer.append_packet(bytes(packet), make_row(
            FRAMES, t_capture_us=frame.pts, t_device_us=-1, pts=packet.pts, keyframe=packet.is_keyframe, missed_before=0))
    rows = GAZE.empty(20)
    rows["t_system_us"] = 1_000_000 + (index * 20 + np.arange(20)) * 1667
    writer.append(GAZE.path, rows)
    durable = writer.flush()
    print(durable[GAZE.path], durable[FRAMES.path], flush=True)
    index += 1
"""


def only_says_that_it_was_repaired(path: Path) -> bool:
    return ["was repaired" in finding.message for finding in check_session(path)] == [True]


def killed_recording(path: Path, lines: int) -> tuple[int, int]:
    """Run the child until it has printed `lines`, kill it, and return what it acknowledged last."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True)
    stdout = child.stdout
    if stdout is None:
        raise RuntimeError("no pipe")
    for _ in range(lines):
        last = stdout.readline()
    child.kill()
    rest = [line for line in stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    child.wait()
    stdout.close()
    gaze, frames = (rest[-1] if rest else last).split()
    return int(gaze), int(frames)


@pytest.mark.parametrize("lines", [40, 173])
def test_nothing_acknowledged_is_lost_by_a_kill(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "sub-P001_ses-01.h5"
    gaze, frames = killed_recording(path, lines)
    with open_session(path) as session:
        assert session.status == "interrupted"
    assert any("emer repair" in finding.message for finding in check_session(path))
    damaged = path.read_bytes()

    result = repair_session(path)

    assert result.repaired
    assert result.backup is not None
    assert result.backup.read_bytes() == damaged
    assert only_says_that_it_was_repaired(path)
    with open_session(path) as session:
        assert session.status == "repaired"
        assert len(session.table(GAZE.path)) >= gaze
        assert len(session.table(FRAMES.path)) >= frames
        times = session.table(GAZE.path)[:]["t_system_us"]
        assert np.array_equal(times, 1_000_000 + np.arange(len(times)) * 1667)
        video = session.video
        assert video is not None
        assert abs(video.decode(-1).mean() - (len(video) - 1) * 3 % 256) < 5
    assert not repair_session(path).repaired, "a repaired file needs no further repair"


def test_a_file_in_good_order_is_left_alone(tmp_path: Path) -> None:
    path = make_synthetic_session(tmp_path / "sub-P001_ses-01.h5", n_trials=1, trial_s=0.5)
    before = path.read_bytes()
    assert not repair_session(path).repaired
    assert path.read_bytes() == before


def test_a_file_that_is_being_recorded_is_not_touched(tmp_path: Path) -> None:
    path = make_synthetic_session(tmp_path / "sub-P001_ses-01.h5", n_trials=1, trial_s=0.5)
    lock = acquire_lock(path)
    try:
        with pytest.raises(SessionFileError, match="right now"):
            repair_session(path)
    finally:
        release_lock(path, lock)


def test_repair_keeps_devices_seeds_and_the_time_of_recording(tmp_path: Path) -> None:
    path = make_synthetic_session(tmp_path / "sub-P001_ses-01.h5", n_trials=1, trial_s=0.5, seed=5)
    cut = path.read_bytes()
    with open_session(path) as session:
        expected = (session.devices, session.seeds, session.created_utc, session.config())
        markers_before = len(session.table(MARKERS.path))
    # Break the chain of packets: the frames after the hole cannot be trusted.
    import h5py

    with h5py.File(path, "r+") as file:
        file["/face/packets"].resize((file["/face/packets"].shape[0] // 2,))
    assert path.read_bytes() != cut
    result = repair_session(path)
    assert result.losses
    with open_session(path) as session:
        assert (session.devices, session.seeds, session.created_utc, session.config()) == expected
        assert len(session.table(MARKERS.path)) == markers_before + 1
        assert 0 < len(session.table(FRAMES.path)) < 45
    assert only_says_that_it_was_repaired(path)


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.8, 0.99])
def test_a_file_that_was_cut_short_is_saved_as_far_as_it_goes_or_left_alone(tmp_path: Path, share: float) -> None:
    path = make_synthetic_session(tmp_path / "sub-P001_ses-01.h5", n_trials=3, trial_s=1.0)
    whole = path.read_bytes()
    cut = whole[: int(len(whole) * share)]
    path.write_bytes(cut)
    try:
        result = repair_session(path)
    except SessionFileError:
        assert path.read_bytes() == cut
        assert list(tmp_path.iterdir()) == [path]
        return
    assert result.losses or result.rows[GAZE.path] == 1500
    assert any(result.rows.values())
    assert result.backup is not None
    assert result.backup.read_bytes() == cut
    assert not any(finding.level == "error" for finding in check_session(path))


def chunk_places(path: Path, hdf5_path: str) -> list[tuple[int, int]]:
    """Where in the file the chunks of a dataset lie, and how many bytes each has."""
    with open_session(path, salvage=True) as session:
        stored = session.file[hdf5_path].id
        found = [stored.get_chunk_info(number) for number in range(stored.get_num_chunks())]
        return [(info.byte_offset, info.size) for info in found]


def overwrite(path: Path, place: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(content)


def test_last_pictures_that_a_power_cut_left_as_zeros_cost_no_more_than_themselves(tmp_path: Path) -> None:
    path = tmp_path / "sub-P001_ses-01.h5"
    killed_recording(path, 100)
    with open_session(path, salvage=True) as session:
        frames = session.table(FRAMES.path)[:]
        n_gaze = len(session.table(GAZE.path))
    chunks = chunk_places(path, PACKETS.path)
    first, last = frames[-20], frames[-1]
    lost = int(last["packet_offset"] + last["packet_size"] - first["packet_offset"])
    within = int(first["packet_offset"]) % (128 * 1024)
    overwrite(path, chunks[-1][0] + within, bytes(lost))
    result = repair_session(path)
    assert result.losses == ["20 frames of /face/frames have lost their bytes or do not decode"]
    assert (result.rows[GAZE.path], result.rows[FRAMES.path]) == (n_gaze, len(frames) - 20)
    with open_session(path) as session:
        assert session.video is not None
        assert sum(1 for _ in session.video.decode_many(range(len(session.video)))) == len(frames) - 20
    assert not any(finding.level == "error" for finding in check_session(path))


@pytest.mark.parametrize("damaged", [0, 1, -2])
def test_a_damaged_chunk_of_gaze_costs_its_own_rows_alone(tmp_path: Path, damaged: int) -> None:
    path = tmp_path / "sub-P001_ses-01.h5"
    killed_recording(path, 100)
    with open_session(path, salvage=True) as session:
        before = session.table(GAZE.path)[:]["t_system_us"]
        rows_a_chunk = session.file[GAZE.path].chunks[0]
    chunks = chunk_places(path, GAZE.path)
    overwrite(path, chunks[damaged][0] + 20, b"\xff" * 50)
    result = repair_session(path)
    assert result.losses == [f"{rows_a_chunk} rows of /eye/gaze could not be read"]
    first = (damaged % len(chunks)) * rows_a_chunk
    with open_session(path) as session:
        after = session.table(GAZE.path)[:]["t_system_us"]
    assert after.tolist() == np.delete(before, np.s_[first : first + rows_a_chunk]).tolist()


def header_places(path: Path, hdf5_path: str) -> tuple[int, int]:
    """Where the object header of a dataset begins, and where its first chunk of messages ends."""
    with open_session(path, salvage=True) as session:
        place = h5py.h5o.get_info(session.file[hdf5_path].id).addr
    raw = path.read_bytes()[place : place + 16]
    assert raw[:5] == b"OHDR\x02"
    at = 6 + (16 if raw[5] & 0x20 else 0) + (4 if raw[5] & 0x10 else 0)
    width = 1 << (raw[5] & 0x03)
    return place, place + at + width + int.from_bytes(raw[at : at + width], "little") + 4


@pytest.mark.parametrize("table", [GAZE.path, FRAMES.path, PACKETS.path, MARKERS.path])
def test_a_header_that_a_kill_has_torn_at_a_page_costs_nothing(tmp_path: Path, table: str) -> None:
    path = tmp_path / "sub-P001_ses-01.h5"
    killed_recording(path, 60)
    place, end = header_places(path, table)
    whole = path.read_bytes()
    with open_session(path, salvage=True) as session:
        n_gaze, n_frames = len(session.table(GAZE.path)), len(session.table(FRAMES.path))
    # The old checksum behind the new number of rows, as the page that was not written any more leaves it.
    overwrite(path, end - 4, bytes(byte ^ 0x5A for byte in whole[end - 4 : end]))
    with pytest.raises(KeyError, match="checksum"), h5py.File(io.BytesIO(unflagged(path))) as file:
        file[table]
    result = repair_session(path)
    assert result.losses == []
    assert (result.rows[GAZE.path], result.rows[FRAMES.path]) == (n_gaze, n_frames)
    assert only_says_that_it_was_repaired(path)


def unflagged(path: Path) -> bytes:
    """Return the file's bytes with the mark of its writer taken away, as ``h5clear`` does."""
    raw = bytearray(path.read_bytes())
    raw[11] = 0
    raw[44:48] = superblock_checksum(bytes(raw[:44])).to_bytes(4, "little")
    return bytes(raw)


def test_headers_that_are_no_headers_are_left_alone(tmp_path: Path) -> None:
    path = make_synthetic_session(tmp_path / "sub-P001_ses-01.h5", n_trials=1, trial_s=0.5)
    whole = path.read_bytes()
    assert mended_checksums(lambda place, n: whole[place : place + n], superblock_checksum) == {}
    for seed in range(50):
        noise = np.random.default_rng(seed).integers(0, 256, 4000, dtype=np.uint8).tobytes()
        content = noise[:1000] + b"OHDR\x02" + noise[1000:]
        assert mended_checksums(lambda place, n, content=content: content[place : place + n], superblock_checksum) == {}


def test_after_frames_that_cannot_be_read_video_goes_on_with_a_key_frame(tmp_path: Path) -> None:
    path = tmp_path / "sub-P001_ses-01.h5"
    killed_recording(path, 100)
    with open_session(path, salvage=True) as session:
        frames = session.table(FRAMES.path)[:]
        a_chunk = session.file[FRAMES.path].chunks[0]
    overwrite(path, chunk_places(path, FRAMES.path)[1][0] + 10, b"\xff" * 30)
    repair_session(path)
    keys = np.flatnonzero(frames["keyframe"])
    again = int(keys[keys >= 2 * a_chunk][0])
    with open_session(path) as session:
        assert session.video is not None
        kept = session.video.frames
        assert sum(1 for _ in session.video.decode_many(range(len(kept)))) == len(kept)
    assert kept["t_capture_us"].tolist() == [*frames["t_capture_us"][:a_chunk], *frames["t_capture_us"][again:]]
    assert kept["missed_before"][a_chunk] == again - a_chunk


#: Writes gaze until the disk (a limit on the size of files) is full, and prints what was acknowledged.
FULL_DISK = """
import os, resource, signal, sys
from pathlib import Path
import numpy as np
from data_schema.errors import RecordingError
from data_schema.session import SessionWriter
from data_schema.session.layout import GAZE
from data_schema.session.synthetic import synthetic_config

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
rng = np.random.default_rng(0)
writer = SessionWriter.create(
    path, participant="P001", session="01", config_json=synthetic_config().to_json(), rates_hz={GAZE.path: 600.0})
room = path.stat().st_size + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
acknowledged = 0
try:
    for index in range(2000):
        rows = GAZE.empty(240)
        rows["t_system_us"] = 1_000_000 + (index * 240 + np.arange(240)) * 1667
        rows["left_gaze_norm"] = rng.random((240, 2))
        writer.append(GAZE.path, rows)
        acknowledged = writer.flush(force=True)[GAZE.path]
except RecordingError as error:
    print(acknowledged, flush=True)
    print(error, file=sys.stderr, flush=True)
os._exit(0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits on file size")
@pytest.mark.parametrize("room", [150_000, 151_111, 163_840])
def test_a_full_disk_loses_nothing_acknowledged_and_repair_invents_nothing(tmp_path: Path, room: int) -> None:
    path = tmp_path / "sub-P001_ses-01.h5"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path), str(room)], capture_output=True, text=True, check=False
    )
    acknowledged = int(done.stdout)
    assert acknowledged > 1000
    assert "Free some disk" in done.stderr
    repair_session(path)
    with open_session(path) as session:
        times = session.table(GAZE.path)[:]["t_system_us"]
    assert len(times) >= acknowledged
    assert np.array_equal(times, 1_000_000 + np.arange(len(times)) * 1667)
    assert not any(finding.level == "error" for finding in check_session(path))


def test_a_repair_that_was_interrupted_before_its_last_step_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sub-P001_ses-01.h5"
    killed_recording(path, 40)
    damaged = path.read_bytes()

    def pulled_plug(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", pulled_plug)
        with pytest.raises(KeyboardInterrupt):
            repair_session(path)
    assert path.read_bytes() == damaged, "until the last step the file has its name and its bytes"
    result = repair_session(path)
    assert result.backup is not None
    assert result.backup.read_bytes() == damaged
    assert only_says_that_it_was_repaired(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name, result.backup.name]
