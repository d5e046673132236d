"""A finished export, made once for all tests of this folder that only read it."""

from __future__ import annotations

import shutil

import pytest

from data_schema.exports.training import export_training

from ..studies import label_all, make_study


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study of three participants with labels, and its export."""
    study = make_study(tmp_path_factory.mktemp("made") / "study", n_participants=3)
    label_all(study)
    return study, export_training(study, study.exports_dir / "training").path


@pytest.fixture
def copied(made, tmp_path):
    """The same, to change."""
    root = tmp_path / "study"
    shutil.copytree(made[0].root, root)
    return type(made[0])(root), root / "exports" / "training"
