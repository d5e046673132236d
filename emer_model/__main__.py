"""`python -m emer_model train ...` is `emer train ...`: torchrun starts modules by their name."""

from __future__ import annotations

from data_schema.cli import run

if __name__ == "__main__":
    run()
