"""The network among the members of a stack."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from data_schema.errors import TrainingError
from emer_model.data.arrays import Arrays
from emer_model.data.targets import target
from emer_model.fitted.eyeface_stack import EyeFaceStack
from emer_model.models.eyeface import EyeFace

FELT = target("er_emotion")
RECIPE = EyeFaceStack(trees=5, inner_folds=3)


@pytest.fixture(scope="module")
def clips(world: Arrays) -> Arrays:
    """The planted world with the inputs of the network beside."""
    rng = np.random.default_rng(5)
    n = len(world)
    inputs = {
        **world.inputs,
        "summary_mask": world.inputs["summary"] != 0,
        "face_features": rng.normal(size=(n, 2, 6)).astype(np.float32),
        "face_mask": np.ones((n, 2), dtype=bool),
        "eye": rng.normal(size=(n, 4, 24)).astype(np.float32),
        "fixations": rng.normal(size=(n, 4, 4)).astype(np.float32),
    }
    labels = {name: world.labels[name] for name in ("er_emotion", "fer_emotion")}
    return dataclasses.replace(world, inputs=inputs, labels=labels)


class Lent:
    """Stands for the trainer: sets the last bias so that the network answers what it was told, and notes whom it saw."""

    def __init__(self) -> None:
        self.seen: list[set[str]] = []

    def __call__(self, train, validation, targets, auxiliary, seed):
        assert not set(train.participants) & set(validation.participants)
        assert [t.name for t in (*targets, *auxiliary)] == ["er_emotion", "fer_emotion"]
        self.seen.append(set(train.participants) | set(validation.participants))
        arguments = {
            "targets": {"er_emotion": 7, "fer_emotion": 7},
            "face_width": 6,
            "eye_features": 24,
            "summary_features": 24,
        }
        arguments |= {"face_frames": 2, "eye_chunks": 4, "fixations": 4, "width": 8}
        torch.manual_seed(seed)
        return EyeFace(**arguments), arguments


def test_the_network_is_a_member_and_nobody_is_answered_by_one_that_saw_them(clips):
    lent = Lent()
    with torch.random.fork_rng():
        model = RECIPE.fit(clips, (FELT,), seed=0, fit_network=lent)
    people = set(clips.participants)
    assert len(lent.seen) == 4 and lent.seen[-1] == people
    held = [people - seen for seen in lent.seen[:3]]
    assert set.union(*held) == people and sum(map(len, held)) == len(people)
    assert "network/er_emotion" in model.architecture["members"]
    assert set(model.inputs) >= set(EyeFace.inputs)
    again = RECIPE.build(**model.architecture).eval()
    again.load_state_dict(model.state_dict())
    batch = {name: torch.from_numpy(clips.inputs[name][:9]) for name in model.inputs}
    with torch.inference_mode():
        first, second = model(**batch), again(**batch)
        spoken = model.ask_members(batch)[0]["network/er_emotion"]
    assert torch.equal(first.targets["er_emotion"], second.targets["er_emotion"])
    np.testing.assert_allclose(spoken.exp().sum(dim=1), 1, atol=1e-5)


def test_without_a_trainer_the_error_says_who_trains(clips):
    with pytest.raises(TrainingError, match="`emer train` trains"):
        RECIPE.fit(clips, (FELT,), seed=0)
