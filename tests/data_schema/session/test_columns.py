"""Columns of a table are what its rows say, whatever the chunks, the version of the file, or the part that is read."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from data_schema.errors import SessionFileError
from data_schema.session import open_session
from data_schema.session.layout import GAZE, MARKERS
from data_schema.session.synthetic import make_synthetic_session


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    path = make_synthetic_session(tmp_path_factory.mktemp("columns") / "sub-P001_ses-01.h5", n_trials=2, rate_hz=240.0)
    with open_session(path) as opened:
        yield opened


@given(data=st.data())
def test_columns_equal_rows(session, data):
    view = session.table(GAZE)
    start = data.draw(st.integers(0, len(view)))
    stop = data.draw(st.integers(start, len(view)))
    names = data.draw(st.lists(st.sampled_from([column.name for column in GAZE.columns]), unique=True))
    rows, columns = view[start:stop], view.columns(names, start, stop)
    assert list(columns) == names
    for name in names:
        assert columns[name].dtype == rows[name].dtype
        assert columns[name].flags.c_contiguous
        assert_array_equal(columns[name], rows[name])


def test_a_frame_of_some_columns(session):
    view = session.table(GAZE)
    frame = view.frame(columns=("t_system_us", "left_gaze_norm"))
    assert list(frame) == ["t_system_us", "left_gaze_norm_x", "left_gaze_norm_y"]
    assert_array_equal(frame["left_gaze_norm_y"], view[:]["left_gaze_norm"][:, 1])
    whole = view.frame()
    assert_array_equal(whole["t_system_us"], frame["t_system_us"])
    # Rows that somebody has already, and a table in small chunks without filters.
    assert_array_equal(view.frame(view[3:7])["t_system_us"], frame["t_system_us"][3:7])
    assert list(session.table(MARKERS).frame(columns=("kind",))["kind"]) == list(session.table(MARKERS).column("kind"))
    with pytest.raises(KeyError, match="no column 'nothing'"):
        view.columns(("nothing",))


def test_columns_that_an_older_file_lacks(tmp_path):
    path = make_synthetic_session(tmp_path / "sub-P001_ses-01.h5", n_trials=1)
    with h5py.File(path, "r+") as file:
        rows = file[GAZE.path][:]
        kept = [name for name in rows.dtype.names if name not in ("left_pupil_mm", "left_pupil_valid")]
        del file[GAZE.path]
        file.create_dataset(GAZE.path, data=rows[kept].astype([(name, rows.dtype[name]) for name in kept]))
    with open_session(path) as opened:
        columns = opened.table(GAZE).columns(("left_pupil_mm", "left_pupil_valid", "t_system_us"))
    assert np.isnan(columns["left_pupil_mm"]).all()
    assert not columns["left_pupil_valid"].any()
    assert_array_equal(columns["t_system_us"], rows["t_system_us"])


def test_a_damaged_chunk_is_told(tmp_path):
    path = make_synthetic_session(tmp_path / "sub-P001_ses-01.h5", n_trials=2, rate_hz=240.0)
    with h5py.File(path) as file:
        chunk = file[GAZE.path].id.get_chunk_info(5)
    with path.open("r+b") as file:
        file.seek(chunk.byte_offset + chunk.size // 2)
        file.write(b"\xff" * 20)
    with open_session(path) as opened, pytest.raises(SessionFileError, match=r"/eye/gaze: rows 0 to .*emer repair"):
        opened.table(GAZE).frame()
