"""The player shows what is due by the frames' own times; its clock is ours, so no test waits for time to pass."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from annotation.playback import (
    FrameIdentity,
    FrameSource,
    Player,
    RgbImage,
    SessionClipFrames,
    feeder,
    open_video,
)
from data_schema.clips.index import load_clip_index
from data_schema.errors import MediaError
from data_schema.study import StudyFolder

from .numbered_video import KINDS, write_video


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Numbered:
    """A source whose frame n is n everywhere. Irregular times; decoding can be held up and can fail."""

    width_px, height_px, time_base = 4, 2, Fraction(1, 1000)

    def __init__(self, n_frames: int = 100, seed: int = 4) -> None:
        gaps = np.random.default_rng(seed).integers(10, 80, n_frames)
        self.pts = 700 + np.cumsum(gaps)
        self.times_us = (self.pts - self.pts[0]) * 1000
        self.group_starts = np.arange(0, n_frames, 15)
        self.open_gate = threading.Event()
        self.open_gate.set()
        self.broken: set[int] = set()
        self.decoded: list[int] = []
        self.closed_in = ""

    def __len__(self) -> int:
        return len(self.pts)

    def identity(self, index: int) -> FrameIdentity:
        return FrameIdentity(1000 + index, int(self.pts[index]))

    def frame(self, index: int) -> RgbImage:
        if not self.open_gate.wait(20):
            raise AssertionError("the test never opened the gate")
        if index in self.broken:
            raise MediaError(f"clip.mp4: frame {index} cannot be decoded. Copy it again.")
        self.decoded.append(index)
        return np.full((2, 4, 3), index, dtype=np.uint8)

    def index_at(self, time_us: int) -> int:
        return max(0, int(np.searchsorted(self.times_us, time_us, side="right")) - 1)

    def close(self) -> None:
        self.closed_in = threading.current_thread().name


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def player(clock: Clock) -> Iterator[Player]:
    player = Player(clock)
    yield player
    player.close()


def shows_its_own_image(player: Player) -> bool:
    return player.image is not None and bool((player.image == player.index).all())


def ready(player: Player, *indices: int) -> None:
    """Wait until pictures are decoded; what is shown stays."""
    for index in indices:
        assert player._feeder is not None
        assert player._feeder.wait_for(index, 10)


def run(player: Player, clock: Clock, seconds: float, hertz: float = 60.0) -> list[int]:
    """Tick through a time in which decoding keeps up; return the frames shown."""
    shown = []
    for _ in range(round(seconds * hertz)):
        clock.now_s += 1 / hertz
        player.tick()
        if player.playing:
            ready(player, player.target)
            player.tick()
        assert shows_its_own_image(player)
        shown.append(player.index)
    return shown


def test_a_loaded_clip_shows_its_first_frame(player: Player) -> None:
    assert (player.index, player.image, player.identity, player.seen_share) == (0, None, None, 0.0)
    assert not player.tick()
    source = Numbered()
    player.load(source)
    assert player.index == 0
    assert shows_its_own_image(player)
    assert player.identity == FrameIdentity(1000, int(source.pts[0]))
    assert not player.playing
    assert player.seen_share == pytest.approx(0.01)


def test_a_step_among_decoded_frames_is_immediate(player: Player) -> None:
    player.load(Numbered())
    player.seek(50)
    assert player.settle()
    ready(player, *range(40, 61))
    for n in (1, 1, -3, 5, -12):
        before = player.index
        player.step(n)
        assert player.index == before + n == player.target
        assert shows_its_own_image(player)
    player.step(-1000)
    assert player.settle()
    assert player.index == 0
    player.to_end()
    assert player.settle()
    assert (player.index, player.at_end) == (99, True)


def test_while_a_picture_is_late_the_old_one_stays_with_its_own_number(player: Player) -> None:
    source = Numbered(n_frames=300)
    player.load(source)
    ready(player, *range(40))
    source.open_gate.clear()
    ahead = max(source.decoded) + 60
    player.seek(ahead)
    player.step(1)
    player.step(1)
    assert not player.tick()
    assert (player.index, player.target) == (0, ahead + 2)
    assert player.time_us == source.times_us[0]
    source.open_gate.set()
    assert player.settle()
    assert player.index == ahead + 2
    assert shows_its_own_image(player)


def test_playback_follows_the_times_of_the_frames_and_never_drifts(player: Player, clock: Clock) -> None:
    source = Numbered()
    player.load(source)
    player.play()
    begin = clock.now_s
    while player.playing:
        run(player, clock, 1 / 60)
        if player.playing and player.index < 99:
            assert player.index == source.index_at(round((clock.now_s - begin) * 1e6 - 1))
    assert player.at_end
    assert player.seen_share == 1.0
    assert clock.now_s - begin == pytest.approx((source.times_us[-1] / 1e6), abs=0.2)


@pytest.mark.parametrize("speed", [0.25, 0.5, 0.75, 1.25, 1.5, 2.0])
def test_speed_scales_the_time_of_the_clip(player: Player, clock: Clock, speed: float) -> None:
    source = Numbered()
    player.load(source)
    player.set_speed(speed)
    player.play()
    run(player, clock, 0.5)
    assert player.index == source.index_at(round(0.5e6 * speed))
    player.set_speed(1.0)
    run(player, clock, 0.5)
    assert player.index == source.index_at(round(0.5e6 * speed + 0.5e6))


def test_speeds_are_reached_one_after_the_other_and_stay_for_the_next_clip(player: Player) -> None:
    player.load(Numbered())
    up = []
    for _ in range(5):
        player.faster()
        up.append(player.speed)
    assert up == [1.25, 1.5, 2.0, 2.0, 2.0]
    player.load(Numbered())
    assert player.speed == 2.0
    for _ in range(8):
        player.slower()
    assert player.speed == 0.25


def test_late_decoding_drops_frames_and_catches_up(player: Player, clock: Clock) -> None:
    source = Numbered(n_frames=400)
    player.load(source)
    player.play()
    run(player, clock, 0.2)
    source.open_gate.clear()
    held = []
    for _ in range(400):
        clock.now_s += 1 / 60
        player.tick()
        held.append(player.index)
        assert shows_its_own_image(player)
    due = source.index_at(round((clock.now_s - 100.0) * 1e6))
    assert held[-1] < due
    source.open_gate.set()
    ready(player, player.target)
    assert player.tick()
    assert player.index == player.target >= due - 1
    assert player.seen_share < 1.0


def test_playing_waits_for_the_first_picture_after_a_jump(player: Player, clock: Clock) -> None:
    source = Numbered(n_frames=300)
    player.load(source)
    player.play()
    run(player, clock, 0.1)
    source.open_gate.clear()
    player.seek(250)
    for _ in range(30):
        clock.now_s += 0.1
        assert not player.tick()
    source.open_gate.set()
    ready(player, 250)
    assert player.tick()
    assert player.index == 250
    run(player, clock, 0.1)
    assert player.index == source.index_at(int(source.times_us[250]) + 100_000)


def test_at_the_end_playing_stops_and_begins_anew(player: Player, clock: Clock) -> None:
    player.load(Numbered(n_frames=10))
    player.play()
    run(player, clock, 2.0)
    assert (player.playing, player.at_end) == (False, True)
    player.toggle()
    assert player.playing
    assert player.index == 0
    player.toggle()
    assert not player.playing
    player.seek(7)
    player.replay()
    assert (player.playing, player.index) == (True, 0)


def test_a_loop_runs_over_its_frames_alone(player: Player, clock: Clock) -> None:
    source = Numbered()
    player.load(source)
    player.seek(20)
    player.settle()
    player.loop_start_here()
    player.seek(26)
    player.settle()
    player.loop_end_here()
    assert player.loop == (20, 26)
    player.play()
    shown = run(player, clock, 3.0)
    assert set(shown) == set(range(20, 27))
    assert sum(later < earlier for earlier, later in zip(shown, shown[1:], strict=False)) >= 4
    player.toggle_loop()
    assert player.loop is None
    assert max(run(player, clock, 1.0)) > 27
    player.toggle_loop()
    assert player.loop == (20, 26)
    assert set(run(player, clock, 1.0)[5:]) <= set(range(20, 27))


def test_loop_ends_given_the_wrong_way_round_make_a_loop(player: Player) -> None:
    player.load(Numbered())
    player.set_loop(30, 10)
    assert player.loop == (10, 30)
    player.seek(50)
    player.settle()
    player.loop_start_here()
    assert player.loop == (50, 99)
    player.seek(5)
    player.settle()
    player.loop_end_here()
    assert player.loop == (0, 5)
    player.set_loop(-5, 1000)
    assert player.loop == (0, 99)


def test_scrubbing_goes_by_time_and_always_moves(player: Player) -> None:
    source = Numbered()
    player.load(source)
    player.scrub(1.0)
    assert player.settle()
    assert player.index == source.index_at(1_000_000)
    player.scrub(0.0005)
    player.settle()
    assert player.index == source.index_at(1_000_000) + 1
    player.scrub(-100)
    player.settle()
    assert player.index == 0


def test_a_frame_that_fails_is_said_and_can_be_passed(player: Player, clock: Clock) -> None:
    source = Numbered()
    source.broken = {3, 4}
    player.load(source)
    player.seek(2)
    player.settle()
    player.step(1)
    assert player.settle()
    assert player.error is not None
    assert "frame 3" in str(player.error)
    assert player.index == 2
    assert shows_its_own_image(player)
    player.step(1)
    player.step(1)
    assert player.settle()
    assert (player.index, player.error) == (5, None)
    player.to_start()
    player.play()
    assert 5 in run_broken(player, clock)
    # The drive is back: asking again shows the frame.
    source.broken = set()
    player.seek(3)
    assert player.settle()
    assert (player.index, player.error) == (3, None)


def run_broken(player: Player, clock: Clock) -> set[int]:
    shown = set()
    for _ in range(60):
        clock.now_s += 1 / 60
        player.tick()
        ready(player, player.target)
        player.tick()
        shown.add(player.index)
        assert shows_its_own_image(player)
    return shown


def test_a_clip_whose_first_frame_is_broken_has_no_image_and_says_why(player: Player) -> None:
    source = Numbered()
    source.broken = {0}
    player.load(source)
    player.settle()
    assert player.image is None
    assert "frame 0" in str(player.error)
    player.step(1)
    assert player.settle()
    assert player.index == 1


def test_the_next_clip_shows_nothing_of_the_one_before(player: Player) -> None:
    first, second = Numbered(), Numbered(n_frames=30)
    player.load(first)
    player.set_loop(3, 9)
    player.seek(60)
    player.settle()
    player.play()
    first.open_gate.clear()
    player.seek(90)
    player.load(second)
    first.open_gate.set()
    assert (player.index, player.playing, player.loop, player.frames) == (0, False, None, second)
    assert shows_its_own_image(player)
    player.close()
    assert second.closed_in == "frame-feeder"
    assert player.image is None


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("kind", ["file", "session"])
def test_a_clip_gone_through_leaves_no_memory_behind(
    clock: Clock, tmp_path: Path, video_study: StudyFolder, kind: str
) -> None:
    """A clip holds a hundred megabytes: 700 of them cannot wait until Python looks for cycles."""
    if kind == "file":
        frames: FrameSource = open_video(write_video(tmp_path / "clip.mp4", KINDS["B-frames"]))
    else:
        clip = load_clip_index(video_study).iloc[0]
        frames = SessionClipFrames(video_study.root / clip["session_file"], clip["t_start_us"], clip["t_end_us"])
    player = Player(clock)
    player.load(frames)
    player.seek(20)
    assert player.settle()
    player.step(-3)
    assert player.settle()
    gone = weakref.ref(frames)
    del frames
    player.close()
    assert gone() is None


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def test_memory_for_pictures_is_bounded(player: Player, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeder, "READY_BYTES", 0)
    player.load(Numbered())
    player.play()
    run(player, clock, 3.0)
    assert player._feeder is not None
    assert len(player._feeder._images) <= feeder.READY_FRAMES + 1
