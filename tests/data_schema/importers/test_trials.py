"""What was shown when, and which stimulus of the study that was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from data_schema.errors import DataImportError, UsageError
from data_schema.importers import Codes, ImportOptions, ShownName, plan_import
from data_schema.importers.trials import StimulusNames, read_events, read_messages
from data_schema.session import open_session

from .tables import P001, make_study, prolab_header, prolab_rows, run_import, write_text


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("joy-1", "joy-1"), ("JOY 1.mp4", "joy-1"), ("joy 1", "joy-1"), ("joy 1.avi", "joy-1"), ("fear-1.mp4", "fear-1"),
        ("C:\\media\\Fear-1.mp4", "fear-1"), ("media/fear-1", "fear-1"), ("try", "try"), ("joy", None), ("", None),
    ],
)  # fmt: skip
def test_names_are_found_by_id_file_and_stem(tmp_path: Path, name: str, expected: str | None) -> None:
    found = StimulusNames(make_study(tmp_path).config, {}).stimulus(name)
    assert (found.id if found else None) == expected


def test_what_is_not_mapped_is_listed_with_the_next_step(tmp_path: Path) -> None:
    rows = prolab_rows(shown=[("Instructions", 0, 10), ("clip A", 20, 40), ("Joy 1", 50, 70)])
    path = write_text(tmp_path / "x.tsv", prolab_header(), rows)
    study = make_study(tmp_path / "s")
    with pytest.raises(
        DataImportError, match='Instructions\n  clip A\n.*joy-1, fear-1, try.*\n.*--stimulus "Instructions=ID"'
    ):
        plan_import(study, "prolab", [path], P001)
    with pytest.raises(UsageError, match="the study has no stimulus 'nothing'"):
        plan_import(study, "prolab", [path], replace(P001, stimuli={"clip A": "nothing"}))
    (one,) = run_import(study, "prolab", path, options=replace(P001, stimuli={"clip A": "fear-1", "Instructions": ""}))
    with open_session(one.path) as session:
        assert [trial.stimulus_id for trial in session.trials()] == ["fear-1", "joy-1"]
    skipping = replace(P001, skip_unmapped=True)
    (planned,) = plan_import(make_study(tmp_path / "t"), "prolab", [path], skipping)
    assert [trial.stimulus.id for trial in planned.trials] == ["joy-1"]
    assert planned.passed_over == ("Instructions", "clip A")


@pytest.mark.parametrize("suffix,factor", [("_us", 1_000_000), ("_ms", 1000), ("_s", 1), ("", 1000)])
def test_events_from_a_table_win_over_the_recording(tmp_path: Path, suffix: str, factor: int) -> None:
    path = write_text(tmp_path / "x.tsv", prolab_header(), prolab_rows(n=240, shown=[("Joy 1", 50, 70)]))
    events = tmp_path / "events.csv"
    events.write_text(
        f"stimulus;onset{suffix};offset{suffix}\nfear-1;{1 * factor};{2 * factor}\njoy-1;{3 * factor};\n",
        encoding="utf-8-sig",
    )
    (one,) = run_import(make_study(tmp_path / "s"), "prolab", path, options=replace(P001, events=events))
    with open_session(one.path) as session:
        (trial,) = session.trials()
        assert list(session.cut_trials()) == [2]
    assert (trial.stimulus_id, trial.t_onset_us, trial.duration_s) == ("fear-1", 5_001_000_000, 1.0)


def test_events_of_another_clock_are_told(tmp_path: Path) -> None:
    path = write_text(tmp_path / "x.tsv", prolab_header(), prolab_rows())
    events = tmp_path / "events.csv"
    events.write_text("stimulus,onset_s,offset_s\nfear-1,1000,2000\n", encoding="utf-8")
    with pytest.raises(
        DataImportError, match="begins at 1000.000 s.*between 0.010 and 1.993 s.*onset_us, onset_ms or onset_s"
    ):
        plan_import(make_study(tmp_path / "s"), "prolab", [path], replace(P001, events=events))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("onset,stimulus\n1,joy-1\n", "the column 'offset' is missing"),
        ("onset,offset\n1,2\n", "the column 'stimulus' is missing"),
        ("onset,offset,stimulus\n1,x,joy-1\n", "line 2, column 'offset': 'x' is no number"),
        ("onset,offset,stimulus\n5,2,joy-1\n", "line 2: the offset lies before the onset"),
        ("onset,offset,stimulus\n5,6\n", "line 2 has more or fewer cells"),
        ("onset,offset,stimulus\n", "has no rows"),
    ],
)
def test_a_broken_table_of_events_is_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "events.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataImportError, match=message):
        read_events(path, "ms")


def test_messages_give_onsets_and_offsets_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "messages.csv"
    path.write_text(
        'system_time_stamp,msg\n1,fix on\n2,fix off\n10,onset_im1.jpeg\n20,offset_im1.jpeg\n30,joy-1 onset\n40,"hello, you"\n50,onset_b\n',
        encoding="utf-8",
    )
    assert read_messages(path) == [ShownName("im1.jpeg", 10, 20), ShownName("joy-1", 30, 50), ShownName("b", 50, -1)]


def test_a_stimulus_that_was_left_before_its_end_was_not_completed(tmp_path: Path) -> None:
    from data_schema.session.synthetic import make_synthetic_session

    study = make_study(tmp_path / "s")
    study.stimuli_dir.mkdir()
    made = make_synthetic_session(tmp_path / "sub-X_ses-01.h5", n_trials=1)
    with open_session(made) as session:
        session.video.remux(study.stimuli_dir / "fear-1.mp4")
        file_s = len(session.video) / 30
    rows = prolab_rows(n=600, shown=[("fear-1", 10, 60), ("fear-1 ", 100, 100 + int(60 * file_s) + 2)])
    path = write_text(tmp_path / "x.tsv", prolab_header(), rows)
    (one,) = run_import(study, "prolab", path)
    with open_session(one.path) as session:
        assert [trial.completed for trial in session.trials()] == [False, True]


def test_events_of_several_recordings_are_told_apart(tmp_path: Path) -> None:
    files = [
        write_text(tmp_path / f"{name}.tsv", prolab_header(), prolab_rows(participant=name, recording="1"))
        for name in ("Anna", "Bo")
    ]
    events, codes = tmp_path / "events.csv", tmp_path / "codes.csv"
    events.write_text(
        "recording,onset_ms,offset_ms,stimulus\nAnna,500,900,joy-1\nBo.tsv,700,1100,fear-1\n", encoding="utf-8"
    )
    codes.write_text("file,participant,session\nAnna.tsv,P001,01\nBo.tsv,P002,01\n", encoding="utf-8")
    options = ImportOptions(codes=Codes.read(codes), events=events)
    sessions = run_import(make_study(tmp_path / "s"), "prolab", *files, options=options)
    found = []
    for one in sessions:
        with open_session(one.path) as session:
            found.append((session.participant, [trial.stimulus_id for trial in session.trials()]))
    assert found == [("P001", ["joy-1"]), ("P002", ["fear-1"])]
    events.write_text("onset_ms,offset_ms,stimulus\n500,900,joy-1\n", encoding="utf-8")
    with pytest.raises(UsageError, match="--events has no column 'recording'"):
        plan_import(make_study(tmp_path / "t"), "prolab", files, options)


def test_codes_must_be_codes(tmp_path: Path) -> None:
    codes = tmp_path / "codes.csv"
    codes.write_text("file,participant,session\na.tsv,Anna Svensson,01\n", encoding="utf-8")
    with pytest.raises(UsageError, match="participant code 'Anna Svensson' is not usable"):
        Codes.read(codes)
    codes.write_text("participant,session\nP001,01\n", encoding="utf-8")
    with pytest.raises(DataImportError, match="at least one of file, participant_name, recording_name"):
        Codes.read(codes)
