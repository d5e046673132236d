"""Label and guess tables of annotators of whom it is known how far a guess pulls them."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from data_schema.vocabularies import EMOTIONS

MODEL = "ab" * 32


def planted(
    *, n_clips: int = 400, annotators: tuple[str, ...] = ("a01", "a02"), pull: float = 0.0, seed: int = 1,
    model_right: float = 0.7, control_share: float = 0.3, seconds: tuple[float, float] = (12.0, 12.0),
    own_right: dict[str, float] | None = None, control_of: dict[str, float] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Return guesses and labels: whoever sees a guess takes it over with probability `pull`, else judges alone."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 7, n_clips)
    guessed = np.where(rng.random(n_clips) < model_right, true, (true + rng.integers(1, 7, n_clips)) % 7)
    guesses, labels = [], []
    for name in annotators:
        right = (own_right or {}).get(name, 0.75)
        for clip in range(n_clips):
            control = rng.random() < (control_of or {}).get(name, control_share)
            alone = true[clip] if rng.random() < right else (true[clip] + rng.integers(1, 7)) % 7
            pulled = not control and rng.random() < pull
            said = guessed[clip] if pulled else alone
            took = float(rng.lognormal(np.log(seconds[1 if control else 0]), 0.3))
            about = {"annotator_id": name, "annotator_kind": "human", "clip_id": f"c{clip:04d}", "task": "fer",
                     "repetition": 0, "clip_sha256": "0" * 64, "created_utc": f"2026-01-01T00:00:00.{clip:06d}Z"}  # fmt: skip
            row_id = f"{name}{clip:029d}"
            outcome = (
                "control"
                if control
                else ("accepted" if pulled else "changed" if said != guessed[clip] else "dismissed")
            )
            guesses.append({
                **about, "row_id": "9" + row_id[1:], "model_sha256": MODEL, "label_row_id": row_id, "outcome": outcome,
                "guess": json.dumps({"emotion": EMOTIONS[guessed[clip]], "confidence": 0.9, "valence": 0.5}),
                "shown_utc": None if control else "2026-01-01T00:00:00.000000Z", "label_ms": round(1000 * took),
            })  # fmt: skip
            labels.append({
                **about, "row_id": row_id, "supersedes": None, "action": "label", "view": "face",
                "emotion": EMOTIONS[said],
                "valence": 0.5 if pulled else float(rng.uniform(-1, 1)), "skip_reason": None,
            })  # fmt: skip
    return pd.DataFrame(guesses), pd.DataFrame(labels)
