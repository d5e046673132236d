"""What lies in a bundle, declared once: the manifest, its files, and reading it back.

::

    BUNDLE/
      manifest.json       the queue in its order, opaque names, frame counts, hashes, vocabulary, rules
      README.txt          how to open it
      face/NAME.mp4       one for each item
      stimuli/NAME.mp4    ER pass only, as the two below
      flips/NAME.npz      which frame of the stimulus stood on the screen when
      eyes/NAME.npz       gaze, pupil, fixations, blinks, fixation map
      labels/             made by the tool: the annotator's label file
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from annotation.items import Block
from annotation.source import GoldAnswer, Guess
from data_schema.errors import EmerError
from data_schema.vocabularies import TASKS

FORMAT = "emer-bundle"
VERSION = 1
MANIFEST_NAME = "manifest.json"
README_NAME = "README.txt"
LABELS_FOLDER = "labels"
FACE, STIMULI, FLIPS, EYES = "face", "stimuli", "flips", "eyes"
_NAME = re.compile(r"[A-Za-z0-9]{1,64}\Z")
_FRACTION = re.compile(r"[0-9]{1,12}/[0-9]{1,12}\Z")
#: Folders that may lie in a bundle of each pass.
FOLDERS: dict[str, tuple[str, ...]] = {"fer": (FACE,), "er": (FACE, STIMULI, FLIPS, EYES)}


class BundleError(EmerError):
    """A bundle cannot be made, read or merged."""


@dataclass(frozen=True)
class FileFacts:
    """Size and SHA-256 of a file in a bundle."""

    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileFacts:
        """Look at a file."""
        return cls(path.stat().st_size, file_sha256(path))


@dataclass(frozen=True)
class BundleItem:
    """One place of the queue. A repeat has a name and a video file of its own.

    Parameters
    ----------
    name : str
        Opaque; names the files, and is both clip and item in the label log.
    block : Block
    face : FileFacts
    n_frames, n_lead : int
        Frames in the video file, and those before the clip, which are not shown.
    time_base : Fraction
        Of the video file.
    onset_us : int
        The clip's onset, microseconds from the file's first frame.
    times_us : tuple of int or None
        When each shown frame stands, microseconds from the clip's onset, where the time stamps of the file do not
        say it.
    stimulus : str
        Opaque name of the stimulus; empty if there is none.
    flips, eyes : FileFacts or None
    answer : GoldAnswer or None
        Training block only.
    guess : Guess or None
        Only in a bundle with guesses, and only if it is to be shown.
    """

    name: str
    block: Block
    face: FileFacts
    n_frames: int
    n_lead: int
    time_base: Fraction
    onset_us: int
    times_us: tuple[int, ...] | None = None
    stimulus: str = ""
    flips: FileFacts | None = None
    eyes: FileFacts | None = None
    answer: GoldAnswer | None = None
    guess: Guess | None = None

    def files(self) -> dict[str, FileFacts]:
        """Return the item's own files, by their path in the bundle."""
        found = {face_file(self.name): self.face}
        if self.flips is not None:
            found[f"{FLIPS}/{self.name}.npz"] = self.flips
        if self.eyes is not None:
            found[f"{EYES}/{self.name}.npz"] = self.eyes
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the item as the manifest writes it; what is absent is left out."""
        data: dict[str, Any] = {
            "name": self.name,
            "block": self.block.value,
            "face": vars(self.face),
            "n_frames": self.n_frames,
            "n_lead": self.n_lead,
            "time_base": f"{self.time_base.numerator}/{self.time_base.denominator}",
            "onset_us": self.onset_us,
            "stimulus": self.stimulus,
            **{kind: vars(facts) for kind, facts in (("flips", self.flips), ("eyes", self.eyes)) if facts},
        }
        if self.times_us is not None:
            data["times_us"] = list(self.times_us)
        if self.answer is not None:
            data["answer"] = vars(self.answer)
        if self.guess is not None:
            data["guess"] = {**vars(self.guess), "scales": dict(self.guess.scales)}
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BundleItem:
        """Read an item of a manifest."""
        facts = {kind: FileFacts(**data[kind]) if kind in data else None for kind in ("flips", "eyes")}
        return cls(
            name=_plain_name(data["name"]),
            block=Block(data["block"]),
            face=FileFacts(**data["face"]),
            n_frames=int(data["n_frames"]),
            n_lead=int(data["n_lead"]),
            time_base=_time_base(data["time_base"]),
            onset_us=int(data["onset_us"]),
            times_us=tuple(int(time) for time in data["times_us"]) if "times_us" in data else None,
            stimulus=_plain_name(data["stimulus"]) if data["stimulus"] else "",
            answer=GoldAnswer(**data["answer"]) if "answer" in data else None,
            guess=Guess(**data["guess"]) if "guess" in data else None,
            **facts,
        )


@dataclass(frozen=True)
class Admission:
    """How a bundle knows the code that admits the annotator, without holding it."""

    salt: str
    rounds: int
    code_hash: str

    @classmethod
    def of(cls, code: str, salt: bytes) -> Admission:
        """Hide a code, as plain letters."""
        return cls(salt.hex(), _ROUNDS, _slow_hash(code, salt, _ROUNDS))

    def admits(self, code: str) -> bool:
        """Tell whether this is the code."""
        return _slow_hash(code, bytes.fromhex(self.salt), self.rounds) == self.code_hash


#: About 50 ms a try, which nobody notices at the start; 40 bits of code take centuries at that pace. The code keeps
#: the order of work, no secret: who spends a graphics card's weeks on it has only skipped a test.
_ROUNDS = 100_000


def _slow_hash(code: str, salt: bytes, rounds: int) -> str:
    return hashlib.pbkdf2_hmac("sha256", code.encode(), salt, rounds).hex()


@dataclass(frozen=True)
class Manifest:
    """All that a bundle says about itself."""

    bundle_id: str
    study_id: str
    title: str
    task: str
    annotator_id: str
    labels: Mapping[str, Any]
    rules: Mapping[str, Any]
    items: tuple[BundleItem, ...]
    stimuli: Mapping[str, FileFacts] = field(default_factory=dict)
    admission: Admission | None = None

    def files(self) -> dict[str, FileFacts]:
        """Return all files that belong to the bundle, by their path in it."""
        found = {f"{STIMULI}/{name}": facts for name, facts in self.stimuli.items()}
        for item in self.items:
            found.update(item.files())
        return found

    def to_bytes(self) -> bytes:
        """Return the manifest as it is written, with a hash over itself."""
        data = {
            "format": FORMAT,
            "version": VERSION,
            "bundle_id": self.bundle_id,
            "study_id": self.study_id,
            "title": self.title,
            "task": self.task,
            "annotator_id": self.annotator_id,
            "labels": dict(self.labels),
            "rules": dict(self.rules),
            "admission": vars(self.admission) if self.admission else None,
            "stimuli": {name: vars(facts) for name, facts in self.stimuli.items()},
            "items": [item.to_json() for item in self.items],
        }
        return (json.dumps({**data, "self_sha256": _own_hash(data)}, ensure_ascii=False) + "\n").encode()


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a bundle.

    Raises
    ------
    BundleError
        If the folder is no bundle, or its manifest is damaged or of a newer toolkit.
    """
    path = folder / MANIFEST_NAME
    again = "Copy the bundle again from where you got it, or ask the lab for it."
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise BundleError(
            f"{folder}: no {MANIFEST_NAME} here, so this is no bundle. Name the folder that the lab sent."
        ) from None
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror or error}. {again}") from error
    except ValueError as error:
        raise BundleError(f"{path}: damaged ({error}). {again}") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise BundleError(f"{path}: not the manifest of a bundle (format {FORMAT}). Name the folder that the lab sent.")
    if data.get("version") != VERSION:
        raise BundleError(
            f"{path}: bundle of version {data.get('version')}, this toolkit reads {VERSION}. "
            "Update the toolkit: pip install --upgrade emer-toolkit"
        )
    if data.pop("self_sha256", None) != _own_hash(data):
        raise BundleError(f"{path}: was changed after it was written. {again}")
    try:
        return _from_json(data)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise BundleError(f"{path}: incomplete ({error!r}). {again}") from error


