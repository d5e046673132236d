from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from annotation.bundle import BundleSource, study_identity
from annotation.identity import plain_code
from annotation.items import Block
from annotation.sources.study import StudySource
from data_schema.errors import LabelError, MediaError
from data_schema.labels import Label
from data_schema.study import StudyFolder

from ..labelled_study import burnt_number


@pytest.mark.parametrize("task", ["fer", "er"])
def test_a_bundle_shows_what_the_study_shows(
    task: str, bundle_copy: Callable[[str], Path], home_source: Callable[[str], StudySource]
) -> None:
    """Frame by frame, on the same time line: face, stimulus and eyes."""
    home, sent = home_source(task), BundleSource(bundle_copy(task))
    assert [item.block for item in sent.items()] == [item.block for item in home.items()]
    assert [item.position for item in sent.items()] == [*range(len(home.items()))]
    for at_home, away in [*zip(home.items(), sent.items(), strict=True)][::2]:
        ours, theirs = home.open_face(at_home), sent.open_face(away)
        assert theirs.times_us.tolist() == ours.times_us.tolist()
        numbers = [burnt_number(theirs.frame(index)) for index in range(len(theirs))]
        assert numbers == [ours.identity(index).frame_index for index in range(len(ours))]
        assert [theirs.index_at(int(time)) for time in ours.times_us] == [*range(len(ours))]
        assert theirs.group_starts[0] <= 0 and theirs.identity(0).frame_pts == theirs.pts[0]
        with pytest.raises(IndexError):
            theirs.frame(-1)
        ours.close()
        theirs.close()
        if task == "fer":
            assert sent.open_stimulus(away) is None and sent.eyes(away) is None
            continue
        ours_seen, theirs_seen = home.open_stimulus(at_home), sent.open_stimulus(away)
        assert ours_seen is not None and theirs_seen is not None
        for time_us in range(0, 900_000, 50_000):
            shown = burnt_number(theirs_seen.frames.frame(theirs_seen.frame_at(time_us + 2)))
            assert shown in {ours_seen.frame_at(time_us), ours_seen.frame_at(time_us + 3)}
        ours_seen.frames.close()
        theirs_seen.frames.close()
        ours_eyes, theirs_eyes = home.eyes(at_home), sent.eyes(away)
        assert ours_eyes is not None and theirs_eyes is not None
        assert np.abs(theirs_eyes.gaze_t_us - ours_eyes.gaze_t_us).max() <= 1
        for name in ("gaze_norm", "velocity_deg_s", "pupil_mm", "fixations", "fixation_map"):
            np.testing.assert_allclose(getattr(theirs_eyes, name), getattr(ours_eyes, name), rtol=3e-7)
    home.close()
    sent.close()


def test_the_main_part_opens_with_the_labs_code_once(
    bundle_copy: Callable[[str], Path], shared_study: StudyFolder
) -> None:
    bundle = bundle_copy("fer")
    code = study_identity(shared_study).admission_code("a01", "fer")
    source = BundleSource(bundle)
    with source.open_store():
        assert source.locked and source.admission({}) is None
        for wrong in ("", "AAAA-AAAA", study_identity(shared_study).admission_code("a01", "er")):
            assert not source.unlock(wrong)
        assert source.admission({}) is None
        assert source.unlock(f" {code.lower().replace('-', ' ')}\n")
        assert source.admission({}) is True and not source.locked
    again = BundleSource(bundle)
    assert again.locked
    with again.open_store():
        assert again.admission({}) is True, "the code is kept with the labels"
    everything = b"".join(
        path.read_bytes() for path in bundle.rglob("*") if path.is_file() and "labels" not in path.parts
    )
    assert code.encode() not in everything and plain_code(code).encode() not in everything


def test_a_bundle_that_cannot_be_written_to_keeps_its_labels_elsewhere(
    bundle_copy: Callable[[str], Path], tmp_path: Path
) -> None:
    bundle = bundle_copy("fer")
    # A file in the folder's place: making it fails, also for root, whom no missing right stops.
    (bundle / "labels").write_bytes(b"")
    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    with pytest.raises(LabelError, match="--labels my-labels.sqlite"):
        BundleSource(bundle).open_store()
    source = BundleSource(bundle, labels=tmp_path / "stick" / "mine.sqlite")
    with source.open_store() as store:
        item = source.items()[0]
        store.add(Label(item.clip_id, item.clip_sha256, "fer", emotion="fear"))
    assert (tmp_path / "stick" / "mine.sqlite").is_file()
    assert {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_video_that_is_not_the_one_sent_is_refused_and_the_others_play(
    bundle_copy: Callable[[str], Path], damage: str
) -> None:
    bundle = bundle_copy("fer")
    source = BundleSource(bundle)
    first, second = source.items()[:2]
    path = bundle / "face" / f"{first.clip_id}.mp4"
    path.unlink()
    if damage == "changed":
        path.write_bytes((bundle / "face" / f"{second.clip_id}.mp4").read_bytes())
    with pytest.raises(MediaError, match="Copy the bundle again"):
        source.open_face(first)
    frames = source.open_face(second)
    assert burnt_number(frames.frame(0)) >= 0
    frames.close()


def test_only_the_training_block_has_answers(bundle_copy: Callable[[str], Path]) -> None:
    source = BundleSource(bundle_copy("er"))
    assert [source.gold(item) is not None for item in source.items()] == [
        item.block is Block.TRAINING for item in source.items()
    ]
    assert all(source.guess(item) is None for item in source.items())


@pytest.mark.parametrize("wrong", [{"annotator_id": "colleague"}, {"task": "er"}])
def test_another_annotators_bundle_or_pass_is_refused(
    bundle_copy: Callable[[str], Path], wrong: dict[str, str]
) -> None:
    with pytest.raises(LabelError, match="this bundle is for"):
        BundleSource(bundle_copy("fer"), **wrong)
