"""Judge a network on a whole validation fold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from emer_model.data.dataset import TARGET_PREFIX, Batch
from emer_model.data.inputs import ask
from emer_model.data.targets import Target, is_present
from emer_model.evaluation.metrics import MAIN_METRIC, classification_metrics, continuous_metrics
from emer_model.training.batches import Batches
from emer_model.training.drivers import Driver
from emer_model.training.loss import task_loss


def ask_whole(
    network: nn.Module, source: Batches, batch_size: int, driver: Driver
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Ask a network about all clips of a part, each process about its share.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode, on the driver's device.
    source : Batches
    batch_size : int
        Clips at a time.
    driver : Driver

    Returns
    -------
    outputs : dict of Tensor, shape (n_clips, outputs)
        Logits and values by target, float32, on the CPU, in the order of the clips; the same in all processes.
    labels : dict of Tensor, shape (n_clips,)
        Encoded labels by target.
    """
    n, rank, world = len(source), driver.rank, driver.world
    each = -(-n // world)
    own = [min(k * world + rank, n - 1) for k in range(each)]  # the last ones may repeat a clip
    answers: dict[str, list[Tensor]] = {}
    labels: dict[str, list[Tensor]] = {}
    with torch.inference_mode():
        for start in range(0, each, batch_size):
            batch = source.__getitems__(own[start : start + batch_size])
            with driver.forward():
                output = ask(network, to_device(batch, driver.device))
            for name, values in output.targets.items():
                answers.setdefault(name, []).append(values.float())
            for name, values in batch.items():
                if name.startswith(TARGET_PREFIX):
                    labels.setdefault(name.removeprefix(TARGET_PREFIX), []).append(values)

    def whole(parts: list[Tensor]) -> Tensor:
        rows = driver.gather(torch.cat(parts).to(driver.device))  # (world, each, ...)
        return rows.transpose(0, 1).flatten(0, 1)[:n].cpu()

    return {name: whole(parts) for name, parts in answers.items()}, {name: whole(v) for name, v in labels.items()}


def judge(
    network: nn.Module,
    source: Batches,
    targets: tuple[Target, ...],
    auxiliary: tuple[Target, ...],
    batch_size: int,
    driver: Driver,
) -> dict[str, float]:
    """Compute the figures of a whole validation fold.

    Parameters
    ----------
    network, source, batch_size, driver
        As of `ask_whole`.
    targets : tuple of Target
        What the protocols ask for; their main metrics alone make the score.
    auxiliary : tuple of Target
        What is learned beside; part of the loss.

    Returns
    -------
    dict of float
        ``val_score``, ``val_loss`` and ``val_<target>_<metric>``.
    """
    outputs, labels = ask_whole(network, source, batch_size, driver)
    figures: dict[str, float] = {}
    scores = []
    for declared in targets:
        found = fold_metrics(declared, outputs[declared.name].numpy(), labels[declared.name].numpy())
        main = found[MAIN_METRIC["classes" if declared.classes else "continuous"]]
        # A constant answer has no CCC: no better than no agreement at all.
        scores.append(0.0 if math.isnan(main) else main)
        figures |= {f"val_{declared.name}_{name}": value for name, value in found.items()}
    losses = [task_loss(t, outputs[t.name], labels[t.name]) for t in (*targets, *auxiliary)]
    return {"val_score": float(np.mean(scores)), "val_loss": float(torch.stack(losses).sum()), **figures}


def fold_metrics(declared: Target, output: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Judge outputs (n, outputs) against encoded labels (n,), leaving out missing labels."""
    present = is_present(declared, true)
    if declared.classes:
        return classification_metrics(true[present], output[present].argmax(axis=1), len(declared.classes))
    return continuous_metrics(true[present], np.clip(output[present, 0], declared.low, declared.high))


def to_device(batch: Batch, device: torch.device) -> Any:
    """Move a batch to a device."""
    return batch if device.type == "cpu" else {name: v.to(device, non_blocking=True) for name, v in batch.items()}
