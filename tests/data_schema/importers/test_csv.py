"""The SDK's samples saved as CSV, as pandas and others write them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from collection.devices.tobii_folder import read_tobii_folder
from data_schema.errors import DataImportError
from data_schema.importers import ImportOptions, plan_import
from data_schema.session import open_session
from data_schema.session.layout import GAZE, OPENNESS

from .tables import P001, make_study, run_import, sdk_samples

NAMES = {"im1.jpeg": "joy-1", "im2.jpeg": "fear-1", "im3.jpeg": ""}


def test_the_real_recording_is_what_its_replay_reads(tmp_path: Path, shared_data: Path) -> None:
    folder = shared_data / "tobii_spectrum_600hz"
    (one,) = run_import(make_study(tmp_path), "csv", folder, options=replace(P001, stimuli=NAMES))
    expected = read_tobii_folder(folder)
    with open_session(one.path) as session:
        for table in (GAZE, OPENNESS):
            rows = session.table(table)[:]
            assert rows.tobytes() == expected[table.path].tobytes(), table.path
        assert [(t.stimulus_id, t.t_onset_us, t.t_offset_us) for t in session.trials()] == [
            ("joy-1", 2129185475909, 2129188458424),
            ("fear-1", 2129191474734, 2129194458055),
        ]
    assert one.rate_hz == 600.0


def flat(sample: dict[str, object], axes: tuple[str, ...]) -> dict[str, object]:
    row: dict[str, object] = {}
    for name, value in sample.items():
        if isinstance(value, tuple):
            row.update({f"{name}_{axis}": part for axis, part in zip(axes, value, strict=False)})
        else:
            row[name] = value
    return row


@pytest.mark.parametrize("way", ["tuples", "lists", "xyz", "012"])
def test_all_ways_of_saving_tuples_read_alike(tmp_path: Path, way: str) -> None:
    samples = sdk_samples()
    if way == "tuples":
        table = pd.DataFrame(samples)
    elif way == "lists":
        table = pd.DataFrame([{k: list(v) if isinstance(v, tuple) else v for k, v in s.items()} for s in samples])
    else:
        table = pd.DataFrame([flat(sample, tuple("xyz" if way == "xyz" else "012")) for sample in samples])
    path = tmp_path / "gaze.csv"
    table.to_csv(path, index=way == "xyz")
    (one,) = run_import(make_study(tmp_path / "s"), "csv", path)
    with open_session(one.path) as session:
        rows = session.table(GAZE)[:]
    assert len(rows) == len(samples)
    for column in GAZE.columns:
        if column.sdk_field:
            expected = np.array([sample[column.sdk_field] for sample in samples], dtype=column.dtype)
            assert np.array_equal(rows[column.name], expected, equal_nan=True), column.name
    assert np.array_equal(rows["t_received_us"], rows["t_system_us"])


def test_a_tuple_that_is_none_is_told_with_its_line(tmp_path: Path) -> None:
    table = pd.DataFrame(sdk_samples(5))
    table["left_gaze_point_on_display_area"] = table["left_gaze_point_on_display_area"].astype(object)
    table.at[3, "left_gaze_point_on_display_area"] = "(0.1)"
    table.to_csv(tmp_path / "gaze.csv", index=False)
    with pytest.raises(
        DataImportError, match=r"line 5, column 'left_gaze_point_on_display_area': '\(0.1\)' is no tuple of 2"
    ):
        run_import(make_study(tmp_path / "s"), "csv", tmp_path / "gaze.csv")


def test_openness_and_messages_may_be_named(tmp_path: Path) -> None:
    samples = sdk_samples()
    pd.DataFrame(samples).to_csv(tmp_path / "g.csv", index=False)
    times = [sample["system_time_stamp"] for sample in samples]
    openness = pd.DataFrame(
        {
            "device_time_stamp": [t - 10**12 for t in times], "system_time_stamp": times,
            "left_eye_openness_value": np.linspace(5, 9, len(times)), "left_eye_validity": 1,
            "right_eye_openness_value": np.nan, "right_eye_validity": 0,
        }
    )  # fmt: skip
    openness.to_csv(tmp_path / "o.csv", index=False)
    (tmp_path / "m.csv").write_text(
        f"system_time_stamp,message\n{times[5]},Anna is nervous\n{times[10]},stimulus onset: joy-1\n{times[70]},stimulus offset: joy-1\n",
        encoding="utf-8",
    )
    options = replace(P001, openness=tmp_path / "o.csv", messages=tmp_path / "m.csv")
    (one,) = run_import(make_study(tmp_path / "s"), "csv", tmp_path / "g.csv", options=options)
    with open_session(one.path) as session:
        rows = session.table(OPENNESS)[:]
        assert [(t.t_onset_us, t.t_offset_us) for t in session.trials()] == [(times[10], times[70])]
    assert np.array_equal(rows["t_system_us"], times)
    assert np.allclose(rows["left_openness_mm"], np.linspace(5, 9, len(times)))
    assert rows["left_valid"].all()
    assert not rows["right_valid"].any()
    assert b"nervous" not in one.path.read_bytes()


def test_a_folder_without_gaze_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataImportError, match="holds no gaze.csv"):
        plan_import(make_study(tmp_path / "s"), "csv", [tmp_path], P001)


def test_missing_fields_of_the_sdk_are_named(tmp_path: Path) -> None:
    pd.DataFrame(sdk_samples(5)).drop(columns="left_gaze_point_validity").to_csv(tmp_path / "gaze.csv", index=False)
    with pytest.raises(DataImportError, match="missing: 'left_gaze_point_validity'.*Write all fields"):
        plan_import(make_study(tmp_path / "s"), "csv", [tmp_path / "gaze.csv"], ImportOptions())


def test_openness_of_another_time_is_told(tmp_path: Path) -> None:
    samples = sdk_samples()
    pd.DataFrame(samples).to_csv(tmp_path / "g.csv", index=False)
    times = [sample["system_time_stamp"] + 3_600_000_000 for sample in samples]
    frame = pd.DataFrame({"system_time_stamp": times, "left_eye_openness_value": 9.0, "right_eye_openness_value": 9.0})
    frame.to_csv(tmp_path / "o.csv", index=False)
    study = make_study(tmp_path / "s")
    with pytest.raises(
        DataImportError, match=r"o.csv: goes from 3600.000 to 3601.483 s.*which lasts 1.483 s.*same clock"
    ):
        run_import(study, "csv", tmp_path / "g.csv", options=replace(P001, openness=tmp_path / "o.csv"))
    assert not list(study.root.rglob("*.h5*"))


@pytest.mark.parametrize(
    ("scale", "said"),
    # Seconds and milliseconds in a column of microseconds: rounded to integers, all samples would come at once.
    [
        (1e-6, "by its time stamps .* has 5.99988e"),
        (1e-3, "59998.* samples a second, but the tracker's own clock 59.*unit"),
    ],
)
def test_stamps_in_another_unit_are_told(tmp_path: Path, scale: float, said: str) -> None:
    samples = pd.DataFrame(sdk_samples())
    samples["system_time_stamp"] *= scale
    samples.to_csv(tmp_path / "g.csv", index=False)
    with pytest.raises(DataImportError, match=said):
        run_import(make_study(tmp_path / "s"), "csv", tmp_path / "g.csv")


def test_pixels_where_shares_of_the_screen_are_expected_are_told(tmp_path: Path) -> None:
    samples = sdk_samples()
    for sample in samples:
        for eye in ("left", "right"):
            x, y = sample[f"{eye}_gaze_point_on_display_area"]
            sample[f"{eye}_gaze_point_on_display_area"] = (x * 1920, y * 1080)
    pd.DataFrame(samples).to_csv(tmp_path / "g.csv", index=False)
    with pytest.raises(DataImportError, match="far outside the screen of 1920x1080 px.*unit"):
        run_import(make_study(tmp_path / "s"), "csv", tmp_path / "g.csv")
