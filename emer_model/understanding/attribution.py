"""What each named feature did for an answer.

The answer to a clip is compared with the answer to a clip that is like the mean of the training part in everything: 0
in all normalised inputs (of face features that a model's own backbone computes, and of gaze points, which are not
normalised, the mean over the sampled clips). The difference is shared out to the features, completely: their parts sum
to it. All columns made of one feature - its chunks, its slope, its quarters - are moved together.

Two methods of captum do this. Models whose answer is smooth: integrated gradients. Models with trees, whose gradient
is zero everywhere: Shapley values, by sampling the orders in which features are put back.

Masks are left as they are: what a model reads from a thing being missing is shared out to nobody.

References
----------
Sundararajan, Taly and Yan (2017), "Axiomatic Attribution for Deep Networks", ICML: integrated gradients, completeness.
Castro, Gómez and Tejada (2009), "Polynomial calculation of the Shapley value based on sampling", Computers and
Operations Research 36.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from emer_model.data.dataset import ClipDataset
from emer_model.data.targets import Target
from emer_model.fitted.tree_ensemble import TreeEnsemble
from emer_model.models.with_backbone import WithBackbone
from emer_model.understanding.features import Groups, group_columns

#: Points on the way from the baseline to the clip. With Gauss and Legendre's, the parts of the networks here sum to the
#: difference up to about a hundredth of it.
STEPS = 32
#: Orders in which features are put back: ours. Every order alone sums to the difference; more make single features surer.
ORDERS = 12
#: Clips times points that are looked at in one go, for memory.
ROWS_AT_ONCE = 512

#: Inputs whose zero is not the mean of the training clips.
_UNNORMALISED = ("gaze_points",)


@dataclass(frozen=True)
class Attributions:
    """Parts of the answers to some clips of one fold.

    Parameters
    ----------
    groups : Groups
        The features.
    method : str
        ``integrated gradients`` or ``sampled Shapley values``.
    answers : ndarray of float64, shape (n_clips, n_targets)
        What is explained: the log-probability of the class that is answered, or the value.
    baseline : ndarray of float64, shape (n_clips, n_targets)
        The same (of the same class) for a clip that is the mean in everything.
    parts : ndarray of float64, shape (n_clips, n_targets, n_features)
        Sum to ``answers - baseline``.
    answered : ndarray of int64, shape (n_clips, n_targets)
        Place of the class that is answered; 0 for values.
    """

    groups: Groups
    method: str
    answers: np.ndarray
    baseline: np.ndarray
    parts: np.ndarray
    answered: np.ndarray


def attribute(
    model: nn.Module, dataset: ClipDataset, targets: Sequence[Target], device: torch.device, seed: int = 0
) -> Attributions:
    """Share out a model's answers to the named features of its inputs.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode.
    dataset : ClipDataset
        Clips, normalised for this model.
    targets : sequence of Target
        Whose answers.
    device : torch.device
    seed : int
        Of the orders, where features are put back one by one.
    """
    moved = _Moved(model.to(device).eval(), dataset, targets, device)
    n, g = len(dataset), len(moved.groups.names)
    ones, zeros = torch.ones(n, g, device=device), torch.zeros(n, g, device=device)
    clips = torch.arange(n, device=device)
    with torch.no_grad():
        answers, baseline = (_in_parts(moved, scale, clips) for scale in (ones, zeros))
    has_trees = any(isinstance(part, TreeEnsemble) for part in model.modules())
    share_out = _shapley if has_trees else _integrate
    if g == 0:  # a model that looks at nothing
        parts = torch.zeros(n, len(targets), 0)
    else:
        parts = share_out(moved, ones, zeros, clips, len(targets), seed)
    return Attributions(
        moved.groups,
        "sampled Shapley values" if has_trees else "integrated gradients",
        *(x.double().cpu().numpy() for x in (answers, baseline, parts)),
        answered=moved.answered.cpu().numpy(),
    )


def _integrate(moved: _Moved, ones: Tensor, zeros: Tensor, clips: Tensor, n_targets: int, seed: int) -> Tensor:
    """Integrate gradients from the baseline to the clips, (n, targets, features)."""
    from captum.attr import IntegratedGradients

    found = []
    # cuDNN's recurrent layers have no backward pass in evaluation mode.
    with torch.backends.cudnn.flags(enabled=False):
        method = IntegratedGradients(moved)
        for target in range(n_targets):
            found.append(
                method.attribute(
                    ones, baselines=zeros, target=target, additional_forward_args=(clips,), n_steps=STEPS,
                    internal_batch_size=max(ROWS_AT_ONCE, len(clips)),
                ).detach()
            )  # fmt: skip
    return torch.stack(found, dim=1)


def _shapley(moved: _Moved, ones: Tensor, zeros: Tensor, clips: Tensor, n_targets: int, seed: int) -> Tensor:
    """Put features back in random orders, all targets at once, (n, targets, features)."""
    from captum.attr import ShapleyValueSampling

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        return ShapleyValueSampling(moved).attribute(
            ones, baselines=zeros, additional_forward_args=(clips,), n_samples=ORDERS
        )  # fmt: skip


def _in_parts(forward: Callable[[Tensor, Tensor], Tensor], scale: Tensor, clips: Tensor) -> Tensor:
    """Ask for some clips at a time."""
    pairs = zip(scale.split(ROWS_AT_ONCE), clips.split(ROWS_AT_ONCE), strict=True)
    return torch.cat([forward(*pair) for pair in pairs])


class _Moved(nn.Module):
    """A model as a function of how much of each feature is there: 0 as in the baseline, 1 as in the clip.

    By the chain rule, the integrated gradient of a feature's share is the sum of those of its columns.
    """

    def __init__(self, model: nn.Module, dataset: ClipDataset, targets: Sequence[Target], device: torch.device) -> None:
        super().__init__()
        self.network: nn.Module = model
        batch = dataset.__getitems__(list(range(len(dataset))))
        self.names = tuple(model.inputs)  # type: ignore[arg-type]
        if isinstance(model, WithBackbone):
            self.network, self.names = model.network, tuple(model.network.inputs)  # type: ignore[arg-type]
            batch["face_features"] = _features(model, batch, device)
        self.whole: dict[str, Tensor] = {name: batch[name].to(device) for name in self.names}
        floating = {name: x for name, x in self.whole.items() if x.is_floating_point()}
        self.groups = group_columns(dataset.store, {name: x.shape[-1] for name, x in floating.items()})
        self.columns = {name: torch.from_numpy(x).to(device) for name, x in self.groups.columns.items()}
        own = _UNNORMALISED + (("face_features",) if isinstance(model, WithBackbone) else ())
        self.base = {
            name: _mean(x, self.whole.get(_mask_of(name))) if name in own else torch.zeros(x.shape[-1], device=device)
            for name, x in floating.items()
        }
        self.targets = tuple(targets)
        self.answered = torch.zeros(len(dataset), len(self.targets), dtype=torch.int64, device=device)
        with torch.no_grad():
            whole = self._ask(
                torch.ones(len(dataset), len(self.groups.names), device=device), torch.arange(len(dataset))
            )
        for place, declared in enumerate(self.targets):
            if declared.classes:
                self.answered[:, place] = whole[declared.name].argmax(dim=1)

    def _ask(self, scale: Tensor, clips: Tensor) -> Mapping[str, Tensor]:
        given = {}
        for name, values in self.whole.items():
            values = values[clips]
            if name in self.columns:
                share = scale[:, self.columns[name]]  # (B, columns)
                share = share.reshape(share.shape[0], *(1,) * (values.dim() - 2), share.shape[1])
                values = self.base[name] + share * (values - self.base[name])
            given[name] = values
        return self.network(**given).targets

    def forward(self, scale: Tensor, clips: Tensor) -> Tensor:
        """Return what is explained.

        Parameters
        ----------
        scale : Tensor of float32, shape (B, features)
        clips : Tensor of int64, shape (B,)
            Which clip each row is of.

        Returns
        -------
        Tensor, shape (B, targets)
        """
        found = self._ask(scale, clips)
        columns = []
        for place, declared in enumerate(self.targets):
            values = found[declared.name].float()
            if declared.classes:
                chosen = self.answered[clips, place]
                values = torch.log_softmax(values, dim=1).gather(1, chosen[:, None])
            columns.append(values[:, 0])
        return torch.stack(columns, dim=1)


def _features(model: WithBackbone, batch: Mapping[str, Tensor], device: torch.device) -> Tensor:
    """Encode faces by the model's own backbone, some clips at a time."""
    with torch.no_grad():
        pairs = zip(batch["faces"].split(32), batch["face_mask"].split(32), strict=True)
        return torch.cat([model.features(*(x.to(device) for x in pair)) for pair in pairs])


def _mask_of(name: str) -> str:
    return {"face_features": "face_mask"}.get(name, f"{name}_mask")


def _mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """Average steps that are there over all clips, (columns,)."""
    flat = values.flatten(0, -2)
    weight = torch.ones_like(flat[:, :1]) if mask is None else mask.reshape(-1, 1).to(values.dtype)
    return (flat * weight).sum(dim=0) / weight.sum().clamp(min=1.0)
