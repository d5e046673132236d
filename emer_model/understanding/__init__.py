"""What a run rests on: modalities, features, people."""

from __future__ import annotations

from emer_model.understanding.explaining import PARTS, explain
from emer_model.understanding.reading import Explained, read_explained

__all__ = ["PARTS", "Explained", "explain", "read_explained"]
