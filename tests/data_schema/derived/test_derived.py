from __future__ import annotations

import json
import os
import shutil
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from data_schema.cli import main
from data_schema.clips.index import build_clip_index
from data_schema.derived import (
    DerivedStore,
    SessionDeriver,
    clip_spans,
    derive_session,
    derive_tasks,
    derived_settings,
    open_derived,
    stale_clips,
)
from data_schema.derived import clips as derived_clips
from data_schema.errors import ConfigError, ExportError
from data_schema.session import open_session
from data_schema.signals.faces import FACE_FRAME_DTYPE
from data_schema.study.folder import StudyFolder

from ..studies import make_study


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Two sessions, their clip index, and all derived data."""
    study = make_study(tmp_path_factory.mktemp("derived") / "study", n_participants=2)
    index = build_clip_index(study)
    for task in derive_tasks(study, index).values():
        assert derive_session(task).n_computed == 2
    return study


@pytest.fixture
def study(built, tmp_path) -> StudyFolder:
    shutil.copytree(built.root, tmp_path / "study")
    return StudyFolder(tmp_path / "study")


def tasks_of(study: StudyFolder):
    return derive_tasks(StudyFolder(study.root), build_clip_index(study))


def set_config(study: StudyFolder, text: str) -> None:
    content = study.config_path.read_text(encoding="utf-8")
    study.config_path.write_text(content.replace("[folds]", f"{text}\n[folds]"), encoding="utf-8")


def same_array(first, second) -> None:
    """Compare two arrays byte by byte: NaN in a column of a row equals NaN."""
    if isinstance(first, np.ndarray):
        assert (first.dtype, first.shape) == (second.dtype, second.shape)
        assert first.tobytes() == second.tobytes()
    else:
        assert first == second


def same(first, second) -> None:
    """Compare two dataclasses of arrays."""
    for item in fields(first):
        a, b = getattr(first, item.name), getattr(second, item.name)
        same(a, b) if is_dataclass(a) else same_array(a, b)


def test_what_is_stored_is_what_was_computed(study, tmp_path):
    (task, *_) = tasks_of(study).values()
    with open_session(task.session_path) as session:
        with DerivedStore(tmp_path / "new.h5", task.session_sha256) as store:
            computed = SessionDeriver(session, task.settings, store).clip(task.clips[0])
        assert computed.computed == ("eye", "faces", "features")
        with DerivedStore(tmp_path / "new.h5", task.session_sha256) as store:
            read = SessionDeriver(session, task.settings, store).clip(task.clips[0])
    assert read.computed == ()
    same(computed.eye, read.eye)
    same(computed.features, read.features)
    same_array(computed.faces, read.faces)
    assert computed.baseline == read.baseline
    assert computed.faces.dtype == FACE_FRAME_DTYPE
    assert len(computed.eye.movements.fixations) > 0
    assert computed.features.mask.any()


def test_unchanged_sessions_are_not_touched(study, monkeypatch):
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in study.derived_dir.glob("*.h5")}
    assert len(before) == 2
    monkeypatch.setattr(derived_clips, "clip_eyes", lambda *_: pytest.fail("computed again"))
    for task in tasks_of(study).values():
        assert derive_session(task).n_computed == 0
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in before} == before
    assert stale_clips(study, build_clip_index(study)) == []


@pytest.mark.parametrize(
    ("section", "parts"),
    [
        ("[eye_movements]\nvelocity_threshold_deg_s = 40.0", {"eye", "features"}),
        ("[blinks]\nmax_ms = 500.0", {"eye", "features"}),
        ("[pupil]\nbaseline_s = 0.4", {"eye", "features"}),
        ("[faces]\nredetect_s = 0.5", {"faces", "features"}),
        ("[faces]\nrate_hz = 12.0", {"faces", "features"}),
        ("[faces]\nlight = 'equalise'", set()),
        ("[export]\neye_chunks = 16", set()),
    ],
)
def test_only_what_a_setting_touches_is_out_of_date(study, section, parts):
    set_config(study, section)
    (task, *_) = tasks_of(study).values()
    with open_session(task.session_path) as session, DerivedStore(Path(task.target), task.session_sha256) as store:
        deriver = SessionDeriver(session, task.settings, store)
        assert set(deriver.complete(task.clips[0])) == parts
        deriver.close()


def test_every_setting_of_a_signal_reaches_it(study):
    """A key of study.toml that does nothing would be a lie: each changes the key of what it decides."""
    config = study.config
    before = derived_settings(config)
    for name in ("eye_movements", "blinks", "pupil"):
        section = getattr(config, name)
        for key, value in section.model_dump().items():
            others = {"average": "left", "median": "none", "off": "regress"}
            if isinstance(value, bool):
                other: object = not value
            else:
                other = others[value] if isinstance(value, str) else value + 2
            changed = config.model_copy(update={name: section.model_copy(update={key: other})})
            assert derived_settings(changed).eye_json() != before.eye_json(), f"[{name}] {key} does nothing"


def test_the_light_of_the_stimulus_is_taken_out_where_the_study_wants_it(study):
    light_free = {}
    for luminance in ("off", "regress"):
        config = study.config.model_copy(
            update={"pupil": study.config.pupil.model_copy(update={"luminance": luminance})}
        )
        (task, *_) = derive_tasks(study.with_config(config), build_clip_index(study)).values()
        with open_session(task.session_path) as session, DerivedStore(Path(task.target), task.session_sha256) as store:
            eye, _ = SessionDeriver(session, task.settings, store).eye(task.clips[0])
        light_free[luminance] = eye.pupil_light_free_mm
    assert np.isnan(light_free["off"]).all()
    inside = eye.gaze.t_us >= task.clips[0].t_start_us
    assert np.isfinite(light_free["regress"][inside]).mean() > 0.5


def test_another_version_of_the_code_computes_again(study, monkeypatch):
    monkeypatch.setattr(derived_clips, "SIGNAL_VERSION", 1000)
    (task, *_) = tasks_of(study).values()
    assert derive_session(task).n_computed == 2
    with h5py.File(task.target) as file:
        eye = file[f"{task.clips[0].clip_id}/eye"]
        assert eye.attrs["code_version"] == 1000
        assert json.loads(eye.attrs["parameters_json"])["fixations"]["velocity_threshold_deg_s"] == 30.0
        assert eye.attrs["meaning"]


def test_a_changed_recording_is_refused_and_then_computed_again(study):
    tasks = tasks_of(study)
    (task, *_) = tasks.values()
    with h5py.File(task.session_path, "r+") as file:
        file.attrs["note"] = "changed"
    with pytest.raises(ExportError, match="has changed since the clip index was built"):
        derive_session(task)
    again = tasks_of(study)[Path(task.session_path).stem]
    assert derive_session(again).n_computed == 2


def test_links_that_lead_to_files_of_one_name_are_two_sessions(study, tmp_path):
    for path in study.session_files():
        elsewhere = tmp_path / "disk" / path.stem / "recording.h5"
        elsewhere.parent.mkdir(parents=True)
        path.rename(elsewhere)
        try:
            path.symlink_to(elsewhere)
        except OSError:
            pytest.skip("this system makes no links")
    tasks = tasks_of(study)
    assert sorted(tasks) == ["sub-P001_ses-01", "sub-P002_ses-01"]
    assert len({task.target for task in tasks.values()}) == 2
    assert all(derive_session(task).n_computed == 0 for task in tasks.values())


def test_what_a_killed_writer_left_goes_the_next_day(study):
    (task, *_) = tasks_of(study).values()
    target = Path(task.target)
    old, new = (target.with_name(f".{target.name}.{name}.partial") for name in ("0000", "1111"))
    old.write_bytes(b"half")
    new.write_bytes(b"half")
    yesterday = target.stat().st_mtime - 90_000
    os.utime(old, (yesterday, yesterday))
    target.unlink()
    derive_session(task)
    assert not old.exists()
    # It may be that of another process which is at work.
    assert new.exists()


def test_damaged_derived_data_are_made_anew(study, caplog):
    first, second = tasks_of(study).values()
    Path(first.target).write_bytes(b"no HDF5")
    with h5py.File(second.target, "r+") as file:
        del file[f"{second.clips[0].clip_id}/eye/movements"]
    assert derive_session(first).n_computed == 2
    # A part that lacks something is found when it is read.
    with (
        open_session(second.session_path) as session,
        DerivedStore(Path(second.target), second.session_sha256) as store,
    ):
        clip = SessionDeriver(session, second.settings, store).clip(second.clips[0])
    assert len(clip.eye.movements.kind) == len(clip.eye.gaze)
    assert "is damaged" in caplog.text


def test_two_writers_lose_nothing_of_each_other(study, tmp_path):
    """Each computes one clip while the other is at work; the file has both in the end."""
    (task, *_) = tasks_of(study).values()
    target = tmp_path / "derived" / "both.h5"
    with open_session(task.session_path) as session:
        with DerivedStore(target, task.session_sha256) as one:
            SessionDeriver(session, task.settings, one).clip(task.clips[0])
            with DerivedStore(target, task.session_sha256) as other:
                SessionDeriver(session, task.settings, other).clip(task.clips[1])
            assert not [path for path in target.parent.iterdir() if path.name.endswith("both.h5.partial")]
    with DerivedStore(target, task.session_sha256) as store, open_session(task.session_path) as session:
        deriver = SessionDeriver(session, task.settings, store)
        assert [deriver.clip(span).computed for span in task.clips] == [(), ()]
    assert [path.name for path in target.parent.iterdir() if path.suffix == ".partial"] == []


def test_what_was_computed_before_an_error_is_kept(study, tmp_path):
    (task, *_) = tasks_of(study).values()
    task = replace(task, target=str(tmp_path / "kept.h5"), clips=(task.clips[0], replace(task.clips[1], t_end_us=0)))
    with pytest.raises(ValueError, match="ends after it starts"):
        derive_session(task)
    with h5py.File(task.target) as file:
        assert {"eye", "faces", "features"} <= set(file[task.clips[0].clip_id])


def test_a_clip_by_its_name(study):
    index = build_clip_index(study)
    clip = open_derived(study, index["clip_id"][0])
    assert clip.span == clip_spans(index[:1])[0]
    assert clip.computed == ()
    with pytest.raises(ExportError, match="no clip 'x'"):
        open_derived(study, "x")


def test_a_model_file_that_is_not_there(study):
    set_config(study, "[faces]\ndetector = 'yunet'\nmodel_file = '/nowhere/yunet.onnx'")
    with pytest.raises(ConfigError, match="model_file = '/nowhere/yunet.onnx': there is no such file"):
        derived_settings(StudyFolder(study.root).config)


def test_the_verb_says_what_was_fresh_computed_and_failed(study, capsys):
    root = str(study.root)
    assert main(["signals", root, "--workers", "1"]) == 0
    assert "4 clips of 2 sessions: 4 fresh, 0 computed, 0 sessions failed" in capsys.readouterr().out
    shutil.rmtree(study.derived_dir)
    path = study.session_path("P001", "01")
    # The size and time are the same, so that only the session itself can tell.
    state = path.stat()
    with path.open("r+b") as file:
        file.seek(state.st_size // 2)
        file.write(b"\xff" * 64)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert main(["signals", root, "--workers", "1"]) == 1
    captured = capsys.readouterr()
    assert "4 clips of 2 sessions: 0 fresh, 2 computed, 1 session failed" in captured.out
    assert "computed: eye of 2 clips, faces of 2 clips, features of 2 clips" in captured.out
    assert "error: sub-P001_ses-01.h5" in captured.err
    assert "Traceback" not in captured.err
    assert not [path.name for path in study.derived_dir.iterdir() if path.suffix == ".partial"]


def test_faces_of_a_real_face(tmp_path, shared_data):
    from ..studies import add_face_session, read_frames

    study = make_study(tmp_path / "study", n_participants=0, more="[quality]\nmax_gaze_loss = 1.0")
    add_face_session(study, "P001", read_frames(shared_data / "face_video" / "single_face.mp4")[:60], n_trials=1)
    (task,) = tasks_of(study).values()
    with open_session(task.session_path) as session, DerivedStore(Path(task.target), task.session_sha256) as store:
        deriver = SessionDeriver(session, task.settings, store)
        first = deriver.clip(task.clips[0], n_crops=4)
        assert first.faces["found"].all()
        assert len(first.faces) == 10  # two seconds at 5 frames a second
        again = deriver.clip(task.clips[0], n_crops=4)
        deriver.close()
    # One pass, or landmarks first and crops later: the same pictures.
    assert "faces" in first.computed and again.computed == ()
    assert first.crops.mask.all()
    assert_array_equal(first.crops.faces, again.crops.faces)
    assert np.diff(first.crops.row).min() > 0
