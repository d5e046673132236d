"""The files of one item of a bundle, made from the study's recordings."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd

from annotation.bundle.consent import refusal
from annotation.bundle.contents import EYES, FLIPS, STIMULI, BundleError, BundleItem, FileFacts, face_file
from annotation.bundle.faces import FaceFacts, write_face
from annotation.bundle.keys import KeyItem
from annotation.bundle.stimuli import disturbed_evidence, disturbed_flips, write_stimulus
from annotation.evidence import save_evidence, save_flips
from annotation.identity import StudyIdentity
from annotation.items import Item
from annotation.source import ClipSource
from annotation.sources.session_checks import SessionChecks
from data_schema.session import Session, open_session
from data_schema.study import StudyFolder

#: Session files kept open; neighbours in the order of opaque names lie anywhere.
_MAX_OPEN = 8
#: Most random bytes that are put into an .npz, so that equal evidence has files of unequal size.
_MAX_SALT = 2048


@dataclass(frozen=True)
class ClipPieces:
    """What a bundle says about an item, and what the study keeps of it."""

    item: BundleItem
    key: KeyItem

    def to_json(self) -> dict[str, Any]:
        """Return both as JSON objects."""
        return {"item": self.item.to_json(), "key": dataclasses.asdict(self.key)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ClipPieces:
        """Read both back."""
        key = {**data["key"], "face_sha256": tuple(data["key"]["face_sha256"])}
        return cls(BundleItem.from_json(data["item"]), KeyItem(**key))


class Recordings:
    """The study's side of a bundle that is being made. Use it in a ``with`` block."""

    def __init__(
        self,
        study: StudyFolder,
        source: ClipSource,
        clips: pd.DataFrame,
        identity: StudyIdentity,
        folder: Path,
        only_shared: bool,
    ) -> None:
        self._study = study
        self._source = source
        self._clips = clips
        self._identity = identity
        self._folder = folder
        self._only_shared = only_shared
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._refusals: dict[str, str] = {}
        self._checks = SessionChecks(study)

    def __enter__(self) -> Recordings:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in self._sessions.values():
            session.close()

    def write(self, name: str, item: Item) -> ClipPieces:
        """Write all files of an item.

        Raises
        ------
        EmerError
            If the clip may not, or cannot, go into a bundle.
        """
        if item.clip_id not in self._clips.index:
            raise BundleError("the clip table has no such clip (any more). Run `emer annotate assign` again.")
        clip = self._clips.loc[item.clip_id]
        session_file = str(clip["session_file"])
        self._checks.check(session_file, item.clip_sha256)
        session = self._session(session_file)
        self._refuse(session, session_file, item.task)
        if session.video is None:
            raise BundleError("the session has no face video")
        span = int(clip["t_start_us"]), int(clip["t_end_us"])
        path = self._folder / face_file(name)
        # A repeat begins a group of frames earlier or later than the clip's first showing.
        turn = self._identity.digest("turn", item.clip_id, item.task)[0] + item.repetition
        face = write_face(session.video, span, path, self._identity.digest("filler", name), turn)
        made = _bundle_item(name, item, face, FileFacts.of(path), session, span)
        if item.task == "er":
            made = self._add_evidence(made, item, str(clip["stimulus_id"]))
        return ClipPieces(made, _key_item(name, item, face, made.face.sha256))

    def _add_evidence(self, made: BundleItem, item: Item, stimulus_id: str) -> BundleItem:
        """Write stimulus, flips and eye evidence of an item of the ER pass."""
        seed = np.frombuffer(self._identity.digest("noise", made.name), dtype=np.uint32)
        rng = np.random.default_rng(seed)
        track = self._source.open_stimulus(item)
        stimulus, flips = "", None
        if track is not None:
            try:
                stimulus = self._stimulus(stimulus_id)
                path = self._folder / FLIPS / f"{made.name}.npz"
                save_flips(path, disturbed_flips(track, rng), salt=_salt(rng))
                flips = FileFacts.of(path)
            finally:
                track.frames.close()
        evidence = self._source.eyes(item)
        eyes = None
        if evidence is not None:
            path = self._folder / EYES / f"{made.name}.npz"
            save_evidence(path, disturbed_evidence(evidence, rng), salt=_salt(rng))
            eyes = FileFacts.of(path)
        return dataclasses.replace(made, stimulus=stimulus, flips=flips, eyes=eyes)

    def _stimulus(self, stimulus_id: str) -> str:
        """Copy a stimulus once, under an opaque name."""
        name = self._identity.opaque("stimulus", self._source.annotator_id, stimulus_id)
        path = self._folder / STIMULI / f"{name}.mp4"
        if not path.is_file():
            write_stimulus(self._study.stimulus_path(stimulus_id), path)
        return name

    def _session(self, session_file: str) -> Session:
        if session_file not in self._sessions:
            if len(self._sessions) >= _MAX_OPEN:
                self._sessions.popitem(last=False)[1].close()
            self._sessions[session_file] = open_session(self._study.root / session_file)
        self._sessions.move_to_end(session_file)
        return self._sessions[session_file]

    def _refuse(self, session: Session, session_file: str, task: str) -> None:
        """Refuse a session whose participant did not agree."""
        if session_file not in self._refusals:
            self._refusals[session_file] = refusal(session, task, only_shared=self._only_shared)
        if self._refusals[session_file]:
            raise BundleError(self._refusals[session_file])


def _bundle_item(
    name: str, item: Item, face: FaceFacts, facts: FileFacts, session: Session, span: tuple[int, int]
) -> BundleItem:
    pts = (
        session.video.frames["pts"][face.home_first : face.home_first + face.n_frames].astype(np.int64) - face.home_pts
    )
    onset_us = round(int(pts[face.n_lead]) * face.home_time_base * 1_000_000) - int(face.times_us[0])
    said = [round(int(step) * face.home_time_base * 1_000_000) - onset_us for step in pts[face.n_lead :]]
    times = None if said == face.times_us.tolist() else tuple(face.times_us.tolist())
    return BundleItem(name, item.block, facts, face.n_frames, face.n_lead, face.time_base, onset_us, times)


def _key_item(name: str, item: Item, face: FaceFacts, face_sha256: str) -> KeyItem:
    return KeyItem(
        name,
        item.item_id,
        item.clip_id,
        item.clip_sha256,
        item.repetition,
        item.block.value,
        (face_sha256,),
        face.n_frames,
        _text(face.time_base),
        face.home_first,
        face.home_pts,
        _text(face.home_time_base),
    )


def _text(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}"


def _salt(rng: np.random.Generator) -> bytes:
    return rng.bytes(int(rng.integers(16, _MAX_SALT)))
