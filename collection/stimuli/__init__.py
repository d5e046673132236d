"""What is computed once from the stimuli themselves: their luminance over time."""

from __future__ import annotations

from collection.stimuli.luminance import frame_luminance, luminance_of_file, luminance_rows

__all__ = ["frame_luminance", "luminance_of_file", "luminance_rows"]
