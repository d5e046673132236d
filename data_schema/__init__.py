"""The contract of the toolkit: what a study is, and all that can be computed from it.

No device, no window and no torch is needed to import this package or any part
of it. `collection`, `annotation` and `emer_model` stand on it and meet in the
files that it defines.
"""

from __future__ import annotations

__version__ = "0.1.0"
