"""A label at the desk: digits, focus, commit, skip; nothing is shown that is not on the disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from annotation.desk import state
from annotation.desk.desk import Desk
from annotation.desk.state import Draft, Page, Saving
from annotation.keys import KEYS
from data_schema.labels import LabelStore, LabelValueError
from data_schema.study.sections import LabelsSection
from data_schema.vocabularies import EMOTIONS

from .desk_source import Clock, press, queue

Open = Callable[..., Desk]
WINDOW_ACTIONS = {"skip", "comment", *(key.action for key in KEYS if key.group in ("window", "eyes"))}


def stored(tmp_path: Path, log: str = "current") -> list[object]:
    with LabelStore.open(tmp_path / "a01.sqlite", "a01", create=False) as store:
        return list(getattr(store, log)("fer"))


def test_a_full_fer_label_takes_seven_keys_and_lands_in_the_log(open_desk: Open, tmp_path: Path, clock: Clock) -> None:
    desk = open_desk()
    clock.s += 4
    press(desk, "1", "9", "3", "2", "5", "commit")  # happiness suggests its polarity, which the focus passes over
    (row,) = stored(tmp_path)
    assert (row.clip_id, row.emotion, row.polarity) == ("clip-00000", "happiness", "positive")
    assert (row.valence, row.arousal, row.intensity, row.confidence) == (1.0, -0.5, 2.0, 1.0)
    assert (row.view, row.duration_ms, row.clip_sha256) == ("face", 4000, "ab" * 32)
    assert desk.position == 1 and desk.draft == Draft() and desk.focus == "emotion"


def test_an_er_label_has_no_intensity(open_desk: Open, tmp_path: Path) -> None:
    desk = open_desk(task="er")
    desk.set_panels(["face", "stimulus", "gaze", "traces", "map"])
    assert "intensity" not in desk.fields
    press(desk, "6", "1", "9", "1", "commit")
    with LabelStore.open(tmp_path / "a01.sqlite", "a01") as store:
        (row,) = store.current("er")
    assert (row.emotion, row.arousal, row.confidence, row.intensity) == ("anger", 1.0, 0.0, None)
    assert row.view == "face+stimulus+gaze+traces+map"


def test_surprise_suggests_nothing_so_that_the_focus_goes_to_the_polarity(open_desk: Open) -> None:
    desk = open_desk()
    press(desk, "4")
    assert desk.draft.emotion == "surprise" and desk.draft.polarity is None and desk.focus == "polarity"


def test_a_polarity_of_ones_own_is_never_overwritten(open_desk: Open) -> None:
    desk = open_desk()
    press(desk, "1")
    assert desk.draft.polarity == "positive" and desk.draft.polarity_suggested
    press(desk, "field.previous")
    assert desk.focus == "polarity"
    press(desk, "2", "field.previous", "field.previous")
    assert desk.focus == "emotion" and not desk.draft.polarity_suggested
    press(desk, "7")
    assert (desk.draft.emotion, desk.draft.polarity) == ("neutral", "negative")


def test_a_suggestion_goes_with_the_emotion_that_made_it(open_desk: Open) -> None:
    desk = open_desk()
    desk.set("emotion", "fear")
    desk.set("emotion", "surprise")
    assert desk.draft.polarity is None
    desk.set("emotion", "sadness")
    assert desk.draft.polarity == "negative"


def test_a_study_may_narrow_words_and_the_suggestion_follows(open_desk: Open) -> None:
    labels = LabelsSection(emotions=("anger", "neutral"), polarities=("positive", "negative"))
    desk = open_desk(labels=labels)
    assert [(option.value, option.digit) for option in desk.options("emotion")] == [("anger", 1), ("neutral", 2)]
    press(desk, "2")
    assert desk.draft.emotion == "neutral" and desk.draft.polarity is None  # 'neutral' is no polarity here
    press(desk, "field.previous", "3")
    assert desk.draft.emotion == "neutral" and desk.notice is not None and desk.notice.text_id == "no_such_digit"
    assert (desk.notice.values["fields"], desk.notice.values["digits"]) == ("emotion", "1-2")
    with pytest.raises(LabelValueError, match="anger, neutral"):
        desk.set("emotion", "fear")


def test_arrows_move_a_scale_by_a_twentieth_and_stop_at_its_end(open_desk: Open) -> None:
    desk = open_desk()
    desk.focus_on("valence")
    press(desk, *["scale.up"] * 3)
    assert desk.draft.valence == 0.15 and desk.focus == "valence"
    press(desk, "9", "field.previous", "scale.up")
    assert desk.draft.valence == 1.0
    desk.focus_on("intensity")
    press(desk, "scale.down")
    assert desk.draft.intensity == 0.0
    desk.focus_on("emotion")
    press(desk, "scale.down", "scale.down")  # the first of the list, then the one below it
    assert desk.draft.emotion == EMOTIONS[1]
    press(desk, *["scale.up"] * 3)
    assert desk.draft.emotion == EMOTIONS[0]


def test_the_pad_sets_both_on_the_grid_as_one_step(open_desk: Open) -> None:
    desk = open_desk()
    desk.set_point(0.3333, -1.7)
    assert (desk.draft.valence, desk.draft.arousal) == (0.35, -1.0)
    desk.undo()
    assert (desk.draft.valence, desk.draft.arousal) == (None, None)


def test_what_lacks_is_named_and_gets_the_focus(open_desk: Open, tmp_path: Path) -> None:
    desk = open_desk()
    press(desk, "1", "5", "commit")
    assert desk.notice is not None
    assert (desk.notice.text_id, desk.notice.values["fields"]) == ("incomplete", "arousal,intensity")
    assert desk.focus == "arousal" and desk.position == 0 and stored(tmp_path) == []


def test_a_skip_empties_the_label_and_keeps_the_comment(open_desk: Open, tmp_path: Path) -> None:
    desk = open_desk()
    press(desk, "1", "5")
    desk.set_comment("  hand before the mouth ")
    desk.skip("face_covered")
    (row,) = stored(tmp_path)
    assert (row.emotion, row.valence, row.skip_reason, row.comment) == (
        None,
        None,
        "face_covered",
        "hand before the mouth",
    )
    assert desk.position == 1
    desk.previous()
    assert desk.draft.skip_reason == "face_covered"
    press(desk, "2")
    assert desk.draft == Draft(
        emotion="sadness", polarity="negative", polarity_suggested=True, comment="hand before the mouth"
    )


def test_an_impossible_comment_or_reason_is_said_and_not_kept(open_desk: Open, tmp_path: Path) -> None:
    desk = open_desk()
    desk.set_comment("x" * 2001)
    assert desk.notice is not None and "2000" in desk.notice.detail and desk.draft.comment == ""
    desk.skip("lunch")
    assert desk.notice.text_id == "not_possible" and stored(tmp_path) == [] and desk.saving is Saving.SAVED


def test_committing_again_supersedes_and_enter_alone_writes_nothing(open_desk: Open, tmp_path: Path) -> None:
    desk = open_desk()
    press(desk, "1", "5", "5", "1", "commit", "previous")
    first = desk.saved_label
    assert first is not None and desk.draft.emotion == "happiness"
    press(desk, "commit")
    assert desk.position == 1 and len(stored(tmp_path)) == 1
    desk.previous()
    desk.set("emotion", "fear")
    assert desk.saved_label == first and desk.is_changed  # said, but not committed
    press(desk, "next")
    assert desk.notice is not None and (desk.notice.text_id, desk.notice.values) == ("uncommitted", {"n": "1"})
    press(desk, "previous")
    assert desk.draft.emotion == "fear" and desk.is_changed
    press(desk, "commit")
    assert desk.notice is None
    (row,) = stored(tmp_path)
    assert (row.emotion, row.supersedes) == ("fear", first.row_id)


def test_each_change_is_on_the_disk_when_a_view_hears_of_it(open_desk: Open, tmp_path: Path) -> None:
    desk = open_desk()
    seen: list[tuple[str | None, int]] = []
    desk.subscribe(state.DRAFT, lambda: seen.append((desk.draft.emotion, len(stored(tmp_path, "steps")))))
    press(desk, "1")
    assert seen == [("happiness", 1)]


def test_a_callback_sees_the_whole_change_and_may_end(open_desk: Open) -> None:
    desk = open_desk()
    seen: list[object] = []
    for topic in (state.ITEM, state.DRAFT, state.PAGE, state.PROGRESS):
        desk.subscribe(topic, lambda: seen.append((desk.position, desk.draft, desk.page, desk.progress.n_done)))
    end = desk.subscribe(state.ITEM, lambda: seen.append("told"))
    end()
    desk.skip("no_face")
    assert "told" not in seen and set(seen) == {(1, Draft(), Page.CLIP, 1)}


def test_the_desk_knows_every_action_that_is_not_the_windows(open_desk: Open) -> None:
    desk = open_desk(rules={"trace": "bounded"})
    for key in KEYS:
        assert desk.perform(key.action) is (key.action not in WINDOW_ACTIONS), key.action
        desk.stop_trace()


def test_time_counts_only_while_the_window_is_in_front_and_the_clip_on_the_desk(
    open_desk: Open, clock: Clock, tmp_path: Path
) -> None:
    desk = open_desk()
    clock.s += 2
    desk.set_active(False)
    clock.s += 1000
    desk.set_active(True)
    clock.s += 1
    desk.take_break()
    assert desk.page is Page.BREAK
    clock.s += 600
    press(desk, "play")
    assert desk.page is Page.CLIP
    clock.s += 0.5
    desk.next()
    clock.s += 7
    desk.previous()
    clock.s += 0.25
    desk.skip("no_face")
    assert stored(tmp_path)[0].duration_ms == 3750


def test_a_clip_that_cannot_be_shown_can_only_be_skipped(open_desk: Open, tmp_path: Path) -> None:
    desk = open_desk(broken=["clip-00000"])
    assert desk.media_error is not None and desk.notice is not None
    assert desk.notice.text_id == "clip_not_shown" and "clip-00000" in desk.notice.detail
    press(desk, "1", "5", "5", "1", "commit", "mark.apex")
    assert stored(tmp_path) == [] and stored(tmp_path, "marks") == []
    desk.skip("does_not_play")
    assert stored(tmp_path)[0].skip_reason == "does_not_play"
    assert desk.position == 1 and desk.media_error is None and desk.player.image is not None


def test_an_empty_queue_is_finished(open_desk: Open, tmp_path: Path, clock: Clock) -> None:
    from .desk_source import ListSource

    desk = Desk(ListSource(tmp_path / "a01.sqlite", ()), clock=clock)
    press(
        desk, *(key.action for key in KEYS if key.action not in WINDOW_ACTIONS and not key.action.startswith("digit"))
    )
    desk.tick()
    assert desk.item is None and desk.page is Page.FINISHED
    desk.close()


def test_all_done_is_finished_and_leads_back(open_desk: Open) -> None:
    desk = open_desk(queue("fer", main=2))
    desk.skip("no_face")
    desk.skip("no_face")
    assert desk.page is Page.FINISHED and desk.progress.n_done == 2
    desk.close()
    desk = open_desk(queue("fer", main=2))
    assert desk.page is Page.FINISHED
    press(desk, "previous")
    assert desk.page is Page.CLIP and desk.position == 1
