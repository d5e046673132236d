"""``emer import`` from the command line: what it prints, and what stays out of the study."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from data_schema.cli import main

from ..importers.tables import make_study, prolab_header, prolab_rows, sdk_samples, write_text


@pytest.fixture
def export(tmp_path: Path) -> Path:
    rows = prolab_rows(n=240, shown=[("clip A", 30, 90), ("Joy 1", 120, 200)])
    return write_text(tmp_path / "export.tsv", prolab_header(), rows, "utf-16")


def test_an_export_becomes_a_session_that_the_other_verbs_take(
    tmp_path: Path, export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = make_study(tmp_path / "s").root
    names = ["--participant", "P001", "--session", "01", "--stimulus", "clip A=fear-1", "--consent", "gaze,sharing"]
    assert main(["import", "prolab", str(export), "--study", str(study), *names]) == 0
    printed = capsys.readouterr()
    assert "sub-P001_ses-01.h5: 240 samples at 60 Hz, 4.0 s, 2 trials" in printed.out
    assert "Anna" not in printed.out + printed.err
    assert main(["check", str(study)]) == 0
    assert main(["describe", str(study)]) == 0
    assert "eye_tracker: imported" in capsys.readouterr().out
    assert main(["clips", str(study)]) == 0
    assert "2 clips of 1 participant" in capsys.readouterr().out


def test_a_dry_run_says_what_is_in_a_file_and_writes_nothing(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(export.parent.rglob("*"))
    assert main(["import", "prolab", str(export), "--dry-run"]) == 0
    printed = capsys.readouterr().out
    for line in (
        "Anna Svensson / Recording 7: 240 samples, 60.0 Hz",
        "shown 1 time: clip A",
        "absent columns: media_x",
    ):
        assert line in printed
    assert sorted(export.parent.rglob("*")) == before


def test_what_stands_against_an_import_is_one_message(
    tmp_path: Path, export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = str(make_study(tmp_path / "s").root)
    assert main(["import", "prolab", str(export), "--study", study, "--participant", "P001", "--session", "01"]) == 1
    assert "--skip-unmapped" in capsys.readouterr().err
    assert main(["import", "prolab", str(export), "--study", study, "--participant", "P 1", "--session", "01"]) == 2
    assert main(["import", "prolab", str(export), "--study", study, "--stimulus", "clip A"]) == 2
    assert "expected NAME=ID" in capsys.readouterr().err
    assert main(["import", "studio", str(export), "--study", study, "--participant", "P001", "--session", "01"]) == 1
    assert "emer import prolab" in capsys.readouterr().err


def test_csv_takes_its_further_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = make_study(tmp_path / "s").root
    samples = sdk_samples()
    pd.DataFrame(samples).to_csv(tmp_path / "gaze.csv", index=False)
    (tmp_path / "log.csv").write_text(
        f"system_time_stamp,msg\n{samples[5]['system_time_stamp']},onset_joy-1\n{samples[80]['system_time_stamp']},offset_joy-1\n",
        encoding="utf-8",
    )
    given = ["--participant", "P001", "--session", "01", "--messages", str(tmp_path / "log.csv")]
    assert main(["import", "csv", str(tmp_path / "gaze.csv"), "--study", str(study), *given]) == 0
    assert "90 samples at 60 Hz, 1.5 s, 1 trial" in capsys.readouterr().out
