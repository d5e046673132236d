"""Make a bundle: whole or not at all, and where a broken attempt stopped, go on there."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from annotation.bundle.contents import (
    FOLDERS,
    MANIFEST_NAME,
    README_NAME,
    STIMULI,
    Admission,
    BundleError,
    FileFacts,
    Manifest,
)
from annotation.bundle.guide import README
from annotation.bundle.keys import BundleKey, key_path, read_key, write_key
from annotation.bundle.pieces import ClipPieces, Recordings
from annotation.identity import StudyIdentity, plain_code, study_identity
from annotation.items import Block, Item
from annotation.source import ClipSource, Guess
from data_schema.atomic import sync_folder, write_atomically
from data_schema.clips.table import load_trial_index
from data_schema.errors import EmerError
from data_schema.study import StudyFolder

_log = logging.getLogger(__name__)

#: What an annotator has to know of the study's rules; the others would tell of repeats, gold clips and colleagues.
RULES: tuple[str, ...] = ("required", "trace", "trace_of", "break_every_min")
VOCABULARY: tuple[str, ...] = ("emotions", "polarities")
#: Every file of every bundle has this time: 2000-01-01 UTC.
_NO_TIME = 946_684_800

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class BuiltBundle:
    """What was made.

    Parameters
    ----------
    folder, key : Path
        The bundle, and the key that stays in the study.
    bundle_id : str
    n_items : int
    n_resumed : int
        Items that an earlier attempt had finished.
    left_out : dict
        Why a clip is not in it, by the study's name of the clip.
    needs_code : bool
        True if the main block waits for the code that `merge_labels` gives.
    """

    folder: Path
    key: Path
    bundle_id: str
    n_items: int
    n_resumed: int
    left_out: Mapping[str, str] = field(default_factory=dict)
    needs_code: bool = False


def build_bundle(
    study: StudyFolder,
    source: ClipSource,
    out: Path,
    *,
    with_guesses: bool = False,
    only_shared: bool = False,
    progress: Progress | None = None,
) -> BuiltBundle:
    """Make the bundle of one annotator and pass.

    Parameters
    ----------
    study : StudyFolder
    source : ClipSource
        The annotator's queue in the study.
    out : Path
        The folder to make; it must not exist, or be empty.
    with_guesses : bool
        Take along a model's guesses where they are to be offered.
    only_shared : bool
        Leave out participants who did not agree that their data are passed on.
    progress : callable, optional
        Called with items done, items in all, and a text.

    Raises
    ------
    BundleError
        If the folder is taken, cannot be written, or no clip may go into it.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BundleError(f"{out}: is there already. Name another folder, or take it away; labels may lie in it.")
    items = [*source.items()]
    if not items:
        raise BundleError(
            f"the queue of {source.annotator_id} ({source.task}) is empty. Run `emer annotate assign` first."
        )
    plan = _plan(source, items, with_guesses, only_shared)
    identity = study_identity(study)
    bundle_id = "b" + identity.digest("bundle", json.dumps(plan, sort_keys=True)).hex()[:15]
    try:
        workshop = _Workshop.open(study, out, bundle_id, source.task)
        done, left_out = _write_items(study, source, items, identity, workshop, (with_guesses, only_shared), progress)
        if not done:
            workshop.remove()
            raise BundleError(f"no clip can go into the bundle. The first: {next(iter(left_out.items()))}")
        manifest = _manifest(source, identity, bundle_id, items, done, workshop.folder)
        key = BundleKey(
            bundle_id,
            identity.study_id,
            source.annotator_id,
            source.task,
            _created(study, bundle_id),
            tuple(piece.key for piece in done.values()),
            left_out,
        )
        # The key first: a bundle that is out always has one.
        path = write_key(study, key)
        workshop.finish(manifest, out)
    except OSError as error:
        raise BundleError(
            f"{out}: {error.strerror or error}. What is done so far is kept: mend that and give the command again."
        ) from error
    return BuiltBundle(out, path, bundle_id, len(done), workshop.n_resumed, left_out, manifest.admission is not None)


def _plan(source: ClipSource, items: Sequence[Item], with_guesses: bool, only_shared: bool) -> dict[str, Any]:
    """Return all that decides what a bundle holds; its hash is the bundle's name."""
    return {
        "annotator": source.annotator_id,
        "task": source.task,
        "title": source.title,
        "labels": source.labels.model_dump(mode="json"),
        "rules": source.rules.model_dump(mode="json"),
        "guesses": [str(source.guess(item)) for item in items] if with_guesses else [],
        "only_shared": only_shared,
        "items": [(*dataclasses.astuple(item)[:5], item.block.value, item.position) for item in items],
    }


def _write_items(
    study: StudyFolder,
    source: ClipSource,
    items: Sequence[Item],
    identity: StudyIdentity,
    workshop: _Workshop,
    choices: tuple[bool, bool],
    progress: Progress | None,
) -> tuple[dict[str, ClipPieces], dict[str, str]]:
    """Write the files of all items, in the order of their opaque names: not even the disk knows the queue's order."""
    with_guesses, only_shared = choices
    clips = load_trial_index(study).set_index("clip_id")
    named = {identity.opaque(source.annotator_id, source.task, item.clip_id, item.repetition): item for item in items}
    done: dict[str, ClipPieces] = {}
    left_out: dict[str, str] = {}
    with Recordings(study, source, clips, identity, workshop.folder, only_shared) as recordings:
        for count, name in enumerate(sorted(named)):
            item = named[name]
            if progress:
                progress(count, len(named), item.clip_id)
            pieces = workshop.finished(name)
            if pieces is None:
                try:
                    pieces = recordings.write(name, item)
                except EmerError as error:
                    # One clip that cannot be read does not keep an annotator from the others.
                    left_out[item.clip_id] = str(error)
                    _log.warning("%s stays out: %s", item.clip_id, error)
                    continue
                workshop.note(pieces)
            done[name] = _with_answers(pieces, source, item, source.guess(item) if with_guesses else None)
        if progress:
            progress(len(named), len(named), "")
    return done, left_out


