"""Label store: SIGKILL at random moments, and what of the acknowledged work is there afterwards.

A writer does what the annotation tool does: it commits a label, a mark and steps in
one transaction and says so as soon as the call returns; it is killed at a random
moment; the next one goes on in the same file. Looked for afterwards: every
acknowledged row, no half transaction, an unbroken chain of supersessions.

A kill is not a power cut: what the operating system holds survives it. That a commit
reaches the disk is SQLite's full sync (tests/data_schema/labels/test_store.py).

Run it: python -m benchmarks label_kills
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from benchmarks.figure import figure
from data_schema.labels import read_labels, read_log

#: Imports once, then forks a writer for each line that it reads: a start would take longer than a round.
_FORKS = """
import os, sys
from pathlib import Path
from data_schema.labels import Judged, Label, LabelStore, Mark, Step, TakenBack

SHA = "ab" * 32

def work(path, name):
    store = LabelStore.open(path, "a01")
    os.write(1, b"open\\n")
    for number in range(10**6):
        clip = f"clip-{name}-{number % 7}"
        about = Judged(clip, SHA, "er")
        entries = [
            Label(clip, SHA, "er", emotion="fear", comment="x" * (number * 37 % 900)),
            Mark(about, "apex", number, number),
            Step(about, f"{name}.{number}", "commit", "{}", '{"n": 3}'),
        ]
        row_ids = store.write(entries)
        os.write(1, f"ack {name}.{number} {' '.join(row_ids)}\\n".encode())  # from here on it must not be lost
        if number % 5 == 4:
            (row_id,) = store.write([TakenBack(row_ids[0])])
            os.write(1, f"ack undo {row_id}\\n".encode())

for line in sys.stdin:
    name = line.strip()
    writer = os.fork()
    if writer == 0:
        work(Path(sys.argv[1]), name)
    os.write(1, f"writer {writer}\\n".encode())
    _, status = os.waitpid(writer, 0)
    os.write(1, f"ended {status}\\n".encode())
"""


@dataclass(frozen=True)
class Kills:
    """What was found after all kills."""

    n_kills: int
    n_acknowledged: int
    n_lost: int
    n_half: int
    n_unacknowledged: int
    n_broken_chains: int


def kill_many(folder: Path, n_kills: int, seed: int = 0) -> Kills:
    """Kill `n_kills` writers of one label file at random moments and look at what they left."""
    path, rng = folder / "a01.sqlite", random.Random(seed)
    acknowledged: set[str] = set()
    forks = subprocess.Popen(
        [sys.executable, "-c", _FORKS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        if forks.stdin is None or forks.stdout is None:
            raise RuntimeError("no pipes to the writers")
        for number in range(n_kills):
            forks.stdin.write(f"{number}\n")
            forks.stdin.flush()
            acknowledged |= _one_round(forks.stdout, rng)
    finally:
        forks.kill()
        forks.wait(timeout=30)
        for pipe in (forks.stdin, forks.stdout):
            if pipe is not None:
                pipe.close()
    return _judge(path, n_kills, acknowledged)


def _one_round(output: IO[str], rng: random.Random) -> set[str]:
    """Let one writer work for a random number of commits, kill it, and return what it acknowledged."""
    # At 0 the kill falls into making or opening the file.
    n_before, extra_s = rng.randrange(0, 12), rng.uniform(0, 0.008)
    acknowledged: set[str] = set()
    n_seen, writer, is_killed = 0, 0, False
    for line in output:
        word, *rest = line.split()
        if word == "writer":
            writer = int(rest[0])
        elif word == "ended":
            if int(rest[0]) != signal.SIGKILL:
                raise RuntimeError(f"a writer ended by itself: status {rest[0]}")
            return acknowledged
        elif word == "ack":
            acknowledged.update(rest[1:])
            n_seen += 1
        if writer and not is_killed and n_seen >= n_before:
            time.sleep(extra_s)  # anywhere in the next commit
            os.kill(writer, signal.SIGKILL)
            is_killed = True
    raise RuntimeError("the writers' parent ended")


def _judge(path: Path, n_kills: int, acknowledged: set[str]) -> Kills:
    labels, marks, steps = read_labels([path]), read_log([path], "marks"), read_log([path], "steps")
    present = {*labels["row_id"], *marks["row_id"], *steps["row_id"]}
    # A transaction is a label, a mark and a step; each of its rows names the clip and its number.
    n_half = abs(len(marks) - len(steps)) + abs(len(marks) - int((labels["action"] == "label").sum()))
    known = set(labels["row_id"])
    superseded = labels["supersedes"].dropna()
    n_tips = len(known - set(superseded))
    n_broken = int((~superseded.isin(known)).sum()) + int(superseded.duplicated().sum())
    n_broken += n_tips - labels["clip_id"].nunique()
    return Kills(n_kills, len(acknowledged), len(acknowledged - present), n_half, len(present - acknowledged), n_broken)


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Kill and return one dictionary per figure."""
    n_kills = 100 if quick else 1000
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".label-kills-") as name:
        found = kill_many(Path(name), n_kills)
    return [
        figure(
            f"acknowledged rows lost to {n_kills} kills", found.n_lost, "rows",
            baseline="rows acknowledged", baseline_value=found.n_acknowledged, target="0 rows", met=found.n_lost == 0,
        ),
        figure(
            f"half transactions and broken chains after {n_kills} kills", found.n_half + found.n_broken_chains, "rows",
            baseline="rows that were on their way", baseline_value=found.n_unacknowledged, target="0 rows",
            met=found.n_half + found.n_broken_chains == 0,
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    for line in run():
        print(json.dumps(line))
