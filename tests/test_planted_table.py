"""The table of planted worlds says that it is simulated, keeps worlds apart, and gives every figure an interval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_schema.vocabularies import EMOTIONS

pytest.importorskip("torch", reason="needs torch")
PROJECT = Path(__file__).resolve().parents[1]
MODELS = ("good", "poor --epochs 3")


def _write_world(root: Path, seed: int) -> None:
    """Write what an export and two runs leave of twelve people with six clips each: one run is right, the other on the half."""
    rng = np.random.default_rng(seed)
    clips = [(f"P{person:03d}", f"sub-P{person:03d}_trial-{trial}") for person in range(12) for trial in range(6)]
    felt = rng.choice(EMOTIONS, len(clips))
    shown = np.where(rng.random(len(clips)) < 0.4, "neutral", felt)
    (root / "exports" / "training").mkdir(parents=True)
    table = pd.DataFrame(clips, columns=["participant", "clip_id"])
    table.to_parquet(root / "exports" / "training" / "clips.parquet")
    pd.DataFrame({"clip_id": table["clip_id"], "er_emotion": felt, "fer_emotion": shown}).to_parquet(
        root / "exports" / "training" / "targets.parquet"
    )
    half = np.where(rng.random(len(clips)) < 0.5, felt, "anger")
    for name, said in (("good", felt), ("poor_--epochs_3", half)):
        run = root / "models" / name
        run.mkdir(parents=True)
        table.assign(fold=0, target_name="er_emotion", target=felt, prediction=said).to_parquet(
            run / "predictions.parquet"
        )


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PROJECT)
    from benchmarks import planted_table

    worlds = [planted_table.Planted(seed, tmp_path / f"w{seed}") for seed in (0, 1)]
    for world in worlds:
        _write_world(world.root, world.seed)
    assert planted_table.gather(worlds, "good")["participant"].nunique() == 24
    page = planted_table._page(worlds, MODELS, MODELS[1:], "good", "the command")
    page, alone = page.split("# The first world alone (simulated; seed 0)")
    assert f"| `{MODELS[1]}` |" in alone and "| `good` |" in alone
    assert "simulated" in page.splitlines()[0]
    assert "24 people who do not exist" in page and "`the command`" in page
    good, poor = (next(line for line in page.splitlines() if line.startswith(f"| `{model}`")) for model in MODELS)
    assert "1.000 (1.000 to 1.000)" in good
    assert poor.split("|")[5].strip().startswith("-0.")
    assert poor.count(" to ") == 4, "every figure has an interval"


def test_a_world_of_other_parameters_is_not_taken_for_the_one_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(PROJECT)
    from benchmarks import planted_table
    from collection.simulation.world import World

    folder = tmp_path / "p3_c9_s0"
    folder.mkdir()
    (folder / "planted.json").write_text('{"seed": 0}', encoding="utf-8")
    with pytest.raises(SystemExit, match="holds another world"):
        planted_table._plant(tmp_path, World(participants=3, clips=9), 1)
