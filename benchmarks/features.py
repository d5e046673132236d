"""Features, folds and the clip index: what they cost, and how even folds are.

Features: those of a clip of two minutes at 250 Hz, against the usual way to get statistics per chunk (pandas groups, and a
fitted line for the slope) for the continuous signals alone. Folds: how unevenly classes are spread, against random folds of
equal size, on classes and numbers as in EMER. Clip index: built anew, and built again over unchanged sessions.

Run it: python -m benchmarks.features
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.figure import figure
from data_schema.clips.index import index_study
from data_schema.clips.table import write_clip_index
from data_schema.exports.stratify import draw_folds, unevenness
from data_schema.session.layout import GAZE
from data_schema.session.synthetic import make_synthetic_session, synthetic_config
from data_schema.signals.chunks import chunk_index
from data_schema.signals.eye_signals import EyeSignals, prepare_eye_signals
from data_schema.signals.features import PupilBaseline, eye_features, summary_features
from data_schema.signals.gaze import ScreenGeometry
from data_schema.study.folder import StudyFolder
from data_schema.vocabularies import EMOTIONS

CLIP_S, RATE_HZ, N_CHUNKS = 120.0, 250.0, 32
START_US = 1_000_000
SCREEN = ScreenGeometry(1920, 1080, 527.0, 296.0, 650.0)
BASELINE = PupilBaseline(3.0, 3.0)
#: Clips of each emotion in EMER are as unequal as this (377 to 75 of 1,303; the others in between, chosen).
CLASS_CLIPS = (377, 250, 200, 170, 131, 100, 75)
N_PARTICIPANTS, N_FOLDS = 121, 5


def _gaze() -> np.ndarray:
    rng = np.random.default_rng(0)
    n = round((CLIP_S + 1) * RATE_HZ)
    rows = GAZE.empty(n)
    rows["t_system_us"] = START_US - 500_000 + (np.arange(n) * 1e6 / RATE_HZ).astype(np.int64)
    places = rng.uniform(0.1, 0.9, (n // 75 + 1, 2))[np.arange(n) // 75]
    gaze = places + rng.normal(0, 0.002, (n, 2))
    for side, x_mm in (("left", -32.0), ("right", 32.0)):
        rows[f"{side}_gaze_norm"] = gaze
        rows[f"{side}_gaze_user_mm"] = np.column_stack(
            [(gaze[:, 0] - 0.5) * SCREEN.width_mm, (0.5 - gaze[:, 1]) * SCREEN.height_mm, np.zeros(n)]
        )
        rows[f"{side}_origin_user_mm"] = (x_mm, 0.0, 650.0)
        rows[f"{side}_pupil_mm"] = 3.0 + 0.2 * np.sin(np.arange(n) / 900) + rng.normal(0, 0.01, n)
        for name in ("gaze", "pupil", "origin"):
            rows[f"{side}_{name}_valid"] = 1
    return rows


def _by_groups(signals: EyeSignals, span: tuple[int, int]) -> pd.DataFrame:
    """Compute mean, spread, slope and valid share per chunk as scripts do."""
    index = chunk_index(signals.gaze.t_us, *span, N_CHUNKS)
    table = pd.DataFrame(
        {
            "chunk": index,
            "t_s": signals.gaze.t_us / 1e6,
            "gaze_x": signals.gaze.gaze_norm[:, 0],
            "gaze_y": signals.gaze.gaze_norm[:, 1],
            "pupil": signals.pupil_mm,
            "velocity": signals.movements.velocity_deg_s,
            "distance": np.linalg.norm(signals.gaze.eye_mm, axis=1),
            "openness": signals.openness_mm,
        }
    )
    columns: dict[str, Any] = {}
    groups = table[index >= 0].groupby("chunk")
    for name in table.columns[2:]:
        columns[f"{name}_mean"], columns[f"{name}_sd"] = groups[name].mean(), groups[name].std(ddof=0)
        columns[f"{name}_share"] = groups[name].apply(lambda part: part.notna().mean())
        columns[f"{name}_slope"] = groups[["t_s", name]].apply(_slope)
    return pd.DataFrame(columns)


def _slope(part: pd.DataFrame) -> float:
    known = part.dropna()
    return float(np.polyfit(known.iloc[:, 0], known.iloc[:, 1], 1)[0]) if len(known) >= 3 else float("nan")


def _in_turns(calls: dict[str, Callable[[], object]], n: int) -> dict[str, float]:
    """Return the median milliseconds of each, called in turn."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(n):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            taken[name].append((time.perf_counter() - began) * 1e3)
    return {name: float(np.median(times)) for name, times in taken.items()}


