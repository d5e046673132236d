"""The adjudicator's cases and desk, on real label files and real clips."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from annotation.adjudication.cases import Said, disagreement, find_cases
from annotation.adjudication.desk import AdjudicationDesk
from annotation.adjudication.source import case_source, study_cases
from annotation.desk.state import DRAFT, ITEM, NOTICE, Saving
from annotation.queue.assignments import extend_assignments
from annotation.status import clip_hashes
from data_schema.cli import main
from data_schema.clips.index import load_clip_index
from data_schema.errors import LabelError
from data_schema.labels import Judged, Label, LabelStore, Mark, consensus, read_labels, read_log
from data_schema.study import StudyFolder

from ..labelled_study import burnt_number, write_gold

#: What four raters say of the six clips, in the order of their names: agreed, split, a lone voice, a tie, a skip, agreed.
SPOKEN = {
    "a01": ["fear", "happiness", "anger", "fear", "sadness", "neutral"],
    "a02": ["fear", "sadness", "anger", "fear", "sadness", "neutral"],
    "a03": ["fear", "disgust", "anger", "surprise", "sadness", "neutral"],
    "a04": ["fear", "anger", "disgust", "surprise", None, "neutral"],
}


@pytest.fixture
def labelled(video_study: StudyFolder) -> StudyFolder:
    """Six real clips, labelled by four people in the FER pass; the last one flagged."""
    hashes = clip_hashes(video_study)
    clips = sorted(hashes)
    video_study.labels_dir.mkdir(exist_ok=True)
    for place, (name, spoken) in enumerate(SPOKEN.items()):
        with LabelStore.open(video_study.labels_dir / f"{name}.sqlite", name) as store:
            for clip, word in zip(clips, spoken, strict=True):
                said = {"emotion": word, "valence": 0.1 * place} if word else {"skip_reason": "no_face"}
                store.add(Label(clip, hashes[clip], "fer", comment=f"note of {name}" if place == 0 else "", **said))  # type: ignore[arg-type]
    with LabelStore.open(video_study.labels_dir / "a02.sqlite", "a02") as store:
        store.write([Mark(Judged(clips[5], hashes[clips[5]], "fer"), "flag", comment="odd")])
    return video_study


@pytest.fixture
def open_desk(labelled: StudyFolder) -> Iterator[Callable[[], AdjudicationDesk]]:
    desks: list[AdjudicationDesk] = []

    def open_it() -> AdjudicationDesk:
        cases = study_cases(labelled, "fer")
        desks.append(AdjudicationDesk(case_source(labelled, "fer", "e01", cases), cases))
        return desks[-1]

    yield open_it
    for desk in desks:
        desk.close()


def log_bytes(study: StudyFolder) -> dict[str, bytes]:
    return {name: (study.labels_dir / f"{name}.sqlite").read_bytes() for name in SPOKEN}


def test_nobody_decides_on_what_was_said_in_training(labelled):
    clips, hashes = sorted(clip_hashes(labelled)), clip_hashes(labelled)
    before = [case.said for case in study_cases(labelled, "fer", everything=True)]
    with LabelStore.open(labelled.labels_dir / "a05.sqlite", "a05") as store:
        store.add_many([Label(clip, hashes[clip], "fer", emotion="anger", view="training:face") for clip in clips])
    after = study_cases(labelled, "fer", everything=True)
    assert [case.said for case in after] == before and all(case.together["n_raters"] <= 4 for case in after)


def test_clips_of_the_training_and_the_admission_test_are_no_cases(labelled):
    """Experts agreed on them: there is nothing to decide, and a decision would make another gold answer."""
    lines = '[annotation]\nannotators = ["a01"]\ngold_file = "gold.csv"\ntraining_clips = 1\nadmission_clips = 1\n'
    text = labelled.config_path.read_text(encoding="utf-8")
    labelled.config_path.write_text(text.replace("[annotation]\n", lines), encoding="utf-8")
    study = StudyFolder(labelled.root)
    clips = sorted(clip_hashes(study))
    write_gold(study, [{"clip_id": clip, "task": "fer", "emotion": "fear"} for clip in clips[1:3]])
    extend_assignments(study)
    assert {case.clip_id for case in study_cases(study, "fer", everything=True)} == {clips[0], *clips[3:]}


def test_cases_come_in_the_order_of_disagreement(labelled):
    clips = sorted(clip_hashes(labelled))
    cases = study_cases(labelled, "fer")
    # The first is agreed on and left out; the last is agreed on too, but somebody asked for another look.
    assert [case.clip_id for case in cases] == [clips[1], clips[3], clips[2], clips[4], clips[5]]
    assert [case.flagged for case in cases] == [False] * 4 + [True]
    assert [round(case.disagreement, 2) for case in cases] == sorted(
        (round(c.disagreement, 2) for c in cases), reverse=True
    )
    assert [case.clip_id for case in study_cases(labelled, "fer", everything=True)].count(clips[0]) == 1
    with pytest.raises(LabelError, match="nothing to decide"):
        study_cases(labelled, "er")  # nobody labelled it; FER labels are no ER cases


def test_neutral_names_tell_nobody_and_stay_the_same(labelled):
    first, again = study_cases(labelled, "fer", everything=True), study_cases(labelled, "fer", everything=True)
    assert [case.said for case in first] == [case.said for case in again]
    owner = {row.row_id: row.annotator_id for row in read_labels(labelled.label_files()).itertuples()}
    for case in first:
        assert [one.name for one in case.said] == list("ABCD")
        assert "a0" not in "".join(one.name + one.kind + one.view for one in case.said)
    # The same letter is not always the same person.
    assert len({tuple(owner[one.row_id] for one in case.said) for case in first}) > 1


def test_labels_of_another_recording_are_not_shown(labelled):
    hashes = clip_hashes(labelled)
    clip = sorted(hashes)[1]
    labels = read_labels(labelled.label_files())
    cases = find_cases(labels, "fer", {**hashes, clip: "cd" * 32})
    assert clip not in {case.clip_id for case in cases}


def test_disagreement_counts_pairs_and_distances():
    def said(name: str, emotion: str | None, polarity: str | None = None, **values: float) -> Said:
        return Said(name, "human", name * 32, None if emotion else "too_dark", emotion, polarity, values, "", "")

    same = [said("a", "fear", valence=0.0), said("b", "fear", valence=0.0)]
    assert disagreement(same, "fer") == 0.0
    assert disagreement(same[:1], "fer") == 0.0
    assert disagreement([said("a", "fear"), said("b", "anger")], "fer") == 1.0
    assert disagreement([said("a", "fear"), said("b", "fear"), said("c", None)], "fer") == pytest.approx(2 / 3)
    assert disagreement([said("a", "fear", "negative"), said("b", "fear", "neutral")], "fer") == 0.5
    # One of two scales at its ends.
    assert disagreement([said("a", "fear", valence=-1.0), said("b", "fear", valence=1.0)], "er") == pytest.approx(0.5)


def test_a_decision_is_stored_with_its_reason_and_changes_nobodys_label(labelled, open_desk):
    before = log_bytes(labelled)
    desk = open_desk()
    case = desk.case
    told: list[str] = []
    for topic in (DRAFT, NOTICE, ITEM):
        desk.subscribe(topic, lambda topic=topic: told.append(topic))
    assert not desk.decide()
    assert desk.notice is not None
    assert desk.notice.text_id == "nothing_decided"
    desk.set("emotion", "disgust")
    assert (desk.verdict.polarity, desk.verdict.polarity_suggested) == ("negative", True)
    assert not desk.decide()
    assert desk.notice.text_id == "reason_missing"
    desk.set_reason("  the nose wrinkles ")
    assert desk.decide()
    assert told.count(ITEM) == 1
    assert desk.position == 1  # on to the next open case
    assert desk.n_decided == 1
    decisions = read_log(labelled.label_files(), "decisions")
    row = decisions.iloc[0]
    assert (row["annotator_id"], row["clip_id"], row["emotion"], row["polarity"], row["reason"]) == (
        "e01", case.clip_id, "disgust", "negative", "the nose wrinkles",
    )  # fmt: skip
    assert sorted(json.loads(row["seen"])) == sorted(one.row_id for one in case.said)
    assert log_bytes(labelled) == before
    table = consensus(read_labels(labelled.label_files()), "fer", decisions=decisions).set_index("clip_id")
    assert table.loc[case.clip_id, "emotion"] == "disgust"
    assert table.loc[case.clip_id, "decided_by"] == "e01"


def test_deciding_again_replaces_and_taking_back_gives_the_raters_back(labelled, open_desk):
    desk = open_desk()
    clip = desk.case.clip_id
    for word in ("disgust", "anger"):
        desk.goto(0)
        desk.set("emotion", word) if desk.verdict.emotion != word else None
        desk.set_reason(f"it is {word}")
        assert desk.decide()
    desk.goto(0)
    assert desk.decision is not None
    assert desk.decision.emotion == "anger"
    assert desk.verdict.emotion == "anger"  # what was decided stands in the form
    assert not desk.withdraw()  # a reason of its own is asked for
    desk.set_reason("looked at the wrong clip")
    assert desk.withdraw()
    assert desk.decision is None
    assert desk.n_decided == 0
    log = read_log(labelled.label_files(), "decisions")
    assert log["supersedes"].notna().tolist() == [False, True, True]  # three rows: nothing was removed
    table = consensus(read_labels(labelled.label_files()), "fer", decisions=log).set_index("clip_id")
    assert table.loc[clip, "decided_by"] is None
    assert table.loc[clip, "emotion"] is None  # the tie is back


def test_taking_over_a_raters_label(open_desk):
    desk = open_desk()
    place = next(i for i, one in enumerate(desk.case.said) if one.emotion == "sadness")
    desk.set_reason("kept")
    desk.adopt(place)
    said = desk.case.said[place]
    assert (desk.verdict.emotion, desk.verdict.valence, desk.verdict.reason) == (
        "sadness",
        said.values["valence"],
        "kept",
    )
    desk.adopt(99)
    assert desk.verdict.emotion == "sadness"
    skipped = next(i for i, case in enumerate(desk.cases) if any(one.skip_reason for one in case.said))
    desk.goto(skipped)
    desk.adopt(next(i for i, one in enumerate(desk.case.said) if one.skip_reason))
    assert desk.verdict.emotion is None


def test_case_and_draft_survive_a_restart(open_desk):
    desk = open_desk()
    desk.goto(2)
    desk.set("emotion", "sadness")
    desk.set_reason("half a tho")
    clip = desk.case.clip_id
    # Without close: whatever was shown is on the disk already. A process that is killed gives its seat back.
    desk._store._vacate()
    again = open_desk()
    assert again.case.clip_id == clip
    assert (again.verdict.emotion, again.verdict.reason) == ("sadness", "half a tho")
    again.goto(0)
    again.goto(2)
    assert again.verdict.emotion is None  # a draft that was left is given up


def test_the_clip_is_the_cases_own(labelled, open_desk):
    desk = open_desk()
    clips = load_clip_index(labelled.clip_index_path).set_index("clip_id")
    for position in range(len(desk.cases)):
        desk.goto(position)
        assert desk.item.clip_id == desk.case.clip_id
        assert desk.perform("clip.end")
        assert desk.player.settle()
        identity = desk.player.identity
        assert identity is not None
        assert desk.player.image is not None
        assert burnt_number(desk.player.image) == identity.frame_index
        trial = int(clips.loc[desk.case.clip_id, "trial_id"])
        assert identity.frame_index >= (trial - 1) * 30  # thirty frames a trial, one after the other
    assert desk.stimulus is None  # nothing of the stimulus reaches the FER pass
    assert desk.eyes is None
    assert not desk.perform("mark.apex")


def test_a_failed_save_keeps_the_last_state_and_retry_repeats_it(labelled, open_desk):
    desk = open_desk()
    desk.set("emotion", "anger")
    desk.set_reason("clear")
    path = labelled.labels_dir / "e01.sqlite"
    hidden = path.with_name("away")
    path.rename(hidden)  # as if the share were gone
    assert not desk.decide()
    assert desk.saving is Saving.FAILED
    assert desk.notice is not None
    assert desk.notice.detail
    assert desk.n_decided == 0
    assert desk.position == 0
    hidden.rename(path)
    desk.retry()
    assert desk.saving is Saving.SAVED
    assert desk.n_decided == 1
    assert read_log([path], "decisions")["emotion"].tolist() == ["anger"]


def test_who_labelled_a_clip_is_told_so(labelled, open_desk):
    assert not open_desk().is_own
    cases = study_cases(labelled, "fer")
    desk = AdjudicationDesk(case_source(labelled, "fer", "a03", cases), cases)
    try:
        assert desk.is_own
    finally:
        desk.close()


def test_er_cases_have_their_evidence(labelled):
    hashes = clip_hashes(labelled)
    clip = sorted(hashes)[0]
    for name, word in (("a01", "fear"), ("a02", "anger")):
        with LabelStore.open(labelled.labels_dir / f"{name}.sqlite", name) as store:
            store.add(Label(clip, hashes[clip], "er", emotion=word))
    cases = study_cases(labelled, "er")
    assert [case.clip_id for case in cases] == [clip]
    desk = AdjudicationDesk(case_source(labelled, "er", "e01", cases), cases)
    try:
        assert desk.eyes is not None
        assert desk.stimulus is not None
    finally:
        desk.close()


def test_the_command_lists_cases_without_names(labelled: StudyFolder, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["annotate", "adjudicate", str(labelled.root), "--task", "fer", "--adjudicator", "e01"]
    assert main([*argv, "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert all("a0" not in line.replace("trial-00", "") for line in lines)
    assert lines[-1].endswith("flagged")
    said = [[word for word in line.split() if word[1:2] == ":"] for line in lines]
    alike = [words for words in said if len({word[2:].split("/")[0] for word in words}) == 1]
    assert alike and all("/" in word for words in alike for word in words), "what they differ on is seen"
    assert main([*argv, "--list", "--all"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6
    assert main(["annotate", "adjudicate", str(labelled.root), "--task", "felt", "--adjudicator", "e01", "--list"]) == 2
    assert not (Path(labelled.labels_dir) / "e01.sqlite").exists()  # looking writes nothing
