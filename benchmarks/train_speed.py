"""Steps of training, of 16 clips each, against the faithful EMERT trained as its reference trains.

The reference's step: 128 face crops read from image files one by one, ResNet-18 and EMERT in float32 and contiguous
memory, all of it trained. Beside it in the same run: our steps of the same network with faces in memory, channels_last and
bf16; with the first half of the backbone frozen; on features computed once; and the small trunk on these.

Each figure is the median of ratios of pairs: one step of the baseline, then some of ours. One thread, and the seconds of the
process, so that other programs disturb little. The arrays are
random numbers: speed does not depend on them.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from benchmarks.figure import figure
from emer_model.data.arrays import Arrays
from emer_model.data.dataset import TARGET_PREFIX
from emer_model.data.inputs import ask
from emer_model.data.targets import target
from emer_model.faces.backbones import build_backbone
from emer_model.models.emert import Emert
from emer_model.models.eyeface import EyeFace
from emer_model.models.with_backbone import WithBackbone
from emer_model.training.config import RunConfig
from emer_model.training.drivers import PlainDriver
from emer_model.training.fitting import _Training
from emer_model.training.loss import TrainingLoss, loss_weights

BATCH, FRAMES, SIDE_PX, CHUNKS, FIXATIONS = 16, 8, 112, 32, 32
EYE_FEATURES, SUMMARY_FEATURES = 39, 60
TARGETS = (target("er_emotion"),)
SIZES = {"er_emotion": 7}
#: Width of the features of ResNet-18.
WIDTH = 512


def clips(n: int, faces: bool) -> Arrays:
    """Return clips of random numbers, with face crops or with features of them."""
    rng = np.random.default_rng(0)
    inputs: dict[str, np.ndarray] = {
        "face_mask": np.ones((n, FRAMES), dtype=bool),
        "eye": rng.normal(size=(n, CHUNKS, EYE_FEATURES)).astype(np.float32),
        "eye_mask": rng.random((n, CHUNKS, EYE_FEATURES)) > 0.1,
        "fixations": rng.normal(size=(n, FIXATIONS, 4)).astype(np.float32),
        "fixation_mask": np.ones((n, FIXATIONS), dtype=bool),
        "summary": rng.normal(size=(n, SUMMARY_FEATURES)).astype(np.float32),
        "summary_mask": np.ones((n, SUMMARY_FEATURES), dtype=bool),
    }
    if faces:
        inputs["faces"] = rng.integers(0, 256, (n, FRAMES, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    else:
        inputs["face_features"] = rng.normal(size=(n, FRAMES, WIDTH)).astype(np.float32)
    return Arrays(inputs, {"er_emotion": rng.integers(0, 7, n)}, np.array(["P001"] * n))


def emert() -> nn.Module:
    return Emert(SIZES, WIDTH, EYE_FEATURES)


def reference_steps(folder: Path, n: int) -> Iterator[float]:
    """Train as the reference does, and yield the seconds of each step."""
    whole = clips(n, faces=False)
    rng = np.random.default_rng(1)
    for i in range(n):
        for j in range(FRAMES):
            # Smooth, as faces are: noise would make larger files that take longer to decode.
            picture = cv2.resize(rng.integers(0, 256, (14, 14, 3), dtype=np.uint8), (SIDE_PX, SIDE_PX))
            cv2.imwrite(str(folder / f"{i:03d}_{j}.jpg"), picture)
    network = WithBackbone(build_backbone("resnet18"), emert()).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4, weight_decay=5e-4, fused=False, foreach=False)
    loss = TrainingLoss(TARGETS, loss_weights(TARGETS))
    while True:
        order = rng.permutation(n)[:BATCH]
        began = time.process_time()
        crops = [[cv2.imread(str(folder / f"{i:03d}_{j}.jpg"))[:, :, ::-1] for j in range(FRAMES)] for i in order]
        batch = {name: torch.from_numpy(values[order]) for name, values in whole.inputs.items()}
        batch["faces"] = torch.from_numpy(np.array(crops))
        batch[TARGET_PREFIX + "er_emotion"] = torch.from_numpy(whole.labels["er_emotion"][order])
        optimiser.zero_grad()
        loss(ask(network, batch), batch)["total"].backward()
        optimiser.step()
        yield time.process_time() - began


def our_steps(network: nn.Module, arrays: Arrays, **settings: Any) -> Iterator[float]:
    """Train as `emer train` does, and yield the seconds of each step."""
    config = RunConfig.of("er-7", network.name, batch_size=BATCH, ema_decay=0.0, **settings)
    training = _Training(
        network, arrays, TARGETS, (), config, 0, PlainDriver(torch.device("cpu"), config.precision), None
    )
    training.network.train()
    rng = np.random.default_rng(2)
    while True:
        order = rng.permutation(len(arrays))[:BATCH].tolist()
        began = time.process_time()
        training._step(order, True)
        yield time.process_time() - began


def ratio(baseline: Iterator[float], ours: Iterator[float], pairs: int, each: int) -> tuple[float, float, float]:
    """Return the median ratio of pairs, and the median seconds of a step of both; `each` of our steps follow one."""
    next(baseline), next(ours)  # the first ones set up caches
    ratios, theirs, own = [], [], []
    for _ in range(pairs):
        slow = next(baseline)
        fast = statistics.median(next(ours) for _ in range(each))
        ratios.append(slow / fast)
        theirs.append(slow)
        own.append(fast)
    return statistics.median(ratios), statistics.median(theirs), statistics.median(own)


def run(quick: bool = False) -> list[dict[str, Any]]:
    pairs, n = (2, 2 * BATCH) if quick else (5, 4 * BATCH)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    torch.manual_seed(0)
    crops, features = clips(n, faces=True), clips(8 * BATCH, faces=False)
    # What is trained, the ratio to reach, and how many of our steps follow one of the baseline.
    against_reference: list[tuple[str, Callable[[], Iterator[float]], float, int]] = [
        ("fine-tuned in channels_last and bf16", lambda: _finetuned(crops, half=False), 2.3, 1),
        ("half of the backbone frozen, channels_last and bf16", lambda: _finetuned(crops, half=True), 3.5, 1),
        ("on features computed once", lambda: our_steps(emert(), features), 35.0, 10),
    ]  # fmt: skip
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        baseline = reference_steps(Path(folder), n)
        for what, make, least, each in against_reference:
            figures.append(
                _figure(f"EMERT {what}", "trained as the reference", ratio(baseline, make(), pairs, each), least)
            )
    trunk = our_steps(EyeFace(SIZES, WIDTH, EYE_FEATURES, summary_features=SUMMARY_FEATURES), features)
    found = ratio(our_steps(emert(), features), trunk, 4 * pairs, 5)
    return [*figures, _figure("trunk eyeface on features computed once", "EMERT on them", found, 10.0)]


def _finetuned(crops: Arrays, half: bool) -> Iterator[float]:
    """Train the whole, or its second half, as `--face-training full --precision bf16` does."""
    network = WithBackbone(build_backbone("resnet18"), emert(), half=half)
    return our_steps(
        network, crops, precision="bf16", face_training="half" if half else "full", face_backbone="resnet18"
    )


def _figure(what: str, baseline: str, found: tuple[float, float, float], least: float) -> dict[str, Any]:
    times, theirs, own = found
    return figure(
        f"clips trained a second, {what}", BATCH / own, "1/s", baseline=baseline, baseline_value=BATCH / theirs, ratio=times,
        target=f"at least {least:g} times", met=times >= least,
    )  # fmt: skip


if __name__ == "__main__":
    for one in run():
        print(json.dumps(one))
