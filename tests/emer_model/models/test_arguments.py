from __future__ import annotations

import pytest

from data_schema.errors import TrainingError
from emer_model.models import NETWORKS, Emert, EyeFace, Mult
from emer_model.models.arguments import check_arguments
from emer_model.registry import build_model

SIZES = {"targets": {"er_emotion": 7}, "face_width": 12, "eye_features": 6}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"width": "wide"}, r"width=wide: model 'eyeface' expects a whole number from 0 on, such as 64"),
        ({"width": 32.5}, "whole number"),
        ({"layers": -1}, "whole number"),
        ({"width": 33}, r"width=33: it is shared by 4 heads, so it must be a multiple of 4, such as 32"),
        ({"width": 0}, "multiple of 4, such as 4"),
        ({"linear_path": "yes"}, "expects true or false, such as True"),
        ({"dropout": "half"}, "expects a number from 0 on"),
        ({"encoder": 3}, "expects a word, such as tcn"),
        ({"head_widths": [8, 0]}, "whole numbers greater than 0"),
        ({"with": 32}, "takes no argument 'with'. It takes: targets, face_width"),
    ],
)
def test_arguments_that_cannot_be_are_refused_with_what_they_must_be(given: dict, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        build_model("eyeface", {**SIZES, **given})


def test_arguments_that_can_be_are_taken() -> None:
    check_arguments(EyeFace, {**SIZES, "width": 32, "dropout": 0, "head_widths": [8], "pooling": "mean"})
    check_arguments(Emert, {**SIZES, "bgr": True})
    for network in NETWORKS:
        check_arguments(network, {})
    with pytest.raises(TrainingError, match="width=30"):
        Mult({"er_emotion": 7}, 12, 6, width=30)
