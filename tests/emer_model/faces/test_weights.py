"""Weights of face backbones from files of users: what is read, and what is refused without being run."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from data_schema.errors import TrainingError, UsageError
from emer_model.faces.backbones import build_backbone, save_backbone
from emer_model.faces.resnet import ResNet18
from emer_model.faces.weights import load_weights


@pytest.fixture(scope="module")
def known():
    """A small backbone whose weights the tests store in all ways."""
    torch.manual_seed(3)
    return build_backbone("compact")


@pytest.fixture(scope="module")
def resnet():
    torch.manual_seed(4)
    return build_backbone("resnet18")


def same(a, b) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def with_classifier(state: dict) -> dict:
    return state | {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}


def test_reads_what_torchvision_and_training_scripts_write(tmp_path: Path, resnet) -> None:
    state = resnet.state_dict()
    # torchvision's names, as they have been published for years.
    assert {"conv1.weight", "layer2.0.downsample.1.running_var", "layer4.1.bn2.bias"} <= set(state)
    ways = {
        "resnet18-0123abcd.pth": with_classifier(state),
        "without-counters.pth": {k: v for k, v in with_classifier(state).items() if "num_batches" not in k},
        "ddp.pt": {"epoch": 7, "state_dict": {f"module.{k}": v for k, v in with_classifier(state).items()}},
    }
    for name, content in ways.items():
        torch.save(content, tmp_path / name)
        read = ResNet18()
        load_weights(read, tmp_path / name)
        assert same(read, resnet), name


def test_reads_safetensors_its_own_files_and_the_backbone_of_a_checkpoint(tmp_path: Path, known) -> None:
    save_backbone(tmp_path / "own.safetensors", known)
    # A fine-tuned run stores the network beside its backbone, and normalisations.
    whole = {f"model.backbone.{k}": v for k, v in known.state_dict().items()}
    save_file(
        whole | {"model.network.heads.weight": torch.ones(7, 3), "normalisation.eye.mean": torch.ones(6)},
        tmp_path / "best.safetensors",
        metadata={"emer": "{}"},
    )
    torch.save(known.state_dict(), tmp_path / "of-2019.pth", _use_new_zipfile_serialization=False)
    assert same(build_backbone("compact", tmp_path / "of-2019.pth"), known)
    half = {k: v.bfloat16() if v.is_floating_point() else v for k, v in known.state_dict().items()}
    save_file(half, tmp_path / "half.safetensors")
    for name in ("own", "best"):
        assert same(build_backbone("compact", tmp_path / f"{name}.safetensors"), known)
    read = build_backbone("compact", tmp_path / "half.safetensors")
    assert read.layers[0].weight.dtype == torch.float32
    assert torch.equal(read.layers[0].weight, known.layers[0].weight.bfloat16().float())
    save_backbone(tmp_path / "again.safetensors", build_backbone("compact", tmp_path / "own.safetensors"))
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "own.safetensors").read_bytes()


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (Path(self.path),))


@pytest.mark.parametrize("way", ["zip", "legacy", "bare"])
def test_code_in_a_weights_file_is_refused_and_not_run(tmp_path: Path, known, way: str) -> None:
    content = {"state_dict": known.state_dict(), "args": Trap(str(tmp_path / "sprung"))}
    path = tmp_path / "weights.pth"
    if way == "bare":
        path.write_bytes(pickle.dumps({"args": Trap(str(tmp_path / "sprung"))}))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=way == "zip")
    with pytest.raises(TrainingError, match="run the code in it, so it is refused"):
        build_backbone("compact", path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth", "file.safetensors"])
@pytest.mark.parametrize("share", [0.02, 0.6, 0.999])
def test_a_file_cut_short_is_said_to_be_damaged(tmp_path: Path, known, name: str, share: float) -> None:
    path = tmp_path / name
    if name == "file.safetensors":
        save_backbone(path, known)
    else:
        torch.save(known.state_dict(), path, _use_new_zipfile_serialization=name == "zip.pth")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(TrainingError, match="cut short"):
        build_backbone("compact", path)


def test_another_architecture_is_named(tmp_path: Path, known, resnet) -> None:
    def refused(content: dict, match: str, backbone=resnet) -> None:
        torch.save(content, tmp_path / "other.pth")
        before = backbone.state_dict()["bn1.bias" if backbone is resnet else "layers.1.bias"].clone()
        with pytest.raises(TrainingError, match=match):
            load_weights(backbone, tmp_path / "other.pth")
        assert torch.equal(before, backbone.state_dict()["bn1.bias" if backbone is resnet else "layers.1.bias"])

    state = dict(resnet.state_dict())
    refused(known.state_dict(), r"no weights of resnet18; its tensors are named layers\.0\.weight")
    refused(state | {"layer1.2.conv1.weight": torch.ones(64, 64, 3, 3)}, r"layer1\.2\.conv1\.weight: a deeper network")
    refused({k: v for k, v in state.items() if k != "layer3.0.bn1.weight"}, r"missing, such as layer3\.0\.bn1\.weight")
    refused(
        state | {"conv1.weight": torch.ones(64, 1, 7, 7)}, r"conv1\.weight has shape \(64, 1, 7, 7\).*\(64, 3, 7, 7\)"
    )
    refused(state | {"bn1.bias": torch.full((64,), torch.nan)}, r"bn1\.bias holds values that are not finite")
    refused({"epoch": 3}, "holds no tensors")
    two = {f"{side}.{k}": v for side in ("left", "right") for k, v in known.state_dict().items()}
    refused(two, "compact more than once, under 'left.' and 'right.'", known)
    torch.save([torch.ones(3)], tmp_path / "list.pth")
    with pytest.raises(TrainingError, match="holds list, expected a state dict"):
        build_backbone("compact", tmp_path / "list.pth")


def test_a_file_that_is_not_there_or_no_weights(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no such weights file\. Nothing is downloaded"):
        build_backbone("resnet18", tmp_path / "missing.pth")
    (tmp_path / "page.pth").write_text("<html>404</html>", encoding="utf-8")
    with pytest.raises(TrainingError, match="neither a safetensors file nor one that torch.save wrote"):
        build_backbone("resnet18", tmp_path / "page.pth")
    with pytest.raises(UsageError, match="no face backbone 'resnet19'.*resnet18, compact"):
        build_backbone("resnet19")
