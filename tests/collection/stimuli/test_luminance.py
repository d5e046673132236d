"""The luminance of stimuli: right in linear light, in time, and computed once for each file."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from collection.stimuli import frame_luminance, luminance_of_file, luminance_rows
from data_schema.errors import MediaError
from data_schema.session.layout import decode_text
from data_schema.study.scaffold import init_study


def _write_grey(path: Path, levels: list[int], fps: int = 25) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.options = {"crf": "1", "preset": "ultrafast"}
        for level in levels:
            image = np.full((48, 64, 3), level, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


@pytest.mark.parametrize(
    ("colour", "expected"),
    [((0, 0, 0), 0.0), ((255, 255, 255), 1.0), ((188, 188, 188), 0.5029), ((255, 0, 0), 0.2126), ((0, 255, 0), 0.7152)],
)
def test_luminance_of_a_colour_is_that_of_the_standard(colour: tuple[int, int, int], expected: float) -> None:
    assert frame_luminance(np.full((4, 6, 3), colour, dtype=np.uint8)) == pytest.approx(expected, abs=1e-3)


def test_half_white_half_black_is_half_the_light() -> None:
    image = np.zeros((4, 6, 3), dtype=np.uint8)
    image[:, :3] = 255
    assert frame_luminance(image) == pytest.approx(0.5)


def test_every_frame_has_its_time_and_light(tmp_path: Path) -> None:
    levels = [0, 64, 128, 255, 30]
    _write_grey(tmp_path / "clip.mp4", levels)
    clip_time_us, luminance = luminance_of_file(tmp_path / "clip.mp4")
    assert clip_time_us.tolist() == [0, 40_000, 80_000, 120_000, 160_000]
    expected = [frame_luminance(np.full((2, 2, 3), level, dtype=np.uint8)) for level in levels]
    np.testing.assert_allclose(luminance, expected, atol=0.02)


def test_a_study_computes_each_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = init_study(tmp_path / "study", clips_per_emotion=1, clip_s=0.5, emotions=("happiness", "fear"))
    first = luminance_rows(study)
    assert set(decode_text(np.unique(first["stimulus_id"]))) == {stimulus.id for stimulus in study.config.stimuli}
    assert ((first["luminance"] > 0.05) & (first["luminance"] < 0.6)).all()

    def computed_again(_path: Path) -> None:
        raise AssertionError("the file did not change, and was decoded again")

    monkeypatch.setattr("collection.stimuli.luminance.luminance_of_file", computed_again)
    assert (luminance_rows(study) == first).all()
    study.stimulus_path("fear-1").write_bytes(study.stimulus_path("happiness-1").read_bytes() + b"\0")
    with pytest.raises(AssertionError, match="decoded again"):
        luminance_rows(study)


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_text("no video")
    with pytest.raises(MediaError, match=r"clip\.mp4.*Put the clip there again"):
        luminance_of_file(tmp_path / "clip.mp4")
