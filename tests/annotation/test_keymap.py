"""Keys can be changed, and no key ever does two things."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.keymap import KeyConflictError, Keymap, canonical
from annotation.keys import KEYS
from data_schema.errors import UsageError

ACTIONS = st.sampled_from([key.action for key in KEYS])
SEQUENCES = st.sampled_from([*(one for key in KEYS for one in key.sequences), "Ctrl+M", "ctrl+shift+m", "F7", "no key"])


def test_no_two_declared_actions_share_a_key() -> None:
    every = [canonical(one) for key in KEYS for one in key.sequences]
    assert len(set(every)) == len(every)


@pytest.mark.parametrize(
    ("written", "compared"),
    [
        ("shift+ctrl+z", "Ctrl+Shift+Z"),
        ("m", "M"),
        (",", ","),
        ("Ctrl+,", "Ctrl+,"),
        ("+", "+"),
        ("Ctrl++", "Ctrl++"),
        ("pagedown", "PgDown"),
        ("Del", "Delete"),
        ("f5", "F5"),
        ("ö", "Ö"),
    ],
)
def test_sequences_are_compared_as_qt_writes_them(written: str, compared: str) -> None:
    assert canonical(written) == compared


@pytest.mark.parametrize("written", ["", "Ctrl+", "Ctrl", "Hyper+M", "MM", "Ctrl+K, Ctrl+C", "Escape", " "])
def test_what_is_no_key_is_refused(written: str) -> None:
    with pytest.raises(UsageError, match="key"):
        canonical(written)


def test_a_key_that_is_taken_is_refused_with_the_action_that_has_it() -> None:
    keymap = Keymap()
    with pytest.raises(KeyConflictError, match=r"'N' already does 'next'"):
        keymap.rebind("mark.apex", ["X", "n"])
    assert keymap.sequences("mark.apex") == ("M",) and keymap.action("x") is None
    keymap.rebind("mark.apex", ["x"])
    assert keymap.action("X") == "mark.apex" and keymap.action("M") is None
    assert keymap.changes() == {"mark.apex": ("X",)}
    keymap.rebind("next", ["M"])
    with pytest.raises(KeyConflictError):
        keymap.reset("mark.apex")
    keymap.reset()
    assert keymap.changes() == {}


def test_two_actions_may_exchange_their_keys_in_the_settings() -> None:
    keymap = Keymap({"next": ["P"], "previous": ["N"]})
    assert (keymap.action("p"), keymap.action("n"), keymap.problems) == ("next", "previous", [])
    keymap.exchange("next", "previous")
    assert keymap.action("p") == "previous"


def test_settings_written_by_hand_never_leave_anyone_without_keys() -> None:
    keymap = Keymap({"next": ["Space"], "flying": ["X"], "flag": 7, "skip": [], "loop": ["blah blah"], "trace": ["Y"]})
    assert len(keymap.problems) == 5 and keymap.changes() == {"trace": ("Y",)}
    assert any("'Space' already does 'play'" in problem for problem in keymap.problems)


@given(st.dictionaries(ACTIONS, st.lists(SEQUENCES, max_size=3), max_size=6))
def test_whatever_the_settings_hold_each_key_does_one_thing(changes: dict[str, list[str]]) -> None:
    keymap = Keymap(changes)
    every = [one for key in KEYS for one in keymap.sequences(key.action)]
    assert len(set(every)) == len(every) and all(keymap.sequences(key.action) for key in KEYS)
    assert Keymap(keymap.changes()).changes() == keymap.changes()
