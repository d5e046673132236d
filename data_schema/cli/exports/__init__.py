"""``emer export``: what leaves the study, for training and for publication. One verb a file."""

from __future__ import annotations

import typer

from data_schema.cli.exports.bids import bids
from data_schema.cli.exports.croissant import croissant
from data_schema.cli.exports.csv import csv
from data_schema.cli.exports.elan import elan
from data_schema.cli.exports.parquet import parquet
from data_schema.cli.exports.training import training

app = typer.Typer(no_args_is_help=True, help="Write exports: arrays for training, datasets for publication.")
app.command()(training)
app.command()(bids)
app.command()(parquet)
app.command()(croissant)
app.command()(csv)
app.command()(elan)


@app.callback()
def _group() -> None:
    """Write exports: arrays for training, datasets for publication."""
