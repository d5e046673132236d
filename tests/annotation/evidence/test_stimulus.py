"""The frame that is shown is the one that stood on the participant's screen."""

from __future__ import annotations

import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from annotation.evidence import StimulusTrack, stimulus_track
from annotation.evidence.feed import StimulusFeed
from annotation.evidence.guarded import GuardedFrames
from annotation.evidence.stimulus import shown_frames
from annotation.playback import open_video
from data_schema.errors import MediaError
from data_schema.session.layout import FLIPS
from data_schema.session.reader import Trial, open_session
from data_schema.study.folder import StudyFolder

from ..labelled_study import burnt_number, write_stimulus

PATIENCE_S = 20.0


class Stamps:
    """Frames that have time stamps and nothing else."""

    def __init__(self, pts: list[int], time_base: Fraction) -> None:
        self.pts, self.time_base = np.array(pts), time_base

    def __len__(self) -> int:
        return len(self.pts)


@pytest.fixture
def frames(tmp_path: Path):
    source = open_video(write_stimulus(tmp_path / "numbered.mp4", n_frames=60))
    yield source
    source.close()


def test_a_flip_shows_the_frame_whose_time_was_stored() -> None:
    # A variable rate, a start that is not 0, times that are no whole microseconds.
    video = Stamps([900, 901, 903, 907, 908], Fraction(1, 30))
    shown = [video.pts[frame] * 1e6 / 30 for frame in (0, 0, 1, 2, 3, 3, 4)]
    for rounded in (np.floor(shown), np.ceil(shown), np.round(shown)):
        assert shown_frames(video, rounded.astype(np.int64)).tolist() == [0, 0, 1, 2, 3, 3, 4]
    # Between two frames the earlier one stands; before the first there is none earlier.
    assert shown_frames(video, np.array([0, round(904.9 * 1e6 / 30)])).tolist() == [0, 2]


def test_the_track_of_a_trial_names_the_frame_of_every_flip(video_study: StudyFolder) -> None:
    path = video_study.session_path("P001", "01")
    with open_session(path) as session:
        trial = session.trials()[1]
        rows = session.table(FLIPS)[:]
        rows = rows[rows["trial_id"] == trial.trial_id]
        track = stimulus_track(session, trial, video_study.stimulus_path(trial.stimulus_id))
        by_number = stimulus_track(
            session, trial.trial_id, video_study.stimulus_path(trial.stimulus_id), t_start_us=trial.t_onset_us - 40_000
        )
    try:
        assert len(track.flip_t_us) == len(rows) > 50
        np.testing.assert_array_equal(track.flip_t_us, rows["t_flip_us"] - trial.t_onset_us)
        np.testing.assert_array_equal(by_number.flip_t_us, track.flip_t_us + 40_000)
        for place in (0, 17, 41, len(rows) - 1):
            shown = int(track.frame_at(int(track.flip_t_us[place])))
            # The stimulus has 25 frames a second; its frames carry their number.
            assert shown == int(rows["clip_time_us"][place]) * 25 // 1_000_000
            assert burnt_number(track.frames.frame(shown)) == shown
        assert track.frame_at(-5_000) == 0
        # A refresh lasts until the next one: a frame that hung is shown as long as it hung.
        hung = StimulusTrack(track.frames, np.array([0, 40_000, 400_000]), np.array([0, 1, 2]))
        assert [hung.frame_at(t) for t in (39_999, 40_000, 399_999, 400_000)] == [0, 1, 1, 2]
    finally:
        track.frames.close()
        by_number.frames.close()


def test_a_stimulus_without_flips_is_taken_to_have_played_evenly(video_study: StudyFolder) -> None:
    with open_session(video_study.session_path("P001", "01")) as session:
        trial = session.trials()[0]
        path = video_study.stimulus_path(trial.stimulus_id)
        imported = Trial(
            99, trial.stimulus_id, trial.target_emotion, trial.t_onset_us, trial.t_onset_us + 400_000, True
        )
        track = stimulus_track(session, imported, path, t_start_us=trial.t_onset_us - 40_000)
    try:
        # 25 frames a second for 0.4 s, from 40 ms on.
        np.testing.assert_array_equal(track.flip_t_us, 40_000 + 40_000 * np.arange(11))
        assert [track.frame_at(t) for t in (39_999, 40_000, 79_999, 80_000, 10_000_000)] == [0, 0, 0, 1, 10]
    finally:
        track.frames.close()


def test_a_missing_stimulus_is_said(video_study: StudyFolder) -> None:
    with open_session(video_study.session_path("P001", "01")) as session, pytest.raises(MediaError, match="gone.mp4"):
        stimulus_track(session, 1, video_study.stimuli_dir / "gone.mp4")


def test_the_feed_hands_out_the_frame_that_was_asked_for_and_has_the_next_ones_ready(frames) -> None:
    ready = threading.Event()
    feed = StimulusFeed(frames, ready.set)
    try:
        assert feed.request(30) is None
        assert ready.wait(PATIENCE_S)
        assert burnt_number(feed.request(30)) == 30
        for number in range(31, 50):
            ready.clear()
            image = feed.request(number)
            if image is None:
                assert ready.wait(PATIENCE_S)
                image = feed.request(number)
            assert burnt_number(image) == number
    finally:
        feed.close()
    assert not any(thread.name == "stimulus-feed" for thread in threading.enumerate())


def test_frames_ahead_are_decoded_before_they_are_asked_for(frames) -> None:
    asked: list[int] = []
    enough = threading.Event()

    class Watched(GuardedFrames):
        def frame(self, index: int):
            asked.append(index)
            if index == 14:
                enough.set()
            return super().frame(index)

    feed = StimulusFeed(Watched(frames), lambda: None)
    feed.request(10)
    assert enough.wait(PATIENCE_S)
    feed.close()
    assert asked[:5] == [10, 11, 12, 13, 14]


def test_a_frame_that_does_not_decode_is_said_and_the_others_stay(frames) -> None:
    class Broken(GuardedFrames):
        def frame(self, index: int):
            if index == 5:
                raise MediaError("frame 5 is damaged")
            return super().frame(index)

    ready = threading.Event()
    feed = StimulusFeed(Broken(frames), ready.set)
    try:
        assert feed.request(5) is None and ready.wait(PATIENCE_S)
        assert feed.request(5) is None and feed.problem(5) == "frame 5 is damaged"
        ready.clear()
        assert feed.request(20) is not None or ready.wait(PATIENCE_S)
        assert burnt_number(feed.request(20)) == 20 and feed.problem(20) == ""
    finally:
        feed.close()


def test_closing_waits_for_the_frame_that_is_being_decoded() -> None:
    decoding, go_on = threading.Event(), threading.Event()
    order: list[str] = []

    class Slow:
        width_px = height_px = 8
        time_base, pts, times_us, group_starts = Fraction(1, 25), np.arange(9), np.arange(9), np.array([0])

        def frame(self, index: int):
            decoding.set()
            go_on.wait(PATIENCE_S)
            order.append("decoded")
            return np.zeros((8, 8, 3), np.uint8)

        def close(self) -> None:
            order.append("closed")

    guarded = GuardedFrames(Slow())
    thread = threading.Thread(target=guarded.frame, args=(0,))
    thread.start()
    assert decoding.wait(PATIENCE_S)
    closing = threading.Thread(target=guarded.close)
    closing.start()
    go_on.set()
    thread.join(PATIENCE_S)
    closing.join(PATIENCE_S)
    assert order == ["decoded", "closed"]
    with pytest.raises(MediaError, match="closed"):
        guarded.frame(1)
