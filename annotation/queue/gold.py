"""The gold file: clips whose labels experts agreed on, as a CSV in the study folder."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Collection, Mapping
from pathlib import Path

from annotation.source import GoldAnswer
from data_schema.errors import LabelError
from data_schema.labels import Label, LabelValueError
from data_schema.study.folder import StudyFolder
from data_schema.study.sections import LabelsSection

#: Columns of a gold file and what they mean.
GOLD_COLUMNS: dict[str, str] = {
    "clip_id": "The clip, as in clips.parquet.",
    "task": "er or fer.",
    "emotion": "The emotion that is right.",
    "polarity": "Its polarity; may be empty or left out, as the columns below.",
    "valence": "-1 to 1.",
    "arousal": "-1 to 1.",
    "intensity": "0 to 3, FER only.",
    "explanation": "What annotators read after the label in the training block: why it is so.",
}
_NEEDED = ("clip_id", "task", "emotion")
_MAX_PROBLEMS = 10
_ANY_HASH = "0" * 64

GoldAnswers = Mapping[tuple[str, str], GoldAnswer]


def read_study_gold(study: StudyFolder, clip_ids: Collection[str] | None = None) -> GoldAnswers:
    """Read the gold file that study.toml names; empty if it names none.

    Raises
    ------
    LabelError
        See `read_gold`.
    """
    name = study.config.annotation.gold_file
    return read_gold(study.root / name, study.config.labels, clip_ids) if name else {}


def read_gold(path: Path, labels: LabelsSection, clip_ids: Collection[str] | None = None) -> GoldAnswers:
    """Read a gold file.

    Parameters
    ----------
    path : Path
    labels : LabelsSection
        The study's vocabulary.
    clip_ids : collection of str, optional
        The clips that can be judged; others are refused. Default: not looked at.

    Returns
    -------
    mapping
        Answers by clip and task.

    Raises
    ------
    LabelError
        If the file cannot be read, or a row is wrong; it names up to ten lines and what is wrong in them.
    """
    reader = csv.DictReader(io.StringIO(_text(path), newline=""))
    _check_header(path, reader.fieldnames or ())
    answers: dict[tuple[str, str], GoldAnswer] = {}
    lines: dict[tuple[str, str], int] = {}
    problems: list[str] = []
    for cells in reader:
        line = reader.line_num
        try:
            key, answer = _row(cells, labels)
            if clip_ids is not None and key[0] not in clip_ids:
                raise LabelValueError("clip_id", key[0], "a clip of clips.parquet that is included")
        except LabelValueError as error:
            problems.append(f"line {line}: {error}")
            continue
        if key in answers:
            problems.append(f"line {line}: {key[0]} has an answer for {key[1]} in line {lines[key]} already.")
            continue
        answers[key], lines[key] = answer, line
    if problems:
        more = f"\n... and {len(problems) - _MAX_PROBLEMS} more" if len(problems) > _MAX_PROBLEMS else ""
        raise LabelError(f"{path}: the gold file cannot be used.\n" + "\n".join(problems[:_MAX_PROBLEMS]) + more)
    return answers


def _text(path: Path) -> str:
    try:
        # Spreadsheets write a mark before the first column's name.
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise LabelError(
            f"{path}: there is no such gold file. Put it there, or mend gold_file in [annotation] of study.toml."
        ) from None
    except UnicodeDecodeError as error:
        raise LabelError(f"{path}: is not UTF-8 text ({error.reason}). Save it as CSV in UTF-8.") from error
    except OSError as error:
        raise LabelError(f"{path}: cannot be read: {error.strerror or error}.") from error


def _check_header(path: Path, names: Collection[str]) -> None:
    if len(names) == 1 and ";" in next(iter(names)):
        raise LabelError(f"{path}: its columns are parted by semicolons. Save it as CSV with commas.")
    for name in names:
        if name not in GOLD_COLUMNS:
            near = difflib.get_close_matches(name, GOLD_COLUMNS, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else f"Known columns: {', '.join(GOLD_COLUMNS)}."
            raise LabelError(f"{path}: has a column '{name}'. {hint}")
    lacking = [name for name in _NEEDED if name not in names]
    if lacking:
        raise LabelError(f"{path}: lacks the column(s) {', '.join(lacking)}. Known: {', '.join(GOLD_COLUMNS)}.")


def _row(cells: Mapping[str | None, str | None], labels: LabelsSection) -> tuple[tuple[str, str], GoldAnswer]:
    """Check one row by making a label of it: what no annotator may say is no right answer either."""
    if None in cells or None in cells.values():
        raise LabelValueError("the row", "more or fewer cells than the header", "one cell a column")
    text = {str(name): (value or "").strip() for name, value in cells.items()}
    if not text["emotion"]:
        raise LabelValueError("emotion", "nothing", f"one of {', '.join(labels.emotions)}")
    label = Label(
        clip_id=text["clip_id"],
        clip_sha256=_ANY_HASH,
        task=text["task"],
        emotion=text["emotion"],
        polarity=text.get("polarity") or None,
        **{name: _number(name, text.get(name, "")) for name in ("valence", "arousal", "intensity")},
    )
    label.check_emotions(labels.emotions)
    answer = GoldAnswer(
        str(label.emotion), label.polarity, label.valence, label.arousal, label.intensity, text.get("explanation", "")
    )
    return (label.clip_id, label.task), answer


def _number(name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise LabelValueError(name, text, "a number with a decimal point") from None
