"""mlcroissant reads the description without error or warning, and the records through it are those of the tables."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import replace

import pandas as pd
import pytest
from typer.testing import CliRunner

from data_schema.cli.exports import app
from data_schema.errors import ExportError, UsageError
from data_schema.publishing.croissant import CONFORMS_TO, _sensitive, add_croissant, check_croissant
from data_schema.publishing.folder import verify_publication
from data_schema.publishing.tables.parquet import export_parquet

mlcroissant = pytest.importorskip("mlcroissant", reason="needs mlcroissant")
RUN = CliRunner()


def test_mlcroissant_finds_no_error_and_no_warning(exported) -> None:
    assert check_croissant(exported.path / "croissant.json") == []


def test_what_the_study_has_not_said_is_the_only_warning(exported, tmp_path) -> None:
    content = json.loads((exported.path / "croissant.json").read_text(encoding="utf-8"))
    del content["datePublished"]
    path = tmp_path / "croissant.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    (warning,) = check_croissant(path)
    assert "datePublished" in warning


def test_an_error_of_mlcroissant_is_one_of_ours(exported, tmp_path) -> None:
    content = json.loads((exported.path / "croissant.json").read_text(encoding="utf-8"))
    del content["recordSet"][0]["field"][0]["dataType"]
    path = tmp_path / "croissant.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ExportError, match="mlcroissant refuses it"):
        check_croissant(path)


# Of pandas, about a line of mlcroissant's.
@pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.reset_index")
def test_every_record_through_mlcroissant_is_the_row_of_the_table(exported) -> None:
    logging.getLogger("absl").setLevel(logging.ERROR)
    dataset = mlcroissant.Dataset(str(exported.path / "croissant.json"))
    names = [record_set.id for record_set in dataset.metadata.record_sets]
    assert set(names) == {path.name for path in (exported.path / "data").iterdir()}
    for name in names:
        files = sorted((exported.path / "data" / name).glob("*.parquet"))
        want = pd.concat([pd.read_parquet(path) for path in files], ignore_index=True)
        records = list(dataset.records(name))
        assert len(records) == len(want), name
        for column in want.columns:
            got = [record[f"{name}/{column}"] for record in records]
            got = [cell.decode() if isinstance(cell, bytes) else cell for cell in got]
            kept = want[column].astype(object).where(want[column].notna(), None)
            assert got == kept.tolist(), f"{name}.{column}"


def test_the_responsible_terms_hold_numbers_of_this_study(exported) -> None:
    content = json.loads((exported.path / "croissant.json").read_text(encoding="utf-8"))
    assert content["conformsTo"] == list(CONFORMS_TO)
    assert "3 participants watched" in content["rai:dataCollection"]
    assert "FER: 3 annotators a clip" in content["rai:annotationsPerItem"]
    assert any("2 simulated annotators" in tool for tool in content["rai:machineAnnotationTools"])
    assert "[publish] known_biases" in content["rai:dataBiases"][1]
    assert content["creator"] == [{"@type": "sc:Person", "name": "Ada One"}, {"@type": "sc:Person", "name": "Ben Two"}]


def test_facts_that_are_withheld_of_everybody_are_not_said_to_be_there(publication) -> None:
    known = replace(
        publication, participants=pd.DataFrame({"participant": ["A"], "age_years": ["20"], "gender": [None]})
    )
    faces, facts = _sensitive(known)[1:]
    assert facts == "Facts about participants: age_years"
    levels = {recording.faces for recording in publication.recordings}
    assert faces.removeprefix("Faces: at most ") in levels and "," not in faces


def test_a_finished_folder_is_described_afterwards(exported, publication, tmp_path) -> None:
    made = export_parquet(publication, tmp_path / "tables")
    warnings: list[str] = []
    path = add_croissant(publication, made.path, warnings)
    assert (warnings, verify_publication(made.path)) == ([], [])
    assert path.read_bytes() == (exported.path / "croissant.json").read_bytes()
    # Twice is once.
    add_croissant(publication, made.path, warnings)
    assert verify_publication(made.path) == []


def test_a_folder_that_was_changed_is_not_described(exported, publication, tmp_path) -> None:
    out = tmp_path / "tables"
    shutil.copytree(exported.path, out)
    (out / "data" / "clips" / "train-00000-of-00001.parquet").write_bytes(b"PAR1")
    with pytest.raises(ExportError, match=r"clips/train-00000-of-00001\.parquet has changed"):
        add_croissant(publication, out, [])


def test_the_command_makes_tables_and_description_at_once(published_study, tmp_path) -> None:
    out = tmp_path / "croissant"
    done = RUN.invoke(app, ["croissant", str(published_study.root), str(out)])
    assert done.exit_code == 0, done.output
    assert str(out / "croissant.json") in done.output
    assert verify_publication(out) == []
    neither = RUN.invoke(app, ["croissant", str(published_study.root)])
    assert isinstance(neither.exception, UsageError)
