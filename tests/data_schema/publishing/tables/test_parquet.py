"""The Parquet tables hold what the study holds, under declared columns, and the card says so."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from data_schema.cli.exports import app
from data_schema.clips.index import load_clip_index
from data_schema.errors import ExportError
from data_schema.publishing.front_matter import front_matter
from data_schema.publishing.tables.arrow import write_parquet
from data_schema.publishing.tables.card import HUB_LICENCES, licence_fields
from data_schema.publishing.tables.declarations import CLIP, EMOTION_WORDS, PublishedColumn, PublishedTable
from data_schema.publishing.tables.parquet import export_parquet
from data_schema.session.layout import GAZE
from data_schema.session.reader import open_session

RUN = CliRunner()


def table(exported, name: str) -> pd.DataFrame:
    files = sorted((exported.path / "data" / name).glob("*.parquet"))
    assert files, name
    return pd.concat([pd.read_parquet(path) for path in files], ignore_index=True)


def test_every_clip_is_there_once_with_its_fold(exported, published_study, publication) -> None:
    clips, index = table(exported, "clips"), load_clip_index(published_study)
    own = {name.clip_id: ours for ours, name in publication.clip_names.items()}
    assert sorted(own[name] for name in clips["clip_id"]) == sorted(index["clip_id"])
    drawn = json.loads(published_study.folds_path.read_text(encoding="utf-8"))["assignment"]
    codes = publication.participant_codes
    assert dict(zip(clips["participant"], clips["fold"], strict=True)) == {
        codes[name]: fold for name, fold in drawn.items()
    }
    # A stranger must be able to group by participant in each table about clips.
    for name in ("targets", "labels", "features", "fixations", "marks"):
        assert table(exported, name)["participant"].isin(list(codes.values())).all(), name


def test_gaze_is_that_of_the_session_file_counted_from_its_first_sample(exported, published_study, publication) -> None:
    path = published_study.session_files()[0]
    with open_session(path) as session:
        rows, code = session.table(GAZE)[:], publication.participant_codes[session.participant]
    gaze = table(exported, "gaze")
    gaze = gaze[gaze["participant"] == code]
    assert len(gaze) == len(rows)
    assert gaze["t_us"].tolist() == (rows["t_system_us"] - rows["t_system_us"][0]).tolist()
    np.testing.assert_array_equal(gaze["left_gaze_norm_y"].to_numpy(), rows["left_gaze_norm"][:, 1])
    assert gaze["right_pupil_valid"].tolist() == (rows["right_pupil_valid"] != 0).tolist()
    # One file a recording: neither side needs the gaze of all people at once.
    assert len(list((exported.path / "data" / "gaze").iterdir())) == len(published_study.session_files())


def test_labels_keep_skips_repeats_and_self_reports(exported) -> None:
    labels = table(exported, "labels")
    assert (labels["skip_reason"] == "no_face").sum() == 3
    assert (labels["repetition"] == 1).sum() == 3
    assert (labels["source"] == "self_report").sum() == 6
    assert "comment" not in labels.columns
    assert set(table(exported, "marks")["kind"]) == {"apex", "flag"}
    assert len(table(exported, "questionnaires")) == 6


def test_unit_and_meaning_of_each_column_stand_in_its_file(exported) -> None:
    for declared in exported.tables:
        schema = pq.read_schema(next((exported.path / "data" / declared.name).iterdir()))
        assert schema.names == declared.names
        for column in declared.columns:
            said = schema.field(column.name).metadata
            assert said[b"meaning"].decode() == column.meaning
            assert said.get(b"unit", b"").decode() == column.unit
    words = json.loads(
        pq.read_schema(next((exported.path / "data" / "labels").iterdir())).field("emotion").metadata[b"words"]
    )
    assert list(words) == list(EMOTION_WORDS)


def test_the_head_of_the_card_names_every_table(exported) -> None:
    _, head, body = (exported.path / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    fields = yaml.safe_load(head)
    assert fields["pretty_name"] == 'Eyes, faces & "feelings"'
    assert (fields["license"], fields["size_categories"]) == ("cc-by-nc-4.0", ["n<1K"])
    assert {"simulated", "eye-tracking"} <= set(fields["tags"])
    assert fields["extra_gated_fields"]["Country"] == "country"
    assert [config["config_name"] for config in fields["configs"] if config.get("default")] == ["clips"]
    for config in fields["configs"]:
        (split,) = config["data_files"]
        assert split["split"] == "train"
        assert list(exported.path.glob(split["path"])), config["config_name"]
    assert {config["config_name"] for config in fields["configs"]} == {
        path.name for path in (exported.path / "data").iterdir()
    }
    assert "**SIMULATED DATA.** 6 of 6 clips" in body
    assert "6 clips of 3 participants in 3 sessions" in body
    assert "3 folds, no participant in two" in body


@pytest.mark.parametrize(
    "fields", [{"a": ["yes", "1.0", "x: y", "#", "ü\n'"], "b": {"c d": True, "e": 1.5}, "f": [{"g": "h", "i": ["j"]}]}]
)
def test_front_matter_is_read_back_by_a_yaml_library(fields) -> None:
    text = front_matter(fields)
    assert yaml.safe_load(text.strip().strip("-")) == fields


def test_a_licence_is_known_to_the_hub_or_named_beside() -> None:
    assert licence_fields("CC-BY-4.0") == {"license": "cc-by-4.0"}
    assert licence_fields("")["license_name"] == "none-yet"
    own = licence_fields("Academic use only, version 2")
    assert (own["license"], own["license_name"]) == ("other", "academic-use-only-version-2")
    assert own["license"] in HUB_LICENCES


def test_the_same_publication_gives_the_same_bytes(exported, publication, tmp_path) -> None:
    again = export_parquet(publication, tmp_path / "again")
    for path in sorted((exported.path / "data").rglob("*.parquet")):
        assert (again.path / path.relative_to(exported.path)).read_bytes() == path.read_bytes(), path.name
    for name in ("README.md", "datasheet.md"):
        assert (again.path / name).read_bytes() == (exported.path / name).read_bytes()


def test_a_word_that_is_not_declared_is_refused(tmp_path) -> None:
    declared = PublishedTable(
        "t", "a row", (PublishedColumn("emotion", "text", "", "An emotion.", words=EMOTION_WORDS),), ()
    )
    with pytest.raises(ExportError, match="holds 'joy', expected one of happiness"):
        write_parquet(tmp_path / "t.parquet", declared, [pd.DataFrame({"emotion": ["joy"]})])


def test_a_number_that_does_not_fit_is_refused(tmp_path) -> None:
    declared = PublishedTable("t", "a row", (CLIP, PublishedColumn("n", "int32", "", "A number.")), ())
    with pytest.raises(ExportError, match="column 'n' should hold int32"):
        write_parquet(tmp_path / "t.parquet", declared, [pd.DataFrame({"clip_id": ["a"], "n": [2.5]})])


def test_a_finished_folder_is_replaced_only_on_request(exported, published_study, tmp_path) -> None:
    out = tmp_path / "parquet"
    shutil.copytree(exported.path, out)
    arguments = ["parquet", str(published_study.root), str(out), "--no-gaze"]
    refused = RUN.invoke(app, arguments)
    assert isinstance(refused.exception, ExportError)
    assert "--force" in str(refused.exception)
    done = RUN.invoke(app, [*arguments, "--force"])
    assert done.exit_code == 0, done.output
    assert "6 clips of 3 participants" in done.output
    assert "[publish] description" in done.output
    assert not (out / "data" / "gaze").exists()
    assert not (out / "croissant.json").exists()


def test_an_interrupted_export_leaves_nothing(publication, tmp_path, monkeypatch) -> None:
    def stop(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("data_schema.publishing.tables.parquet.dataset_card", stop)
    with pytest.raises(KeyboardInterrupt):
        export_parquet(publication, tmp_path / "out", gaze=False)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == []


def test_a_full_disk_is_said_in_one_sentence(publication, tmp_path, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_table", full)
    with pytest.raises(ExportError, match="the disk is full"):
        export_parquet(publication, tmp_path / "out", gaze=False)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == []
