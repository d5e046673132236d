"""``croissant.json``: a description of a Parquet dataset that machines read (Croissant 1.1 with its responsible-AI terms).

References
----------
MLCommons, Croissant format specification 1.1, and Croissant RAI vocabulary 1.0.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from data_schema import __version__
from data_schema.errors import ExportError
from data_schema.files import write_bytes
from data_schema.publishing.datasheet import not_said
from data_schema.publishing.folder import read_marker, verify_publication, write_checksums
from data_schema.publishing.numbers import Numbers, count
from data_schema.publishing.scan import scan_folder
from data_schema.publishing.tables.build import build_tables
from data_schema.publishing.tables.card import NO_LICENCE, annotations_per_clip, citation
from data_schema.publishing.tables.declarations import PublishedColumn, PublishedTable
from data_schema.publishing.tables.eye import GAZE_TABLE, LANDMARKS
from data_schema.publishing.tables.parquet import in_card_order
from data_schema.session.reader import file_sha256

if TYPE_CHECKING:
    from data_schema.publishing.publication import Publication

CROISSANT_NAME = "croissant.json"
CONFORMS_TO = ("http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0")
_PARQUET = "application/x-parquet"
_DATA_TYPES = {
    "text": "sc:Text",
    "bool": "sc:Boolean",
    "int8": "cr:Int8",
    "int32": "cr:Int32",
    "int64": "cr:Int64",
    "float32": "cr:Float32",
    "float64": "cr:Float64",
}
#: Terms of the vocabulary under their short names, as the specification prescribes the context.
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "annotation": "cr:annotation",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def describe(
    publication: Publication, numbers: Numbers, tables: tuple[PublishedTable, ...], folder: Path
) -> dict[str, Any]:
    """Describe a folder of Parquet tables.

    Parameters
    ----------
    publication : Publication
    numbers : Numbers
    tables : tuple of PublishedTable
        The tables in ``folder/data``.
    folder : Path
        The dataset; its files are hashed.

    Returns
    -------
    dict
        JSON-LD.
    """
    settings = publication.settings
    said: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": publication.name,
        "description": settings.description or not_said("description"),
        "conformsTo": list(CONFORMS_TO),
        "license": settings.licence or NO_LICENCE,
        "url": settings.url,
        "version": publication.version,
        "datePublished": settings.date,
        "citeAs": citation(publication),
        "creator": [{"@type": "sc:Person", "name": author} for author in settings.authors],
        "keywords": ["eye tracking", "emotion recognition", "facial expression recognition", "affective computing"]
        + (["simulated data"] if publication.simulated else []),
        "isAccessibleForFree": True,
        **{f"rai:{name}": text for name, text in responsible(publication, numbers).items() if text},
        "distribution": [item for table in tables for item in _files(table, folder)],
        "recordSet": [_record_set(table, folder) for table in tables],
    }
    return {key: value for key, value in said.items() if value not in ("", [])}


def responsible(publication: Publication, numbers: Numbers) -> dict[str, str | list[str]]:
    """Return the responsible-AI terms and what they say of this dataset."""
    settings = publication.settings
    kinds = ", ".join(f"{n} {kind}" for kind, n in numbers.annotators.items())
    withheld = [f"{item.what}: {item.count} ({item.why})" for item in publication.withheld]
    excluded = numbers.clips - numbers.included
    machines = [f"{n} {kind} annotators" for kind, n in numbers.annotators.items() if kind != "human"]
    simulated = (
        ["The recordings are simulated or replayed, and say nothing about people."] if publication.simulated else []
    )
    return {
        "dataCollection": (
            f"{numbers.participants} participants watched {numbers.stimuli} stimuli in front of an eye tracker "
            f"({', '.join(numbers.trackers) or 'model not stated'}) and a camera, {numbers.clips} clips in all, and said after "
            f"each how they felt. {settings.recruitment or not_said('recruitment')}"
        ),
        "dataCollectionType": ["Physical data collection", "Surveys", "Human experiments"]
        + (["Simulation"] if publication.simulated else []),
        "dataCollectionMissingData": (
            f"{excluded} of {numbers.clips} clips break the quality rule and are kept with included = false. Missing values are "
            "null; nothing is imputed. "
            + (f"Held back: {'; '.join(withheld)}." if withheld else "Nothing was held back.")
        ),
        "dataCollectionRawData": "Gaze samples as the eye tracker gave them, their times counted from the recording's start."
        if "gaze" in numbers.rows
        else "Raw gaze samples are not in this form of the dataset.",
        "dataImputationProtocol": "No value is imputed.",
        "dataPreprocessingProtocol": [
            "Fixations and saccades by velocity threshold (I-VT), blinks, cleaned pupil; summary features of each clip."
        ],
        "dataManipulationProtocol": "Pseudonyms, no serial numbers, rare facts and free text held back as the study sets.",
        "dataAnnotationProtocol": [
            (
                "What the participant felt (ER) and what the face showed (FER) are judged in passes that never see each other: "
                "one of seven emotions, polarity, valence and arousal in [-1, 1]; intensity 0 to 3 for FER. Ties are missing."
            )
        ],
        "dataAnnotationPlatform": [f"emer-toolkit {__version__}"],
        "dataAnnotationAnalysis": []
        if numbers.gap is None
        else [f"ER and FER differ in {numbers.gap:.1%} of the clips that have both."],
        "annotationsPerItem": annotations_per_clip(numbers) or "No annotators in this version.",
        "annotatorDemographics": [f"{kinds or 'No annotators'}. {settings.annotators or not_said('annotators')}"],
        "machineAnnotationTools": machines,
        "dataUseCases": [settings.intended_uses or not_said("intended_uses")],
        "dataBiases": [
            f"A sample of {numbers.participants} people in a laboratory. {settings.population or not_said('population')}",
            settings.known_biases or not_said("known_biases"),
        ],
        "dataLimitations": [
            *simulated,
            "Labels are judgements of what a person felt or showed, not the feeling itself.",
            settings.unsuitable_uses or not_said("unsuitable_uses"),
        ],
        "dataSocialImpact": (
            "Emotion recognition can be turned against people. Models trained on these data must not decide over people; the gap "
            "between what faces show and what people feel is what the dataset is about."
        ),
        "personalSensitiveInformation": _sensitive(publication),
        "dataReleaseMaintenancePlan": settings.maintenance or not_said("maintenance"),
    }


def _sensitive(publication: Publication) -> list[str]:
    levels = {recording.faces for recording in publication.recordings}
    most = next((level for level in ("video", "blurred", "landmarks", "features") if level in levels), "nothing")
    people = publication.participants
    # A fact that is withheld of everybody has a column, and is in no row.
    facts = [
        name for name in people.columns if name != "participant" and (people[name].fillna("").astype(str) != "").any()
    ]
    return [
        "Gaze and pupil behaviour, which differ between people",
        f"Faces: at most {most}",
        f"Facts about participants: {', '.join(facts) or 'none'}",
    ]


def _shards(table: PublishedTable, folder: Path) -> list[Path]:
    return sorted((folder / "data" / table.name).glob("*.parquet"))


def _files(table: PublishedTable, folder: Path) -> Iterator[dict[str, Any]]:
    shards = _shards(table, folder)
    for path in shards:
        relative = path.relative_to(folder).as_posix()
        yield {
            "@type": "cr:FileObject",
            "@id": relative,
            "name": relative,
            "contentUrl": relative,
            "contentSize": f"{path.stat().st_size} B",
            "encodingFormat": _PARQUET,
            "sha256": file_sha256(path),
        }
    if len(shards) > 1:
        yield {
            "@type": "cr:FileSet",
            "@id": f"{table.name}-files",
            "name": f"{table.name}-files",
            "description": f"The files of the table {table.name}, one a recording.",
            "encodingFormat": _PARQUET,
            "includes": f"data/{table.name}/*.parquet",
        }


def _record_set(table: PublishedTable, folder: Path) -> dict[str, Any]:
    shards = _shards(table, folder)
    source: dict[str, Any] = (
        {"fileObject": {"@id": shards[0].relative_to(folder).as_posix()}}
        if len(shards) == 1
        else {"fileSet": {"@id": f"{table.name}-files"}}
    )
    return {
        "@type": "cr:RecordSet",
        "@id": table.name,
        "name": table.name,
        "description": f"One row is {table.row}.",
        "key": [{"@id": f"{table.name}/{name}"} for name in table.key],
        "field": [_field(table, column, source) for column in table.columns],
    }


def _field(table: PublishedTable, column: PublishedColumn, source: dict[str, Any]) -> dict[str, Any]:
    meaning = column.meaning
    if column.unit:
        meaning += f" Unit: {column.unit}."
    if column.words:
        meaning += f" One of: {', '.join(column.words)}."
    if column.refers_to:
        # In words: cr:references makes mlcroissant 1.1.1 join both tables, and gives a joined record set only once.
        meaning += f" The same as {column.refers_to}."
    return {
        "@type": "cr:Field",
        "@id": f"{table.name}/{column.name}",
        "name": column.name,
        "description": meaning,
        "dataType": _DATA_TYPES[column.dtype],
        "source": {**source, "extract": {"column": column.name}},
    }


def write_croissant(
    publication: Publication, numbers: Numbers, tables: tuple[PublishedTable, ...], folder: Path
) -> None:
    """Write ``croissant.json`` into a folder of Parquet tables."""
    text = json.dumps(describe(publication, numbers, tables, folder), indent=1, ensure_ascii=False)
    write_bytes(folder / CROISSANT_NAME, (text + "\n").encode("utf-8"))


def add_croissant(publication: Publication, folder: Path, warnings: list[str]) -> Path:
    """Describe a folder that ``emer export parquet`` made of this publication, and add the description to it.

    Parameters
    ----------
    publication : Publication
    folder : Path
    warnings : list of str
        Takes what mlcroissant warns of.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ExportError
        If the folder is none, was made of another version or of other tables, or its files have changed.
    """
    marker = read_marker(folder)
    again = "Export the tables again: emer export parquet STUDY OUT --force"
    if marker["kind"] != "parquet":
        raise ExportError(f"{folder}: holds a publication of kind '{marker['kind']}', expected 'parquet'. {again}")
    if (marker["name"], marker["version"]) != (publication.name, publication.version):
        raise ExportError(
            f"{folder}: is {marker['name']} {marker['version']}, and the study now publishes {publication.name} "
            f"{publication.version}. {again}"
        )
    # An interrupted run may have left the description unlisted.
    problems = [problem for problem in verify_publication(folder) if not problem.startswith(f"{CROISSANT_NAME} ")]
    if problems:
        raise ExportError(f"{folder}: {'; '.join(problems[:5])}. {again}")
    tables = build_tables(publication)
    numbers = count(publication, tables)
    declared = [table.declaration for table in tables]
    for table in (GAZE_TABLE, LANDMARKS):
        shards = _shards(table, folder)
        if shards:
            numbers.rows[table.name] = sum(pq.read_metadata(path).num_rows for path in shards)
            declared.append(table)
    there = {path.name for path in (folder / "data").iterdir()}
    if there != {table.name for table in declared}:
        raise ExportError(f"{folder}: its tables are no longer those of the study. {again}")
    with tempfile.TemporaryDirectory() as place:
        text = (
            json.dumps(describe(publication, numbers, in_card_order(declared), folder), indent=1, ensure_ascii=False)
            + "\n"
        )
        (Path(place) / CROISSANT_NAME).write_text(text, encoding="utf-8", newline="\n")
        findings = scan_folder(Path(place), publication.identifiers)
        warnings.extend(check_croissant(Path(place) / CROISSANT_NAME))
    if findings:
        raise ExportError(f"the description holds what must not leave the study: {findings[0]}. Mend study.toml.")
    write_bytes(folder / CROISSANT_NAME, text.encode("utf-8"))
    write_checksums(folder)
    return folder / CROISSANT_NAME


def check_croissant(path: Path) -> list[str]:
    """Let mlcroissant read a description and return its warnings.

    Parameters
    ----------
    path : Path
        A ``croissant.json``.

    Raises
    ------
    ExportError
        If mlcroissant finds an error.
    ModuleNotFoundError
        If mlcroissant is not installed; the command line names the extra.
    """
    import mlcroissant

    with _warnings_of_absl() as warnings:
        try:
            dataset = mlcroissant.Dataset(str(path))
        except (mlcroissant.ValidationError, ValueError) as error:
            raise ExportError(f"{path}: mlcroissant refuses it: {error}. Report this as a fault.") from error
        found = sorted(dataset.metadata.ctx.issues.warnings)
    return [*found, *warnings]


@contextmanager
def _warnings_of_absl() -> Iterator[list[str]]:
    """Gather what mlcroissant says through absl's logger instead of letting it out."""
    said: list[str] = []

    class Gather(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.WARNING and not record.getMessage().startswith("Found the following"):
                said.append(record.getMessage())

    logger = logging.getLogger("absl")
    handler, propagate = Gather(), logger.propagate
    others = list(logger.handlers)
    logger.handlers, logger.propagate = [handler], False
    try:
        yield said
    finally:
        logger.handlers, logger.propagate = others, propagate
