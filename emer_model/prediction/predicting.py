"""Let a run judge an export, a study, sessions or clips: from where they lie to what is said of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_schema.errors import EmerError, TrainingError
from data_schema.exports.manifest import read_manifest
from data_schema.exports.reading import TrainingExport
from emer_model.data.datamodule import PARTS
from emer_model.prediction.judging import Judged, judge
from emer_model.prediction.membership import Learned, participant_of
from emer_model.prediction.sources import open_source
from emer_model.training.faces import Progress, Tell
from emer_model.training.files import read_json
from emer_model.training.opened import OpenedRun, find_export
from emer_model.training.run_folder import RunFolder
from emer_model.training.run_state import BEST

#: With fewer clips of a new person at hand, a baseline of their own is hardly one. Ours: as many as there are emotions.
FEW_CLIPS = 7


@dataclass(frozen=True)
class Prediction:
    """What a run says of the clips of a source.

    Parameters
    ----------
    judged : Judged
    clip_sha256 : tuple of str
        Of the session file of each clip.
    model_sha256 : str
        Over the checkpoints that judged, and over how they were asked.
    weak : dict of str to str
        Clips of poor quality, with the reason.
    whole : bool
        True for all clips of an export or a study.
    study : Path or None
        The study that the source lies in.
    notes : tuple of str
        What the user should know.
    """

    judged: Judged
    clip_sha256: tuple[str, ...]
    model_sha256: str
    weak: Mapping[str, str]
    whole: bool
    study: Path | None
    notes: tuple[str, ...]


def predict_source(
    run: RunFolder,
    place: Path | None = None,
    *,
    export_path: Path | None = None,
    clips: Sequence[str] = (),
    mc_dropout: int = 0,
    seed: int = 0,
    device: str = "auto",
    workers: int = 1,
    progress: Progress | None = None,
    tell: Tell | None = None,
) -> Prediction:
    """Let all finished folds of a run judge clips.

    Parameters
    ----------
    run : RunFolder
    place : Path, optional
        An export, a study, a folder of session files, or one; the run's export by default.
    export_path : Path, optional
        Where the run's export is now, if it has moved.
    clips : sequence of str
        The clips that are wanted; all by default.
    mc_dropout, seed : int
        See `emer_model.prediction.judging.judge`.
    device : str
        See `emer_model.training.environment.choose_device`.
    workers : int
        Processes that compute sessions; 0 for one a core.
    progress, tell : callable, optional

    Raises
    ------
    UsageError
        If the source is none, has no such clip, or the model has no dropout to leave on.
    TrainingError
        If no fold is finished, a checkpoint is not the run's, or the clips have other features.
    """
    state = run.state()
    run.require_finished(state)
    own = _own_export(run, export_path, needed=place is None)
    place = place or own
    if place is None:
        raise TrainingError(f"{run.root}: its export is not at hand. Say where it is with --export, or name a SOURCE.")
    settings = _array_settings(run, own)
    with open_source(place, settings, clips=clips, workers=workers, progress=progress) as source:
        is_own = own is not None and source.path.resolve() == own.resolve()
        with OpenedRun(
            run, source.path, device=device, state=state, other_export=not is_own, progress=progress, tell=tell
        ) as opened:
            judged = judge(
                opened,
                source.wanted,
                labelled=_labelled(own, [target.name for target in opened.targets]),
                mc_dropout=mc_dropout,
                seed=seed,
                progress=progress,
            )
            known = dict(zip(opened.export.clips["clip_id"], opened.export.clips["session_sha256"], strict=True))
        new = _new_people(run, judged)
        notes = [
            *source.notes,
            *run.notes(state, own),
            *_learned_all(run, judged, state.finished),
            *_notes(judged, new, _is_by_subject(run)),
        ]
        asked = "" if not mc_dropout else f"mc-dropout {mc_dropout} {seed}"
        return Prediction(
            judged,
            tuple(str(known[name]) for name in judged.clip_ids),
            model_sha256(run, state.finished, asked),
            source.weak,
            source.whole,
            source.study,
            tuple(notes),
        )


def model_sha256(run: RunFolder, folds: Sequence[int], asked: str = "") -> str:
    """Return one hash over the best checkpoints of some folds, and over how they were asked."""
    digest = hashlib.sha256()
    for fold in folds:
        digest.update(hashlib.sha256((run.fold(fold) / BEST).read_bytes()).digest())
    digest.update(asked.encode("utf-8"))
    return digest.hexdigest()


def _own_export(run: RunFolder, export_path: Path | None, *, needed: bool) -> Path | None:
    """Return the run's export; None where it is gone and can be done without."""
    if export_path is not None or needed:
        return find_export(run, export_path)
    try:
        return find_export(run)
    except EmerError:
        return None


