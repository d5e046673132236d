"""`emer models`: which models there are."""

from __future__ import annotations

import typer


def models() -> None:
    """List the models that `emer train` knows, each with a sentence."""
    from emer_model.registry import DEFAULT_MODEL, MODELS, is_network

    for name, model in MODELS.items():
        kind = "network" if is_network(name) else "fitted"
        default = " (the default)" if name == DEFAULT_MODEL else ""
        typer.echo(f"{name:<24} {kind:<8} {model.summary_line}{default}")
