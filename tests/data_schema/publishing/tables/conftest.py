"""The small study's Parquet tables with their description, written once."""

from __future__ import annotations

import pytest

from data_schema.publishing.croissant import write_croissant
from data_schema.publishing.tables.parquet import export_parquet


@pytest.fixture(scope="session")
def exported(publication, tmp_path_factory):
    """What `export_parquet` returned, of a folder with croissant.json."""
    out = tmp_path_factory.mktemp("tables") / "parquet"
    return export_parquet(
        publication, out, more=lambda folder, numbers, tables: write_croissant(publication, numbers, tables, folder)
    )
