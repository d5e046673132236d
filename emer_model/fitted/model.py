"""A fitted model as one `torch.nn.Module`: members look at views, combinations answer the targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from data_schema.errors import TrainingError
from emer_model.fitted.combining import Combination, Only, Pool, Weighed
from emer_model.fitted.predictors import Predictor, build_predictor
from emer_model.fitted.views import look, view_inputs
from emer_model.models.eyeface import EyeFace
from emer_model.models.output import ModelOutput

_COMBINATIONS: dict[str, type[Combination]] = {part.kind: part for part in (Only, Pool, Weighed)}


class Member(nn.Module):
    """A part that looks at one view.

    Parameters
    ----------
    view : str
        Of `emer_model.fitted.views.VIEWS`.
    predictor : Predictor

    Attributes
    ----------
    absent : Tensor of float32, shape (K,)
        The answer for clips that have nothing of the view.
    """

    def __init__(self, view: str, predictor: Predictor) -> None:
        super().__init__()
        self.view, self.predictor = view, predictor
        self.register_buffer("absent", torch.zeros(int(predictor.architecture["outputs"])))

    def forward(self, matrix: Tensor, present: Tensor) -> Tensor:
        """Map rows (B, columns) and presence (B,) to log-probabilities (B, K) or values (B, 1)."""
        return torch.where(present[:, None], self.predictor(matrix), self.absent)


class Through(nn.Module):
    """A member that listens to another member.

    Parameters
    ----------
    source : str
        Key of the other member, which looks at a view.
    predictor : Predictor
    """

    def __init__(self, source: str, predictor: Predictor) -> None:
        super().__init__()
        self.source, self.predictor = source, predictor

    def forward(self, answer: Tensor) -> Tensor:
        """Map the other's answer (B, K) to log-probabilities (B, K') or values (B, 1)."""
        return self.predictor(answer)


class Combined(nn.Module):
    """A member that combines the answers of other members, for others to listen to.

    Parameters
    ----------
    sources : sequence of str
        Keys of the others.
    combination : Combination
    """

    def __init__(self, sources: Sequence[str], combination: Combination) -> None:
        super().__init__()
        self.sources, self.combination = tuple(sources), combination

    def forward(self, answers: Sequence[Tensor], present: Sequence[Tensor]) -> Tensor:
        """Combine answers, each (B, K_i), of members that a clip has, each (B,), to (B, K)."""
        return self.combination(answers, present)


class Spoken(nn.Module):
    """A member that is one of the network's answers.

    Parameters
    ----------
    target : str
        Which.
    outputs : int
        Classes of the target, or 1 for a value.
    """

    def __init__(self, target: str, outputs: int) -> None:
        super().__init__()
        self.target, self.outputs = target, outputs

    def forward(self, answer: Tensor) -> Tensor:
        """Turn logits (B, K) into log-probabilities; values (B, 1) stay."""
        return torch.log_softmax(answer.float(), dim=1) if self.outputs > 1 else answer.float()


class FittedModel(nn.Module):
    """Answers targets by members and combinations of them.

    Parameters
    ----------
    name : str
        Of the recipe.
    members : mapping of str to dict
        Of each member: the ``predictor``'s architecture and the ``view``, or the member that it listens ``through``; or the
        members that it ``combines`` and the ``combination``'s architecture; or the target that the ``network`` answers.
    answers : mapping of str to dict
        Of each target: the ``members`` that it listens to and the ``combination``'s architecture.

    network : mapping of str to Any, optional
        Arguments of `emer_model.models.eyeface.EyeFace`, where members listen to it.

    Attributes
    ----------
    architecture : dict
        The arguments but the name, from which `FittedRecipe.build` makes an empty model.
    inputs : tuple of str
        What it is called with.
    out_of_fold : dict of str to ndarray of float32, shape (n, K)
        After fitting: what the model would answer for each clip that it was fitted to, from parts fitted to other
        participants; NaN for clips without a label. Empty if nothing was chosen on inner folds, and after loading.
    """

    def __init__(
        self,
        name: str,
        members: Mapping[str, Mapping[str, Any]],
        answers: Mapping[str, Mapping[str, Any]],
        network: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.out_of_fold: dict[str, np.ndarray] = {}
        self.architecture = {
            "members": {key: dict(member) for key, member in members.items()},
            "answers": {key: dict(answer) for key, answer in answers.items()},
        }
        self.network: nn.Module | None = None
        if network is not None:
            self.architecture["network"] = dict(network)
            self.network = EyeFace(**network)
        try:
            self.members = nn.ModuleDict({key: _build_member(member) for key, member in members.items()})
            self.views = tuple(dict.fromkeys(m.view for m in self.members.values() if isinstance(m, Member)))
            heard = () if self.network is None else self.network.inputs
            self.inputs = tuple(dict.fromkeys((*view_inputs(*self.views), *heard)))
            self.listens = {target: tuple(answer["members"]) for target, answer in answers.items()}
            self.answers = nn.ModuleDict({t: build_combination(a["combination"]) for t, a in answers.items()})
        except KeyError as error:
            raise TrainingError(
                f"Model '{name}': its description lacks or does not know {error}. Train again."
            ) from error
        sources = [sources_of(member) for member in self.members.values()]
        unknown = sorted(set().union(*sources, *self.listens.values()) - set(self.members))
        if unknown:
            raise TrainingError(f"Model '{name}': its description lacks the members {', '.join(unknown)}. Train again.")
        self.order = _in_order(dict(self.members), name)

    def forward(self, **inputs: Tensor) -> ModelOutput:
        """Answer a batch.

        Parameters
        ----------
        **inputs : Tensor
            Those named by ``inputs``; see `emer_model.data.inputs.INPUTS` for the shapes.
        """
        any_input = next(iter(inputs.values()))
        # Sums of log-probabilities and comparisons with thresholds are not for bf16.
        with torch.autocast(any_input.device.type, enabled=False):
            answers, present = self.ask_members(inputs)
            return ModelOutput(
                targets={
                    target: self.answers[target]([answers[m] for m in keys], [present[m] for m in keys])
                    for target, keys in self.listens.items()
                }
            )

    def ask_members(self, inputs: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return what each member answers (B, K), and which clips have its view (B,)."""
        seen = {view: look(view, inputs) for view in self.views}
        spoken = {} if self.network is None else self.network(**{n: inputs[n] for n in self.network.inputs}).targets
        answers: dict[str, Tensor] = {}
        present: dict[str, Tensor] = {}
        for key in self.order:
            member = self.members[key]
            if isinstance(member, Member):
                answers[key], present[key] = member(*seen[member.view]), seen[member.view][1]
            elif isinstance(member, Through):
                answers[key], present[key] = member(answers[member.source]), present[member.source]
            elif isinstance(member, Spoken):  # a network answers with what there is
                answers[key] = member(spoken[member.target])
                present[key] = torch.ones_like(answers[key][:, 0], dtype=torch.bool)
            else:
                theirs = [present[source] for source in member.sources]
                answers[key] = member([answers[source] for source in member.sources], theirs)
                present[key] = torch.stack(theirs).any(dim=0)
        return answers, present


