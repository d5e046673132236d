"""Features of faces that need no training, and their cache inside the export."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from data_schema.errors import TrainingError, UsageError
from data_schema.exports.manifest import foreign_files
from data_schema.exports.reading import TrainingExport
from emer_model.faces import cache
from emer_model.faces.backbones import build_backbone, save_backbone
from emer_model.faces.cache import face_features
from emer_model.faces.descriptor import WIDTH
from emer_model.faces.features import BackboneFeatures, FaceFeatures, frozen_features


class Counting(FaceFeatures):
    """Mean colours, and a count of the pictures looked at."""

    name, width, smallest_px, sha256 = "counting", 3, 8, "of nothing"

    def __init__(self) -> None:
        super().__init__(None)
        self.seen: list[int] = []

    def _compute(self, images: np.ndarray) -> np.ndarray:
        self.seen.append(len(images))
        return images.mean(axis=(1, 2)).astype(np.float32)


def faces(n: int = 3, px: int = 32) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (n, px, px, 3), dtype=np.uint8)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(5)
    save_backbone(tmp_path / "compact.safetensors", build_backbone("compact"))
    return tmp_path / "compact.safetensors"


# ---------------------------------------------------------------- what computes them


def test_a_frozen_backbone_stays_as_it_is_and_gives_what_it_gives(weights: Path) -> None:
    frozen = frozen_features("compact", weights)
    backbone = build_backbone("compact", weights).eval()
    expected = backbone(backbone.prepare(torch.from_numpy(faces()))).detach().numpy()
    computed = frozen.compute(faces())
    assert computed.dtype == np.float32
    assert computed.shape == (3, frozen.width)
    assert np.allclose(computed, expected, atol=1e-5)
    assert not any(p.requires_grad for p in frozen.backbone.parameters())
    many = frozen.compute(faces(40))
    assert np.allclose(many[:3], computed, atol=1e-5)
    assert np.array_equal(many, frozen.compute(faces(40)))


def test_faces_are_reduced_to_what_was_asked_or_is_preferred(weights: Path) -> None:
    large = faces(2, 112)
    small = large.reshape(2, 56, 2, 56, 2, 3).mean(axis=(2, 4)).round().astype(np.uint8)
    preferred, asked = frozen_features("compact", weights), frozen_features("compact", weights, 28)
    assert np.allclose(preferred.compute(large), preferred.compute(small), atol=2e-4)
    assert not np.allclose(asked.compute(large), preferred.compute(large), atol=2e-4)
    assert preferred.sha256 != asked.sha256


def test_the_hash_is_of_weights_preprocessing_and_size_and_of_no_file(tmp_path: Path, weights: Path) -> None:
    torch.save({"state_dict": build_backbone("compact", weights).state_dict()}, tmp_path / "same.pth")
    first = frozen_features("compact", weights).sha256
    assert frozen_features("compact", tmp_path / "same.pth").sha256 == first
    assert BackboneFeatures(build_backbone("compact", weights, bgr=True)).sha256 != first
    changed = build_backbone("compact", weights)
    with torch.no_grad():
        changed.layers[9].weight[0, 0, 0, 0] += 1e-6
    assert BackboneFeatures(changed).sha256 != first
    assert frozen_features("descriptor").sha256 != frozen_features("descriptor", None, 28).sha256


def test_what_makes_no_sense_is_refused(weights: Path) -> None:
    with pytest.raises(UsageError, match="resnet18, frozen, without weights: its features would be random numbers"):
        frozen_features("resnet18")
    with pytest.raises(UsageError, match="the descriptor has no weights"):
        frozen_features("descriptor", weights)
    with pytest.raises(UsageError, match="no face backbone 'resnet50'.*descriptor, resnet18, compact"):
        frozen_features("resnet50", weights)
    with pytest.raises(UsageError, match="--face-size 8: compact takes faces of at least 16 px"):
        frozen_features("compact", weights, 8)
    with pytest.raises(TrainingError, match="Faces of 24 px: compact was asked to look at 56 px"):
        frozen_features("compact", weights, 56).compute(faces(1, 24))
    with pytest.raises(TrainingError, match="Faces of 12 px: descriptor"):
        frozen_features("descriptor").compute(faces(1, 12))
    with pytest.raises(TrainingError, match=r"float64 of shape \(2, 32, 32, 3\), expected uint8"):
        frozen_features("descriptor").compute(faces(2) / 255.0)


# ---------------------------------------------------------------- the cache


def test_features_lie_at_their_clips_and_frames_and_are_zero_without_a_face(own_export: Path) -> None:
    told: list[tuple[int, int, str]] = []
    with TrainingExport.open(own_export) as export:
        counting = Counting()
        features = face_features(export, counting, progress=lambda *args: told.append(args))
        n_found = 0
        for i, clip_id in enumerate(export.clips["clip_id"]):
            arrays = export.read(clip_id, ("faces", "face_mask"))
            n_found += int(arrays["face_mask"].sum())
            expected = arrays["faces"].mean(axis=(1, 2)) * arrays["face_mask"][:, None]
            assert np.allclose(features[i], expected, atol=1e-3), clip_id
        assert sum(counting.seen) == n_found < features.shape[0] * features.shape[1]
        # In batches, and never all at once.
        assert len(counting.seen) > 1
        assert max(counting.seen) < 70
        assert told[-1] == (len(export), len(export), "computing face features")

        again = Counting()
        told.clear()
        held = face_features(export, again, progress=lambda *args: told.append(args))
        assert np.array_equal(held, features)
        assert not again.seen
        assert not told
        held += 1  # the caller's own
        assert np.array_equal(face_features(export, again), features)
        other = frozen_features("descriptor")
        assert face_features(export, other).shape == (len(export), 2, WIDTH)
        assert np.array_equal(face_features(export, again), features)
        assert not again.seen
    # The export is as whole as before, may be replaced, and its cache names nobody.
    TrainingExport.open(own_export).close()
    assert foreign_files(own_export) == []
    (own_export / "face_features" / "my own.npy").write_bytes(b"")
    assert foreign_files(own_export) == ["face_features/my own.npy"]
    records = [path.read_text(encoding="utf-8") for path in (own_export / "face_features").glob("*.json")]
    assert len(records) == 2
    assert not any("P00" in text for text in records)


@pytest.mark.parametrize("damage", ["cut", "changed", "no array", "no record", "other array", "nonsense"])
def test_a_damaged_cache_is_computed_again(own_export: Path, damage: str) -> None:
    told: list[str] = []
    with TrainingExport.open(own_export) as export:
        features = face_features(export, Counting())
        (array,) = (own_export / "face_features").glob("*.npy")
        content = array.read_bytes()
        if damage == "cut":
            array.write_bytes(content[:-8])
        elif damage == "changed":
            array.write_bytes(content[:-2] + b"zz")
        elif damage == "no array":
            array.unlink()
        elif damage == "no record":
            array.with_suffix(".json").unlink()
        elif damage == "other array":
            np.save(array, features[:, :1])
        else:
            array.with_suffix(".json").write_text("[1, 2", encoding="utf-8")
        again = Counting()
        assert np.array_equal(face_features(export, again, tell=told.append), features)
        assert again.seen
        assert len(told) == (damage != "no record")
        assert all("damaged and are computed again" in text for text in told)
        assert array.read_bytes() == content
        assert not list(array.parent.glob("*.partial"))


def test_a_changed_export_makes_its_cache_stale_and_removes_it(own_export: Path, fixture) -> None:
    with TrainingExport.open(own_export) as export:
        before = face_features(export, Counting())
    (stale,) = (own_export / "face_features").glob("*.npy")
    manifest = json.loads((own_export / "manifest.json").read_text(encoding="utf-8"))

    def no_longer(names: np.ndarray) -> np.ndarray:
        return np.zeros_like(names)

    fixture.change_shard(own_export, "face_mask", no_longer)
    # The fixture lists every file anew; an export lists none of its cache.
    changed = json.loads((own_export / "manifest.json").read_text(encoding="utf-8"))
    changed["files"] = {name: changed["files"][name] for name in manifest["files"]}
    (own_export / "manifest.json").write_text(json.dumps(changed), encoding="utf-8")
    with TrainingExport.open(own_export) as export:
        after = face_features(export, Counting())
    assert before[:7].any()
    assert not after[:7].any()
    assert np.array_equal(after[7:], before[7:])
    assert not stale.exists()
    assert len(list((own_export / "face_features").iterdir())) == 2


def test_where_nothing_can_be_written_features_stay_in_memory(own_export: Path, monkeypatch) -> None:
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    told: list[str] = []
    monkeypatch.setattr(cache.np, "save", full)
    with TrainingExport.open(own_export) as export:
        counting = Counting()
        assert face_features(export, counting, tell=told.append).any()
        assert "kept in memory only" in told[0]
        assert "No space left on device" in told[0]
        assert not list((own_export / "face_features").iterdir())
        monkeypatch.undo()
        (own_export / "face_features").rmdir()
        (own_export / "face_features").write_text("in the way", encoding="utf-8")
        told.clear()
        assert face_features(export, counting, tell=told.append).any()
        assert "kept in memory only" in told[0]


def test_an_export_that_is_replaced_meanwhile_gets_no_features_of_another(own_export: Path) -> None:
    class Slow(Counting):
        def _compute(self, images: np.ndarray) -> np.ndarray:
            path = own_export / "manifest.json"
            content = json.loads(path.read_text(encoding="utf-8")) | {"created_utc": "2030-01-01T00:00:00Z"}
            path.write_text(json.dumps(content), encoding="utf-8")
            return super()._compute(images)

    told: list[str] = []
    with TrainingExport.open(own_export) as export:
        face_features(export, Slow(), tell=told.append)
    assert "was replaced while its faces were read" in told[0]
    assert not (own_export / "face_features").exists()


def test_features_that_are_not_finite_are_refused(own_export: Path) -> None:
    class Broken(Counting):
        def _compute(self, images: np.ndarray) -> np.ndarray:
            return np.full((len(images), 3), np.nan, dtype=np.float32)

    with (
        TrainingExport.open(own_export) as export,
        pytest.raises(TrainingError, match=r"clip sub-P001_ses-01_trial-001 by counting are not finite"),
    ):
        face_features(export, Broken())
