"""Learn to read eye streams from clips without labels: hide some chunks and say what was measured in them.

Self-supervised, on the training participants' clips alone, labelled or not. What is learned are the
weights of the eye encoder; the rest of the network is not touched.

References
----------
Devlin et al. (2019), "BERT", section 3.1 (masked prediction); Zerveas et al. (2021), "A
Transformer-based Framework for Multivariate Time Series Representation Learning", KDD, section 3.2
(spans instead of single steps, and the loss over hidden values that were measured alone).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from data_schema.errors import TrainingError
from emer_model.models.modality_encoder import ModalityEncoder


@dataclass(frozen=True)
class HiddenPrediction:
    """What was said of hidden chunks.

    Parameters
    ----------
    loss : Tensor, shape ()
        Mean squared error over the hidden values that were measured; 0 where there are none.
    hidden : Tensor of bool, shape (B, C)
        The chunks that were hidden.
    predicted : Tensor, shape (B, C, features)
        For every chunk.
    """

    loss: Tensor
    hidden: Tensor
    predicted: Tensor


class MaskedChunkPrediction(nn.Module):
    """Predict the normalised eye features of hidden spans of chunks from the chunks around them.

    Parameters
    ----------
    encoder : ModalityEncoder
        Of the eye chunks; it is trained in place. Must encode over time ('tcn' or 'transformer').
    features : int
        Eye features of a chunk.
    share : float
        Share of the chunks that is hidden, about; ours.
    span : int
        Chunks hidden together. Neighbours are much alike, so that single ones would be copied.

    Raises
    ------
    TrainingError
        If the encoder has no steps to hide.
    """

    def __init__(self, encoder: ModalityEncoder, features: int, share: float = 0.25, span: int = 3) -> None:
        super().__init__()
        if encoder.statistics is not None:
            raise TrainingError(
                "pretrain_epochs: the encoder 'statistics' has no steps of which some could be hidden. "
                "Set encoder=tcn or encoder=transformer, or pretrain_epochs to 0."
            )
        self.encoder, self.share, self.span = encoder, share, span
        width = encoder.norm.normalized_shape[0]
        self.predict = nn.Linear(width, features)

    def forward(self, eye: Tensor, eye_mask: Tensor, generator: torch.Generator | None = None) -> HiddenPrediction:
        """Hide and predict.

        Parameters
        ----------
        eye : Tensor, shape (B, C, features)
            Normalised, zero where missing.
        eye_mask : Tensor of bool, shape (B, C, features)
        generator : torch.Generator, optional
            Of the spans; a fixed one makes losses comparable.
        """
        hidden = draw_spans(eye.shape[0], eye.shape[1], self.share, self.span, generator).to(eye.device)  # (B, C)
        seen = eye_mask & ~hidden.unsqueeze(2)  # (B, C, features)
        tokens = self.encoder.encode(eye * seen, seen, seen.any(dim=2))  # (B, C, width)
        predicted = self.predict(tokens).float()  # (B, C, features)
        asked = (eye_mask & hidden.unsqueeze(2)).float()
        loss = ((predicted - eye.float()) ** 2 * asked).sum() / asked.sum().clamp(min=1.0)
        return HiddenPrediction(loss, hidden, predicted)


def draw_spans(clips: int, steps: int, share: float, span: int, generator: torch.Generator | None = None) -> Tensor:
    """Choose spans of steps to hide.

    Parameters
    ----------
    clips, steps : int
        Shape of the result.
    share : float
        Share of the steps that is hidden, about: spans may overlap. At least one span a clip.
    span : int
        Steps of a span, cut at the end.
    generator : torch.Generator, optional

    Returns
    -------
    Tensor of bool, shape (clips, steps)
    """
    spans = max(1, round(share * steps / span))
    starts = torch.randint(0, max(1, steps - span + 1), (clips, spans, 1), generator=generator)
    step = torch.arange(steps)
    return ((step >= starts) & (step < starts + span)).any(dim=1)  # from (clips, spans, steps)


def pretraining_of(model: nn.Module, features: int, share: float = 0.25, span: int = 3) -> MaskedChunkPrediction:
    """Make the pretraining of a network's eye encoder.

    Parameters
    ----------
    model : nn.Module
        With a `ModalityEncoder` called ``eye``, such as ``eyeface`` and ``eye-only``.
    features : int
        Eye features of a chunk.
    share, span
        See `MaskedChunkPrediction`.

    Raises
    ------
    TrainingError
        If the network has no such encoder.
    """
    encoder = getattr(model, "eye", None)
    if not isinstance(encoder, ModalityEncoder):
        name = getattr(model, "name", type(model).__name__)
        raise TrainingError(
            f"pretrain_epochs: model '{name}' has no eye encoder that could be trained without labels. Set pretrain_epochs "
            "to 0, or choose eyeface, eye-only or late-fusion-network."
        )
    return MaskedChunkPrediction(encoder, features, share, span)
