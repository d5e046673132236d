"""ELAN files hold what was said, keep the format's rules, and bring labels back."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from data_schema.cli.exports import app as exports
from data_schema.cli.imports import app as imports
from data_schema.errors import LabelError, UsageError
from data_schema.labels import current_labels, read_labels
from data_schema.publishing.elan.document import Annotation, Document, Tier, TierType, Vocabulary
from data_schema.publishing.elan.export import export_elan
from data_schema.publishing.elan.reading import check_eaf, read_eaf
from data_schema.publishing.elan.writing import apart, to_eaf
from data_schema.publishing.publication import open_publication
from data_schema.study.folder import StudyFolder

Eaf = pytest.importorskip("pympi.Elan", reason="needs pympi").Eaf
RUN = CliRunner()


@pytest.fixture(scope="module")
def folder(publication, tmp_path_factory):
    """A finished ELAN export of the small study."""
    out = tmp_path_factory.mktemp("elan") / "elan"
    assert export_elan(publication, out) == 3
    return out


def first_file(folder):
    return sorted(folder.glob("*.eaf"))[0]


def import_(study: StudyFolder, files, *more: str):
    return RUN.invoke(imports, ["elan", *map(str, files), "--study", str(study.root), *more])


def test_each_file_keeps_the_rules_of_the_format(folder) -> None:
    for path in folder.glob("*.eaf"):
        assert check_eaf(ET.parse(path).getroot()) == []


def test_another_library_reads_labels_with_the_times_of_their_clips(folder, publication) -> None:
    rater = publication.pseudonyms.annotators["a03"]
    for recording in publication.recordings:
        eaf = Eaf(str(folder / f"{recording.name}.eaf"))
        clips = publication.clips[publication.clips["participant"] == recording.participant].sort_values("t_start_s")
        found = eaf.get_annotation_data_for_tier("clips")
        assert [row[2] for row in found] == clips["clip_id"].tolist()
        lengths = [round((end - start) / 1000, 2) for start, end, _ in found]
        assert lengths == clips["duration_s"].round(2).tolist()
        said = eaf.get_ref_annotation_data_for_tier(f"FER@{rater}")
        assert [row[2] for row in said] == ["skip:no_face", "surprise"]
        assert [row[:2] for row in said] == [row[:2] for row in found]
        assert eaf.get_ref_annotation_data_for_tier(f"FER-valence@{rater}")[0][2] == repr(1 / 3)
        assert {"fixations", "saccades"} <= set(eaf.get_tier_names())
        assert [value for _, _, value in eaf.get_annotation_data_for_tier(f"FER-apex@{rater}")] == ["apex"]
        assert "FER-comment@" + rater not in eaf.get_tier_names()


def test_marks_lie_where_their_frame_was(folder, publication) -> None:
    rater = publication.pseudonyms.annotators["a03"]
    marks = publication.marks[publication.marks["kind"] == "apex"].merge(publication.clips, on="clip_id")
    for row in marks.itertuples():
        document = read_eaf(folder / f"sub-{row.participant}_ses-{row.session}.eaf")
        tier = document.tier(f"FER-apex@{rater}")
        assert tier is not None
        assert abs(tier.annotations[0].start_ms - (row.t_s - float(document.properties["zero_s"])) * 1000) <= 1


def test_a_document_read_and_written_again_gives_the_same_bytes(folder) -> None:
    for path in folder.glob("*.eaf"):
        assert to_eaf(read_eaf(path)) == path.read_bytes()


def test_labels_come_home_and_export_to_the_same_bytes(folder, published_study, tmp_path) -> None:
    shutil.copytree(published_study.root, tmp_path / "study")
    study = StudyFolder(tmp_path / "study")
    for path in study.labels_dir.glob("*.sqlite"):
        path.unlink()
    files = sorted(folder.glob("*.eaf"))
    for annotator in ("sim-01", "sim-02"):
        for task in ("er", "fer"):
            done = import_(study, files, "--annotator", annotator, "--task", task, "--kind", "simulated")
            assert done.exit_code == 0, done.output
            assert "6 labels added, 0 there already" in done.output
    again = import_(study, files, "--annotator", "sim-01", "--task", "er", "--kind", "simulated")
    assert "0 labels added, 6 there already" in again.output
    home = current_labels(read_labels(study.labels_dir / "sim-01.sqlite"))
    assert set(home["view"]) == {"elan"}
    third = import_(study, files, "--annotator", "a03", "--task", "fer")
    assert "6 marks added or taken back, 0 there already" in third.output, third.output
    export_elan(open_publication(study), tmp_path / "again")
    rater = open_publication(study).pseudonyms.annotators["a03"]
    for path in files:
        # Second showings do not come back: ELAN shows no clip twice.
        without = replace(
            document := read_eaf(path), tiers=tuple(t for t in document.tiers if not t.name.endswith("-repeat1"))
        )
        path = tmp_path / path.name
        path.write_bytes(to_eaf(without))
        assert rater in path.read_text(encoding="utf-8")
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


def test_marks_that_moved_or_went_are_those_of_the_log(folder, published_study, publication, tmp_path) -> None:
    shutil.copytree(published_study.root, tmp_path / "study")
    study = StudyFolder(tmp_path / "study")
    rater = publication.pseudonyms.annotators["a03"]
    document = read_eaf(first_file(folder))
    tiers = []
    for tier in document.tiers:
        if tier.name == f"FER-apex@{rater}":
            # A tenth of a second earlier is three camera frames.
            moved = [replace(item, start_ms=item.start_ms - 100, end_ms=item.end_ms - 100) for item in tier.annotations]
            tier = replace(tier, annotations=tuple(moved))
        tiers.append(replace(tier, annotations=()) if tier.name == f"FER-flag@{rater}" else tier)
    path = tmp_path / "moved.eaf"
    path.write_bytes(to_eaf(replace(document, tiers=tuple(tiers))))
    done = import_(study, [path], "--annotator", "a03", "--task", "fer")
    # One apex comes, the one before it and the flag go.
    assert "3 marks added or taken back, 0 there already" in done.output, done.output
    marks = open_publication(study).marks
    was, now = (table[table["kind"] == "apex"].set_index("clip_id")["t_s"] for table in (publication.marks, marks))
    assert (was - now).round(1).value_counts().to_dict() == {0.0: 2, 0.1: 1}
    assert (marks["kind"] == "flag").sum() == 2
    again = import_(study, [path], "--annotator", "a03", "--task", "fer")
    assert "0 marks added or taken back, 1 there already" in again.output


def edited(folder, tmp_path, old: str, new: str):
    path = tmp_path / "edited.eaf"
    text = first_file(folder).read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


def test_an_edited_label_replaces_the_one_before(folder, published_study, publication, tmp_path) -> None:
    shutil.copytree(published_study.root, tmp_path / "study")
    study = StudyFolder(tmp_path / "study")
    rater = publication.pseudonyms.annotators["a03"]
    path = edited(folder, tmp_path, "<ANNOTATION_VALUE>surprise<", "<ANNOTATION_VALUE>disgust<")
    done = import_(study, [path], "--annotator", "a03", "--task", "fer")
    assert "1 labels added, 1 there already" in done.output, done.output
    rows = current_labels(read_labels(study.labels_dir / "a03.sqlite"))
    assert (rows["emotion"] == "disgust").sum() == 1
    # Free text stayed in the study, and stays in its log.
    assert "dark; nothing, to see" in set(rows["comment"])
    other = import_(study, [path], "--annotator", "a09", "--task", "fer", "--tier", f"FER@{rater}")
    assert "2 labels added" in other.output, other.output


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<ANNOTATION_VALUE>surprise<", "<ANNOTATION_VALUE>suprise<", "Did you mean 'surprise'"),
        ("<ANNOTATION_VALUE>1.5<", "<ANNOTATION_VALUE>strong<", "expected a number"),
        ("_trial-001<", "_trial-901<", "the study has no clip"),
    ],
)
def test_one_bad_annotation_and_nothing_is_imported(folder, published_study, tmp_path, old, new, message) -> None:
    shutil.copytree(published_study.root, tmp_path / "study")
    study = StudyFolder(tmp_path / "study")
    before = (study.labels_dir / "a03.sqlite").read_bytes()
    done = import_(study, [edited(folder, tmp_path, old, new)], "--annotator", "a03", "--task", "fer")
    assert isinstance(done.exception, LabelError)
    assert message in str(done.exception)
    assert (study.labels_dir / "a03.sqlite").read_bytes() == before


def test_a_file_without_the_tier_names_those_it_has(folder, published_study) -> None:
    done = import_(published_study, [first_file(folder)], "--annotator", "a77", "--task", "fer")
    assert isinstance(done.exception, LabelError)
    assert "has no tier 'FER@a77'" in str(done.exception)
    assert "'clips'" in str(done.exception)
    assert not (published_study.labels_dir / "a77.sqlite").exists()


def test_recordings_that_an_annotator_has_not_judged_are_passed_over(
    folder, published_study, publication, tmp_path
) -> None:
    shutil.copytree(published_study.root, tmp_path / "study")
    study = StudyFolder(tmp_path / "study")
    own = edited(folder, tmp_path, f"@{publication.pseudonyms.annotators['a03']}", "@other")
    done = import_(study, [own, first_file(folder)], "--annotator", "a03", "--task", "fer")
    assert done.exit_code == 0 and "0 labels added, 2 there already" in done.output, done.output
    assert f"passed over: {own}" in done.output


def test_a_task_that_is_none_is_refused(folder, published_study) -> None:
    wrong = import_(published_study, [first_file(folder)], "--annotator", "a77", "--task", "face")
    assert isinstance(wrong.exception, UsageError)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('TIME_SLOT_REF1="ts1"', 'TIME_SLOT_REF1="ts999"', "there is no time slot ts999"),
        ('ANNOTATION_ID="a2"', 'ANNOTATION_ID="a1"', "ANNOTATION_ID 'a1' is there twice"),
        ('ANNOTATION_REF="a1"', 'ANNOTATION_REF="a999"', "refers to no annotation of tier 'clips'"),
        ('<TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="', '<TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="99', "not in the order of time"),
    ],
)  # fmt: skip
def test_a_broken_file_is_refused_with_what_is_wrong(folder, tmp_path, old, new, problem) -> None:
    with pytest.raises(LabelError, match=problem):
        read_eaf(edited(folder, tmp_path, old, new))


def test_what_is_no_elan_file_is_refused(tmp_path) -> None:
    path = tmp_path / "x.eaf"
    with pytest.raises(LabelError, match="there is no such file"):
        read_eaf(path)
    path.write_text("<ANNOTATION_DOCUMENT", encoding="utf-8")
    with pytest.raises(LabelError, match="is no ELAN file"):
        read_eaf(path)


_TEXTS = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=20)
_SPANS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 80), _TEXTS), max_size=12)


@settings(max_examples=60, deadline=None)
@given(spans=_SPANS, words=st.lists(st.sampled_from(["a", "b", ""]), max_size=12))
def test_any_document_is_valid_and_comes_back(spans, words, tmp_path_factory) -> None:
    top = apart([Annotation(value, start, start + length) for start, length, value in spans])
    below = tuple(
        Annotation(word, parent.start_ms, parent.end_ms, place)
        for place, (word, parent) in enumerate(zip(words, top, strict=False))
    )
    document = Document(
        (Tier("top", "free", top, annotator="x"), Tier("below", "said", below, "top")),
        (TierType("free"), TierType("said", "letters", True)),
        (Vocabulary("letters", "two of them", {"a": "the first", "b": "the second"}),),
        properties={"k": "v & <w>"},
        licence="none",
    )
    content = to_eaf(document)
    assert check_eaf(ET.fromstring(content)) == []
    path = tmp_path_factory.mktemp("any") / "any.eaf"
    path.write_bytes(content)
    assert read_eaf(path) == document


def test_annotations_of_one_tier_are_pushed_apart() -> None:
    items = apart(
        [Annotation("b", 10, 30), Annotation("a", 0, 20), Annotation("gone", 5, 15), Annotation("dot", 40, 40)]
    )
    assert [(item.value, item.start_ms, item.end_ms) for item in items] == [
        ("a", 0, 20),
        ("b", 20, 30),
        ("dot", 40, 41),
    ]


def test_the_command_says_how_labels_come_back(published_study, tmp_path) -> None:
    done = RUN.invoke(exports, ["elan", str(published_study.root), str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "3 files, 6 clips" in done.output
    assert "emer import elan" in done.output
    assert (tmp_path / "out" / "datasheet.md").is_file()
