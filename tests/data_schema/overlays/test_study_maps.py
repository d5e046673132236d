"""Maps of a study with real files: the drawn place is where the planted eyes looked."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from data_schema.cli import main
from data_schema.clips.index import build_clip_index
from data_schema.overlays.drawing import MAP_SHAPE, blend_map, draw_gaze
from data_schema.overlays.looks import Looks
from data_schema.overlays.video import draw_over, stimulus_picture, stimulus_size

from ..studies import make_study

#: Uneven times, as of a phone's film.
PTS_MS = (0, 30, 70, 100, 170, 200, 233, 300, 333, 400, 433, 466, 500, 566, 600, 700, 750, 800, 900, 980)


def write_film(path: Path, width: int = 160, height: int = 120) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, pts in enumerate(PTS_MS):
            frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 40 + 5 * number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = pts, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def times_ms(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [round(float(frame.pts * stream.time_base) * 1000) for frame in container.decode(stream)]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    study = make_study(tmp_path_factory.mktemp("maps") / "study", n_participants=2, n_trials=1)
    write_film(study.stimuli_dir / "s00.mp4")
    build_clip_index(study)
    assert main(["maps", str(study.root), "--videos"]) == 0
    return study, study.reports_dir / "maps"


def test_each_clip_and_the_stimulus_have_map_and_video(drawn):
    study, out = drawn
    clips = [f"sub-P00{n}_ses-01_trial-001" for n in (1, 2)]
    expected = {f"{clip}_{kind}" for clip in clips for kind in ("map.png", "map.npy", "gaze.mp4")}
    expected |= {f"stim-s00_map.{kind}" for kind in ("png", "npy", "mp4")}
    assert {path.name for path in out.iterdir()} == expected
    own = [np.load(out / f"{clip}_map.npy") for clip in clips]
    both = np.load(out / "stim-s00_map.npy")
    assert both.shape == MAP_SHAPE
    assert both == pytest.approx((own[0] + own[1]) / 2, abs=1e-6), "every participant weighs the same"
    picture = cv2.imread(str(out / f"{clips[0]}_map.png"))
    assert picture.shape == (120, 160, 3)
    plain = cv2.cvtColor(stimulus_picture(study.stimuli_dir / "s00.mp4"), cv2.COLOR_RGB2BGR)
    assert np.abs(picture.astype(int) - plain).max() > 60, "something is drawn over the film"


def test_frames_keep_their_uneven_times(drawn):
    _, out = drawn
    assert times_ms(out / "sub-P001_ses-01_trial-001_gaze.mp4") == list(PTS_MS)
    assert times_ms(out / "stim-s00_map.mp4") == list(PTS_MS)


def test_old_maps_are_not_replaced_unasked(drawn, capsys):
    study, out = drawn
    before = (out / "stim-s00_map.npy").read_bytes()
    assert main(["maps", str(study.root)]) == 1
    assert "--force" in capsys.readouterr().err
    assert main(["maps", str(study.root), "--force", "--clip", "P002", "--out", str(out)]) == 0
    assert (out / "stim-s00_map.npy").read_bytes() != before, "of the second participant alone"
    assert main(["maps", str(study.root), "--clip", "nobody*"]) == 2
    assert "nobody*" in capsys.readouterr().err


def test_a_damaged_stimulus_is_told_and_the_others_are_drawn(tmp_path, capsys):
    study = make_study(tmp_path / "study", n_participants=1, n_trials=2)
    (study.config_path).write_text(
        study.config_path.read_text() + '[[stimuli]]\nid = "s01"\nfile = "s01.mp4"\ntarget_emotion = "fear"\n'
    )
    write_film(study.stimuli_dir / "s00.mp4")
    (study.stimuli_dir / "s01.mp4").write_bytes(b"no film")
    build_clip_index(study)
    assert main(["maps", str(study.root)]) == 0
    said = capsys.readouterr().err
    assert "trial-002" in said and "s01.mp4" in said
    assert (study.reports_dir / "maps" / "sub-P001_ses-01_trial-001_map.png").is_file()


def look(fixations: list[tuple[int, int, float, float]]) -> Looks:
    t_us = np.arange(0, 2_000_000, 10_000)
    gaze = np.full((len(t_us), 2), np.nan)
    for start, end, x, y in fixations:
        gaze[(t_us >= start) & (t_us < end)] = (x, y)
    times = np.array([f[:2] for f in fixations]).reshape(-1, 2)
    return Looks("clip", t_us, gaze, times, np.array([f[2:] for f in fixations]).reshape(-1, 2), (0.03, 0.05))


def test_gaze_is_drawn_where_it_is_and_never_ahead_of_time():
    plain = np.full((180, 320, 3), 128, np.uint8)
    looks = look([(0, 500_000, 0.25, 0.5), (600_000, 1_500_000, 0.75, 0.5)])
    early = np.abs(draw_gaze(plain, looks, 300_000).astype(int) - plain).max(axis=2)
    assert early[90, 80] > 50
    assert early[:, 200:].max() == 0, "the second fixation is still to come"
    assert (plain == 128).all()
    late = np.abs(draw_gaze(plain, looks, 1_400_000).astype(int) - plain).max(axis=2)
    assert late[90, 240] > 50
    assert late[:, :160].max() == 0


def test_the_brightest_shade_is_at_the_highest_place():
    seconds = np.zeros(MAP_SHAPE)
    seconds[45, 120] = 2.0
    shown = blend_map(np.zeros((90, 160, 3), np.uint8), seconds, 2.0)
    assert np.unravel_index(shown.sum(axis=2).argmax(), (90, 160)) == (45, 120)
    assert shown[10, 10].max() == 0


def test_a_stimulus_with_wide_pixels_is_seen_wide(tmp_path):
    path = write_film(tmp_path / "film.mp4", 120, 120)
    assert stimulus_size(path) == (120, 120)
    target = tmp_path / "drawn.mp4"
    assert draw_over(path, target, lambda _t, picture: picture) == len(PTS_MS)
    assert sorted(tmp_path.iterdir()) == [target, path]
