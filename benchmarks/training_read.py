"""Read the arrays of clips out of a training export, in random order: faces as arrays and as JPEG.

The faces are real where ``shared/data`` (or EMER_TEST_DATA) has them. Baselines in the same run: h5py's own indexing of the same
file; one .npz a clip; one CSV of the eye data of a clip; and what the reference's loader does for each sample of each epoch: it
reads the clip's spreadsheet, of 39 columns, by pandas. The last two are read without faces.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.faces import FOLDER, read_pictures
from benchmarks.figure import figure
from data_schema.derived import ClipSpan
from data_schema.exports import shards
from data_schema.exports.clip_arrays import ShardArrays
from data_schema.exports.shards import ShardSettings, ShardTask, array_shapes
from data_schema.signals.faces import FaceTracker, MtcnnDetector, clip_faces

GAZE_HZ = 600
CLIP_S = 30
#: A spreadsheet of the EMER release: 39 columns, and as many rows as 1.91 million samples make for each of 1,303 clips (Liu et
#: al. 2025, arXiv 2512.16485).
SHEET_COLUMNS = 39
SHEET_ROWS = 1466


def face_crops(n: int) -> npt.NDArray[np.uint8]:
    """Return `n` aligned real faces."""
    frames = read_pictures(FOLDER / "face_video" / "single_face.mp4")
    inputs = [(i, t_us, image) for i, (t_us, image) in enumerate(frames[: 4 * n])]
    return clip_faces(inputs, FaceTracker(MtcnnDetector()), range(0, 4 * n, 4)).crops


def write_shard(path: Path, mode: str, faces: npt.NDArray[np.uint8], n_clips: int) -> ShardSettings:
    """Write a shard as the export does, with real faces and random numbers."""
    settings = ShardSettings(faces=mode, face_frames=len(faces))
    spans = tuple(ClipSpan(f"sub-P001_ses-01_trial-{i:03d}", i, 0, CLIP_S * 1_000_000) for i in range(n_clips))
    task = ShardTask("", "", spans, settings, "", "")
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        datasets = shards._create(file, task)
        for row in range(n_clips):
            if mode == "jpeg":
                shards._append_jpeg(file, row, faces, np.ones(len(faces), dtype=np.bool_), settings.jpeg_quality)
            for name, dataset in datasets.items():
                dataset[row] = faces if name == "faces" else rng.random(dataset.shape[1:]) > 0.1
    return settings


def rate(read: Callable[[int], Any], order: npt.NDArray[np.int64], rounds: int = 5) -> float:
    """Return clips a second of one core, the median of some rounds: seconds of the process, so that others disturb little."""
    rates = []
    for _ in range(rounds):
        began = time.process_time()
        for row in order.tolist():
            read(row)
        rates.append(len(order) / (time.process_time() - began))
    return statistics.median(rates)


def run(quick: bool = False) -> list[dict[str, Any]]:
    n_clips = 100 if quick else 400
    cv2.setNumThreads(1)
    faces = face_crops(8)
    order = np.random.default_rng(1).permutation(n_clips)
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for mode in ("arrays", "jpeg"):
            path = Path(folder) / f"{mode}.h5"
            names = list(array_shapes(write_shard(path, mode, faces, n_clips)))
            arrays = ShardArrays(h5py.File(path, "r"))
            ours = rate(lambda row: [arrays.read(name, row) for name in names], order)  # noqa: B023
            arrays.close()
            with h5py.File(path, "r") as file:
                held = [file[name] for name in file if file[name].ndim and name not in ("faces_jpeg", "clip_id")]
                plain = rate(lambda row: [dataset[row] for dataset in held], order, 2)  # noqa: B023
            bytes_per_clip = path.stat().st_size / n_clips
            label = f"faces as {mode}, 8 a clip, {bytes_per_clip / 1000:.0f} kB a clip"
            baseline = "h5py's indexing" if mode == "arrays" else "h5py's indexing, without the faces"
            figures.append(
                figure(f"clips read a second of one core, {label}", ours, "1/s", baseline=baseline, baseline_value=plain,
                       target="at least 1000", met=ours >= 1000)
            )  # fmt: skip
            if mode == "arrays":
                figures += others(Path(folder), path, names, ours)
    return figures


def others(folder: Path, shard: Path, names: list[str], ours: float) -> list[dict[str, Any]]:
    """Read one clip as .npz, and its eye data as a CSV and as a spreadsheet."""
    with h5py.File(shard, "r") as file:
        np.savez(folder / "clip.npz", **{name: file[name][0] for name in names})
    rng = np.random.default_rng(2)
    columns = {f"column {i}": rng.normal(0, 1, GAZE_HZ * CLIP_S) for i in range(20)}
    pd.DataFrame(columns).to_csv(folder / "clip.csv", index=False)

    def npz(_: int) -> None:
        with np.load(folder / "clip.npz") as archive:
            for name in names:
                archive[name]

    write_sheet(folder / "clip.xlsx")
    once = np.arange(3)
    csv = rate(lambda _: pd.read_csv(folder / "clip.csv"), once, 3)
    sheet = rate(lambda _: pd.read_excel(folder / "clip.xlsx"), np.arange(1), 3)
    return [
        figure("clips read a second as .npz", rate(npz, np.arange(50), 3), "1/s", baseline="a shard", baseline_value=ours),
        figure(f"clips a second from a CSV of {CLIP_S} s of eye data, without faces", csv, "1/s",
               baseline="a shard", baseline_value=ours),
        figure("clips read a second of one core, over those of the reference's spreadsheets", ours, "1/s",
               baseline=f"pandas.read_excel of {SHEET_ROWS} rows of {SHEET_COLUMNS} columns, without faces", baseline_value=sheet,
               target="ratio at least 1000", met=ours >= 1000 * sheet),
    ]  # fmt: skip


def write_sheet(path: Path) -> None:
    """Write the eye data of a clip as an eye tracker's software exports them: times, names, numbers, and gaps."""
    rng = np.random.default_rng(3)
    table = pd.DataFrame(rng.normal(500, 200, (SHEET_ROWS, SHEET_COLUMNS)).round(4))
    table = table.mask(rng.random(table.shape) < 0.05)
    table.columns = [f"column {i}" for i in range(SHEET_COLUMNS)]
    table["column 0"] = np.arange(SHEET_ROWS) * 1667
    table["column 1"] = "Fixation"
    table["column 2"] = "clip.mp4"
    table.to_excel(path, index=False)


if __name__ == "__main__":
    for one in run():
        print(json.dumps(one))
