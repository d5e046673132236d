"""What lies in a bundle, seen with plain tools: a directory listing, ffprobe, zipfile, json, and a search in all bytes."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from annotation.bundle.keys import read_key
from annotation.items import Block
from annotation.sources.study import StudySource
from data_schema.clips.index import load_clip_index
from data_schema.study import StudyFolder


def _key(study: StudyFolder, bundle: Path) -> list[dict[str, object]]:
    bundle_id = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))["bundle_id"]
    return [vars(item) for item in read_key(study.annotation_dir / "bundles" / f"{bundle_id}.json").items]


def _probe(path: Path) -> dict[str, object]:
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json", str(path)],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return dict(json.loads(done.stdout))


def _all_bytes(bundle: Path) -> bytes:
    """All names and contents, archives unpacked as well."""
    found = b""
    for path in sorted(bundle.rglob("*")):
        found += path.relative_to(bundle).as_posix().encode() + b"\n"
        if path.is_file():
            found += path.read_bytes()
        if path.suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                found += b"".join(name.encode() + archive.read(name) for name in archive.namelist())
    return found


def test_a_fer_bundle_holds_faces_a_manifest_and_a_note_and_nothing_else(
    shared_bundles: dict[str, Path], home_source: Callable[[str], StudySource]
) -> None:
    bundle = shared_bundles["fer"]
    files = [path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()]
    faces = [name for name in files if name.startswith("face/")]
    assert sorted(set(files) - set(faces)) == ["README.txt", "manifest.json"]
    guide = (bundle / "README.txt").read_text(encoding="utf-8")
    assert guide.count('pip install "TOOLKIT[annotate]"') == 2, "in both languages: who gets it may have nothing yet"
    assert len(faces) == len(home_source("fer").items())
    assert [path.name for path in bundle.iterdir() if path.is_dir()] == ["face"]
    for name in faces:
        said = _probe(bundle / name)
        (stream,) = said["streams"]  # type: ignore[misc]
        assert stream["codec_type"] == "video" and float(stream["start_time"]) == 0.0
        assert set(stream["tags"]) <= {"language", "handler_name", "vendor_id"}
        assert set(said["format"]["tags"]) == {"major_brand", "minor_version", "compatible_brands"}  # type: ignore[index]


@pytest.mark.parametrize("task", ["fer", "er"])
def test_no_secret_word_is_anywhere_in_a_bundle(
    task: str, shared_bundles: dict[str, Path], shared_study: StudyFolder
) -> None:
    everything = _all_bytes(shared_bundles[task])
    clips = load_clip_index(shared_study)
    identity = json.loads((shared_study.annotation_dir / "identity.json").read_text(encoding="utf-8"))
    words = {
        *clips["clip_id"], *clips["participant"], *clips["session_file"], *clips["session_sha256"],
        *(f"secret-{emotion}" for emotion in clips["target_emotion"]), "secret title",
        "P001", "P002", "sub-P", "trial", "ses-01", "colleague", "stimulus_id", "target", "self_report", "self-report",
        "repetition", "repeat", "gold_file", "control", "x264", "Lavf", "creation", "soun", "mp4a",
        identity["secret"], shared_study.root.name + "/", "2026-", "START_US",
    }  # fmt: skip
    assert {word for word in words if str(word).encode() in everything} == set()


@pytest.mark.parametrize("task", ["fer", "er"])
def test_only_training_answers_name_emotions_besides_the_vocabulary(task: str, shared_bundles: dict[str, Path]) -> None:
    said = json.loads((shared_bundles[task] / "manifest.json").read_text(encoding="utf-8"))
    vocabulary = said["labels"].pop("emotions")
    assert said.pop("labels") == {"polarities": ["positive", "negative", "neutral"]}
    assert set(said["rules"]) == {"required", "trace", "trace_of", "break_every_min"}
    with_answer = [item for item in said["items"] if item.pop("answer", None) is not None]
    assert [item["block"] for item in with_answer] == ["training"]
    left = json.dumps(said)
    assert [word for word in vocabulary if word in left] == []
    assert {key for item in said["items"] for key in item} <= {
        "name", "block", "face", "n_frames", "n_lead", "time_base", "onset_us", "times_us", "stimulus", "flips", "eyes",
    }  # fmt: skip
    assert said["admission"].keys() == {"salt", "rounds", "code_hash"}


@pytest.mark.parametrize("task", ["fer", "er"])
def test_a_repeat_looks_like_any_other_clip(
    task: str, shared_bundles: dict[str, Path], shared_study: StudyFolder
) -> None:
    """Name, hash, size, number of frames and packets, and every array of a repeat differ from its clip's."""
    bundle, key = shared_bundles[task], _key(shared_study, shared_bundles[task])
    pairs = [(one, other) for one, other in itertools.combinations(key, 2) if one["clip_id"] == other["clip_id"]]
    assert len(pairs) >= 2
    for one, other in pairs:
        faces = [bundle / "face" / f"{item['name']}.mp4" for item in (one, other)]
        contents = [path.read_bytes() for path in faces]
        assert contents[0] != contents[1] and len(contents[0]) != len(contents[1])
        assert one["n_frames"] != other["n_frames"]
        packets = [_packet_sizes(path) for path in faces]
        assert len(set(packets[0]) & set(packets[1])) < len(packets[0]) / 2
        for folder in ("eyes", "flips") if task == "er" else ():
            paths = [bundle / folder / f"{item['name']}.npz" for item in (one, other)]
            assert paths[0].stat().st_size != paths[1].stat().st_size
            assert _telling_members(paths[0]) & _telling_members(paths[1]) == set()


