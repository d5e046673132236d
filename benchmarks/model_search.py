"""Search for the default model over planted worlds, and guard it.

    python -m benchmarks model_search --quick            the guard: three worlds, one fold
    python -m benchmarks.model_search --out search.jsonl  --worlds averages,order --models stack,emert --folds 2
    python -m benchmarks.model_search --out search.jsonl  --table

The long form appends one line of JSON a world, seed, fold and candidate (what was predicted for each test clip), goes on where it
was stopped, and prints WAR, UAR and WAR on masked clips, with intervals over participants, and mean ranks. A candidate is a
model of `emer_model.registry`, with ``+name=value`` for settings of a run or arguments of the model. Everything is simulated.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.figure import figure
from benchmarks.worlds import WORLDS, World, make_world
from benchmarks.worlds.in_memory import WorldExport, subject_splits

TARGET = "er_emotion"
#: Worlds of the guard, quick to fit and far apart.
GUARD_WORLDS = ("small", "averages", "fixations")
N_FOLDS = 5
#: The faithful EMERT on features that the world gives: it has no pictures to train a backbone on.
FAITHFUL = "emert-reference+face_training=frozen+bgr=false+epochs=15"


def run(quick: bool = False) -> Iterator[dict[str, Any]]:
    """Compare the default model with the faithful EMERT on planted worlds."""
    from emer_model.registry import DEFAULT_MODEL

    for name in GUARD_WORLDS[:1] if quick else GUARD_WORLDS:
        world = make_world(name)
        table = pd.DataFrame([judge(world, candidate, 0) for candidate in (DEFAULT_MODEL, FAITHFUL, "plain-stack")])
        uar = {
            row["candidate"]: _pooled(table[table["candidate"] == row["candidate"]])["uar"]
            for _, row in table.iterrows()
        }
        yield figure(
            f"UAR of the default model, {TARGET}, simulated world '{name}', one fold",
            uar[DEFAULT_MODEL],
            "share",
            baseline=FAITHFUL,
            baseline_value=uar[FAITHFUL],
        )
        yield figure(
            f"UAR of the plain stack, {TARGET}, simulated world '{name}', one fold",
            uar["plain-stack"],
            "share",
        )


def judge(world: World, candidate: str, fold: int, seed: int = 0) -> dict[str, Any]:
    """Train a candidate on a fold of a world and predict the test clips.

    Parameters
    ----------
    world : World
    candidate : str
        Such as ``stack`` or ``eyeface+epochs=20+pooling=mean``.
    fold : int
    seed : int
        Of the training.

    Returns
    -------
    dict
        ``world``, ``world_seed``, ``fold``, ``candidate``, ``seconds``, ``epochs``, and of the test clips ``clips``
        (places in the world), ``probabilities`` (per mille).
    """
    import torch

    from benchmarks.plain_stack import PlainStack
    from data_schema.exports.protocols import PROTOCOLS
    from emer_model.data.store import ClipStore
    from emer_model.data.targets import protocol_targets, target
    from emer_model.registry import find_model, is_network
    from emer_model.training.config import RunConfig
    from emer_model.training.deep_member import network_fitter
    from emer_model.training.fitting import fit_network
    from emer_model.training.learning import pretrain_eyes, soft_targets
    from emer_model.training.plan import FoldPlan
    from emer_model.training.prediction import predict

    torch.set_num_threads(1)
    config = _configure(candidate, RunConfig)
    export, faces = WorldExport(world), world.arrays["face_features"]
    split = subject_splits(export, N_FOLDS, world.seed)[fold]
    names = [name for name in world.labels if name != TARGET]
    wanted = names if config.auxiliary_targets == ("all",) else [n for n in names if n in config.auxiliary_targets]
    plan = FoldPlan(
        ClipStore(export, images=False, face_features=faces),
        export.targets,
        config,
        None,  # nothing is stored
        torch.device("cpu"),
        {"width": faces.shape[2]},
        protocol_targets(PROTOCOLS["er-7"]),
        tuple(target(name) for name in wanted),
    )
    began, epochs = time.perf_counter(), 0
    if config.model != PlainStack.name and is_network(config.model):
        torch.manual_seed(seed)
        network, _ = plan.build_network()
        data = plan.data(split, tuple(network.inputs))
        fitted = fit_network(
            network,
            data.dataset("train"),
            data.dataset("validation"),
            plan.targets,
            config,
            seed,
            auxiliary=plan.auxiliary,
            soft=soft_targets(plan, split) if config.distillation else None,
            pretrain=(lambda model: pretrain_eyes(model, plan.unlabelled(split), config, seed))
            if config.pretrain_epochs
            else None,
        )
        model, epochs = fitted.network, len(fitted.rows)
    else:
        recipe = PlainStack()
        if config.model != PlainStack.name:
            recipe = find_model(config.model).with_arguments(config.model_arguments)
        if config.refit:
            split = dataclasses.replace(split, train=split.train + split.validation)
        data = plan.data(split, tuple(recipe.inputs))
        lent = network_fitter(plan)
        model = recipe.fit(data.arrays("train"), plan.targets, seed=seed, config=config, fit_network=lent)
    seconds = time.perf_counter() - began
    answers = predict(model, data.dataset("test"), 64, torch.device("cpu"))[TARGET]
    return {
        "world": world.name,
        "world_seed": world.seed,
        "fold": fold,
        "candidate": candidate,
        "seed": seed,
        "seconds": round(seconds, 1),
        "epochs": epochs,
        "clips": data.parts["test"].tolist(),
        "probabilities": np.round(1000 * answers).astype(int).tolist(),
    }


def _configure(candidate: str, kind: Any) -> Any:
    """Read ``model+name=value``; what is no setting of a run is an argument of the model."""
    model, *changes = candidate.split("+")
    settings: dict[str, Any] = {}
    arguments: dict[str, Any] = {}
    fields = {field.name for field in dataclasses.fields(kind)}
    for change in changes:
        name, _, text = change.partition("=")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        (settings if name in fields else arguments)[name] = tuple(value) if isinstance(value, list) else value
    if model == "plain-stack":
        return kind("er-7", model, auxiliary_targets=("all",), **settings)
    return kind.of("er-7", model, model_arguments=arguments, **settings)


def _pooled(rows: pd.DataFrame) -> dict[str, float]:
    """Compute the figures of the test clips of all folds of a candidate in a world, with intervals over participants."""
    hits: list[pd.DataFrame] = []
    for _, row in rows.iterrows():
        world = make_world(row["world"], row["world_seed"])
        clips = np.array(row["clips"])
        table = np.array(row["probabilities"])
        true = world.felt[clips]
        chance = np.maximum(table, 0.5) / np.maximum(table, 0.5).sum(axis=1, keepdims=True)
        hits.append(
            pd.DataFrame(
                {
                    "who": world.participants[clips],
                    "true": true,
                    "right": table.argmax(axis=1) == true,
                    "masked": world.shown[clips] != true,
                    "loss": -np.log(chance[np.arange(len(true)), true]),
                }
            )
        )
    clips_of_all = pd.concat(hits, ignore_index=True)
    whole = _figures(clips_of_all)
    rng = np.random.default_rng(0)
    groups = dict(list(clips_of_all.groupby("who")))
    people = sorted(groups)
    drawn = pd.DataFrame(
        [
            _figures(pd.concat([groups[people[i]] for i in rng.integers(0, len(people), len(people))]))
            for _ in range(200)
        ]
    )
    for name in ("war", "uar", "masked"):
        whole[f"{name}_low"], whole[f"{name}_high"] = np.nanpercentile(drawn[name], [2.5, 97.5])
    return whole


def _figures(clips: pd.DataFrame) -> dict[str, float]:
    return {
        "war": float(clips["right"].mean()),
        "uar": float(clips.groupby("true")["right"].mean().mean()),
        "masked": float(clips.loc[clips["masked"], "right"].mean()),
        "loss": float(clips["loss"].mean()),
    }


def summarise(lines: pd.DataFrame) -> pd.DataFrame:
    """Return one row a world and candidate, over the folds that all candidates of the world share."""
    rows = []
    for world, part in lines.groupby("world", sort=False):
        counts = part.groupby(["world_seed", "fold"])["candidate"].nunique()
        shared = counts[counts == part["candidate"].nunique()].index
        common = part.set_index(["world_seed", "fold"]).loc[lambda t, s=shared: t.index.isin(s)].reset_index()
        for candidate, own in common.groupby("candidate", sort=False):
            rows.append(
                {
                    "world": world,
                    "candidate": candidate,
                    "folds": len(own),
                    "seconds": own["seconds"].mean(),
                    **_pooled(own),
                }
            )
    return pd.DataFrame(rows)


def main(argv: list[str] | None = None) -> int:
    """Run candidates over worlds, or print what was found."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.model_search", description="Judge models on planted worlds."
    )
    parser.add_argument("--out", type=Path, required=True, help="lines of JSON, appended to")
    parser.add_argument("--worlds", default=",".join(WORLDS), help="names with commas between")
    parser.add_argument("--models", default="", help="candidates with commas between, such as stack,eyeface+epochs=20")
    parser.add_argument("--folds", type=int, default=2, help=f"of {N_FOLDS}")
    parser.add_argument("--seeds", type=int, default=1, help="worlds of each name")
    parser.add_argument("--table", action="store_true", help="print what the lines say, train nothing")
    arguments = parser.parse_args(argv)
    done = set()
    if arguments.out.is_file():
        for line in arguments.out.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            done.add((row["world"], row["world_seed"], row["fold"], row["candidate"]))
    candidates = [name for name in arguments.models.split(",") if name]
    for name in [] if arguments.table else arguments.worlds.split(","):
        for world_seed in range(arguments.seeds):
            world = make_world(name, world_seed)
            for fold in range(arguments.folds):
                for candidate in candidates:
                    if (name, world_seed, fold, candidate) in done:
                        continue
                    row = judge(world, candidate, fold)
                    with arguments.out.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
                    print(f"{name} {world_seed} fold {fold} {candidate}: {row['seconds']} s", flush=True)
    if arguments.out.is_file():
        lines = pd.DataFrame([json.loads(line) for line in arguments.out.read_text(encoding="utf-8").splitlines()])
        wanted = lines["world"].isin(arguments.worlds.split(","))
        if candidates:
            wanted &= lines["candidate"].isin(candidates)
        print_table(summarise(lines[wanted]))
    return 0


