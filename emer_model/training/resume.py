"""The state of a training that a kill may interrupt, so that it goes on and ends as if nothing had happened.

One file holds all that the next epoch depends on: the weights, their average, the optimiser, the
best epoch so far with its weights, and the curves. Order and chance of an epoch follow from the
seed and its number. The file is written whole or not at all, is read without running code, and
goes when the fold is finished.
"""

from __future__ import annotations

import logging
import pickle
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from data_schema import atomic
from data_schema.errors import TrainingError

_log = logging.getLogger(__name__)

#: Name of the file in a fold's folder.
STATE_NAME = "state.pt"

_FORMAT = "emer-training-state-1"

#: Writing the state may take this share of the time: ours. A large network writes 200 MB.
_SHARE_OF_TIME = 0.05


class StateFile:
    """Where the state of one fold's training is kept.

    Parameters
    ----------
    path : Path
        Its folder must exist.
    identity : str
        What the state must have been written by to be gone on with: settings, data, versions.
    """

    def __init__(self, path: Path, identity: str) -> None:
        self.path, self._identity = path, identity
        self._next = 0.0

    def read(self) -> dict[str, Any] | None:
        """Return the state, or None where there is none to go on with.

        A state that cannot be read, or that another training left, is no error: the fold begins anew.
        """
        if not self.path.is_file():
            return None
        try:
            # Tensors and plain values alone: a pickle that would run code is refused unrun.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of files that are none of ours; what is wrong is said below
                state = torch.load(self.path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, LookupError) as error:
            _log.warning("%s cannot be read (%s): the fold begins anew", self.path, type(error).__name__)
            return None
        if not isinstance(state, dict) or state.get("format") != _FORMAT:
            _log.warning("%s is no state of a training: the fold begins anew", self.path)
            return None
        if state.get("identity") != self._identity:
            _log.warning("%s is of other settings, data or software: the fold begins anew", self.path)
            return None
        return state

    def due(self) -> bool:
        """Tell whether it is time to write: so rarely that writing takes a small share of the time."""
        return time.monotonic() >= self._next

    def write(self, state: dict[str, Any]) -> None:
        """Replace the state.

        Raises
        ------
        TrainingError
            If the disk does not take it; the old state is as it was.
        """
        began = time.monotonic()
        partial = atomic.partial_path(self.path)
        try:
            torch.save({"format": _FORMAT, "identity": self._identity, **state}, partial)
            atomic.replace_durably(partial, self.path)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
            partial.unlink(missing_ok=True)
            raise TrainingError(
                f"{self.path} cannot be written: {str(error).splitlines()[0]}. Free space or choose another --out."
            ) from error
        self._next = time.monotonic() + (time.monotonic() - began) / _SHARE_OF_TIME

    def remove(self) -> None:
        """Remove the state and what a kill left half-written of it."""
        for path in (self.path, *self.path.parent.glob(f".{self.path.name}.*.partial")):
            path.unlink(missing_ok=True)


def copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy tensors to the CPU, in plain memory order."""
    return {name: value.detach().to("cpu", copy=True).contiguous() for name, value in tensors.items()}
