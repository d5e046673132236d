"""Look for the face in the camera's preview, about twice a second, in a thread of the console.

Never in the recorder: what this costs must not compete with writing. Libraries
are imported in the thread, so that the window does not wait for them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from collection.console.light import Box, PictureState, PictureWatch

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5
#: Width to which pictures are shrunk for the detector; the face fills a good part of them.
DETECT_WIDTH_PX = 240


@dataclass(frozen=True)
class _Job:
    camera: int
    jpeg: bytes
    arrived_s: float


class FaceWatch:
    """Judge the newest picture of each camera.

    Parameters
    ----------
    make_detector : callable, optional
        Returns a ``FaceDetector``; replaced in tests.
    """

    def __init__(self, make_detector: Callable[[], Any] | None = None) -> None:
        self._make_detector = make_detector
        self._jobs: dict[int, _Job] = {}
        self._results: dict[int, PictureState] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="console-faces", daemon=True)
        #: Why faces are not looked for; empty if they are.
        self.unavailable = ""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, camera: int, jpeg: bytes, arrived_s: float) -> None:
        """Offer a picture; only the newest of each camera is looked at."""
        with self._lock:
            self._jobs[camera] = _Job(camera, jpeg, arrived_s)

    def results(self) -> dict[int, PictureState]:
        """Return and forget what was found since the last call, by camera."""
        with self._lock:
            results, self._results = self._results, {}
        return results

    def close(self) -> None:
        """End the thread; idempotent."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def _run(self) -> None:
        detector = self._detector()
        watches: dict[int, PictureWatch] = {}
        while not self._closing.is_set():
            began_s = time.monotonic()
            with self._lock:
                jobs, self._jobs = list(self._jobs.values()), {}
            for job in jobs:
                try:
                    state = _judge(job, detector if job.camera == 1 else None, watches)
                except Exception:
                    # A broken picture, or a detector's own bug: the operator loses a warning, not the console.
                    logger.exception("a preview picture could not be judged")
                    continue
                if state is not None:
                    with self._lock:
                        self._results[job.camera] = state
            self._closing.wait(max(0.05, LOOK_EVERY_S - (time.monotonic() - began_s)))

    def _detector(self) -> Any:
        try:
            if self._make_detector is not None:
                return self._make_detector()
            import cv2

            # One core is the recorder's and one the presenter's.
            cv2.setNumThreads(1)
            from data_schema.signals.faces import MtcnnDetector

            return MtcnnDetector(width_px=DETECT_WIDTH_PX, min_face_share=0.2)
        except Exception as error:
            logger.exception("faces are not looked for")
            self.unavailable = f"faces are not looked for: {error}"
            return None


def _judge(job: _Job, detector: Any, watches: dict[int, PictureWatch]) -> PictureState | None:
    import cv2
    import numpy as np

    image = cv2.imdecode(np.frombuffer(job.jpeg, dtype=np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        return None
    height, width = image.shape[:2]
    face: Box | None = None
    if detector is not None:
        found = detector.detect(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        if found:
            x, y, box_width, box_height = found[0].box_px
            face = (x / width, y / height, box_width / width, box_height / height)
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
    watch = watches.setdefault(job.camera, PictureWatch())
    return watch.look(grey, face, detector is not None, job.arrived_s)
