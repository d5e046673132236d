"""The loop of active-learning-based annotation: predict, order the queue, label, train again."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("skactiveml", reason="needs scikit-activeml")

from annotation.active_learning import StudyGuesses
from annotation.items import Block, Item
from benchmarks.label_queries import Curve, ask_in_rounds, labels_needed, make_pool, mean_curve
from benchmarks.worlds.world import make_world
from data_schema.cli import main
from data_schema.exports.label_tables import annotator_labels, target_table
from data_schema.labels import LabelStore, read_labels
from data_schema.labels.raters import PlantedTruth, SimulatedRater, rater_id
from data_schema.study.sections import AnnotationSection, LabelsSection
from data_schema.vocabularies import EMOTIONS, AnnotatorKind
from emer_model.training import RunConfig, train
from emer_model.training.run_folder import RunFolder


def test_labels_that_the_queue_asked_for_teach_the_next_model(tiny_export: Path, fixture, tmp_path: Path) -> None:
    """Through the files of each room: run, guesses_er.parquet, label file, targets.parquet, run."""
    export, labels = tmp_path / "export", tmp_path / "labels" / "sim-01.sqlite"
    shutil.copytree(tiny_export, export)
    labels.parent.mkdir()
    clips = pd.read_parquet(export / "clips.parquet")
    truth = pd.read_parquet(export / "targets.parquet").set_index("clip_id")
    hashes = dict(zip(clips["clip_id"], clips["session_sha256"], strict=True))
    drawn = [str(name) for name in np.random.default_rng(0).permutation(clips["clip_id"])]
    items = [Item(f"i{k:02d}", name, hashes[name], "er", 0, Block.MAIN, k) for k, name in enumerate(drawn)]
    rater = SimulatedRater.draw(rater_id(1), 0)
    config = RunConfig.of(protocol="er-7", model="logistic-eye", allow_missing_classes=True, model_arguments={})
    queue, done, learned = items, [], []
    for turn in range(2):
        asked = [item for item in queue if item.clip_id not in done][: 24 if turn == 0 else 6]
        with LabelStore.open(labels, rater.annotator_id, AnnotatorKind.SIMULATED.value) as store:
            for item in asked:
                planted = PlantedTruth(*truth.loc[item.clip_id, ["er_emotion", "er_valence", "er_arousal"]], 1.0)
                label = rater.judge(
                    item.clip_id, item.clip_sha256, "er", planted, emotions=EMOTIONS, may_leave_out=False
                )
                assert label is not None
                store.add(label)
        done += [item.clip_id for item in asked]
        holds = annotator_labels(read_labels([labels]), clips)
        fixture.change_targets(
            export,
            lambda old, holds=holds: target_table(holds, [], old["clip_id"].tolist(), "annotators").assign(
                er_n_raters=3
            ),
        )
        run = tmp_path / f"run-{turn}"
        train(export, run, config, device="cpu", threads=1)
        learned.append(set(RunFolder(run).predictions()["clip_id"]))
        arguments = ["predict", str(run), "--guesses", str(tmp_path / "annotation"), "--device", "cpu", "--force"]
        assert main(arguments) == 0
        guesses = StudyGuesses.of_study(tmp_path / "annotation", "er", AnnotationSection(), LabelsSection(), 7)
        assert guesses is not None
        finished = {item.item_id for item in items if item.clip_id in done}
        queue = list(guesses.order(items, finished))
        open_clips = [item.clip_id for item in queue if item.clip_id not in done]
        doubt = guesses.table.loc[open_clips, "mutual_information"].to_numpy()
        assert len(open_clips) == 42 - len(done) and (np.diff(doubt) <= 0).all() and doubt[0] > doubt[-1]
    skipped = {name for name in done if name not in learned[-1]}
    assert len(skipped) <= 2 and learned[0] < learned[1], "the second model learned from what the first one asked for"


def test_asking_where_models_disagree_needs_fewer_labels_than_chance() -> None:
    """Simulated, two seeds; the whole comparison with its intervals is ``python -m benchmarks label_queries``."""
    curves: dict[str, list[Curve]] = {"random": [], "disagreement": []}
    for seed in range(2):
        pool = make_pool(make_world("faces", seed), task="fer", seed=seed)
        for name, found in curves.items():
            found.append(ask_in_rounds(pool, name, batch=60, seed=seed))
    chance, asked = (mean_curve(curves[name]) for name in ("random", "disagreement"))
    assert asked.uar[0] == chance.uar[0], "both begin with the same labels"
    assert asked.area > chance.area + 0.005
    assert labels_needed(asked, float(chance.uar[-1])) < 400
