"""Every action of the tool and its keys, declared once.

Menus, buttons, the sheet on ``?`` and the settings read this table; each user may
give an action other keys. It works on a laptop without number pad: no action
needs a key that such a keyboard lacks. Digits mean whatever the field in focus
asks for (emotion, polarity, valence, arousal, intensity, confidence), and the
focus moves on by itself, so that a whole label is a row of digits and Enter.
"""

from __future__ import annotations

from dataclasses import dataclass

LABEL, PLAY, MOVE, TRACE, EYES, WINDOW = "label", "play", "move", "trace", "eyes", "window"


@dataclass(frozen=True)
class Key:
    """One action.

    Parameters
    ----------
    action : str
        Stable name; also its key in the texts (``keys.ACTION``).
    sequences : tuple of str
        As Qt writes key sequences; any of them works.
    group : str
        Heading in the sheet.
    """

    action: str
    sequences: tuple[str, ...]
    group: str


KEYS: tuple[Key, ...] = (
    *(Key(f"digit.{n}", (str(n),), LABEL) for n in range(10)),
    Key("field.next", ("Tab",), LABEL),
    Key("field.previous", ("Shift+Tab",), LABEL),
    Key("field.clear", ("Backspace",), LABEL),
    Key("scale.up", ("Up",), LABEL),
    Key("scale.down", ("Down",), LABEL),
    Key("commit", ("Return", "Enter"), LABEL),
    Key("skip", ("S",), LABEL),
    Key("comment", ("C",), LABEL),
    Key("flag", ("F",), LABEL),
    Key("guess.accept", ("G",), LABEL),
    Key("undo", ("Ctrl+Z",), LABEL),
    Key("redo", ("Ctrl+Y", "Ctrl+Shift+Z"), LABEL),
    Key("play", ("Space",), PLAY),
    Key("replay", ("R",), PLAY),
    Key("step.back", ("Left",), PLAY),
    Key("step.forward", ("Right",), PLAY),
    Key("scrub.back", ("Shift+Left",), PLAY),
    Key("scrub.forward", ("Shift+Right",), PLAY),
    Key("clip.start", ("Home", "Ctrl+Left"), PLAY),
    Key("clip.end", ("End", "Ctrl+Right"), PLAY),
    Key("slower", ("[", "-"), PLAY),
    Key("faster", ("]", "="), PLAY),
    Key("loop", ("L",), PLAY),
    Key("loop.start", ("A",), PLAY),
    Key("loop.end", ("B",), PLAY),
    Key("mark.apex", ("M",), PLAY),
    Key("mark.onset", (",",), PLAY),
    Key("mark.offset", (".",), PLAY),
    Key("mark.remove", ("Delete", "Shift+M"), PLAY),
    Key("next", ("N", "PgDown"), MOVE),
    Key("previous", ("P", "PgUp"), MOVE),
    Key("next.open", ("O",), MOVE),
    Key("break", ("Ctrl+B",), MOVE),
    Key("trace", ("T",), TRACE),
    # Parts of the ER pass that are shown or put away, in the order of their buttons.
    *(
        Key(f"er.{part}", (f"Ctrl+{number}",), EYES)
        for number, part in enumerate(("stimulus", "gaze", "traces", "map", "velocity", "page"), start=1)
    ),
    Key("keys", ("?", "F1"), WINDOW),
    Key("theme", ("Ctrl+T",), WINDOW),
    Key("language", ("Ctrl+L",), WINDOW),
    Key("settings", ("Ctrl+,",), WINDOW),
    Key("help", ("Shift+F1",), WINDOW),
    Key("fullscreen", ("F11",), WINDOW),
    Key("quit", ("Ctrl+Q",), WINDOW),
)
KEY_BY_ACTION: dict[str, Key] = {key.action: key for key in KEYS}
