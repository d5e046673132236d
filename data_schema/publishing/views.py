"""The tables of a publication, out of the study's own files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from data_schema.exports.columns import EXPORTED_LABELS, Column
from data_schema.exports.label_tables import annotator_labels, held_decisions, label_table, self_reports, target_table
from data_schema.labels.tables import label_frame, read_labels, read_log
from data_schema.publishing.free_text import published_reason
from data_schema.publishing.sessions import origin_us, rebased
from data_schema.publishing.withheld import Withheld
from data_schema.session.layout import FRAMES, PRESENTATIONS, RESPONSE_TEXTS, RESPONSES
from data_schema.session.reader import file_sha256, open_session

if TYPE_CHECKING:
    import pandas as pd

    from data_schema.publishing.publication import Publication, PublishedStimulus

#: ``Publication.clips``: one row a clip, included or not.
CLIP_COLUMNS: tuple[Column, ...] = (
    Column("clip_id", "text", "", "Name of the clip: participant, session and trial."),
    Column("participant", "text", "", "Published code of the participant."),
    Column("session", "text", "", "Name of the session."),
    Column("run", "int32", "", "Run of the session: 1, or more for what was recorded after an interruption."),
    Column("trial_id", "int32", "", "Number of the trial, in the order of presentation."),
    Column("stimulus_id", "text", "", "The stimulus that was shown."),
    Column("target_emotion", "text", "", "Emotion that the stimulus is meant to induce."),
    Column("t_start_s", "float64", "s", "Start of the clip, since the recording's origin (its first gaze sample)."),
    Column("t_end_s", "float64", "s", "End of the clip, counted likewise."),
    Column("duration_s", "float64", "s", "Length of the clip."),
    Column("gaze_valid_share", "float64", "share", "Expected gaze samples that have gaze from either eye."),
    Column("n_face_frames", "int32", "", "Camera frames in the clip; 0 where no picture of the face is published."),
    Column("included", "bool", "", "True if the clip satisfies the study's quality rule."),
    Column("exclusion_reason", "text", "", "Why not; empty if included."),
    Column("simulated", "bool", "", "True if a device of the recording was simulated or replayed."),
)
#: ``Publication.responses``: one row an answer.
RESPONSE_COLUMNS: tuple[Column, ...] = (
    Column("participant", "text", "", "Published code of the participant."),
    Column("session", "text", "", "Name of the session."),
    Column("run", "int32", "", "Run of the session."),
    Column("trial_id", "int32", "", "Number of the trial; 0 outside trials."),
    Column(
        "scale", "text", "", "What was asked: an emotion, valence, arousal, familiarity, an item of a questionnaire."
    ),
    Column("value", "float64", "the scale's", "The answer; missing where it was given in words."),
    Column("questionnaire", "text", "", "Identifier of the questionnaire; empty for the self-report after a clip."),
    Column("occasion", "text", "", "When it was asked: before or after the trials; empty for the self-report."),
    Column("t_s", "float64", "s", "When it was answered, since the recording's origin."),
)
#: ``Publication.marks``: one row a mark that holds.
MARK_COLUMNS: tuple[Column, ...] = (
    Column("clip_id", "text", "", "Name of the clip."),
    Column("task", "text", "", "er (felt) or fer (shown): the pass in which it was set."),
    Column("annotator_id", "text", "", "Published code of the annotator."),
    Column("kind", "text", "", "onset, apex or offset of the expression; flag: look at the clip again."),
    Column("t_s", "float64", "s", "Time of the marked camera frame, since the recording's origin; missing for a flag."),
)


def published_stimuli(publication: Publication) -> tuple[PublishedStimulus, ...]:
    """Return the stimuli with hash and duration."""
    from data_schema.publishing.publication import PublishedStimulus

    study = publication.study
    durations: dict[str, float] = {}
    shown: dict[str, str] = {}
    for recording in publication.recordings:
        with open_session(recording._path) as session:
            table = session.table(PRESENTATIONS).frame()
        for name, group in table.groupby("stimulus_id"):
            durations.setdefault(str(name), float(group["duration_expected_s"].iloc[0]))
            shown.setdefault(str(name), str(group["stimulus_sha256"].iloc[0]))
    found = []
    for item in study.config.trial_stimuli:
        path = study.stimuli_dir / item.file
        sha256 = file_sha256(path) if path.is_file() else shown.get(item.id, "")
        duration = durations.get(item.id, float("nan"))
        found.append(PublishedStimulus(item.id, item.file, str(item.target_emotion), item.licence, sha256, duration))
    return tuple(found)


def published_clips(publication: Publication) -> pd.DataFrame:
    """Return all clips of published participants under their published names."""
    import pandas as pd

    index = publication.index
    origins = _origins(publication)
    pictured = {(r.participant, r.session, r.run): r.faces in ("video", "blurred") for r in publication.recordings}
    rows = []
    for clip in index.to_dict("records"):
        name = publication.clip_names.get(str(clip["clip_id"]))
        if name is None:
            continue
        origin = origins[name.participant, name.session, name.run]
        start_s, end_s = ((int(clip[key]) - origin) / 1e6 for key in ("t_start_us", "t_end_us"))
        rows.append(
            {
                **{key: clip[key] for key in ("trial_id", "stimulus_id", "target_emotion", "gaze_valid_share")},
                **{key: clip[key] for key in ("included", "simulated")},
                # Of pictures that stay in the study nobody else could count the frames.
                "n_face_frames": clip["n_face_frames"] if pictured[name.participant, name.session, name.run] else 0,
                **name._asdict(),
                "t_start_s": start_s,
                "t_end_s": end_s,
                "duration_s": (int(clip["t_end_us"]) - int(clip["t_start_us"])) / 1e6,
                "exclusion_reason": published_reason(str(clip["exclusion_reason"])),
            }
        )
    return _table(pd.DataFrame(rows), CLIP_COLUMNS, ["clip_id"])


def published_responses(publication: Publication) -> pd.DataFrame:
    """Return the participants' answers."""
    import pandas as pd

    with_text = publication.settings.free_text == "include"
    parts = []
    for recording in publication.recordings:
        with open_session(recording._path) as session:
            origin = origin_us(session)
            tables = [session.table(RESPONSES).frame()]
            if with_text:
                tables.append(session.table(RESPONSE_TEXTS).frame().assign(value=np.nan))
        for part in tables:
            part = part[part["trial_id"] >= 0].reset_index(drop=True)
            times = rebased(part["t_answered_us"].to_numpy(), origin)
            answered = part["t_answered_us"].to_numpy() > 0
            names = {"participant": recording.participant, "session": recording.session, "run": recording.run}
            parts.append(part.assign(**names, t_s=np.where(answered | (origin <= 0), times / 1e6, np.nan)))
    columns = (
        (*RESPONSE_COLUMNS, Column("text", "text", "", "Words of the participant's own."))
        if with_text
        else RESPONSE_COLUMNS
    )
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if not with_text and len(table):
        # An answer in words alone: without the words nothing is left of it.
        table = table[table["value"].notna()]
    return _table(table, columns, ["participant", "session", "run"])


