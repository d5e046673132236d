"""The words of a study are those of the paper, in a fixed order."""

from __future__ import annotations

import pytest

from data_schema.vocabularies import (
    EMOTIONS,
    POLARITIES,
    SCALES,
    SKIP_REASONS,
    SUGGESTED_POLARITY,
    sam_to_unit,
)


def test_the_order_of_classes_is_fixed() -> None:
    """Class indices are stored in checkpoints and exports: a change breaks them."""
    assert EMOTIONS == ("happiness", "sadness", "fear", "surprise", "disgust", "anger", "neutral")
    assert POLARITIES == ("positive", "negative", "neutral")


def test_scales_have_the_bounds_of_the_paper() -> None:
    bounds = {scale.name: (scale.low, scale.high) for scale in SCALES}
    assert bounds["valence"] == bounds["arousal"] == (-1.0, 1.0)
    assert bounds["intensity"] == (0.0, 3.0)
    assert not SCALES[0].contains(float("nan"))


def test_polarity_is_suggested_for_each_emotion_and_never_for_surprise() -> None:
    assert set(SUGGESTED_POLARITY) == set(EMOTIONS)
    assert SUGGESTED_POLARITY["surprise"] is None
    assert len(set(SKIP_REASONS)) == len(SKIP_REASONS)


def test_sam_ratings_map_in_quarters() -> None:
    assert [sam_to_unit(rating) for rating in (1, 2, 5, 9)] == [-1.0, -0.75, 0.0, 1.0]
    with pytest.raises(ValueError, match="between 1 and 9"):
        sam_to_unit(0)
