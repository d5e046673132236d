"""Whether a bundle is whole, and holds nothing that does not belong to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import av

from annotation.bundle.contents import (
    EYES,
    FACE,
    LABELS_FOLDER,
    MANIFEST_NAME,
    README_NAME,
    STIMULI,
    FileFacts,
    Manifest,
    read_manifest,
)
from data_schema.errors import EmerError

Progress = Callable[[int, int, str], None]
#: What every .mp4 says of itself.
_PLAIN_METADATA = {"major_brand", "minor_version", "compatible_brands", "language", "handler_name", "vendor_id"}
#: What systems put into folders by themselves.
_OF_THE_SYSTEM = {".DS_Store", "Thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class CheckedBundle:
    """What a look at a bundle found.

    Parameters
    ----------
    manifest : Manifest
    n_files, size : int, int
        Files looked at, and their bytes.
    problems : list of str
        Empty if the bundle is whole.
    """

    manifest: Manifest
    n_files: int
    size: int
    problems: list[str] = field(default_factory=list)


def check_bundle(folder: Path, progress: Progress | None = None) -> CheckedBundle:
    """Look at every file of a bundle: hash, streams, frame count, and that nothing else is there.

    Raises
    ------
    BundleError
        If the folder is no bundle, or its manifest is damaged.
    """
    manifest = read_manifest(folder)
    expected = manifest.files()
    problems = _strangers(folder, set(expected), manifest)
    n_frames = {f"{FACE}/{item.name}.mp4": item.n_frames for item in manifest.items}
    for done, (name, facts) in enumerate(sorted(expected.items())):
        if progress:
            progress(done, len(expected), name)
        problems += _file_problems(folder, name, facts, n_frames.get(name))
    if progress:
        progress(len(expected), len(expected), "")
    return CheckedBundle(manifest, len(expected), sum(facts.size for facts in expected.values()), problems)


def _strangers(folder: Path, expected: set[str], manifest: Manifest) -> list[str]:
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        known = name in expected or name in (MANIFEST_NAME, README_NAME) or name.startswith(f"{LABELS_FOLDER}/")
        if path.is_file() and not known and path.name not in _OF_THE_SYSTEM:
            found.append(f"{name}: does not belong to the bundle; take it away")
    if manifest.task == "fer" and any((folder / kind).exists() for kind in (STIMULI, EYES)):
        found.append("a bundle of the FER pass holds stimuli or eye evidence; do not look at it, and tell the lab")
    return found


def _file_problems(folder: Path, name: str, facts: FileFacts, n_frames: int | None) -> list[str]:
    path = folder / name
    try:
        found = FileFacts.of(path)
    except FileNotFoundError:
        return [f"{name}: is missing; copy the bundle again"]
    except OSError as error:
        return [f"{name}: cannot be read: {error.strerror or error}"]
    if found != facts:
        return [f"{name}: has {found.size} bytes or other content, expected {facts.size}; copy the bundle again"]
    if not name.endswith(".mp4"):
        return []
    try:
        return _video_problems(path, name, n_frames)
    except (av.error.FFmpegError, EmerError) as error:
        return [f"{name}: cannot be read as a video ({error}); ask the lab for a new bundle"]


def _video_problems(path: Path, name: str, n_frames: int | None) -> list[str]:
    from annotation.playback import open_video

    with av.open(str(path)) as opened:
        kinds = [stream.type for stream in opened.streams]
        said = {**opened.metadata, **{k: v for stream in opened.streams for k, v in stream.metadata.items()}}
    problems = []
    if kinds != ["video"]:
        problems.append(f"{name}: has the streams {', '.join(kinds)}, expected one video; tell the lab")
    if set(said) - _PLAIN_METADATA:
        problems.append(f"{name}: says {', '.join(sorted(set(said) - _PLAIN_METADATA))} of itself; tell the lab")
    frames = open_video(path)
    n_found = len(frames)
    frames.close()
    if n_frames is not None and n_found != n_frames:
        problems.append(f"{name}: {n_found} frames can be read, expected {n_frames}")
    return problems
