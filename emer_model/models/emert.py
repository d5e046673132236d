"""EMERT: modality-adversarial decoupling and a cross transformer.

The structure is that of the reference's code, layer by layer; `EmertReference` has its
parameters one by one. What the reference does beside, and what we hold for a mistake, is a
switch that is off in `Emert`: see `QUIRKS` and docs/models.md.

References
----------
Liu et al. (2025), "Smile on the Face, Sadness in the Eyes", arXiv 2512.16485, and
its public code kejun1/EMER (model/EMERT/model.py, transformer.py, dataset/SMEAD_dataset.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from emer_model.models.cross_transformer import CrossTransformer
from emer_model.models.discriminator import ModalityDiscriminator
from emer_model.models.heads import PredictionHeads
from emer_model.models.output import ModelOutput
from emer_model.models.projections import SubspaceProjections
from emer_model.models.reference_quirks import digit_order, draw_rows
from emer_model.models.sequence_encoder import SequenceEncoder

#: The order of the modalities among the tokens and for the discriminator.
MODALITIES: tuple[str, ...] = ("face", "eye", "fixation")

#: What the network looks at, and with the quirk `gaze_points`.
FIXATION_INPUTS = ("face_features", "face_mask", "eye", "eye_mask", "fixations", "fixation_mask")
GAZE_POINT_INPUTS = (*FIXATION_INPUTS[:4], "gaze_points", "gaze_points_mask")

#: Hidden units of the reference's heads.
REFERENCE_HEADS: tuple[int, ...] = (32, 16, 8)

#: What the reference does and `Emert` does not, by the switch that brings it back.
QUIRKS: dict[str, str] = {
    "gaze_points": "The branch called fixation sees the gaze point again, and no fixations.",
    "no_mask_channels": "A missing eye value is not told from an average one.",
    "unmasked": "Attention, means and the discriminator take missing steps for real ones.",
    "digit_order": "Face frames in the order of the last digit of their number, which is not time.",
    "random_rows": "Chance chooses the rows of eyes and gaze, at test time too: answers change from run to run.",
    "bgr": "The face backbone is fed blue, green, red in [0, 1], without the normalisation that its weights expect.",
    "reference_heads": "Heads of 32, 16 and 8 hidden units.",
    "unused_layers": "Two layers that nothing passes through: ImageNet's classifier and one for a concatenation.",
}


class Emert(nn.Module):
    """Judge a clip from face frames, eye behaviour and fixations.

    Parameters
    ----------
    targets : mapping of str to int
        Outputs of each target: the number of classes, or 1.
    face_width : int
        Features of a face frame (512 from ResNet-18).
    eye_features, fixation_features : int
        Columns of the two sequences (39 and 2 in the reference).
    face_frames, eye_chunks, fixations : int
        Tokens of each modality (8, 32 and 32 in the reference).
    hidden : int
        Features of a token before the subspaces; width of the LSTMs.
    layers : int
        Depth of the LSTMs.
    projection : int
        Width of the subspaces.
    depth : int
        Layers of the cross transformer.
    heads : int
        Its attention heads.
    head_features : int
        Width of a head.
    mlp : int
        Hidden units of its perceptrons.
    head_widths : tuple of int
        See `PredictionHead`.
    dropout : float
        Of encoders and transformer.
    embedding_dropout : float
        Of the transformer's position embeddings.
    gaze_points, no_mask_channels, unmasked, digit_order, random_rows, bgr, reference_heads, unused_layers : bool
        The reference's quirks, see `QUIRKS`. `bgr` is read by whoever builds the face backbone.

    Attributes
    ----------
    inputs : tuple of str
        With `gaze_points` these take the place of fixations.
    """

    name = "emert"
    inputs = FIXATION_INPUTS
    summary_line = "The reference's network without its quirks: modality-adversarial subspaces and a cross transformer."
    defaults: ClassVar[dict[str, Any]] = {"dropout": 0.5}
    modalities = MODALITIES

    def __init__(
        self,
        targets: Mapping[str, int],
        face_width: int,
        eye_features: int,
        fixation_features: int = 4,
        face_frames: int = 8,
        eye_chunks: int = 32,
        fixations: int = 32,
        hidden: int = 128,
        layers: int = 3,
        projection: int = 64,
        depth: int = 2,
        heads: int = 8,
        head_features: int = 64,
        mlp: int = 64,
        head_widths: tuple[int, ...] = (),
        dropout: float = 0.5,
        embedding_dropout: float = 0.1,
        gaze_points: bool = False,
        no_mask_channels: bool = False,
        unmasked: bool = False,
        digit_order: bool = False,
        random_rows: bool = False,
        bgr: bool = False,
        reference_heads: bool = False,
        unused_layers: bool = False,
    ) -> None:
        super().__init__()
        self.gaze_points, self.unmasked, self.bgr = gaze_points, unmasked, bgr
        self.digit_order, self.random_rows = digit_order, random_rows
        self.inputs = GAZE_POINT_INPUTS if gaze_points else FIXATION_INPUTS
        if gaze_points:
            fixation_features, fixations = 2, eye_chunks  # x and y of the mean gaze of each chunk
        self.face = nn.Linear(face_width, hidden)
        self.dropout = nn.Dropout(dropout)
        self.eye = SequenceEncoder(eye_features, hidden, layers, dropout, mask_channels=not no_mask_channels)
        # A fixation is there or not, as a whole, so its mask is no input; padding comes after the
        # last one and cannot reach it.
        self.fixation = SequenceEncoder(fixation_features, hidden, layers, dropout, mask_channels=False)
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
        self.heads = PredictionHeads(projection, targets, REFERENCE_HEADS if reference_heads else tuple(head_widths))
        self.unused: nn.ModuleDict | None = None
        if unused_layers:
            self.unused = nn.ModuleDict({"imagenet": nn.Linear(face_width, 1000), "concatenation": nn.Linear(768, 7)})
            # Never trained in the reference either, as they get no gradient; said so, they do not
            # keep several processes waiting for one.
            self.unused.requires_grad_(False)

    def forward(
        self,
        face_features: Tensor,
        face_mask: Tensor,
        eye: Tensor,
        eye_mask: Tensor,
        fixations: Tensor | None = None,
        fixation_mask: Tensor | None = None,
        gaze_points: Tensor | None = None,
        gaze_points_mask: Tensor | None = None,
    ) -> ModelOutput:
        """Judge a batch of clips.

        Parameters
        ----------
        face_features : Tensor, shape (B, F, face_width)
            Of each frame.
        face_mask : Tensor of bool, shape (B, F)
        eye : Tensor, shape (B, C, eye_features)
            Normalised, zero where missing.
        eye_mask : Tensor of bool, shape (B, C, eye_features)
        fixations : Tensor, shape (B, M, fixation_features)
            Normalised, zero after the last one.
        fixation_mask : Tensor of bool, shape (B, M)
        gaze_points : Tensor, shape (B, C, 2)
            Shares of the screen; with the switch of this name, in the place of fixations.
        gaze_points_mask : Tensor of bool, shape (B, C) or (B, C, 2)

        Returns
        -------
        ModelOutput
        """
        points, point_mask = (gaze_points, gaze_points_mask) if self.gaze_points else (fixations, fixation_mask)
        if point_mask.dim() == 3:  # (B, M, features) to (B, M)
            point_mask = point_mask.any(dim=2)
        if self.digit_order:
            order = digit_order(face_features.shape[1])
            face_features, face_mask = face_features[:, order], face_mask[:, order]
        if self.random_rows:
            eye, eye_mask = draw_rows(eye, eye_mask)
            if self.gaze_points:
                points, point_mask = draw_rows(points, point_mask)
        tokens = {
            "face": self.dropout(self.face(face_features)),  # (B, F, hidden)
            "eye": self.eye(eye, eye_mask),  # (B, C, hidden)
            "fixation": self.fixation(points, point_mask.unsqueeze(2).expand_as(points)),  # (B, M, hidden)
        }
        present = {"face": face_mask, "eye": eye_mask.any(dim=2), "fixation": point_mask}  # (B, T) each
        masks = {name: torch.ones_like(mask) for name, mask in present.items()} if self.unmasked else present
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


class EmertReference(Emert):
    """EMERT with all quirks of the reference switched on: 12,768,233 parameters with ResNet-18 and its data.

    Parameters
    ----------
    targets, face_width, eye_features, fixation_features, face_frames, eye_chunks, fixations, dropout
        See `Emert`; the two of fixations are of use without `gaze_points` alone.
    gaze_points, no_mask_channels, unmasked, digit_order, random_rows, bgr, reference_heads, unused_layers : bool
        To switch single ones off.
    """

    name = "emert-reference"
    inputs = GAZE_POINT_INPUTS
    summary_line = "The reference's network with all its quirks, to compare with: the same 12.77 million parameters."
    defaults: ClassVar[dict[str, Any]] = {
        "dropout": 0.5,
        "epochs": 200,
        "patience": 200,
        "batch_size": 16,
        "learning_rate": 1e-4,
        "weight_decay": 5e-4,
        "gradient_clip": 0.0,
        "subject_normalisation": False,
        "face_backbone": "resnet18",
        "face_training": "full",
    }

    def __init__(
        self,
        targets: Mapping[str, int],
        face_width: int,
        eye_features: int,
        fixation_features: int = 4,
        face_frames: int = 8,
        eye_chunks: int = 32,
        fixations: int = 32,
        dropout: float = 0.5,
        gaze_points: bool = True,
        no_mask_channels: bool = True,
        unmasked: bool = True,
        digit_order: bool = True,
        random_rows: bool = True,
        bgr: bool = True,
        reference_heads: bool = True,
        unused_layers: bool = True,
    ) -> None:
        super().__init__(
            targets,
            face_width,
            eye_features,
            fixation_features,
            face_frames,
            eye_chunks,
            fixations,
            dropout=dropout,
            gaze_points=gaze_points,
            no_mask_channels=no_mask_channels,
            unmasked=unmasked,
            digit_order=digit_order,
            random_rows=random_rows,
            bgr=bgr,
            reference_heads=reference_heads,
            unused_layers=unused_layers,
        )
