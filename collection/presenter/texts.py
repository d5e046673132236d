"""What the participant reads."""

from __future__ import annotations

WELCOME_TEXT = (
    "Welcome, and thank you for taking part.\n\n"
    "You will watch short clips. After each one you are asked how you felt. There are no right or wrong answers.\n"
    "Your eyes and your face are recorded while you watch, as you have agreed.\n\n"
    "You may stop at any time, without giving a reason: tell the person in the room or press Escape."
)
BREAK_TEXT = "Take a break. Go on when you are ready."
END_TEXT = "That was the last clip. Thank you.\n\nIf you want your recording deleted, tell the person in the room."

_PROMPTS: dict[str, str] = {
    "valence": "How pleasant did you feel while watching?",
    "arousal": "How excited did you feel while watching?",
    "familiarity": "Had you seen this clip before?",
    "attention": "Did you watch the whole clip attentively?",
}


def item_prompt(scale: str) -> str:
    """Return the question for a scale; a scale without one of its own is taken for an emotion."""
    return _PROMPTS.get(scale, f"How strongly did you feel {scale}?")
