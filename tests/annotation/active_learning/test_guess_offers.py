from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.active_learning import StudyGuesses
from annotation.active_learning.ordering import clip_uncertainty, query_order, uncertainty
from annotation.items import Block, Item
from data_schema.errors import LabelError
from data_schema.labels.guess_table import PROBABILITY_COLUMNS, guess_table_path, write_guesses
from data_schema.study.sections import AnnotationSection, LabelsSection
from data_schema.vocabularies import EMOTIONS

SHA = "5" * 64


def guess_rows(probabilities: np.ndarray, task: str = "fer", **changes: object) -> pd.DataFrame:
    best = probabilities.argmax(axis=1)
    table = pd.DataFrame(probabilities, columns=list(PROBABILITY_COLUMNS))
    table = table.assign(
        clip_id=[f"c{i:03d}" for i in range(len(table))], clip_sha256=SHA, task=task, model_sha256="a" * 64, n_models=1,
        emotion=[EMOTIONS[k] for k in best], confidence=probabilities.max(axis=1), valence=0.25, arousal=np.nan,
        intensity=np.nan,
    )  # fmt: skip
    return table.assign(**changes)


def sure_of(share: float) -> np.ndarray:
    row = np.full(7, (1 - share) / 6)
    row[2] = share
    return row


def item(clip: int, position: int = 0, **changes: object) -> Item:
    base = Item(f"i{position:03d}", f"c{clip:03d}", SHA, "fer", 0, Block.MAIN, position)
    return replace(base, **changes)  # type: ignore[arg-type]


def guesses_of(folder: Path, table: pd.DataFrame, **rules: object) -> StudyGuesses:
    write_guesses(guess_table_path(folder, "fer"), table, overwrite=True)
    found = StudyGuesses.of_study(folder, "fer", AnnotationSection(**rules), LabelsSection(), 7)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_a_sure_guess_is_offered_an_unsure_one_neither_shown_nor_logged(tmp_path: Path) -> None:
    found = guesses_of(tmp_path, guess_rows(np.array([sure_of(0.95), sure_of(0.5)])), control_share=1e-9)
    guess = found.guess(item(0), "a01")
    assert guess is not None
    assert (guess.emotion, guess.offered, guess.scales) == ("fear", True, {"valence": 0.25})
    assert guess.confidence == pytest.approx(0.95)
    assert found.guess(item(1), "a01") is None


def test_blocks_that_measure_the_annotator_and_repeats_have_no_guess(tmp_path: Path) -> None:
    found = guesses_of(tmp_path, guess_rows(np.array([sure_of(0.95)])), control_share=1e-9)
    for changes in ({"block": Block.TRAINING}, {"block": Block.ADMISSION}, {"repetition": 1}, {"clip_id": "other"}):
        assert found.guess(item(0, **changes), "a01") is None


def test_a_guess_about_another_recording_or_a_word_the_study_lacks_is_left_out(tmp_path: Path) -> None:
    found = guesses_of(tmp_path, guess_rows(np.array([sure_of(0.95)])), control_share=1e-9)
    assert found.guess(item(0, clip_sha256="6" * 64), "a01") is None
    narrowed = replace(found, labels=LabelsSection(emotions=("happiness", "neutral")))
    assert narrowed.guess(item(0), "a01") is None


def test_the_control_share_is_drawn_for_each_annotator_and_stays_with_a_new_model(tmp_path: Path) -> None:
    rows = np.tile(sure_of(0.95), (1000, 1))
    found = guesses_of(tmp_path, guess_rows(rows), control_share=0.2)
    blind = {name: {i for i in range(1000) if not found.guess(item(i), name).offered} for name in ("a01", "a02")}  # type: ignore[union-attr]
    for chosen in blind.values():
        assert 150 < len(chosen) < 250
    both = len(blind["a01"] & blind["a02"])
    assert 20 < both < 65, "two annotators' draws are independent: 0.04 of 1000"
    later = guesses_of(tmp_path, guess_rows(rows, model_sha256="b" * 64), control_share=0.2)
    assert {i for i in range(1000) if not later.guess(item(i), "a01").offered} == blind["a01"]  # type: ignore[union-attr]


def test_guesses_of_the_other_pass_are_refused(tmp_path: Path) -> None:
    write_guesses(guess_table_path(tmp_path, "fer"), guess_rows(np.array([sure_of(0.9)]), task="er"))
    with pytest.raises(LabelError, match="ER pass"):
        StudyGuesses.of_study(tmp_path, "fer", AnnotationSection(), LabelsSection(), 7)
    assert StudyGuesses.of_study(tmp_path, "er", AnnotationSection(), LabelsSection(), 7) is None


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [("least_confident", [0.4, 0.6, 0.0]), ("margin", [0.9, 0.4, 0.0]), ("entropy", [0.6730, 1.0549, 0.0])],
)
def test_uncertainty_is_that_of_the_textbook(strategy: str, expected: list[float]) -> None:
    rows = np.array([[0.6, 0.4, 0.0], [0.4, 0.4, 0.2], [1.0, 0.0, 0.0]])
    scores = uncertainty(rows, strategy)
    if strategy == "margin":
        expected = [1 - 0.2, 1 - 0.0, 1 - 1.0]
    np.testing.assert_allclose(scores, expected, atol=1e-3)


