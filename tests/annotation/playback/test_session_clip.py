"""A clip of a session file shows the session's own frames, under the session's own numbers."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from annotation.playback import decoding
from annotation.playback.session_clip import SessionClipFrames
from data_schema.clips.index import load_clip_index
from data_schema.errors import MediaError
from data_schema.session import open_session
from data_schema.session.synthetic import make_synthetic_session
from data_schema.study import StudyFolder

from ..labelled_study import burnt_number


def test_clips_of_a_study_keep_number_and_pts_of_the_session(
    video_study: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "KEPT_BYTES", 0)
    monkeypatch.setattr(decoding, "KEPT_FRAMES", 3)
    clips = load_clip_index(video_study)
    firsts = set()
    for place, clip in enumerate(clips[clips["participant"] == "P001"].itertuples()):
        path = video_study.root / clip.session_file
        # The clips of this study begin at key frames; nobody promises that.
        t_start_us = clip.t_start_us + place * 100_000
        with open_session(path) as session:
            rows = session.table("/face/frames")[:]
        shown = np.flatnonzero((rows["t_capture_us"] >= t_start_us) & (rows["t_capture_us"] < clip.t_end_us))
        frames = SessionClipFrames(path, t_start_us, clip.t_end_us)
        assert len(frames) == len(shown)
        assert frames.pts.tolist() == rows["pts"][shown].tolist()
        assert frames.times_us.tolist() == (rows["t_capture_us"][shown] - t_start_us).tolist()
        assert frames.group_starts[0] <= 0
        for index in np.random.default_rng(3).permutation(len(frames)).tolist():
            meant = frames.identity(index)
            assert (meant.frame_index, meant.frame_pts) == (shown[index], rows["pts"][shown[index]])
            assert burnt_number(frames.frame(index)) == shown[index]
            assert frames.index_at(int(frames.times_us[index])) == index
        firsts.add(int(shown[0]) % 15)
        frames.close()
    assert len(frames.group_starts) > 1
    assert firsts - {0}


def test_a_closed_clip_holds_no_file_and_says_so(video_study: StudyFolder) -> None:
    clip = load_clip_index(video_study).iloc[0]
    frames = SessionClipFrames(video_study.root / clip["session_file"], clip["t_start_us"], clip["t_end_us"])
    frames.close()
    frames.close()
    with pytest.raises(MediaError, match="closed already"):
        frames.frame(0)
    with pytest.raises(IndexError):
        frames.frame(len(frames))


def test_what_cannot_be_shown_is_said(video_study: StudyFolder, tmp_path: Path) -> None:
    clip = load_clip_index(video_study).iloc[0]
    path = video_study.root / clip["session_file"]
    with pytest.raises(MediaError, match="no camera frame between 0 and 5 us"):
        SessionClipFrames(path, 0, 5)
    with pytest.raises(MediaError, match="no such file"):
        SessionClipFrames(tmp_path / "gone.h5", 0, 5)
    blind = make_synthetic_session(tmp_path / "sub-P009_ses-01.h5", n_trials=1, trial_s=0.5, with_video=False)
    with pytest.raises(MediaError, match="no face video"):
        SessionClipFrames(blind, 0, 5)


def test_damaged_bytes_are_said_and_the_next_group_is_shown(video_study: StudyFolder, tmp_path: Path) -> None:
    clip = load_clip_index(video_study).iloc[1]
    path = tmp_path / "sub-P001_ses-01.h5"
    shutil.copy(video_study.root / clip["session_file"], path)
    whole = SessionClipFrames(path, clip["t_start_us"], clip["t_end_us"] + 800_000)
    key = int(whole.group_starts[whole.group_starts > 0][0])
    row = whole.identity(key + 2).frame_index
    whole.close()
    with h5py.File(path, "r+") as file:
        begin, size = (int(file["/face/frames"][row][name]) for name in ("packet_offset", "packet_size"))
        file["/face/packets"][begin + 5 : begin + size] = np.zeros(size - 5, dtype=np.uint8)
    frames = SessionClipFrames(path, clip["t_start_us"], clip["t_end_us"] + 800_000)
    assert burnt_number(frames.frame(key + 1)) == row - 1
    with pytest.raises(MediaError, match=f"frame {row} cannot be decoded"):
        frames.frame(key + 2)
    after = int(frames.group_starts[frames.group_starts > key][0])
    assert burnt_number(frames.frame(after)) == frames.identity(after).frame_index
    assert burnt_number(frames.frame(key + 1)) == row - 1
    frames.close()
