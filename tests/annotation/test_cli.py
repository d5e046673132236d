from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from annotation.status import clip_hashes
from data_schema.cli import main
from data_schema.labels import ENTRY_COLUMNS, Label, LabelStore
from data_schema.study import StudyFolder


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    """Call `emer annotate`; return the exit code, stdout and stderr."""
    code = main(["annotate", *argv])
    out, err = capsys.readouterr()
    return code, out, err


def test_from_simulation_to_consensus(study: StudyFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = str(study.root)
    code, out, err = run(capsys, "simulate", root, "--annotators", "3")
    assert code == 0
    assert "sim-03 fer" in out
    assert "simulated" in err

    code, out, _ = run(capsys, "status", root)
    assert code == 0
    rows = [line.split() for line in out.splitlines()[1:]]
    assert [row[:3] for row in rows] == [[f"sim-0{i}", "simulated", task] for i in (1, 2, 3) for task in ("er", "fer")]
    for row in rows:
        assert row[3] == "-", "without a queue there is no block"
        labelled, skipped, left, of = map(int, row[4:8])
        assert labelled + skipped + left == of == 42
        assert labelled > 35

    target = tmp_path / "er.csv"
    code, out, err = run(capsys, "consensus", root, "--task", "er", "--out", str(target))
    assert (code, "42 clips" in err) == (0, True)
    table = pd.read_csv(target)
    assert len(table) == 42
    assert run(capsys, "consensus", root, "--out", str(target))[0] == 1
    assert run(capsys, "consensus", root, "--out", str(target), "--force")[0] == 0
    parquet = tmp_path / "er.parquet"
    assert run(capsys, "consensus", root, "--out", str(parquet))[0] == 0
    assert pd.read_parquet(parquet)["clip_id"].tolist() == table["clip_id"].tolist()
    code, out, _ = run(capsys, "consensus", root, "--task", "er")
    assert out == target.read_text(encoding="utf-8")


def test_export_goes_into_another_study_again(
    study: StudyFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(study.root)
    run(capsys, "simulate", root, "--annotators", "2")
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    argv = ("--task", "er", "--annotator", "sim-01")
    assert run(capsys, "export", root, str(first), *argv)[0] == 0
    for path in study.label_files():
        path.unlink()
    code, out, _ = run(capsys, "import", root, str(first), "--annotator", "sim-01", "--kind", "simulated")
    assert (code, "labels added, 0 there already" in out) == (0, True)
    assert run(capsys, "export", root, str(second))[0] == 0
    assert first.read_bytes() == second.read_bytes()
    code, _, err = run(capsys, "export", root, str(second))
    assert (code, "exists already" in err) == (1, True)
    assert run(capsys, "export", root, str(second), "--annotator", "a77")[0] == 2


def test_a_bad_import_leaves_nothing_behind(
    study: StudyFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "in.csv"
    cells = {"clip_id": "sub-P001_ses-01_trial-001", "task": "fer", "emotion": "fear", "intensity": "7"}
    file.write_text(",".join(ENTRY_COLUMNS) + "\n" + ",".join(cells.get(n, "") for n in ENTRY_COLUMNS) + "\n")
    code, _, err = run(capsys, "import", str(study.root), str(file), "--annotator", "a01")
    assert code == 1
    assert "line 2: intensity is 7.0" in err
    assert "Traceback" not in err
    assert study.label_files() == []
    file.write_text(file.read_text().replace(",7,", ",2,"))
    assert run(capsys, "import", str(study.root), str(file), "--annotator", "a01")[0] == 0
    code, out, err = run(capsys, "status", str(study.root))
    assert "a01" in out
    assert code == 0
    assert run(capsys, "import", str(study.root), str(file), "--annotator", "../a01")[0] == 1
    assert run(capsys, "import", str(study.root), str(file), "--annotator", "a02", "--kind", "robot")[0] in (1, 2)


def test_while_a_window_is_open_others_read_and_merge_and_nobody_imports(
    study: StudyFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, hashes = str(study.root), clip_hashes(study)
    first, second = sorted(hashes)[:2]
    study.labels_dir.mkdir()
    for name in ("a01", "a02"):
        with LabelStore.open(study.labels_dir / f"{name}.sqlite", name) as store:
            store.add(Label(first, hashes[first], "fer", emotion="fear"))
    sent = tmp_path / "sent.sqlite"
    shutil.copy(study.labels_dir / "a01.sqlite", sent)
    with LabelStore.open(sent, "a01") as away:
        away.add(Label(second, hashes[second], "fer", emotion="anger"))
        away.take_seat()  # the bundle's own window is open too
        with LabelStore.open(study.labels_dir / "a01.sqlite", "a01") as window:
            window.take_seat()
            for verb in ("status", "agreement", "consensus"):
                assert run(capsys, verb, root)[0] == 0, verb
            code, out, err = run(capsys, "merge", root, str(sent))
            assert code == 0 and "1 labels; 1 rows there already" in out
            assert "a01's labels are open in a window; it shows what came home when it is opened again" in err
            assert len(window.current()) == 2
            assert run(capsys, "export", root, str(tmp_path / "out.csv"), "--annotator", "a01")[0] == 0
            code, _, err = run(capsys, "import", root, str(tmp_path / "out.csv"), "--annotator", "a01")
            assert code == 1 and "'a01' are open in another window" in err and "Traceback" not in err
    assert run(capsys, "import", root, str(tmp_path / "out.csv"), "--annotator", "a01")[0] == 0
    code, _, err = run(capsys, "merge", root, str(sent))
    assert code == 0 and "window" not in err


def test_a_changed_recording_is_told_in_status(study: StudyFolder, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "simulate", str(study.root), "--annotators", "1")
    clips = pd.read_parquet(study.clip_index_path)
    changed = clips["participant"] == "P001"
    clips.loc[changed, "session_sha256"] = "0" * 64
    clips = clips[clips["participant"] != "P003"]
    clips.to_parquet(study.clip_index_path)
    code, _, err = run(capsys, "status", str(study.root))
    assert code == 0
    assert "clips that the study does not have (any more): sim-01 " in err
    assert "before their recording changed: sim-01 " in err


def test_the_study_is_found_from_inside_it(
    study: StudyFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (study.root, study.session_path("P001", "01").parent):
        monkeypatch.chdir(folder)
        assert run(capsys, "simulate", "--annotators", "2")[0] == 0
        assert "sim-02" in run(capsys, "status")[1]
        assert "clip_id" in run(capsys, "consensus")[1]
    assert [path.name for path in study.label_files()] == ["sim-01.sqlite", "sim-02.sqlite"]
    monkeypatch.chdir(study.root.parent)
    code, _, err = run(capsys, "status")
    assert (code, "study.toml" in err) == (1, True)


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["status"], 1, "emer annotate simulate"),
        (["consensus", "--task", "felt"], 2, "expected one of er, fer"),
        (["consensus", "--out", "table.xlsx"], 2, r".csv or .parquet"),
        (["simulate", "--annotators", "0"], 2, "annotators"),
        (["simulate", "--seed", "-1"], 2, "seed"),
    ],
)
def test_mistakes_get_one_message(
    study: StudyFolder, capsys: pytest.CaptureFixture[str], argv: list[str], code: int, message: str
) -> None:
    got, _, err = run(capsys, argv[0], str(study.root), *argv[1:])
    assert got == code
    assert message in err


def test_a_study_without_clip_table_is_told_what_to_do(
    empty_study: StudyFolder, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, err = run(capsys, "simulate", str(empty_study.root))
    assert code == 1
    assert "emer clips" in err
    assert run(capsys, "simulate", str(tmp_path / "nowhere"))[0] == 1


def test_the_verbs_import_nothing_heavy() -> None:
    script = (
        "import sys, annotation.cli; print([m for m in ('pandas', 'sqlalchemy', 'numpy', 'h5py') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
