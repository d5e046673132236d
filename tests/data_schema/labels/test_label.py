from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_schema.errors import LabelError
from data_schema.labels import Label, LabelValueError
from data_schema.vocabularies import EMOTIONS, Emotion

MakeLabel = Callable[..., Label]


def test_a_label_keeps_what_was_said(make_label: MakeLabel) -> None:
    label = make_label(emotion=Emotion.ANGER, valence=-0.0, comment="left eye\r\nclosed\r", frame_pts=-512)
    assert label.emotion == "anger"
    assert type(label.emotion) is str
    assert math.copysign(1.0, label.valence or 1.0) == 1.0
    assert label.comment == "left eye\nclosed\n"
    assert label.frame_pts == -512


@pytest.mark.parametrize(
    ("field", "value", "expected_in_message"),
    [
        ("emotion", "hapiness", "Did you mean 'happiness'?"),
        ("emotion", "Fear", "Did you mean 'fear'?"),
        ("polarity", "pos", "one of positive, negative, neutral"),
        ("task", "FER", "one of er, fer"),
        ("valence", math.nan, "a number from -1 to 1"),
        ("valence", 1.5, "The nearest is 1."),
        ("arousal", -math.inf, "The nearest is -1."),
        ("arousal", "0.5", "a number from -1 to 1"),
        ("intensity", 3.01, "The nearest is 3."),
        ("intensity", True, "a number from 0 to 3"),
        ("confidence", 2, "guessing to certain"),
        ("clip_id", "", "letters, digits"),
        ("clip_id", "../x", "letters, digits"),
        ("clip_id", "clip-001\n", "letters, digits"),
        ("clip_sha256", "AB" * 32, "64 lower-case"),
        ("frame_index", -1, "0 or more"),
        ("duration_ms", 12.5, "an integer"),
        ("duration_ms", 2**63, "an integer"),
        ("repetition", None, "an integer"),
        ("view", "face video", "at most 64 letters"),
        ("comment", "a\x00b", "without control characters"),
        ("comment", "\ud800", "without control characters"),
        ("comment", "x" * 2001, "2000 characters"),
    ],
)
def test_a_value_outside_the_vocabulary_is_named(
    make_label: MakeLabel, field: str, value: object, expected_in_message: str
) -> None:
    with pytest.raises(LabelValueError, match=field) as caught:
        make_label(**{field: value})
    assert caught.value.field == field
    assert expected_in_message in str(caught.value)
    assert isinstance(caught.value, LabelError)


def test_exactly_one_of_emotion_and_skip_reason(make_label: MakeLabel) -> None:
    with pytest.raises(LabelValueError, match="exactly one"):
        make_label(emotion=None)
    with pytest.raises(LabelValueError, match="exactly one"):
        make_label(skip_reason="no_face")
    empty = {"emotion": None, "polarity": None, "valence": None, "arousal": None, "intensity": None}
    skipped = make_label(**empty, skip_reason="no_face", comment="turned away")
    assert skipped.skip_reason == "no_face"
    with pytest.raises(LabelValueError, match="Did you mean 'no_face'"):
        make_label(**empty, skip_reason="noface")
    for name, value in (("polarity", "neutral"), ("valence", 0.0), ("intensity", 0.0)):
        with pytest.raises(LabelValueError, match="skipped"):
            make_label(**(empty | {name: value}), skip_reason="no_face")


def test_intensity_is_for_fer_only(make_label: MakeLabel) -> None:
    with pytest.raises(LabelValueError, match="FER only"):
        make_label(task="er")
    assert make_label(task="er", intensity=None).intensity is None


def test_a_study_may_narrow_the_emotions(make_label: MakeLabel) -> None:
    label = make_label(emotion="disgust")
    label.check_emotions(EMOTIONS)
    with pytest.raises(LabelValueError, match="one of happiness, sadness"):
        label.check_emotions(("happiness", "sadness"))
    make_label(
        emotion=None, polarity=None, valence=None, arousal=None, intensity=None, skip_reason="no_face"
    ).check_emotions(())


@given(value=st.floats(allow_nan=True, allow_infinity=True))
def test_a_scale_takes_its_range_and_nothing_else(value: float) -> None:
    def make() -> Label:
        return Label("c", "0" * 64, "er", emotion="fear", valence=value)

    if -1 <= value <= 1:
        assert make().valence == value
    else:
        with pytest.raises(LabelValueError, match="valence"):
            make()
