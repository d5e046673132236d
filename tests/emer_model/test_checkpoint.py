from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save, save_file

from data_schema.errors import TrainingError
from emer_model.data import FeatureNormalisation, target
from emer_model.registry import build_model
from emer_model.training import CheckpointInfo, load_checkpoint, read_info, save_checkpoint

INFO = CheckpointInfo(
    model="emert",
    architecture={"targets": {"er_emotion": 7}, "face_width": 3, "eye_features": 2},
    protocol="er-7",
    targets=(target("er_emotion"),),
    inputs=("face_features", "face_mask", "eye", "eye_mask", "fixations", "fixation_mask"),
    features={"eye": ("pupil_mm", "blink"), "fixations": ("x", "y", "onset_s", "duration_s")},
    face={"backbone": "descriptor", "training": "frozen", "size_px": None, "width": 3, "sha256": "00"},
    subject_normalisation=True,
    fold=1,
    epoch=3,
    score=0.5,
)
NORMALISATION = {
    name: FeatureNormalisation(np.full(n, 3.5, np.float32), np.full(n, 0.4, np.float32))
    for name, n in (("face_features", 3), ("eye", 2), ("fixations", 4))
}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = build_model(INFO.model, INFO.architecture)
    save_checkpoint(tmp_path / "best.safetensors", INFO, model.state_dict(), NORMALISATION)
    return tmp_path / "best.safetensors"


def rewrite(path: Path, *, header=None, tensors=None) -> Path:
    """Write the checkpoint again with a changed header or changed tensors."""
    with safe_open(path, framework="pt") as file:
        metadata = json.loads(file.metadata()["emer"])
        content = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if header is not None:
        header(metadata)
    if tensors is not None:
        tensors(content)
    save_file(content, path, metadata={"emer": json.dumps(metadata)})
    return path


def test_what_was_saved_comes_back(saved: Path) -> None:
    loaded = load_checkpoint(saved)
    assert dataclasses.replace(loaded.info, targets=()) == dataclasses.replace(INFO, targets=())
    assert loaded.info.targets[0].classes == INFO.targets[0].classes
    assert loaded.normalisation.keys() == NORMALISATION.keys()
    assert np.array_equal(loaded.normalisation["eye"].mean, NORMALISATION["eye"].mean)
    torch.manual_seed(0)
    model = build_model(INFO.model, INFO.architecture)
    for name, value in model.state_dict().items():
        assert torch.equal(value, loaded.model.state_dict()[name])
    assert not loaded.model.training
    assert [p.name for p in saved.parent.iterdir()] == ["best.safetensors"]


def test_pickles_are_refused_unopened(tmp_path: Path) -> None:
    class Malice:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"x": Malice()}, tmp_path / "model.pt")
    (tmp_path / "plain.safetensors").write_bytes(pickle.dumps(Malice()))
    for name in ("model.pt", "plain.safetensors"):
        with pytest.raises(TrainingError, match="is a pickle"):
            load_checkpoint(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_headers_of_every_length_are_read(saved: Path, tmp_path: Path) -> None:
    with safe_open(saved, framework="pt") as file:
        content = save({"x": torch.zeros(1)}, metadata=file.metadata())
    length = int.from_bytes(content[:8], "little")
    header, data = content[8 : 8 + length], content[8 + length :]
    path, first_bytes = tmp_path / "padded.safetensors", set()
    for spaces in range(256):
        start = (length + spaces).to_bytes(8, "little")
        first_bytes.add(start[0])
        path.write_bytes(start + header + b" " * spaces + data)
        assert read_info(path).model == "emert"
    assert first_bytes == set(range(256))


def test_a_checkpoint_that_begins_like_a_pickle(saved: Path) -> None:
    for name in ("m" * n for n in range(0, 400, 4)):
        rewrite(saved, header=lambda h, name=name: h.update(protocol=name))
        if saved.read_bytes()[0] == 0x80:
            break
    assert saved.read_bytes()[0] == 0x80
    assert load_checkpoint(saved).info.protocol == name
    saved.write_bytes(saved.read_bytes()[:100])
    with pytest.raises(TrainingError):
        load_checkpoint(saved)


@pytest.mark.parametrize("size", [0, 5, 200, -1000])
def test_a_checkpoint_cut_short(saved: Path, size: int) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[:size])
    with pytest.raises(TrainingError, match=r"cut short|damaged"):
        load_checkpoint(saved)


def test_other_files_are_named_as_such(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="does not exist"):
        read_info(tmp_path / "none.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(TrainingError, match="no checkpoint of this toolkit"):
        read_info(tmp_path / "other.safetensors")
    with pytest.raises(TrainingError, match=r"schema 3\.0, this toolkit reads 2\.0"):
        read_info(rewrite(saved, header=lambda h: h.update(schema_version="3.0")))


def test_checkpoint_of_another_model(saved: Path) -> None:
    with pytest.raises(TrainingError, match="a model that this toolkit does not have"):
        load_checkpoint(rewrite(saved, header=lambda h: h.update(model="emert-squared")))
    with pytest.raises(TrainingError, match="not those of model 'face-only'"):
        load_checkpoint(
            rewrite(
                saved,
                header=lambda h: h.update(
                    model="face-only", architecture={"targets": {"er_emotion": 7}, "face_width": 3}
                ),
            )
        )
    with pytest.raises(TrainingError, match="takes no argument 'depth_of_thought'"):
        load_checkpoint(rewrite(saved, header=lambda h: h.update(architecture={"depth_of_thought": 3})))


def test_checkpoint_without_its_normalisation(saved: Path) -> None:
    with pytest.raises(TrainingError, match="normalisation of eye is missing"):
        load_checkpoint(rewrite(saved, tensors=lambda t: t.pop("normalisation.eye.mean")))
