"""Recipes: what they learn, what they do with missing things, and that a checkpoint's tensors are all they are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from data_schema.errors import TrainingError, UsageError
from emer_model.data.arrays import Arrays
from emer_model.data.targets import MISSING_CLASS, target
from emer_model.fitted import RECIPES, Stack

BY_NAME = {recipe.name: recipe for recipe in RECIPES if recipe.name != "eyeface-stack"}  # see test_eyeface_stack.py
TARGETS = (target("er_emotion"), target("er_valence"))
VIEWS = ("eye", "face", "both")
QUICK = (
    {"stack": {"trees": 10, "inner_folds": 3}, "late-fusion": {"inner_folds": 3}}
    | {f"extra-trees-{view}": {"trees": 20} for view in VIEWS}
    | {f"gradient-boosting-{view}": {"inner_folds": 2} for view in VIEWS}
    | {f"logistic-{view}": {"inner_folds": 3} for view in VIEWS}
)


def ask(model, clips: Arrays) -> dict[str, np.ndarray]:
    with torch.inference_mode():
        output = model(**{name: torch.from_numpy(clips.inputs[name]) for name in model.inputs})
    return {name: answer.numpy() for name, answer in output.targets.items()}


def quick(name: str):
    return BY_NAME[name].with_arguments(QUICK.get(name, {}))


def accuracy(answers: np.ndarray, labels: np.ndarray) -> float:
    return float((answers.argmax(axis=1) == labels).mean())


@pytest.fixture(scope="module")
def fitted(world):
    """Each recipe fitted once."""
    made: dict[str, object] = {}

    def get(name: str):
        if name not in made:
            made[name] = quick(name).fit(world, TARGETS, seed=0)
        return made[name]

    return get


@pytest.mark.parametrize("name", BY_NAME)
def test_a_model_is_its_tensors_and_answers_strangers(fitted, strangers, name):
    model = fitted(name)
    assert model.inputs == BY_NAME[name].inputs
    again = BY_NAME[name].build(**model.architecture).eval()
    again.load_state_dict(model.state_dict())
    first, second = ask(model, strangers), ask(again, strangers)
    for declared in TARGETS:
        assert first[declared.name].shape == (len(strangers), declared.n_outputs)
        assert np.isfinite(first[declared.name]).all()
        np.testing.assert_array_equal(first[declared.name], second[declared.name])
    np.testing.assert_allclose(np.exp(first["er_emotion"]).sum(axis=1), 1, atol=1e-4)
    chance = accuracy(ask(fitted("majority"), strangers)["er_emotion"], strangers.labels["er_emotion"])
    if name != "majority":
        assert accuracy(first["er_emotion"], strangers.labels["er_emotion"]) > chance + 0.15
        error = np.mean((first["er_valence"][:, 0] - strangers.labels["er_valence"]) ** 2)
        assert error < 0.95 * np.var(strangers.labels["er_valence"])


def test_the_stack_beats_its_parts_by_knowing_what_the_face_shows(fitted, strangers):
    """On masked clips above all: there the face alone misleads."""
    scores = {
        n: ask(fitted(n), strangers)["er_emotion"] for n in ("stack", "logistic-eye", "logistic-face", "late-fusion")
    }
    labels = strangers.labels["er_emotion"]
    masked = labels != strangers.labels["fer_emotion"]
    best = max(accuracy(scores[name], labels) for name in scores if name != "stack")
    assert accuracy(scores["stack"], labels) >= best - 0.02
    assert (
        accuracy(scores["stack"][masked], labels[masked])
        > accuracy(scores["logistic-face"][masked], labels[masked]) + 0.2
    )


def test_fitting_twice_gives_the_same_bits(world):
    stack = Stack(trees=5, inner_folds=2)
    first, second, other = (stack.fit(world, TARGETS[:1], seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    weights = "members.combined/er_emotion.combination.linear.weights"
    assert not torch.equal(first[weights], other[weights])


@pytest.mark.parametrize("name", ["stack", "late-fusion", "logistic-both", "gradient-boosting-eye"])
def test_out_of_fold_answers_are_as_good_as_those_for_strangers(fitted, world, strangers, name):
    """They are of the clips that were fitted to, by parts that had not seen their people: no better than for strangers."""
    model = fitted(name)
    own = model.out_of_fold["er_emotion"]
    assert own.shape == (len(world), 7)
    outside = accuracy(ask(model, strangers)["er_emotion"], strangers.labels["er_emotion"])
    assert abs(accuracy(own, world.labels["er_emotion"]) - outside) < 0.15
    assert not any("out_of_fold" in key for key in model.state_dict())


def test_a_person_without_eyes_or_face_is_answered_by_what_there_is(fitted, strangers):
    """No eyes: what the face says. No face: what the eyes say. Neither: near the training frequencies."""

    def blind(**there: bool) -> Arrays:
        inputs = dict(strangers.inputs)
        if not there["eyes"]:
            inputs |= {n: np.zeros_like(values) for n, values in inputs.items() if not n.startswith("face")}
        if not there["face"]:
            inputs |= {n: np.zeros_like(inputs[n]) for n in ("face_summary", "face_present")}
        return dataclasses.replace(strangers, inputs=inputs)

    labels = strangers.labels["er_emotion"]
    without_eyes, without_face, nothing = (
        blind(eyes=False, face=True),
        blind(eyes=True, face=False),
        blind(eyes=False, face=False),
    )
    for name in ("stack", "late-fusion"):
        assert accuracy(ask(fitted(name), without_eyes)["er_emotion"], labels) > 0.35
        assert accuracy(ask(fitted(name), without_face)["er_emotion"], labels) > 0.35
        empty = ask(fitted(name), nothing)
        assert np.ptp(empty["er_emotion"], axis=0).max() < 1e-5
    for name in ("logistic-eye", "extra-trees-eye", "gradient-boosting-eye"):
        shares = np.exp(ask(fitted(name), without_eyes)["er_emotion"])
        np.testing.assert_allclose(shares, 1 / 7, atol=0.01)  # the planted classes are of one size


@pytest.mark.parametrize("name", ["stack", "late-fusion", "logistic-both", "extra-trees-both", "majority"])
def test_labels_may_be_missing_and_a_class_may_never_occur(world, strangers, name):
    labels = dict(world.labels)
    felt = labels["er_emotion"].copy()
    felt[(felt == 6) | (np.arange(len(felt)) % 5 == 0)] = MISSING_CLASS
    shown = np.where(np.arange(len(felt)) % 3 == 0, MISSING_CLASS, labels["fer_emotion"])
    valence = labels["fer_valence"].copy()
    valence[::4] = np.nan
    clips = dataclasses.replace(
        world, labels=labels | {"er_emotion": felt, "fer_emotion": shown, "fer_valence": valence}
    )
    targets = (target("er_emotion"), target("fer_valence"))
    answers = ask(quick(name).fit(clips, targets, seed=0), strangers)
    probabilities = np.exp(answers["er_emotion"])
    assert (probabilities[:, 6] < 1e-3).all()
    assert np.isfinite(answers["fer_valence"]).all()
    if name != "majority":
        seen = strangers.labels["er_emotion"] != 6
        assert accuracy(answers["er_emotion"][seen], strangers.labels["er_emotion"][seen]) > 0.35


def test_the_stack_works_without_labels_of_the_other_task(world, strangers):
    own = {name: values for name, values in world.labels.items() if name.startswith("er_")}
    nothing = {"fer_emotion": np.full(len(world), MISSING_CLASS)}
    model = quick("stack").fit(dataclasses.replace(world, labels=own | nothing), (target("er_emotion"),), seed=0)
    assert accuracy(ask(model, strangers)["er_emotion"], strangers.labels["er_emotion"]) > 0.4
    assert not any("fer_" in key for key in model.architecture["members"])


def test_too_few_people_for_a_stack_is_said(world):
    alone = world.take(world.participants == world.participants[0])
    with pytest.raises(TrainingError, match="1 participant.*choose a model without inner folds"):
        quick("stack").fit(alone, TARGETS, seed=0)
    told: list[str] = []
    quick("logistic-eye").fit(alone, TARGETS, seed=0, tell=told.append)
    assert any("one training participant" in sentence for sentence in told)


def test_arguments_are_checked():
    assert BY_NAME["stack"].with_arguments({"trees": 7}).trees == 7
    with pytest.raises(UsageError, match="no such argument. Did you mean 'trees'"):
        BY_NAME["stack"].with_arguments({"tree": 7})
    with pytest.raises(UsageError, match="expects a whole number"):
        BY_NAME["stack"].with_arguments({"trees": "many"})
    with pytest.raises(UsageError, match=r"class_balance must lie in \[0, 1\]"):
        BY_NAME["logistic-eye"].with_arguments({"class_balance": 3.0})
    with pytest.raises(UsageError, match="It takes none"):
        BY_NAME["majority"].with_arguments({"trees": 7})


def test_a_damaged_description_is_refused(fitted):
    whole = fitted("late-fusion").architecture
    unknown = {"members": {k: v | {"predictor": {"kind": "oracle"}} for k, v in whole["members"].items()}}
    for changes in (
        {"members": {}},
        unknown,
        {"answers": {"er_emotion": {"members": [], "combination": {"kind": "x"}}}},
    ):
        with pytest.raises(TrainingError, match="Train again"):
            BY_NAME["late-fusion"].build(**(whole | changes))


def test_balanced_weights_raise_the_recall_of_rare_classes(world, strangers):
    """With one class ten times as rare, counting classes alike answers it more often."""
    common = (world.labels["er_emotion"] != 3) | (np.random.default_rng(0).random(len(world)) < 0.15)
    rare = world.take(np.flatnonzero(common))
    counts = [
        (
            ask(Stack(balance, inner_folds=2, trees=5).fit(rare, TARGETS[:1], seed=0), strangers)["er_emotion"].argmax(
                axis=1
            )
            == 3
        ).sum()
        for balance in (0.0, 1.0)
    ]
    assert counts[1] > counts[0]
