"""Annotators judge whole trials, whatever part of them the study's rule takes as the clip."""

from __future__ import annotations

from pathlib import Path

from annotation.queue.queues import read_queue
from annotation.simulate import included_clips
from data_schema.clips.table import load_clip_index, load_trial_index
from data_schema.files import write_table

from .table_studies import table_study


def test_the_queue_holds_whole_trials_whatever_the_rule(tmp_path: Path) -> None:
    study = table_study(tmp_path / "study", 4)
    before = read_queue(study, "fer", "a01")
    clips = load_clip_index(study)
    # As under the rule apex: a part of the trial, and no clip where nobody marked an apex yet.
    narrow = clips.assign(
        t_start_us=clips["t_start_us"] + 300, t_end_us=clips["t_end_us"] - 100, included=[True, False, False, True]
    )
    write_table(study.clip_index_path, narrow)
    assert load_clip_index(study)["included"].sum() == 2
    after = read_queue(study, "fer", "a01")
    assert after == before
    assert len(after) == 4
    assert all(entry.t_end_us - entry.t_start_us == 900 for entry in after)
    trials = load_trial_index(study)
    assert included_clips(study)["clip_id"].tolist() == trials["clip_id"].tolist()
    write_table(study.clip_index_path, narrow.assign(trial_included=[True, True, False, True]))
    assert len(read_queue(study, "fer", "a01")) == 3
