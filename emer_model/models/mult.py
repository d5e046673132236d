"""Cross-modal attention: each modality looks at each other one, step by step.

References
----------
Tsai et al. (2019), "Multimodal Transformer for Unaligned Multimodal Language Sequences", ACL:
section 3.2 (pairwise cross-modal blocks) and 3.3 (self attention over their concatenation).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from emer_model.models.arguments import check_multiple
from emer_model.models.cross_transformer import CrossBlock
from emer_model.models.heads import PredictionHeads
from emer_model.models.modality_encoder import StepEmbedding
from emer_model.models.output import ModelOutput
from emer_model.models.pooling import masked_mean, present_or_all
from emer_model.models.self_attention import TransformerEncoder

_MODALITIES = ("face", "eye", "fixation")


class Mult(nn.Module):
    """Judge a clip by pairwise cross-modal attention, then self attention.

    In the manner of Tsai et al., at a size for a thousand clips. Two things differ: positions
    are learned, and a clip is the mean over the steps that are there, not its last step, as the
    last fixation of a clip is nothing special.

    Parameters
    ----------
    targets : mapping of str to int
        Outputs of each target: the number of classes, or 1.
    face_width, eye_features, fixation_features : int
        Values a step of each modality.
    face_frames, eye_chunks, fixations : int
        Steps of each modality.
    width : int
        Features of a token; twice as many after the concatenation.
    layers : int
        Cross-modal blocks of each ordered pair of modalities.
    heads : int
        Must divide `width`.
    head_widths : tuple of int
        Hidden units of the heads.
    dropout : float
        Everywhere.
    """

    name = "mult"
    inputs = ("face_features", "face_mask", "eye", "eye_mask", "fixations", "fixation_mask")
    summary_line = "Cross-modal attention between every two modalities, after MulT (Tsai et al. 2019)."
    defaults: ClassVar[dict[str, Any]] = {"dropout": 0.3}
    modalities = _MODALITIES

    def __init__(
        self,
        targets: Mapping[str, int],
        face_width: int,
        eye_features: int,
        fixation_features: int = 4,
        face_frames: int = 8,
        eye_chunks: int = 32,
        fixations: int = 32,
        width: int = 32,
        layers: int = 2,
        heads: int = 4,
        head_widths: tuple[int, ...] = (),
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        check_multiple("width", width, heads, "heads")
        self.embed = nn.ModuleDict(
            {
                "face": StepEmbedding(face_width, face_frames, width, mask_channels=False),
                "eye": StepEmbedding(eye_features, eye_chunks, width, mask_channels=True),
                "fixation": StepEmbedding(fixation_features, fixations, width, mask_channels=False),
            }
        )
        self.dropout = nn.Dropout(dropout)
        self.cross = nn.ModuleDict(
            {
                f"{source}_to_{target}": nn.ModuleList(
                    CrossBlock(width, heads, width // heads, 2 * width, dropout) for _ in range(layers)
                )
                for target, source in permutations(_MODALITIES, 2)
            }
        )
        joined = 2 * width  # from each of the two others
        self.over_time = nn.ModuleDict(
            {m: TransformerEncoder(joined, 1, heads, 2 * joined, dropout) for m in _MODALITIES}
        )
        self.heads = PredictionHeads(len(_MODALITIES) * joined, targets, tuple(head_widths))

    def forward(
        self,
        face_features: Tensor,
        face_mask: Tensor,
        eye: Tensor,
        eye_mask: Tensor,
        fixations: Tensor,
        fixation_mask: Tensor,
    ) -> ModelOutput:
        """Judge a batch of clips.

        Parameters
        ----------
        face_features : Tensor, shape (B, F, face_width)
            Normalised; face_mask bool (B, F).
        eye : Tensor, shape (B, C, eye_features)
            Normalised; eye_mask bool (B, C, eye_features).
        fixations : Tensor, shape (B, M, fixation_features)
            Normalised; fixation_mask bool (B, M).
        """
        masks = {"face": face_mask, "eye": eye_mask.any(dim=2), "fixation": fixation_mask}  # (B, T) each
        tokens = {
            "face": self.embed["face"](face_features * face_mask.unsqueeze(2), face_mask),  # (B, F, width)
            "eye": self.embed["eye"](eye * eye_mask, eye_mask),  # (B, C, width)
            "fixation": self.embed["fixation"](fixations * fixation_mask.unsqueeze(2), fixation_mask),
        }
        tokens = {name: self.dropout(x) for name, x in tokens.items()}
        means = []
        for target in _MODALITIES:
            seen = [self._look(target, source, tokens, masks) for source in _MODALITIES if source != target]
            steps = self.over_time[target](torch.cat(seen, dim=2), masks[target])  # (B, T, 2 width)
            means.append(masked_mean(steps, masks[target]))  # (B, 2 width), zero where the modality is missing
        return ModelOutput(
            targets=self.heads(self.dropout(torch.cat(means, dim=1))),
            modality_mask=torch.stack([masks[m].any(dim=1) for m in _MODALITIES], dim=1),
        )

    def _look(self, target: str, source: str, tokens: dict[str, Tensor], masks: dict[str, Tensor]) -> Tensor:
        """Update the target's tokens (B, T, width) by what it finds in the source's."""
        updated = tokens[target]
        for block in self.cross[f"{source}_to_{target}"]:
            updated = block(updated, tokens[source], present_or_all(masks[source]))
        # A modality that is not there has nothing to say, not even its position embeddings.
        present = masks[source].any(dim=1)[:, None, None]  # (B, 1, 1)
        return torch.where(present, updated, tokens[target])
