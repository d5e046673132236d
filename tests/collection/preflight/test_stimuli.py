"""Stimuli are decoded to their last frame, once."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from collection.preflight import stimuli
from data_schema.study.folder import StudyFolder


def cut_in_the_middle(path: Path) -> None:
    """Leave the index of an .mp4 whole and spoil the pictures of its second half."""
    data = bytearray(path.read_bytes())
    begin = data.index(b"mdat")
    end = data.index(b"moov") if data.index(b"moov") > begin else len(data)
    middle = begin + (end - begin) // 2
    data[middle : end - 8] = b"\x00" * (end - 8 - middle)
    path.write_bytes(bytes(data))


def test_whole_clips_are_good_and_are_decoded_once(study: StudyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    (check,) = stimuli.check_stimuli(study)
    assert check.level == "note"
    assert "are placeholders of `emer init`" in check.message
    clips = stimuli.decoded_stimuli(study)
    assert {name: clips[name].n_frames for name in ("fear-1", "anger-1")} == {"fear-1": 15, "anger-1": 15}
    assert clips["fear-1"].duration_s == pytest.approx(0.5, abs=0.001)

    def never(path: Path) -> stimuli.DecodedClip:
        raise AssertionError(f"{path.name} was decoded again")

    monkeypatch.setattr(stimuli, "decode_whole", never)
    stimuli.check_stimuli(study)


def test_a_clip_that_breaks_off_in_the_middle_is_found(study: StudyFolder) -> None:
    """Its first frame decodes and its header is whole: only decoding all of it shows the damage."""
    path = study.stimulus_path("fear-1")
    assert stimuli.clip_duration_s(path) == pytest.approx(0.5)
    cut_in_the_middle(path)
    assert stimuli.clip_duration_s(path) == pytest.approx(0.5)
    (check,) = stimuli.check_stimuli(study)
    assert check.level == "error"
    assert "stimulus 'fear-1'" in check.message
    assert "Put the file there again" in check.remedy


def test_a_missing_clip_is_named(study: StudyFolder) -> None:
    study.stimulus_path("anger-1").unlink()
    (check,) = stimuli.check_stimuli(study)
    assert check.level == "error"
    assert "anger-1.mp4" in check.message


def test_sound_is_found(study: StudyFolder) -> None:
    for stimulus in study.config.stimuli:
        write_clip(study.stimulus_path(stimulus), sound=False)
    assert not stimuli.any_sound(study)
    write_clip(study.stimulus_path("fear-1"), sound=True)
    assert stimuli.any_sound(study)
    assert stimuli.decoded_stimuli(study)["fear-1"].problem == ""


def write_clip(path: Path, *, sound: bool) -> None:
    """Write a clip of half a second, with a tone or without."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=30)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        audio = container.add_stream("aac", rate=48_000) if sound else None
        for _ in range(15):
            picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8), format="rgb24")
            container.mux(video.encode(picture))
        container.mux(video.encode())
        if audio is None:
            return
        tone = np.sin(np.arange(24_000) * 2 * np.pi * 440 / 48_000).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        frame.sample_rate = 48_000
        container.mux(audio.encode(frame))
        container.mux(audio.encode())