def _array_settings(run: RunFolder, own: Path | None) -> Mapping[str, Any] | None:
    """Return the settings by which the run's clips were computed; None if nobody knows."""
    settings: Mapping[str, Any] = run.config()["export"].get("settings") or {}
    if not settings and own is not None:
        settings = read_manifest(own).get("settings") or {}
    return settings or None


def _labelled(own: Path | None, targets: Sequence[str]) -> frozenset[str] | None:
    """Return the clips whose label the run could learn from; None if that is not known."""
    if own is None:
        return None
    with TrainingExport.open(own, verify=False) as export:
        table = export.targets
    names = [name for name in targets if name in table]
    return frozenset(table.loc[table[names].notna().any(axis=1), "clip_id"].astype(str))


def _new_people(run: RunFolder, judged: Judged) -> np.ndarray:
    """Tell which clips are of people whom no fold knows, not even for its test; shape (n_clips,)."""
    stored = read_json(run.folds_path)
    known = {participant_of(str(name)) for fold in stored.values() for part in PARTS for name in fold.get(part, ())}
    return np.array([who not in known for who in judged.participants], dtype=bool)


def _learned_all(run: RunFolder, judged: Judged, folds: Sequence[int]) -> list[str]:
    """Say that every model there is learned from a clip, as when the fold that tests it is not finished."""
    stored = read_json(run.folds_path)
    known = [one.trained | one.validated for one in (Learned.of(stored, fold) for fold in folds)]
    clips = [name for name in judged.clip_ids if all(name in own for own in known)]
    if not clips:
        return []
    said = (
        f"{len(clips)} clip(s), such as {clips[0]}, are judged by models that learned from them, since the fold that tests them "
        "is not finished: they look surer and better than they are. Train all folds"
    )
    return [said]


def _is_by_subject(run: RunFolder) -> bool:
    return bool(run.run_config().subject_normalisation)


def _notes(judged: Judged, new: np.ndarray, by_subject: bool) -> list[str]:
    """Say what the user should know of the answers."""
    notes = []
    who = np.asarray(judged.participants, dtype=object)
    if new.any():
        people = sorted(set(who[new]))
        shown = ", ".join(people[:3]) + (" ..." if len(people) > 3 else "")
        notes.append(f"{len(people)} new participant(s) ({shown}), judged by the models of all folds together")
        few = sorted(
            {(str(name), int(n)) for name, n in zip(who[new], judged.n_own_clips[new], strict=True) if n < FEW_CLIPS}
        )
        if by_subject and few:
            counts = ", ".join(f"{name}: {n} clip{'s' if n > 1 else ''}" for name, n in few[:3])
            notes.append(
                f"each person's baseline is taken from their own clips at hand, and there are few ({counts}): what is typical of "
                f"the person cannot be told from what they feel. Give all clips of a person at once, {FEW_CLIPS} or more"
            )
    for what in ("face", "eyes", "face and eyes"):
        n = judged.missing.count(what)
        if n:
            first = judged.clip_ids[judged.missing.index(what)]
            alone = {"face": "by the eyes alone", "eyes": "by the face alone"}.get(
                what, "by nothing: as the average clip"
            )
            notes.append(f"{n} clip(s) have no {what} and are judged {alone}, such as {first}")
    if judged.n_models.max(initial=0) == 1 and judged.n_members.max(initial=0) == 1:
        notes.append(
            "one model alone judged: nothing is known of disagreement. Train all folds, or add --mc-dropout 20"
        )
    return notes