def print_table(table: pd.DataFrame) -> None:
    """Print each world's figures and the means and mean ranks over worlds."""
    for world, part in table.groupby("world", sort=False):
        print(
            f"\n{world} (simulated, {int(part['folds'].iloc[0])} folds): WAR [95 %] / UAR [95 %] / WAR on masked clips / loss"
        )
        for _, row in part.sort_values("uar", ascending=False).iterrows():
            print(
                f"  {row['candidate']:48s} {row['war']:.3f} [{row['war_low']:.2f} {row['war_high']:.2f}]"
                f"  {row['uar']:.3f} [{row['uar_low']:.2f} {row['uar_high']:.2f}]  {row['masked']:.3f}  {row['loss']:.2f}"
                f"  {row['seconds']:.0f} s"
            )
    n_worlds = table["world"].nunique()
    everywhere = table.groupby("candidate").filter(lambda rows: len(rows) == n_worlds)
    ranked = everywhere.assign(
        **{f"rank_{name}": everywhere.groupby("world")[name].rank(ascending=False) for name in ("war", "uar", "masked")}
    )
    columns = ["war", "uar", "masked", "loss", "rank_war", "rank_uar", "rank_masked", "seconds"]
    means = ranked.groupby("candidate")[columns].mean().sort_values("rank_uar")
    print(f"\nmeans over {n_worlds} worlds\n{means.round(3).to_string()}")


if __name__ == "__main__":
    raise SystemExit(main())