def _packet_sizes(path: Path) -> list[int]:
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "packet=size", "-of", "csv=p=0", str(path)],
        check=True, capture_output=True, timeout=60, text=True,
    )  # fmt: skip
    return [int(line.strip(",")) for line in done.stdout.split()]


def _telling_members(path: Path) -> set[tuple[int, int]]:
    """Checksum and size of the arrays that differ from clip to clip."""
    same_everywhere = {"version.npy", "stimulus_box_norm.npy", "parameters_json.npy"}
    with zipfile.ZipFile(path) as archive, np.load(path) as arrays:
        return {
            (info.CRC, info.file_size)
            for info in archive.infolist()
            if info.filename not in same_everywhere and arrays[info.filename.removesuffix(".npy")].size
        }


@pytest.mark.parametrize("task", ["fer", "er"])
def test_neither_times_nor_the_order_of_files_tell_the_order_of_clips(
    task: str, shared_bundles: dict[str, Path], tmp_path: Path
) -> None:
    bundle = shared_bundles[task]
    assert {path.stat().st_mtime for path in [bundle, *bundle.rglob("*")]} == {946_684_800.0}
    said = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    names = [item["name"] for item in said["items"]]
    assert sorted(names) != names
    shutil.make_archive(str(tmp_path / "sent"), "zip", bundle)
    for path in bundle.rglob("*.npz"):
        with zipfile.ZipFile(path) as archive:
            assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_an_er_bundle_has_the_stimulus_muted_and_the_eyes_and_no_more(shared_bundles: dict[str, Path]) -> None:
    bundle = shared_bundles["er"]
    assert sorted(path.name for path in bundle.iterdir() if path.is_dir()) == ["eyes", "face", "flips", "stimuli"]
    stimuli = sorted((bundle / "stimuli").iterdir())
    assert len(stimuli) == 4
    for path in stimuli:
        assert [stream["codec_type"] for stream in _probe(path)["streams"]] == ["video"]  # type: ignore[index, attr-defined]
    for path in (bundle / "eyes").iterdir():
        with np.load(path) as arrays:
            assert set(arrays.files) == {
                "version", "salt", "parameters_json", "gaze_t_us", "gaze_norm", "velocity_deg_s", "pupil_mm",
                "fixations", "blinks_us", "fixation_map", "stimulus_box_norm",
            }  # fmt: skip
            assert arrays["gaze_t_us"].min() >= -1_000_000  # from the clip's onset, not of the session
    for path in (bundle / "flips").iterdir():
        with np.load(path) as arrays:
            assert set(arrays.files) == {"version", "salt", "flip_t_us", "flip_frame"}


def test_the_two_passes_of_an_annotator_share_no_name(shared_bundles: dict[str, Path]) -> None:
    names = [
        {item["name"] for item in json.loads((path / "manifest.json").read_text(encoding="utf-8"))["items"]}
        for path in shared_bundles.values()
    ]
    assert names[0] & names[1] == set()
    assert all(len(found) > 8 for found in names)


def test_answers_are_there_for_the_training_block_alone(
    shared_bundles: dict[str, Path], home_source: Callable[[str], StudySource]
) -> None:
    said = json.loads((shared_bundles["fer"] / "manifest.json").read_text(encoding="utf-8"))
    (answer,) = [item["answer"] for item in said["items"] if "answer" in item]
    source = home_source("fer")
    (gold,) = [source.gold(item) for item in source.items() if item.block is Block.TRAINING]
    assert gold is not None and answer == vars(gold)
    everything = _all_bytes(shared_bundles["fer"])
    assert everything.count(b"why gold") == 1
