"""What the ER views show at this moment, kept in step with the desk; no Qt."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from annotation.desk.state import FRAME, ITEM
from annotation.evidence.eyes import EyeEvidence, StimulusTrack
from annotation.evidence.feed import StimulusFeed
from annotation.playback.frames import FrameSource, RgbImage

if TYPE_CHECKING:
    from annotation.desk.desk import Desk
    from annotation.playback.player import Player


class EyeScene:
    """Follows the desk's player: its time, the stimulus' frame of that time, and the eyes.

    Parameters
    ----------
    desk : Desk
    wake : callable
        Called from another thread when a frame of the stimulus is there: let `refresh` be called in the
        desk's own thread.
    """

    def __init__(self, desk: Desk, wake: Callable[[], None]) -> None:
        self.desk = desk
        self._wake = wake
        self._feed: StimulusFeed | None = None
        self._track: StimulusTrack | None = None
        self._listeners: list[Callable[[], None]] = []
        self._closed = False
        self.eyes: EyeEvidence | None = None
        self.time_us = 0
        self.index: int | None = None
        self.image: RgbImage | None = None
        #: Raised with each clip, so that views know when to draw their background anew.
        self.generation = 0
        #: Time for which `image` was fetched: what is drawn onto the picture belongs to the same moment as it.
        self.picture_time_us = 0
        self._endings = [desk.subscribe(ITEM, self._follow_item), desk.subscribe(FRAME, self.refresh)]
        self._follow_item()

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` when the time, the picture or the clip changed."""
        self._listeners.append(listener)

    @property
    def track(self) -> StimulusTrack | None:
        """The stimulus of this clip, None if there is none."""
        return self._track

    @property
    def picture_is_due(self) -> bool:
        """Whether `image` is the frame that stood on the screen at `time_us`: False while it is being decoded."""
        return self._track is None or (self.image is not None and self.index == self._track.frame_at(self.time_us))

    @property
    def problem(self) -> str:
        """Why the stimulus' frame of this moment cannot be shown; empty if nothing is wrong."""
        if self._feed is None or self._track is None:
            return ""
        return self._feed.problem(self._track.frame_at(self.time_us))

    @property
    def duration_us(self) -> int:
        """Length of the clip: of the face's video, or of the gaze where there is no video."""
        frames = self._face()
        last = int(frames.times_us[-1]) if frames is not None and len(frames) else 0
        if self.eyes is not None and len(self.eyes.gaze_t_us):
            last = max(last, int(self.eyes.gaze_t_us[-1]))
        return max(1, last)

    def seek(self, time_us: int) -> None:
        """Stop the desk's player at the frame of a time."""
        frames = self._face()
        if frames is None or not len(frames):
            return
        index = frames.index_at(time_us)

        def go(player: Player) -> None:
            player.pause()
            player.seek(index)

        self.desk.play_action(go)

    def _face(self) -> FrameSource | None:
        return None if self.desk.player is None else self.desk.player.frames

    def refresh(self) -> None:
        """Read the player's time and fetch what belongs to it."""
        if self._closed:
            return
        if self.desk.stimulus is not self._track or self.desk.eyes is not self.eyes:
            self._follow_item()
            return
        self.time_us = int(self.desk.player.time_us) if self._face() is not None else 0
        if self._track is None:
            self.picture_time_us = self.time_us
        if self._feed is not None and self._track is not None:
            index = self._track.frame_at(self.time_us)
            image = self._feed.request(index)
            if image is not None:
                self.image, self.index, self.picture_time_us = image, index, self.time_us
        for listener in tuple(self._listeners):
            listener()

    def close(self) -> None:
        """Stop decoding and following; may be called again. What is still on its way here then changes nothing."""
        self._closed = True
        for end in self._endings:
            end()
        self._listeners.clear()
        self._end_feed()

    def _end_feed(self) -> None:
        if self._feed is not None:
            self._feed.close()
            self._feed = None

    def _follow_item(self) -> None:
        self._end_feed()
        self._track, self.eyes = self.desk.stimulus, self.desk.eyes
        self.image, self.index, self.picture_time_us = None, None, 0
        self.generation += 1
        if self._track is not None:
            self._feed = StimulusFeed(self._track.frames, self._wake)
        self.refresh()
