"""Record a stream of the Lab Streaming Layer (LSL) beside the eyes and the face.

An inlet is a device like any other. Samples keep the sender's stamps; beside them
stands the host time that the last measured clock offset makes of them, and every
measured offset is stored, so that a better model can be fitted when reading.
Numbers go to ``/lsl/samples``, texts to ``/lsl/texts``. LSL works in real time
only. ``pylsl`` is imported in :meth:`LslInlet.connect`.
"""

from __future__ import annotations

import importlib
import json
import logging
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from collection.devices.base import STREAM, DeviceInfo, Sink
from data_schema.clocks import HostClock
from data_schema.errors import DeviceError, MissingExtraError
from data_schema.session import markers
from data_schema.session.layout import LSL_OFFSETS, LSL_SAMPLES, LSL_STREAMS, LSL_TEXTS, make_row

logger = logging.getLogger(__name__)

#: Real seconds: for finding a stream, between two looks for samples, between two measured offsets.
_SEARCH_S, _POLL_S, _OFFSET_EVERY_S = 5.0, 0.02, 5.0
#: How long one measurement may take; the first one needs several round trips.
_OFFSET_TIMEOUT_S = 3.0
#: A regular stream that is silent for so long is reported; ours, the recorder's alarm is as quick.
_SILENT_S = 2.0
#: Samples taken at once.
_CHUNK = 4096
#: Values in a row of /lsl/samples.
_WIDTH = 8
_CHANNELS_JSON_BYTES = 2048
_FORMATS = {
    "cf_float32": np.float32,
    "cf_double64": np.float64,
    "cf_int8": np.int8,
    "cf_int16": np.int16,
    "cf_int32": np.int32,
    "cf_int64": np.int64,
}


def import_pylsl() -> Any:
    """Import ``pylsl``.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    DeviceError
        If its library cannot be loaded.
    """
    try:
        return importlib.import_module("pylsl")
    except ImportError as error:
        raise MissingExtraError("lsl", "pylsl", "Lab streaming") from error
    except (RuntimeError, OSError) as error:
        raise DeviceError(
            f"The library liblsl cannot be loaded ({error}). Install it for your system, or take [lsl] out of study.toml."
        ) from error


@dataclass(frozen=True)
class LslErrors:
    """Exceptions of ``pylsl``, which keeps them in a module that has changed its name."""

    lost: type[Exception] = RuntimeError
    timeout: type[Exception] = RuntimeError

    @classmethod
    def of(cls, pylsl: Any) -> LslErrors:
        """Find them; both are kinds of RuntimeError."""
        for holder in (pylsl, getattr(pylsl, "util", None), getattr(pylsl, "pylsl", None)):
            if hasattr(holder, "LostError") and hasattr(holder, "TimeoutError"):
                return cls(holder.LostError, holder.TimeoutError)
        return cls()


