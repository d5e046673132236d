"""Everything that decides what a run learns, in one flat record."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from data_schema.errors import UsageError
from data_schema.exports.splits import PARTICIPANT_SCHEMES


@dataclass(frozen=True)
class RunConfig:
    """Settings of a run; written resolved to ``config.json``.

    Parameters
    ----------
    protocol : str
        Name in `data_schema.exports.protocols.PROTOCOLS`.
    model : str
        Name in `emer_model.models.MODELS`.
    epochs : int
        Epochs at most.
    patience : int
        Epochs without a better validation score after which a fold ends.
    batch_size : int
        Clips a step; 16 in the reference.
    learning_rate : float
        Of Adam, falling to zero along a half cosine. The reference's 1e-4 is meant for
        a pretrained face encoder and 200 epochs; from scratch 1e-3 learns in tens.
    weight_decay : float
        5e-4 in the reference.
    gradient_clip : float
        Norm to which gradients are cut; 0 cuts nothing. Ours: LSTMs on few clips.
    face_backbone : str
        'resnet18' or 'compact'.
    face_size_px : int, optional
        Side to which faces are reduced; None takes `FACE_SIZE_PX` of the backbone, or else
        keeps the export's.
    dropout : float
        0.5 in the reference.
    head_widths : tuple of int
        Hidden units of the heads. The reference narrows by 32, 16 and 8, which takes many
        epochs on many clips to pass anything through, so ours is linear.
    subject_normalisation : bool
        Standardise eye features by each participant's own unlabelled clips.
    auxiliary_targets : tuple of str
        Further columns of ``targets.parquet`` to learn from, such as ``fer_emotion``.
    allow_missing_classes : bool
        Train although a class does not occur in a training fold.
    precision : str
        '32' or 'bf16'.
    seed : int
        Seed of fold k is ``seed + k``.
    scheme : str
        Who is tested, of `data_schema.exports.splits.PARTICIPANT_SCHEMES`: 'subject', or 'loso' for one participant a fold.
    """

    protocol: str
    model: str = "emert"
    epochs: int = 60
    patience: int = 15
    batch_size: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 5e-4
    gradient_clip: float = 1.0
    face_backbone: str = "resnet18"
    face_size_px: int | None = None
    dropout: float = 0.5
    head_widths: tuple[int, ...] = ()
    subject_normalisation: bool = True
    auxiliary_targets: tuple[str, ...] = ()
    allow_missing_classes: bool = False
    precision: str = "32"
    seed: int = 0
    scheme: str = "subject"

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "batch_size", "learning_rate"):
            if getattr(self, name) <= 0:
                raise UsageError(f"{name} must be greater than 0, got {getattr(self, name)}.")
        if not 0.0 <= self.dropout < 1.0:
            raise UsageError(f"dropout must lie in [0, 1), got {self.dropout}.")
        if self.precision not in ("32", "bf16"):
            raise UsageError(f"--precision {self.precision}: expected '32' or 'bf16'.")
        if self.scheme not in PARTICIPANT_SCHEMES:
            raise UsageError(f"--scheme {self.scheme}: expected {' or '.join(PARTICIPANT_SCHEMES)}.")

    def as_json(self) -> dict[str, Any]:
        """Return plain values; the usual scheme is not named, so that runs of earlier versions can go on."""
        values = {key: list(v) if isinstance(v, tuple) else v for key, v in dataclasses.asdict(self).items()}
        if self.scheme == "subject":
            del values["scheme"]
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> RunConfig:
        """Read what `as_json` returned."""
        tuples = {"head_widths", "auxiliary_targets"}
        return cls(**{key: tuple(v) if key in tuples else v for key, v in values.items()})
