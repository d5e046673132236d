"""Sections on what leaves the study: training arrays, folds, published datasets."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from data_schema.study.sections.base import Identifier, Section


class ExportSection(Section):
    """Shapes of the training export."""

    face_frames: int = Field(8, ge=1, le=512, description="Face crops per clip, equally spaced in time.")
    face_size_px: Literal[112] = Field(112, description="Side of an aligned face crop.")
    eye_chunks: int = Field(32, ge=1, le=1024, description="Time chunks of eye features per clip.")
    faces: Literal["arrays", "jpeg"] = Field(
        "arrays",
        description="Face crops as uncompressed arrays, or as JPEG bytes: about a sixth of the size, slower to read.",
    )
    jpeg_quality: int = Field(
        90, ge=50, le=100, description="Quality of the JPEG crops; at 90 a real face differs by less than 1 % (43 dB)."
    )
    max_fixations: int = Field(32, ge=1, le=1024, description="Fixations kept per clip, from its start.")


class FoldsSection(Section):
    """Subject-independent folds."""

    n: int = Field(5, ge=3, le=100, description="Number of folds: one tests, the next validates, the rest train.")


class PublishSection(Section):
    """What published datasets say of themselves, and what they hold back."""

    name: str = Field("", max_length=200, description="Name of the dataset; the study's title if empty.")
    version: str = Field("1.0.0", pattern=r"^\d+\.\d+\.\d+$", description="Version of the dataset, MAJOR.MINOR.PATCH.")
    description: str = Field("", description="A few sentences on what the dataset is.")
    licence: str = Field(
        "", description="Licence of the dataset, such as CC-BY-NC-4.0; empty: nobody may use it yet, and it says so."
    )
    authors: tuple[str, ...] = Field((), description="Names in the order of citation.")
    contact: str = Field("", description="Where to ask; an institution's address rather than a person's.")
    ethics_approval: str = Field("", description="Which committee approved the study, and its reference number.")
    funding: tuple[str, ...] = Field((), description="Funders and grant numbers.")
    references: tuple[str, ...] = Field((), description="Papers and links, one each.")
    dates: Literal["drop", "shift"] = Field(
        "drop",
        description="drop: no date leaves; shift: each participant's are moved by a random number of days, before 1925.",
    )
    pseudonyms: Literal["new", "keep"] = Field(
        "new", description="new: published codes that only the lab can trace back; keep: the study's own."
    )
    faces: Literal["video", "blurred", "landmarks", "features", "none"] = Field(
        "features",
        description="The most that is published of a face. Consent bounds it: video, blurred need face_sharing, the others "
        "video.",
    )
    free_text: Literal["withhold", "include"] = Field(
        "withhold", description="Participants' own words and comments of annotators; people write names into them."
    )
    facts: tuple[Identifier, ...] = Field(
        ("age_years", "gender", "dominant_eye", "vision_aid"),
        description="Facts about participants that are published.",
    )
    age_bin_years: int = Field(
        5, ge=1, le=50, description="Ages are published as the first year of bins of so many years; 1 for whole years."
    )
    min_group: int = Field(
        3,
        ge=1,
        description="A fact is withheld if fewer participants share its value, or their combination of facts; 1 publishes all.",
    )
    consent: Literal["recorded", "elsewhere"] = Field(
        "recorded",
        description="recorded: who has no consent to sharing in the session files is not published; elsewhere: where files say "
        "nothing (imported recordings), the lab has consent to sharing on paper. Pictures of faces need a recorded one.",
    )
    gated: bool = Field(True, description="Access on request, as the dataset's card asks of the platform.")
    date: str = Field(
        "",
        pattern=r"^(\d{4}-\d{2}-\d{2})?$",
        description="Day of publication, YYYY-MM-DD; part of how the dataset is cited.",
    )
    url: str = Field("", description="Where the dataset will be found, such as its DOI as a link.")
    # What only people can say of a dataset; the datasheet names each that is empty.
    purpose: str = Field("", description="Why the dataset was made, and by whom.")
    population: str = Field("", description="Which people took part, and of whom they are a sample.")
    recruitment: str = Field("", description="How participants were found, and what they received for it.")
    annotators: str = Field("", description="Who annotated, with which training and pay; nobody by name.")
    known_biases: str = Field("", description="Who or what is over- or under-represented, as far as the study knows.")
    intended_uses: str = Field("", description="What the dataset is meant to be used for.")
    unsuitable_uses: str = Field("", description="What nobody should use it for.")
    maintenance: str = Field("", description="Who looks after the dataset, for how long, and how errors are mended.")
