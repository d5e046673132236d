"""A new study works at once, and a wrong path is said."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from data_schema.errors import ConfigError, StudyError, UsageError
from data_schema.session.synthetic import make_synthetic_session
from data_schema.study import StudyFolder, find_study, init_study
from data_schema.study.doctor import examine
from data_schema.study.status import study_status
from data_schema.wording import quoted


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    root = tmp_path_factory.mktemp("studies") / "mystudy"
    return init_study(root, title="Trial study", clips_per_emotion=1, clip_s=0.5)


def test_a_new_study_has_stimuli_that_play(study: StudyFolder) -> None:
    study.check_stimuli()
    assert len(study.config.stimuli) == 8
    assert len(study.config.trial_stimuli) == 7
    assert [stimulus.id for stimulus in study.config.practice_stimuli] == ["practice"]
    for stimulus in study.config.stimuli:
        with av.open(str(study.stimulus_path(stimulus))) as container:
            assert sum(1 for _ in container.decode(video=0)) == 15


def test_placeholders_have_a_quiet_tone_of_their_own(study: StudyFolder) -> None:
    pitches = set()
    for name in ("happiness-1", "anger-1"):
        with av.open(str(study.stimulus_path(name))) as container:
            sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
            rate = container.streams.audio[0].rate
        assert 0.005 < np.abs(sound).max() < 0.1
        assert len(sound) / rate == pytest.approx(0.5, abs=0.06)
        spectrum = np.abs(np.fft.rfft(sound))
        pitches.add(round(int(np.argmax(spectrum)) * rate / len(sound), -1))
    assert len(pitches) == 2


def test_practice_clips_count_nowhere(study: StudyFolder) -> None:
    assert study_status(study).n_stimuli == 7
    (finding,) = [finding for finding in examine(study.root) if finding.what == "study"]
    assert "7 stimuli" in finding.message


def test_nothing_is_overwritten(study: StudyFolder) -> None:
    before = study.config_path.read_bytes()
    with pytest.raises(StudyError, match="not empty"):
        init_study(study.root)
    assert study.config_path.read_bytes() == before


def test_bad_settings_leave_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        init_study(tmp_path / "new", settings={"camera": {"fps": -1}})
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_may_exist(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    assert init_study(tmp_path / "new", clips_per_emotion=1, clip_s=0.1, emotions=["fear"]).config.stimuli


def test_a_missing_stimulus_is_named_with_its_file(tmp_path: Path) -> None:
    study = init_study(tmp_path / "new", clips_per_emotion=1, clip_s=0.1, emotions=["fear", "anger"])
    (study.stimuli_dir / "fear-1.mp4").unlink()
    (study.stimuli_dir / "anger-1.mp4").unlink()
    with pytest.raises(StudyError) as caught:
        study.check_stimuli()
    assert "stimuli/fear-1.mp4" in str(caught.value)
    assert "stimuli/anger-1.mp4" in str(caught.value)
    with pytest.raises(StudyError, match="no \\[\\[stimuli\\]\\] has the id 'joy-1'"):
        study.stimulus_path("joy-1")


def test_session_paths_round_trip_and_bad_codes_are_refused(study: StudyFolder) -> None:
    path = study.session_path("P001", "01")
    assert path.relative_to(study.root).as_posix() == "sessions/sub-P001/ses-01/sub-P001_ses-01.h5"
    for code in ("Jane Doe", "../x", "", "P-1", "ä", "P001\n"):
        with pytest.raises(UsageError, match="letters and digits"):
            study.session_path(code, "01")


def test_the_study_is_found_from_inside(study: StudyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(study.stimuli_dir)
    assert find_study().root == study.root
    monkeypatch.chdir(study.root.parent)
    with pytest.raises(StudyError, match="emer init"):
        find_study()


def test_status_counts_sessions_and_says_what_to_do_next(tmp_path: Path) -> None:
    study = init_study(tmp_path / "new", clips_per_emotion=1, clip_s=0.1, emotions=["fear"])
    assert "emer record rehearse" in study_status(study).next_step
    make_synthetic_session(study.session_path("P001", "01"), n_trials=1, trial_s=0.3)
    make_synthetic_session(study.session_path("P002", "01"), participant="P002", n_trials=1, trial_s=0.3)
    study.session_path("P002", "01").write_bytes(b"")
    status = study_status(study)
    assert status.sessions == {"complete": 1, "unreadable": 1}
    assert status.n_participants == 1
    assert "emer check" in status.next_step


def test_doctor_says_what_is_wrong_with_a_study(study: StudyFolder, tmp_path: Path) -> None:
    assert not [finding for finding in examine(study.root) if finding.level == "error"]
    (tmp_path / "study.toml").write_text('[study]\ntitel = "x"\n', encoding="utf-8")
    (finding,) = [finding for finding in examine(tmp_path) if finding.level == "error"]
    assert "Did you mean 'title'?" in finding.message


def test_doctor_and_status_name_a_stimulus_that_does_not_play(tmp_path: Path) -> None:
    study = init_study(tmp_path / "new", clips_per_emotion=1, clip_s=0.1, emotions=["fear", "anger"])
    (study.stimuli_dir / "fear-1.mp4").write_text("no video", encoding="utf-8")
    (finding,) = [finding for finding in examine(study.root) if finding.level == "error"]
    assert "fear-1.mp4 is no video" in finding.message
    (study.stimuli_dir / "fear-1.mp4").unlink()
    assert "emer doctor" in study_status(study).next_step


def test_commands_for_a_path_with_spaces_can_be_typed(tmp_path: Path) -> None:
    root = tmp_path / "Studie Größe ä"
    init_study(root, clips_per_emotion=1, clip_s=0.1, emotions=["fear"])
    assert study_status(StudyFolder(root)).next_step.startswith(f'emer record rehearse "{root}" --participant')
    assert quoted("/a/b_c-1.0") == "/a/b_c-1.0"


def test_a_new_study_names_the_values_of_its_keys(study: StudyFolder) -> None:
    text = study.config_path.read_text(encoding="utf-8")
    for values in (
        "whole, last, apex",
        "video, blurred, landmarks, features, none",
        "emotion, polarity, valence, arousal",
    ):
        assert f"One of: {values}" in text or f"Some of: {values}" in text, values
