"""Plant worlds, export them, train models on them, and write the table of ``docs/planted_results.md``.

    python -m benchmarks.planted_table                        three seeds at full size: hours
    python -m benchmarks.planted_table --quick                a small world and two models: two minutes
    python -m benchmarks.planted_table --models stack "emert --epochs 30" --seeds 0

Worlds, exports and runs are kept in the work folder and used again: a second call trains what is new, and goes on where the
first was stopped. Each step is the `emer` command that a user would type. Figures are over the test folds of all seeds together;
intervals come from a bootstrap over all participants, differences from the same resamples.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import pandas as pd

from collection.simulation.planted_study import WORLD_NAME
from collection.simulation.world import World

EMER = [sys.executable, "-c", "from data_schema.cli import run; run()"]
PROJECT = Path(__file__).resolve().parent.parent
#: What is trained by default: models, and settings behind their names. The reference's own face training takes days without a
#: GPU, so its network gets the same face features as all others here; all else is as the reference trains.
_EPOCHS = "--epochs 15 --patience 15"
MODELS = (
    "majority",
    "logistic-face",
    "logistic-eye",
    "stack",
    "eyeface",
    # Its 1e-4 for 200 epochs is meant for a pretrained face encoder; ten times that learns in 15 epochs on these features.
    f"emert-reference --face-backbone descriptor --face-training frozen --set bgr=false --learning-rate 0.001 {_EPOCHS}",
)
#: What is trained on the first world alone.
SLOW_MODELS = ("late-fusion", "extra-trees-both", f"emert {_EPOCHS}")
QUICK_MODELS = ("majority", "logistic-eye")
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Planted:
    """A world that is planted and exported."""

    seed: int
    root: Path

    @property
    def export(self) -> Path:
        return self.root / "exports" / "training"


def main(argv: Sequence[str] | None = None) -> int:
    """Write the table; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planted_table", description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, default=Path("planted_worlds"), help="where worlds and runs are kept")
    parser.add_argument(
        "--out", type=Path, help="page to write; docs/planted_results.md, with --quick in the work folder"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=None, help="seeds of the worlds; 0 1 2 by default")
    parser.add_argument("--models", nargs="+", default=None, help="names, with options of `emer train` behind them")
    parser.add_argument("--slow-models", nargs="*", default=None, help="those of the first world alone")
    parser.add_argument("--protocols", default="er-7,fer-7", help="as in `emer train --protocol`")
    parser.add_argument(
        "--against", default=None, help="whom all are compared with; the default model if it is among them"
    )
    parser.add_argument("--workers", type=int, default=0, help="processes that plant and export; 0 for one a core")
    parser.add_argument("--threads", type=int, default=0, help="threads of the training; 0 for `emer train`'s default")
    parser.add_argument("--quick", action="store_true", help="a small world, one seed, two models")
    asked = parser.parse_args(argv)
    models = tuple(asked.models or (QUICK_MODELS if asked.quick else MODELS))
    slow = tuple(asked.slow_models if asked.slow_models is not None else (() if asked.quick else SLOW_MODELS))
    seeds = tuple(asked.seeds or (SEEDS[:1] if asked.quick else SEEDS))
    out = asked.out or (asked.work / "planted_results.md" if asked.quick else PROJECT / "docs" / "planted_results.md")
    began_s = time.monotonic()
    worlds = [_plant(asked.work, _world(seed, asked.quick), asked.workers) for seed in seeds]
    for world in worlds:
        for model in models:
            _train(world, model, asked.protocols, asked.threads)
    for model in slow:
        _train(worlds[0], model, asked.protocols, asked.threads)
    text = _page(
        worlds, models, slow, asked.against, " ".join(["python -m benchmarks.planted_table", *(argv or sys.argv[1:])])
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8", newline="\n")
    _say(f"{out} ({time.monotonic() - began_s:.0f} s)")
    return 0


def _world(seed: int, quick: bool) -> World:
    if quick:
        return World(seed=seed, participants=9, clips=90, clip_s=2.0, gap_s=1.0, imbalance=1.5, annotators=3)
    return World(seed=seed)


def _plant(work: Path, world: World, workers: int) -> Planted:
    """Plant and export a world, unless the work folder holds it."""
    root = work / f"p{world.participants}_c{world.clips}_s{world.seed}"
    known = root / WORLD_NAME
    if known.is_file() and json.loads(known.read_text(encoding="utf-8")) != world.as_json():
        raise SystemExit(f"error: {root} holds another world. Name another folder with --work, or delete it.")
    if not known.is_file():
        options = [
            part for name, value in asdict(world).items() for part in (f"--{name.replace('_', '-')}", repr(value))
        ]
        _emer("plant", str(root), *options, "--workers", str(workers))
    planted = Planted(world.seed, root)
    if not (planted.export / "manifest.json").is_file():
        _emer("export", "training", str(root), str(planted.export), "--workers", str(workers))
    return planted


def _run_of(world: Planted, model: str) -> Path:
    return world.root / "models" / "".join(mark if mark.isalnum() or mark in "-." else "_" for mark in model)


def _train(world: Planted, model: str, protocols: str, threads: int) -> None:
    name, *options = shlex.split(model)
    further = ["--threads", str(threads)] if threads else []
    run = _run_of(world, model)
    _emer(
        "train", str(world.export), "--protocol", protocols, "--model", name, "--out", str(run),
        "--seed", str(world.seed), *options, *further,
    )  # fmt: skip


def _emer(*arguments: str) -> None:
    _say("$ emer " + shlex.join(arguments))
    began_s = time.monotonic()
    done = subprocess.run([*EMER, *arguments], stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise SystemExit(f"error: that command ended with exit code {done.returncode}; what is done already is kept")
    _say(f"  {time.monotonic() - began_s:.1f} s")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# -- the page ---------------------------------------------------------------------------------


def gather(worlds: Sequence[Planted], model: str) -> pd.DataFrame:
    """Return a model's predictions on the test folds of all worlds; people and clips of other worlds are other ones."""
    tables = []
    for world in worlds:
        table = pd.read_parquet(_run_of(world, model) / "predictions.parquet")
        tables.append(_apart(table, world, "clip_id", "participant"))
    return pd.concat(tables, ignore_index=True)


def _apart(table: pd.DataFrame, world: Planted, *columns: str) -> pd.DataFrame:
    return table.assign(**{name: f"w{world.seed}-" + table[name].astype(str) for name in columns})


def _page(
    worlds: Sequence[Planted], models: Sequence[str], slow: Sequence[str], against: str | None, command: str
) -> str:
    from emer_model.evaluation.bootstrap import LEVEL
    from emer_model.registry import DEFAULT_MODEL

    chosen = against or (DEFAULT_MODEL if DEFAULT_MODEL in models else models[-1])
    if chosen not in models:
        raise SystemExit(f"error: --against {chosen}: is not among --models {', '.join(models)}")
    clips = pd.concat([pd.read_parquet(world.export / "clips.parquet") for world in worlds], ignore_index=True)
    parts = [_HEAD.format(
        command=command, day=date.today().isoformat(), n_worlds=len(worlds),
        seeds=", ".join(str(world.seed) for world in worlds), n_clips=len(clips),
        n_people=sum(pd.read_parquet(world.export / "clips.parquet")["participant"].nunique() for world in worlds),
        python=platform.python_version(), machine=platform.machine(), level=f"{LEVEL:.0%}",
    )]  # fmt: skip
    parts += _tables(worlds, models, chosen)
    if slow:
        parts.append(f"\n# The first world alone (simulated; seed {worlds[0].seed}): what takes longer to train\n")
        parts += _tables(worlds[:1], (chosen, *slow), chosen)
    return "\n".join(parts)


def _tables(worlds: Sequence[Planted], models: Sequence[str], chosen: str) -> list[str]:
    """Compare models over some worlds; one table a target."""
    from emer_model.data.targets import target
    from emer_model.evaluation.alignment import Contender
    from emer_model.evaluation.comparison import compare_runs
    from emer_model.evaluation.gap import masked_clips

    contenders = [Contender(model, (gather(worlds, model),)) for model in (chosen, *(m for m in models if m != chosen))]
    names = list(dict.fromkeys(contenders[0].tables[0]["target_name"]))
    targets = pd.concat(
        [_apart(pd.read_parquet(world.export / "targets.parquet"), world, "clip_id") for world in worlds],
        ignore_index=True,
    )
    compared = compare_runs(contenders, [target(name) for name in names], masked_clips(targets), by_fold=False)
    parts = []
    for name in names:
        metrics = ("war", "uar") if target(name).classes else ("ccc", "mae")
        parts.append(_section(name, metrics, chosen, models, compared.figures, compared.differences))
    return parts


_HEAD = """\
# Models on the planted world (simulated)

**All of this is simulated: {n_people} people who do not exist, in {n_worlds} planted world(s) (seeds {seeds}; {n_clips} clips).
It compares models on a world whose rules we wrote ([The planted world](planted.md)). It is no result about people.**

Made by `{command}` on {day} (CPython {python}, {machine}). Nobody edits this page. Folds are
subject-independent; a fold's test people were used for no choice. Figures are over the test folds of all worlds together;
{level} intervals from a bootstrap over people. "Masked" are clips whose ER and FER labels differ.
"""


def _section(
    name: str,
    metrics: tuple[str, str],
    chosen: str,
    models: Sequence[str],
    figures: pd.DataFrame,
    differences: pd.DataFrame,
) -> str:
    """Return one target's table: figures of all clips and of the masked ones, and the difference from `chosen`."""
    first, second = metrics
    columns = (("pooled", first), ("pooled", second), ("masked", first))
    head = [f"{metric.upper()}{' on masked clips' if part == 'masked' else ''}" for part, metric in columns]
    lines = [
        f"\n## {name}\n",
        f"| Model | {' | '.join(head)} | {second.upper()} less that of {chosen} |",
        "|---" * 5 + "|",
    ]
    mine = figures[figures["target_name"] == name].set_index(["run", "part", "metric"])
    away = differences[(differences["target_name"] == name) & differences["fold"].isna()]
    away = away[away["part"] == "pooled"].set_index(["run", "metric"])
    for model in models:
        cells = [_cell(mine, (model, part, metric), "value") for part, metric in columns]
        cells.append("" if model == chosen else _cell(away, (model, second), "difference", signed=True))
        lines.append(f"| `{model}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(table: pd.DataFrame, key: tuple[str, ...], value: str, signed: bool = False) -> str:
    if key not in table.index:
        return ""
    row = table.loc[key]
    if pd.isna(row[value]):
        return "–"
    form = "+.3f" if signed else ".3f"
    return f"{row[value]:{form}} ({row['low']:{form}} to {row['high']:{form}})"


if __name__ == "__main__":
    sys.exit(main())
