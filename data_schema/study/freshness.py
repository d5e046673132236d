"""Which results of a study are older than what they were made of.

Nothing is hashed here: the clip index knows the size and time of each session, derived data carry keys, and an export's
manifest says what it was made of. What was made by an older toolkit and says nothing of that is taken as up to date.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from data_schema.errors import EmerError
from data_schema.study.folder import StudyFolder


@dataclass(frozen=True)
class Freshness:
    """What is out of date in a study.

    Parameters
    ----------
    clips : str
        Why the clip index no longer fits; empty if it does.
    n_derived : int
        Included clips whose derived data are there and up to date.
    exports : dict of str to list of str
        By training export, what changed since: clips, labels, settings.
    """

    clips: str = ""
    n_derived: int = 0
    exports: dict[str, list[str]] = field(default_factory=dict)


def study_freshness(study: StudyFolder, exports: list[str]) -> Freshness:
    """Look at the clip index, the derived data and the named exports of a study."""
    from data_schema.clips.table import load_clip_index
    from data_schema.derived import stale_clips

    if not study.clip_index_path.is_file():
        return Freshness()
    try:
        index = load_clip_index(study)
        clips = _why_clips_are_old(study)
        included = index[index["included"]]
        n_derived = len(included) - len(stale_clips(study, included)) if study.derived_dir.is_dir() else 0
        return Freshness(clips, n_derived, _old_exports(study, index, exports))
    except EmerError as error:
        # What is wrong is said by the verb that is typed next.
        return Freshness(clips=str(error).splitlines()[0])


def _why_clips_are_old(study: StudyFolder) -> str:
    """Say in words why the clip index no longer fits the study, or nothing."""
    from data_schema.clips.table import load_current_clip_index, read_index_facts

    facts = read_index_facts(study.clip_index_path)
    if facts is not None:
        files = {path.relative_to(study.root).as_posix(): path for path in study.session_files()}
        new = [name for name in files if name not in facts.sessions]
        changed = [name for name, seen in facts.sessions.items() if name in files and not seen.same_file(files[name])]
        for names, what in ((new, "was recorded"), (changed, "has changed")):
            if names:
                others = f" and {len(names) - 1} more" if len(names) > 1 else ""
                return f"{Path(names[0]).stem}{others} {what} since"
    try:
        load_current_clip_index(study)
    except EmerError as error:
        return str(error).splitlines()[0]
    return ""


def _old_exports(study: StudyFolder, index: pd.DataFrame, exports: list[str]) -> dict[str, list[str]]:
    from data_schema.exports.computing import shard_settings
    from data_schema.exports.manifest import is_export, read_manifest
    from data_schema.exports.sources import export_settings, what_changed

    old = {}
    settings = export_settings(study, shard_settings(study))
    for name in exports:
        folder = study.exports_dir / name
        if is_export(folder):
            changed = what_changed(study, read_manifest(folder), index, settings)
            if changed:
                old[name] = changed
    return old
