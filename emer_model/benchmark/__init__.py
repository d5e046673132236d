"""Many models on one export: the table of a paper, with its supplement."""

from __future__ import annotations

from emer_model.benchmark.suite import SUITE, choose_models, run_suite
from emer_model.benchmark.writing import write_benchmark

__all__ = ["SUITE", "choose_models", "run_suite", "write_benchmark"]
