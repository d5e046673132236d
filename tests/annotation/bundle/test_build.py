from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import pytest

from annotation.bundle import BundleError, build_bundle, check_bundle, study_identity
from annotation.bundle.keys import read_key
from annotation.items import Item
from annotation.source import Guess
from annotation.sources.study import StudySource
from data_schema.clips.index import build_clip_index
from data_schema.errors import StudyError
from data_schema.study import StudyFolder

PROJECT = Path(__file__).resolve().parents[3]

#: Kills itself while the bundle is half made.
_KILLED = """
import os, signal, sys
from pathlib import Path
from typing import Any
from annotation.bundle import build_bundle
from annotation.sources.study import StudySource
from data_schema.study import StudyFolder

def progress(done, total, text):
    if done == 5:
        os.kill(os.getpid(), signal.SIGKILL)

study = StudyFolder(sys.argv[1])
build_bundle(study, StudySource(study, "er", "a01"), Path(sys.argv[2]), progress=progress)
"""


def _content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_killed_build_leaves_no_bundle_and_goes_on_where_it_stopped(
    own_study: StudyFolder, shared_bundles: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(own_study.root), str(out)], timeout=100, cwd=PROJECT, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert not out.exists()
    (unfinished,) = tmp_path.glob(".killed.*.unfinished")
    # The medium may be handed out with what is left on it, so that no clip may be named there.
    left = b"".join(path.read_bytes() for path in unfinished.rglob("*") if path.is_file())
    assert not any(item.clip_id.encode() in left for item in StudySource(own_study, "er", "a01").items())
    # As if the crash had cut the last file short, too.
    last = max(unfinished.glob("eyes/*.npz"), key=lambda path: path.stat().st_mtime_ns)
    last.write_bytes(last.read_bytes()[:100])
    made = build_bundle(own_study, StudySource(own_study, "er", "a01"), out)
    assert made.n_resumed == 4
    assert check_bundle(out).problems == []
    assert not unfinished.exists() and [*own_study.annotation_dir.rglob("*.unfinished")] == []
    assert _content(out) == _content(shared_bundles["er"]), "the same queue gives the same bundle, broken off or not"


def test_a_folder_that_is_taken_is_left_alone(own_study: StudyFolder, tmp_path: Path) -> None:
    out = tmp_path / "taken"
    out.mkdir()
    (out / "labels.txt").write_text("precious", encoding="utf-8")
    with pytest.raises(BundleError, match="is there already"):
        build_bundle(own_study, StudySource(own_study, "fer", "a01"), out)
    assert _content(tmp_path / "taken") == {"labels.txt": b"precious"}


def test_an_empty_folder_is_filled(own_study: StudyFolder, tmp_path: Path) -> None:
    out = tmp_path / "empty"
    out.mkdir()
    made = build_bundle(own_study, StudySource(own_study, "fer", "a01"), out)
    assert check_bundle(out).problems == [] and made.needs_code


def _refuse(study: StudyFolder, participant: str, scope: str) -> None:
    """Let a participant have refused a scope of consent, as the file says it."""
    with h5py.File(study.session_path(participant, "01"), "r+") as file:
        table = file["/participant/consent"]
        rows = table[:]
        rows["granted"][rows["scope"] == scope.encode()] = 0
        table[:] = rows
    shutil.rmtree(study.annotation_dir / "bundles", ignore_errors=True)
    build_clip_index(study)


@pytest.mark.parametrize(("scope", "task", "shared", "stays_out"), [
    ("video", "fer", False, True), ("gaze", "fer", False, False), ("gaze", "er", False, True),
    ("sharing", "fer", False, False), ("sharing", "fer", True, True),
])  # fmt: skip
def test_clips_stay_out_where_the_participant_did_not_agree(
    own_study: StudyFolder, tmp_path: Path, scope: str, task: str, shared: bool, stays_out: bool
) -> None:
    _refuse(own_study, "P002", scope)
    out = tmp_path / "out"
    source = StudySource(own_study, task, "a01")
    made = build_bundle(own_study, source, out, only_shared=shared)
    refused = {item.clip_id for item in source.items() if "P002" in item.clip_id} if stays_out else set()
    assert set(made.left_out) == refused
    assert all(f"did not agree to: {scope}" in reason for reason in made.left_out.values())
    home = {item.clip_id for item in read_key(made.key).items}
    assert home == {item.clip_id for item in source.items()} - refused
    assert (
        len([*(out / "face").iterdir()])
        == made.n_items
        == check_bundle(out).n_files - (0 if task == "fer" else 2 * made.n_items + len([*(out / "stimuli").iterdir()]))
    )


