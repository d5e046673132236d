"""Clips out of a bundle, on the annotator's own machine."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from annotation.bundle.contents import (
    EYES,
    FLIPS,
    LABELS_FOLDER,
    STIMULI,
    BundleItem,
    FileFacts,
    face_file,
    read_manifest,
)
from annotation.evidence.eyes import EyeEvidence, StimulusTrack
from annotation.identity import plain_code
from annotation.items import Block, Item
from annotation.playback.frames import FrameIdentity, FrameSource, RgbImage
from annotation.source import GoldAnswer, Guess
from data_schema.errors import LabelError, MediaError
from data_schema.labels import LabelStore
from data_schema.study.sections import AnnotationSection, LabelsSection

#: Where the desk keeps, in the label file, the code that was entered.
_CODE_KEY = "bundle.code"


class BundleFrames:
    """The frames of a clip within its video file: those before the onset are decoded, and never shown.

    Parameters
    ----------
    frames : FrameSource
        Of the whole file. Closed with this one.
    item : BundleItem
    """

    def __init__(self, frames: FrameSource, item: BundleItem) -> None:
        self._frames = frames
        self._lead = item.n_lead
        self.width_px, self.height_px = frames.width_px, frames.height_px
        self.time_base = frames.time_base
        self.pts: npt.NDArray[np.int64] = frames.pts[item.n_lead :]
        if item.times_us is not None:
            self.times_us: npt.NDArray[np.int64] = np.array(item.times_us, dtype=np.int64)
        else:
            seconds = self.pts.astype(np.float64) * float(frames.time_base)
            self.times_us = np.round(seconds * 1e6).astype(np.int64) - item.onset_us
        self.group_starts: npt.NDArray[np.int64] = frames.group_starts - item.n_lead
        self._time_list: list[int] = self.times_us.tolist()

    def __len__(self) -> int:
        return len(self.pts)

    def identity(self, index: int) -> FrameIdentity:
        """Return number and pts of a frame in the bundle's file; the lab turns them into the session's."""
        return self._frames.identity(index + self._lead)

    def frame(self, index: int) -> RgbImage:
        """Return one frame, shape (height, width, 3), RGB."""
        if not 0 <= index < len(self):
            raise IndexError(f"the clip has frames 0 to {len(self) - 1}, asked for {index}")
        return self._frames.frame(index + self._lead)

    def is_kept(self, index: int) -> bool:
        """Say whether a frame is decoded already."""
        kept = getattr(self._frames, "is_kept", None)
        return bool(kept(index + self._lead)) if kept is not None else False

    def index_at(self, time_us: int) -> int:
        """Return the last frame whose time is not later; 0 before the first."""
        return max(0, bisect.bisect_right(self._time_list, time_us) - 1)

    def close(self) -> None:
        """Close the file; may be called again."""
        self._frames.close()


class BundleSource:
    """A `ClipSource` over a bundle.

    Parameters
    ----------
    folder : Path
        The bundle; may lie on a medium that cannot be written to, if `labels` is given.
    labels : Path, optional
        The label file; by default ``labels/ANNOTATOR_TASK.sqlite`` in the bundle.
    annotator_id : str, optional
        Checked against the bundle, where given.
    task : str, optional
        Likewise.

    Raises
    ------
    BundleError
        If the folder is no bundle, or its manifest is damaged.
    LabelError
        If the bundle is another annotator's, or of the other pass.
    """

    def __init__(
        self, folder: Path | str, labels: Path | str | None = None, *, annotator_id: str = "", task: str = ""
    ) -> None:
        self.folder = Path(folder)
        self._manifest = read_manifest(self.folder)
        self.title = self._manifest.title
        self.study_id = self._manifest.study_id
        self.task = self._manifest.task
        self.annotator_id = self._manifest.annotator_id
        self.labels = LabelsSection.model_validate(dict(self._manifest.labels))
        self.rules = AnnotationSection.model_validate(dict(self._manifest.rules))
        for what, wanted, found in (("annotator", annotator_id, self.annotator_id), ("task", task, self.task)):
            if wanted and wanted != found:
                raise LabelError(
                    f"{self.folder}: this bundle is for --{what} {found}, not {wanted}. Leave --{what} out."
                )
        self._labels_path = Path(labels) if labels is not None else None
        self._items = tuple(
            Item(item.name, item.name, item.face.sha256, self.task, 0, item.block, position)
            for position, item in enumerate(self._manifest.items)
        )
        self._by_name = {item.name: item for item in self._manifest.items}
        self._store: LabelStore | None = None
        self._admitted = self._manifest.admission is None
        self._code = ""
        self._checked: set[str] = set()
        self._lock = threading.Lock()

    @property
    def label_path(self) -> Path:
        """The annotator's label file."""
        return self._labels_path or self.folder / LABELS_FOLDER / f"{self.annotator_id}_{self.task}.sqlite"

    @property
    def locked(self) -> bool:
        """True while the main block waits for the lab's code."""
        return not self._admitted

    def items(self) -> Sequence[Item]:
        """Return the queue in its order."""
        return self._items

    def open_face(self, item: Item) -> FrameSource:
        """Open the face video of an item.

        Raises
        ------
        MediaError
            If the file is missing, was changed, or cannot be decoded.
        """
        from annotation.playback import open_video

        entry = self._entry(item)
        path = self._whole(face_file(entry.name), entry.face)
        frames = open_video(path)
        if len(frames) != entry.n_frames:
            n_found = len(frames)
            frames.close()
            raise MediaError(f"{path.name}: {n_found} frames can be read, expected {entry.n_frames}. {_COPY_AGAIN}")
        return BundleFrames(frames, entry)

    def open_stimulus(self, item: Item) -> StimulusTrack | None:
        """Open the stimulus of an item; None in the FER pass, or where the study has no such file."""
        entry = self._entry(item)
        if not entry.stimulus or entry.flips is None:
            return None
        from annotation.evidence.guarded import GuardedFrames
        from annotation.evidence.storage import load_flips
        from annotation.playback import open_video

        name = f"{entry.stimulus}.mp4"
        path = self._whole(f"{STIMULI}/{name}", self._manifest.stimuli[name])
        frames = GuardedFrames(open_video(path))
        try:
            return load_flips(self._whole(f"{FLIPS}/{entry.name}.npz", entry.flips), frames)
        except MediaError:
            frames.close()
            raise

    def eyes(self, item: Item) -> EyeEvidence | None:
        """Return the eye behaviour of an item; None in the FER pass, or where nothing was recorded."""
        entry = self._entry(item)
        if entry.eyes is None:
            return None
        from annotation.evidence.storage import load_evidence

        return load_evidence(self._whole(f"{EYES}/{entry.name}.npz", entry.eyes))

    def gold(self, item: Item) -> GoldAnswer | None:
        """Return the answer that feedback is given by; None outside the training block."""
        return self._entry(item).answer

    def guess(self, item: Item) -> Guess | None:
        """Return a model's guess, if the bundle was made with guesses and has one for the item."""
        return self._entry(item).guess

    def admission(self, emotions: Mapping[str, str]) -> bool | None:
        """Return True once the lab's code was entered, or where there is no test; else None: only the lab can tell."""
        return True if self._admitted or not self._has_test() else None

    def unlock(self, code: str) -> bool:
        """Take the code by which the lab admits the annotator; False if it is not the right one.

        It is kept in the label file, so that it is asked for once.

        Raises
        ------
        LabelError
            If it cannot be kept.
        """
        plain = plain_code(code)
        if plain and plain == self._code:
            return True
        lock = self._manifest.admission
        if lock is None or not lock.admits(plain):
            return False
        if self._store is not None:
            self._store.set_desk_value(_CODE_KEY, plain)
        self._admitted, self._code = True, plain
        return True

    def open_store(self) -> LabelStore:
        """Open the annotator's label log.

        Raises
        ------
        LabelError
            If it cannot be opened or made.
        """
        path = self.label_path
        try:
            store = LabelStore.open(
                path,
                self.annotator_id,
                study_title=self.title,
                study_id=self.study_id,
                emotions=self.labels.emotions,
                details={"bundle_id": self._manifest.bundle_id, "task": self.task},
            )
        except LabelError as error:
            if self._labels_path is not None or path.is_file():
                raise
            raise LabelError(
                f"{error} If the bundle lies where nothing can be written, keep your labels elsewhere: "
                f"emer annotate open {self.folder} --labels my-labels.sqlite"
            ) from error
        self._store = store
        kept, lock = store.desk_value(_CODE_KEY), self._manifest.admission
        if kept and lock is not None and not self._admitted and lock.admits(kept):
            self._admitted, self._code = True, kept
        return store

    def close(self) -> None:
        """Forget what is kept; may be called again. The store belongs to whoever opened it."""
        self._store = None

    def _has_test(self) -> bool:
        return any(item.block is Block.ADMISSION for item in self._items)

    def _entry(self, item: Item) -> BundleItem:
        entry = self._by_name.get(item.item_id)
        if entry is None:
            raise MediaError(f"item {item.item_id} is not in the bundle {self.folder}.")
        return entry

    def _whole(self, name: str, facts: FileFacts) -> Path:
        """Return the path of a file that is as it was handed out; each is looked at once."""
        path = self.folder / name
        with self._lock:
            known = name in self._checked
        if known and path.is_file():
            return path
        try:
            found = FileFacts.of(path)
        except FileNotFoundError:
            raise MediaError(f"{name}: there is no such file in {self.folder}. {_COPY_AGAIN}") from None
        except OSError as error:
            raise MediaError(f"{path}: cannot be read: {error.strerror or error}. Check the drive.") from error
        if found != facts:
            raise MediaError(f"{name}: is not the file that the lab sent ({found.size} bytes). {_COPY_AGAIN}")
        with self._lock:
            self._checked.add(name)
        return path


_COPY_AGAIN = "Copy the bundle again from where you got it; your labels stay. The other clips can be judged meanwhile."
