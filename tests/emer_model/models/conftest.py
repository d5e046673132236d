"""Batches and networks of every kind."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

TARGETS = {"er_emotion": 7, "er_valence": 1, "fer_emotion": 7, "fer_intensity": 1}
#: Values a step of each modality, and numbers of steps.
SIZES = {
    "face_width": 12,
    "eye_features": 6,
    "fixation_features": 4,
    "summary_features": 10,
    "face_frames": 8,
    "eye_chunks": 16,
    "fixations": 12,
}
#: Small networks, wherever a network lets itself be made small.
WIDTHS = {"hidden": 16, "width": 16, "layers": 1, "projection": 16, "heads": 2, "head_features": 8, "mlp": 16}


@pytest.fixture(scope="session")
def make_batch() -> Callable[..., dict[str, torch.Tensor]]:
    """Draw all inputs of a batch; everything is there."""

    def make(clips: int = 3, seed: int = 1) -> dict[str, torch.Tensor]:
        draw = torch.Generator().manual_seed(seed)
        frames, chunks, fixations = SIZES["face_frames"], SIZES["eye_chunks"], SIZES["fixations"]

        def normal(*shape: int) -> torch.Tensor:
            return torch.randn(clips, *shape, generator=draw)

        def true(*shape: int) -> torch.Tensor:
            return torch.ones(clips, *shape, dtype=torch.bool)

        return {
            "face_features": normal(frames, SIZES["face_width"]),
            "face_mask": true(frames),
            "eye": normal(chunks, SIZES["eye_features"]),
            "eye_mask": true(chunks, SIZES["eye_features"]),
            "fixations": normal(fixations, SIZES["fixation_features"]),
            "fixation_mask": true(fixations),
            "gaze_points": torch.rand(clips, chunks, 2, generator=draw),
            "gaze_points_mask": true(chunks),
            "summary": normal(SIZES["summary_features"]),
            "summary_mask": true(SIZES["summary_features"]),
        }

    return make


@pytest.fixture(scope="session")
def make_network() -> Callable[..., torch.nn.Module]:
    """Build a network of a class at the sizes of the batches, in evaluation mode, the same weights each time."""

    def make(kind: type[torch.nn.Module], **changes) -> torch.nn.Module:
        torch.manual_seed(0)
        known = {"targets": TARGETS, **SIZES, **WIDTHS}
        taken = {name: value for name, value in known.items() if name in inspect.signature(kind).parameters}
        return kind(**(taken | changes)).eval()

    return make


@pytest.fixture(scope="session")
def ask() -> Callable[..., object]:
    """Give a network what it asks for."""

    def call(network: torch.nn.Module, batch: dict[str, torch.Tensor]):
        return network(**{name: batch[name] for name in network.inputs})

    return call


@pytest.fixture(scope="session")
def same() -> Callable[..., bool]:
    """Compare the answers of two calls."""

    def compare(one, other) -> bool:
        return all(torch.allclose(one.targets[name], other.targets[name], atol=1e-5) for name in one.targets)

    return compare
