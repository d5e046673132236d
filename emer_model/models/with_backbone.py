"""A network and the face backbone that is trained with it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from data_schema.errors import TrainingError
from emer_model.faces.backbone import FaceBackbone
from emer_model.models.output import ModelOutput


class WithBackbone(nn.Module):
    """Let a network over face features see images, and train both.

    Takes what the network takes, with ``faces`` in place of ``face_features``. Frames without a face are not looked
    at, so they cannot shift the batch statistics either. Put the whole into ``channels_last`` memory format:
    pictures come in that order already.

    Parameters
    ----------
    backbone : FaceBackbone
        Encodes each frame by itself, with its own preprocessing.
    network : nn.Module
        Takes ``face_features`` (B, F, D), D the backbone's ``out_features``.
    half : bool
        Freeze the backbone's first half: it gets no gradients, its normalisation keeps the statistics that it has, and
        nothing of it is kept for a backward pass, so that a step takes about half the time and memory.

    Attributes
    ----------
    name : str
        The network's.
    inputs : tuple of str
        See above.

    Raises
    ------
    TrainingError
        If the network does not take features of single frames.
    """

    def __init__(self, backbone: FaceBackbone, network: nn.Module, half: bool = False) -> None:
        super().__init__()
        asked = tuple(network.inputs)
        if "face_features" not in asked:
            raise TrainingError(
                f"Model '{network.name}' does not look at single face frames, so no backbone can be trained with it: it takes "
                f"{', '.join(asked)}. Choose --face-training frozen, or another --model."
            )
        of_clips = [name for name in asked if name in ("face_summary", "face_present")]
        if of_clips:
            raise TrainingError(
                f"Model '{network.name}' takes {of_clips[0]}, which is computed before training, so no backbone can be trained "
                "with it. Choose --face-training frozen, or another --model."
            )
        self.name = network.name
        self._passed_on = asked
        inputs = tuple("faces" if name == "face_features" else name for name in asked)
        self.inputs = inputs if "face_mask" in inputs else (*inputs, "face_mask")
        self.backbone, self.network, self.half = backbone, network, half
        if half:
            for module in backbone.bottom_modules():
                module.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> WithBackbone:
        """Switch between training and evaluation; a frozen half stays in evaluation."""
        super().train(mode)
        if self.half:
            for module in self.backbone.bottom_modules():
                module.eval()
        return self

    def forward(self, faces: Tensor, face_mask: Tensor, **others: Tensor) -> ModelOutput:
        """Judge a batch of clips.

        Parameters
        ----------
        faces : Tensor of uint8, shape (B, F, H, W, 3)
            RGB.
        face_mask : Tensor of bool, shape (B, F)
            True where a face was found.
        **others : Tensor
            The network's further inputs.
        """
        given = {**others, "face_mask": face_mask, "face_features": self.features(faces, face_mask)}
        return self.network(**{name: given[name] for name in self._passed_on})

    def features(self, faces: Tensor, face_mask: Tensor) -> Tensor:
        """Encode the frames that hold a face; float32 (B, F, D), zeros where there is none."""
        if torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export():
            # A graph needs shapes that do not depend on the data; in evaluation mode no frame touches another.
            every = self._encode(faces.flatten(0, 1)).unflatten(0, face_mask.shape)  # (B, F, D)
            return every * face_mask[..., None]
        features = torch.zeros(*face_mask.shape, self.backbone.out_features, device=faces.device)
        frames = faces[face_mask]  # (N, H, W, 3), N frames with a face
        if frames.shape[0] == 0:
            return features
        features[face_mask] = self._encode(frames)
        return features

    def _encode(self, frames: Tensor) -> Tensor:
        """Map pictures uint8 (N, H, W, 3) to features float32 (N, D)."""
        if self.half:
            with torch.no_grad():
                maps = self.backbone.bottom(self.backbone.prepare(frames))
            return self.backbone.top(maps).float()
        return self.backbone(self.backbone.prepare(frames)).float()
