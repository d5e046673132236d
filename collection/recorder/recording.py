"""One recording, from connected devices to a closed file, inside one process.

Order of events, each of which can be refused with a message and no file left
behind until the third:

1. connect the devices, ask what they are, open the encoder, check the disk;
2. start the devices and wait until each has delivered;
3. create the session file, keep what arrives from now on;
4. stop the devices, write what waits, mark the end, close the file, close the
   devices, check the file.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from collection.devices.base import (
    CAMERA,
    EYE_TRACKER,
    Attentive,
    Device,
    DeviceInfo,
    PlantedReaction,
    Reactive,
    Scheduled,
    Sink,
)
from collection.recorder.cameras import CameraLine
from collection.recorder.disk import DiskGuard, FileSyncer, bytes_per_second, free_bytes
from collection.recorder.footprint import cpu_seconds, memory_bytes
from collection.recorder.oversight import Oversight
from collection.recorder.queues import CountedQueue
from collection.recorder.settings import (
    CHECKING,
    COMPLETE,
    RecorderSettings,
    RecorderStatus,
    RecordingStarted,
    RecordingSummary,
    devices_as_json,
)
from collection.recorder.sink import Observer, RecordingSink
from collection.recorder.stages import WriterStage, first_failure
from collection.recorder.stopping import close_devices, problems_of, stop_devices
from data_schema.errors import DeviceError, EmerError, RecordingError
from data_schema.session import markers
from data_schema.session.layout import ANCHORS, CALIBRATION_DATA, GAZE, LSL_SAMPLES, MARKERS, make_row
from data_schema.session.writer import SessionWriter

logger = logging.getLogger(__name__)

#: Rows that may wait in tables without a declared rate.
_EVENT_ROWS = 20_000
_MAX_CAMERAS = 2
#: Slower streams (time synchronisation: one a second) may pause for a while.
_WATCHED_FROM_HZ = 5.0
#: Real seconds that calibration data may wait for the disk.
_STORE_PATIENCE_S = 20.0


class Recording:
    """Record one session.

    Parameters
    ----------
    settings : RecorderSettings
        What to record and where.
    devices : list of Device
        Not connected yet.
    probe_free : callable, optional
        Returns the free bytes of the disk; replaced in tests.
    """

    def __init__(
        self, settings: RecorderSettings, devices: list[Device], probe_free: Callable[..., int] = free_bytes
    ) -> None:
        self._settings = settings
        self._config = settings.config.recording
        self._clock = settings.clock
        self._devices = devices
        self._infos: tuple[DeviceInfo, ...] = ()
        self._queues: dict[str, CountedQueue] = {}
        self._rates: dict[str, float] = {}
        self._sink = RecordingSink(self._queue_of, settings.clock)
        self._guard = DiskGuard(settings.path, self._config.min_free_gb * 1e9, probe_free)
        self._queue_lock = threading.Lock()
        # The live feed and the presenter's orders come and go on threads of their own.
        self._observing = threading.Lock()
        self._cameras: list[CameraLine] = []
        self._n_cameras = 0
        self._writer: SessionWriter | None = None
        self._writer_stage: WriterStage | None = None
        self._syncer: FileSyncer | None = None
        self._oversight: Oversight | None = None
        self._estimate_bytes_s = 0.0
        self._state = "preparing"
        self._started_us = 0
        self._started_s = 0.0
        self._cpu_at_start_s = 0.0

    # ------------------------------------------------------------------ start

    def start(self) -> RecordingStarted:
        """Bring everything up to the first row.

        Raises
        ------
        DeviceError, MediaError, RecordingError
            With the next step; all devices are closed and no file exists then.
        """
        try:
            self._refuse_existing()
            self._connect()
            self._check_disk()
            for device in self._devices:
                device.start(self._sink_of(device))
            self._wait_for_data()
            self._create_file()
        except BaseException:
            self._undo_file()
            close_devices(self._devices)
            raise
        return RecordingStarted(self._settings.path, self._started_us, self._infos)

    def _refuse_existing(self) -> None:
        path = self._settings.path
        if path.exists():
            raise RecordingError(
                f"{path.name} exists already, and a recording is never overwritten. "
                "Choose another session (--session) or participant."
            )

    def _connect(self) -> None:
        for device in self._devices:
            device.connect()
        self._infos = tuple(device.describe() for device in self._devices)
        self._n_cameras = sum(info.role == CAMERA for info in self._infos)
        for device, info in zip(self._devices, self._infos, strict=True):
            if info.role == CAMERA:
                self._add_camera(device, info)
            else:
                for path, rate in info.rates_hz.items():
                    # Several streams of the Lab Streaming Layer share a table.
                    self._rates[path] = rate + (self._rates.get(path, 0.0) if path == LSL_SAMPLES.path else 0.0)
        lines = {id(line.device): line for line in self._cameras}
        self._infos = tuple(
            lines[id(device)].info if id(device) in lines else info
            for device, info in zip(self._devices, self._infos, strict=True)
        )

    def _add_camera(self, device: Device, info: DeviceInfo) -> None:
        number = len(self._cameras) + 1
        if number > _MAX_CAMERAS:
            raise RecordingError(f"{_MAX_CAMERAS} cameras can be recorded, {number} were named")
        line = CameraLine(number, device, info, self._settings, self._sink, self._mark, self._n_cameras)
        self._cameras.append(line)
        self._rates[line.table] = line.fps
        self._queues.update({line.frames_stream: line.frames, line.packets_stream: line.packets})

    def _sink_of(self, device: Device) -> Sink:
        return next((line.sink for line in self._cameras if line.device is device), self._sink)

    def _check_disk(self) -> None:
        tables = dict(self._rates)
        rate = bytes_per_second(tables, 0, 0, 0.0)
        for line in self._cameras:
            rate += bytes_per_second({}, line.encoder.width_px, line.encoder.height_px, line.fps)
        self._estimate_bytes_s = rate
        self._guard.check_room(rate, self._settings.planned_s)

    def _wait_for_data(self) -> None:
        streams = [line.frames_stream for line in self._cameras]
        if self._rates.get(GAZE.path, 0.0) > 0:
            streams.append(GAZE.path)
        timeout_s = self._settings.first_data_timeout_s
        silent = self._sink.wait_for(streams, timeout_s)
        named = (self._settings.camera, self._settings.second_camera)
        for line in self._cameras:
            if line.frames_stream in silent:
                raise DeviceError(
                    f"{line.name} ({named[line.number - 1]}) delivered no frame within {timeout_s:.0f} s. Check its "
                    "cable and that no other program uses it, or rehearse with --camera simulated."
                )
        if silent:
            raise DeviceError(
                f"the eye tracker ({self._settings.eye_tracker}) delivered no gaze sample within {timeout_s:.0f} s. "
                "Check its cable and that no other program uses it, or rehearse with --eye-tracker simulated."
            )

    def _create_file(self) -> None:
        settings = self._settings
        videos = {line.number: line.video for line in self._cameras}
        self._writer = SessionWriter.create(
            settings.path,
            participant=settings.participant,
            session=settings.session,
            config_json=settings.config.to_json(),
            devices=devices_as_json(self._infos),
            seeds=settings.seeds,
            video=videos.get(1),
            second_video=videos.get(2),
            rates_hz=self._rates,
            simulated=settings.simulated or any(info.simulated for info in self._infos),
            clock=self._clock,
            flush_interval_s=self._config.flush_interval_s,
        )
        self._started_us, self._started_s = self._clock.now_us(), time.monotonic()
        self._cpu_at_start_s = cpu_seconds()
        self._writer.marker(markers.RECORDING_STARTED, "the recorder writes", t_system_us=self._started_us)
        for info in self._infos:
            text = " ".join(part for part in (info.role, info.kind, info.model, info.serial_number) if part)
            self._writer.marker(markers.DEVICE_CONNECTED, text, t_system_us=self._started_us)
        for line in self._cameras:
            if line.choice is not None:
                text, rate = f"{line.name}: {line.choice.reason}", line.choice.measured_fps
                self._writer.marker(markers.ENCODER_CHOSEN, text, rate, t_system_us=self._started_us)
        # There from the beginning, so that nothing depends on who says something first.
        self._queue_of(MARKERS.path)
        self._writer_stage = WriterStage(self._writer, self._file_queues(), lambda: dict(self._queues), self._sink.show)
        self._syncer = FileSyncer(settings.path, self._config.fsync_interval_s)
        self._oversight = self._watch_over()
        self._state = "recording"
        self._writer_stage.start()
        for line in self._cameras:
            line.stage.start()
        self._sink.open(self._started_us if self._settings.paced else None)

    def _watch_over(self) -> Oversight:
        rates = self._watched_rates()
        queues = {name: self._queue_of(name) for name in rates}
        oversight = Oversight(self._sink, queues, rates, self._cameras, self._config.silence_s, self._mark)
        if self._settings.paced:
            oversight.ignore_rates()
        oversight.watch_clock(self._clock, lambda row: self.rows(ANCHORS.path, row))
        oversight.watch_disk(
            self._guard, self._settings.path, self._estimate_bytes_s, self._clock.speed, self._remaining_s
        )
        return oversight

    def _undo_file(self) -> None:
        """Remove the file that a start which failed has just made, and nothing else."""
        if self._writer is None:
            return
        self._abandon_file()
        try:
            self._settings.path.unlink(missing_ok=True)
        except OSError as error:
            logger.error("%s: the empty file could not be removed: %s", self._settings.path, error)

    def _watched_rates(self) -> dict[str, float]:
        """Streams that must never pause, with their rates: those fast enough that silence is no chance."""
        cameras = {line.table: line.frames_stream for line in self._cameras}
        return {cameras.get(path, path): rate for path, rate in self._rates.items() if rate >= _WATCHED_FROM_HZ}

    def _remaining_s(self) -> float:
        return self._settings.planned_s - (self._clock.now_us() - self._started_us) / 1e6

    # ------------------------------------------------------------ while it runs

    def rows(self, table: str, rows: npt.NDArray[np.void]) -> None:
        """Add rows that came from the presenter; waits for room."""
        if not len(rows):
            return
        self._queue_of(table).put(rows, len(rows), block=True)
        self._sink.show(table, rows)

    def marker(self, kind: str, message: str, value: float, t_system_us: int | None, trial_id: int) -> None:
        """Add a marker."""
        stamp = self._clock.now_us() if t_system_us is None else t_system_us
        row = make_row(MARKERS, t_system_us=stamp, trial_id=trial_id, kind=kind, value=value, message=message)
        self.rows(MARKERS.path, row)
        # On file at once instead of at the writer's next look into its queues.
        self._pressed()

    def react(self, reaction: PlantedReaction) -> None:
        """Tell simulated devices what the simulated participant feels and shows."""
        for device in self._devices:
            if isinstance(device, Reactive):
                device.react(reaction)

    def look_at(self, t_us: int, target_norm: tuple[float, float] | None) -> None:
        """Tell simulated trackers what their participant looks at."""
        for device in self._devices:
            if isinstance(device, Attentive):
                device.look_at(t_us, target_norm)

    @property
    def tracker(self) -> Device | None:
        """The eye tracker, once it is connected."""
        pairs = zip(self._devices, self._infos, strict=False)
        return next((device for device, info in pairs if info.role == EYE_TRACKER), None)

    def store_calibration(self, data: bytes) -> tuple[int, int]:
        """Store calibration data; returns offset and size in ``/calibration/data`` once they are on file.

        Raises
        ------
        RecordingError
            If they could not be stored.
        """
        if self._writer_stage is None:
            raise RecordingError("nothing is being recorded, so no calibration data can be stored")
        return self._writer_stage.store(CALIBRATION_DATA.path, data, _STORE_PATIENCE_S), len(data)

    def observe(self, observer: Observer) -> None:
        """Let `observer` see all rows and frames from now on."""
        with self._observing:
            self._sink.observers = (*self._sink.observers, observer)

    def ignore(self, observer: Observer) -> None:
        """Let `observer` see nothing more."""
        with self._observing:
            self._sink.observers = tuple(other for other in self._sink.observers if other is not observer)

    def tick(self) -> None:
        """Look after the recording; call it several times a second.

        Raises
        ------
        RecordingError, MediaError
            If a stage has failed or the disk is full; call `finish` then.
        """
        failure = self.failure
        if failure is not None:
            raise failure
        critical = self._oversight.tick() if self._oversight is not None else None
        if critical is not None:
            raise RecordingError(
                f"{self._settings.path.name}: only {critical / 1e6:.0f} MB are left on the disk; the recording was "
                "stopped and closed while that was possible. Make room before the next session."
            )

    @property
    def failure(self) -> EmerError | None:
        """Why the writer has failed, or None. A camera that fails does not count: the gaze goes on."""
        return first_failure(self._writer_stage.failure if self._writer_stage else None)

    @property
    def minutes_left(self) -> float:
        """Minutes of recording that the disk has room for; NaN if nobody knows."""
        return self._oversight.minutes_left if self._oversight is not None else math.nan

    @property
    def durable(self) -> dict[str, int]:
        """Rows by table path, and bytes by blob path, that are on file."""
        return self._writer_stage.durable if self._writer_stage else {}

    def status(self) -> RecorderStatus:
        """Return a snapshot of all counters."""
        durable = dict(self.durable)
        oversight = self._oversight
        streams = oversight.streams(dict(self._queues), durable) if oversight is not None else {}
        memory, peak = memory_bytes()
        return RecorderStatus(
            t_us=self._clock.now_us(),
            state=self._state,
            streams=streams,
            durable=durable,
            memory_bytes=memory,
            memory_peak_bytes=peak,
            cpu_s=cpu_seconds() - self._cpu_at_start_s,
            uptime_s=time.monotonic() - self._started_s if self._started_s else 0.0,
            encode_ms=self._cameras[0].stage.cost_ms() if self._cameras else (math.nan, math.nan),
            free_bytes=self._guard.free,
            alarms=oversight.alarms(streams) if oversight is not None else (),
        )

    # -------------------------------------------------------------------- end

    def finish(self, reason: str = COMPLETE, message: str = "", at_us: int | None = None) -> RecordingSummary:
        """Stop the devices, write everything, close the file and check it.

        Parameters
        ----------
        reason : str
            'complete' or 'aborted'.
        message : str
            Why it was aborted.
        at_us : int, optional
            Host clock until which the devices go on; now by default.

        Raises
        ------
        RecordingError
            If the file could not be closed; what is on file is left to ``emer repair``.
        """
        self._state = "stopping"
        try:
            if at_us is not None:
                self._clock.sleep_until(at_us)
            self._stop_devices(at_us)
            ended_us = self._clock.now_us() if at_us is None else max(at_us, self._started_us)
            self._drain()
            # The file first: a device that does not close must not keep it open.
            status = self._close_file(reason, message, ended_us)
            self._state = CHECKING
        except BaseException:
            self._abandon_file()
            raise
        finally:
            close_devices(self._devices)
        problems = problems_of(self._settings.path, reason, self.durable)
        self._state = "closed"
        return RecordingSummary(self._settings.path, reason, message, self._started_us, ended_us, status, problems)

    def _stop_devices(self, at_us: int | None) -> None:
        # What is simulated ends at the same moment for all devices, however late this is called.
        end_us = self._clock.now_us() if at_us is None else at_us
        for line in self._cameras:
            line.leave_alone()
        for device in self._devices:
            if isinstance(device, Scheduled):
                device.stop_at(end_us)

        def look() -> int:
            queues = dict(self._queues).values()
            if self.failure is not None:
                for queue in queues:
                    queue.close()
            return sum(queue.taken for queue in queues)

        stop_devices(self._devices, look, self._mark)

    def _drain(self) -> None:
        """Encode and write what waits."""
        for line in self._cameras:
            line.stage.finish()
        if self._oversight is not None and self.failure is None:
            try:
                self._oversight.last_anchor()
            except Exception:
                logger.exception("the last clock anchor is missing")
        self._sink.close()
        if self._writer_stage is not None:
            self._writer_stage.finish()
        if self._syncer is not None:
            self._syncer.close()

    def _abandon_file(self) -> None:
        """Write what waits and release the file without its closing mark, whatever fails on the way."""
        try:
            self._drain()
        except Exception:
            logger.exception("what waited could not be written")
        try:
            if self._writer is not None:
                self._writer.abandon()
        except RecordingError as error:
            logger.error("%s", error)

    def _close_file(self, reason: str, message: str, ended_us: int) -> RecorderStatus:
        writer, stage = self._writer, self._writer_stage
        if writer is None or stage is None:
            return self.status()
        if stage.failure is not None:
            # The disk refuses or the library is broken: leave what is safe to `emer repair`.
            try:
                writer.abandon()
            except RecordingError as error:
                logger.error("%s", error)
            return self.status()
        # In a rehearsal the clock has run on while late devices were waited for.
        if reason != COMPLETE:
            writer.marker(markers.RECORDING_ABORTED, message or reason, t_system_us=ended_us)
        writer.finish(t_system_us=ended_us)
        stage.durable = writer.durable
        return self.status()

    # ---------------------------------------------------------------- queues

    def _queue_of(self, name: str) -> CountedQueue:
        with self._queue_lock:
            queue = self._queues.get(name)
            if queue is None:
                rate = self._rates.get(name, 0.0)
                capacity = max(64, round(rate * self._config.queue_seconds)) if rate else _EVENT_ROWS
                queue = CountedQueue(name, capacity, block=self._settings.paced, on_pressure=self._pressed)
                self._queues[name] = queue
                if self._writer_stage is not None:
                    self._writer_stage.add(name, queue)
            return queue

    def _file_queues(self) -> dict[str, CountedQueue]:
        raw = {line.frames_stream for line in self._cameras}
        return {name: queue for name, queue in self._queues.items() if name not in raw}

    def _pressed(self) -> None:
        if self._writer_stage is not None:
            self._writer_stage.wake()

    def _mark(self, kind: str, message: str, value: float) -> None:
        """Add a marker without ever waiting."""
        self._sink.event(kind, message, value, block=False)
