"""Ask a trained model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import nn

from emer_model.data.dataset import ClipDataset
from emer_model.data.inputs import ask
from emer_model.data.targets import Target, is_present

#: Column of a class's probability in a predictions table: this and the class.
PROBABILITY_PREFIX = "p_"

#: Columns of a predictions table before those of probabilities.
COLUMNS = (
    "clip_id",
    "fold",
    "participant",
    "target_name",
    "target",
    "prediction",
    "target_value",
    "prediction_value",
)


def predict(
    model: nn.Module, dataset: ClipDataset, batch_size: int, device: torch.device, precision: str = "32"
) -> dict[str, np.ndarray]:
    """Compute a model's raw answers.

    Parameters
    ----------
    model : nn.Module
        Is set to evaluation mode.
    dataset : ClipDataset
        Clips, normalised for this model.
    batch_size : int
        Clips a batch. The last bits of a sum depend on it: use the run's.
    device : torch.device
        Where to compute.
    precision : str
        '32' or 'bf16', as trained.

    Returns
    -------
    dict of ndarray
        By target, float32 of shape (n_clips, outputs): probabilities or one value.
    """
    model.to(device).eval()
    parts: dict[str, list[np.ndarray]] = {}
    mixed = torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
    with torch.inference_mode(), mixed:
        for start in range(0, len(dataset), batch_size):
            batch = dataset.__getitems__(list(range(start, min(start + batch_size, len(dataset)))))
            output = ask(model, {name: batch[name].to(device) for name in model.inputs})
            for name, values in output.targets.items():
                values = values.float()
                answers = torch.softmax(values, dim=1) if values.shape[1] > 1 else values
                parts.setdefault(name, []).append(answers.cpu().numpy())
    return {name: np.concatenate(values) for name, values in parts.items()}


def predictions_table(
    dataset: ClipDataset, answers: dict[str, np.ndarray], targets: Sequence[Target], fold: int
) -> pd.DataFrame:
    """Put answers beside the labels.

    Returns
    -------
    DataFrame
        One row a clip and target with a label: clip_id, fold, participant, target_name; of classes
        ``target``, ``prediction`` and ``p_<class>``; of continuous targets ``target_value`` and
        ``prediction_value``, cut to the scale. What a target does not have is missing.
    """
    clips = dataset.indices
    tables = []
    for declared in targets:
        true = dataset.labels(declared.name)
        table = pd.DataFrame(
            {
                "clip_id": [dataset.store.clip_ids[i] for i in clips],
                "fold": fold,
                "participant": [dataset.store.participants[i] for i in clips],
                "target_name": declared.name,
            }
        )
        answer = answers[declared.name]
        present = is_present(declared, true)
        if declared.classes:
            names = np.array(declared.classes, dtype=object)
            table["target"] = names[np.where(present, true, 0)]
            table["prediction"] = names[answer.argmax(axis=1)]
            for k, name in enumerate(declared.classes):
                table[PROBABILITY_PREFIX + name] = answer[:, k]
        else:
            table["target_value"] = true
            table["prediction_value"] = np.clip(answer[:, 0], declared.low, declared.high).astype(np.float32)
        tables.append(table[present])
    names = list(dict.fromkeys(PROBABILITY_PREFIX + name for declared in targets for name in declared.classes))
    return pd.concat(
        [table.reindex(columns=[*COLUMNS, *names]).astype(_dtypes(names)) for table in tables], ignore_index=True
    )


def _dtypes(probabilities: Sequence[str]) -> dict[str, str]:
    """Return the type of each column, so that every fold's table has the same."""
    texts = dict.fromkeys(("clip_id", "participant", "target_name", "target", "prediction"), "object")
    return texts | dict.fromkeys(("target_value", "prediction_value", *probabilities), "float32") | {"fold": "int64"}
