"""What a model may look at: the inputs of a batch, declared once.

A model names those that it takes in its class attribute ``inputs`` and is called with
keyword arguments of these names, so that nothing is loaded that nobody looks at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class Input:
    """One input of models.

    Parameters
    ----------
    name : str
    axes : tuple of str
        After the batch's.
    meaning : str
    mask : str
        The input that says where this one was measured; empty for masks and whole inputs.
    normalised : bool
        True if it is brought to the scale of the training part.
    """

    name: str
    axes: tuple[str, ...]
    meaning: str
    mask: str = ""
    normalised: bool = False


_ALL = (
    Input(
        "faces", ("frame", "y", "x", "colour"), "Face crops, uint8 RGB; for models that train a backbone.", "face_mask"
    ),
    Input("face_features", ("frame", "feature"), "Features of each frame by a frozen backbone.", "face_mask", True),
    Input("face_mask", ("frame",), "True where a face was found."),
    Input("face_summary", ("feature",), "Mean and spread of the face features over the clip.", "face_present", True),
    Input("face_present", (), "True where any face was found."),
    Input("eye", ("chunk", "feature"), "Eye features over equal chunks of the clip.", "eye_mask", True),
    Input("eye_mask", ("chunk", "feature"), "True where the feature was measured."),
    Input("fixations", ("fixation", "feature"), "Fixations in order of time.", "fixation_mask", True),
    Input("fixation_mask", ("fixation",), "True where there is a fixation."),
    Input("gaze_points", ("chunk", "feature"), "Mean gaze of each chunk, shares of the screen.", "gaze_points_mask"),
    Input("gaze_points_mask", ("chunk",), "True where there was gaze."),
    Input("summary", ("feature",), "Summaries of the eyes over the whole clip.", "summary_mask", True),
    Input("summary_mask", ("feature",), "True where the summary could be computed."),
    Input("averages", ("feature",), "Averages of the eye features over the clip.", "", True),
    Input("extremes", ("feature",), "Largest and smallest values of the eye features, and short events.", "", True),
    Input("course", ("feature",), "Course of the eye features over the clip, as cosines.", "", True),
    Input("rhythm", ("feature",), "Autocorrelation and band powers of the eye features.", "", True),
    Input("fixation_places", ("feature",), "Where fixations lie and how long they are.", "", True),
)

#: The inputs by name.
INPUTS: dict[str, Input] = {declared.name: declared for declared in _ALL}


def ask(model: nn.Module, batch: Mapping[str, Tensor]) -> Any:
    """Call a model with the inputs that it names.

    Returns
    -------
    emer_model.models.output.ModelOutput
    """
    return model(**{name: batch[name] for name in model.inputs})
