"""Where the desk stood when the tool was closed or killed."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass

from annotation.desk.saving import STORE_ERRORS
from annotation.desk.state import Page
from data_schema.labels import LabelStore

_log = logging.getLogger(__name__)
#: A place that changed is saved once it stood still for this long; while a clip plays, this often.
STILL_S, PLAYING_S = 0.5, 5.0


@dataclass(frozen=True)
class Place:
    """Item, frame and page, and the seconds that the item was looked at."""

    item_id: str = ""
    frame: int = 0
    page: str = Page.CLIP.value
    seconds: float = 0.0
    code: str = ""
    """The lab's code of admission, once it was right."""


class PlaceKeeper:
    """Keeps the place of one pass in the store. A place that cannot be saved is no reason to stop anyone.

    Parameters
    ----------
    store : LabelStore
    task : {'er', 'fer'}
    clock : callable
        Seconds, monotonic.
    """

    def __init__(self, store: LabelStore, task: str, clock: Callable[[], float]) -> None:
        self._store, self._key, self._clock = store, f"place.{task}", clock
        self.stored = self._load()
        self._seen, self._since = self.stored, clock()

    def follow(self, place: Place, playing: bool) -> None:
        """Note the place at each tick; save it now and then."""
        now = self._clock()
        if _spot(place) != _spot(self._seen) and not playing:
            self._seen, self._since = place, now
        still = now - self._since >= (PLAYING_S if playing else STILL_S)
        if still and _spot(place) != _spot(self.stored):
            self.save(place)

    def save(self, place: Place, *, seconds_too: bool = False) -> None:
        """Save the place now, unless it is saved; each time costs a full sync."""
        if _spot(place) == _spot(self.stored) and place.code == self.stored.code and not seconds_too:
            return
        self._seen, self._since = place, self._clock()
        self.stored = place
        try:
            self._store.set_desk_value(self._key, json.dumps(asdict(place)))
        except STORE_ERRORS as error:
            _log.warning("the place was not saved: %s", error)

    def _load(self) -> Place:
        try:
            found = json.loads(self._store.desk_value(self._key) or "{}")
            usual = asdict(Place())
            kinds = {name: (int, float) if isinstance(value, float) else type(value) for name, value in usual.items()}
            good = {name: found[name] for name in usual if isinstance(found.get(name), kinds[name])}
            return Place(**{**usual, **good})
        except (AttributeError, TypeError, ValueError) as error:
            _log.warning("where the desk stood cannot be read: %s", error)
            return Place()


def _spot(place: Place) -> tuple[str, int, str]:
    """Return what makes two places different; the seconds alone do not."""
    return (place.item_id, place.frame, place.page)
