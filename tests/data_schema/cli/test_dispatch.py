"""One command, fast help, and sentences instead of tracebacks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from data_schema.cli import main
from data_schema.cli.dispatch import EXTRA_OF_MODULE
from data_schema.session.synthetic import make_synthetic_session
from data_schema.study import StudyFolder, init_study


def test_help_lists_the_verbs_in_the_order_of_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    verbs = ["init", "record", "check", "clips", "annotate", "export", "train", "report"]
    places = [text.index(f"\n  {verb} ") for verb in verbs]
    assert places == sorted(places)


def test_an_unknown_verb_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["repiar", "x.h5"]) == 2
    assert "Did you mean 'repair'?" in capsys.readouterr().err


def test_a_missing_argument_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init"]) == 2


def test_check_takes_the_study_that_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["check"]) == 1
    assert "no study.toml" in capsys.readouterr().err
    study = init_study(tmp_path / "s", clips_per_emotion=1, clip_s=0.1, emotions=["fear"])
    make_synthetic_session(study.session_path("P001", "01"), n_trials=1, trial_s=0.3)
    monkeypatch.chdir(study.stimuli_dir)
    assert main(["check"]) == 0
    assert "sub-P001_ses-01.h5: good" in capsys.readouterr().out


def test_an_interrupted_verb_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("data_schema.study.init_study", interrupt)
    assert main(["init", str(tmp_path / "s")]) == 130
    said = capsys.readouterr().err
    assert "interrupted" in said and "run again" in said


def test_a_missing_extra_is_named_with_its_install_line() -> None:
    code = (
        "import sys\n"
        "class Gone:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('torch', 'lightning'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Gone())\n"
        "from data_schema.cli import main\n"
        "sys.exit(main(['train', sys.argv[1], '--out', sys.argv[1] + '/run']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, "."], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert 'pip install "emer-toolkit[train]"' in done.stderr
    assert "Traceback" not in done.stderr
    assert set(EXTRA_OF_MODULE.values()) == {
        "annotate", "cluster", "croissant", "lab", "lsl", "mediapipe", "onnx", "pages", "train",
    }  # fmt: skip


def test_check_and_describe_print_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make_synthetic_session(tmp_path / "sub-P001_ses-01.h5", n_trials=1, trial_s=0.3)
    assert main(["check", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"file": str(path), "findings": []}]
    assert main(["describe", str(path), "--json"]) == 0
    (described,) = json.loads(capsys.readouterr().out)
    assert described["participant"] == "P001"
    assert described["simulated"] is True
    assert main(["describe", str(path)]) == 0
    assert "SIMULATED" in capsys.readouterr().out


def test_init_then_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "mystudy"
    assert main(["init", str(root), "--clips-per-emotion", "1", "--clip-seconds", "1", "--title", "A b"]) == 0
    assert capsys.readouterr().out.strip() == str(root)
    assert main(["init", str(root)]) == 1
    assert "nothing was changed" in capsys.readouterr().err
    assert main(["status", str(root), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "A b"
    # A small picture: whether a machine that also runs other tests keeps up with 720p is none of this test's business.
    path = root / "study.toml"
    text = path.read_text(encoding="utf-8")
    assert "width_px = 1280 " in text and "height_px = 720 " in text
    small = text.replace("width_px = 1280 ", "width_px = 160 ").replace("height_px = 720 ", "height_px = 120 ")
    path.write_text(small, encoding="utf-8")
    assert main(["doctor", str(root)]) == 0
    # Orders are computed from the seed and the code: a seed that everybody knows would tell codes by published orders.
    assert StudyFolder(root).config.study.seed > 1_000_000
    assert main(["status", str(tmp_path / "nowhere")]) == 1
    assert "emer init" in capsys.readouterr().err
