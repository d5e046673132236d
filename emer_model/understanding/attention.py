"""Where networks that weigh what they see put the weight: over time, and over modalities.

A weight says what a network let through to its answer, not what made the answer: values behind small weights can be
large (Jain and Wallace, 2019, "Attention is not Explanation", NAACL). Attribution asks the other question.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from emer_model.data.inputs import ask
from emer_model.models.with_backbone import WithBackbone
from emer_model.training.opened import OpenedRun
from emer_model.understanding.asking import tested_clips

#: Columns of the table.
COLUMNS = ("input", "step", "group_kind", "group", "mean", "sd", "even", "n_clips")

#: Masks by which a clip has something of an input at all.
_PRESENT = {"face": "face_mask", "eye": "eye_mask", "fixation": "fixation_mask", "summary": "summary_mask"}


def attention_table(opened: OpenedRun, masked: pd.Series) -> pd.DataFrame | None:
    """Average the attention of the folds' models over test clips.

    Parameters
    ----------
    opened : OpenedRun
    masked : Series
        Of `emer_model.evaluation.gap.masked_clips`.

    Returns
    -------
    DataFrame or None
        Columns `COLUMNS`. ``input`` is a modality, with ``step`` its chunk, frame or fixation from 0, or ``modality``
        with the modality's name. Groups are all clips, each class by label, and agreeing and masked ones.
        ``even`` is what each step had if all that a clip has weighed the same. Clips that have nothing of an input
        do not count. None if the model does not weigh what it sees.
    """
    tables = []
    for fold in opened.finished:
        found = _fold_attention(opened, fold)
        if not found:
            return None
        tables += found
    clips = [table["clip_ids"] for table in tables]
    names = list(dict.fromkeys(name for table in tables for name in table["weights"]))
    groups = _groups(opened, np.concatenate(clips), masked)
    rows: list[dict[str, Any]] = []
    for name in names:
        weights = np.concatenate([table["weights"][name] for table in tables])  # (n, steps)
        there = np.concatenate([table["there"][name] for table in tables])  # (n, steps)
        labels = tables[0]["labels"].get(name) or list(range(weights.shape[1]))
        even = there / np.maximum(there.sum(axis=1, keepdims=True), 1)
        for (kind, group), inside in groups.items():
            chosen = inside & there.any(axis=1)
            if chosen.any():
                values = weights[chosen].astype(np.float64)
                columns = values.mean(axis=0), values.std(axis=0), even[chosen].mean(axis=0)
                rows += [
                    {"input": name, "step": label, "group_kind": kind, "group": group, "mean": mean, "sd": sd}
                    | {"even": plain, "n_clips": int(chosen.sum())}
                    for label, mean, sd, plain in zip(labels, *columns, strict=True)
                ]
    return pd.DataFrame(rows, columns=list(COLUMNS)) if rows else None


def _fold_attention(opened: OpenedRun, fold: int) -> list[dict[str, Any]]:
    """Ask a fold's model for its weights, batch by batch; empty if it has none."""
    dataset = tested_clips(opened, fold, opened.store)
    model = opened.fold(fold).model.to(opened.device).eval()
    modalities = tuple(getattr(_network(model), "modalities", ()))
    size, found = opened.settings.batch_size, []
    for start in range(0, len(dataset), size):
        places = list(range(start, min(start + size, len(dataset))))
        batch = {name: values.to(opened.device) for name, values in dataset.__getitems__(places).items()}
        with torch.inference_mode():
            output = ask(model, batch)
        if not output.attention:
            return []
        weights = {name: values.float().cpu().numpy() for name, values in output.attention.items()}
        there = {name: _there(dataset.store, dataset.indices[places], name, values) for name, values in weights.items()}
        if "modality" in there and output.modality_mask is not None:
            # A learned token stands for what is missing, and may well be weighed.
            there["modality"] = np.ones_like(there["modality"])
        ids = np.array([dataset.store.clip_ids[i] for i in dataset.indices[places]])
        found.append({"weights": weights, "there": there, "clip_ids": ids, "labels": {"modality": list(modalities)}})
    return found


def _network(model: nn.Module) -> nn.Module:
    return model.network if isinstance(model, WithBackbone) else model


def _there(store: Any, clips: np.ndarray, name: str, weights: np.ndarray) -> np.ndarray:
    """Tell which steps of an input clips have, bool (B, steps); all where nothing says otherwise."""
    mask = getattr(store, _PRESENT.get(name, ""), None)
    if mask is None:
        return np.ones(weights.shape, dtype=bool)
    there = mask[clips].reshape(len(clips), mask.shape[1], -1).any(axis=2)
    return there if there.shape == weights.shape else np.ones(weights.shape, dtype=bool)


def _groups(opened: OpenedRun, clip_ids: np.ndarray, masked: pd.Series) -> dict[tuple[str, str], np.ndarray]:
    """Return which clips belong to each group, bool (n,)."""
    gap = masked.reindex(clip_ids)
    groups = {("all", "all"): np.ones(len(clip_ids), dtype=bool)}
    for name, part in (("agreeing", ~gap), ("masked", gap)):
        groups[("gap", name)] = part.fillna(False).to_numpy(dtype=bool)
    for declared in opened.targets:
        labels = opened.labels[declared.name].reindex(clip_ids).to_numpy() if declared.classes else ()
        for name in declared.classes:
            groups[(declared.name, name)] = labels == name
    return groups