def published_labels(publication: Publication) -> pd.DataFrame:
    """Return the labels that hold, under published codes."""
    holds, reports, names, decisions = _said(publication)
    table = label_table(holds, reports, names, decisions)
    columns = EXPORTED_LABELS
    if publication.settings.free_text == "include":
        key = ["clip_id", "task", "annotator_id", "repetition"]
        comments = holds.drop_duplicates(key).set_index(key)["comment"].to_dict()
        said = [comments.get(tuple(row), "") for row in table[key].itertuples(index=False)]
        table["comment"] = [
            text if source == "annotator" else "" for text, source in zip(said, table["source"], strict=True)
        ]
        columns = (*columns, Column("comment", "text", "", "Words of the annotator's own."))
    raters = {**publication.pseudonyms.annotators, **publication.pseudonyms.participants}
    table["annotator_id"] = table["annotator_id"].map(raters)
    table["clip_id"] = table["clip_id"].map({own: name.clip_id for own, name in publication.clip_names.items()})
    return _table(table, columns, ["clip_id", "task", "source", "annotator_id", "repetition"])


def published_targets(publication: Publication) -> pd.DataFrame:
    """Return one row an included clip: what is to be predicted of it."""
    holds, reports, names, decisions = _said(publication)
    labels = publication.study.config.labels
    table = target_table(holds, reports, names, labels.er_source, decisions, labels.consensus)
    table["clip_id"] = table["clip_id"].map({own: name.clip_id for own, name in publication.clip_names.items()})
    for column in ("er_decided_by", "fer_decided_by"):
        said = table[column].map(publication.pseudonyms.annotators).astype(object)
        table[column] = said.where(said.notna(), None)
    ordered: pd.DataFrame = table.sort_values("clip_id", ignore_index=True)
    return ordered