def test_the_queue_follows_the_uncertainty_that_the_table_says(tmp_path: Path) -> None:
    """The members may disagree most on a clip that their mean is surest of."""
    rows = np.array([sure_of(0.9), sure_of(0.6), sure_of(0.4)])
    said = guess_rows(rows, entropy=[0.2, 0.9, 0.5], margin=[0.1, 0.5, 0.9], mutual_information=[0.5, 0.1, 0.3])
    items = [item(i, i) for i in range(3)]

    def order(table: pd.DataFrame, strategy: str) -> list[str]:
        found = guesses_of(tmp_path, table, query_strategy=strategy)
        return [i.clip_id for i in found.order(items)]

    assert order(said, "entropy") == ["c001", "c002", "c000"]
    assert order(said, "margin") == ["c000", "c001", "c002"]
    assert order(said, "disagreement") == ["c000", "c002", "c001"]
    assert order(said, "least_confident") == ["c002", "c001", "c000"]
    assert order(said, "random") == ["c000", "c001", "c002"]


@pytest.mark.parametrize("strategy", ["least_confident", "margin", "entropy"])
def test_a_table_of_an_earlier_toolkit_is_ordered_by_its_probabilities(tmp_path: Path, strategy: str) -> None:
    rows = np.random.default_rng(3).dirichlet(np.ones(7), size=12)
    found = guesses_of(tmp_path, guess_rows(rows))
    assert found.table["entropy"].isna().all()
    scores = clip_uncertainty(found.table, strategy)
    expected = dict(zip(found.table["clip_id"], uncertainty(rows, strategy), strict=True))
    assert sorted(scores, key=scores.__getitem__) == sorted(expected, key=expected.__getitem__)


def test_disagreement_of_one_model_is_not_known_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = guesses_of(tmp_path, guess_rows(np.array([sure_of(0.9), sure_of(0.4)]), margin=[0.8, 0.2]))
    assert clip_uncertainty(found.table, "disagreement") == {"c000": -0.8, "c001": -0.2}
    assert "--mc-dropout" in caplog.text


@pytest.mark.parametrize(("column", "value"), [("entropy", 1.5), ("margin", -0.2), ("valence_spread", np.inf)])
def test_uncertainty_that_cannot_be_is_refused(tmp_path: Path, column: str, value: float) -> None:
    with pytest.raises(LabelError, match=column):
        write_guesses(tmp_path / "g.parquet", guess_rows(np.array([sure_of(0.9)]), **{column: value}))


@given(st.data())
def test_an_order_by_a_model_keeps_blocks_items_finished_ones_and_distances(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 40))
    distance = data.draw(st.integers(1, 8))
    repeats = data.draw(st.lists(st.integers(0, n - 1), unique=True, max_size=5))
    clips = [(clip, 0) for clip in data.draw(st.permutations(range(n)))]
    for clip in repeats:
        place = data.draw(st.integers(0, len(clips)))
        clips.insert(max(place, clips.index((clip, 0)) + 1), (clip, 1))
    items = [item(900, 0, item_id="t", block=Block.TRAINING)]
    items += [item(clip, k + 1, repetition=again) for k, (clip, again) in enumerate(clips)]
    done = set(data.draw(st.lists(st.sampled_from([i.item_id for i in items]), unique=True)))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    known = {f"c{clip:03d}": float(rng.random()) for clip in range(n) if rng.random() < 0.8}
    ordered = query_order(items, known, distance=distance, done=done)
    assert sorted(i.item_id for i in ordered) == sorted(i.item_id for i in items)
    assert [i.position for i in ordered] == list(range(len(items))) if known else True
    assert ordered[0].block is Block.TRAINING
    if not known:
        return
    open_first = [i for i in ordered if i.block is Block.MAIN and i.item_id not in done and not i.repetition]
    scores = [known.get(i.clip_id, np.inf) for i in open_first]
    assert all(a >= b - 1e-12 for a, b in zip(scores, scores[1:], strict=False))
    at = {(i.clip_id, i.repetition): k for k, i in enumerate(ordered)}
    for clip in repeats:
        first, again = at[f"c{clip:03d}", 0], at[f"c{clip:03d}", 1]
        repeat_is_done = ordered[again].item_id in done
        assert repeat_is_done or again > first
        assert repeat_is_done or again - first > distance or again >= len(ordered) - len(repeats)
