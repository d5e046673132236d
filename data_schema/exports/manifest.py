"""The manifest of an export: what is in it, how it was made, and the hash of each file."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Any

from data_schema import __version__
from data_schema.errors import ExportError
from data_schema.files import file_sha256, read_json
from data_schema.signals.features import EYE_FEATURES, FIXATION_FEATURES, SUMMARY_FEATURES

FORMAT_NAME = "emer-training-export"
#: major.minor: a reader opens every export of its own major version.
FORMAT_VERSION = "1.2"
MANIFEST_NAME = "manifest.json"
#: What file managers leave behind in any folder; nobody's work.
_CLUTTER = (".DS_Store", "Thumbs.db", "desktop.ini")
#: Where training keeps what it computed from an export's faces. It goes with the export: replacing it or withdrawing
#: somebody from it removes the folder.
FACE_FEATURES_FOLDER = "face_features"
#: What training writes there; anything else is somebody's work.
_FACE_FEATURES = re.compile(rf"{FACE_FEATURES_FOLDER}/([a-z0-9]+-[0-9a-f]{{32}}\.(npy|json)|\.[^/]+\.partial)")


def make_manifest(
    folder: Path,
    *,
    study_title: str,
    simulated: bool,
    settings: dict[str, Any],
    counts: dict[str, Any],
    about: dict[str, Any],
) -> dict[str, Any]:
    """Describe an export's folder, hashing each file in it.

    Parameters
    ----------
    folder : Path
    study_title : str
    simulated : bool
        Whether any clip was simulated.
    settings, counts : dict
        All that decided what is in the export; how much of what it holds.
    about : dict
        ``sources`` (what the export was made of, so that it can be told when it is out of date), ``excluded`` (clips left
        out, by reason), ``faces`` (how well faces were seen), ``face_detector`` (which, and its licences).
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST_NAME)
    return {
        "format": FORMAT_NAME,
        "format_version": FORMAT_VERSION,
        "created_utc": datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "toolkit_version": __version__,
        "study_title": study_title,
        "simulated": simulated,
        "settings": settings,
        "counts": counts,
        **about,
        "eye_features": [asdict(feature) for feature in EYE_FEATURES],
        "fixation_features": [asdict(feature) for feature in FIXATION_FEATURES],
        "summary_features": [asdict(feature) for feature in SUMMARY_FEATURES],
        "files": {
            path.relative_to(folder).as_posix(): {"sha256": file_sha256(path), "bytes": path.stat().st_size}
            for path in files
        },
    }


def is_export(folder: Path) -> bool:
    """Tell whether a folder is a finished training export."""
    try:
        return bool(read_manifest(folder)["format"] == FORMAT_NAME)
    except ExportError:
        return False


def foreign_files(folder: Path) -> list[str]:
    """Return the files in an export's folder that neither the export wrote nor training keeps there, relative to it.

    Raises
    ------
    ExportError
        If the folder is no finished export.
    """
    own = {*read_manifest(folder)["files"], MANIFEST_NAME}
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    names = (path.relative_to(folder).as_posix() for path in found)
    return sorted(
        name
        for name in names
        if name not in own and PurePosixPath(name).name not in _CLUTTER and not _FACE_FEATURES.fullmatch(name)
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read and check the manifest of an export.

    Raises
    ------
    ExportError
        If the folder is no finished export, or of another or a newer format.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise ExportError(_no_export(folder))
    manifest = read_json(
        path,
        "manifest of the training export",
        "The export is damaged: copy it again, or delete its folder and export again.",
    )
    if manifest.get("format") != FORMAT_NAME:
        raise ExportError(f"{path}: format is '{manifest.get('format')}', expected '{FORMAT_NAME}'. Name an export.")
    version = str(manifest.get("format_version", ""))
    if version.partition(".")[0] != FORMAT_VERSION.partition(".")[0]:
        raise ExportError(
            f"{path}: written in export format {version}; this toolkit reads {FORMAT_VERSION.partition('.')[0]}.x. "
            "Install the toolkit version that it names, or export again."
        )
    if not isinstance(manifest.get("files"), dict):
        raise ExportError(f"{path}: lists no files. The export is damaged: export again.")
    return manifest


def _no_export(folder: Path) -> str:
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.partial")
        hint = " An export to it was interrupted; run it again and it goes on." if partial.is_dir() else ""
        return f"{folder}: there is no such folder.{hint} Make one with: emer export training STUDY {folder}"
    if folder.name.endswith(".partial"):
        return f"{folder}: an export that was interrupted. Run the same `emer export training` again."
    return f"{folder}: no {MANIFEST_NAME} here, so no finished training export. Name the folder that holds it."


def verify_files(folder: Path, manifest: dict[str, Any], hashes: bool = True) -> None:
    """Check that each file of the manifest is there and as it was written.

    Parameters
    ----------
    folder : Path
    manifest : dict
    hashes : bool
        False compares sizes only.

    Raises
    ------
    ExportError
        Naming the files that are missing or differ.
    """
    problems = []
    for name, entry in sorted(manifest["files"].items()):
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ExportError(f"{folder / MANIFEST_NAME}: names a file outside the export: {name}.")
        path = folder / name
        if not path.is_file():
            problems.append(f"{name} is missing")
        elif path.stat().st_size != entry.get("bytes"):
            problems.append(f"{name} has {path.stat().st_size} bytes, expected {entry.get('bytes')}")
        elif hashes and file_sha256(path) != entry.get("sha256"):
            problems.append(f"{name} has changed (its SHA-256 differs)")
    if problems:
        shown = "; ".join(problems[:3]) + (f"; and {len(problems) - 3} more" if len(problems) > 3 else "")
        raise ExportError(f"{folder}: {shown}. The export is damaged: copy it again, or export again with --force.")