def is_bundle(folder: Path) -> bool:
    """Tell whether a folder is meant to be a bundle, whole or not."""
    return (folder / MANIFEST_NAME).is_file()


def _from_json(data: Mapping[str, Any]) -> Manifest:
    if data["task"] not in TASKS:
        raise ValueError(f"task {data['task']!r}")
    return Manifest(
        **{key: str(data[key]) for key in ("bundle_id", "study_id", "title", "task", "annotator_id")},
        labels=dict(data["labels"]),
        rules=dict(data["rules"]),
        items=tuple(BundleItem.from_json(item) for item in data["items"]),
        stimuli={
            f"{_plain_name(name.removesuffix('.mp4'))}.mp4": FileFacts(**facts)
            for name, facts in data["stimuli"].items()
        },
        admission=Admission(**data["admission"]) if data["admission"] else None,
    )


def _plain_name(value: object) -> str:
    """Return a name that may become one of a file; a manifest that names files elsewhere was not made by a lab."""
    if not isinstance(value, str) or not _NAME.match(value):
        raise ValueError(f"name {str(value)[:80]!r}")
    return value


def _time_base(value: object) -> Fraction:
    # Fraction would compute "1e99999999" for hours.
    if not isinstance(value, str) or not _FRACTION.match(value):
        raise ValueError(f"time base {str(value)[:80]!r}")
    return Fraction(value)


def face_file(name: str) -> str:
    """Return where the face video of an item lies in the bundle."""
    return f"{FACE}/{name}.mp4"


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _own_hash(data: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
