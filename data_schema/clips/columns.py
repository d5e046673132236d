"""The columns of the clip index ``clips.parquet``, declared once.

Everything that comes later refers to a clip by its ``clip_id``. The file says by itself of which version it is and by which
rule it was built, see :mod:`data_schema.clips.table`.
"""

from __future__ import annotations

from data_schema.columns import Column, dtypes, meanings

#: Version of the columns. Version 1, without those of the trial and the apex, is read for ever.
CLIP_INDEX_VERSION = 2

#: ``clips.parquet``: one row a clip, sorted by participant, session and trial.
CLIP_INDEX: tuple[Column, ...] = (
    Column(
        "clip_id",
        "text",
        "",
        "Name of the clip: sub-P001_ses-01_trial-003. It is the trial's, whatever part of it the rule takes; the runs of a "
        "resumed session share the session's name.",
    ),
    Column("participant", "text", "", "Pseudonym of the participant."),
    Column("session", "text", "", "Name of the session."),
    Column("run", "int32", "", "Run of the session: 1, or more for the files with which a resumed session goes on."),
    Column("trial_id", "int32", "", "Number of the trial in the session."),
    Column("stimulus_id", "text", "", "The stimulus that was shown."),
    Column("target_emotion", "text", "", "Emotion that the stimulus is meant to induce. Never an input of a model."),
    Column("session_file", "text", "", "The session file, relative to the study folder, with forward slashes."),
    Column("session_sha256", "text", "", "SHA-256 of the session file when the index was built."),
    Column(
        "t_trial_start_us", "int64", "µs", "Start of the stimulus on the host clock. Annotators see the whole trial."
    ),
    Column("t_trial_end_us", "int64", "µs", "End of the stimulus (excluded)."),
    Column(
        "t_start_us", "int64", "µs", "Start of the clip, the part of the trial that signals and faces are taken from."
    ),
    Column("t_end_us", "int64", "µs", "End of the clip (excluded)."),
    Column(
        "t_apex_us",
        "int64",
        "µs",
        "Apex of the expression: median over annotators; -1 where the rule asks for none, or nobody marked one.",
    ),
    Column("n_apex", "int32", "", "Annotators behind the apex."),
    Column(
        "apex_spread_s",
        "float64",
        "s",
        "Time between the earliest and the latest of their apexes; missing without one.",
    ),
    Column("n_face_frames", "int32", "", "Camera frames in the clip."),
    Column("gaze_valid_share", "float64", "share", "Expected gaze samples of the clip that have gaze from either eye."),
    Column("trial_included", "bool", "", "True if the whole trial satisfies the quality rule: annotators get it."),
    Column("included", "bool", "", "True if the clip satisfies the quality rule, too: exports hold it."),
    Column("exclusion_reason", "text", "", "Why not; empty if included."),
    Column("simulated", "bool", "", "True if a device of the recording was simulated or replayed."),
)

#: Columns and what they mean, in order.
CLIP_COLUMNS: dict[str, str] = meanings(CLIP_INDEX)
CLIP_DTYPES: dict[str, str] = dtypes(CLIP_INDEX)
#: What an index of version 1 lacks, and each column's value there: clips were whole trials.
SINCE_VERSION_2: tuple[str, ...] = (
    "run",
    "t_trial_start_us",
    "t_trial_end_us",
    "t_apex_us",
    "n_apex",
    "apex_spread_s",
    "trial_included",
)
