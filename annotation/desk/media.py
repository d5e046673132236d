"""What is shown of the item on the desk: the face, and in the ER pass the stimulus and the eyes."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from annotation.evidence.eyes import EyeEvidence, StimulusTrack
from annotation.items import Item
from annotation.playback.frames import FrameSource
from annotation.playback.player import Player
from annotation.playback.prefetch import Prefetcher
from annotation.source import ClipSource
from data_schema.errors import EmerError, MediaError


class Media:
    """Opens the clips of a source, the next ones ahead of time.

    Parameters
    ----------
    source : ClipSource
    player : Player
        Shows the face.
    """

    def __init__(self, source: ClipSource, player: Player) -> None:
        self._source, self._player = source, player
        self._ahead = Prefetcher(self._open_ahead)
        self._item: Item | None = None
        self._stimulus: StimulusTrack | None = None
        self._has_stimulus = False
        self._eyes: EyeEvidence | None = None
        self._has_eyes = False
        self.error: EmerError | None = None
        """Why the face cannot be shown."""

    def show(self, item: Item, frame: int = 0) -> None:
        """Put the face of an item into the player; `error` says why if that is not possible."""
        self._let_go()
        self._item, self.error = item, None
        try:
            self._player.load(self._ahead.take(item), frame)
        except (EmerError, OSError) as error:
            self._player.unload()
            self.error = error if isinstance(error, EmerError) else MediaError(f"{item.clip_id}: {error}")

    def prepare(self, items: Iterable[Item]) -> None:
        """Get the items ready that come next."""
        self._ahead.prepare(items)

    def stimulus(self) -> StimulusTrack | None:
        """Return the stimulus of the item; None where it has none.

        Raises
        ------
        EmerError
            If it cannot be opened.
        """
        if not self._has_stimulus and self._item is not None:
            self._has_stimulus = True
            self._stimulus = self._source.open_stimulus(self._item)
        return self._stimulus

    def eyes(self) -> EyeEvidence | None:
        """Return the eye behaviour of the item; raises as `stimulus` does."""
        if not self._has_eyes and self._item is not None:
            self._has_eyes = True
            self._eyes = self._source.eyes(self._item)
        return self._eyes

    def close(self) -> None:
        """Close all files; may be called again."""
        self._let_go()
        self._player.unload()
        self._ahead.close()

    def _open_ahead(self, item: Item) -> FrameSource:
        """Open the face. A source keeps the eyes that it computed, so that the window does not wait for them later."""
        frames = self._source.open_face(item)
        if self._source.task == "er":
            with suppress(EmerError):  # told when the annotator comes to the clip
                self._source.eyes(item)
        return frames

    def _let_go(self) -> None:
        if self._stimulus is not None:
            self._stimulus.frames.close()
        self._stimulus, self._has_stimulus = None, False
        self._eyes, self._has_eyes = None, False
