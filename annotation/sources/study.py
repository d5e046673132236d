"""Clips straight from the study folder, for annotators at the lab's PC."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from annotation.evidence.eyes import EyeEvidence, StimulusTrack
from annotation.identity import study_identity
from annotation.items import Block, Item
from annotation.playback.frames import FrameSource
from annotation.queue.gold import GoldAnswers, read_study_gold
from annotation.queue.progress import share_right
from annotation.queue.queues import QueuedClip, read_queue
from annotation.source import GoldAnswer, Guess
from annotation.sources.session_checks import SessionChecks
from data_schema.errors import EmerError, LabelError, MediaError, MissingExtraError, StudyError
from data_schema.labels import LabelStore
from data_schema.study.folder import StudyFolder

if TYPE_CHECKING:
    from annotation.active_learning import StudyGuesses

_log = logging.getLogger(__name__)

#: Clips whose eye behaviour is kept: this one, its neighbours and those made ready ahead.
_KEPT_EYES = 6


class StudySource:
    """A `ClipSource` over a study folder.

    Parameters
    ----------
    study : StudyFolder
    task : {'er', 'fer'}
    annotator_id : str
    kind : {'human', 'simulated', 'model'}
        Stored in every row.
    queue : sequence of QueuedClip, optional
        What is looked at; default: what is assigned to the annotator. Adjudicators have no assignments.

    Raises
    ------
    UsageError
        If the pass or the annotator is unknown.
    LabelError
        If the annotator has no clips, or the gold file is wrong and its answers are needed.
    ExportError
        If the clip table or the table of assignments is missing or damaged.
    """

    def __init__(
        self,
        study: StudyFolder,
        task: str,
        annotator_id: str,
        kind: str = "human",
        *,
        queue: Sequence[QueuedClip] | None = None,
    ) -> None:
        if queue is None:
            queue = read_queue(study, task, annotator_id)
        self.study = study
        self.task = task
        self.annotator_id = annotator_id
        self.kind = kind
        self.title = study.config.study.title
        self.labels = study.config.labels
        self.rules = study.config.annotation
        self.study_id = study_identity(study).study_id
        self._queue: Mapping[str, QueuedClip] = {entry.item.item_id: entry for entry in queue}
        self._guesses = self._read_guesses()
        self._items = self._ordered(tuple(entry.item for entry in queue))
        self._gold = self._needed_gold()
        self._checks = SessionChecks(study)
        self._lock = threading.Lock()
        self._eyes: OrderedDict[str, EyeEvidence | None] = OrderedDict()
        self._stimulus_sizes: dict[str, tuple[int, int] | None] = {}

    def items(self) -> Sequence[Item]:
        """Return the queue in its order."""
        return self._items

    def open_face(self, item: Item) -> FrameSource:
        """Open the face video of an item.

        Raises
        ------
        MediaError
            If the session file is missing, changed since the clip table was built, or cannot be decoded.
        """
        from annotation.playback import SessionClipFrames

        entry = self._entry(item)
        return SessionClipFrames(self._session_path(entry), entry.t_start_us, entry.t_end_us)

    def open_stimulus(self, item: Item) -> StimulusTrack | None:
        """Open the stimulus of an item; None in the FER pass, or where the study has no such file."""
        if self.task == "fer":
            return None
        from annotation.evidence.stimulus import stimulus_track
        from data_schema.session.reader import open_session

        entry = self._entry(item)
        path = self._stimulus_path(entry)
        if path is None:
            return None
        try:
            with open_session(self._session_path(entry)) as session:
                return stimulus_track(session, entry.trial_id, path, t_start_us=entry.t_start_us)
        except (EmerError, OSError) as error:
            raise error if isinstance(error, MediaError) else MediaError(f"{error}") from error

    def eyes(self, item: Item) -> EyeEvidence | None:
        """Return the eye behaviour of an item; None in the FER pass, or where nothing was recorded.

        It may be called from any thread. The last few are kept, so that a clip made ready ahead is there at once.
        """
        if self.task == "fer":
            return None
        with self._lock:
            if item.clip_id in self._eyes:
                self._eyes.move_to_end(item.clip_id)
                return self._eyes[item.clip_id]
        found = self._compute_eyes(self._entry(item))
        with self._lock:
            self._eyes[item.clip_id] = found
            while len(self._eyes) > _KEPT_EYES:
                self._eyes.popitem(last=False)
        return found

    def gold(self, item: Item) -> GoldAnswer | None:
        """Return the answer that feedback is given by; None outside the training block."""
        return self._gold.get((item.clip_id, self.task)) if item.block is Block.TRAINING else None

    def guess(self, item: Item) -> Guess | None:
        """Return a model's guess, if there is one for the item that the study's rule lets be offered or held back."""
        return self._guesses.guess(item, self.annotator_id) if self._guesses is not None else None

    def admission(self, emotions: Mapping[str, str]) -> bool | None:
        """Say whether the admission test is passed; what was skipped counts as wrong, and without a test all pass."""
        right = {
            item.item_id: self._gold[item.clip_id, self.task].emotion
            for item in self._items
            if item.block is Block.ADMISSION and (item.clip_id, self.task) in self._gold
        }
        return share_right(emotions, right) >= self.rules.admission_share

    def unlock(self, code: str) -> bool:
        """Return False: at the lab's PC the test itself decides, and no code is needed."""
        return False

    def open_store(self) -> LabelStore:
        """Open the annotator's label log: their file in ``labels/``, or the study's database."""
        target: Path | str = self.labels.database or self.study.labels_dir / f"{self.annotator_id}.sqlite"
        return LabelStore.open(
            target,
            self.annotator_id,
            self.kind,
            study_title=self.title,
            study_id=self.study_id,
            emotions=self.labels.emotions,
        )

    def close(self) -> None:
        """Forget what is kept; may be called again."""
        with self._lock:
            self._eyes.clear()

    def _entry(self, item: Item) -> QueuedClip:
        entry = self._queue.get(item.item_id)
        if entry is None:
            raise MediaError(f"item {item.item_id} is not in the queue of {self.annotator_id} for {self.task}.")
        return entry

    def _read_guesses(self) -> StudyGuesses | None:
        # Most studies have none, and need not wait for pandas to learn that.
        if not any(self.study.annotation_dir.glob("guesses_*.parquet")):
            return None
        from annotation.active_learning import StudyGuesses

        try:
            return StudyGuesses.of_study(
                self.study.annotation_dir, self.task, self.rules, self.labels, self.study.config.study.seed
            )
        except LabelError as error:
            # People can label without a model; whoever looks into the log learns why they do.
            _log.warning("labelling goes on without a model's guesses: %s", error)
            return None

    def _ordered(self, items: tuple[Item, ...]) -> tuple[Item, ...]:
        """Put what the model is least sure of first, behind what is labelled already."""
        if self._guesses is None:
            return items
        with self.open_store() as store:
            keys = {row.key for row in store.current(self.task)}
        try:
            return self._guesses.order(items, {item.item_id for item in items if item.key in keys})
        except MissingExtraError as error:
            _log.warning("the queue stays in its random order: %s", error)
            return items

    def _needed_gold(self) -> GoldAnswers:
        # Read only where its answers are needed: a slip in the file must not stop those who are past the tests.
        blocks = {item.block for item in self._items}
        return read_study_gold(self.study) if blocks & {Block.TRAINING, Block.ADMISSION} else {}

    def _session_path(self, entry: QueuedClip) -> Path:
        return self._checks.check(entry.session_file, entry.item.clip_sha256)

    def _stimulus_path(self, entry: QueuedClip) -> Path | None:
        try:
            return self.study.stimulus_path(entry.stimulus_id)
        except StudyError:
            return None

    def _stimulus_size(self, entry: QueuedClip) -> tuple[int, int] | None:
        """Return width and height of a stimulus' frames; None where there is no readable file."""
        from annotation.playback import open_video

        if entry.stimulus_id not in self._stimulus_sizes:
            path, size = self._stimulus_path(entry), None
            if path is not None:
                try:
                    frames = open_video(path)
                    size = (frames.width_px, frames.height_px)
                    frames.close()
                except MediaError:
                    size = None
            self._stimulus_sizes[entry.stimulus_id] = size
        return self._stimulus_sizes[entry.stimulus_id]

    def _compute_eyes(self, entry: QueuedClip) -> EyeEvidence | None:
        from annotation.evidence.signals import eye_evidence
        from data_schema.session.reader import open_session

        try:
            with open_session(self._session_path(entry)) as session:
                size = self._stimulus_size(entry)
                return eye_evidence(session, entry.t_start_us, entry.t_end_us, stimulus_size_px=size)
        except (EmerError, OSError) as error:
            raise error if isinstance(error, MediaError) else MediaError(f"{error}") from error
