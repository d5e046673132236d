"""Colours stand out and can be told apart, measured as WCAG and colour blindness ask."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from annotation.views.palette import PALETTES

#: Brettel, Vienot and Mollon (1997) as simplified by Vienot et al. (1999): linear RGB as dichromats see it.
_BLIND = {
    "protan": np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]]),
    "deutan": np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]]),
}


def _linear(colour: str) -> np.ndarray:
    share = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def _contrast(one: str, other: str) -> float:
    light = sorted(float(_linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (light[1] + 0.05) / (light[0] + 0.05)


@pytest.mark.parametrize("name", list(PALETTES))
def test_text_can_be_read_on_everything_it_stands_on(name: str) -> None:
    colours = PALETTES[name]
    for text, back in itertools.product(
        ("text", "dim", "good", "warn", "bad", "focus"), ("background", "panel", "raised")
    ):
        assert _contrast(colours[text], colours[back]) >= 4.5, (text, back)
    for back in ("accent_soft", "warn_soft", "bad_soft", "good_soft", "loop"):
        assert _contrast(colours["text"], colours[back]) >= 4.5, back
    assert _contrast(colours["accent_text"], colours["accent"]) >= 4.5
    assert _contrast(colours["screen_text"], colours["screen"]) >= 4.5


@pytest.mark.parametrize("name", list(PALETTES))
def test_frames_marks_and_curves_stand_out(name: str) -> None:
    colours = PALETTES[name]
    for role in ("edge", "accent", "focus", "cursor", "apex", "onset", "offset", "gaze", "gaze_2", "pupil", "velocity"):
        assert _contrast(colours[role], colours["panel"]) >= 3.0, role


@pytest.mark.parametrize("kind", list(_BLIND))
@pytest.mark.parametrize("name", list(PALETTES))
def test_colours_that_lie_over_each_other_differ_for_the_colour_blind(name: str, kind: str) -> None:
    colours = PALETTES[name]
    for pair in (("gaze", "gaze_2"), ("cursor", "loop"), ("focus", "accent"), ("cursor", "offset")):
        seen = [np.clip(_BLIND[kind] @ _linear(colours[role]), 0, 1) ** (1 / 2.2) for role in pair]
        assert np.linalg.norm(seen[0] - seen[1]) > 0.25, pair


def test_both_palettes_know_the_same_roles() -> None:
    assert set(PALETTES["light"]) == set(PALETTES["dark"])
