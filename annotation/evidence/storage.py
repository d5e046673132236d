"""Eye evidence and flips as one small file each, for bundles.

The files are ZIP archives of NumPy arrays that ``numpy.load`` opens. They are
written without pickle, dates or names of anything else, so that neither can
say more than the numbers do.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from annotation.evidence.eyes import EyeEvidence, StimulusTrack
from annotation.evidence.guarded import GuardedFrames
from annotation.playback.frames import FrameSource
from data_schema.atomic import write_atomically
from data_schema.errors import MediaError

#: Raised with each change of the arrays.
VERSION = 1
#: Earliest date that a ZIP archive can hold: says nothing.
_NO_DATE = (1980, 1, 1, 0, 0, 0)
#: An hour of gaze at 1,200 Hz takes a third of it. A small file can claim any size.
_MAX_BYTES = 512 * 1024 * 1024
#: Number of columns of the two-dimensional arrays, 0 for a row of numbers, -1 for any.
_EVIDENCE: dict[str, tuple[str, int]] = {
    "gaze_t_us": ("<i8", 0), "gaze_norm": ("<f8", 2), "velocity_deg_s": ("<f8", 0), "pupil_mm": ("<f8", 0),
    "fixations": ("<f8", 4), "blinks_us": ("<i8", 2), "fixation_map": ("<f4", -1), "stimulus_box_norm": ("<f8", 0),
}  # fmt: skip
_FLIPS: dict[str, tuple[str, int]] = {"flip_t_us": ("<i8", 0), "flip_frame": ("<i8", 0)}


def save_evidence(path: Path, evidence: EyeEvidence, *, salt: bytes = b"") -> None:
    """Write the eye evidence of a clip, whole or not at all.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    evidence : EyeEvidence
    salt : bytes
        Random bytes that are stored too, so that two files of one clip do not look alike.

    Raises
    ------
    OSError
        If it cannot be written; the old file is then as it was.
    """
    arrays: dict[str, np.ndarray] = {
        name: np.asarray(getattr(evidence, name), dtype=kind) for name, (kind, _) in _EVIDENCE.items()
    }
    arrays["parameters_json"] = _as_bytes(json.dumps(evidence.parameters, sort_keys=True).encode())
    write_atomically(path, _pack(arrays, salt))


def load_evidence(path: Path) -> EyeEvidence:
    """Read what `save_evidence` wrote.

    Raises
    ------
    MediaError
        If the file is missing, damaged or something else.
    """
    arrays = _unpack(path, _EVIDENCE, "eye evidence")
    n = len(arrays["gaze_t_us"])
    if any(len(arrays[name]) != n for name in ("gaze_norm", "velocity_deg_s", "pupil_mm")):
        raise _damaged(path, "eye evidence", "its signals differ in length")
    if arrays["fixation_map"].ndim != 2 or len(arrays["stimulus_box_norm"]) != 4:
        raise _damaged(path, "eye evidence", "the fixation map or the stimulus' place has another shape")
    try:
        parameters = dict(json.loads(arrays["parameters_json"].tobytes().decode()))
    except (KeyError, ValueError) as error:
        raise _damaged(path, "eye evidence", "its parameters cannot be read") from error
    left, top, width, height = (float(value) for value in arrays["stimulus_box_norm"])
    named = {name: arrays[name] for name in _EVIDENCE if name != "stimulus_box_norm"}
    return EyeEvidence(**named, stimulus_box_norm=(left, top, width, height), parameters=parameters)


def save_flips(path: Path, track: StimulusTrack, *, salt: bytes = b"") -> None:
    """Write which frame of the stimulus stood on the screen when, whole or not at all.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    track : StimulusTrack
        Its frames are not written.
    salt : bytes
        As in `save_evidence`.
    """
    arrays = {name: np.asarray(getattr(track, name), dtype=kind) for name, (kind, _) in _FLIPS.items()}
    write_atomically(path, _pack(arrays, salt))


def load_flips(path: Path, frames: FrameSource) -> StimulusTrack:
    """Read what `save_flips` wrote, for the stimulus whose frames are given.

    Raises
    ------
    MediaError
        If the file is missing or damaged, or names frames that the stimulus does not have.
    """
    arrays = _unpack(path, _FLIPS, "flips")
    times, shown = arrays["flip_t_us"], arrays["flip_frame"]
    if len(times) != len(shown) or (len(times) and (np.diff(times) < 0).any()):
        raise _damaged(path, "flips", "its times do not fit its frames")
    if len(shown) and not 0 <= int(shown.min()) <= int(shown.max()) < len(frames):
        raise _damaged(path, "flips", f"it names frame {int(shown.max())} of a stimulus of {len(frames)} frames")
    return StimulusTrack(GuardedFrames(frames), times, shown)


def _as_bytes(text: bytes) -> np.ndarray:
    return np.frombuffer(text, dtype=np.uint8)


def _pack(arrays: Mapping[str, np.ndarray], salt: bytes) -> bytes:
    content = io.BytesIO()
    every = {"version": np.array([VERSION], dtype="<i8"), **arrays}
    if salt:
        every["salt"] = _as_bytes(salt)
    with zipfile.ZipFile(content, "w") as archive:
        for name, values in every.items():
            data = io.BytesIO()
            np.lib.format.write_array(data, np.ascontiguousarray(values), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", _NO_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data.getvalue(), compresslevel=1)
    return content.getvalue()


def _unpack(path: Path, expected: Mapping[str, tuple[str, int]], what: str) -> dict[str, np.ndarray]:
    try:
        # numpy leaves a damaged file open that it opened itself.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            size = sum(entry.file_size for entry in stored.zip.infolist())
            if size > _MAX_BYTES:
                raise ValueError(f"it would unpack to {size} bytes")
            arrays = {name: stored[name] for name in stored.files}
        version = int(arrays["version"][0]) if len(arrays.get("version", ())) else 0
    except FileNotFoundError as error:
        raise MediaError(
            f"{path.name}: there is no such file. Copy the bundle again, with all of its files."
        ) from error
    # numpy and zipfile raise many things at bytes that are not theirs.
    except (
        OSError, ValueError, EOFError, LookupError, AttributeError, TypeError, ArithmeticError, MemoryError, RuntimeError,
        SyntaxError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise _damaged(path, what, str(error) or type(error).__name__) from error
    if version > VERSION:
        raise MediaError(f"{path.name}: a newer toolkit wrote this file ({what} {version}). Update the toolkit.")
    for name, (kind, columns) in expected.items():
        values = arrays.get(name)
        if not isinstance(values, np.ndarray) or values.dtype != np.dtype(kind):
            raise _damaged(path, what, f"'{name}' is missing or of another kind")
        if columns >= 0 and values.shape[1:] != ((columns,) if columns else ()):
            raise _damaged(path, what, f"'{name}' has the shape {values.shape}")
    return arrays


def _damaged(path: Path, what: str, why: str) -> MediaError:
    return MediaError(f"{path.name}: no {what} can be read from it: {why}. Copy the bundle again.")
