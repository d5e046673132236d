"""Heads of many targets at once: first what the face shows, then what is felt, knowing the first."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

#: Before the names of shown targets; all others are told their answers.
SHOWN_PREFIX = "fer_"


class JointHeads(nn.Module):
    """Linear heads of several targets in one matrix, after hidden layers that all share.

    Parameters
    ----------
    features : int
        Features of a clip.
    targets : mapping of str to int
        Outputs of each target.
    widths : tuple of int
        Hidden units of the shared layers; empty for linear heads.
    """

    def __init__(self, features: int, targets: Mapping[str, int], widths: tuple[int, ...] = ()) -> None:
        super().__init__()
        # In the order of names, whatever order they come in: a checkpoint's description is written in that order, and the
        # rows of one matrix must not change hands when it is read back.
        self.names = tuple(sorted(targets))
        self.sizes = tuple(targets[name] for name in self.names)
        layers: list[nn.Module] = []
        for width in widths:
            layers += [nn.Linear(features, width), nn.LeakyReLU()]
            features = width
        self.layers = nn.Sequential(*layers, nn.Linear(features, sum(self.sizes)))

    def forward(self, clip: Tensor) -> Tensor:
        """Map clips (B, features) to the outputs of all targets (B, sum of outputs)."""
        return self.layers(clip)

    def split(self, outputs: Tensor) -> dict[str, Tensor]:
        """Cut (B, sum of outputs) into (B, outputs) by target."""
        return dict(zip(self.names, outputs.split(self.sizes, dim=1), strict=True))


class TwoStageHeads(nn.Module):
    """Heads of felt targets that are told the answers of those of shown targets.

    A smile that the eyes contradict means something else than a smile: the felt emotion hangs
    on both together. Probabilities of shown classes and shown values join the clip's features,
    and a hidden layer lets them interact. Where no shown target is learned, or `shown_to_felt`
    is off, the heads are plain.

    Parameters
    ----------
    features : int
        Features of a clip.
    targets : mapping of str to int
        Outputs of each target.
    widths : tuple of int
        See `JointHeads`.
    linear_features : int
        Further features that reach the outputs by a linear map alone; 0 for none.
    shown_to_felt : bool
        Tell the felt heads.
    """

    def __init__(
        self,
        features: int,
        targets: Mapping[str, int],
        widths: tuple[int, ...] = (),
        linear_features: int = 0,
        shown_to_felt: bool = True,
    ) -> None:
        super().__init__()
        shown = {name: n for name, n in targets.items() if name.startswith(SHOWN_PREFIX)}
        felt = {name: n for name, n in targets.items() if name not in shown}
        self.order = tuple(targets)
        self.told = sum(shown.values())
        self.shown = JointHeads(features, shown, widths) if shown else None
        self.felt = JointHeads(features, felt, widths) if felt else None
        self.join: nn.Module | None = None
        if shown_to_felt and shown and felt:
            self.join = nn.Sequential(nn.Linear(features + self.told, features), nn.GELU())
        self.linear = nn.Linear(linear_features, sum(targets.values())) if linear_features else None

    def forward(self, clip: Tensor, linear: Tensor | None = None) -> dict[str, Tensor]:
        """Answer.

        Parameters
        ----------
        clip : Tensor, shape (B, features)
        linear : Tensor, shape (B, linear_features), optional
            Needed where there are such features.

        Returns
        -------
        dict of Tensor, shape (B, outputs)
        """
        added: Tensor | None = None  # (B, outputs of shown targets, then those of felt ones)
        if self.linear is not None and linear is not None:
            added = self.linear(linear)
        answers: dict[str, Tensor] = {}
        if self.shown is not None:
            outputs = self.shown(clip)
            answers = self.shown.split(outputs if added is None else outputs + added[:, : self.told])
        if self.felt is not None:
            if self.join is not None:
                told = [a.softmax(dim=1) if a.shape[1] > 1 else a for a in answers.values()]
                clip = clip + self.join(torch.cat((clip, *told), dim=1))  # (B, features)
            outputs = self.felt(clip)
            answers.update(self.felt.split(outputs if added is None else outputs + added[:, self.told :]))
        return {name: answers[name] for name in self.order}
