"""The small study, made once, and its de-identified view."""

from __future__ import annotations

import pytest

from data_schema.publishing.publication import open_publication

from .small_study import small_study


@pytest.fixture(scope="session")
def published_study(tmp_path_factory):
    """The study; to be read alone."""
    return small_study(tmp_path_factory.mktemp("published") / "study")


@pytest.fixture(scope="session")
def publication(published_study):
    return open_publication(published_study)
