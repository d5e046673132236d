"""Pro Lab's exports: all its spellings give the same session, and what is wrong with a file is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_schema.errors import DataImportError, RecordingError, UsageError
from data_schema.importers import Codes, ImportOptions, plan_import, survey_files
from data_schema.session import markers, open_session
from data_schema.session.layout import GAZE, MARKERS, OPENNESS
from data_schema.session.validate import check_session
from data_schema.signals.fixations import find_eye_movements
from data_schema.signals.gaze import angle_between_deg, select_eye

from .tables import EYES, P001, make_study, prolab_header, prolab_rows, run_import, write_text

SHOWN = (("Joy 1", 12, 48), ("fear-1", 60, 100))


def gaze_of(path: Path) -> np.ndarray:
    with open_session(path) as session:
        return session.table(GAZE)[:]


def test_the_real_recording_arrives_sample_by_sample(tmp_path: Path, shared_data: Path) -> None:
    source = shared_data / "tobii_prolab_ivt" / "ivt_300Hz.tsv.gz"
    (one,) = run_import(make_study(tmp_path), "prolab", source)
    table = pd.read_csv(source, sep="\t", decimal=",", low_memory=False)
    table = table[table["Sensor"] == "Eye Tracker"]
    rows = gaze_of(one.path)
    assert one.n_samples == len(rows) == len(table) == 4860
    assert one.rate_hz == 300.0
    assert np.array_equal(rows["t_device_us"], table["Eyetracker timestamp [μs]"])
    assert np.abs(rows["t_system_us"] - table["Computer timestamp [ms]"] * 1000).max() <= 1000
    assert (np.diff(rows["t_system_us"]) > 3000).all()
    for eye in EYES:
        valid = (table[f"Validity {eye}"] == "Valid").to_numpy()
        assert np.array_equal(rows[f"{eye}_gaze_valid"] == 1, valid)
        for axis, name in enumerate("XY"):
            exported = table[f"Gaze point {eye} {name} [DACS mm]"].to_numpy(np.float32)
            # Rounded to 0.1 mm in the export; the directions beside it give more digits.
            stored = rows[f"{eye}_gaze_user_mm"][:, axis]
            assert np.allclose(stored, np.where(valid, exported, np.nan), rtol=0, atol=0.3, equal_nan=True)
            share = table[f"Gaze point {eye} {name} [DACS px]"] / (1920, 1080)[axis]
            assert np.array_equal(rows[f"{eye}_gaze_norm"][valid, axis], share.to_numpy(np.float32)[valid])
        for axis, name in enumerate("XYZ"):
            exported = table[f"Eye position {eye} {name} [DACS mm]"].to_numpy(np.float32)
            assert np.array_equal(
                rows[f"{eye}_origin_user_mm"][:, axis], np.where(valid, exported, np.nan), equal_nan=True
            )
        pupil = table[f"Pupil diameter {eye} [mm]"].to_numpy(np.float32)
        assert np.array_equal(rows[f"{eye}_pupil_mm"][valid], pupil[valid], equal_nan=True)
    with open_session(one.path) as session:
        assert not session.simulated
        assert session.trials() == []
        (device,) = session.devices
        openness = session.table(OPENNESS)[:]
    assert device["kind"] == "imported"
    assert device["details"]["software_version"] == "24.21.435"
    assert device["details"]["coordinates"].startswith("display area")
    assert len(device["details"]["file_sha256"]) == 64
    assert np.array_equal(
        openness["left_openness_mm"], table["Eye openness left [mm]"].to_numpy(np.float32), equal_nan=True
    )


def test_eye_movements_of_an_import_are_those_that_pro_lab_exported(tmp_path: Path, shared_data: Path) -> None:
    source = shared_data / "tobii_prolab_ivt" / "ivt_300Hz.tsv.gz"
    (one,) = run_import(make_study(tmp_path), "prolab", source)
    table = pd.read_csv(source, sep="\t", decimal=",", low_memory=False)
    words = table.loc[table["Sensor"] == "Eye Tracker", "Eye movement type"]
    tobii = words.map({"Unclassified": 0, "Fixation": 1, "Saccade": 2, "EyesNotFound": 3}).to_numpy()
    judged = np.isin(tobii, (1, 2))
    found = find_eye_movements(gaze_of(one.path)).kind
    assert (found == tobii)[judged].mean() >= 0.9995


def test_gaze_and_eyes_arrive_where_eye_movements_are_computed(tmp_path: Path, shared_data: Path) -> None:
    (one,) = run_import(make_study(tmp_path), "prolab", shared_data / "tobii_prolab_ivt" / "ivt_300Hz.tsv.gz")
    signal = select_eye(gaze_of(one.path))
    angle = angle_between_deg(signal.gaze_mm[:-6], signal.gaze_mm[6:], signal.eye_mm[3:-3])
    velocity = np.pad(angle / (signal.t_us[6:] - signal.t_us[:-6]) * 1e6, 3, constant_values=np.nan)
    table = pd.read_csv(shared_data / "tobii_prolab_ivt" / "ivt_300Hz.tsv.gz", sep="\t", decimal=",", low_memory=False)
    kinds = table.loc[table["Sensor"] == "Eye Tracker", "Eye movement type"].to_numpy()
    assert np.nanmedian(velocity[kinds == "Fixation"]) < 10 < 60 < np.nanmedian(velocity[kinds == "Saccade"])


@settings(max_examples=12)
@given(
    style=st.sampled_from(("new", "old")),
    time_unit=st.sampled_from(("μs", "ms")),
    decimal=st.sampled_from(".,"),
    encoding=st.sampled_from(("utf-8", "utf-8-sig", "utf-16", "utf-16-be-mark")),
    events=st.booleans(),
    rate_hz=st.sampled_from((60.0, 250.0, 1200.0)),
)
def test_every_spelling_gives_the_same_session(
    tmp_path_factory: pytest.TempPathFactory, style, time_unit, decimal, encoding, events, rate_hz
) -> None:
    folder = tmp_path_factory.mktemp("prolab")
    plain = write_text(folder / "plain.tsv", prolab_header(), prolab_rows(decimal=".", rate_hz=rate_hz, shown=SHOWN))
    rows = prolab_rows(decimal=decimal, rate_hz=rate_hz, shown=SHOWN, time_unit=time_unit, events=events)
    other = write_text(folder / "other.tsv", prolab_header(style, time_unit), rows, encoding)
    (first,) = run_import(make_study(folder / "a"), "prolab", plain)
    (second,) = run_import(make_study(folder / "b"), "prolab", other)
    expected, got = gaze_of(first.path), gaze_of(second.path)
    assert np.abs(got["t_system_us"] - expected["t_system_us"]).max() <= (0 if time_unit == "μs" else 1000)
    assert (np.diff(got["t_system_us"]) > 0).all()
    assert np.abs(np.diff(got["t_system_us"]) - np.diff(expected["t_system_us"])).max() <= (
        0 if time_unit == "μs" else 60
    )
    for name in GAZE.dtype.names or ():
        if name not in ("t_system_us", "t_received_us"):
            assert np.array_equal(got[name], expected[name], equal_nan=True), name
    with open_session(first.path) as a, open_session(second.path) as b:
        assert [trial.stimulus_id for trial in b.trials()] == ["joy-1", "fear-1"]
        for mine, theirs in zip(b.trials(), a.trials(), strict=True):
            assert abs(mine.t_onset_us - theirs.t_onset_us) <= 1000
            assert abs(mine.t_offset_us - theirs.t_offset_us) <= 1100
    assert not [finding for finding in check_session(second.path) if finding.level == "error"]


def test_nothing_that_names_a_person_or_a_day_is_in_the_session_file(tmp_path: Path) -> None:
    path = write_text(tmp_path / "Svensson.tsv", prolab_header(), prolab_rows(shown=SHOWN))
    (one,) = run_import(make_study(tmp_path / "study"), "prolab", path)
    content = one.path.read_bytes()
    for word in ("Anna", "Svensson", "Recording 7", "24.12.2025", "Joy 1"):
        assert word.encode() not in content
        assert word.encode("utf-16-le") not in content
    assert b"joy-1" in content


def test_trials_have_the_markers_that_clips_need(tmp_path: Path) -> None:
    from data_schema.clips.index import build_clip_index

    study = make_study(tmp_path / "study")
    rows = prolab_rows(n=240, shown=[("try.mp4", 0, 20), ("Joy 1", 30, 90), ("fear-1", 120, 999)], events=True)
    (one,) = run_import(study, "prolab", write_text(tmp_path / "x.tsv", prolab_header(), rows))
    with open_session(one.path) as session:
        assert [trial.trial_id for trial in session.trials()] == [1]
        assert session.cut_trials() == {2: "its end is not in the recording"}
        kinds = session.table(MARKERS).column("kind")
    assert kinds[-1] == markers.RECORDING_CLOSED
    table = build_clip_index(study)
    assert table["clip_id"].tolist() == ["sub-P001_ses-01_trial-001"]
    assert table["included"].all()
    assert not table["simulated"].any()
    onset, end = table.loc[0, ["t_start_us", "t_end_us"]]
    first = 5_000_000_000 + 10_000
    assert (onset, end) == (first + round(30e6 / 60), first + round(90e6 / 60))


@pytest.mark.parametrize("block", [1500, 1 << 20])
def test_several_recordings_become_several_sessions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    from data_schema.importers import text

    monkeypatch.setattr(text, "BLOCK_BYTES", block)
    rows = prolab_rows(n=50, shown=SHOWN)
    rows += prolab_rows(n=70, participant="Bo", recording="Recording 8", seed=1)
    rows += prolab_rows(n=60, participant="Bo", recording="Recording 9", seed=2)
    path = write_text(tmp_path / "all.tsv", prolab_header(), rows)
    study = make_study(tmp_path / "study")
    with pytest.raises(UsageError, match="3 recordings cannot all be participant P001.*--codes"):
        plan_import(study, "prolab", [path], P001)
    codes = tmp_path / "codes.csv"
    codes.write_text(
        "participant_name;recording_name;participant;session\nAnna Svensson;;P001;01\nBo;Recording 8;P002;01\nBo;Recording 9;P002;02\n",
        encoding="utf-8",
    )
    sessions = run_import(study, "prolab", path, options=ImportOptions(codes=Codes.read(codes)))
    assert [(one.path.stem, one.n_samples) for one in sessions] == [
        ("sub-P001_ses-01", 50),
        ("sub-P002_ses-01", 70),
        ("sub-P002_ses-02", 60),
    ]
    alone = run_import(
        make_study(tmp_path / "b"), "prolab",
        write_text(tmp_path / "bo.tsv", prolab_header(), prolab_rows(n=70, participant="Bo", seed=1)),
    )  # fmt: skip
    assert gaze_of(sessions[1].path).tobytes() == gaze_of(alone[0].path).tobytes()


def test_a_recording_without_a_code_is_told(tmp_path: Path) -> None:
    path = write_text(tmp_path / "x.tsv", prolab_header(), prolab_rows())
    study = make_study(tmp_path / "study")
    with pytest.raises(UsageError, match="--participant P001 --session 01"):
        plan_import(study, "prolab", [path], ImportOptions())
    codes = tmp_path / "codes.csv"
    codes.write_text("participant_name,participant,session\nBo,P001,01\n", encoding="utf-8")
    with pytest.raises(
        UsageError, match="no row for the recording with file = x.tsv, participant_name = Anna Svensson"
    ):
        plan_import(study, "prolab", [path], ImportOptions(codes=Codes.read(codes)))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = write_text(tmp_path / "x.tsv", prolab_header(), prolab_rows())
    study = make_study(tmp_path / "study")
    (one,) = run_import(study, "prolab", path)
    before = one.path.read_bytes()
    with pytest.raises(DataImportError, match="exists already, and a recording is never overwritten"):
        run_import(study, "prolab", path)
    assert run_import(study, "prolab", path, options=replace(P001, skip_existing=True)) == []
    assert one.path.read_bytes() == before


def test_a_file_that_breaks_while_it_is_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from data_schema.importers import text, write_sessions

    monkeypatch.setattr(text, "BLOCK_BYTES", 4096)
    path = write_text(tmp_path / "x.tsv", prolab_header(), prolab_rows(n=300))
    study = make_study(tmp_path / "study")
    planned = plan_import(study, "prolab", [path], P001)
    path.write_bytes(path.read_bytes()[:40_000] + b"\nrubbish\trubbish\n" + path.read_bytes()[40_000:])
    with pytest.raises(DataImportError, match="cells, but the header has"):
        write_sessions(study, planned, P001)
    assert not list(study.sessions_dir.rglob("*"))


def test_what_a_killed_import_left_is_cleared_away(tmp_path: Path) -> None:
    path = write_text(tmp_path / "x.tsv", prolab_header(), prolab_rows())
    study = make_study(tmp_path / "study")
    target = study.session_path("P001", "01")
    target.parent.mkdir(parents=True)
    (target.parent / f".{target.name}.0123abcd.partial").write_bytes(b"half")
    (target.parent / f".{target.name}.0123abcd.partial.lock").write_bytes(b"")
    run_import(study, "prolab", path)
    assert [one.name for one in target.parent.iterdir()] == [target.name]


def test_a_clock_of_the_tracker_that_was_set_back_moves_no_sample(tmp_path: Path) -> None:
    header, rows = prolab_header(time_unit="ms"), prolab_rows(time_unit="ms")
    place = next(number for number, name in enumerate(header) if name.startswith("Eyetracker timestamp"))
    for row in rows[len(rows) // 2 :]:
        if row[place]:
            row[place] = str(int(row[place]) - 700_000_000)
    (one,) = run_import(make_study(tmp_path / "s"), "prolab", write_text(tmp_path / "x.tsv", header, rows))
    times = gaze_of(one.path)["t_system_us"]
    true = 5_000_000_000 + 10_000 + np.round(np.arange(len(times)) * 1e6 / 60.0)
    # The file has milliseconds, cut off: nothing better is known of them, and nothing worse is made of them.
    assert np.abs(times - true).max() <= 1000


def test_a_screen_that_contradicts_the_study_is_told(tmp_path: Path) -> None:
    path = write_text(tmp_path / "x.tsv", prolab_header(), prolab_rows())
    study = make_study(tmp_path / "study", "[screen]\nwidth_px = 1280\nheight_px = 1024\n")
    with pytest.raises(DataImportError, match="1920x1080 px, but study.toml says 1280x1024.*Mend"):
        plan_import(study, "prolab", [path], P001)


def without(header: list[str], rows: list[list[str]], *names: str) -> tuple[list[str], list[list[str]]]:
    keep = [number for number, name in enumerate(header) if not name.startswith(names)]
    return [header[number] for number in keep], [[row[number] for number in keep] for row in rows]


def test_columns_that_are_not_there_stay_empty_and_are_named(tmp_path: Path) -> None:
    header, rows = without(
        prolab_header(), prolab_rows(), "Eye position", "Pupil", "Eyetracker", "Computer", "Sensor", "Eye openness"
    )  # fmt: skip
    (one,) = run_import(make_study(tmp_path / "s"), "prolab", write_text(tmp_path / "x.tsv", header, rows))
    got = gaze_of(one.path)
    assert len(got) == 120
    assert np.isnan(got["left_origin_user_mm"]).all()
    assert np.isnan(got["left_pupil_mm"]).all()
    assert not got["right_origin_valid"].any()
    assert got["t_system_us"][0] == 10_000
    assert np.array_equal(got["t_device_us"], got["t_system_us"])
    with open_session(one.path) as session:
        details = session.devices[0]["details"]
        assert len(session.table(OPENNESS)) == 0
    assert {"left_eye_x", "right_pupil", "device_time"} <= set(details["absent_columns"])
    assert any("no pupil" in note for note in one.notes)


def test_millimetres_stand_in_for_missing_pixels(tmp_path: Path) -> None:
    header, rows = prolab_header(), prolab_rows()
    keep = [n for n, name in enumerate(header) if not name.endswith("[DACS px]")]
    header, rows = [header[n] for n in keep], [[row[n] for n in keep] for row in rows]
    (one,) = run_import(make_study(tmp_path / "s"), "prolab", write_text(tmp_path / "x.tsv", header, rows))
    got = gaze_of(one.path)
    valid = got["left_gaze_valid"] == 1
    assert valid.sum() > 100
    assert np.allclose(got["left_gaze_norm"][valid], got["left_gaze_user_mm"][valid][:, :2] / (528.0, 297.0), atol=1e-6)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("Recording timestamp",), "missing: 'Recording timestamp'.*Data export"),
        (("Gaze point left X", "Gaze point left Y"), r"missing: 'Gaze point left X \[DACS px\]'.*Data export, tick"),
    ],
)
def test_a_missing_column_is_named_with_what_adds_it(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    header, rows = without(prolab_header(), prolab_rows(), *names)
    with pytest.raises(DataImportError, match=message):
        survey_files("prolab", [write_text(tmp_path / "x.tsv", header, rows)])


def test_the_mean_of_both_eyes_is_no_eye(tmp_path: Path) -> None:
    header, rows = without(prolab_header(), prolab_rows(), "Gaze point left", "Gaze point right")
    header[-1] = "Gaze point X [DACS px]"
    with pytest.raises(DataImportError, match=r"'Gaze point X \[DACS px\]' is the mean of both eyes"):
        survey_files("prolab", [write_text(tmp_path / "x.tsv", header, rows)])


def test_a_recording_without_an_eye_tracker_is_told(tmp_path: Path) -> None:
    rows = [row for row in prolab_rows() if row[2] != "Eye Tracker"]
    with pytest.raises(DataImportError, match="no row comes from an eye tracker. The column Sensor holds: Mouse"):
        survey_files("prolab", [write_text(tmp_path / "x.tsv", prolab_header(), rows)])


def test_rows_that_were_sorted_otherwise_are_told(tmp_path: Path) -> None:
    rows = prolab_rows(mouse_every=0)
    rows[50], rows[90] = rows[90], rows[50]
    with pytest.raises(DataImportError, match="line 53: the time goes back from"):
        survey_files("prolab", [write_text(tmp_path / "x.tsv", prolab_header(), rows)])


def test_a_sample_that_comes_twice_is_taken_once(tmp_path: Path) -> None:
    rows = prolab_rows(mouse_every=0)
    rows[40:40] = [rows[39]]
    (one,) = run_import(make_study(tmp_path / "s"), "prolab", write_text(tmp_path / "x.tsv", prolab_header(), rows))
    assert one.n_samples == 120
    assert "1 samples left out: the tracker's time stamp came twice" in one.notes


def test_stamps_that_a_spreadsheet_rounded_are_told(tmp_path: Path) -> None:
    rows = [[f"{float(row[0]):.1E}".replace(".", ","), *row[1:]] for row in prolab_rows(n=400)]
    with pytest.raises(DataImportError, match="have the time stamp of the sample before"):
        survey_files("prolab", [write_text(tmp_path / "x.tsv", prolab_header(), rows)])


def test_a_table_without_rows_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataImportError, match="a header and no rows"):
        survey_files("prolab", [write_text(tmp_path / "x.tsv", prolab_header(), [])])


def test_another_system_is_recognised(tmp_path: Path) -> None:
    path = write_text(tmp_path / "x.csv", ["system_time_stamp", "left_pupil_diameter"], [["1", "2"]], delimiter=",")
    with pytest.raises(DataImportError, match="no export of Tobii Pro Lab.*emer import csv"):
        survey_files("prolab", [path])


def test_two_columns_of_one_meaning_are_told(tmp_path: Path) -> None:
    header, rows = prolab_header(), prolab_rows(n=3)
    header[-1] = "pupil diameter left [mm]"
    with pytest.raises(DataImportError, match="2 columns mean the same"):
        survey_files("prolab", [write_text(tmp_path / "x.tsv", header, rows)])


def test_a_full_disk_leaves_nothing_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from data_schema.session.writer import SessionWriter

    def full(self: SessionWriter, force: bool = False) -> None:
        raise OSError(28, "No space left on device")

    path = write_text(tmp_path / "x.tsv", prolab_header(), prolab_rows())
    study = make_study(tmp_path / "study")
    monkeypatch.setattr(SessionWriter, "_flush", full)
    with pytest.raises(
        DataImportError, match="writing failed: .*No space left on device.*Nothing of it was left behind"
    ):
        run_import(study, "prolab", path)
    assert not list(study.sessions_dir.rglob("*"))


def test_a_full_disk_that_closing_meets_too_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from data_schema.session.writer import SessionWriter

    flush, release = SessionWriter._flush, SessionWriter._release

    def full(self: SessionWriter, force: bool = False) -> None:
        flush(self, force)
        if force:
            raise OSError(28, "No space left on device")

    def closing(self: SessionWriter) -> None:
        release(self)
        raise RecordingError(f"{self.path}: closing failed: (errno = 28). Run: emer repair {self.path}")

    path = write_text(tmp_path / "x.tsv", prolab_header(), prolab_rows())
    study = make_study(tmp_path / "study")
    monkeypatch.setattr(SessionWriter, "_flush", full)
    monkeypatch.setattr(SessionWriter, "_release", closing)
    with pytest.raises(DataImportError, match=r"writing failed: .*No space left on device\. Nothing of it was left"):
        run_import(study, "prolab", path)
    assert not list(study.sessions_dir.rglob("*"))


def test_a_discarded_session_gives_its_room_back_before_it_closes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from data_schema.session.writer import SessionWriter

    release = SessionWriter._release
    sizes: list[int] = []

    def closing(self: SessionWriter) -> None:
        sizes.append(self.path.stat().st_size)
        release(self)

    writer = SessionWriter.create(tmp_path / "x.h5", participant="P001", session="01", config_json="{}")
    monkeypatch.setattr(SessionWriter, "_release", closing)
    writer.discard()
    # HDF5 crashes when the process ends if it still cannot write what it kept.
    assert sizes == [0]
    assert not (tmp_path / "x.h5").exists()


@pytest.mark.parametrize(
    ("box", "said"), [((240, 0, 1440, 1080), False), ((0, 0, 1280, 720), True), ((0, 0, 1440, 1080), True)]
)
def test_media_that_did_not_fill_the_screen_are_noted(tmp_path: Path, box: tuple[int, ...], said: bool) -> None:
    names = ("Position X [DACS px]", "Position Y [DACS px]", "width [px]", "height [px]")
    header = prolab_header() + [f"Presented Media {name}" for name in names]
    rows = [row + [str(value) if row[-2] else "" for value in box] for row in prolab_rows(shown=SHOWN)]
    (one,) = run_import(make_study(tmp_path / "s"), "prolab", write_text(tmp_path / "x.tsv", header, rows))
    assert any("did not fill the screen" in note for note in one.notes) == said


@pytest.mark.parametrize(
    ("columns", "screen", "said"),
    [
        (
            (),
            "width_mm = 600.0\nheight_mm = 340.0",
            "528x297 mm, but study.toml says 1920x1080 px and 600x340 mm.*Mend",
        ),
        # Without a resolution in the file it could not be seen otherwise that pixels are those of another screen.
        (("Recording resolution",), "width_px = 2560\nheight_px = 1440", "704x396 mm, but .* 2560x1440 px and 528x297"),
        ((), "", ""),
    ],
)
def test_millimetres_that_contradict_the_screen_are_told(
    tmp_path: Path, columns: tuple[str, ...], screen: str, said: str
) -> None:
    header, rows = prolab_header(), prolab_rows(200)
    place = {name: number for number, name in enumerate(header)}
    for row in rows:
        for eye in ("left", "right"):
            for axis, scale in (("X", 528.0 / 1920.0), ("Y", 297.0 / 1080.0)):
                px = row[place[f"Gaze point {eye} {axis} [DACS px]"]]
                if px:
                    row[place[f"Gaze point {eye} {axis} [DACS mm]"]] = f"{int(px) * scale:.1f}".replace(".", ",")
    header, rows = without(header, rows, *columns) if columns else (header, rows)
    study = make_study(tmp_path / "study", f"[screen]\n{screen}\n")
    path = write_text(tmp_path / "x.tsv", header, rows)
    if said:
        with pytest.raises(DataImportError, match=said):
            run_import(study, "prolab", path)
        assert not list(study.root.rglob("*.h5*"))
    else:
        assert len(run_import(study, "prolab", path)) == 1
