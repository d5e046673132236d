"""The colours themselves, by what they are for; no Qt, so that tests can measure their contrast anywhere."""

from __future__ import annotations

#: Sizes of text that the settings offer, per cent.
TEXT_PERCENTS: tuple[int, ...] = (85, 100, 115, 130, 150, 175, 200)

PALETTES: dict[str, dict[str, str]] = {
    "light": {
        "background": "#eef0f3", "panel": "#ffffff", "raised": "#f3f5f8", "line": "#c5ccd6", "edge": "#7b8696",
        "text": "#1b2027", "dim": "#4d5766", "faint": "#6b7583",
        "accent": "#005a9c", "accent_text": "#ffffff", "accent_soft": "#dcebf8", "focus": "#b34700",
        "good": "#00694a", "warn": "#7a4f00", "bad": "#a8200d", "warn_soft": "#fff1d0", "bad_soft": "#fde3df",
        "good_soft": "#dcf3ea", "screen": "#16181c", "screen_text": "#d5d9df",
        "cursor": "#b34700", "apex": "#a03c7c", "onset": "#00694a", "offset": "#005a9c", "flag": "#b34700",
        "loop": "#bcd9f2", "gaze": "#b34700", "gaze_2": "#005a9c", "fixation": "#9cc9ec", "blink": "#d9b3cb",
        "pupil": "#00694a", "velocity": "#a03c7c",
    },
    "dark": {
        "background": "#15181c", "panel": "#1d2126", "raised": "#292f36", "line": "#3c444e", "edge": "#7d8896",
        "text": "#dfe3e8", "dim": "#a5aebb", "faint": "#8a94a1",
        "accent": "#2975b3", "accent_text": "#ffffff", "accent_soft": "#1d3a53", "focus": "#ffb454",
        "good": "#4fc79a", "warn": "#e6b450", "bad": "#ff8a75", "warn_soft": "#453712", "bad_soft": "#4f221b",
        "good_soft": "#173a2d", "screen": "#0a0b0d", "screen_text": "#c9ced6",
        "cursor": "#ffb454", "apex": "#e39cc6", "onset": "#4fc79a", "offset": "#6db7f2", "flag": "#ffb454",
        "loop": "#24465f", "gaze": "#ffb454", "gaze_2": "#6db7f2", "fixation": "#2c5573", "blink": "#5d3a50",
        "pupil": "#4fc79a", "velocity": "#e39cc6",
    },
}  # fmt: skip
