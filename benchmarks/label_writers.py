"""Label store: eight annotators at once, on a file each and on one PostgreSQL.

Each writes what ten minutes of work bring: a clip every five seconds, eight key
presses a clip, each of them a commit, the last one with the label. They do not wait
between key presses, so that all of it falls into as short a time as it takes: the
load is far above that of eight people, and they queue for the machine's processors.
Afterwards every label has to be there once. How long a commit takes is measured
apart, with all eight pressing keys twice as fast as people do. The baseline is one
annotator alone, in the same run, at the same place.

Run it: python -m benchmarks label_writers
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figure import figure
from benchmarks.postgres_server import postgres_server
from data_schema.labels import read_labels, read_log
from data_schema.labels.postgres_roles import add_annotator, init_database

N_ANNOTATORS = 8
N_CLIPS, N_KEYS = 120, 8  # ten minutes at a clip every five seconds
PAUSE_S = 0.3  # between key presses where latency is measured; people at that pace take 0.6 s
COMMIT_P95_MS = 50.0  # chosen: a key press is answered well before it is felt as late (100 ms)

_WRITER = """
import json, random, sys, time
from data_schema.labels import Judged, Label, LabelStore, Step

place, name, n_clips, n_keys, pause_s = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:5]), float(sys.argv[5])
ms = []
with LabelStore.open(place, name) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    for clip in range(n_clips):
        about = Judged(f"clip-{clip}", "ab" * 32, "fer")
        for key in range(n_keys):
            entries = [Step(about, f"i-{clip}", "set", "{}", f'{{"key": {key}}}')]
            if key == n_keys - 1:
                entries.insert(0, Label(about.clip_id, about.clip_sha256, "fer", emotion="fear", comment=name))
            time.sleep(random.uniform(0, 2 * pause_s))
            begin = time.perf_counter()
            store.write(entries)
            ms.append(1e3 * (time.perf_counter() - begin))
print(json.dumps(ms), flush=True)
"""


def write_at_once(
    places: dict[str, str], passwords: dict[str, str], n_clips: int, pause_s: float = 0.0
) -> tuple[np.ndarray, float]:
    """Let annotators write at once; return milliseconds of all commits, and seconds until the last was done."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, place, name, str(n_clips), str(N_KEYS), str(pause_s)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PGPASSWORD": passwords.get(name, "")},
        )
        for name, place in places.items()
    ]  # fmt: skip
    try:
        for writer in writers:
            if writer.stdout is None or writer.stdout.readline() != "ready\n":
                raise RuntimeError("a writer did not start")
        begin = time.perf_counter()
        for writer in writers:
            if writer.stdin is not None:
                writer.stdin.write("go\n")
                writer.stdin.flush()
        ms = [json.loads(writer.stdout.readline()) for writer in writers if writer.stdout is not None]
        return np.concatenate([np.array(one) for one in ms]), time.perf_counter() - begin
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()


def count_wrong(places: list[str], names: list[str], n_clips: int) -> int:
    """Return how many labels and steps are missing or there more than once."""
    labels, steps = read_labels(places), read_log(places, "steps")
    said = labels[labels["annotator_id"].isin(names)].groupby(["annotator_id", "clip_id"]).size()
    made = steps[steps["annotator_id"].isin(names)].groupby(["annotator_id", "clip_id", "after"]).size()
    n_labels, n_steps = len(names) * n_clips, len(names) * n_clips * N_KEYS
    return int((said != 1).sum() + abs(len(said) - n_labels) + (made != 1).sum() + abs(len(made) - n_steps))


@contextlib.contextmanager
def _files(names: list[str]) -> Iterator[tuple[dict[str, str], dict[str, str], list[str]]]:
    # Beside the user's files, not in /tmp, which may be memory and would make a sync free.
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".label-writers-") as folder:
        places = {name: str(Path(folder) / f"{name}.sqlite") for name in names}
        yield places, {}, []


@contextlib.contextmanager
def _database(names: list[str]) -> Iterator[tuple[dict[str, str], dict[str, str], list[str]]]:
    with postgres_server() as server:
        server.sql("CREATE ROLE lab LOGIN CREATEROLE PASSWORD 'lab'")
        server.sql("CREATE DATABASE study OWNER lab")
        before = {name: os.environ.get(name) for name in ("PGUSER", "PGPASSWORD")}
        os.environ.update(PGPASSWORD="lab")
        os.environ.pop("PGUSER", None)
        try:
            lab = server.address("study", "lab")
            init_database(lab)
            passwords = {name: add_annotator(lab, name).password for name in names}
            yield dict.fromkeys(names, server.address("study")), passwords, [lab]
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Write and return one dictionary per figure."""
    n_clips = 12 if quick else N_CLIPS
    names = [f"a{number:02d}" for number in range(1, N_ANNOTATORS + 1)]
    figures = []
    for what, opened in (("SQLite files", _files), ("PostgreSQL", _database)):
        with opened(["alone", *names]) as (places, passwords, merged):
            everyone = {name: places[name] for name in names}
            ms, seconds = write_at_once(everyone, passwords, n_clips)
            n_wrong = count_wrong(merged or list(everyone.values()), names, n_clips)
            alone_ms, _ = write_at_once({"alone": places["alone"]}, passwords, 5, PAUSE_S)
            paced_ms, _ = write_at_once(everyone, passwords, 5, PAUSE_S)
        n_labels = N_ANNOTATORS * n_clips
        p95_ms = float(np.percentile(paced_ms, 95))
        figures += [
            figure(
                f"labels and steps missing or doubled, {N_ANNOTATORS} annotators at once, {what}", n_wrong, "rows",
                baseline="labels written", baseline_value=n_labels, target="0 rows", met=n_wrong == 0,
            ),
            figure(
                f"commits a second, {N_ANNOTATORS} annotators at once, {what}", len(ms) / seconds, "1/s",
                baseline="what eight people at that pace need", baseline_value=N_ANNOTATORS * N_KEYS / 5.0,
            ),
            figure(
                f"commit p95, {N_ANNOTATORS} annotators at twice people's pace, {what}", p95_ms, "ms",
                baseline="one annotator alone, p95", baseline_value=float(np.percentile(alone_ms, 95)),
                target=f"< {COMMIT_P95_MS:g} ms", met=p95_ms < COMMIT_P95_MS,
            ),
        ]  # fmt: skip
    return figures


if __name__ == "__main__":
    for line in run():
        print(json.dumps(line))
