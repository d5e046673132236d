"""EyeFace: a small trunk over one token a modality, made for missing ones.

Where EMERT lets every step of every modality attend to every other (72 tokens, 512 wide), here
each modality is encoded by itself, cheaply, and pooled to one token; then five tokens are
weighed against each other. The ingredients are those that carried the result on simulated data:
chunk statistics with their masks, summaries of the whole clip, one network for all targets,
modality dropout, and seeing the shown emotion when judging the felt one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from data_schema.errors import TrainingError
from emer_model.models.modality_dropout import ModalityDropout
from emer_model.models.modality_encoder import ModalityEncoder, SummaryEncoder
from emer_model.models.output import ModelOutput
from emer_model.models.pooling import HEADS, AttentionPooling, masked_mean
from emer_model.models.self_attention import SelfAttentionBlock
from emer_model.models.two_stage_heads import TwoStageHeads

#: The order of the modalities among the tokens and in `ModelOutput.attention`.
MODALITIES: tuple[str, ...] = ("face", "eye", "fixation", "summary")

#: How the modality tokens become one: a token that asks them, a learned weighing, or their mean.
POOLINGS: tuple[str, ...] = ("cls", "attention", "mean")


class EyeFace(nn.Module):
    """Judge a clip from face features, eye chunks, fixations and summaries.

    Parameters
    ----------
    targets : mapping of str to int
        Outputs of each target: the number of classes, or 1.
    face_width, eye_features, fixation_features, summary_features : int
        Values a step of each modality; of the summary, values a clip.
    face_frames, eye_chunks, fixations : int
        Steps of each modality.
    width : int
        Features of a token.
    encoder : str
        Of the eye chunks: 'tcn', 'transformer', or 'statistics' (a perceptron on statistics over time).
    layers : int
        Of that encoder.
    face_layers, fixation_layers : int
        Of the 'tcn' encoders of the other two sequences; 0 looks at each step by itself.
    fusion_layers : int
        Self attention over the modality tokens; 0 for none.
    pooling : str
        How the modality tokens become one: 'cls' (a learned token asks them, and a perceptron), 'attention' (a learned
        weighing) or 'mean'.
    dropout : float
        Everywhere.
    modality_dropout : float
        Share of modalities taken away while training; see `ModalityDropout`.
    head_widths : tuple of int
        Hidden units of the heads.
    linear_path : bool
        Add a linear map of summaries and mean face features to the outputs, past the trunk: what
        logistic regression would find need not be found again.
    shown_to_felt : bool
        Tell the heads of felt targets (``er_``) the answers of those of shown ones (``fer_``).

    References
    ----------
    The linear path: Cheng et al. (2016), "Wide & Deep Learning for Recommender Systems".
    """

    name = "eyeface"
    inputs = (
        "face_features",
        "face_mask",
        "eye",
        "eye_mask",
        "fixations",
        "fixation_mask",
        "summary",
        "summary_mask",
    )
    summary_line = (
        "A small trunk over one token a modality, with learned tokens for missing ones, for all targets at once."
    )
    defaults: ClassVar[dict[str, Any]] = {
        "auxiliary_targets": ("all",),
        "dropout": 0.3,
        "modality_dropout": 0.2,
        "epochs": 30,
        "batch_size": 32,
        "weight_decay": 2e-2,
        "ema_decay": 0.99,
    }
    #: AdamW: the decay is as strong for weights with small gradients as for others.
    decoupled_weight_decay = True
    modalities = MODALITIES

    def __init__(
        self,
        targets: Mapping[str, int],
        face_width: int,
        eye_features: int,
        fixation_features: int = 4,
        summary_features: int = 0,
        face_frames: int = 8,
        eye_chunks: int = 32,
        fixations: int = 32,
        width: int = 64,
        encoder: str = "tcn",
        layers: int = 2,
        face_layers: int = 0,
        fixation_layers: int = 0,
        fusion_layers: int = 0,
        pooling: str = "cls",
        dropout: float = 0.3,
        modality_dropout: float = 0.2,
        head_widths: tuple[int, ...] = (),
        linear_path: bool = True,
        shown_to_felt: bool = True,
    ) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise TrainingError(f"There is no pooling '{pooling}'. Known: {', '.join(POOLINGS)}.")
        self.face = ModalityEncoder(face_width, face_frames, width, "tcn", face_layers, dropout)
        self.eye = ModalityEncoder(eye_features, eye_chunks, width, encoder, layers, dropout, mask_channels=True)
        self.fixation = ModalityEncoder(fixation_features, fixations, width, "tcn", fixation_layers, dropout)
        self.summary = SummaryEncoder(summary_features, width, dropout)
        self.modality_dropout = ModalityDropout(len(MODALITIES), width, modality_dropout)
        self.fusion = ModalityFusion(len(MODALITIES), width, fusion_layers, pooling, dropout)
        self.dropout = nn.Dropout(dropout)
        wide = face_width + 2 * summary_features if linear_path else 0
        self.linear_dropout = nn.Dropout(dropout) if linear_path else None
        self.heads = TwoStageHeads(width, targets, tuple(head_widths), wide, shown_to_felt)

    def forward(
        self,
        face_features: Tensor,
        face_mask: Tensor,
        eye: Tensor,
        eye_mask: Tensor,
        fixations: Tensor,
        fixation_mask: Tensor,
        summary: Tensor,
        summary_mask: Tensor,
    ) -> ModelOutput:
        """Judge a batch of clips.

        Parameters
        ----------
        face_features : Tensor, shape (B, F, face_width)
            Of each frame, normalised; face_mask bool (B, F).
        eye : Tensor, shape (B, C, eye_features)
            Normalised; eye_mask bool (B, C, eye_features).
        fixations : Tensor, shape (B, M, fixation_features)
            Normalised; fixation_mask bool (B, M).
        summary : Tensor, shape (B, summary_features)
            Normalised; summary_mask bool (B, summary_features).

        Returns
        -------
        ModelOutput
            With the attention over time of ``face``, ``eye`` (not of 'statistics') and
            ``fixation``, and over ``modality``.
        """
        face_token, has_face, face_weights = self.face(face_features, face_mask)  # (B, width), (B,), (B, F)
        eye_token, has_eye, eye_weights = self.eye(eye, eye_mask)
        fixation_token, has_fixation, fixation_weights = self.fixation(fixations, fixation_mask)
        described = torch.cat(
            (summary * summary_mask, summary_mask.to(summary.dtype)), dim=1
        )  # (B, 2 summary_features)
        summary_token, has_summary = self.summary(described), summary_mask.any(dim=1)
        tokens = torch.stack((face_token, eye_token, fixation_token, summary_token), dim=1)  # (B, 4, width)
        present = torch.stack((has_face, has_eye, has_fixation, has_summary), dim=1)  # (B, 4)
        tokens, kept = self.modality_dropout(tokens, present)
        clip, modality_weights = self.fusion(tokens)  # (B, width), (B, 4)
        linear = self._linear_features(face_features, face_mask, described, kept)
        outputs = self.heads(self.dropout(clip), linear)
        attention = {
            "face": face_weights,
            "eye": eye_weights,
            "fixation": fixation_weights,
            "modality": modality_weights,
        }
        return ModelOutput(
            targets=outputs,
            modality_mask=present,
            attention={name: weights for name, weights in attention.items() if weights is not None},
        )

    def _linear_features(
        self, face_features: Tensor, face_mask: Tensor, described: Tensor, kept: Tensor
    ) -> Tensor | None:
        """Return what goes past the trunk, without the modalities (B, 4) that were taken away."""
        if self.linear_dropout is None:
            return None
        faces = masked_mean(face_features, face_mask)  # (B, face_width)
        wide = torch.cat((faces * kept[:, :1], described * kept[:, 3:]), dim=1)
        return self.linear_dropout(wide)  # (B, face_width + 2 summary_features)


class ModalityFusion(nn.Module):
    """Weigh one token a modality against the others and make one of them.

    Parameters
    ----------
    modalities : int
        How many there are.
    width : int
        Features of a token.
    layers : int
        Self attention among the tokens before they are pooled.
    pooling : str
        See `POOLINGS`. The token that asks in 'cls' is a learned one and the same for all clips, so what it asks of a
        modality's token is a linear map of that token, for each head: its first layer is attention pooling and a perceptron.
    dropout : float
        Of the layers.
    """

    def __init__(self, modalities: int, width: int, layers: int, pooling: str, dropout: float) -> None:
        super().__init__()
        self.pooling = pooling
        self.identity = nn.Parameter(0.02 * torch.randn(modalities, width))
        self.blocks = nn.ModuleList(SelfAttentionBlock(width, mlp=2 * width, dropout=dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        if pooling != "mean":
            self.ask = AttentionPooling(width, HEADS if pooling == "cls" else 1)
        if pooling == "cls":
            self.perceptron = nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
            )

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map tokens (B, modalities, width) to a clip (B, width) and weights (B, modalities), None for 'mean'."""
        tokens = tokens + self.identity
        for block in self.blocks:
            tokens, _ = block(tokens)
        tokens = self.norm(tokens)
        if self.pooling == "mean":
            return tokens.mean(dim=1), None
        clip, weights = self.ask(tokens)  # (B, width), (B, modalities)
        return (clip + self.perceptron(clip) if self.pooling == "cls" else clip), weights
