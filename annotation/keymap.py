"""Which keys do what for one annotator: the table of `annotation.keys` with the changes that they made.

Key sequences are text as Qt writes it (``Ctrl+Shift+Z``); nothing here needs Qt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from annotation.keys import KEY_BY_ACTION, KEYS
from data_schema.errors import UsageError

_MODIFIERS = {"ctrl": "Ctrl", "control": "Ctrl", "alt": "Alt", "shift": "Shift", "meta": "Meta", "win": "Meta"}
_ORDER = ("Meta", "Ctrl", "Alt", "Shift")  # as Qt writes them
_NAMES = {
    name.lower(): name
    for name in (
        "Tab", "Backspace", "Return", "Enter", "Space", "Up", "Down", "Left", "Right", "Home", "End", "PgUp", "PgDown",
        "Delete", "Insert", "Escape", *(f"F{number}" for number in range(1, 36)),
    )
} | {"del": "Delete", "ins": "Insert", "esc": "Escape", "pageup": "PgUp", "pagedown": "PgDown", "backtab": "Tab"}  # fmt: skip
#: Keys that the window needs for itself: out of a dialog, and into menus.
RESERVED = ("Escape", "Alt", "Ctrl", "Shift", "Meta")


class KeyConflictError(UsageError):
    """A key that does something else already.

    Parameters
    ----------
    sequence : str
    action : str
        What the key does now.
    """

    def __init__(self, sequence: str, action: str) -> None:
        self.sequence, self.action = sequence, action
        super().__init__(
            f"'{sequence}' already does '{action}'. Give that action another key first, or choose another."
        )


def canonical(sequence: str) -> str:
    """Return a key sequence as it is compared: ``shift+ctrl+z`` becomes ``Ctrl+Shift+Z``.

    Raises
    ------
    UsageError
        If it is no single key with modifiers.
    """
    text = sequence.strip()
    # "+" itself is a key, and "," too: neither may be taken for a separator.
    is_plus = text == "+" or text.endswith("++")
    head, key = (text[:-1], "+") if is_plus else text.rpartition("+")[::2]
    words = [word.strip().lower() for word in head.split("+") if word.strip()]
    key = key.strip()
    unknown = [word for word in words if word not in _MODIFIERS]
    named = _NAMES.get(key.lower())
    if unknown or not (named or (len(key) == 1 and key.isprintable() and not key.isspace())):
        raise UsageError(f"'{sequence}' is no key. Expected one such as 'M', 'Space', 'F5' or 'Ctrl+Shift+Z'.")
    if named in RESERVED:
        raise UsageError(f"'{sequence}' is kept for leaving dialogs. Choose another key.")
    modifiers = {_MODIFIERS[word] for word in words}
    return "+".join([*(name for name in _ORDER if name in modifiers), named or key.upper()])


class Keymap:
    """The keys of every action.

    Parameters
    ----------
    changes : mapping, optional
        Key sequences by action, in place of the declared ones. An action that
        is unknown, a sequence that is no key, or one that another action needs
        is left out and named in `problems`: a settings file that was edited by
        hand never leaves the annotator without keys.
    """

    def __init__(self, changes: Mapping[str, Iterable[str]] | None = None) -> None:
        self._sequences = _declared()
        self.problems: list[str] = []
        good: dict[str, tuple[str, ...]] = {}
        for action, sequences in (changes or {}).items():
            try:
                good[self._known(action)] = self._checked(action, sequences)
            except UsageError as error:
                self.problems.append(f"keys of '{action}': {error}")
        # All at once, since two changes may exchange their keys; then whatever collides goes back.
        while clash := _first_clash({**_declared(), **good}):
            sequence, (one, other) = clash
            dropped = other if other in good else one
            del good[dropped]
            owner = one if dropped == other else other
            self.problems.append(f"keys of '{dropped}': {KeyConflictError(sequence, owner)}")
        self._sequences.update(good)

    def sequences(self, action: str) -> tuple[str, ...]:
        """Return the keys of an action, the first being the one that menus show."""
        return self._sequences[self._known(action)]

    def action(self, sequence: str) -> str | None:
        """Return what a key does, or None."""
        try:
            wanted = canonical(sequence)
        except UsageError:
            return None
        return next((action for action, keys in self._sequences.items() if wanted in keys), None)

    def rebind(self, action: str, sequences: Iterable[str]) -> None:
        """Give an action other keys; all of them, or none if one is not free.

        Raises
        ------
        KeyConflictError
            If another action has one of the keys.
        UsageError
            If the action is unknown, no key is left to it, or a sequence is no key.
        """
        self._known(action)
        wanted = self._checked(action, sequences)
        for sequence in wanted:
            owner = self.action(sequence)
            if owner not in (None, action):
                raise KeyConflictError(sequence, str(owner))
        self._sequences[action] = wanted

    def exchange(self, action: str, other: str) -> None:
        """Let two actions exchange their keys."""
        mine, theirs = self.sequences(action), self.sequences(other)
        self._sequences[action], self._sequences[other] = theirs, mine

    def reset(self, action: str | None = None) -> None:
        """Take the declared keys again, of one action or of all.

        Raises
        ------
        KeyConflictError
            If another action took one of them meanwhile.
        """
        if action is not None:
            self.rebind(action, KEY_BY_ACTION[self._known(action)].sequences)
            return
        self._sequences = _declared()

    def changes(self) -> dict[str, tuple[str, ...]]:
        """Return what differs from the declared table, as the settings keep it."""
        declared = _declared()
        return {action: keys for action, keys in self._sequences.items() if keys != declared[action]}

    def _known(self, action: str) -> str:
        if action not in self._sequences:
            raise UsageError(f"there is no action '{action}'. The sheet of keys lists them all.")
        return action

    def _checked(self, action: str, sequences: Iterable[str]) -> tuple[str, ...]:
        given = [sequences] if isinstance(sequences, str) else sequences
        if not isinstance(given, (list, tuple)) or not all(isinstance(one, str) for one in given):
            raise UsageError(f"keys of '{action}' are {given!r}, expected text such as 'Ctrl+M'.")
        wanted = tuple(dict.fromkeys(canonical(one) for one in given))
        if not wanted:
            raise UsageError(f"'{action}' would have no key left. Give it at least one.")
        return wanted


def _declared() -> dict[str, tuple[str, ...]]:
    return {key.action: tuple(canonical(one) for one in key.sequences) for key in KEYS}


def _first_clash(keys: Mapping[str, tuple[str, ...]]) -> tuple[str, tuple[str, str]] | None:
    """Return a sequence that two actions have, with both of them."""
    owners: dict[str, str] = {}
    for action, sequences in keys.items():
        for sequence in sequences:
            if sequence in owners:
                return sequence, (owners[sequence], action)
            owners[sequence] = action
    return None
