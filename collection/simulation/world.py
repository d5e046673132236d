"""The parameters of a planted world: how many simulated people, what they watch, what they hide and what goes missing.

Everything here is invented so that a line of tools and a model can be tested against a known truth. None of it is a
claim about people. What each parameter means stands in its field, from which the command's help and ``docs/planted.md``
are checked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from data_schema.errors import UsageError
from data_schema.vocabularies import EMOTIONS

#: Raised when the same parameters would give other data.
WORLD_VERSION = 1
#: Classes from the most to the least frequent. The order is ours.
CLASS_ORDER: tuple[str, ...] = ("happiness", "neutral", "sadness", "surprise", "fear", "disgust", "anger")
#: Clips of a participant in the default world: 1,303 of 121.
CLIPS_PER_PARTICIPANT = 1_303 / 121
#: Stimuli of one emotion.
STIMULI_PER_EMOTION = 5


def _field(default: Any, meaning: str, low: float, high: float) -> Any:
    return field(default=default, metadata={"meaning": meaning, "low": low, "high": high})


@dataclass(frozen=True)
class World:
    """All that decides a planted world; the same values give the same data.

    Raises
    ------
    UsageError
        At construction, if a value is out of range or values contradict each other.
    """

    seed: int = _field(0, "Seed of everything that is drawn; also the study's.", 0, 2**53)
    participants: int = _field(121, "Simulated participants, one session each.", 1, 9_999)
    clips: int = _field(
        1_303,
        "Clips of all participants together, dealt out evenly; the command gives each 10.8 where it is not said.",
        1,
        999_999,
    )
    clip_s: float = _field(6.0, "Length of a clip, seconds.", 1.0, 600.0)
    gap_s: float = _field(1.5, "Rest between two clips, seconds; pupil and face come back in it.", 0.6, 60.0)
    masking_share: float = _field(0.386, "Share of clips in which the face shows something else than is felt.", 0, 1)
    subject_effect: float = _field(
        1.5, "Differences between participants in gaze, pupil, masking, expressivity and looks; 0: all alike.", 0, 5
    )
    imbalance: float = _field(5.03, "Clips of the most frequent felt emotion for each of the rarest.", 1, 50)
    noise: float = _field(1.0, "Noise of a clip's eye behaviour and expression; 0: none.", 0, 5)
    blink_rate_hz: float = _field(0.25, "Blinks a second at rest.", 0, 2)
    loss_share: float = _field(0.01, "Share of gaze samples lost here and there, outside blinks.", 0, 0.9)
    missing_eyes_share: float = _field(0.02, "Share of clips without any gaze.", 0, 1)
    partial_loss_share: float = _field(0.06, "Share of clips of which a stretch (20 to 60 %) has no gaze.", 0, 1)
    missing_face_share: float = _field(
        0.03, "Share of clips in which the camera is covered, so that no face is found.", 0, 1
    )
    unlabelled_share: float = _field(
        0.0, "Share of clips that no annotator has labelled, for self-supervised learning.", 0, 1
    )
    annotators: int = _field(5, "Simulated annotators, who judge what is felt (ER) and what is shown (FER).", 0, 99)
    rater_noise: float = _field(1.0, "Errors, bias and gaps of the annotators; 0: they say what was planted.", 0, 5)
    rate_hz: float = _field(120.0, "Gaze samples a second.", 30, 1_200)
    fps: float = _field(8.0, "Camera frames a second; 0: no camera.", 0, 120)

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            low, high = item.metadata["low"], item.metadata["high"]
            if not (math.isfinite(value) and low <= value <= high):
                raise UsageError(f"{option_of(item.name)} is {value:g}, expected {low:g} to {high:g}.")
        if self.clips < self.participants:
            raise UsageError(
                f"--clips is {self.clips}, but there are {self.participants} participants, and each sees at least one. "
                "Give more clips or fewer participants."
            )
        if self.missing_eyes_share + self.partial_loss_share > 1:
            raise UsageError(
                "--missing-eyes-share and --partial-loss-share add up to more than 1. Make one of them smaller."
            )
        if 0 < self.fps < 2:
            raise UsageError(
                f"--fps is {self.fps:g}: a face needs at least 2 frames a second; 0 leaves the camera out."
            )

    def as_json(self) -> dict[str, Any]:
        """Return version and parameters as plain values."""
        return {"world_version": WORLD_VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> World:
        """Rebuild the parameters that a planted study keeps.

        Raises
        ------
        UsageError
            If they are of another version.
        """
        version = stored.get("world_version")
        if version != WORLD_VERSION:
            raise UsageError(
                f"the world is of version {version}, expected {WORLD_VERSION}. Plant it anew: emer plant STUDY"
            )
        return cls(**{name: value for name, value in stored.items() if name != "world_version"})

    def settings(self) -> dict[str, dict[str, object]]:
        """Return what ``study.toml`` says of this world: its simulation, its devices, and rules that keep every clip."""
        camera = {"source": "simulated", "width_px": VIDEO_PX[0], "height_px": VIDEO_PX[1], "fps": self.fps or 8.0}
        return {
            "simulation": {
                "masking_share": self.masking_share,
                "subject_effect": self.subject_effect,
                "noise": self.noise,
                "blink_rate_hz": self.blink_rate_hz,
                "loss_share": self.loss_share,
            },
            "screen": {"refresh_hz": FLIP_HZ},
            "eye_tracker": {"kind": "simulated", "rate_hz": self.rate_hz},
            "camera": camera,
            "protocol": {"washout_s": self.gap_s},
            # What is missing was planted: it is masked, not left out.
            "quality": {"max_gaze_loss": 1.0, "min_frames_share": 0.0, "without_camera": "include"},
            # Two looks a second, and a search every three seconds, suffice for a face that hardly moves.
            "faces": {"rate_hz": 2.0, "redetect_s": 3.0},
            "folds": {"n": min(5, max(3, self.participants))},
        }


#: Size of the picture. Faces are found in smaller ones, too, but their crops are then scaled up.
VIDEO_PX = (320, 240)
#: Screen refreshes a second that are written: few, since nothing reads them but the quality page.
FLIP_HZ = 30.0


def class_counts(n_clips: int, imbalance: float) -> dict[str, int]:
    """Return how many clips are felt as each emotion.

    The counts fall geometrically from the most frequent to the rarest, like the sizes of many datasets; rounding goes to
    the emotions with the largest remainders.

    Parameters
    ----------
    n_clips : int
    imbalance : float
        Most frequent over rarest.

    Returns
    -------
    dict of str to int
        By emotion, in :data:`CLASS_ORDER`; they add up to `n_clips`.
    """
    weights = [imbalance ** (-place / (len(CLASS_ORDER) - 1)) for place in range(len(CLASS_ORDER))]
    exact = [n_clips * weight / sum(weights) for weight in weights]
    counts = [int(value) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda place: (counts[place] - exact[place], place))
    for place in by_remainder[: n_clips - sum(counts)]:
        counts[place] += 1
    return dict(zip(CLASS_ORDER, counts, strict=True))


def option_of(name: str) -> str:
    """Return the option of the command that sets a parameter."""
    return f"--{name.replace('_', '-')}"


if set(CLASS_ORDER) != set(EMOTIONS):
    raise RuntimeError("the planted world and the vocabulary of emotions differ")
