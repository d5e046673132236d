"""Undo and redo over clips and restarts, marks, and what happens where the disk fails."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotation.desk import state
from annotation.desk.desk import Desk
from annotation.desk.state import Draft, Saving
from data_schema.labels import LabelStore, SeatTakenError

from .desk_source import FIRST_FRAME, Clock, ListSource, press, queue
from .random_work import act, outcome, reference, summary

Open = Callable[..., Desk]
LABEL = ("1", "5", "5", "1", "commit")


def test_undo_takes_back_a_commit_where_it_was_made_and_redo_says_it_again(open_desk: Open) -> None:
    desk = open_desk()
    press(desk, *LABEL)
    assert desk.position == 1
    press(desk, "undo")
    assert desk.position == 0 and desk.saved_label is None and not desk.is_done(0)
    assert (desk.draft.emotion, desk.draft.valence) == ("happiness", 0.0)  # said still, committed no more
    assert desk.notice is not None and desk.notice.text_id == "undone_elsewhere"
    press(desk, "undo")
    assert desk.draft.intensity is None and desk.focus == "intensity"
    press(desk, "redo", "redo")
    assert desk.saved_label is not None and desk.saved_label.action == "redo" and desk.is_done(0)
    assert not desk.can_redo


def test_undo_of_a_second_label_brings_back_the_first(open_desk: Open) -> None:
    desk = open_desk()
    press(desk, *LABEL, "previous")
    desk.set("emotion", "fear")
    press(desk, "commit", "undo")
    assert desk.saved_label is not None and desk.saved_label.emotion == "happiness" and desk.draft.emotion == "fear"
    press(desk, "undo")
    assert desk.draft.emotion == "happiness"
    press(desk, *["undo"] * 4, "undo")
    assert desk.saved_label is None and desk.draft.intensity is None
    press(desk, *["redo"] * 20)
    assert desk.saved_label.emotion == "fear"


def test_undo_and_redo_go_on_after_a_restart(open_desk: Open) -> None:
    desk = open_desk()
    press(desk, *LABEL, "2", "undo")
    desk.close()
    desk = open_desk()
    assert desk.can_undo and desk.can_redo and desk.position == 1 and desk.draft == Draft()
    press(desk, "redo")
    assert desk.draft.emotion == "sadness"
    desk.close()
    desk = open_desk()
    assert not desk.can_redo and desk.draft.emotion == "sadness"
    press(desk, "undo", "undo")
    assert desk.position == 0 and desk.saved_label is None
    desk.close()
    desk = open_desk()
    press(desk, "redo")
    assert desk.saved_label is not None and desk.is_done(0)


def test_something_new_ends_what_could_be_redone(open_desk: Open) -> None:
    desk = open_desk()
    press(desk, "1", "undo", "field.previous", "field.next")
    assert desk.can_redo
    press(desk, "2")
    assert not desk.can_redo
    press(desk, "redo")
    assert desk.notice is not None and desk.notice.text_id == "nothing_to_redo"


def test_the_draft_the_item_and_the_frame_survive_a_restart(open_desk: Open, clock: Clock) -> None:
    desk = open_desk()
    press(desk, "next", "3", "2", *["step.forward"] * 5)
    desk.set_comment("smiles late")
    clock.play(desk, 1.0)
    assert desk.player.index == 5
    desk._store._vacate()  # not closed: as if it had been killed, which gives the seat back and does nothing else
    desk = open_desk()
    assert (desk.position, desk.player.index) == (1, 5)
    assert (desk.draft.emotion, desk.draft.valence, desk.draft.comment) == ("fear", -0.75, "smiles late")
    assert desk.focus == "arousal"


def test_marks_are_of_the_frame_that_is_shown(open_desk: Open, tmp_path: Path) -> None:
    desk = open_desk()
    press(desk, *["step.forward"] * 4)
    desk.player.settle()
    press(desk, "mark.apex", "mark.apex", "step.back")
    desk.player.settle()
    press(desk, "mark.onset", "flag")
    assert [(mark.kind, mark.index) for mark in desk.marks] == [("onset", 3), ("apex", 4)] and desk.flagged
    with LabelStore.open(tmp_path / "a01.sqlite", "a01") as store:
        rows = store.marks("fer")
    assert [(row.kind, row.frame_index, row.frame_pts) for row in rows] == [
        ("apex", FIRST_FRAME + 4, 5_160_000),
        ("onset", FIRST_FRAME + 3, 5_120_000),
        ("flag", None, None),
    ]
    press(desk, "mark.remove", "flag")
    assert [(mark.kind, mark.index) for mark in desk.marks] == [("apex", 4)] and not desk.flagged
    press(desk, "undo", "undo")
    assert [mark.kind for mark in desk.marks] == ["onset", "apex"] and desk.flagged
    press(desk, *["undo"] * 3)
    assert desk.marks == () and not desk.flagged
    desk.close()
    desk = open_desk()
    press(desk, *["redo"] * 5)
    assert [(mark.kind, mark.index) for mark in desk.marks] == [("apex", 4)] and not desk.flagged


def test_a_repeat_keeps_its_own_label_and_marks(open_desk: Open) -> None:
    from .desk_source import repeated

    first, other = queue("fer", main=2)
    items = (first, other, repeated(first, 1, "i00002", 2))
    desk = open_desk(items)
    press(desk, *LABEL[:-1], "mark.apex", "flag", "commit")
    desk.goto(2)
    assert desk.draft == Draft() and desk.marks == () and not desk.flagged and desk.saved_label is None
    press(desk, "6", "1", "1", "0", "commit")
    desk.goto(0)
    assert desk.draft.emotion == "happiness" and len(desk.marks) == 1


# ------------------------------------------------------------ a disk that fails


@pytest.fixture
def away(tmp_path: Path) -> Callable[[bool], None]:
    """Take the label file's place away, as a share that is yanked, and bring it back."""

    def move(is_away: bool) -> None:
        names = [path for path in (tmp_path if is_away else tmp_path / "away").iterdir() if path.name.startswith("a01")]
        (tmp_path / "away").mkdir(exist_ok=True)
        for path in names:
            shutil.move(path, (tmp_path / "away" if is_away else tmp_path) / path.name)

    return move


