"""Clips on a real window: which picture was on the screen when, what was missed, and what cannot be shown."""

from __future__ import annotations

import gc
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from collection.presenter.base import Presentation
from collection.presenter.psychopy.clip_file import read_clip_file
from collection.presenter.psychopy.clip_player import _Playing
from collection.presenter.psychopy.page import DecisionPage
from collection.presenter.psychopy.presenter import PsychopyPresenter
from collection.protocol.steps import PlayClip
from data_schema.clocks import SystemClock
from data_schema.errors import MediaError
from data_schema.session.layout import FLIPS
from data_schema.study.sections import ScreenSection

from .conftest import Hands, Participant, wait_for
from .presenter_lab import LIBRARY_WARNINGS, Desk, make_numbered_clip, never, read_number, watch_flips

pytestmark = [pytest.mark.lab, *(pytest.mark.filterwarnings(line) for line in LIBRARY_WARNINGS)]

FPS, N_FRAMES = 30, 60


@pytest.fixture(scope="module")
def presenter(display: str) -> Iterator[PsychopyPresenter]:
    # The clips' own size: a software renderer takes long for enlarging.
    screen = ScreenSection(width_px=640, height_px=360, refresh_hz=60.0)
    shown = PsychopyPresenter(screen, language="en", clock=SystemClock(), fullscreen=False)
    shown.open()
    yield shown
    shown.close()


@pytest.fixture(scope="module", params=["silent", "with sound"])
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> PlayClip:
    path = tmp_path_factory.mktemp("clips") / "numbered.mp4"
    make_numbered_clip(path, n_frames=N_FRAMES, fps=FPS, sound=request.param == "with sound")
    return PlayClip("clip", N_FRAMES / FPS, 7, "numbered", "neutral", path)


def _play(presenter: PsychopyPresenter, clip: PlayClip, should_stop=never) -> tuple[Presentation, np.ndarray]:
    rows: list[np.ndarray] = []
    presenter.prepare(clip)
    due_us = SystemClock().now_us() + 200_000
    shown = presenter.play(clip, due_us, rows.append, should_stop)
    return shown, np.concatenate(rows) if rows else FLIPS.empty(0)


def test_stored_clip_time_is_that_of_the_picture_in_the_back_buffer(
    presenter: PsychopyPresenter, clip: PlayClip
) -> None:
    numbers: list[int] = []
    restore = watch_flips(presenter, lambda: numbers.append(read_number(presenter.window.screenshot())))
    try:
        shown, rows = _play(presenter, clip)
    finally:
        restore()
    assert shown.n_flips == len(rows) == len(numbers)
    stored = np.round(rows["clip_time_us"] * FPS / 1e6).astype(int)
    np.testing.assert_array_equal(stored, numbers)
    assert numbers[0] == 0
    assert (np.diff(numbers) >= 0).all()
    # How many frames a software renderer manages is the machine's business; that there are many is the proof's.
    assert len(set(numbers)) >= 6


def test_a_clip_starts_when_it_is_due_and_plays_its_whole_length(presenter: PsychopyPresenter, clip: PlayClip) -> None:
    rows: list[np.ndarray] = []
    presenter.prepare(clip)
    due_us = SystemClock().now_us() + 300_000
    shown = presenter.play(clip, due_us, rows.append, never)
    assert shown.completed
    flips = np.concatenate(rows)
    # All bounds grow with the longest time between two flips: a busy machine renders late, and says so.
    longest_us = int(np.diff(flips["t_flip_us"]).max())
    assert -20_000 <= shown.t_onset_us - due_us < 100_000 + 2 * longest_us
    assert (shown.t_onset_us, shown.t_offset_us) == (flips["t_flip_us"][0], flips["t_flip_us"][-1])
    assert abs(shown.duration_s - N_FRAMES / FPS) < 0.15 + 3 * longest_us / 1e6
    assert (np.diff(flips["t_flip_us"]) > 0).all()
    assert (flips["trial_id"] == 7).all()
    assert shown.n_flips_dropped == flips["n_dropped_before"].sum()
    # Nothing is left out at the start: the second picture comes as soon as it is due.
    times_us = np.unique(flips["clip_time_us"])
    assert times_us[0] == 0
    assert times_us[1] <= 70_000 + 2 * longest_us, times_us[:8]
    missing = N_FRAMES - 1 - round(times_us[-1] * FPS / 1e6)
    assert missing <= 1 + 3 * longest_us * FPS / 1e6
    assert shown.ended_early == (missing > 1)
    assert shown.n_frames_missing == missing
    assert shown.missing_s == pytest.approx(missing / FPS, abs=0.002)


