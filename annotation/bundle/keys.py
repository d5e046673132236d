"""The key files that stay in the study: which clip each opaque name stands for.

``annotation/bundles/ID.json``, one a bundle. Names depend on study, annotator, pass, clip and repetition alone, so
an annotator's later bundle calls a clip by the same name, and a label file that was begun with the first goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from annotation.bundle.contents import BundleError
from data_schema.atomic import write_atomically
from data_schema.study import StudyFolder

VERSION = 1


@dataclass(frozen=True)
class KeyItem:
    """One name of a bundle, and what it stands for at home.

    Parameters
    ----------
    name : str
        Opaque; clip and item in the bundle's label file.
    item_id, clip_id, clip_sha256, repetition, block
        As in the study's queue.
    face_sha256 : tuple of str
        Video files that went out under this name.
    n_frames, time_base : int, str
        Of the video file.
    home_first, home_pts, home_time_base : int, int, str
        The file's first frame in the session's video.
    guess : mapping or None
        A guess that was held back on purpose (blind control share), for the log.
    """

    name: str
    item_id: str
    clip_id: str
    clip_sha256: str
    repetition: int
    block: str
    face_sha256: tuple[str, ...]
    n_frames: int
    time_base: str
    home_first: int
    home_pts: int
    home_time_base: str
    guess: Mapping[str, Any] | None = None

    def home_frame(self, frame_index: int, frame_pts: int | None) -> tuple[int, int | None]:
        """Return number and time stamp, in the session, of a frame of the bundle's file.

        Raises
        ------
        BundleError
            If the file has no such frame.
        """
        if not 0 <= frame_index < self.n_frames:
            raise BundleError(f"frame {frame_index} of a clip with {self.n_frames} frames")
        if frame_pts is None:
            return self.home_first + frame_index, None
        # From a step's JSON anything may come, and Fraction would compute "1e99999999" for hours.
        if type(frame_pts) is not int:
            raise BundleError(f"time stamp {str(frame_pts)[:40]!r}, which is no integer")
        moved = Fraction(frame_pts) * Fraction(self.time_base) / Fraction(self.home_time_base)
        if moved.denominator != 1:
            raise BundleError(f"time stamp {frame_pts}, which is none of the clip's")
        return self.home_first + frame_index, self.home_pts + int(moved)


@dataclass(frozen=True)
class BundleKey:
    """The key of one bundle."""

    bundle_id: str
    study_id: str
    annotator_id: str
    task: str
    created_utc: str
    items: tuple[KeyItem, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)


def key_path(study: StudyFolder, bundle_id: str) -> Path:
    """Return where the key of a bundle lies."""
    return study.annotation_dir / "bundles" / f"{bundle_id}.json"


def write_key(study: StudyFolder, key: BundleKey) -> Path:
    """Write a key; video files that went out before under the same names stay known.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    path = key_path(study, key.bundle_id)
    known: dict[str, tuple[str, ...]] = {}
    if path.is_file():
        known = {item.name: item.face_sha256 for item in read_key(path).items}
    data = asdict(key)
    for item in data["items"]:
        item["face_sha256"] = sorted({*item["face_sha256"], *known.get(item["name"], ())})
    path.parent.mkdir(parents=True, exist_ok=True)
    about = (
        "Maps the opaque names of a bundle back. Never hand it out; without it the bundle's labels cannot come home."
    )
    write_atomically(path, (json.dumps({"about": about, "version": VERSION, **data}, indent=1) + "\n").encode())
    return path


def read_key(path: Path) -> BundleKey:
    """Read a key.

    Raises
    ------
    BundleError
        If it is missing or damaged.
    """
    try:
        data = json.loads(path.read_bytes())
        data.pop("about", None)
        if data.pop("version") != VERSION:
            raise BundleError(f"{path}: written by another version of the toolkit. Update the toolkit.")
        items = tuple(
            KeyItem(**{**item, "face_sha256": tuple(item["face_sha256"])})  # type: ignore[arg-type]
            for item in data.pop("items")
        )
        return BundleKey(items=items, **data)
    except FileNotFoundError:
        raise BundleError(
            f"{path}: the key of the bundle is not here, so its names cannot be read. Merge in the study that made "
            "the bundle, or bring the file back from the backup."
        ) from None
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror or error}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{path}: damaged ({error!r}). Bring it back from the backup.") from error


def keys_of(study: StudyFolder, annotator_id: str) -> Iterator[BundleKey]:
    """Read all keys of an annotator's bundles.

    Raises
    ------
    BundleError
        If one of the study's keys is damaged.
    """
    for path in sorted((study.annotation_dir / "bundles").glob("*.json")):
        key = read_key(path)
        if key.annotator_id == annotator_id:
            yield key