class LslInlet:
    """One LSL stream as a device.

    Parameters
    ----------
    clock : HostClock
        Clock of the recording; must run in real time.
    name_or_type : str
        Name of the stream, or its content type if only one stream has it.
    number : int
        Number of the stream in the session file, from 1.
    search_s : float
        How long to look for it.
    """

    def __init__(self, clock: HostClock, name_or_type: str, number: int = 1, search_s: float = _SEARCH_S) -> None:
        self.clock = clock
        self.name_or_type = name_or_type
        self.number = number
        self._search_s = search_s
        self._pylsl: Any = None
        self._errors = LslErrors()
        self._info: Any = None
        self._inlet: Any = None
        self._offset_us: float | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._verb_lock = threading.RLock()

    # -- the verbs ------------------------------------------------------------------------

    def connect(self) -> None:
        """Find the stream.

        Raises
        ------
        MissingExtraError
            If ``pylsl`` is not installed.
        DeviceError
            If no stream answers, or several do.
        """
        with self._verb_lock:
            if self._inlet is not None:
                return
            if self.clock.speed != 1.0:
                raise DeviceError(
                    f"The LSL stream '{self.name_or_type}' runs in real time only. Leave --speed out, or take it out of "
                    "inlets in [lsl] of study.toml."
                )
            self._pylsl = import_pylsl()
            self._errors = LslErrors.of(self._pylsl)
            self._open(self._search_s)

    def describe(self) -> DeviceInfo:
        """Say what the stream announces."""
        info = self._required()
        rate_hz = float(info.nominal_srate())
        rates = {LSL_SAMPLES.path: rate_hz * self._rows_per_sample} if rate_hz > 0 and not self._is_text else {}
        return DeviceInfo(
            role=STREAM,
            kind="lsl",
            model=str(info.name()),
            serial_number=str(info.source_id()),
            rates_hz=rates,
            details={
                "stream": self.number,
                "type": str(info.type()),
                "channels": int(info.channel_count()),
                "nominal_rate_hz": rate_hz,
                "host": str(info.hostname()),
                "text": self._is_text,
                "recovers_by_itself": bool(info.source_id()),
            },
        )

    def start(self, sink: Sink) -> None:
        """Deliver from now on.

        Raises
        ------
        DeviceError
            If the stream is not connected or runs already.
        """
        with self._verb_lock:
            self._required()
            if self._thread is not None:
                raise DeviceError(f"{self._name}: it is running already; stop() it before it is started again.")
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, args=(sink,), name=self._name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Deliver what has arrived, then stop; idempotent."""
        with self._verb_lock:
            if self._thread is None:
                return
            self._stopping.set()
            self._thread.join()
            self._thread = None

    def close(self) -> None:
        """Stop and let go of the stream; idempotent."""
        with self._verb_lock:
            self.stop()
            if self._inlet is not None:
                self._inlet.close_stream()
            self._inlet = self._info = None

    # -- finding ----------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return f"LSL stream '{self.name_or_type}'"

    def _required(self) -> Any:
        if self._info is None:
            raise DeviceError(f"{self._name}: it was used before connect().")
        return self._info

    @property
    def _is_text(self) -> bool:
        return int(self._info.channel_format()) == int(self._pylsl.cf_string)

    @property
    def _rows_per_sample(self) -> int:
        return -(-int(self._info.channel_count()) // _WIDTH)

    def _open(self, search_s: float) -> None:
        info = self._find(search_s)
        self._inlet = self._pylsl.StreamInlet(info, recover=True)
        try:
            # The whole description, channels included.
            self._info = self._inlet.info(timeout=self._search_s)
        except (self._errors.timeout, self._errors.lost) as error:
            self._inlet = None
            raise DeviceError(f"{self._name} was found but does not answer ({error}). Restart its program.") from error

    def _find(self, search_s: float) -> Any:
        """Return the announcement of the stream."""
        quote = '"' if "'" in self.name_or_type else "'"
        wanted = f"{quote}{self.name_or_type}{quote}"
        found = self._pylsl.resolve_bypred(f"name={wanted} or type={wanted}", minimum=1, timeout=search_s)
        if found:
            # The first answer ends the search; others may answer a moment later.
            found = self._pylsl.resolve_bypred(f"name={wanted} or type={wanted}", minimum=100, timeout=0.5) or found
        named = [info for info in found if info.name() == self.name_or_type]
        chosen = named or found
        if len(chosen) == 1:
            return chosen[0]
        if not chosen:
            raise DeviceError(
                f"No LSL stream has the name or type '{self.name_or_type}'. Start its program and check that both "
                "computers are in one network and no firewall stands between, or take it out of inlets in [lsl] of study.toml."
            )
        names = "; ".join(f"'{info.name()}' of type {info.type()} on {info.hostname()}" for info in chosen)
        raise DeviceError(
            f"{len(chosen)} LSL streams answer to '{self.name_or_type}': {names}. Name one of them, and give each its own "
            "name."
        )

    # -- the thread ---------------------------------------------------------------------------

    def _run(self, sink: Sink) -> None:
        try:
            sink.rows(LSL_STREAMS.path, self._stream_row())
            self._inlet.open_stream(timeout=self._search_s)
            self._record(sink)
        except Exception as error:
            logger.exception("%s stopped delivering", self._name)
            sink.event(markers.DEVICE_FAULT, f"{self._name} stopped delivering: {error}"[:250])

    def _record(self, sink: Sink) -> None:
        last_sample_s = time.monotonic()
        next_offset_s, said = 0.0, False
        while True:
            stopping = self._stopping.is_set()
            now_s = time.monotonic()
            try:
                if now_s >= next_offset_s and not stopping:
                    self._measure_offset(sink)
                    next_offset_s = now_s + _OFFSET_EVERY_S
                n = self._pull(sink)
            except self._errors.lost:
                if not self._reopen(sink):
                    return
                last_sample_s, next_offset_s = time.monotonic(), 0.0
                continue
            if n:
                if said:
                    away_s = now_s - last_sample_s
                    sink.event(markers.DEVICE_CONNECTED, f"{self._name} delivers again after {away_s:.1f} s", away_s)
                    said, next_offset_s = False, 0.0
                last_sample_s = now_s
            elif not said and self._is_regular and now_s - last_sample_s > _SILENT_S:
                said = True
                text = f"{self._name} delivers nothing; check its program. It is recorded again as soon as it is back"
                sink.event(markers.DEVICE_FAULT, text, now_s - last_sample_s)
            if stopping and n < _CHUNK:
                return
            if n < _CHUNK:
                self._stopping.wait(_POLL_S)

    @property
    def _is_regular(self) -> bool:
        return float(self._info.nominal_srate()) > 0

    def _reopen(self, sink: Sink) -> bool:
        """Find a stream again that LSL cannot recover by itself; False if it is stopped meanwhile."""
        lost_s = time.monotonic()
        text = f"{self._name} is gone; it is recorded again as soon as it is back"
        sink.event(markers.DEVICE_FAULT, text)
        while not self._stopping.is_set():
            try:
                self._open(1.0)
                self._inlet.open_stream(timeout=1.0)
            except (DeviceError, self._errors.timeout, self._errors.lost) as error:
                logger.info("%s", error)
                self._stopping.wait(0.5)
                continue
            away_s = time.monotonic() - lost_s
            sink.event(markers.DEVICE_CONNECTED, f"{self._name} is back after {away_s:.1f} s", away_s)
            return True
        return False

    def _measure_offset(self, sink: Sink) -> None:
        """Measure and store the host clock minus the sender's clock."""
        try:
            sender_to_local_s = float(self._inlet.time_correction(timeout=_OFFSET_TIMEOUT_S))
        except self._errors.timeout:
            logger.warning("%s: its clock offset could not be measured", self._name)
            return
        t_us, host_minus_local_us = self._host_minus_local_us()
        self._offset_us = sender_to_local_s * 1e6 + host_minus_local_us
        row = make_row(LSL_OFFSETS, stream=self.number, t_system_us=t_us, offset_us=self._offset_us)
        sink.rows(LSL_OFFSETS.path, row)

    def _host_minus_local_us(self) -> tuple[int, float]:
        """Return now, and the host clock minus the clock of LSL on this machine: the tightest of three readings."""
        return host_minus_local_us(self.clock, self._pylsl)

    def _pull(self, sink: Sink) -> int:
        """Take what has arrived; return the number of samples."""
        n_channels = int(self._info.channel_count())
        if self._is_text:
            texts, stamps = self._inlet.pull_chunk(timeout=0.0, max_samples=_CHUNK)
            if stamps:
                t_lsl_us, t_system_us = self._times(stamps)
                pieces = [
                    make_row(LSL_TEXTS, stream=self.number, t_lsl_us=lsl, t_system_us=host, text=str(sample[0]))
                    for sample, lsl, host in zip(texts, t_lsl_us, t_system_us, strict=True)
                ]
                sink.rows(LSL_TEXTS.path, np.concatenate(pieces))
            return len(stamps)
        buffer = np.empty((_CHUNK, n_channels), dtype=self._dtype())
        _, stamps = self._inlet.pull_chunk(timeout=0.0, max_samples=_CHUNK, dest_obj=buffer)
        if len(stamps):
            sink.rows(LSL_SAMPLES.path, self._sample_rows(buffer[: len(stamps)], stamps))
        return len(stamps)

    def _dtype(self) -> Any:
        code = int(self._info.channel_format())
        for name, dtype in _FORMATS.items():
            if int(getattr(self._pylsl, name)) == code:
                return dtype
        raise DeviceError(f"{self._name} has a format of values that is not known here ({code}). Send float32 instead.")

    def _times(self, stamps: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the sender's stamps and host times, microseconds."""
        t_lsl_us = np.rint(np.asarray(stamps, dtype=np.float64) * 1e6).astype(np.int64)
        if self._offset_us is None:
            # No offset yet: the time of arrival is the best there is.
            return t_lsl_us, np.full(len(t_lsl_us), self.clock.now_us(), dtype=np.int64)
        return t_lsl_us, t_lsl_us + round(self._offset_us)

    def _sample_rows(self, values: npt.NDArray[Any], stamps: Any) -> npt.NDArray[np.void]:
        n, n_channels = values.shape
        n_blocks = self._rows_per_sample
        padded = np.full((n, n_blocks * _WIDTH), np.nan)
        padded[:, :n_channels] = values
        t_lsl_us, t_system_us = self._times(stamps)
        rows = LSL_SAMPLES.empty(n * n_blocks)
        rows["stream"] = self.number
        rows["first_channel"] = np.tile(np.arange(n_blocks) * _WIDTH, n)
        rows["t_lsl_us"] = np.repeat(t_lsl_us, n_blocks)
        rows["t_system_us"] = np.repeat(t_system_us, n_blocks)
        rows["values"] = padded.reshape(n * n_blocks, _WIDTH)
        return rows

    def _stream_row(self) -> npt.NDArray[np.void]:
        info = self._required()
        return make_row(
            LSL_STREAMS,
            t_system_us=self.clock.now_us(),
            stream=self.number,
            name=str(info.name()),
            type=str(info.type()),
            source_id=str(info.source_id()),
            n_channels=int(info.channel_count()),
            nominal_rate_hz=float(info.nominal_srate()),
            channels_json=_channels_json(info),
        )


def host_minus_local_us(clock: HostClock, pylsl: Any) -> tuple[int, float]:
    """Return now, and the host clock minus the clock of LSL on this machine: the tightest of three readings."""
    best_us, now_us, difference_us = None, 0, 0.0
    for _ in range(3):
        before = clock.now_us()
        local_s = float(pylsl.local_clock())
        after = clock.now_us()
        if best_us is None or after - before < best_us:
            best_us, now_us = after - before, after
            difference_us = (before + after) / 2 - local_s * 1e6
    return now_us, difference_us


def _channels_json(info: Any) -> str:
    """Return labels, types and units as JSON that fits its column; labels alone, or less, if it does not."""
    words = {
        "label": info.get_channel_labels(),
        "type": info.get_channel_types(),
        "unit": info.get_channel_units(),
    }
    n = int(info.channel_count())
    for kept in (("label", "type", "unit"), ("label",)):
        channels = [{word: words[word][i] for word in kept if words[word] and words[word][i]} for i in range(n)]
        if not any(channels):
            return ""
        text = json.dumps(channels, ensure_ascii=False)
        if len(text.encode()) <= _CHANNELS_JSON_BYTES:
            return text
    return ""