def test_flips_are_handed_over_in_batches_with_the_collector_off(presenter: PsychopyPresenter, clip: PlayClip) -> None:
    sizes: list[int] = []
    collecting: list[bool] = []

    def take(rows: np.ndarray) -> None:
        sizes.append(len(rows))
        collecting.append(gc.isenabled())

    assert gc.isenabled()
    shown = presenter.play(clip, SystemClock().now_us(), take, never)
    assert gc.isenabled()
    assert collecting == [False] * len(sizes)
    assert sum(sizes) == shown.n_flips
    assert 2 <= len(sizes) <= 12, "2 s in batches of a quarter of a second or more"


def test_a_refresh_that_was_missed_is_counted_where_it_was_missed(presenter: PsychopyPresenter, clip: PlayClip) -> None:
    clock = SystemClock()
    count = 0

    def stall() -> None:
        nonlocal count
        count += 1
        if count == 6:
            clock.sleep_until(clock.now_us() + 120_000)

    restore = watch_flips(presenter, stall)
    try:
        shown, rows = _play(presenter, clip)
    finally:
        restore()
    missed = rows["n_dropped_before"]
    period_us = presenter.window.period_us
    assert missed[5] == np.round((rows["t_flip_us"][5] - rows["t_flip_us"][4]) / period_us) - 1
    assert missed[5] >= 5
    assert shown.n_flips_dropped == missed.sum()
    assert shown.n_flips_late >= 1
    # Every refresh is either a flip or a missed one.
    n_refreshes = round((shown.t_offset_us - shown.t_onset_us) / period_us) + 1
    assert abs(shown.n_flips + shown.n_flips_dropped - n_refreshes) <= max(2, 0.05 * n_refreshes)


def test_a_clip_can_be_stopped_at_once(presenter: PsychopyPresenter, clip: PlayClip) -> None:
    over_us = SystemClock().now_us() + 800_000
    shown, rows = _play(presenter, clip, lambda: SystemClock().now_us() > over_us)
    assert not shown.completed
    assert not shown.ended_early
    assert shown.n_flips == len(rows)
    assert shown.duration_s < 1.8


def test_escape_holds_the_clip_and_stopping_ends_it(
    display: str, clip: PlayClip, participant: Participant, hands: Hands
) -> None:
    screen = ScreenSection(width_px=640, height_px=360)
    presenter = PsychopyPresenter(screen, language="en", clock=SystemClock(), fullscreen=False)
    presenter.open()
    desk = Desk(presenter, hands)
    began: list[int] = []

    def act() -> None:
        wait_for(lambda: began)
        hands.key("Escape")
        first = desk.page(DecisionPage)
        held_us = SystemClock().now_us()
        wait_for(lambda: SystemClock().now_us() > held_us + 400_000)
        desk.click_box(first.no.box)
        desk.gone(first)
        hands.key("Escape")
        second = desk.page(DecisionPage)
        assert second is not first
        desk.click_box(second.yes.box)

    restore = watch_flips(presenter, lambda: began.append(1))
    try:
        participant.does(act)
        shown, rows = _play(presenter, clip, lambda: participant.failed)
        participant.finish()
    finally:
        restore()
        presenter.close()
    assert presenter.stop_requested()
    assert not shown.completed
    # The clip's own time stood still while it was held: what the screen showed is on file.
    gap = int(np.argmax(np.diff(rows["t_flip_us"])))
    assert rows["t_flip_us"][gap + 1] - rows["t_flip_us"][gap] > 400_000
    ((held_from_us, held_s),) = shown.holds
    assert held_from_us == rows["t_flip_us"][gap]
    assert held_s == pytest.approx((rows["t_flip_us"][gap + 1] - rows["t_flip_us"][gap]) / 1e6)
    assert rows["clip_time_us"][gap + 1] - rows["clip_time_us"][gap] < 150_000