def test_a_step_that_cannot_be_saved_is_not_shown_and_retry_saves_it_once(
    open_desk: Open, away: Callable[[bool], None], tmp_path: Path
) -> None:
    desk = open_desk()
    press(desk, "1", "5", "5")
    away(True)
    told: list[Saving] = []
    desk.subscribe(state.SAVING, lambda: told.append(desk.saving))
    press(desk, "2")
    assert desk.draft.intensity is None and desk.saving is Saving.FAILED and told == [Saving.FAILED]
    assert desk.notice is not None and desk.notice.text_id == "save_failed" and "a01.sqlite" in desk.notice.detail
    press(desk, "commit")  # tries again first, in vain; nothing moves
    desk.retry()
    assert desk.position == 0 and desk.saving is Saving.FAILED and desk.draft.valence == 0.0
    away(False)
    press(desk, "commit")  # with the step that waits, not with what would come after it
    assert desk.saving is Saving.SAVED and desk.draft.intensity == 2.0 and desk.position == 0
    assert desk.notice is not None and desk.notice.text_id == "saved_again"
    press(desk, "commit")
    assert desk.position == 1
    with LabelStore.open(tmp_path / "a01.sqlite", "a01") as store:
        assert [row.kind for row in store.steps("fer")] == ["set"] * 4 + ["commit"]


