"""How a fitted model is fitted: the base of all recipes."""

from __future__ import annotations

import difflib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import nn

from data_schema.errors import UsageError
from emer_model.data.arrays import Arrays
from emer_model.data.targets import Target, is_present
from emer_model.fitted.combining import Combination
from emer_model.fitted.deep import NetworkFit
from emer_model.fitted.model import FittedModel
from emer_model.fitted.predictors import Predictor

#: Told a sentence that the user should read.
Tell = Callable[[str], None]


class FittedRecipe(ABC):
    """Fits a model at once, without epochs.

    A recipe's constructor takes flat arguments with defaults: what ``--set`` may change.

    Attributes
    ----------
    name, summary_line : str
        On the command line and in the documentation.
    inputs : tuple of str
        What its models look at.
    defaults : dict
        Settings of a run that differ from the usual ones.
    """

    name: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]]
    summary_line: ClassVar[str]
    defaults: ClassVar[dict[str, Any]] = {}

    def fit(
        self,
        train: Arrays,
        targets: tuple[Target, ...],
        *,
        seed: int,
        config: Any = None,
        tell: Tell | None = None,
        fit_network: NetworkFit | None = None,
    ) -> FittedModel:
        """Fit to the training clips of a fold.

        Numerical libraries work on one thread meanwhile, so that the sums are the same on machines with other
        numbers of cores.

        Parameters
        ----------
        train : Arrays
            Clips with any of the labels; a clip that lacks one takes no part in what is fitted to it.
        targets : tuple of Target
            What the model shall answer. Further labels in `train` may be used by members.
        seed : int
        config : RunConfig, optional
            Of the run; fitted models take what they need from their own arguments.
        tell : callable, optional
            Told what is being fitted.
        fit_network : callable, optional
            Trains a network that is a member; see `emer_model.fitted.deep.NetworkFit`.

        Raises
        ------
        TrainingError
            If the clips do not suffice.
        UsageError
            If the configuration gives arguments that the recipe does not take.
        """
        recipe = self.with_arguments(getattr(config, "model_arguments", None) or {})
        with threadpool_limits(1):
            said = tell or (lambda sentence: None)
            return recipe._fit(train, targets, seed=seed, tell=said, fit_network=fit_network).eval()

    @abstractmethod
    def _fit(
        self, train: Arrays, targets: tuple[Target, ...], *, seed: int, tell: Tell, fit_network: NetworkFit | None
    ) -> FittedModel:
        """Do what `fit` says."""

    def with_arguments(self, arguments: Mapping[str, Any]) -> FittedRecipe:
        """Make the same recipe with other arguments, as ``--set`` gives them.

        Raises
        ------
        UsageError
            If it takes no such argument, or a value is out of its bounds.
        """
        if not arguments:
            return self
        known = self.arguments()
        for key, value in arguments.items():
            if key not in known:
                near = difflib.get_close_matches(key, list(known), n=1, cutoff=0.4)
                hint = f" Did you mean '{near[0]}'?" if near else ""
                taken = f"It takes: {', '.join(known)}." if known else "It takes none."
                raise UsageError(f"--set {key}: model '{self.name}' has no such argument.{hint} {taken}")
            usual = known[key]
            if isinstance(value, bool) or not isinstance(
                value, type(usual) if isinstance(usual, int) else (int, float)
            ):
                word = "a whole number" if isinstance(usual, int) else "a number"
                raise UsageError(f"--set {key}={value}: model '{self.name}' expects {word}, such as {usual}.")
        return type(self)(**arguments)

    @classmethod
    def arguments(cls) -> dict[str, Any]:
        """Return what may be set, with the defaults."""
        return {key: p.default for key, p in inspect.signature(cls).parameters.items()}

    def build(
        self, members: Mapping[str, Any], answers: Mapping[str, Any], network: Mapping[str, Any] | None = None
    ) -> FittedModel:
        """Make an empty model of a stored shape (the arguments are its ``architecture``), for a checkpoint's tensors."""
        return FittedModel(self.name, members, answers, network)


class ModelParts:
    """Collects fitted members and combinations, and makes the model of them."""

    def __init__(self) -> None:
        self._members: dict[str, dict[str, Any]] = {}
        self._answers: dict[str, dict[str, Any]] = {}
        self._fitted: dict[str, tuple[Predictor, np.ndarray | None]] = {}
        self._joined: dict[str, Combination] = {}
        self._network: tuple[nn.Module, dict[str, Any]] | None = None
        self._combined: dict[str, Combination] = {}
        self._out_of_fold: dict[str, np.ndarray] = {}

    def add_member(self, key: str, view: str, predictor: Predictor, absent: np.ndarray) -> None:
        """Add a member under a key of its own; see `emer_model.fitted.model.Member`."""
        self._members[key] = {"view": view, "predictor": predictor.architecture}
        self._fitted[key] = (predictor, absent)

    def add_through(self, key: str, source: str, predictor: Predictor) -> None:
        """Add a member that listens to another; see `emer_model.fitted.model.Through`."""
        self._members[key] = {"through": source, "predictor": predictor.architecture}
        self._fitted[key] = (predictor, None)

    def add_combined(self, key: str, sources: Sequence[str], combination: Combination) -> None:
        """Add a member that combines others; see `emer_model.fitted.model.Combined`."""
        self._members[key] = {"combines": list(sources), "combination": combination.architecture}
        self._joined[key] = combination

    def add_spoken(self, key: str, target: Target, network: nn.Module, arguments: dict[str, Any]) -> None:
        """Add what the network answers to a target as a member; see `emer_model.fitted.model.Spoken`."""
        self._members[key] = {"network": target.name, "outputs": target.n_outputs}
        self._network = (network, arguments)

    def add_answer(self, target: str, members: Sequence[str], combination: Combination) -> None:
        """Say how a target is answered."""
        self._answers[target] = {"members": list(members), "combination": combination.architecture}
        self._combined[target] = combination

    def add_out_of_fold(self, target: Target, labels: np.ndarray, answers: np.ndarray) -> None:
        """Keep what the model would answer (n, K) for clips of people that it was not fitted to."""
        self._out_of_fold[target.name] = np.where(is_present(target, labels)[:, None], answers, np.nan).astype(
            np.float32
        )

    def model(self, name: str) -> FittedModel:
        """Build the model and fill it."""
        network, arguments = self._network or (None, None)
        model = FittedModel(name, self._members, self._answers, arguments)
        if network is not None:
            model.network = network
        for key, (predictor, absent) in self._fitted.items():
            model.members[key].predictor = predictor
            if absent is not None:
                model.members[key].absent.copy_(torch.from_numpy(absent))
        for key, combination in self._joined.items():
            model.members[key].combination = combination
        for target, combination in self._combined.items():
            model.answers[target] = combination
        if self._out_of_fold.keys() == self._combined.keys():
            model.out_of_fold = self._out_of_fold
        return model
