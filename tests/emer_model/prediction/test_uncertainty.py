from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from emer_model.prediction.uncertainty import class_belief, normalised_entropy, value_belief


def test_members_that_agree_to_be_unsure_and_members_that_contradict_each_other_are_told_apart() -> None:
    half = [0.5, 0.5]
    members = np.array([[half, [1.0, 0.0], [0.9, 0.1]], [half, [0.0, 1.0], [0.9, 0.1]]])  # (2 members, 3 clips, 2)
    belief = class_belief(members)
    np.testing.assert_allclose(belief.probabilities, [half, half, [0.9, 0.1]])
    np.testing.assert_allclose(belief.entropy[:2], 1.0)
    assert belief.mutual_information == pytest.approx([0.0, 1.0, 0.0], abs=1e-9)
    np.testing.assert_allclose(belief.margin, [0.0, 0.0, 0.8])
    np.testing.assert_allclose(belief.confidence, [0.5, 0.5, 0.9])


def test_one_member_cannot_disagree_and_that_is_not_agreement() -> None:
    members = np.array([[[0.7, 0.3], [0.7, 0.3]], [[0.1, 0.9], [0.1, 0.9]]])
    belief = class_belief(members, [[1, 1], [0, 1]])
    assert np.isnan(belief.mutual_information[0]) and belief.mutual_information[1] > 0.1
    np.testing.assert_allclose(belief.probabilities, [[0.7, 0.3], [0.4, 0.6]])
    values = value_belief([[0.2, 0.2], [0.6, 0.6]], [[1, 1], [0, 1]])
    assert np.isnan(values.spread[0])
    assert (values.value.tolist(), values.spread[1]) == ([0.2, 0.4], pytest.approx(0.2))


@given(arrays(np.float64, (3, 4, 7), elements=st.floats(1e-6, 1.0)))
def test_every_figure_lies_in_its_bounds(raw: np.ndarray) -> None:
    belief = class_belief(raw / raw.sum(axis=2, keepdims=True))
    for values in (belief.confidence, belief.entropy, belief.margin, belief.mutual_information):
        assert ((values >= 0) & (values <= 1)).all()
    assert (belief.mutual_information <= belief.entropy + 1e-9).all()


def test_entropy_is_that_of_scipy() -> None:
    from scipy.stats import entropy

    p = np.random.default_rng(0).dirichlet(np.ones(7), size=5)
    np.testing.assert_allclose(normalised_entropy(p), entropy(p, axis=1) / np.log(7))


def test_a_clip_that_nobody_judges_is_an_error() -> None:
    with pytest.raises(ValueError, match="nobody"):
        class_belief(np.full((1, 2, 2), 0.5), [[1, 0]])
    with pytest.raises(ValueError, match="shape"):
        class_belief(np.full((1, 2, 2), 0.5), [1, 1])
