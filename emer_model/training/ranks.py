"""Several processes that train together, as ``torchrun`` begins them.

``torchrun --nproc-per-node 2 -m emer_model train EXPORT ...`` starts as many processes, each of
which runs the whole command. The first one alone writes; the others compute their share of every
batch and hear from the first what there is to do.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch

from data_schema.errors import TrainingError

#: How long a process waits for the others: reading an export of thousands of clips takes minutes.
_PATIENCE = timedelta(minutes=30)


def world() -> int:
    """Return how many processes train together; 1 where torchrun began none."""
    return _number("WORLD_SIZE", 1)


def rank() -> int:
    """Return the place of this process, from 0."""
    return _number("RANK", 0)


def local_world() -> int:
    """Return how many of the processes are on this machine."""
    return _number("LOCAL_WORLD_SIZE", world())


def is_first() -> bool:
    """Tell whether this process is the one that writes."""
    return rank() == 0


@contextmanager
def together(device: torch.device) -> Iterator[None]:
    """Let the processes that torchrun began speak to each other within; nothing for one alone.

    Raises
    ------
    TrainingError
        If they do not find each other, or this torch cannot speak on the device.
    """
    if world() == 1 or torch.distributed.is_initialized():
        yield
        return
    try:
        if device.type == "cuda":
            torch.cuda.set_device(_number("LOCAL_RANK", 0))
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"The {world()} processes of torchrun cannot speak to each other: {str(error).splitlines()[0]}. Check its "
            "--rdzv-endpoint, or train in one process."
        ) from error
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def tell_all(value: Any) -> Any:
    """Return what the first process gives, in all of them; plain values that JSON can hold."""
    if world() == 1:
        return value
    device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
    content = json.dumps(value).encode("utf-8") if is_first() else b""
    length = torch.tensor([len(content)], device=device)
    torch.distributed.broadcast(length, 0)
    buffer = torch.zeros(int(length), dtype=torch.uint8, device=device)
    if is_first():
        buffer.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
    torch.distributed.broadcast(buffer, 0)
    return json.loads(bytes(buffer.cpu().tolist()).decode("utf-8"))


def wait_for_all() -> None:
    """Wait until all processes are here."""
    if world() > 1:
        torch.distributed.barrier()


def _number(name: str, otherwise: int) -> int:
    """Read a variable that torchrun sets; others that set RANK alone, such as some batch systems, do not count."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return otherwise
    try:
        return int(os.environ.get(name, otherwise))
    except ValueError as error:
        raise TrainingError(
            f"{name}={os.environ[name]}: expected a number. Start the processes with torchrun."
        ) from error
