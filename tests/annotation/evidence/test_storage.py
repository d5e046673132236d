"""Evidence travels in a bundle, says nothing else, and a damaged file is said to be damaged."""

from __future__ import annotations

import zipfile
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from annotation.evidence import EyeEvidence, StimulusTrack, load_evidence, load_flips, save_evidence, save_flips
from data_schema.errors import MediaError


class Sixty:
    """Sixty frames, as far as flips care."""

    width_px = height_px = 8
    time_base = 1
    pts = times_us = group_starts = np.arange(60)

    def __len__(self) -> int:
        return 60


@pytest.fixture
def evidence() -> EyeEvidence:
    rng = np.random.default_rng(1)
    gaze = rng.uniform(size=(500, 2))
    gaze[100:120] = np.nan
    return EyeEvidence(
        gaze_t_us=np.arange(500) * 2000,
        gaze_norm=gaze,
        velocity_deg_s=rng.uniform(size=500),
        pupil_mm=rng.uniform(2, 4, 500),
        fixations=np.array([[0.0, 3e5, 0.4, 0.5]]),
        blinks_us=np.zeros((0, 2), np.int64),
        fixation_map=rng.uniform(size=(9, 16)).astype(np.float32),
        stimulus_box_norm=(0.125, 0.0, 0.75, 1.0),
        parameters={"map_sigma_deg": 1.0, "fixations.eye": "average"},
    )


def same(first: EyeEvidence, second: EyeEvidence) -> bool:
    pairs = [(getattr(first, one.name), getattr(second, one.name)) for one in fields(EyeEvidence)]
    arrays = [pair for pair in pairs if isinstance(pair[0], np.ndarray)]
    others = [pair for pair in pairs if not isinstance(pair[0], np.ndarray)]
    return all(a == b for a, b in others) and all(
        a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True) for a, b in arrays
    )


def test_what_is_read_is_what_was_written(tmp_path: Path, evidence: EyeEvidence) -> None:
    save_evidence(tmp_path / "eyes.npz", evidence)
    assert same(load_evidence(tmp_path / "eyes.npz"), evidence)
    assert [path.name for path in tmp_path.iterdir()] == ["eyes.npz"]


def test_a_file_holds_no_date_and_a_salt_makes_two_files_of_one_clip_differ(
    tmp_path: Path, evidence: EyeEvidence
) -> None:
    for name, salt in (("a", b""), ("b", b""), ("c", b"one"), ("d", b"two")):
        save_evidence(tmp_path / name, evidence, salt=salt)
    content = {name: (tmp_path / name).read_bytes() for name in "abcd"}
    assert content["a"] == content["b"] and len({content[name] for name in "acd"}) == 3
    with zipfile.ZipFile(tmp_path / "a") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert same(load_evidence(tmp_path / "c"), evidence)


def test_flips_travel_without_the_stimulus(tmp_path: Path) -> None:
    track = StimulusTrack(Sixty(), np.array([-3, 16_000, 33_000]), np.array([0, 1, 1]))
    save_flips(tmp_path / "flips.npz", track)
    found = load_flips(tmp_path / "flips.npz", Sixty())
    np.testing.assert_array_equal(found.flip_t_us, track.flip_t_us)
    assert found.frame_at(20_000) == 1
    assert (tmp_path / "flips.npz").stat().st_size < 2_000


_BOMB_BYTES = 4_000_000


def _craft(path: Path, damage: str) -> None:
    """Alter a file as somebody who means harm."""
    header = b"\x93NUMPY\x01\x00\x60\x00" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (%s,), }"
    content = {
        "bomb": lambda: bytes(_BOMB_BYTES),
        "claims": lambda: (header % b"99999999999999").ljust(106),
        "locked": lambda: b"0",
        "no array": lambda: b"no array",
        "no version": lambda: (header % b"1").ljust(106) + b"\xff" * 8,
    }[damage]()
    name = "version.npy" if damage == "no version" else "pupil_mm.npy"
    with zipfile.ZipFile(path) as archive:
        rest = {entry.filename: archive.read(entry) for entry in archive.infolist() if entry.filename != name}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for kept, data in rest.items():
            archive.writestr(kept, data)
        archive.writestr(name, content)
    if damage == "locked":
        raw = bytearray(path.read_bytes())
        for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            raw[raw.rindex(mark) + offset] |= 1  # the bit that says "encrypted"
        path.write_bytes(bytes(raw))


@pytest.mark.parametrize("damage", [
    "missing", "empty", "cut", "flipped", "foreign", "pickle", "short", "bomb", "claims", "locked",
    "no array", "no version",
])  # fmt: skip
def test_a_file_that_is_not_evidence_is_said_to_be_so(
    tmp_path: Path, evidence: EyeEvidence, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("annotation.evidence.storage._MAX_BYTES", _BOMB_BYTES)
    path = tmp_path / "eyes.npz"
    save_evidence(path, evidence)
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "flipped":
        middle = len(whole) // 2
        path.write_bytes(
            whole[:middle] + bytes(255 - byte for byte in whole[middle : middle + 64]) + whole[middle + 64 :]
        )
    elif damage == "foreign":
        np.savez(path, something=np.arange(3))
    elif damage == "pickle":
        np.savez(path, gaze_t_us=np.array([{"a": 1}], dtype=object))
    elif damage == "short":
        with np.load(path) as stored:
            arrays = dict(stored)
        arrays["pupil_mm"] = arrays["pupil_mm"][:-1]
        np.savez(path, **arrays)
    else:
        _craft(path, damage)
    with pytest.raises(MediaError, match=r"eyes\.npz: .*(Copy|copy)"):
        load_evidence(path)


def test_flips_of_another_stimulus_are_refused(tmp_path: Path) -> None:
    save_flips(tmp_path / "flips.npz", StimulusTrack(Sixty(), np.array([0, 1]), np.array([0, 60])))
    with pytest.raises(MediaError, match="frame 60 of a stimulus of 60 frames"):
        load_flips(tmp_path / "flips.npz", Sixty())


def test_a_newer_file_says_that_the_toolkit_is_old(tmp_path: Path, evidence: EyeEvidence) -> None:
    save_evidence(tmp_path / "eyes.npz", evidence)
    with np.load(tmp_path / "eyes.npz") as stored:
        arrays = dict(stored)
    arrays["version"] = np.array([99])
    np.savez(tmp_path / "eyes.npz", **arrays)
    with pytest.raises(MediaError, match="Update the toolkit"):
        load_evidence(tmp_path / "eyes.npz")