def _with_answers(pieces: ClipPieces, source: ClipSource, item: Item, guess: Guess | None) -> ClipPieces:
    """Add what feedback is given by, and a guess if it is to be shown; a withheld one stays in the key."""
    answer = source.gold(item) if item.block is Block.TRAINING else None
    shown = guess if guess is not None and guess.offered else None
    withheld = {**vars(guess), "scales": dict(guess.scales)} if guess is not None and not guess.offered else None
    return ClipPieces(
        dataclasses.replace(pieces.item, answer=answer, guess=shown), dataclasses.replace(pieces.key, guess=withheld)
    )


def _manifest(
    source: ClipSource,
    identity: StudyIdentity,
    bundle_id: str,
    items: Sequence[Item],
    done: Mapping[str, ClipPieces],
    folder: Path,
) -> Manifest:
    by_place = {pieces.key.item_id: pieces.item for pieces in done.values()}
    in_order = tuple(by_place[item.item_id] for item in items if item.item_id in by_place)
    blocks = {item.block for item in in_order}
    admission = None
    if {Block.ADMISSION, Block.MAIN} <= blocks:
        code = plain_code(identity.admission_code(source.annotator_id, source.task))
        admission = Admission.of(code, identity.digest("salt", bundle_id)[:16])
    stimuli = {path.name: FileFacts.of(path) for path in sorted((folder / STIMULI).glob("*.mp4"))}
    used = {item.stimulus for item in in_order}
    return Manifest(
        bundle_id,
        identity.study_id,
        source.title,
        source.task,
        source.annotator_id,
        source.labels.model_dump(mode="json", include=set(VOCABULARY)),
        source.rules.model_dump(mode="json", include=set(RULES)),
        in_order,
        {name: facts for name, facts in stimuli.items() if Path(name).stem in used},
        admission,
    )


def _created(study: StudyFolder, bundle_id: str) -> str:
    path = key_path(study, bundle_id)
    if path.is_file():
        return read_key(path).created_utc
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Workshop:
    """The folder beside the bundle's place in which it is made, and what is finished in it.

    What is finished is noted in the study: it names the clips, and the medium on which a bundle is made may be handed
    out with a broken attempt, or what can be recovered of it, still on it.
    """

    def __init__(self, folder: Path, progress: Path) -> None:
        self.folder = folder
        self._progress = progress
        self._pieces = _read_progress(folder, progress)
        self.n_resumed = len(self._pieces)

    @classmethod
    def open(cls, study: StudyFolder, out: Path, bundle_id: str, task: str) -> _Workshop:
        """Go on with what an earlier attempt left, if it was the same bundle; else begin anew."""
        folder = out.absolute().with_name(f".{out.name}.{bundle_id}.unfinished")
        folder.parent.mkdir(parents=True, exist_ok=True)
        for other in folder.parent.glob(f".{out.name}.b*.unfinished"):
            if other != folder:
                shutil.rmtree(other)
                _progress_path(study, other.name.split(".")[-2]).unlink(missing_ok=True)
        for name in FOLDERS[task]:
            (folder / name).mkdir(parents=True, exist_ok=True)
        return cls(folder, _progress_path(study, bundle_id))

    def finished(self, name: str) -> ClipPieces | None:
        """Return what is known of an item whose files are here."""
        return self._pieces.get(name)

    def note(self, pieces: ClipPieces) -> None:
        """Remember that an item's files are whole and on the disk."""
        self._progress.parent.mkdir(parents=True, exist_ok=True)
        with self._progress.open("a", encoding="utf-8") as file:
            file.write(json.dumps(pieces.to_json()) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def finish(self, manifest: Manifest, out: Path) -> None:
        """Write what is left, hide all times and give the folder its name."""
        belongs = set(manifest.files())
        for path in [*self.folder.rglob("*")]:
            if path.is_file() and path.relative_to(self.folder).as_posix() not in belongs:
                path.unlink()  # of an attempt that was broken off
        write_atomically(self.folder / README_NAME, README.encode())
        write_atomically(self.folder / MANIFEST_NAME, manifest.to_bytes())
        for path in [*self.folder.rglob("*"), self.folder]:
            os.utime(path, (_NO_TIME, _NO_TIME))
        if out.is_dir():
            out.rmdir()  # empty, as was asked for
        self.folder.rename(out)
        sync_folder(out.absolute().parent)
        self._progress.unlink(missing_ok=True)

    def remove(self) -> None:
        """Take away all that was made."""
        shutil.rmtree(self.folder)
        self._progress.unlink(missing_ok=True)


def _progress_path(study: StudyFolder, bundle_id: str) -> Path:
    return key_path(study, bundle_id).with_suffix(".unfinished")


def _read_progress(folder: Path, path: Path) -> dict[str, ClipPieces]:
    found: dict[str, ClipPieces] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            pieces = ClipPieces.from_json(json.loads(line))
            whole = all(FileFacts.of(folder / name) == facts for name, facts in pieces.item.files().items())
        except (ValueError, KeyError, TypeError, OSError):
            continue  # the line, or a file, that a crash cut short: made anew
        if whole and (not pieces.item.stimulus or (folder / STIMULI / f"{pieces.item.stimulus}.mp4").is_file()):
            found[pieces.item.name] = pieces
    return found