def test_a_session_that_changed_stays_out_and_the_others_go(own_study: StudyFolder, tmp_path: Path) -> None:
    source = StudySource(own_study, "fer", "a01")
    with h5py.File(own_study.session_path("P001", "01"), "r+") as file:
        file.attrs["touched"] = 1
    made = build_bundle(own_study, source, tmp_path / "out")
    assert {clip.split("_")[0] for clip in made.left_out} == {"sub-P001"}
    assert all("changed since" in reason and "emer clips" in reason for reason in made.left_out.values())
    assert check_bundle(tmp_path / "out").problems == []


def test_nothing_is_made_if_no_clip_may_go(own_study: StudyFolder, tmp_path: Path) -> None:
    for participant in ("P001", "P002"):
        _refuse(own_study, participant, "video")
    with pytest.raises(BundleError, match="did not agree"):
        build_bundle(own_study, StudySource(own_study, "fer", "a01"), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["own_study"] and not (
        own_study.annotation_dir / "bundles"
    ).exists()


class _Guessing(StudySource):
    """A study in which a model guessed every clip, and every second guess is of the control share."""

    def guess(self, item: Item) -> Guess | None:
        return Guess("e" * 64, "disgust", 0.875, {"valence": -0.25}, item.position % 2 == 0)


def test_guesses_go_along_only_if_asked_for_and_never_those_of_the_control_share(
    own_study: StudyFolder, tmp_path: Path
) -> None:
    source = _Guessing(own_study, "fer", "a01")
    build_bundle(own_study, source, tmp_path / "without")
    assert b"0.875" not in (tmp_path / "without" / "manifest.json").read_bytes()
    made = build_bundle(own_study, source, tmp_path / "with", with_guesses=True)
    said = json.loads((tmp_path / "with" / "manifest.json").read_text(encoding="utf-8"))
    assert ["guess" in item for item in said["items"]] == [item.position % 2 == 0 for item in source.items()]
    assert [item.guess is None for item in sorted(read_key(made.key).items, key=lambda i: i.item_id)] == [
        item.position % 2 == 0 for item in sorted(source.items(), key=lambda i: i.item_id)
    ]


def test_a_later_bundle_calls_a_clip_by_the_same_name(
    own_study: StudyFolder, shared_bundles: dict[str, Path], tmp_path: Path
) -> None:
    """So that a label file that was begun with the first bundle goes on with the second."""
    config = own_study.config_path
    config.write_text(config.read_text(encoding="utf-8").replace('"bounded"', '"off"'), encoding="utf-8")
    again = StudyFolder(own_study.root)
    made = build_bundle(again, StudySource(again, "fer", "a01"), tmp_path / "later")
    names = {path.name for path in (shared_bundles["fer"] / "face").iterdir()}
    assert {path.name for path in (tmp_path / "later" / "face").iterdir()} == names
    assert len([*(own_study.annotation_dir / "bundles").glob("*.json")]) == 3 and made.key.is_file()


@pytest.mark.parametrize("text", ["", "{}", '{"study_id": "x", "secret": "y"}', "[1]"])
def test_a_damaged_identity_is_not_replaced(own_study: StudyFolder, tmp_path: Path, text: str) -> None:
    path = own_study.annotation_dir / "identity.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StudyError, match="Bring it back from the backup"):
        StudySource(own_study, "fer", "a01")
    assert path.read_text(encoding="utf-8") == text


def test_all_who_need_the_identity_for_the_first_time_get_the_same(own_study: StudyFolder) -> None:
    (own_study.annotation_dir / "identity.json").unlink()
    with ThreadPoolExecutor(8) as pool:
        found = {repr(vars(one)) for one in pool.map(lambda _: study_identity(own_study), range(16))}
    assert len(found) == 1
    assert [path.name for path in own_study.annotation_dir.glob("*.partial")] == []


def test_a_check_names_what_is_missing_changed_and_foreign(bundle_copy: Callable[[str], Path]) -> None:
    bundle = bundle_copy("er")
    faces = sorted((bundle / "face").iterdir())
    faces[0].unlink()
    content = bytearray(faces[1].read_bytes())
    content[len(content) // 2] ^= 1
    faces[1].write_bytes(content)
    (bundle / "notes.txt").write_text("x", encoding="utf-8")
    (bundle / "labels").mkdir()
    (bundle / "labels" / "a01_er.sqlite").write_bytes(b"")
    problems = check_bundle(bundle).problems
    assert len(problems) == 3
    assert f"face/{faces[0].name}: is missing" in "\n".join(problems)
    assert f"face/{faces[1].name}: has {len(content)} bytes or other content" in "\n".join(problems)
    assert "notes.txt: does not belong" in "\n".join(problems)


def test_a_check_finds_a_stimulus_that_was_put_into_a_fer_bundle(
    bundle_copy: Callable[[str], Path], shared_bundles: dict[str, Path]
) -> None:
    bundle = bundle_copy("fer")
    shutil.copytree(shared_bundles["er"] / "stimuli", bundle / "stimuli")
    assert any("FER pass holds stimuli" in problem for problem in check_bundle(bundle).problems)


@pytest.mark.parametrize(("change", "said"), [
    (lambda text: text[:-40], "damaged"),
    (lambda text: text.replace('"block": "admission"', '"block": "training"', 1), "was changed after it was written"),
    (lambda text: text.replace('"version": 1', '"version": 9', 1), "Update the toolkit"),
    (lambda text: "[]", "not the manifest of a bundle"),
])  # fmt: skip
def test_a_damaged_manifest_is_named(
    bundle_copy: Callable[[str], Path], change: Callable[[str], str], said: str
) -> None:
    path = bundle_copy("fer") / "manifest.json"
    text = path.read_text(encoding="utf-8")
    assert change(text) != text
    path.write_text(change(text), encoding="utf-8")
    with pytest.raises(BundleError, match=said):
        check_bundle(path.parent)


@pytest.mark.parametrize("change", [
    lambda data: data["items"][0].update(name="../../secret"),
    lambda data: data["items"][0].update(name="/etc/passwd"),
    lambda data: data["items"][0].update(stimulus="..\\\\secret"),
    lambda data: data["stimuli"].update({"../x.mp4": {"size": 1, "sha256": "0"}}),
    lambda data: data["items"][0].update(time_base="1e99999999"),
])  # fmt: skip
@pytest.mark.timeout(60)
def test_a_crafted_manifest_reaches_no_file_outside(
    bundle_copy: Callable[[str], Path], change: Callable[[dict[str, Any]], None]
) -> None:
    """Its hash is no signature: whoever alters a manifest can make it fit."""
    path = bundle_copy("fer") / "manifest.json"
    data = json.loads(path.read_bytes())
    del data["self_sha256"]
    change(data)
    own = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps({**data, "self_sha256": own}), encoding="utf-8")
    with pytest.raises(BundleError, match="incomplete"):
        check_bundle(path.parent)


def test_a_full_disk_keeps_what_is_done(own_study: StudyFolder, tmp_path: Path) -> None:
    """A limit on the size of files stands in for the full disk: the system refuses to write on."""
    code = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from annotation.bundle import BundleError, build_bundle\n"
        "from annotation.sources.study import StudySource\n"
        "from data_schema.study import StudyFolder\n"
        "study = StudyFolder(sys.argv[1])\n"
        "source = StudySource(study, 'fer', 'a01')\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))\n"
        "try:\n"
        "    build_bundle(study, source, Path(sys.argv[2]))\n"
        "except BundleError as error:\n"
        "    print(error)\n"
    )
    out = tmp_path / "full"
    done = subprocess.run(
        [sys.executable, "-c", code, str(own_study.root), str(out)],
        timeout=100, cwd=PROJECT, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONWARNINGS": ""},
    )  # fmt: skip
    assert not out.exists() and "File too large" in done.stdout, done.stdout + done.stderr
    made = build_bundle(own_study, StudySource(own_study, "fer", "a01"), out)
    assert made.left_out == {} and check_bundle(out).problems == []
