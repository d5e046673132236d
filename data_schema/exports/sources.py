"""What an export is made of: so that it can say so, and be told when it is out of date."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import numpy as np
import pandas as pd

from data_schema.exports.shards import ShardSettings, ShardSummary
from data_schema.labels.tables import read_log
from data_schema.study.folder import StudyFolder

#: Columns of the clip index on which an export depends.
_INDEX_COLUMNS = ("clip_id", "session_sha256", "t_start_us", "t_end_us", "included", "stimulus_id")
#: Logs of an annotator that an export reads. They only grow, so the number of their rows is their state.
_LOGS = ("labels", "decisions")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def export_settings(study: StudyFolder, settings: ShardSettings) -> dict[str, Any]:
    """Return all of ``study.toml`` that decides what is in an export, for the manifest."""
    config = study.config
    return {
        **settings.as_json(),
        "er_source": config.labels.er_source,
        "consensus": config.labels.consensus,
        "clip_rule": config.clips.model_dump(),
        "quality_rule": config.quality.model_dump(),
    }


def export_sources(study: StudyFolder, index: pd.DataFrame) -> dict[str, Any]:
    """Return the state of the clip index and of each label file, for the manifest."""
    return {"clips_sha256": _index_sha256(index), "label_rows": label_rows(study)}


def label_rows(study: StudyFolder) -> dict[str, int]:
    """Return how many rows each label file has; a database is not asked."""
    return {path.stem: sum(len(read_log([path], log)) for log in _LOGS) for path in study.label_files()}


def _index_sha256(index: pd.DataFrame) -> str:
    text = index[list(_INDEX_COLUMNS)].sort_values("clip_id").to_csv(index=False, lineterminator="\n")
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def what_changed(
    study: StudyFolder, manifest: dict[str, Any], index: pd.DataFrame, settings: dict[str, Any]
) -> list[str]:
    """Say what an export no longer fits; empty if it is up to date, or too old to tell.

    Parameters
    ----------
    study : StudyFolder
    manifest : dict
        The export's.
    index : DataFrame
        The clip index as it is.
    settings : dict
        What an export made now would have.
    """
    sources = manifest.get("sources")
    if not isinstance(sources, dict):
        return []
    changed = []
    if sources.get("clips_sha256") != _index_sha256(index):
        changed.append("clips")
    if sources.get("label_rows") != label_rows(study):
        changed.append("labels")
    before = manifest.get("settings", {})
    # Lists and tuples are one thing in JSON.
    if {key: repr(_plain(value)) for key, value in settings.items()} != {
        key: repr(_plain(value)) for key, value in before.items()
    }:
        changed.append("settings")
    return changed


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in sorted(value.items())}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def excluded_clips(index: pd.DataFrame) -> dict[str, int]:
    """Count the clips that are left out by their reason; numbers within a reason do not tell reasons apart."""
    reasons = index.loc[~index["included"], "exclusion_reason"].astype(str)
    counted = reasons.map(lambda reason: _NUMBER.sub("N", reason)).value_counts()
    return {str(reason): int(counted[reason]) for reason in sorted(counted.index)}


def faces_seen(summaries: dict[str, ShardSummary]) -> dict[str, float | None]:
    """Return how well faces were seen over all clips: sums of frames, medians over clips; None where unknown."""
    clips = [clip for shard in sorted(summaries) for clip in summaries[shard].faces]
    seen: dict[str, float | None] = {
        name: int(sum(clip[name] for clip in clips)) for name in ("n_frames", "n_found", "n_detected", "n_undecoded")
    }
    for name in (
        "size_px",
        "sharpness",
        "brightness",
        "contrast",
        "yaw_deg",
        "pitch_deg",
        "roll_deg",
        "longest_loss_s",
    ):
        known = [clip[name] for clip in clips if clip[name] is not None and clip["n_frames"]]
        seen[name] = float(np.median(known)) if known else None
    return seen
