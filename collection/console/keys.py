"""Every key of the console, declared once: the shortcuts, the buttons' labels and the sheet on F1 read this."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Key:
    """One action and its keys.

    Parameters
    ----------
    action : str
        Stable name.
    sequences : tuple of str
        As Qt writes key sequences; any of them works.
    label : str
        On the button and in the sheet.
    help : str
        One sentence for the sheet.
    group : str
        Heading in the sheet.
    """

    action: str
    sequences: tuple[str, ...]
    label: str
    help: str
    group: str


_SESSION, _LOOK, _ASKED, _WINDOW = "Session", "Pages", "Questions and forms", "Window"

KEYS: tuple[Key, ...] = (
    Key("mark", ("Space", "M"), "Mark", "Set a mark now; the time is that of the key.", _SESSION),
    Key("note", ("N",), "Note", "Write a note: N, the text, Enter. Escape leaves the field.", _SESSION),
    Key("pause", ("P",), "Pause", "Pause the session at the next moment that allows it; the recording goes on.", _SESSION),
    Key("go_on", ("G",), "Go on", "End the pause.", _SESSION),
    Key("skip", ("K",), "Skip", "Skip the trial that runs; asks once.", _SESSION),
    Key("recheck", ("R",), "Re-check", "Check the calibration quickly before the next trial.", _SESSION),
    Key("recalibrate", ("C",), "Calibrate", "Calibrate anew before the next trial.", _SESSION),
    Key("stop", ("S",), "Stop", "End the session; asks twice. The file stays valid.", _SESSION),
    Key("mute", ("X",), "Mute", "Silence the beep until a new alarm comes.", _SESSION),
    Key("page_form", ("F2",), "Participant", "Participant's form.", _LOOK),
    Key("page_preflight", ("F3",), "Pre-flight", "Checks before the session.", _LOOK),
    Key("page_live", ("F4",), "Live", "Gaze, camera, streams.", _LOOK),
    Key("page_calibration", ("F5",), "Calibration", "Result of the calibration.", _LOOK),
    Key("page_summary", ("F6",), "Summary", "End of the session.", _LOOK),
    Key("choice", ("1", "2", "3", "4", "5", "6", "7", "8", "9"), "1 to 9", "Take that choice of the open question.", _ASKED),
    Key("previous", ("Left",), "Left", "Show the attempt before.", _ASKED),
    Key("next", ("Right",), "Right", "Show the attempt after.", _ASKED),
    Key("submit", ("Ctrl+Return", "Ctrl+Enter"), "Ctrl+Enter", "Send the form.", _ASKED),
    Key("yes", ("Y",), "Yes", "Yes, where the console asks back.", _ASKED),
    Key("no", ("Escape",), "Escape", "No, where the console asks back; leave a field.", _ASKED),
    Key("open_page", ("O",), "Open", "Open the quality page (after the session).", _ASKED),
    Key("keys", ("F1",), "Keys", "Show or hide this sheet.", _WINDOW),
    Key("fullscreen", ("F11",), "Full screen", "Full screen, and back.", _WINDOW),
    Key("close", ("Ctrl+Q",), "Close", "Close the console. The session and its recording go on.", _WINDOW),
)  # fmt: skip

KEY_BY_ACTION: dict[str, Key] = {key.action: key for key in KEYS}


def label_with_key(action: str) -> str:
    """Return a button's label with its first key, such as 'Pause (P)'."""
    key = KEY_BY_ACTION[action]
    return f"{key.label} ({key.sequences[0]})"
