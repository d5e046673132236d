"""What the other tests rely on: the numbers in the frames of the small study can be read."""

from __future__ import annotations

import av
import numpy as np

from data_schema.clips.index import load_clip_index
from data_schema.session import open_session
from data_schema.study import StudyFolder

from ..labelled_study import burnt_number


def test_frames_of_sessions_carry_their_number(video_study: StudyFolder) -> None:
    clips = load_clip_index(video_study)
    assert len(clips) == 6
    assert clips["included"].all()
    with open_session(video_study.root / clips["session_file"][0]) as session:
        video = session.video
        assert video is not None
        for index in (0, 7, 15, 31, len(video) - 1):
            image = video.decode(index)
            assert burnt_number(image) == index
            assert burnt_number(np.kron(image, np.ones((2, 2, 1), dtype=np.uint8))) == index
            assert burnt_number(image[40:-40]) == -1


def test_frames_of_stimuli_carry_their_number(video_study: StudyFolder) -> None:
    path = video_study.stimulus_path("s01")
    with av.open(str(path)) as container:
        numbers = [burnt_number(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    assert numbers == list(range(25))