def test_a_clip_keeps_its_shape_on_grey_and_the_pointer_is_hidden(presenter: PsychopyPresenter, tmp_path: Path) -> None:
    path = make_numbered_clip(tmp_path / "narrow.mp4", n_frames=15, size=(320, 320))
    pictures: list[np.ndarray] = []
    visible: list[bool] = []

    def look() -> None:
        pictures.append(np.asarray(presenter.window.screenshot()))
        visible.append(presenter.window.win.mouseVisible)

    presenter.window.show_mouse(True)
    restore = watch_flips(presenter, look)
    try:
        _play(presenter, PlayClip("clip", 0.5, 1, "narrow", "neutral", path))
    finally:
        restore()
    assert not any(visible)
    # 320 by 320 on 640 by 360: as high as the window, grey on both sides.
    assert np.abs(pictures[0][:, :130].astype(int) - 128).max() <= 2
    assert np.abs(pictures[0][:, -130:].astype(int) - 128).max() <= 2
    assert np.abs(pictures[0][5:-5, 320].astype(int) - 128).min() > 10


def test_a_clip_that_was_cut_off_is_flagged_as_ending_early(presenter: PsychopyPresenter, tmp_path: Path) -> None:
    whole = make_numbered_clip(tmp_path / "whole.mp4", n_frames=90, size=(640, 360))
    data = whole.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: int(len(data) * 0.6)])
    shown, rows = _play(presenter, PlayClip("clip", 3.0, 1, "cut", "neutral", cut))
    assert shown.ended_early
    last_us = int(rows["clip_time_us"][-1])
    assert last_us < 2_600_000
    assert shown.n_frames_missing == 89 - round(last_us * 30 / 1e6)
    assert shown.missing_s == pytest.approx(89 / 30 - last_us / 1e6, abs=0.002)


def test_only_frames_that_were_not_shown_make_a_clip_end_early(clip: PlayClip) -> None:
    """Not the time on the screen: a slow machine shows a clip for longer, and yet leaves out its last frames."""
    file = read_clip_file(clip.file)
    window = SimpleNamespace(period_us=1e6 / 60, has_vsync=False)
    for n_missing, flagged in ((0, False), (1, False), (2, True), (5, True)):
        playing = _Playing(window, SystemClock(), None, file, clip)  # type: ignore[arg-type]
        playing._note(1_000_000, 1_000_000, 0)
        # 2.07 s on the screen where 2 s were due.
        playing._note(3_050_000, 3_050_000, round((N_FRAMES - 1 - n_missing) / FPS * 1e6))
        shown = playing._presentation(True)
        assert shown.duration_s == pytest.approx(2.067, abs=0.001)
        assert shown.ended_early is flagged
        assert shown.n_frames_missing == n_missing
        assert shown.missing_s == pytest.approx(n_missing / FPS, abs=1e-4)


@pytest.mark.parametrize("kind", ["missing", "text", "sound only"])
def test_a_clip_that_cannot_be_shown_says_so_before_anything_is_shown(
    presenter: PsychopyPresenter, clip: PlayClip, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "bad.mp4"
    if kind == "text":
        path.write_text("this is no video", encoding="utf-8")
    elif kind == "sound only":
        command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=440:duration=1", "-c:a", "aac", str(path)]
        subprocess.run(command, check=True, timeout=60)
    bad = PlayClip("clip", 1.0, 1, "bad", "neutral", path)
    flips: list[np.ndarray] = []
    with pytest.raises(MediaError, match="bad.mp4"):
        presenter.prepare(bad)
    with pytest.raises(MediaError, match="bad.mp4"):
        presenter.play(bad, SystemClock().now_us(), flips.append, never)
    assert flips == []
    assert gc.isenabled()
