from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_schema.clips.rules import NO_APEX, clip_part, rule_in_words
from data_schema.study.sections import ClipsSection

times = st.integers(0, 10**12)
lengths = st.integers(1, 10**9)
seconds = st.floats(0.01, 200.0)


@given(times, lengths, seconds, seconds, st.floats(0, 1))
def test_a_clip_is_never_more_than_its_trial(start, length, before_s, after_s, place):
    end, apex = start + length, start + round(place * (length - 1))
    for rule in (
        ClipsSection(),
        ClipsSection(rule="last", last_s=before_s),
        ClipsSection(rule="apex", apex_before_s=before_s, apex_after_s=after_s),
    ):
        part = clip_part(start, end, rule, apex)
        assert start <= part.t_start_us < part.t_end_us <= end
        assert part.problem == ""


@pytest.mark.parametrize(
    ("rule", "apex", "span", "problem"),
    [
        (ClipsSection(), None, (10_000_000, 20_000_000), ""),
        (ClipsSection(rule="last", last_s=3), None, (17_000_000, 20_000_000), ""),
        (ClipsSection(rule="last", last_s=30), None, (10_000_000, 20_000_000), ""),
        (ClipsSection(rule="apex", apex_before_s=1, apex_after_s=2), 15_000_000, (14_000_000, 17_000_000), ""),
        (ClipsSection(rule="apex", apex_before_s=1, apex_after_s=2), 19_500_000, (18_500_000, 20_000_000), ""),
        (ClipsSection(rule="apex"), None, (10_000_000, 20_000_000), NO_APEX),
        (ClipsSection(rule="apex"), 90_000_000, (10_000_000, 20_000_000), "the apex lies outside the stimulus"),
        (ClipsSection(min_s=10), None, (10_000_000, 20_000_000), ""),
        (ClipsSection(min_s=10.5), None, (10_000_000, 20_000_000), "10.00 s long (at least 10.5 s)"),
        (
            ClipsSection(rule="apex", min_s=4),
            11_000_000,
            (10_000_000, 13_000_000),
            "3.00 s long (at least 4 s)",
        ),
    ],
)
def test_each_rule_takes_its_part(rule, apex, span, problem):
    part = clip_part(10_000_000, 20_000_000, rule, apex)
    assert ((part.t_start_us, part.t_end_us), part.problem) == (span, problem)


def test_a_rule_is_said_in_words():
    assert (
        rule_in_words(ClipsSection(rule="last", last_s=8, min_s=2)) == "the last 8 s of each trial, at least 2 s long"
    )
    assert "0.5 s before to 1 s after the apex" in rule_in_words(
        ClipsSection(rule="apex", apex_before_s=0.5, apex_after_s=1)
    )
