"""Sections on labels and on those who give them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from data_schema.study.sections.base import Identifier, Section
from data_schema.study.sections.emotions import EmotionName, PolarityName
from data_schema.vocabularies import EMOTIONS, POLARITIES


class LabelsSection(Section):
    """What annotators may say."""

    emotions: tuple[EmotionName, ...] = Field(
        EMOTIONS, min_length=2, description="Emotions offered; a study may narrow the seven."
    )
    polarities: tuple[PolarityName, ...] = Field(
        POLARITIES, min_length=2, description="Polarities offered; a study may narrow the three."
    )
    er_source: Literal["annotators", "self_report"] = Field(
        "annotators", description="Who says what was felt: annotators of the ER pass, or the participant."
    )
    consensus: Literal["majority", "dawid-skene"] = Field(
        "majority",
        description="How the training export finds the class that annotators say together; dawid-skene needs the extra "
        "consensus.",
    )
    database: str = Field(
        "",
        pattern=r"^$|^postgresql://[^\s]+$",
        description="postgresql://HOST/DATABASE where annotators write at once, without a password; empty for one file each.",
    )


LabelField = Literal["emotion", "polarity", "valence", "arousal", "intensity", "confidence"]


class AnnotationSection(Section):
    """Who labels what, in which order, and what a label must hold."""

    annotators: tuple[Identifier, ...] = Field(
        (),
        description="Pseudonyms of the annotators among whom the clips are shared; empty: whoever comes gets all clips.",
    )
    annotators_per_clip: int = Field(
        0, ge=0, description="Annotators who judge each clip in each pass; 0 for all of them."
    )
    required: tuple[LabelField, ...] = Field(
        ("emotion", "valence", "arousal", "intensity"),
        description="What a label must hold before it counts; intensity is asked in the FER pass alone.",
    )
    trace: Literal["off", "bounded", "relative"] = Field(
        "off",
        description="A continuous trace while the clip plays: on the scale (bounded), or free of ends (relative).",
    )
    trace_of: Literal["valence", "arousal", "both"] = Field("valence", description="What the trace is of.")
    repeats_share: float = Field(
        0.1, ge=0, le=0.5, description="Share of an annotator's clips that come a second time, unannounced."
    )
    repeats_distance: int = Field(20, ge=1, description="Clips that lie between a clip and its repeat, at least.")
    gold_file: str = Field(
        "", description="CSV in the study folder with the clips whose labels are agreed on by experts; empty for none."
    )
    training_clips: int = Field(0, ge=0, description="Gold clips of the training block, answered with feedback.")
    admission_clips: int = Field(0, ge=0, description="Gold clips of the admission test, without feedback.")
    admission_share: float = Field(
        0.7, ge=0, le=1, description="Share of the admission test's emotions that must be right."
    )
    break_every_min: float = Field(
        30.0, ge=0, description="Minutes of work after which a break is proposed; 0 for none."
    )
    guess_min_confidence: float = Field(
        0.8, ge=0, le=1, description="Confidence from which a model's guess is offered for verification."
    )
    control_share: float = Field(
        0.2,
        gt=0,
        le=1,
        description="Share of those clips that is judged without a guess, to measure what seeing one does.",
    )
    query_strategy: Literal["random", "least_confident", "margin", "entropy", "disagreement"] = Field(
        "disagreement",
        description="Which clips come first where a model's predictions order the queue; disagreement is that between the "
        "models of several folds, or passes with dropout.",
    )