def test_a_commit_that_waits_is_saved_before_anything_else_and_once(
    open_desk: Open, away: Callable[[bool], None], tmp_path: Path
) -> None:
    desk = open_desk()
    press(desk, *LABEL[:-1])
    away(True)
    press(desk, "commit")
    assert desk.position == 0 and desk.saved_label is None
    away(False)
    press(desk, "3")  # meant for the clip that was on the desk: saves the commit, and is not taken for the next clip
    assert desk.position == 1 and desk.draft == Draft() and desk.is_done(0) and desk.saving is Saving.SAVED
    with LabelStore.open(tmp_path / "a01.sqlite", "a01") as store:
        assert len(store.history()) == 1


def test_undo_puts_a_step_away_that_could_not_be_saved(open_desk: Open, away: Callable[[bool], None]) -> None:
    desk = open_desk()
    press(desk, "1")
    away(True)
    press(desk, "5")
    assert desk.can_undo
    press(desk, "undo")
    assert desk.saving is Saving.SAVED and desk.draft.emotion == "happiness"
    away(False)
    press(desk, "6")
    assert desk.draft.valence == 0.25


def test_a_desk_closes_while_its_disk_is_away(open_desk: Open, away: Callable[[bool], None]) -> None:
    desk = open_desk()
    press(desk, "1")
    away(True)
    press(desk, "5")
    desk.close()
    away(False)
    assert open_desk().draft == Draft(emotion="happiness", polarity="positive", polarity_suggested=True)


# ------------------------------------------------------------ work at random


@given(seed=st.integers(0, 2**32), n=st.integers(1, 20))
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_undoing_everything_leaves_nothing_and_redoing_everything_all(seed: int, n: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(ListSource(Path(folder) / "a01.sqlite", queue("fer", main=4)))
        rng = random.Random(seed)
        for _ in range(n):
            act(desk, rng, undo=False)
        done = summary(desk)
        while desk.can_undo:
            desk.undo()
        assert all(said == [{}, None, []] for said in summary(desk).values())
        desk.close()
        desk = Desk(ListSource(Path(folder) / "a01.sqlite", queue("fer", main=4)))
        while desk.can_redo:
            desk.redo()
        assert summary(desk) == done
        desk.close()


N_KILLS = int(os.environ.get("EMER_DESK_KILLS", "4"))


def test_a_kill_loses_nothing_that_was_shown(tmp_path: Path) -> None:
    """A process labels at random and says each step that it shows; it is killed at random, and opened again."""
    script = Path(__file__).with_name("random_work.py")
    n_steps, expected = 60, {}
    for number in range(N_KILLS):
        seed = number // 8 % 3
        if seed not in expected:
            expected[seed] = reference(tmp_path / f"reference-{seed}.sqlite", seed, n_steps)
        labels, said = tmp_path / f"{number}.sqlite", tmp_path / f"{number}.txt"
        with said.open("wb") as out:
            command = [sys.executable, str(script), str(labels), str(seed), str(n_steps)]
            process = subprocess.Popen(command, stdout=out, cwd=Path.cwd())
            wanted = random.Random(number).randrange(1, n_steps)
            while process.poll() is None and said.read_bytes().count(b"\n") < wanted:
                os.sched_yield()
            process.send_signal(signal.SIGKILL)
            process.wait()
        shown = said.read_bytes().split(b"\n")[:-1]
        assert len(shown) >= wanted
        after = outcome(labels)
        n = len(shown)
        # What was shown last, or the step that was on its way to the disk when the kill came.
        assert after in expected[seed][n - 1 : n + 1], (number, n)
        assert json.loads(shown[-1]) == expected[seed][n - 1]


def test_a_second_desk_of_an_annotator_is_refused_and_the_first_goes_on(open_desk: Open) -> None:
    desk = open_desk()
    with pytest.raises(SeatTakenError, match=r"'a01' are open in another window.*process \d+, since 20"):
        open_desk()
    press(desk, *LABEL)
    assert desk.is_done(0) and desk.saving is Saving.SAVED
    desk.close()
    assert open_desk().is_done(0)
