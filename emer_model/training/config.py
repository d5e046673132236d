"""Everything that decides what a run learns, in one flat record."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

from data_schema.errors import UsageError
from data_schema.exports.protocols import PROTOCOLS
from data_schema.exports.splits import SCHEMES
from emer_model.registry import find_model, suggest

#: How much of the face backbone is trained.
FACE_TRAINING = ("frozen", "half", "full")

#: Seeds below are taken by every library, with room for the fold's number.
SEED_LIMIT = 2**31

_WHOLE = ("epochs", "patience", "batch_size", "pretrain_epochs", "seed")
_NUMBERS = (
    "learning_rate", "weight_decay", "gradient_clip", "dropout", "ema_decay", "logit_adjustment", "modality_dropout",
    "distillation",
)  # fmt: skip


@dataclass(frozen=True)
class RunConfig:
    """Settings of a run; written resolved to ``config.json``.

    Values that are not given come from the model's ``defaults`` (see `RunConfig.of`), then from here.

    Parameters
    ----------
    protocol : str
        Names in `data_schema.exports.protocols.PROTOCOLS` with commas between: one run may answer several.
    model : str
        Name in `emer_model.registry.MODELS`.
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
    dropout : float
        0.5 in the reference.
    head_widths : tuple of int
        Hidden units of the heads. The reference narrows by 32, 16 and 8, which takes many
        epochs on many clips to pass anything through, so ours is linear.
    face_backbone : str
        'descriptor' (needs no training), 'resnet18' or 'compact'.
    face_weights : str
        File with the backbone's weights; empty for fresh ones.
    face_training : str
        'frozen' (features are computed once), 'half' (its second half is trained) or 'full'.
    face_size_px : int, optional
        Side to which faces are reduced; None takes the backbone's own, or else keeps the export's.
    subject_normalisation : bool
        Standardise eye and face features by each participant's own unlabelled clips.
    auxiliary_targets : tuple of str
        Further columns of ``targets.parquet`` to learn from, such as ``fer_emotion``; ``('all',)`` for all.
    allow_missing_classes : bool
        Train although a class does not occur in a training fold.
    ema_decay : float
        Of the moving average of the weights that is evaluated and stored; 0 for none.
    logit_adjustment : float
        Weight of the log class shares in the loss (Menon et al. 2021); 0 for none.
    modality_dropout : float
        Share of training clips in which a modality is hidden.
    pretrain_epochs : int
        Epochs of learning without labels on the eye streams of the training participants.
    distillation : float
        Weight of the stack's probabilities as soft targets.
    refit : bool
        Fit models that need no epochs on the validation participants too: nothing of them is stopped early.
    model_arguments : dict
        Further arguments of the network's constructor.
    precision : str
        '32' or 'bf16'.
    seed : int
        Seed of fold k is ``seed + k``.
    scheme : str
        Who is tested, of `data_schema.exports.splits.SCHEMES`.
    """

    protocol: str
    model: str
    epochs: int = 60
    patience: int = 15
    batch_size: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 5e-4
    gradient_clip: float = 1.0
    dropout: float = 0.5
    head_widths: tuple[int, ...] = ()
    face_backbone: str = "descriptor"
    face_weights: str = ""
    face_training: str = "frozen"
    face_size_px: int | None = None
    subject_normalisation: bool = True
    auxiliary_targets: tuple[str, ...] = ()
    allow_missing_classes: bool = False
    ema_decay: float = 0.0
    logit_adjustment: float = 0.0
    modality_dropout: float = 0.0
    pretrain_epochs: int = 0
    distillation: float = 0.0
    refit: bool = True
    model_arguments: dict[str, Any] = field(default_factory=dict)
    precision: str = "32"
    seed: int = 0
    scheme: str = "subject"

    @classmethod
    def of(cls, protocol: str, model: str, **given: Any) -> RunConfig:
        """Complete what was given by the model's defaults; None counts as not given.

        A backbone without weights is trained, unless something else is said: frozen, its features would be random.

        Raises
        ------
        UsageError
            If there is no such model, or a value cannot be.
        """
        chosen = {key: value for key, value in given.items() if value is not None}
        if chosen.get("face_weights") and "face_backbone" not in chosen:
            chosen["face_backbone"] = "resnet18"
        values = {**find_model(model).defaults, **chosen}
        untrained = values.get("face_backbone", "descriptor") != "descriptor" and not values.get("face_weights")
        if untrained and "face_training" not in chosen:
            values["face_training"] = "full"
        return cls(protocol, model, **values)

    def __post_init__(self) -> None:
        for name in (*_WHOLE, *_NUMBERS):
            value, kinds = getattr(self, name), (int,) if name in _WHOLE else (int, float)
            if not isinstance(value, kinds) or isinstance(value, bool) or not math.isfinite(value):
                raise UsageError(f"{name} must be a {'whole ' if name in _WHOLE else ''}number, got {value}.")
        for name in ("subject_normalisation", "allow_missing_classes", "refit"):
            if not isinstance(getattr(self, name), bool):
                raise UsageError(f"{name} must be true or false, got {getattr(self, name)}.")
        if not 0 <= self.seed < SEED_LIMIT:
            raise UsageError(f"seed must be a whole number from 0 to {SEED_LIMIT - 1}, got {self.seed}.")
        for name in ("epochs", "patience", "batch_size", "learning_rate"):
            if getattr(self, name) <= 0:
                raise UsageError(f"{name} must be greater than 0, got {getattr(self, name)}.")
        for name in ("weight_decay", "gradient_clip", "logit_adjustment", "pretrain_epochs", "distillation"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} must not be negative, got {getattr(self, name)}.")
        for name in ("dropout", "ema_decay", "modality_dropout"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise UsageError(f"{name} must lie in [0, 1), got {getattr(self, name)}.")
        if self.face_size_px is not None and self.face_size_px < 8:
            raise UsageError(f"--face-size {self.face_size_px}: expected 8 or more.")
        if self.face_training not in FACE_TRAINING:
            raise UsageError(f"--face-training {self.face_training}: expected {', '.join(FACE_TRAINING)}.")
        if self.precision not in ("32", "bf16"):
            raise UsageError(f"--precision {self.precision}: expected '32' or 'bf16'.")
        if self.scheme not in SCHEMES:
            raise UsageError(f"--scheme {self.scheme}: expected one of {', '.join(SCHEMES)}.")

    @property
    def protocols(self) -> tuple[str, ...]:
        """The protocols that the run answers."""
        return tuple(self.protocol.split(","))

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> RunConfig:
        """Read what `as_json` returned."""
        return cls(**{key: tuple(v) if isinstance(v, list) else v for key, v in values.items()})


def parse_protocols(text: str) -> tuple[str, ...]:
    """Read ``all``, a name, or names with commas between; in the order of reports.

    Raises
    ------
    UsageError
        If there is no such protocol.
    """
    if text.strip().lower() == "all":
        return tuple(PROTOCOLS)
    asked = [name.strip() for name in text.split(",")]
    if "all" in (name.lower() for name in asked):
        raise UsageError(f"--protocol {text}: all stands alone. Say all, or names with commas between.")
    for name in asked:
        if name not in PROTOCOLS:
            raise UsageError(suggest("protocol", name, (*PROTOCOLS, "all")))
    return tuple(name for name in PROTOCOLS if name in asked)
