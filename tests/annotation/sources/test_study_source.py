"""Clips from the study folder: the right frames, nothing that the pass may not see, and no changed recording."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from annotation.items import Block
from annotation.sources.session_checks import CHECKS_NAME
from annotation.sources.study import StudySource
from data_schema.clips.index import build_clip_index, load_clip_index
from data_schema.errors import LabelError, MediaError
from data_schema.labels import Label
from data_schema.study import StudyFolder

from ..labelled_study import add_session, burnt_number, make_study, write_gold

GOLD_RULES = (
    'gold_file = "gold.csv"\ntraining_clips = 1\nadmission_clips = 2\nadmission_share = 0.5\nrepeats_share = 0.0\n'
)


@pytest.fixture
def er(video_study: StudyFolder) -> StudySource:
    return StudySource(video_study, "er", "a01")


def gold_study(root: Path) -> StudyFolder:
    study = make_study(root / "gold", annotation=GOLD_RULES)
    rows = [
        {"clip_id": f"sub-P001_ses-01_trial-00{n}", "task": "fer", "emotion": "fear", "explanation": f"why {n}"}
        for n in (1, 2, 3)
    ]
    write_gold(study, rows)
    return study


def test_faces_are_the_frames_of_the_clip(video_study: StudyFolder) -> None:
    source = StudySource(video_study, "fer", "a01")
    clips = load_clip_index(video_study).set_index("clip_id")
    assert {item.clip_id for item in source.items()} == set(clips.index)
    for item in source.items():
        frames = source.open_face(item)
        try:
            assert item.clip_sha256 == clips.loc[item.clip_id, "session_sha256"]
            assert len(frames) == clips.loc[item.clip_id, "n_face_frames"]
            for index in (0, len(frames) // 2, len(frames) - 1):
                assert burnt_number(frames.frame(index)) == frames.identity(index).frame_index
        finally:
            frames.close()


def test_the_fer_pass_has_no_stimulus_and_no_eyes(video_study: StudyFolder) -> None:
    source = StudySource(video_study, "fer", "a01")
    for item in source.items():
        assert source.open_stimulus(item) is None
        assert source.eyes(item) is None


def test_the_er_pass_shows_the_stimulus_that_stood_on_the_screen_and_the_eyes(er: StudySource) -> None:
    item = er.items()[0]
    track = er.open_stimulus(item)
    assert track is not None
    try:
        # 25 frames a second: half a second after the onset stands frame 12.
        assert burnt_number(track.frames.frame(track.frame_at(500_000))) == 12
    finally:
        track.frames.close()
    eyes = er.eyes(item)
    assert eyes is not None
    assert 0 <= eyes.gaze_t_us[0] < eyes.gaze_t_us[-1] < 1_000_000
    # A stimulus of 4:3 on a screen of 16:9.
    assert eyes.stimulus_box_norm == pytest.approx((0.125, 0.0, 0.75, 1.0))
    assert er.eyes(item) is eyes
    er.close()
    er.close()


def test_a_study_without_the_stimulus_files_still_shows_faces_and_eyes(er: StudySource) -> None:
    for stimulus in er.study.config.stimuli:
        (er.study.stimuli_dir / stimulus.file).unlink()
    item = er.items()[0]
    assert er.open_stimulus(item) is None
    assert er.eyes(item).stimulus_box_norm == (0.0, 0.0, 1.0, 1.0)
    er.open_face(item).close()


def test_a_session_that_changed_since_the_clip_table_is_refused_and_the_others_open(er: StudySource) -> None:
    for item in er.items():
        er.open_face(item).close()
    changed = er.study.session_path("P001", "01")
    with changed.open("ab") as stream:
        stream.write(b"\0")
    for item in er.items():
        if "P001" in item.clip_id:
            for call in (er.open_face, er.open_stimulus, er.eyes):
                with pytest.raises(MediaError, match=r"sub-P001_ses-01.h5: changed since .*emer clips"):
                    call(item)
        else:
            er.open_face(item).close()
    changed.unlink()
    with pytest.raises(MediaError, match="is not there"):
        er.open_face(next(item for item in er.items() if "P001" in item.clip_id))


def test_a_session_is_hashed_once_and_again_when_it_looks_different(er: StudySource) -> None:
    item = er.items()[0]
    er.open_face(item).close()
    noted = er.study.annotation_dir / CHECKS_NAME
    known = json.loads(noted.read_text(encoding="utf-8"))
    ((name, (size, changed_ns, sha256)),) = known.items()
    path = er.study.root / name
    assert (size, changed_ns, sha256) == (path.stat().st_size, path.stat().st_mtime_ns, item.clip_sha256)
    # What is noted is believed (a false note shows it) until the file's time changes.
    noted.write_text(json.dumps({name: [size, changed_ns, "0" * 64]}), encoding="utf-8")
    other = StudySource(er.study, "fer", "a01")
    with pytest.raises(MediaError, match="changed since"):
        other.open_face(next(one for one in other.items() if one.clip_id == item.clip_id))
    os.utime(path, ns=(changed_ns + 10**9, changed_ns + 10**9))
    other.open_face(next(one for one in other.items() if one.clip_id == item.clip_id)).close()
    noted.write_text("not json", encoding="utf-8")
    StudySource(er.study, "er", "a01").open_face(item).close()


def test_gold_answers_are_for_the_training_block_alone(tmp_path: Path) -> None:
    source = StudySource(gold_study(tmp_path), "fer", "a01")
    blocks = [item.block for item in source.items()]
    assert blocks == [Block.TRAINING, Block.ADMISSION, Block.ADMISSION, Block.MAIN, Block.MAIN, Block.MAIN]
    answers = [source.gold(item) for item in source.items()]
    assert answers[0].explanation == f"why {source.items()[0].clip_id[-1]}"
    assert answers[1:] == [None] * 5
    assert all(source.guess(item) is None for item in source.items())


def test_the_admission_test_counts_what_is_right(tmp_path: Path) -> None:
    source = StudySource(gold_study(tmp_path), "fer", "a01")
    first, second = (item.item_id for item in source.items() if item.block is Block.ADMISSION)
    assert source.admission({first: "fear", second: "fear"}) is True
    assert source.admission({first: "anger", second: "fear"}) is True
    assert source.admission({first: "fear"}) is True, "a skip counts as wrong, and half is enough"
    assert source.admission({first: "anger", second: "neutral"}) is False
    assert source.admission({}) is False
    assert source.unlock("AAAA-BBBB") is False
    er = StudySource(source.study, "er", "a01")
    assert er.admission({}) is True, "no test in this pass"
    (source.study.root / "gold.csv").write_text("clip_id;task\n", encoding="utf-8")
    with pytest.raises(LabelError, match="semicolons"):
        StudySource(source.study, "fer", "a01")
    StudySource(source.study, "er", "a01")


def test_labels_go_into_the_annotators_file_under_the_study_s_name(er: StudySource) -> None:
    item = er.items()[0]
    with er.open_store() as store:
        store.add(Label(item.clip_id, item.clip_sha256, "er", emotion="fear"))
    with StudySource(er.study, "er", "a01").open_store() as store:
        assert [row.key for row in store.current()] == [item.key]
    assert [path.name for path in er.study.label_files()] == ["a01.sqlite"]
    other = make_study(er.study.root / "other", n_participants=1, n_trials=1)
    other.labels_dir.mkdir()
    (other.labels_dir / "a01.sqlite").write_bytes((er.study.labels_dir / "a01.sqlite").read_bytes())
    with pytest.raises(LabelError, match="another study"):
        StudySource(other, "er", "a01").open_store()


def test_a_queue_goes_on_where_it_was_after_a_new_session(video_study: StudyFolder) -> None:
    before = StudySource(video_study, "fer", "a01").items()
    add_session(video_study, "P009", n_trials=2, trial_s=1.0, seed=9)
    build_clip_index(video_study)
    after = StudySource(video_study, "fer", "a01").items()
    assert after[: len(before)] == before
    assert {item.clip_id for item in after[len(before) :]} == {
        "sub-P009_ses-01_trial-001", "sub-P009_ses-01_trial-002",
    }  # fmt: skip


def test_opening_a_queue_waits_for_no_library_that_it_does_not_need(video_study: StudyFolder) -> None:
    StudySource(video_study, "fer", "a01").close()
    script = (
        "import sys; from annotation.sources.study import StudySource; from data_schema.study import StudyFolder;"
        "source = StudySource(StudyFolder(sys.argv[1]), 'fer', 'a01'); source.open_face(source.items()[0]).close();"
        "print([name for name in ('pandas', 'cv2', 'scipy', 'sklearn') if name in sys.modules])"
    )
    command = [sys.executable, "-c", script, str(video_study.root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
