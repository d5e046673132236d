"""Decision trees as tensors, walked level by level for all trees and clips at once.

The branch is the one that scikit-learn takes: it compares a float32 (forests) or float64 (boosting)
feature with a float64 threshold. Features are float32 here, and for these ``x <= threshold`` is the
same as ``x <= t`` with t the largest float32 that is not above the threshold. So float32 thresholds
lose nothing. Leaves of a classifying forest hold counts of clips by class, as small integers: the
shares that scikit-learn averages follow from them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from emer_model.fitted.predictors import Predictor

#: Share of the training frequencies in a forest's probabilities, so that a class which no leaf holds keeps
#: a finite logarithm. Ours.
PRIOR_SHARE = 0.01

#: Smallest probability of which a logarithm is taken: a class that no training clip had. Ours.
MIN_PROBABILITY = 1e-12

_INTEGERS = {"uint8": torch.uint8, "int16": torch.int16, "int32": torch.int32}
_VALUES = {**_INTEGERS, "float32": torch.float32}


class TreeEnsemble(Predictor):
    """A forest or a sequence of boosted trees.

    Parameters
    ----------
    trees, nodes, leaves : int
        Number of trees, of inner nodes of all, and of leaves of all.
    depth : int
        Comparisons on the longest way to a leaf.
    columns : int
        Of the row.
    width : int
        Numbers in a leaf: classes that occurred in training (forests), else 1.
    outputs : int
        Classes of the target, or 1 for a value.
    classes : bool
        Answer log-probabilities, not values.
    combine : str
        'mean' over trees (forests) or 'sum' (boosting), where tree i adds to score ``i % scores``.
    scores : int
        Trees a boosting round; 1 for a forest.
    index_type, value_type : str
        Integers of the children within a tree; type of the leaves' numbers.
    """

    kind = "trees"

    def __init__(
        self,
        trees: int,
        nodes: int,
        leaves: int,
        depth: int,
        columns: int,
        width: int,
        outputs: int,
        classes: bool,
        combine: str = "mean",
        scores: int = 1,
        index_type: str = "int16",
        value_type: str = "float32",
    ) -> None:
        super().__init__(
            trees=trees, nodes=nodes, leaves=leaves, depth=depth, columns=columns, width=width, outputs=outputs,
            classes=classes, combine=combine, scores=scores, index_type=index_type, value_type=value_type,
        )  # fmt: skip
        if combine not in ("mean", "sum"):
            raise ValueError(f"trees are combined by 'mean' or 'sum', not '{combine}'")
        self.depth, self.outputs, self.classes, self.combine, self.scores = depth, outputs, classes, combine, scores
        index = _INTEGERS[index_type]
        # Of a tree. A child below zero is leaf ~child of its tree, else inner node child of its tree.
        self.register_buffer("left", torch.zeros(nodes, dtype=index))
        self.register_buffer("right", torch.zeros(nodes, dtype=index))
        self.register_buffer("feature", torch.zeros(nodes, dtype=torch.int16 if columns < 2**15 else torch.int32))
        self.register_buffer("threshold", torch.zeros(nodes))
        # 0, or ~0 for a tree without a comparison, which starts in its only leaf.
        self.register_buffer("root", torch.zeros(trees, dtype=index))
        self.register_buffer("first_node", torch.zeros(trees, dtype=torch.int32))
        self.register_buffer("first_leaf", torch.zeros(trees, dtype=torch.int32))
        self.register_buffer("value", torch.zeros(leaves, width, dtype=_VALUES[value_type]))
        seen = width if combine == "mean" else max(scores, 2)  # classes that occurred in training
        self.register_buffer("class_weight", torch.ones(seen, dtype=torch.float64))
        self.register_buffer("class_index", torch.zeros(seen, dtype=torch.int16))
        self.register_buffer("prior", torch.zeros(outputs))
        self.register_buffer("baseline", torch.zeros(scores, dtype=torch.float64))

    def leaf_of(self, matrix: Tensor) -> Tensor:
        """Find each clip's leaf in each tree.

        Parameters
        ----------
        matrix : Tensor of float32, shape (B, columns)

        Returns
        -------
        Tensor of int64, shape (B, trees)
            Row of ``value``.
        """
        first_node = self.first_node.long()  # (T,)
        last_node = len(self.threshold) - 1
        place = self.root.long().expand(matrix.shape[0], -1)  # (B, T)
        for _ in range(self.depth):
            node = (first_node + place.clamp(min=0)).clamp(max=last_node)  # (B, T)
            goes_left = matrix.gather(1, self.feature[node].long()) <= self.threshold[node]
            child = torch.where(goes_left, self.left[node], self.right[node]).long()
            place = torch.where(place >= 0, child, place)
        return self.first_leaf.long() + ~place

    def raw(self, matrix: Tensor) -> Tensor:
        """Compute what scikit-learn's ensemble answers.

        Parameters
        ----------
        matrix : Tensor of float32, shape (B, columns)

        Returns
        -------
        Tensor of float64, shape (B, width) or (B, scores)
            Probabilities of the classes in training or values (forests); scores (boosting).
        """
        leaves = self.value[self.leaf_of(matrix.float())].double()  # (B, T, width)
        if self.combine == "sum":
            rounds = leaves.squeeze(2).unflatten(1, (-1, self.scores))  # (B, rounds, scores)
            return self.baseline + rounds.sum(dim=1)
        if self.classes:
            leaves = leaves * self.class_weight
            leaves = leaves / leaves.sum(dim=2, keepdim=True)
        return leaves.mean(dim=1)

    def forward(self, matrix: Tensor) -> Tensor:
        """Map rows (B, columns) to log-probabilities (B, K) or values (B, 1)."""
        raw = self.raw(matrix)
        if not self.classes:
            return raw.float()
        if self.combine == "sum":
            # Of two classes boosting scores the second only.
            scores = torch.cat([torch.zeros_like(raw), raw], dim=1) if self.scores == 1 else raw
            raw = torch.softmax(scores, dim=1)
        shares = raw.new_zeros(raw.shape[0], self.outputs)
        shares = shares.index_copy(1, self.class_index.long(), raw)  # (B, K)
        mixed = (1.0 - PRIOR_SHARE) * shares + PRIOR_SHARE * self.prior
        return torch.log(mixed.clamp(min=MIN_PROBABILITY)).float()


@dataclass(frozen=True)
class TreeArrays:
    """One tree, its inner nodes and its leaves numbered apart.

    Parameters
    ----------
    left, right, feature : ndarray of int64, shape (nodes,)
        Children (below zero: leaf ~child) and column compared.
    threshold : ndarray of float32, shape (nodes,)
    value : ndarray, shape (leaves, width)
    depth : int
    """

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    value: np.ndarray
    depth: int


def split_nodes(
    left: np.ndarray,
    right: np.ndarray,
    is_leaf: np.ndarray,
    feature: np.ndarray,
    threshold: np.ndarray,
    value: np.ndarray,
) -> TreeArrays:
    """Number inner nodes and leaves of one tree apart.

    Parameters
    ----------
    left, right : ndarray of int, shape (n,)
        Children of inner nodes; node 0 is the root.
    is_leaf : ndarray of bool, shape (n,)
    feature : ndarray of int, shape (n,)
    threshold : ndarray of float64, shape (n,)
    value : ndarray, shape (n, width)
    """
    inner = np.flatnonzero(~is_leaf)
    leaves = np.flatnonzero(is_leaf)
    place = np.empty(len(is_leaf), dtype=np.int64)
    place[inner], place[leaves] = np.arange(len(inner)), ~np.arange(len(leaves))
    depth = np.zeros(len(is_leaf), dtype=np.int64)
    for node in inner.tolist():  # a parent stands before its children in both of scikit-learn's trees
        depth[left[node]] = depth[right[node]] = depth[node] + 1
    return TreeArrays(
        place[left[inner]],
        place[right[inner]],
        feature[inner].astype(np.int64),
        floor_float32(threshold[inner]),
        value[leaves],
        int(depth.max()),
    )


def floor_float32(threshold: np.ndarray) -> np.ndarray:
    """Return the largest float32 that is not above each float64."""
    with np.errstate(over="ignore"):
        near = threshold.astype(np.float32)
    return np.where(near.astype(np.float64) > threshold, np.nextafter(near, np.float32(-np.inf)), near).astype(
        np.float32
    )


def assemble(trees: list[TreeArrays], columns: int, outputs: int, **settings: object) -> TreeEnsemble:
    """Put trees together; ``value`` of integers is kept in the smallest type that holds it.

    Parameters
    ----------
    trees : list of TreeArrays
    columns, outputs : int
    **settings
        Further arguments of `TreeEnsemble`: classes, combine, scores.
    """
    n_nodes = np.array([len(tree.left) for tree in trees])
    n_leaves = np.array([len(tree.value) for tree in trees])
    value = np.concatenate([tree.value for tree in trees])
    index_type = "int16" if n_leaves.max() <= 2**15 else "int32"
    ensemble = TreeEnsemble(
        trees=len(trees),
        nodes=max(int(n_nodes.sum()), 1),
        leaves=int(n_leaves.sum()),
        depth=max(tree.depth for tree in trees),
        columns=columns,
        width=value.shape[1],
        outputs=outputs,
        index_type=index_type,
        value_type=_value_type(value),
        **settings,  # type: ignore[arg-type]
    )

    def fill(buffer: Tensor, values: np.ndarray) -> None:
        buffer[: len(values)].copy_(torch.from_numpy(np.ascontiguousarray(values)))

    for name in ("left", "right", "feature", "threshold"):
        fill(getattr(ensemble, name), np.concatenate([getattr(tree, name) for tree in trees]))
    fill(ensemble.root, np.where(n_nodes > 0, 0, ~0))
    fill(ensemble.first_node, np.cumsum(n_nodes) - n_nodes)
    fill(ensemble.first_leaf, np.cumsum(n_leaves) - n_leaves)
    fill(ensemble.value, value)
    return ensemble


def _value_type(value: np.ndarray) -> str:
    if not np.issubdtype(value.dtype, np.integer):
        return "float32"
    largest = int(value.max(initial=0))
    return "uint8" if largest < 2**8 else "int16" if largest < 2**15 else "int32"
