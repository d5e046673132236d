"""The overlap: every clip gets its annotators, everyone the same number, and nothing handed out is taken back."""

from __future__ import annotations

import itertools
import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from annotation.queue.design import share_clips

STRATA = ("anger", "fear", "happiness", "neutral")


def clips_of(n: int, start: int = 0) -> dict[str, str]:
    return {f"c{number:04d}": STRATA[number * number % 4] for number in range(start, start + n)}


def judges_of(shares: dict[str, list[str]]) -> dict[str, list[str]]:
    judges: dict[str, list[str]] = {}
    for name, clips in shares.items():
        for clip in clips:
            judges.setdefault(clip, []).append(name)
    return judges


def spread(counts: Counter) -> int:
    return max(counts.values()) - min(counts.values()) if counts else 0


@st.composite
def designs(draw: st.DrawFn) -> tuple[int, list[str], int, int]:
    n_annotators = draw(st.integers(1, 8))
    names = [f"a{number}" for number in range(n_annotators)]
    return draw(st.integers(1, 160)), names, draw(st.integers(0, n_annotators)), draw(st.integers(0, 2**32))


@given(designs())
def test_every_clip_gets_its_annotators_and_everyone_as_many_clips(design: tuple[int, list[str], int, int]) -> None:
    n, names, per_clip, seed = design
    clips = clips_of(n)
    shares = share_clips(clips, names, per_clip, random.Random(seed))
    judges = judges_of(shares)
    assert set(judges) == set(clips)
    assert all(len(set(who)) == len(who) == (per_clip or len(names)) for who in judges.values())
    loads = Counter({name: len(shares[name]) for name in names})
    assert spread(loads) <= 1
    for stratum in STRATA:
        of = Counter({name: sum(clips[clip] == stratum for clip in shares[name]) for name in names})
        assert spread(of) <= 2
    assert shares == share_clips(clips, names, per_clip, random.Random(seed))


@given(designs())
def test_any_two_annotators_meet_about_equally_often(design: tuple[int, list[str], int, int]) -> None:
    n, names, per_clip, seed = design
    judges = judges_of(share_clips(clips_of(n), names, per_clip, random.Random(seed)))
    pairs = Counter(dict.fromkeys(itertools.combinations(names, 2), 0))
    pairs.update(pair for who in judges.values() for pair in itertools.combinations(sorted(who), 2))
    assert spread(pairs) <= 4


@given(designs(), st.integers(0, 60), st.integers(0, 3))
def test_new_clips_and_annotators_only_add(
    design: tuple[int, list[str], int, int], n_more: int, n_newcomers: int
) -> None:
    n, names, per_clip, seed = design
    first = judges_of(share_clips(clips_of(n), names, per_clip, random.Random(seed)))
    more = names + [f"b{number}" for number in range(n_newcomers)]
    second = share_clips(clips_of(n + n_more), more, per_clip, random.Random(seed + 1), held=first)
    wanted = per_clip or len(more)
    for clip in clips_of(n + n_more):
        new = judges_of(second).get(clip, [])
        assert not set(new) & set(first.get(clip, []))
        assert len(new) + len(first.get(clip, [])) == max(wanted, len(first.get(clip, [])))


def test_who_has_fewest_gets_the_new_clips() -> None:
    first = judges_of(share_clips(clips_of(40), ["a1", "a2"], 1, random.Random(1)))
    second = share_clips(clips_of(70), ["a1", "a2", "a3"], 1, random.Random(1), held=first)
    before = {"a1": 20, "a2": 20, "a3": 0}
    assert sorted(before[name] + len(clips) for name, clips in second.items()) == [23, 23, 24]


def test_those_who_left_are_replaced_only_where_they_are_not_done() -> None:
    first = judges_of(share_clips(clips_of(30), ["a1", "a2"], 1, random.Random(3)))
    done = {clip: who for clip, who in first.items() if who == ["a1"]}
    third = share_clips(clips_of(30), ["a1", "a3"], 1, random.Random(4), held=done)
    assert sorted(third["a3"] + third["a1"]) == sorted(set(first) - set(done))


def test_the_two_passes_of_a_clip_go_to_different_people_where_there_is_a_choice() -> None:
    names = ["a1", "a2", "a3", "a4"]
    er = judges_of(share_clips(clips_of(200), names, 2, random.Random(5)))
    fer = judges_of(share_clips(clips_of(200), names, 2, random.Random(6), other_pass=er))
    apart = sum(not set(er[clip]) & set(fer[clip]) for clip in er)
    blind = judges_of(share_clips(clips_of(200), names, 2, random.Random(6)))
    assert apart >= 190
    assert apart > 4 * sum(not set(er[clip]) & set(blind[clip]) for clip in er)
