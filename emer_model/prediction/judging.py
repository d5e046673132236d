"""Ask the models of a run about clips, and join what they say.

Each fold's probabilities are calibrated by the temperature that its own validation
clips ask for, then averaged over the models that may judge a clip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.utilities.seed import isolate_rng

from data_schema.errors import UsageError
from emer_model.data.dataset import ClipDataset
from emer_model.data.targets import Target
from emer_model.evaluation.calibration import apply_temperature, fold_temperatures
from emer_model.prediction.dropout import WithDropout, dropouts
from emer_model.prediction.membership import Learned, may_disagree, may_judge
from emer_model.prediction.uncertainty import ClassBelief, ValueBelief, class_belief, value_belief
from emer_model.training.environment import deterministic, limited_threads
from emer_model.training.faces import Progress
from emer_model.training.files import read_json
from emer_model.training.opened import OpenedRun
from emer_model.training.prediction import predict


@dataclass(frozen=True)
class Judged:
    """What a run says of clips; all arrays have one entry a clip.

    Parameters
    ----------
    clip_ids : tuple of str
    participants : tuple of str
    targets : tuple of Target
        Those of the run's protocols.
    classes : dict of ClassBelief, by target
    values : dict of ValueBelief, by target
    expected_error : dict of ndarray of float64, by continuous target
        Mean absolute error of the judging models on their validation clips: what to expect of new people.
    n_models : ndarray of int
        Fold models whose answers were averaged.
    n_members : ndarray of int
        Models, times passes with dropout, whose disagreement was measured.
    n_own_clips : ndarray of int
        Clips of the same person at hand, on which that person's own baseline rests.
    missing : tuple of str
        'face', 'eyes', 'face and eyes' where a clip has none, else empty.
    """

    clip_ids: tuple[str, ...]
    participants: tuple[str, ...]
    targets: tuple[Target, ...]
    classes: dict[str, ClassBelief]
    values: dict[str, ValueBelief]
    expected_error: dict[str, np.ndarray]
    n_models: np.ndarray
    n_members: np.ndarray
    n_own_clips: np.ndarray
    missing: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.clip_ids)


def judge(
    opened: OpenedRun,
    wanted: Sequence[str],
    *,
    labelled: frozenset[str] | None = None,
    mc_dropout: int = 0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Judged:
    """Ask all finished folds of a run about clips.

    Parameters
    ----------
    opened : OpenedRun
        A run with the clips at hand: those wanted, and their siblings for the baselines of persons.
    wanted : sequence of str
        The clips to judge, in the order of the answer.
    labelled : frozenset of str, optional
        Clips whose label the run could learn from; unknown by default.
    mc_dropout : int
        Passes with dropout of each model; 0 for one without.
    seed : int
        Of these passes.
    progress : callable, optional
        Told the folds done.

    Raises
    ------
    UsageError
        If passes with dropout are asked of a model that has none.
    TrainingError
        If a checkpoint is not the run's, or was trained on other features.
    """
    folds = opened.finished
    first = opened.fold(folds[0])
    if mc_dropout and not dropouts(first.model):
        raise UsageError(
            f"--mc-dropout {mc_dropout}: model '{opened.settings.model}' of {opened.run.root} has no dropout to leave on. "
            "Leave the option out; the models of several folds tell how unsure they are."
        )
    store = opened.store
    place = {name: i for i, name in enumerate(store.clip_ids)}
    clips = np.array([place[name] for name in wanted], dtype=np.int64)
    learned = [Learned.of(read_json(opened.run.folds_path), fold) for fold in folds]
    validation = opened.run.fold_validation(folds)
    temperatures = fold_temperatures(validation, opened.targets)
    said: dict[str, list[np.ndarray]] = {target.name: [] for target in opened.targets}  # by target: (P, n, outputs)
    with deterministic(), limited_threads(opened.threads):
        for done, fold in enumerate(folds):
            passes = _ask(opened, fold, clips, mc_dropout, seed)
            for target in opened.targets:
                answers = np.stack([answer[target.name] for answer in passes])
                if target.classes:
                    heat = temperatures[target.name].get(fold, 1.0)
                    answers = np.stack([apply_temperature(one, heat) for one in answers])
                said[target.name].append(answers)
            if progress is not None:
                progress(done + 1, len(folds), f"fold {fold}")
    judges = may_judge(wanted, learned)  # (folds, n)
    witnesses = may_disagree(wanted, learned, labelled)
    passes_each = max(mc_dropout, 1)
    every_judge, every_witness = (np.repeat(weights, passes_each, axis=0) for weights in (judges, witnesses))
    classes, values, errors = {}, {}, {}
    for target in opened.targets:
        members = np.concatenate(said[target.name])  # (folds * P, n, outputs)
        if target.classes:
            believed, doubted = class_belief(members, every_judge), class_belief(members, every_witness)
            classes[target.name] = ClassBelief(
                believed.probabilities,
                believed.confidence,
                believed.entropy,
                believed.margin,
                doubted.mutual_information,
            )
        else:
            within = np.clip(members[:, :, 0], target.low, target.high)
            values[target.name] = ValueBelief(
                value_belief(within, every_judge).value, value_belief(within, every_witness).spread
            )
            errors[target.name] = _expected_error(validation, target, folds, judges)
    own = pd.Series(store.participants).map(pd.Series(store.participants).value_counts()).to_numpy()
    return Judged(
        tuple(wanted),
        tuple(store.participants[i] for i in clips),
        opened.targets,
        classes,
        values,
        errors,
        judges.sum(axis=0).astype(np.int64),
        (witnesses.sum(axis=0) * passes_each).astype(np.int64),
        own[clips].astype(np.int64),
        _missing(store.face_mask[clips].any(axis=1), store.eye_mask[clips].any(axis=(1, 2))),
    )


def _ask(opened: OpenedRun, fold: int, clips: np.ndarray, mc_dropout: int, seed: int) -> list[dict[str, np.ndarray]]:
    """Ask a fold's model once, or with dropout as many times as told; probabilities and values by target."""
    best, settings = opened.fold(fold), opened.settings
    dataset = ClipDataset(opened.store, clips, opened.inputs(fold), {}, "faces" in best.info.inputs)
    if not mc_dropout:
        return [predict(best.model, dataset, settings.batch_size, opened.device, settings.precision)]
    network = WithDropout(best.model)
    with isolate_rng():
        torch.manual_seed(seed * 1000 + fold)
        found = [
            predict(network, dataset, settings.batch_size, opened.device, settings.precision) for _ in range(mc_dropout)
        ]
    best.model.eval()
    return found


def _expected_error(validation: pd.DataFrame, target: Target, folds: Sequence[int], judges: np.ndarray) -> np.ndarray:
    """Average the validation error of the models that judge each clip, shape (n_clips,)."""
    rows = validation[validation["target_name"] == target.name]
    errors: Mapping[int, float] = (rows["target_value"] - rows["prediction_value"]).abs().groupby(rows["fold"]).mean()
    each = np.array([errors.get(fold, np.nan) for fold in folds])  # (folds,)
    known = ~np.isnan(each)
    weights = judges * known[:, None]
    total = weights.sum(axis=0)
    return np.where(total > 0, np.nan_to_num(each) @ weights / np.maximum(total, 1), np.nan)


def _missing(face: np.ndarray, eyes: np.ndarray) -> tuple[str, ...]:
    words = {(True, True): "", (False, True): "face", (True, False): "eyes", (False, False): "face and eyes"}
    return tuple(words[bool(has_face), bool(has_eyes)] for has_face, has_eyes in zip(face, eyes, strict=True))