def _feature_figures(n: int) -> list[dict[str, Any]]:
    rows = _gaze()
    span = (START_US, START_US + round(CLIP_S * 1e6))
    signals = prepare_eye_signals(rows, None, SCREEN)
    usual = _by_groups(signals, span)
    mine, mask = eye_features(signals, *span, N_CHUNKS, BASELINE)
    if not np.allclose(mine[:, 0], usual["gaze_x_mean"], atol=1e-6) or not mask[:, 0].all():
        raise RuntimeError("the two ways to compute features differ, so their times tell nothing")
    ms = _in_turns(
        {
            "chunks": lambda: eye_features(signals, *span, N_CHUNKS, BASELINE),
            "summary": lambda: summary_features(signals, None, span, BASELINE),
            "usual": lambda: _by_groups(signals, span),
            "signals": lambda: prepare_eye_signals(rows, None, SCREEN),
        },
        n,
    )
    said = "pandas groups and fitted lines, continuous signals alone"
    return [
        figure(
            "chunk features of a clip of 120 s at 250 Hz", ms["chunks"], "ms",
            baseline=said, baseline_value=ms["usual"], target="a fifth of the baseline", met=ms["chunks"] < ms["usual"] / 5,
        ),
        figure(
            "summary features of the same clip", ms["summary"], "ms",
            baseline="preparing its signals", baseline_value=ms["signals"], target="less than the signals",
            met=ms["summary"] < ms["signals"],
        ),
    ]  # fmt: skip


def _fold_figures(n_random: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(1)
    odds = np.array(CLASS_CLIPS) / sum(CLASS_CLIPS)
    names = [f"P{n:03d}" for n in range(N_PARTICIPANTS)]
    counts = pd.DataFrame(
        [rng.multinomial(rng.integers(5, 17), rng.dirichlet(odds * 7)) for _ in names],
        index=names,
        columns=list(EMOTIONS),
    )
    chance = [
        unevenness(dict(zip(names, rng.permutation(len(names)) % N_FOLDS, strict=True)), N_FOLDS, counts)
        for _ in range(n_random)
    ]
    drawn = unevenness(draw_folds(names, N_FOLDS, 1, label_counts=counts), N_FOLDS, counts)
    grown: dict[str, int] = {}
    for n in (*range(12, N_PARTICIPANTS, 11), N_PARTICIPANTS):
        grown = draw_folds(names[:n], N_FOLDS, 1, grown, counts)
    later = unevenness(grown, N_FOLDS, counts)
    said = f"random folds of equal size, median of {n_random}"
    return [
        figure(
            name, value, "coefficient of variation of a class over folds, mean over classes",
            baseline=said, baseline_value=float(np.median(chance)), target=f"{share} of the baseline",
            met=value < share * float(np.median(chance)),
        )
        for name, value, share in (
            ("unevenness of folds, 121 participants at once", drawn, 0.1),
            ("the same, 11 participants at a time, nobody moved", later, 0.5),
        )
    ]  # fmt: skip


def _index_figures(n_sessions: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "study.toml").write_text('[study]\ntitle = "Benchmark"\n', encoding="utf-8")
        study = StudyFolder(root)
        for number in range(n_sessions):
            name = f"P{number:03d}"
            path = study.session_path(name, "01")
            path.parent.mkdir(parents=True)
            make_synthetic_session(
                path, participant=name, session="01", n_trials=6, trial_s=5.0, seed=number,
                rate_hz=250.0, config=synthetic_config(),
            )  # fmt: skip
            # Written an hour ago: only such a file's hash is trusted.
            state = path.stat()
            os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns - 3_600 * 10**9))
        size_mb = sum(path.stat().st_size for path in study.session_files()) / 1e6
        new, again = [], []
        for _ in range(3):
            study.clip_index_path.unlink(missing_ok=True)
            began = time.perf_counter()
            built = index_study(study)
            new.append(time.perf_counter() - began)
            write_clip_index(study.clip_index_path, built.table, built.facts)
            began = time.perf_counter()
            if index_study(study).n_hashed:
                raise RuntimeError("sessions were hashed again although they had not changed")
            again.append(time.perf_counter() - began)
    per_session = 1e3 * float(np.median(again)) / n_sessions
    return [
        figure(
            f"clip index again, a session of {size_mb / n_sessions:.1f} MB and 6 trials", per_session, "ms",
            baseline="built anew", baseline_value=1e3 * float(np.median(new)) / n_sessions,
            target="1,000 sessions in two minutes", met=per_session < 120,
        )
    ]  # fmt: skip


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Return the figures."""
    return [
        *_feature_figures(5 if quick else 25),
        *_fold_figures(100 if quick else 1000),
        *_index_figures(3 if quick else 8),
    ]


if __name__ == "__main__":
    for row in run():
        print(json.dumps(row))
