"""The questions after a clip, and the answers that were prescribed."""

from __future__ import annotations

import numpy as np
import pytest

from collection.protocol.self_report import AttentionCheck, count_checks, place_checks, self_report_items
from collection.protocol.steps import ATTENTION_CHECK, ItemKind
from collection.texts import load_texts
from data_schema.session.layout import RESPONSES, make_row
from data_schema.vocabularies import EMOTIONS


def test_the_self_report_asks_for_emotions_sam_familiarity_attention_and_words() -> None:
    items = {item.scale: item for item in self_report_items()}
    assert list(items) == [*EMOTIONS, "valence", "arousal", "familiarity", "attention", "free_text"]
    assert items["valence"].kind is ItemKind.SAM
    assert items["valence"].stored_value(9) == (1.0, "SAM 9 of 9")
    assert items["arousal"].stored_value(4) == (-0.25, "SAM 4 of 9")
    assert items["fear"].stored_value(3) == (3.0, "")
    assert len(items["fear"].labels) == 5
    assert len(items["arousal"].labels) == 2
    with pytest.raises(ValueError, match="fear: a rating lies between 0 and 4, got 5"):
        items["fear"].stored_value(5)
    with pytest.raises(ValueError, match="valence"):
        items["valence"].stored_value(0)
    assert "free_text" not in [item.scale for item in self_report_items(free_text=False)]


def test_every_language_asks_the_same() -> None:
    english, chinese = self_report_items(load_texts("en")), self_report_items(load_texts("zh"))
    assert [(i.scale, i.kind, i.low, i.high, len(i.labels)) for i in english] == [
        (i.scale, i.kind, i.low, i.high, len(i.labels)) for i in chinese
    ]
    assert all(a.prompt != b.prompt for a, b in zip(english, chinese, strict=True))


def test_checks_are_spread_over_the_session() -> None:
    for seed in range(30):
        checks = place_checks(12, 3, seed, "P001", "01")
        assert [(trial - 1) // 4 for trial in sorted(checks)] == [0, 1, 2]
        assert checks == place_checks(12, 3, seed, "P001", "01")
    assert len({tuple(place_checks(12, 3, 1, f"P{n}", "01")) for n in range(20)}) > 10
    assert place_checks(2, 9, 1, "P001", "01").keys() == {1, 2}
    assert place_checks(5, 0, 1, "P001", "01") == {}
    expected = {check.expected for n in range(60) for check in place_checks(4, 1, 1, f"P{n}", "01").values()}
    assert expected == {0, 1, 2, 3, 4}


def test_wrong_answers_to_checks_are_counted() -> None:
    check = next(item for item in self_report_items(check=AttentionCheck(3, 2)) if item.scale == ATTENTION_CHECK)

    def row(trial: int, rating: int) -> np.ndarray:
        value, text = check.stored_value(rating)
        return make_row(RESPONSES, trial_id=trial, scale=check.scale, value=value, text=text)

    other = make_row(RESPONSES, trial_id=1, scale="fear", value=0.0)
    rows = np.concatenate([row(1, 2), row(2, 3), row(-1, 0), other, row(3, 2)])
    assert count_checks(rows) == (3, 1)
    assert count_checks(rows[:0]) == (0, 0)
