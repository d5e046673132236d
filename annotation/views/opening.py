"""Clips that begin to play when they come onto the desk, for those who want it so."""

from __future__ import annotations

from typing import Protocol

from annotation.items import Item
from annotation.playback.player import Player
from annotation.settings import SettingsFile


class Playing(Protocol):
    """A desk with a clip on it."""

    player: Player

    @property
    def item(self) -> Item:
        """What is on the desk."""
        ...

    def perform(self, action: str) -> bool:
        """Do an action of `annotation.keys`."""
        ...


class Opening:
    """Play each clip once, when it opens.

    Parameters
    ----------
    desk : Playing
    settings : SettingsFile
        `play_on_open` says whether.
    """

    def __init__(self, desk: Playing, settings: SettingsFile) -> None:
        self._desk, self._settings = desk, settings
        self._opened = ""

    def look(self, *, covered: bool) -> None:
        """Play the clip on the desk if it just came; not one that is covered, nor one that was left in its middle."""
        item, player = self._desk.item, self._desk.player
        if item is None or item.item_id == self._opened:
            return
        self._opened = item.item_id
        if covered or not self._settings.settings.play_on_open:
            return
        if player.frames is not None and player.target == 0 and not player.playing:
            self._desk.perform("play")
