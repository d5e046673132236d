"""The file of the clip index: what it says of itself, and when it no longer fits."""

from __future__ import annotations

import os

import pandas as pd
import pytest

from data_schema.cli import main
from data_schema.clips.columns import CLIP_COLUMNS, SINCE_VERSION_2
from data_schema.clips.index import build_clip_index, index_study
from data_schema.clips.table import (
    load_clip_index,
    load_current_clip_index,
    load_trial_index,
    read_index_facts,
    write_clip_index,
)
from data_schema.errors import ExportError
from data_schema.study.folder import StudyFolder

from ..studies import add_session, make_study


def rewrite(study, more):
    text = study.config_path.read_text(encoding="utf-8")
    study.config_path.write_text(text + more, encoding="utf-8")
    return StudyFolder(study.root)


def at_rest(study):
    """Let the session files look as if they had been written an hour ago."""
    for path in study.session_files():
        state = path.stat()
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns - 3_600 * 10**9))


def test_the_file_says_what_it_was_built_from(tmp_path):
    study = make_study(tmp_path / "study", n_participants=2)
    table = build_clip_index(study)
    facts = read_index_facts(study.clip_index_path)
    assert facts.rule == {
        "clips": {"rule": "whole", "min_s": 0.0},
        "quality": {"max_gaze_loss": 0.5, "min_frames_share": 0.8, "without_camera": "leave_out"},
    }
    assert sorted(facts.sessions) == sorted(set(table["session_file"]))
    assert {seen.sha256 for seen in facts.sessions.values()} == set(table["session_sha256"])
    assert len(facts.rule_sha256) == 64
    pd.testing.assert_frame_equal(load_current_clip_index(study), table)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            '[clips]\nrule = "last"',
            r"\[clips\] last_s was not used, is 10.0 now; \[clips\] rule was whole, is last now",
        ),
        ("[clips]\nmin_s = 5", r"\[clips\] min_s was 0.0, is 5.0 now"),
        ("[quality]\nmax_gaze_loss = 0.2", r"\[quality\] max_gaze_loss was 0.5, is 0.2 now"),
    ],
)
def test_another_rule_is_noticed(tmp_path, more, said):
    study = make_study(tmp_path / "study", n_participants=1)
    build_clip_index(study)
    with pytest.raises(ExportError, match=said):
        load_current_clip_index(rewrite(study, more))


def test_a_key_that_the_rule_does_not_use_changes_nothing(tmp_path):
    study = make_study(tmp_path / "study", n_participants=1)
    build_clip_index(study)
    load_current_clip_index(rewrite(study, "[clips]\nlast_s = 3\napex_before_s = 9\n"))


def test_changed_sessions_are_noticed(tmp_path, caplog):
    study = make_study(tmp_path / "study", n_participants=2)
    build_clip_index(study)
    add_session(study, "P009")
    assert len(load_current_clip_index(study)) == 4
    assert "P009" in caplog.text
    path = study.session_path("P001", "01")
    content = path.read_bytes()
    path.write_bytes(content + b"\0")
    with pytest.raises(ExportError, match=r"P001.*has changed since"):
        load_current_clip_index(study)
    path.unlink()
    with pytest.raises(ExportError, match=r"P001.*is gone since"):
        load_current_clip_index(study)
    path.write_bytes(content)  # a copied study has new times and the same content
    load_current_clip_index(study)


def test_only_what_changed_is_hashed_again(tmp_path):
    study = make_study(tmp_path / "study", n_participants=3)
    first = index_study(study)
    assert first.n_hashed == 3
    write_clip_index(study.clip_index_path, first.table, first.facts)
    # The files are younger than three seconds: they could change again within a tick of the file system's clock.
    assert index_study(study).n_hashed == 3
    at_rest(study)
    second = index_study(study)
    write_clip_index(study.clip_index_path, second.table, second.facts)
    third = index_study(study)
    assert third.n_hashed == 0
    pd.testing.assert_frame_equal(third.table, first.table)
    assert index_study(study, hash_all=True).n_hashed == 3
    write_clip_index(study.clip_index_path, third.table, third.facts)
    assert index_study(study).n_hashed == 0
    path = study.session_path("P002", "01")
    path.touch()
    assert index_study(study).n_hashed == 1


def test_an_index_of_version_1_is_read_as_whole_trials(tmp_path):
    study = make_study(tmp_path / "study", n_participants=1)
    table = build_clip_index(study)
    table.drop(columns=list(SINCE_VERSION_2)).to_parquet(study.clip_index_path, index=False)
    assert read_index_facts(study.clip_index_path) is None
    old = load_clip_index(study)
    pd.testing.assert_frame_equal(old[list(CLIP_COLUMNS)], table, check_dtype=False)
    pd.testing.assert_frame_equal(load_trial_index(study)[list(CLIP_COLUMNS)], table, check_dtype=False)
    assert len(load_current_clip_index(study)) == 2
    with pytest.raises(ExportError, match="does not say by which rule"):
        load_current_clip_index(rewrite(study, '[clips]\nrule = "last"\n'))


def test_the_verb_says_the_rule(tmp_path, capsys):
    study = make_study(tmp_path / "study", n_participants=1, more='[clips]\nrule = "last"\nlast_s = 0.5\nmin_s = 0.4\n')
    assert main(["clips", str(study.root), "--hash-all"]) == 0
    assert "rule: the last 0.5 s of each trial, at least 0.4 s long" in capsys.readouterr().out
    table = load_current_clip_index(study)
    assert (table["t_end_us"] - table["t_start_us"] == 500_000).all()
    assert (table["n_face_frames"] < 18).all()


def test_rows_are_in_the_order_of_people_sessions_and_trials(tmp_path):
    study = make_study(tmp_path / "study", n_participants=2, n_trials=3)
    add_session(study, "P001", "02")
    table = build_clip_index(study)
    assert table["clip_id"].is_monotonic_increasing
    assert table["clip_id"].is_unique
    assert list(table.columns) == list(CLIP_COLUMNS)
    assert (table["run"] == 1).all()
