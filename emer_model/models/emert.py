"""EMERT: modality-adversarial decoupling and a cross transformer.

The structure is that of the reference's code, layer by layer. What differs: chunks of
named eye features with validity masks instead of random rows of a table, fixations
instead of the gaze point again, missing tokens are masked in attention and means, and
the two layers that the reference's forward pass never uses are left out.

References
----------
Liu et al. (2025), "Smile on the Face, Sadness in the Eyes", arXiv 2512.16485, and
its public code kejun1/EMER (model/EMERT/model.py, transformer.py).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from emer_model.models.cross_transformer import CrossTransformer
from emer_model.models.discriminator import ModalityDiscriminator
from emer_model.models.eye_encoder import EyeEncoder
from emer_model.models.face_encoder import FaceEncoder
from emer_model.models.fixation_encoder import FixationEncoder
from emer_model.models.heads import PredictionHeads
from emer_model.models.output import ModelOutput
from emer_model.models.projections import SubspaceProjections

#: The order of the modalities among the tokens and for the discriminator.
MODALITIES: tuple[str, ...] = ("face", "eye", "fixation")


class Emert(nn.Module):
    """Judge a clip from face frames, eye behaviour and fixations.

    Parameters
    ----------
    targets : mapping of str to int
        Outputs of each target: the number of classes, or 1.
    eye_features, fixation_features : int
        Columns of the two sequences.
    face_frames, eye_chunks, fixations : int
        Tokens of each modality (8, 32 and 32 in the reference).
    face_backbone : str
        See `FaceEncoder`.
    hidden, layers : int
        Width and depth of the LSTMs.
    projection : int
        Width of the subspaces.
    depth, heads, head_features, mlp : int
        See `CrossTransformer`.
    head_widths : tuple of int
        See `PredictionHead`.
    dropout, embedding_dropout : float
        Dropout of encoders and transformer, and of its position embeddings.
    mask_channels : bool
        See `SequenceEncoder`; the reference has none.
    """

    name = "emert"

    def __init__(
        self,
        targets: Mapping[str, int],
        eye_features: int,
        fixation_features: int = 4,
        face_frames: int = 8,
        eye_chunks: int = 32,
        fixations: int = 32,
        face_backbone: str = "resnet18",
        hidden: int = 128,
        layers: int = 3,
        projection: int = 64,
        depth: int = 2,
        heads: int = 8,
        head_features: int = 64,
        mlp: int = 64,
        head_widths: tuple[int, ...] = (32, 16, 8),
        dropout: float = 0.5,
        embedding_dropout: float = 0.1,
        mask_channels: bool = True,
    ) -> None:
        super().__init__()
        self.face = FaceEncoder(face_backbone, hidden, dropout)
        self.eye = EyeEncoder(eye_features, hidden, layers, dropout, mask_channels)
        self.fixation = FixationEncoder(fixation_features, hidden, layers, dropout)
        self.projections = SubspaceProjections(MODALITIES, hidden, projection)
        self.discriminator = ModalityDiscriminator(len(MODALITIES), projection)
        self.transformer = CrossTransformer(
            face_frames + eye_chunks + fixations,
            projection,
            depth,
            heads,
            head_features,
            mlp,
            dropout,
            embedding_dropout,
        )
        self.heads = PredictionHeads(projection, targets, tuple(head_widths))

    def forward(
        self,
        faces: Tensor,
        face_mask: Tensor,
        eye: Tensor,
        eye_mask: Tensor,
        fixations: Tensor,
        fixation_mask: Tensor,
    ) -> ModelOutput:
        """Judge a batch of clips.

        Parameters
        ----------
        faces : Tensor of uint8, shape (B, F, H, W, 3)
            RGB.
        face_mask : Tensor of bool, shape (B, F)
        eye : Tensor, shape (B, C, eye_features)
            Normalised, zero where missing.
        eye_mask : Tensor of bool, shape (B, C, eye_features)
        fixations : Tensor, shape (B, M, fixation_features)
            Normalised, zero after the last one.
        fixation_mask : Tensor of bool, shape (B, M)

        Returns
        -------
        ModelOutput
        """
        eye_tokens, eye_token_mask = self.eye(eye, eye_mask)  # (B, C, hidden), (B, C)
        fixation_tokens, fixation_token_mask = self.fixation(fixations, fixation_mask)  # (B, M, hidden), (B, M)
        tokens = {"face": self.face(faces, face_mask), "eye": eye_tokens, "fixation": fixation_tokens}
        masks = {"face": face_mask, "eye": eye_token_mask, "fixation": fixation_token_mask}
        specific, shared = self.projections(tokens)  # each (B, T, projection)

        shared_logits = [self.discriminator(shared[m], masks[m], adversarial=True) for m in MODALITIES]
        specific_logits = [self.discriminator(specific[m], masks[m], adversarial=False) for m in MODALITIES]

        clip = self.transformer(
            torch.cat([specific[m] for m in MODALITIES], dim=1),  # (B, F + C + M, projection)
            torch.cat([shared[m] for m in MODALITIES], dim=1),
            torch.cat([masks[m] for m in MODALITIES], dim=1),  # (B, F + C + M)
        )  # (B, projection)
        return ModelOutput(
            targets=self.heads(clip),
            shared_logits=torch.stack(shared_logits, dim=1),
            specific_logits=torch.stack(specific_logits, dim=1),
            modality_mask=torch.stack([masks[m].any(dim=1) for m in MODALITIES], dim=1),
        )
