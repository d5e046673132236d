"""What a model is asked about: an export, a study, a folder of sessions, one session, one clip."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_schema.errors import TrainingError, UsageError
from data_schema.exports.manifest import MANIFEST_NAME
from data_schema.exports.reading import TrainingExport
from data_schema.study.folder import parse_session_name
from emer_model.prediction.recordings import compute_recordings, study_of
from emer_model.prediction.settings import differing_versions, settings_of_export

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Source:
    """Clips to predict.

    Parameters
    ----------
    path : Path
        A training export, or what was computed in the form of one. All clips at hand, also siblings of those that are
        wanted: a person's baseline is taken from all of them.
    wanted : tuple of str
        The clips asked for.
    whole : bool
        True for all clips of an export or a study, whose guesses a study keeps.
    study : Path or None
        The study that the source lies in.
    notes : tuple of str
        What the user should know, such as what was left out.
    weak : dict of str to str
        Clips that are judged although an export would leave them out, with the reason.
    """

    path: Path
    wanted: tuple[str, ...]
    whole: bool
    study: Path | None
    notes: tuple[str, ...] = ()
    weak: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def open_source(
    place: Path,
    settings: Mapping[str, Any] | None,
    *,
    clips: Sequence[str] = (),
    workers: int = 1,
    progress: Progress | None = None,
) -> Iterator[Source]:
    """Open what a model is asked about; what had to be computed for it is removed at the end.

    Parameters
    ----------
    place : Path
        A training export, a study, a folder with session files in it, or a session file.
    settings : mapping, optional
        ``settings`` of the manifest of the run's export: recordings are computed by these. None if nobody knows them;
        then by the study's own.
    clips : sequence of str
        The clips that are wanted; all by default.
    workers : int
        Processes that compute sessions.
    progress : callable, optional
        Told the clips computed.

    Yields
    ------
    Source

    Raises
    ------
    UsageError
        If the place holds nothing to predict, or there is no such clip.
    TrainingError
        If no clip of the recordings can be used.
    """
    place = Path(place)
    study = study_of(place) if place.exists() else None
    root = None if study is None else study.root
    if place.is_dir() and (place / MANIFEST_NAME).is_file():
        yield Source(place, _wanted(place, clips, {}, place), not clips, root)
        return
    sessions = _session_files(place)
    known = study or study_of(sessions[0])
    notes: list[str] = []
    if settings is None:
        if known is None:
            raise TrainingError(
                f"{place}: the run does not say by which settings its clips were computed, and these files lie in no study. "
                "Say with --export where the run's export is."
            )
        from data_schema.exports.computing import shard_settings

        computed = shard_settings(known)
        notes.append(f"the run's export is not at hand: computed by the settings of {known.root}")
    else:
        stored_sha256 = str(dict(settings.get("face_detector", {})).get("model_sha256", ""))
        computed = settings_of_export(settings, _model_file(known, stored_sha256))
        differing = differing_versions(settings)
        if differing:
            notes.append(
                f"this toolkit computes signals otherwise than the one that exported what the model learned from "
                f"({'; '.join(differing)}): export again and train again for predictions that can be relied on"
            )
    with tempfile.TemporaryDirectory(prefix="emer-predict-", ignore_cleanup_errors=True) as folder:
        found = compute_recordings(sessions, computed, Path(folder), workers=workers, progress=progress)
        is_study = study is not None and place.resolve() == study.root.resolve()
        wanted = _wanted(found.path, clips, found.excluded, place)
        yield Source(found.path, wanted, is_study and not clips, root, (*notes, *found.notes), found.weak)


def _session_files(place: Path) -> list[Path]:
    """Return the session files of a place, in order."""
    if place.is_file():
        if place.suffix != ".h5":
            raise UsageError(
                f"SOURCE {place}: is no session file. Give a session file (.h5), a folder of them, a study, or a folder of "
                "`emer export training`."
            )
        return [place]
    if not place.is_dir():
        raise UsageError(f"SOURCE {place}: there is no such file or folder.")
    if place.name.endswith(".partial"):
        raise UsageError(f"SOURCE {place}: an export that was interrupted. Finish it, or give the sessions themselves.")
    root = place / "sessions" if (place / "study.toml").is_file() else place
    found = sorted(path for path in root.rglob("*.h5") if parse_session_name(path) is not None)
    if not found:
        raise UsageError(
            f"SOURCE {place}: holds no training export and no session file. A session file is named such as "
            "sub-P001_ses-01.h5."
        )
    return found


def _wanted(export: Path, clips: Sequence[str], excluded: Mapping[str, str], place: Path) -> tuple[str, ...]:
    """Return the clips that are wanted, in the order of the export."""
    with TrainingExport.open(export, verify=False) as opened:
        present = opened.clips["clip_id"].astype(str).tolist()
    for name in clips:
        if name in excluded:
            raise TrainingError(f"--clip {name}: cannot be judged: {excluded[name]}.")
        if name not in present:
            near = ", ".join(present[:3]) + (" ..." if len(present) > 3 else "")
            raise UsageError(f"--clip {name}: {place} has no such clip. It has {len(present)}: {near}")
    return tuple(name for name in present if not clips or name in set(clips))


def _model_file(study: Any, sha256: str) -> str:
    """Return the detector's model file that a study names, if the run's export was made with one."""
    if not sha256:
        return ""
    if study is not None:
        from data_schema.derived import derived_settings

        faces = derived_settings(study.config).faces
        if faces.model_sha256 == sha256:
            return str(faces.model_file)
    raise TrainingError(
        "the run's export was made with a face detector's model file (SHA-256 "
        f"{sha256[:12]}...) that no study here names. Name it in study.toml under [faces] model_file."
    )
