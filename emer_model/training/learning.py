"""What a network may learn from beside labels: eye streams that have none, and the stack's answers."""

from __future__ import annotations

import logging

import numpy as np
import torch
from torch import nn

from data_schema.errors import UsageError
from data_schema.exports.splits import ClipSplit
from emer_model.data.arrays import Arrays
from emer_model.fitted.folds import inner_folds
from emer_model.models.pretraining import pretraining_of
from emer_model.registry import find_model
from emer_model.training.batches import ArrayBatches, epoch_batches, epoch_seed
from emer_model.training.config import RunConfig
from emer_model.training.faces import Tell
from emer_model.training.optimiser import Adam
from emer_model.training.plan import FoldPlan

_log = logging.getLogger(__name__)

#: The model whose answers are learned from.
_TEACHER = "stack"

#: Inner folds for its answers: ours; each costs one more stack.
_INNER_FOLDS = 3


def pretrain_eyes(network: nn.Module, clips: Arrays, config: RunConfig, seed: int) -> None:
    """Let the eye encoder of a network learn to say what was measured in hidden chunks.

    Parameters
    ----------
    network : nn.Module
        On its device; may be wrapped with a face backbone.
    clips : Arrays
        Of training participants, labelled or not.
    config : RunConfig
        Of it: pretrain_epochs, batch_size, learning_rate, weight_decay.
    seed : int
        Of the order.

    Raises
    ------
    TrainingError
        If the network has no such encoder.
    """
    inner = getattr(network, "network", network)
    task = pretraining_of(inner, clips.inputs["eye"].shape[2])
    device = next(network.parameters()).device
    task.to(device).train()
    source = ArrayBatches(Arrays({k: clips.inputs[k] for k in ("eye", "eye_mask")}, {}, clips.participants))
    optimiser = Adam(task.parameters(), config.learning_rate, config.weight_decay, decoupled=True)
    own_seed = epoch_seed(seed, 0)  # not the orders of what follows
    for epoch in range(1, config.pretrain_epochs + 1):
        total, steps = 0.0, 0
        for positions, _ in epoch_batches(len(source), config.batch_size, own_seed, epoch):
            batch = source.__getitems__(positions)
            loss = task(batch["eye"].to(device), batch["eye_mask"].to(device)).loss
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            total, steps = total + float(loss.detach()), steps + 1
        _log.info("without labels, epoch %d of %d: loss %.4f", epoch, config.pretrain_epochs, total / max(steps, 1))


def soft_targets(plan: FoldPlan, split: ClipSplit, tell: Tell | None = None) -> dict[str, np.ndarray]:
    """Return the stack's answers for the training clips of a fold, each by a stack that had not seen its participant.

    Returns
    -------
    dict of ndarray of float32, shape (n_clips, outputs)
        Probabilities and values by target.

    Raises
    ------
    UsageError
        If the run trains a face backbone: the stack needs features that stay as they are.
    """
    if plan.face and plan.config.face_training != "frozen":
        raise UsageError(
            f"--set distillation: the {_TEACHER} that is learned from takes features of a frozen face backbone. Leave "
            "--face-training frozen, or set distillation=0."
        )
    recipe = find_model(_TEACHER)
    train = plan.data(split, tuple(recipe.inputs)).arrays("train")
    targets = (*plan.targets, *plan.auxiliary)
    answers = {t.name: np.full((len(train), t.n_outputs), np.nan, dtype=np.float32) for t in targets}
    for fitted, held in inner_folds(train.participants, _INNER_FOLDS, plan.seed(split.fold)):
        model = recipe.fit(train.take(fitted), targets, seed=plan.seed(split.fold), tell=tell)
        asked = train.take(held).inputs
        with torch.inference_mode():
            output = model(**{name: torch.from_numpy(np.ascontiguousarray(asked[name])) for name in model.inputs})
        for declared in targets:
            values = output.targets[declared.name].float()
            answers[declared.name][held] = (values.softmax(dim=1) if declared.classes else values).numpy()
    return answers
