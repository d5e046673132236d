"""Where a participant agreed to it, the face video lies beside the annotations, and their times fit."""

from __future__ import annotations

import av
import h5py
import pandas as pd
import pytest

from data_schema.clips.index import build_clip_index
from data_schema.publishing.elan.export import export_elan
from data_schema.publishing.elan.reading import read_eaf
from data_schema.publishing.publication import open_publication
from data_schema.publishing.tables.parquet import export_parquet
from data_schema.session.layout import CONSENT, make_row
from data_schema.session.synthetic import START_US

from ...studies import make_study


@pytest.fixture(scope="module")
def publication(tmp_path_factory):
    """Two participants; the second alone lets the face video go."""
    root = tmp_path_factory.mktemp("media") / "study"
    study = make_study(root, 2, n_trials=1, more='[publish]\nfaces = "video"\nmin_group = 1\n')
    with h5py.File(study.session_files()[1], "r+", libver=("v110", "v110")) as file:
        dataset = file[CONSENT.path]
        dataset.resize(len(dataset) + 1, axis=0)
        dataset[-1] = make_row(CONSENT, t_system_us=START_US - 1, scope="face_sharing", granted=1, way="simulated")[0]
    build_clip_index(study)
    return open_publication(study)


def test_the_video_that_may_leave_is_linked_and_lies_there(publication, tmp_path) -> None:
    export_elan(publication, tmp_path / "out")
    shown = [recording for recording in publication.recordings if recording.faces == "video"]
    assert len(shown) == 1
    for recording in publication.recordings:
        document = read_eaf(tmp_path / "out" / f"{recording.name}.eaf")
        if recording not in shown:
            assert document.media == ()
            continue
        (media,) = document.media
        with recording.open() as session:
            start_s = (session.video_start_us or 0) / 1e6
        # Zero of the document is the first frame, or the media says how far into the video zero lies.
        assert float(document.properties["zero_s"]) - media.origin_ms / 1000 == pytest.approx(start_s, abs=6e-4)
        with av.open(str(tmp_path / "out" / media.path)) as container:
            assert sum(1 for _ in container.decode(video=0)) > 30
    assert len(list((tmp_path / "out" / "media").iterdir())) == 1
    export_elan(publication, tmp_path / "without", video=False)
    assert not (tmp_path / "without" / "media").exists()


def test_landmarks_are_a_table_with_a_file_a_recording(publication, tmp_path) -> None:
    export = export_parquet(publication, tmp_path / "out", gaze=False)
    files = sorted((export.path / "data" / "landmarks").iterdir())
    assert len(files) == 2
    rows = pd.concat([pd.read_parquet(path) for path in files], ignore_index=True)
    clips = publication.clips.set_index("clip_id")
    assert len(rows) == export.numbers.rows["landmarks"] > 0
    for row in rows.itertuples():
        assert clips.loc[row.clip_id, "t_start_s"] - 0.1 <= row.t_s <= clips.loc[row.clip_id, "t_end_s"]
    # A frame without a face has no points, not points at zero.
    assert rows.loc[~rows["found"], "nose_x"].isna().all()
