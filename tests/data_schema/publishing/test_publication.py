"""What leaves a study, and what does not."""

from __future__ import annotations

import itertools
import json
import os
import stat
from datetime import date

import av
import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_schema.cli import main
from data_schema.clips.index import build_clip_index
from data_schema.errors import ExportError
from data_schema.labels import Judged, Label, LabelStore, Mark
from data_schema.publishing import open_publication, publishing
from data_schema.publishing.consent import FACE_LEVELS, most_restrictive, permission
from data_schema.publishing.dates import draw_shift, shifted
from data_schema.publishing.facts import binned_age, withhold_rare
from data_schema.publishing.folder import CHECKSUMS_NAME, MARKER_NAME, verify_publication
from data_schema.publishing.pseudonyms import load_pseudonyms, pseudonyms_path
from data_schema.session import markers
from data_schema.session.layout import ANCHORS, FLIPS, GAZE, MARKERS, PRESENTATIONS, TABLES
from data_schema.session.reader import open_session
from data_schema.signals.faces import MtcnnDetector
from tests.data_schema.publishing.planting import add_marker, set_consent, set_facts
from tests.data_schema.studies import add_face_session, add_session, label_all, make_study, read_frames

ALL = {"gaze": True, "video": True, "sharing": True, "face_sharing": True}
NOTE = "her brother waited outside in the corridor"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Four participants; P003 shares nothing, P004 no video, P001 also the face."""
    study = make_study(tmp_path_factory.mktemp("publication") / "study", 4, n_trials=2)
    for number, scopes in (
        (1, ALL),
        (2, {**ALL, "face_sharing": False}),
        (3, {**ALL, "sharing": False}),
        (4, {**ALL, "video": False}),
    ):
        path = study.session_path(f"P{number:03d}", "01")
        set_consent(path, **scopes)
        set_facts(
            path, age_years=20 + number, gender="f" if number < 4 else "m", note=f"{NOTE} {number}", handedness="right"
        )
        add_marker(path, markers.OPERATOR_NOTE, NOTE)
        add_marker(path, markers.STEP_STARTED, "welcome")
    label_all(study)
    clip = build_clip_index(study).iloc[0]
    with LabelStore.open(study.labels_dir / "sim-01.sqlite", "sim-01", "simulated") as store:
        about = {"clip_id": clip["clip_id"], "clip_sha256": clip["session_sha256"]}
        store.add(
            Label(**about, task="fer", view="face", emotion="fear", polarity="negative", comment=f"{NOTE}, I think")
        )
        judged = Judged(clip["clip_id"], clip["session_sha256"], "fer")
        (wrong,) = store.write([Mark(judged, "apex", 25, 25)])
        store.write([Mark(judged, "apex", 25, 25, removes=wrong)])
        store.write([Mark(judged, "apex", 20, 20), Mark(judged, "onset", 18, 18)])
    return study


def codes(study):
    return load_pseudonyms(pseudonyms_path(study)).participants


def settings(study, **changes):
    return study.config.publish.model_copy(update=changes)


def test_who_did_not_agree_to_sharing_is_nowhere(study):
    publication = open_publication(study)
    hidden = codes(study)["P003"]
    assert len(publication.participants) == 3
    tables = (
        publication.participants,
        publication.clips,
        publication.responses,
        publication.labels,
        publication.targets,
    )
    for table in (*tables, publication.marks, publication.features):
        assert hidden not in table.to_csv()
    assert len(publication.clips) == 6
    assert {item.participant for item in publication.recordings} == set(codes(study).values()) - {hidden}
    assert ("participants", 1) in {(item.what, item.count) for item in publication.withheld}
    # The code of somebody who is not published must not be there either.
    assert "P003" in {item.text for item in publication.identifiers if item.kind == "participant"}


def test_nothing_of_the_study_is_in_any_table(study, tmp_path):
    publication = open_publication(study, force_faces="video")
    with publishing(tmp_path / "out", "csv", publication) as folder:
        for name in ("participants", "clips", "responses", "labels", "targets", "marks", "features"):
            getattr(publication, name).to_csv(folder / f"{name}.csv", index=False)
        for recording in publication.recordings:
            with recording.open() as session:
                for table in TABLES:
                    try:
                        session.table(table).to_csv(folder / f"{recording.name}_{table.path.replace('/', '-')}.csv")
                    except ExportError as error:
                        assert "stays in the study" in str(error)
                if recording.faces == "video":
                    session.write_face_video(folder / f"{recording.name}.mp4")
    assert len(list((tmp_path / "out").glob("*.mp4"))) == 1


@pytest.mark.parametrize("most", FACE_LEVELS)
def test_faces_leave_as_far_as_consent_and_study_allow(study, most):
    levels = {item.participant: item.faces for item in open_publication(study, force_faces=most).recordings}
    at_most = {"P001": "video", "P002": "landmarks", "P004": "none"}
    for name, allowed in at_most.items():
        assert levels[codes(study)[name]] == min(most, allowed, key=FACE_LEVELS.index)


def test_what_goes_beyond_consent_is_refused(study, tmp_path):
    by_code = {item.participant: item for item in open_publication(study, force_faces="video").recordings}
    with by_code[codes(study)["P002"]].open() as session:
        assert set(session.landmarks()["clip_id"]) == set(by_code[codes(study)["P002"]].clip_ids)
        with pytest.raises(ExportError, match=r"face video may not leave.*at most 'landmarks'"):
            session.write_face_video(tmp_path / "a.mp4")
    with (
        by_code[codes(study)["P004"]].open() as session,
        pytest.raises(ExportError, match="landmarks of the face may not"),
    ):
        session.landmarks()
    assert not list(tmp_path.iterdir())


def test_without_consent_to_video_no_feature_speaks_of_the_face(study):
    publication = open_publication(study, force_faces="features")
    features = publication.features.set_index("clip_id")
    columns = [name for name in features.columns if name.startswith(("face_", "head_"))]
    of = {name: features[features.index.str.startswith(f"sub-{codes(study)[name]}_")] for name in ("P001", "P004")}
    assert of["P004"][columns].isna().all().all()
    assert of["P001"]["face_found_share"].notna().all()
    assert of["P004"]["gaze_x_mean"].notna().all()


def test_a_face_that_may_be_seen_covered_is_covered(study, tmp_path):
    publication = open_publication(study, force_faces="blurred")
    recording = next(item for item in publication.recordings if item.faces == "blurred")
    with recording.open() as session:
        session.write_face_video(tmp_path / "a.mp4")
        session.write_face_video(tmp_path / "b.mp4")
        times = session.frame_times_us
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    with av.open(str(tmp_path / "a.mp4")) as video:
        frames = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in video.decode(video=0)]
    assert len(frames) == len(times)
    # The synthetic picture shows no face, so nobody knows where it would be: all is grey.
    assert all(np.ptp(picture.astype(int)) <= 4 for _, picture in frames)
    assert np.allclose([time for time, _ in frames], (times - times[0]) / 1e6, atol=1e-4)


def test_a_real_face_is_covered_in_every_frame_and_the_room_is_not(tmp_path, shared_data):
    study = make_study(tmp_path / "study", 0, more="[quality]\nmax_gaze_loss = 1\n")
    frames = read_frames(shared_data / "face_video" / "single_face.mp4")
    set_consent(add_face_session(study, "P001", frames, n_trials=1), **ALL)
    build_clip_index(study)
    (recording,) = open_publication(study, force_faces="blurred").recordings
    with recording.open() as session:
        session.write_face_video(tmp_path / "covered.mp4")
    covered = read_frames(tmp_path / "covered.mp4")
    grey = np.array([(np.abs(picture.astype(int) - 128).max(axis=2) < 6).mean() for picture in covered])
    # Half a second before the clip and after it nobody looked for the face: all is covered there.
    assert (grey[:15] > 0.99).all()
    assert (grey[-14:] > 0.99).all()
    assert (grey[20:70] < 0.6).all()
    detector = MtcnnDetector()
    assert all(detector.detect(picture) for picture in frames[:72:12])
    assert not any(detector.detect(picture) for picture in covered[::6])


def test_times_count_from_the_recording_s_own_start(study):
    for recording in open_publication(study).recordings:
        with recording.open() as session, open_session(recording._path) as own:
            (rows, *_) = list(session.gaze(50))
            assert len(rows) == 50
            assert rows["t_system_us"][0] == 0
            assert rows["t_device_us"][0] == 0
            before = own.table(GAZE)[:50]
            for name in ("t_system_us", "t_device_us", "t_received_us"):
                assert np.array_equal(np.diff(rows[name]), np.diff(before[name]))
            shift = int(before["t_system_us"][0])
            assert np.array_equal(rows["t_received_us"], before["t_received_us"] - shift)
            for table, name in ((FLIPS, "t_flip_us"), (PRESENTATIONS, "t_onset_us")):
                assert np.array_equal(session.table(table)[name], own.table(table)[:][name] - shift)
            with pytest.raises(ExportError, match="stays in the study"):
                session.table(ANCHORS)


def test_clips_answers_and_marks_share_that_clock(study):
    publication = open_publication(study)
    recording = next(item for item in publication.recordings if item.participant == codes(study)["P001"])
    with recording.open() as session:
        shown = session.table(PRESENTATIONS)
        frames = session.frame_times_us
    clips = publication.clips[publication.clips["participant"] == recording.participant]
    assert np.allclose(clips["t_start_s"] * 1e6, shown["t_onset_us"], atol=0.01)
    marks = publication.marks.set_index("kind")["t_s"]
    assert marks["apex"] * 1e6 == pytest.approx(frames[20])
    assert marks["onset"] * 1e6 == pytest.approx(frames[18])
    answers = publication.responses[publication.responses["participant"] == recording.participant]
    assert (answers["t_s"].to_numpy() * 1e6 > shown["t_offset_us"].iloc[0]).all()


def test_words_of_people_are_held_back_or_included(study):
    publication = open_publication(study)
    assert "text" not in publication.responses
    assert "comment" not in publication.labels
    assert any(NOTE in item.text for item in publication.identifiers if item.kind == "text")
    with publication.recordings[0].open() as session:
        said = session.table("/events/markers").set_index("kind")["message"]
        assert said[markers.OPERATOR_NOTE] == ""
        assert said[markers.STEP_STARTED] == "welcome"
    included = open_publication(study, settings(study, free_text="include"))
    assert f"{NOTE}, I think" in set(included.labels["comment"])
    assert included.responses["text"].str.startswith("synthetic words").any()
    assert not [item for item in included.identifiers if item.kind == "text"]


def test_annotators_get_codes_of_their_own(study):
    publication = open_publication(study)
    known = load_pseudonyms(pseudonyms_path(study)).annotators
    assert set(known) == {"sim-01", "sim-02"}
    of_annotators = publication.labels[publication.labels["source"] == "annotator"]
    assert set(of_annotators["annotator_id"]) == set(known.values())
    own = publication.labels[publication.labels["source"] == "self_report"]
    assert (own["annotator_id"] == own["clip_id"].str[4:9]).all()
    assert set(publication.marks["annotator_id"]) == {known["sim-01"]}


def test_published_codes_are_frozen_and_a_newcomer_moves_nobody(tmp_path):
    study = make_study(tmp_path / "study", 3, n_trials=1, with_video=False, more="[quality]\nmin_frames_share = 0\n")
    build_clip_index(study)
    first = open_publication(study)
    before = codes(study)
    assert len(set(before.values())) == 3
    content = pseudonyms_path(study).read_bytes()
    assert open_publication(study).clips.equals(first.clips)
    assert pseudonyms_path(study).read_bytes() == content
    add_session(study, "A000", n_trials=1, with_video=False)
    build_clip_index(study)
    open_publication(study)
    after = codes(study)
    assert {name: after[name] for name in before} == before
    assert after["A000"] not in before.values()
    if os.name != "nt":
        assert stat.S_IMODE(pseudonyms_path(study).stat().st_mode) == 0o600
    pseudonyms_path(study).write_text(
        json.dumps({"version": 1, "participants": {"a": "X2", "b": "X2"}, "annotators": {}, "shifts_days": {}})
    )
    with pytest.raises(ExportError, match="used twice"):
        open_publication(study)


def test_the_order_of_codes_says_nothing_of_the_order_of_recording(tmp_path):
    from data_schema.publishing.pseudonyms import frozen_pseudonyms

    study = make_study(tmp_path / "study", 0)
    names = [f"P{number:03d}" for number in range(60)]
    drawn = frozen_pseudonyms(study, names, ["a01"]).participants
    in_order = [drawn[name] for name in names]
    rising = sum(a < b for a, b in itertools.pairwise(in_order))
    # 59 fair coins: outside of this once in ten million times.
    assert 9 < rising < 50


def test_the_study_s_own_codes_can_be_kept(study):
    publication = open_publication(study, settings(study, pseudonyms="keep"))
    assert list(publication.participants["participant"]) == ["P001", "P002", "P004"]
    assert {item.text for item in publication.identifiers if item.kind == "participant"} == {"P003"}


def test_dates_are_dropped_or_shifted_alike_within_a_participant(tmp_path):
    study = make_study(tmp_path / "study", 2, n_trials=1, with_video=False, more="[quality]\nmin_frames_share = 0\n")
    add_session(study, "P001", "02", n_trials=1, with_video=False)
    build_clip_index(study)
    publication = open_publication(study)
    assert {item.acquired for item in publication.recordings} == {None}
    real = {item.text for item in publication.identifiers if item.kind == "date"}
    assert any(date.today().isoformat()[:7] in text for text in real)
    moved = open_publication(study, settings(study, dates="shift"))
    days = {(item.participant, item.session): item.acquired for item in moved.recordings}
    code = codes(study)["P001"]
    assert days[code, "01"] == days[code, "02"] < date(1925, 1, 1)
    assert [item.acquired for item in open_publication(study, settings(study, dates="shift")).recordings] == [
        item.acquired for item in moved.recordings
    ]


@given(st.dates(date(1990, 1, 1), date(2044, 12, 31)), st.integers(0, 400))
def test_shifted_dates_lie_before_1925(day, later):
    shift = draw_shift()
    assert shifted(day, shift) < date(1925, 1, 1)


def test_no_recorded_consent_is_no_consent_unless_the_lab_has_it_elsewhere(tmp_path):
    study = make_study(tmp_path / "study", 3, n_trials=1)
    for path in study.session_files():
        set_consent(path)
    build_clip_index(study)
    with pytest.raises(ExportError, match=r'no consent is recorded \(3\).*consent = "elsewhere"'):
        open_publication(study)
    publication = open_publication(study, settings(study, consent="elsewhere", faces="video"))
    assert {item.faces for item in publication.recordings} == {"landmarks"}


def test_one_refusal_in_any_session_counts(tmp_path):
    study = make_study(tmp_path / "study", 2, n_trials=1)
    set_consent(add_session(study, "P001", "02", n_trials=1), **{**ALL, "sharing": False})
    build_clip_index(study)
    publication = open_publication(study)
    assert list(publication.participants["participant"]) == [codes(study)["P002"]]


def test_a_refusal_counts_in_a_file_that_is_not_published_and_nobody_knows_it_of_a_damaged_one(tmp_path):
    study = make_study(tmp_path / "study", 3, n_trials=1, with_video=False, more="[quality]\nmin_frames_share = 0\n")
    for number, name in enumerate(("P001", "P002")):
        add_session(study, name, "02", n_trials=1, with_video=False, seed=10 + number)
    cut_off, damaged = study.session_path("P001", "01"), study.session_path("P002", "01")
    set_consent(cut_off, **{**ALL, "sharing": False})
    with h5py.File(cut_off, "r+") as file:
        file[MARKERS.path].resize((len(file[MARKERS.path]) - 1,))
    damaged.write_bytes(damaged.read_bytes()[:2000])
    build_clip_index(study)
    publication = open_publication(study)
    assert publication.findings.unreadable == (cut_off.name, damaged.name)
    assert list(publication.participants["participant"]) == [codes(study)["P003"]]
    reasons = {item.why for item in publication.withheld if item.what == "participants"}
    assert reasons == {
        "the participant did not agree to sharing",
        "a session file cannot be read, and with it what the participant said there",
    }


def test_nobody_else_reads_what_was_not_searched_yet(study, tmp_path):
    with publishing(tmp_path / "out", "csv", open_publication(study)) as folder:
        if os.name != "nt":
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "a.csv").write_text("x\n", encoding="utf-8")
        mode = stat.S_IMODE(tmp_path.joinpath("out.partial", "a.csv").stat().st_mode)
    out = tmp_path / "out"
    assert out.stat().st_mtime == (out / "a.csv").stat().st_mtime
    if os.name != "nt":
        assert stat.S_IMODE(out.stat().st_mode) & mode == mode


@given(st.lists(st.dictionaries(st.sampled_from(list(ALL)), st.booleans()), max_size=4))
def test_more_answers_never_allow_more(answers):
    combined = most_restrictive(answers)
    whole = permission(combined, "video")
    for answer in answers:
        assert all(not granted or answer.get(scope, True) for scope, granted in combined.items())
    stricter = permission(most_restrictive([*answers, {"sharing": False}]), "video")
    assert not stricter.published
    no_video = permission(most_restrictive([*answers, {"video": False}]), "video")
    assert FACE_LEVELS.index(no_video.faces) == 0
    assert whole.published <= combined.get("sharing", False)


def test_small_groups_are_withheld(study):
    table = open_publication(study).participants
    # One man among three: his gender would single him out; and so would any combination of two.
    assert table["gender"].isna().all()
    assert set(table["age_years"]) == {"20"}
    everything = open_publication(study, settings(study, min_group=1, age_bin_years=1)).participants
    assert set(everything["age_years"]) == {"21", "22", "24"}
    assert set(everything["gender"]) == {"f", "m"}
    withheld = {item.what for item in open_publication(study).withheld}
    assert {"values of the fact gender", "values of the fact handedness", "values of the fact note"} <= withheld


@given(
    st.dictionaries(
        st.text("abcdefgh", min_size=1, max_size=3),
        st.fixed_dictionaries({"x": st.sampled_from("123"), "y": st.sampled_from("ab"), "z": st.sampled_from("pq")}),
        max_size=25,
    ),
    st.integers(1, 5),
)
def test_everybody_shares_what_is_shown_with_enough_others(facts, k):
    keys = ("x", "y", "z")
    kept, withheld = withhold_rare(facts, keys, k)
    rows = [tuple(own[key] for key in keys) for own in kept.values()]
    for row in rows:
        assert all(value is None for value in row) or rows.count(row) >= k
    assert sum(withheld.values()) == sum(value is None for row in rows for value in row)
    if k == 1:
        assert not withheld


def test_ages_are_binned():
    assert [binned_age(text, 5) for text in ("18", "20", "24", "25", "97", "x", "")] == [
        "15",
        "20",
        "20",
        "25",
        "90",
        "",
        "",
    ]


def test_labels_of_another_version_of_a_recording_are_taken_only_if_they_are_asked_for(tmp_path):
    study = make_study(tmp_path / "study", 3, n_trials=1)
    label_all(study)
    add_marker(study.session_path("P001", "01"), markers.OPERATOR_MARK, "")
    build_clip_index(study)
    with pytest.raises(ExportError, match="--accept-changed-recordings"):
        _ = open_publication(study).labels
    assert (open_publication(study, accept_changed=True).labels["source"] == "annotator").sum() == 12
    out = study.exports_dir / "csv"
    assert main(["export", "csv", str(study.root), str(out)]) == 1
    assert main(["export", "csv", str(study.root), str(out), "--accept-changed-recordings"]) == 0


def test_a_recording_that_changed_since_the_index_is_refused(tmp_path):
    study = make_study(tmp_path / "study", 3, n_trials=1)
    build_clip_index(study)
    add_marker(study.session_path("P001", "01"), markers.OPERATOR_NOTE, "afterwards")
    with pytest.raises(ExportError, match="sub-P001_ses-01.h5.*emer clips"):
        open_publication(study)


def test_a_finished_publication_is_marked_summed_and_the_same_each_time(study, tmp_path):
    publication = open_publication(study)
    for name in ("a", "b"):
        with publishing(tmp_path / name, "csv", publication) as folder:
            (folder / "deep").mkdir()
            publication.clips.to_csv(folder / "deep" / "clips.csv", index=False)
        publication = open_publication(study)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert [path.as_posix() for path in files] == [CHECKSUMS_NAME, "deep/clips.csv", MARKER_NAME]
    for path in files:
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()
        assert (tmp_path / "a" / path).stat().st_mtime == 315_619_200
    assert verify_publication(tmp_path / "a") == []
    (tmp_path / "a" / "deep" / "clips.csv").write_text("x")
    (tmp_path / "a" / "more.txt").write_text("x")
    assert verify_publication(tmp_path / "a") == ["deep/clips.csv has changed", "more.txt is not listed"]
    with pytest.raises(ExportError, match=r"more\.txt"), publishing(tmp_path / "a", "csv", publication, force=True):
        pass
    (tmp_path / "a" / "more.txt").unlink()
    with pytest.raises(ExportError, match="--force"), publishing(tmp_path / "a", "csv", publication):
        pass
    with pytest.raises(ExportError, match="kind 'csv'"), publishing(tmp_path / "a", "bids", publication, force=True):
        pass
    with publishing(tmp_path / "a", "csv", publication, force=True) as folder:
        (folder / "x.txt").write_text("x")
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted([CHECKSUMS_NAME, MARKER_NAME, "x.txt"])


@pytest.mark.parametrize("planted", ["sub-P001", "sim-01", NOTE, "STUDY", "DATE"])
def test_an_identifier_stops_the_export_and_nothing_is_left(study, tmp_path, planted):
    publication = open_publication(study)
    day = next(item.text for item in publication.identifiers if item.kind == "date" and item.text[4] == "-")
    text = {"STUDY": str(study.root.resolve()), "DATE": day}.get(planted, planted)
    with pytest.raises(ExportError, match=r"table\.tsv\.gz") as caught:
        with publishing(tmp_path / "out", "csv", publication) as folder:
            pd.DataFrame({"x": [text]}).to_csv(folder / "table.tsv.gz", sep="\t")
    assert "must not leave the study" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == [".out.lock"]


def test_what_cannot_be_searched_does_not_leave(study, tmp_path):
    with (
        pytest.raises(ExportError, match=r"could not be searched.*table\.parquet"),
        publishing(tmp_path / "out", "csv", open_publication(study)) as folder,
    ):
        (folder / "table.parquet").write_bytes(b"PAR1" + bytes(40) + b"PAR1")
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_a_failed_export_leaves_the_old_one(study, tmp_path):
    publication = open_publication(study)
    with publishing(tmp_path / "out", "csv", publication) as folder:
        (folder / "x.txt").write_text("old")
    with pytest.raises(RuntimeError), publishing(tmp_path / "out", "csv", publication, force=True) as folder:
        (folder / "x.txt").write_text("new")
        raise RuntimeError
    assert (tmp_path / "out" / "x.txt").read_text() == "old"
    assert not (tmp_path / "out.partial").exists()
