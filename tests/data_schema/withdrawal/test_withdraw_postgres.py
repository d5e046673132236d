"""A participant withdraws from a study whose labels are in PostgreSQL."""

from __future__ import annotations

import os

import numpy as np
import pytest

from benchmarks.postgres_server import postgres_server
from data_schema.clips.index import build_clip_index
from data_schema.errors import LabelError
from data_schema.labels import SAMPLE_DTYPE, Judged, Label, LabelStore, Mark, Trace, read_labels, read_log
from data_schema.labels.postgres_roles import add_annotator, init_database
from data_schema.study.folder import StudyFolder
from data_schema.withdrawal import withdraw_participant
from data_schema.withdrawal.label_logs import clean_postgres
from data_schema.withdrawal.traces import Traces
from tests.data_schema.studies import make_study

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a PostgreSQL that a test may start, as Debian's")


def test_rows_go_from_the_database_and_its_protection_stays(tmp_path, monkeypatch):
    with postgres_server() as server:
        server.sql("CREATE ROLE lab LOGIN CREATEROLE PASSWORD 'lab-password'")
        server.sql("CREATE DATABASE smiles OWNER lab")
        address = server.address("smiles")
        monkeypatch.setenv("PGUSER", "lab")
        monkeypatch.setenv("PGPASSWORD", "lab-password")
        init_database(address, study_id="s-1", study_title="Smiles")
        access = add_annotator(address, "a01")
        more = f'[labels]\ndatabase = "{address}"\n[quality]\nmin_frames_share = 0\n'
        study = StudyFolder(make_study(tmp_path / "study", 2, n_trials=1, with_video=False, more=more).root)
        clips = build_clip_index(study)
        monkeypatch.setenv("PGUSER", access.role)
        monkeypatch.setenv("PGPASSWORD", access.password)
        with LabelStore.open(address, "a01", "human", study_id="s-1") as store:
            for clip in clips.to_dict("records"):
                about = Judged(clip["clip_id"], clip["session_sha256"], "er")
                (trace,) = store.write([Trace(about, "bounded", "valence")])
                store.add_samples(trace, 0, np.zeros(3, dtype=SAMPLE_DTYPE))
                store.write([Mark(about, "flag", comment="like P002 before, and P0022")])
                store.add(Label(clip_id=clip["clip_id"], clip_sha256=clip["session_sha256"], task="er", view="", emotion="fear",
                                polarity="negative"))  # fmt: skip
            store.set_desk_value("place", "sub-P002_ses-01_trial-001")
        with pytest.raises(LabelError, match="logged in as the annotator 'a01'"):
            clean_postgres(address, Traces("P002"))
        monkeypatch.setenv("PGUSER", "lab")
        monkeypatch.setenv("PGPASSWORD", "lab-password")
        outcome = withdraw_participant(study, "P002")
        assert outcome.record["removed"]["label rows"] == 5
        assert set(read_labels(address)["clip_id"]) == {"sub-P001_ses-01_trial-001"}
        assert [len(read_log(address, name)) for name in ("marks", "traces", "trace_samples")] == [1, 1, 1]
        assert read_log(address, "marks")["comment"].tolist() == ["like [withdrawn] before, and P0022"]
        with pytest.raises(Exception, match="append-only"):
            server.sql("DELETE FROM emer.labels", database="smiles")