def sources_of(member: nn.Module) -> tuple[str, ...]:
    """Return the keys of the members that a member listens to."""
    if isinstance(member, Combined):
        return member.sources
    return (member.source,) if isinstance(member, Through) else ()


def _in_order(members: Mapping[str, nn.Module], name: str) -> tuple[str, ...]:
    """Put members behind those that they listen to.

    Raises
    ------
    TrainingError
        If they listen to each other in a circle.
    """
    ordered: list[str] = []
    while len(ordered) < len(members):
        ready = [k for k, m in members.items() if k not in ordered and set(sources_of(m)) <= set(ordered)]
        if not ready:
            raise TrainingError(f"Model '{name}': its members listen to each other in a circle. Train again.")
        ordered += ready
    return tuple(ordered)


def _build_member(architecture: Mapping[str, Any]) -> Member | Through | Combined | Spoken:
    """Make an empty member of a shape; raises KeyError if something is missing or the view is not known."""
    if "combines" in architecture:
        return Combined(architecture["combines"], build_combination(architecture["combination"]))
    if "network" in architecture:
        return Spoken(str(architecture["network"]), int(architecture["outputs"]))
    predictor = build_predictor(architecture["predictor"])
    if "through" in architecture:
        return Through(str(architecture["through"]), predictor)
    view_inputs(str(architecture["view"]))
    return Member(str(architecture["view"]), predictor)


def build_combination(architecture: Mapping[str, Any]) -> Combination:
    """Make an empty combination of a shape.

    Raises
    ------
    KeyError
        If the kind is not known.
    TrainingError
        If the arguments are not its.
    """
    arguments = dict(architecture)
    kind = _COMBINATIONS[arguments.pop("kind")]
    try:
        return kind(**arguments)
    except TypeError as error:
        raise TrainingError(
            f"A combination '{kind.kind}' cannot be built from {arguments}: {error}. Train again."
        ) from error
