"""The machine that a run used: device, threads, determinism, versions."""

from __future__ import annotations

import ctypes
import importlib.metadata
import logging
import os
import platform
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

import data_schema
from data_schema.errors import TrainingError, UsageError

DEVICES = ("auto", "cpu", "cuda")

#: Name of a setting of glibc (malloc.h), and from which size on pieces are given back: ours.
_M_MMAP_THRESHOLD, _LARGE_PIECE_BYTES = -3, 8_000_000

#: Warnings that Lightning 2.6 raises and that a user can do nothing about: arrays are cut
#: from memory, so loader workers would only copy them; a CPU was asked for by name; and it
#: still uses a name that torch 2.13 wants to rename.
_ANSWERED = (
    r".*does not have many workers.*",
    r".*GPU available but not used.*",
    r"`isinstance\(treespec, LeafSpec\)` is deprecated.*",
)


def choose_device(name: str) -> torch.device:
    """Turn 'auto', 'cpu' or 'cuda' into a device.

    Raises
    ------
    UsageError
        If the name is another.
    TrainingError
        If a GPU was asked for and there is none.
    """
    if name not in DEVICES:
        raise UsageError(f"--device {name}: expected one of {', '.join(DEVICES)}.")
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        built = "has no CUDA in it" if torch.version.cuda is None else "sees no GPU"
        raise TrainingError(
            f"--device cuda: this torch ({torch.__version__}) {built}. Use --device cpu, or install a CUDA build of "
            "torch and check `nvidia-smi`."
        )
    return torch.device("cuda")


def default_threads() -> int:
    """Return half of the processors this process may use, at least one.

    Measured on two of them: one step of EMERT took 0.12 s with one thread and 0.08 s with
    two on an idle machine, but 5.5 s with two while something else was running, because
    threads wait for each other in a busy loop.
    """
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, available // 2)


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Let torch compute with so many threads within; the last bits of a sum depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def deterministic() -> Iterator[None]:
    """Use deterministic algorithms within, and restore what was set before.

    The debug mode "error" is what ``torch.use_deterministic_algorithms(True)`` sets, which also
    loads torch's compiler: 800 modules and 80 MB.
    """
    before = torch.get_deterministic_debug_mode()
    # cuBLAS reads it when a GPU is first used; without it torch refuses to be deterministic there.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_deterministic_debug_mode("error")
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)


def release_memory() -> None:
    """Give the system back what was freed and the C library keeps; nothing where that is not glibc."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def give_back_large_pieces() -> None:
    """Let the C library give large pieces back whenever they are freed; nothing where that is not glibc.

    It would keep ever larger ones, and a step that trains a ResNet cannot use most of them again: 1,250 MB at the peak
    instead of 1,100, for a step that takes 5 to 8 % longer.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").mallopt(_M_MMAP_THRESHOLD, _LARGE_PIECE_BYTES)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence Lightning's greetings and the warnings in `_ANSWERED`, no others."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message in _ANSWERED:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def run_log(path: Path) -> Iterator[None]:
    """Write what the package logs within to the log beside a run's data."""
    logger = logging.getLogger("emer_model")
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        handler.close()


def versions() -> dict[str, str]:
    """Return what a second machine needs to repeat a run."""
    found = {"emer-toolkit": data_schema.__version__, "python": platform.python_version(), "system": platform.system()}
    for package in ("torch", "lightning", "torchmetrics", "scikit-learn", "numpy", "pandas", "safetensors", "h5py"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    found["processor"] = platform.machine()
    return found
