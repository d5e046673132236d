"""Lend training to models that are fitted at once and have a network among their members."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from emer_model.data.arrays import Arrays
from emer_model.data.targets import Target
from emer_model.fitted.deep import NetworkFit
from emer_model.models.eyeface import EyeFace
from emer_model.training.fitting import fit_network
from emer_model.training.plan import FoldPlan


def network_fitter(plan: FoldPlan) -> NetworkFit:
    """Return a function that trains EyeFace as `emer train --model eyeface` with the run's settings would.

    Parameters
    ----------
    plan : FoldPlan
        Of a run whose model has the network among its members.
    """
    lent = replace(plan, config=replace(plan.config, model=EyeFace.name, model_arguments={}))

    def fit(
        train: Arrays, validation: Arrays, targets: tuple[Target, ...], auxiliary: tuple[Target, ...], seed: int
    ) -> tuple[nn.Module, dict[str, Any]]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network, arguments = lent.build_network()
        # What is fitted at once is fitted by the first process alone.
        fitted = fit_network(
            network,
            train,
            validation,
            targets,
            lent.config,
            seed,
            auxiliary=auxiliary,
            device=plan.device,
            together=False,
        )
        return fitted.network, arguments

    return fit
