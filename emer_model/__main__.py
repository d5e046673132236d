"""`python -m emer_model train ...` is `emer train ...`: torchrun starts modules by their name."""

from __future__ import annotations

import os

from data_schema.cli import run

# torch would warn in every process that parameters without a gradient are looked for; read when it is loaded.
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")

if __name__ == "__main__":
    run()
