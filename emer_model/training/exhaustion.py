"""Say what to change where the memory of a machine does not suffice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from data_schema.errors import TrainingError
from emer_model.training.config import RunConfig

#: What torch says of a CPU or a GPU library without memory, in errors that have no class of their own.
_SIGNS = ("not enough memory", "can't allocate memory", "out of memory", "alloc_failed")


@contextmanager
def memory_advice(config: RunConfig, device: torch.device) -> Iterator[None]:
    """Turn an exhausted memory within into an error that names what needs less.

    Raises
    ------
    TrainingError
        If the device has too little memory.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _too_little(config, device) from error
    except RuntimeError as error:
        if any(sign in str(error).lower() for sign in _SIGNS):
            raise _too_little(config, device) from error
        raise


def _too_little(config: RunConfig, device: torch.device) -> TrainingError:
    """Name what needs less memory than these settings."""
    less = [f"a smaller --batch-size than {config.batch_size}"]
    if config.face_training != "frozen":
        less += ["--face-training half" if config.face_training == "full" else "--face-training frozen"]
        less += ["a smaller --face-size"]
        if config.precision == "32":
            less.append("--precision bf16")
    if device.type == "cuda":
        less.append("--device cpu")
    else:
        less.append("fewer --workers, if there are several")
    return TrainingError(
        f"{device} has too little memory for this training. Use {', '.join(less[:-1])}, or {less[-1]}."
    )
