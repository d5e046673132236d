"""The datasheet holds counted numbers, the study's own words, and names what nobody has said yet."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from data_schema.errors import ExportError
from data_schema.publishing.datasheet import datasheet, not_said, unanswered
from data_schema.publishing.numbers import count
from data_schema.publishing.publication import open_publication
from data_schema.publishing.tables.build import build_tables

from ..studies import make_study


@pytest.fixture(scope="module")
def text(publication) -> str:
    return datasheet(publication, count(publication, build_tables(publication)))


def test_numbers_are_those_of_the_publication(text, publication) -> None:
    assert "6 clips of 3 participants in 3 sessions and 3 recordings; 6 keep the study's quality rule" in text
    assert f"| `labels` | {len(publication.labels)} |" in text
    fer = publication.targets["fer_emotion"]
    assert f"| neutral | 0 | {int((fer == 'neutral').sum())} |" in text
    assert "2 simulated" in text
    assert "1 human" in text
    for item in publication.withheld:
        assert f"| {item.what} | {item.why} | {item.count} |" in text


def test_a_session_without_clips_counts_as_it_does_in_bids(publication) -> None:
    silent = replace(publication.recordings[0], session="02", clip_ids={})
    more = replace(publication, recordings=(*publication.recordings, silent))
    numbers = count(more, build_tables(publication))
    assert (numbers.sessions, numbers.recordings) == (4, 4)


def test_people_are_quoted_or_asked(text, publication) -> None:
    assert "To test what is published." in text
    assert not_said("population") in text
    assert not_said("purpose") not in text
    asked = set(re.findall(r"`\[publish\] (\w+)` in study\.toml", text))
    # Authors, date and address are part of the citation instead.
    assert asked == set(unanswered(publication)) - {"authors", "date", "url"}
    assert all(hasattr(publication.settings, key) for key in asked)


SAID = (
    "description", "contact", "ethics_approval", "purpose", "population", "recruitment", "annotators", "known_biases",
    "intended_uses", "unsuitable_uses", "maintenance", "licence", "url",
)  # fmt: skip
LISTED = ("authors", "funding", "references")


def test_all_that_a_study_says_of_its_dataset_is_in_it(published_study) -> None:
    said = {key: f"words-on-{key}" for key in SAID} | {key: (f"words-on-{key}",) for key in LISTED}
    settings = published_study.config.publish.model_copy(update={**said, "gated": False, "date": "2026-01-02"})
    mine = open_publication(published_study, settings)
    assert not unanswered(mine)
    text = datasheet(mine, count(mine, build_tables(mine)))
    missing = [key for key in (*SAID, *LISTED) if f"words-on-{key}" not in text]
    assert missing == []
    assert "Without asking for access." in text and "(2026)" in text
    assert "not said this yet" not in text


def test_what_found_the_eye_movements_can_be_repeated(text, publication) -> None:
    eye = publication.study.config.eye_movements
    assert (
        f"threshold {eye.velocity_threshold_deg_s:g}°/s" in text
        and f"under {eye.min_fixation_ms:g} ms discarded" in text
    )
    assert "ER by annotators, consensus by majority" in text
    assert f"{publication.n_folds} folds" in text and "the column `fold`" not in text


def test_no_placeholder_is_left(text) -> None:
    assert "$" not in text
    assert "\n\n\n" not in text
    assert "Ada One, Ben Two (2026). Eyes, faces" in text
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings == [
        "Motivation", "Composition", "Collection", "Preprocessing and labelling", "Uses", "Distribution", "Maintenance",
    ]  # fmt: skip


def test_a_study_without_labels_says_so(tmp_path) -> None:
    study = make_study(tmp_path / "study", 1, more="[publish]\nmin_group = 1\n")
    with pytest.raises(ExportError, match="emer clips"):
        open_publication(study)
    from data_schema.clips.index import build_clip_index

    build_clip_index(study)
    publication = open_publication(study)
    tables = build_tables(publication)
    # What participants said themselves are labels, too; nobody else's are there.
    assert {table.name for table in tables} >= {"clips", "labels"}
    text = datasheet(publication, count(publication, tables))
    assert "There are no annotators in this version." in text
    assert "Split by participant, never by clip" in text