def published_marks(publication: Publication) -> pd.DataFrame:
    """Return the marks that hold, with the time of the frame."""
    import pandas as pd

    places = publication.study.label_places()
    marks = read_log(places, "marks") if places else pd.DataFrame()
    if not len(marks):
        return _table(pd.DataFrame(), MARK_COLUMNS, ["clip_id"])
    taken_back = set(marks["removes"].dropna())
    marks = marks[marks["removes"].isna() & ~marks["row_id"].isin(taken_back)]
    marks = marks[marks["clip_id"].isin(list(publication.clip_names)) & (marks["repetition"] == 0)]
    hashes = _hashes(publication)
    marks = marks[marks["clip_sha256"] == marks["clip_id"].map(hashes)]
    times = _frame_times(publication)
    rows = []
    for mark in marks.to_dict("records"):
        name = publication.clip_names[str(mark["clip_id"])]
        frames = times[name.participant, name.session, name.run]
        at = mark["frame_index"]
        t_s = float(frames[int(at)]) / 1e6 if not pd.isna(at) and 0 <= int(at) < len(frames) else float("nan")
        annotator = publication.pseudonyms.annotators[str(mark["annotator_id"])]
        rows.append(
            {"clip_id": name.clip_id, "task": mark["task"], "annotator_id": annotator, "kind": mark["kind"], "t_s": t_s}
        )
    return _table(pd.DataFrame(rows), MARK_COLUMNS, ["clip_id", "task", "annotator_id", "kind", "t_s"])


def withheld_texts(publication: Publication) -> tuple[Withheld, ...]:
    """Return what was held back of people's own words."""
    if publication.settings.free_text == "include":
        return ()
    published = {recording._path for recording in publication.recordings}
    answers = sum(file.n_texts for file in publication.findings.files if file.path in published)
    comments = len(publication.findings.comments)
    why = "people write names into them"
    found = (
        Withheld("answers in participants' own words", why, answers),
        Withheld("comments of annotators", why, comments),
    )
    return tuple(item for item in found if item.count)


def _said(publication: Publication) -> tuple[pd.DataFrame, list[dict[str, Any]], list[str], pd.DataFrame]:
    """Return labels and self-reports of the included clips that are published, under the study's own names."""
    index = publication.index
    places = publication.study.label_places()
    holds = annotator_labels(read_labels(places) if places else label_frame([]), index, publication.accept_changed)
    decisions = held_decisions(read_log(places, "decisions"), index, publication.accept_changed)
    chosen = index[index["included"] & index["clip_id"].isin(list(publication.clip_names))]
    reports: list[dict[str, Any]] = []
    for name, group in chosen.groupby("session_file", sort=True):
        with open_session(publication.study.root / str(name)) as session:
            wanted = {int(trial): str(clip) for trial, clip in zip(group["trial_id"], group["clip_id"], strict=True)}
            reports += self_reports(session, wanted, session.simulated)
    return holds, reports, sorted(chosen["clip_id"]), decisions


def _origins(publication: Publication) -> dict[tuple[str, str, int], int]:
    found = {}
    for recording in publication.recordings:
        with open_session(recording._path) as session:
            found[recording.participant, recording.session, recording.run] = origin_us(session)
    return found


def _frame_times(publication: Publication) -> dict[tuple[str, str, int], Any]:
    found = {}
    for recording in publication.recordings:
        with open_session(recording._path) as session:
            times = session.table(FRAMES)[:]["t_capture_us"].astype(np.int64) - origin_us(session)
        found[recording.participant, recording.session, recording.run] = times
    return found


def _hashes(publication: Publication) -> dict[str, str]:
    index = publication.index
    return {str(name): str(sha) for name, sha in zip(index["clip_id"], index["session_sha256"], strict=True)}


def _table(table: pd.DataFrame, columns: tuple[Column, ...], order: list[str]) -> pd.DataFrame:
    """Bring a table into its declared columns, types and order."""
    kept = table.reindex(columns=[column.name for column in columns])
    kept = kept.astype({column.name: column.dtype if column.dtype != "text" else "object" for column in columns})
    ordered: pd.DataFrame = kept.sort_values(order, kind="stable", ignore_index=True)
    return ordered
