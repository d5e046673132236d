"""A clip of a session's face video, with the session's own frame numbers and time stamps."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from annotation.playback.decoding import DecodeOrder, FrameDecoder, as_image, new_codec
from annotation.playback.frames import FrameIdentity, RgbImage
from data_schema.errors import EmerError, MediaError
from data_schema.session.layout import FRAMES, PACKETS
from data_schema.session.reader import Session, open_session
from data_schema.session.video import VideoStream

#: Decoder for the encoder that made the packets.
_DECODERS = {"libx264": "h264", "libx265": "hevc"}
#: Rows read before the clip to find its first key frame; doubled until one is found.
_ROWS_BEFORE = 64


class SessionClipFrames:
    """The camera frames of a session with ``t_start_us <= capture time < t_end_us``.

    Parameters
    ----------
    session_path : Path
    t_start_us, t_end_us : int
        Host clock, microseconds: the clip's onset and its end (excluded).

    Raises
    ------
    MediaError
        If the session cannot be read, has no face video, or has no frame in that time.
    """

    def __init__(self, session_path: Path | str, t_start_us: int, t_end_us: int) -> None:
        path = Path(session_path)
        self._name = path.name
        try:
            self._session: Session | None = open_session(path)
        except (EmerError, OSError) as error:
            raise MediaError(f"{error}") from error
        try:
            self._read_table(t_start_us, t_end_us)
        except (EmerError, OSError, RuntimeError) as error:
            self.close()
            raise error if isinstance(error, MediaError) else MediaError(f"{self._name}: {error}") from error

    def _read_table(self, t_start_us: int, t_end_us: int) -> None:
        session = self._open_session()
        packets = session.file.get(PACKETS.path)
        stream = VideoStream.from_attributes(packets) if packets is not None else None
        if stream is None:
            raise MediaError(f"{self._name}: the session has no face video. Leave its clips out of the work.")
        self._packets = packets
        table = session.table(FRAMES)
        start, stop = table.index_at(t_start_us), table.index_at(t_end_us)
        if stop <= start:
            raise MediaError(
                f"{self._name}: no camera frame between {t_start_us} and {t_end_us} us of the host clock. Build the clip "
                f"table again with `emer clips`; if it keeps the clip, the camera was off: leave the clip out."
            )
        rows, key_row = _rows_from_key(table, start, stop)
        self._rows, self._key_row = rows, key_row
        self._first = start
        shown = rows[start - key_row :]
        self.width_px, self.height_px = stream.width_px, stream.height_px
        self.time_base: Fraction = stream.time_base
        self.pts: npt.NDArray[np.int64] = shown["pts"].astype(np.int64)
        self.times_us: npt.NDArray[np.int64] = shown["t_capture_us"].astype(np.int64) - t_start_us
        keys = np.flatnonzero(rows["keyframe"]).astype(np.int64)
        self.group_starts: npt.NDArray[np.int64] = keys - (start - key_row)
        # The face video is encoded without B-frames: the table's order is both the decoder's and the viewer's.
        order = DecodeOrder(np.arange(len(rows), dtype=np.int64), rows["pts"].astype(np.int64), keys, len(rows))
        codec = _DECODERS.get(stream.codec, stream.codec)
        self._decoder = FrameDecoder(
            self._name,
            order,
            self._read_packets,
            lambda: _low_delay(new_codec(codec, stream.extradata)),
            self.width_px * self.height_px * 3 // 2,
            f"Run `emer check {self._name}`; if it finds nothing, copy the file again from the recording PC.",
            key_row,
        )
        self._time_list: list[int] = self.times_us.tolist()

    def __len__(self) -> int:
        return len(self.pts)

    def identity(self, index: int) -> FrameIdentity:
        """Return row and pts of a frame in ``/face/frames``."""
        return FrameIdentity(self._first + index, int(self.pts[index]))

    def frame(self, index: int) -> RgbImage:
        """Return one frame, shape (height, width, 3), RGB.

        Raises
        ------
        IndexError
            If the clip has no such frame.
        MediaError
            If it does not decode, or the file cannot be read any more.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"{self._name}: the clip has frames 0 to {len(self) - 1}, asked for {index}")
        self._open_session()
        picture = self._decoder.picture(index + self._first - self._key_row)
        return as_image(picture, self.width_px, self.height_px)

    def is_kept(self, index: int) -> bool:
        """Say whether a frame is decoded already."""
        return self._decoder.is_kept(index + self._first - self._key_row)

    def stop_when(self, is_urgent: Callable[[], bool]) -> None:
        """Let `is_urgent` end the decoding of a frame by `DecodingStopped`; it is asked before each packet."""
        self._decoder.is_urgent = is_urgent

    def index_at(self, time_us: int) -> int:
        """Return the last frame whose time is not later; 0 before the first."""
        return max(0, bisect.bisect_right(self._time_list, time_us) - 1)

    def close(self) -> None:
        """Close the session file; may be called again."""
        session, self._session = self._session, None
        if session is not None:
            session.close()
        if hasattr(self, "_decoder"):
            self._decoder.close()

    def _open_session(self) -> Session:
        if self._session is None:
            raise MediaError(f"{self._name}: the clip is closed already. Open it again.")
        return self._session

    def _read_packets(self, place: int) -> Iterator[Any]:
        """Yield packets from a key row on, a group at a time: one read of the file for each."""
        keys = np.flatnonzero(self._rows["keyframe"])
        while place < len(self._rows):
            later = keys[keys > place]
            stop = int(later[0]) if len(later) else len(self._rows)
            data, begin = self._read_bytes(place, stop)
            for row in self._rows[place:stop]:
                offset = int(row["packet_offset"]) - begin
                size = int(row["packet_size"])
                payload = data[offset : offset + size]
                if len(payload) != size:
                    return  # the bytes are lost; the decoder then says which frame lacks
                yield av.Packet(payload)
            place = stop

    def _read_bytes(self, place: int, stop: int) -> tuple[bytes, int]:
        self._open_session()
        rows = self._rows[place:stop]
        begin = int(rows["packet_offset"].min())
        end = int((rows["packet_offset"] + rows["packet_size"]).max())
        try:
            return self._packets[begin:end].tobytes(), begin
        except (OSError, RuntimeError, ValueError) as error:
            raise MediaError(
                f"{self._name}: {PACKETS.path}: bytes {begin} to {end} cannot be read: {error}. Check that the disk or "
                f"network drive is there, then show the clip again."
            ) from error


def _rows_from_key(table: Any, start: int, stop: int) -> tuple[npt.NDArray[np.void], int]:
    """Return the rows of a clip from the key frame on that its first frame needs, and that key frame's row."""
    before = _ROWS_BEFORE
    while True:
        low = max(0, start - before)
        rows = table[low:stop]
        keys = np.flatnonzero(rows["keyframe"][: start - low + 1])
        if len(keys):
            return rows[keys[-1] :], low + int(keys[-1])
        if low == 0:
            raise MediaError(f"no key frame before frame {start}; run `emer check` on the session")
        before *= 2


def _low_delay(decoder: Any) -> Any:
    decoder.flags |= av.codec.context.Flags.low_delay
    return decoder
