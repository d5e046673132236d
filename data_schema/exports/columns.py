"""The columns of what a study gives out, declared once: name, type, unit and meaning.

The exporter builds its tables from these, readers check them, and the reference
page is generated from them. The tables of a training run are declared here too,
so that they stand on the same page; a test compares them with what the trainer writes.
"""

from __future__ import annotations

from data_schema.columns import Column, dtypes, meanings

__all__ = [
    "EXPORTED_CLIPS",
    "EXPORTED_LABELS",
    "EXPORTED_TARGETS",
    "RUN_CURVES",
    "RUN_METRICS",
    "RUN_PREDICTIONS",
    "SESSION_QUALITY",
    "Column",
    "dtypes",
    "meanings",
]

_CLIP = Column("clip_id", "text", "", "The clip, such as sub-P001_ses-01_trial-003.")
_PARTICIPANT = Column("participant", "text", "", "Pseudonym of the participant.")
_SESSION = Column("session", "text", "", "Name of the session.")
_SIMULATED = Column("simulated", "bool", "", "True if a device of the recording was simulated or replayed.")

#: ``clips.parquet`` of an export: one row a clip.
EXPORTED_CLIPS: tuple[Column, ...] = (
    _CLIP,
    _PARTICIPANT,
    _SESSION,
    Column("trial_id", "int32", "", "Number of the trial."),
    Column(
        "stimulus_id",
        "text",
        "",
        "The stimulus; to group clips by, never an input: the study's name for it may name the emotion it was chosen for.",
    ),
    Column("shard", "text", "", "File with the clip's arrays, relative to the export."),
    Column("row", "int64", "", "The clip's place in the shard."),
    Column("session_sha256", "text", "", "SHA-256 of the session file; empty in exports of format 1.0."),
    Column("duration_s", "float64", "s", "Length of the clip."),
    Column("n_faces", "int64", "", "Exported frames with a face."),
    _SIMULATED,
)

#: ``labels.parquet`` of an export: one row a current label or self-report.
EXPORTED_LABELS: tuple[Column, ...] = (
    _CLIP,
    Column("task", "text", "", "er (felt) or fer (shown)."),
    Column("view", "text", "", "What the annotator saw; self for a self-report, empty if not stated."),
    Column("source", "text", "", "annotator, adjudicator (a decision) or self_report."),
    Column("annotator_id", "text", "", "Who; the participant's pseudonym for a self-report."),
    Column("annotator_kind", "text", "", "human, simulated or model."),
    Column("repetition", "int32", "", "0 for the first showing, 1 and up for repeats, which do not vote."),
    Column("emotion", "text", "", "One of seven emotions; missing if skipped."),
    Column("polarity", "text", "", "positive, negative or neutral; missing if not given."),
    Column("valence", "float64", "", "-1 (unpleasant) to 1 (pleasant); missing if not given."),
    Column("arousal", "float64", "", "-1 (calm) to 1 (excited); missing if not given."),
    Column("intensity", "float64", "", "Of the expression, 0 to 3, FER only; missing if not given."),
    Column("confidence", "float64", "", "0 (guessing) to 1 (certain); missing if not given."),
    Column("skip_reason", "text", "", "Why there is no label; missing if there is one."),
)

#: ``targets.parquet`` of an export: one row a clip.
EXPORTED_TARGETS: tuple[Column, ...] = (
    _CLIP,
    Column("er_emotion", "text", "", "Felt emotion; missing on a tie or without a label, as all targets."),
    Column("er_polarity", "text", "", "Polarity of the felt emotion."),
    Column("er_valence", "float64", "", "Felt valence, -1 to 1."),
    Column("er_arousal", "float64", "", "Felt arousal, -1 to 1."),
    Column("fer_emotion", "text", "", "Shown emotion."),
    Column("fer_polarity", "text", "", "Polarity of the shown emotion."),
    Column("fer_valence", "float64", "", "Shown valence, -1 to 1."),
    Column("fer_arousal", "float64", "", "Shown arousal, -1 to 1."),
    Column("fer_intensity", "float64", "", "Intensity of the expression, 0 to 3."),
    Column("er_n_raters", "int32", "", "Raters behind the ER targets (1 for a self-report)."),
    Column("fer_n_raters", "int32", "", "Raters behind the FER targets."),
    Column("er_decided_by", "text", "", "Adjudicator who decided ER targets of the clip; missing if nobody did."),
    Column("fer_decided_by", "text", "", "Adjudicator who decided FER targets of the clip; missing if nobody did."),
)

#: ``quality.parquet`` of an export, and ``emer quality --json``: one row a session file. Measured from the first to the last
#: of streams and trials: time in which a device was silent is loss.
SESSION_QUALITY: tuple[Column, ...] = (
    _PARTICIPANT,
    _SESSION,
    Column("run", "int64", "", "Run of the session: 1, or more for the files with which a resumed session goes on."),
    Column("duration_s", "float64", "s", "Length of the session: first to last of gaze, frames and trials."),
    Column("gaze_rate_hz", "float64", "Hz", "Rate of the tracker while it delivered, from the median interval."),
    Column("gaze_effective_rate_hz", "float64", "Hz", "Samples with gaze from either eye, per second of the session."),
    Column("gaze_loss_left", "float64", "share", "Expected samples of the session without the left eye."),
    Column("gaze_loss_right", "float64", "share", "Expected samples of the session without the right eye."),
    Column("gaze_loss_both", "float64", "share", "Expected samples of the session without any eye."),
    Column("gaze_rms_s2s_deg", "float64", "deg", "Median RMS of sample-to-sample distances over windows of 200 ms."),
    Column("gaze_sd_deg", "float64", "deg", "Median standard deviation over windows of 200 ms."),
    Column("gaze_longest_loss_s", "float64", "s", "Longest time of the session without any eye."),
    Column("gaze_gaps", "float64", "", "Holes of more than 0.1 s in the gaze stream, and silence of more than 2 s at an end."),
    Column("frame_rate_hz", "float64", "Hz", "Camera frames per second of the session."),
    Column("frame_loss", "float64", "share", "Expected frames of the session, at the median interval, that are not there."),
    Column("frames_missed", "float64", "", "Frames that the recorder knows to be lost."),
    Column("frame_gaps", "float64", "", "Holes of more than 0.1 s in the video, and silence of more than 2 s at an end."),
    Column("face_found_share", "float64", "share", "Exported frames in which a face was found; missing before an export."),
    Column("clock_drift_ppm", "float64", "ppm", "Drift of the tracker's clock against the host's."),
    Column("clock_residual_us", "float64", "µs", "Standard deviation of the clock model's residuals."),
    Column("n_trials", "float64", "", "Trials completed."),
    Column("n_trials_started", "float64", "", "Trials started, completed or not."),
    Column("n_included", "float64", "", "Clips in the export; missing before an export."),
    Column("tracker", "text", "", "Kind of the eye tracker; a replay names its file."),
    Column("camera", "text", "", "Kind of the camera; a replay names its file."),
    Column("warnings", "text", "", "What `emer check` says of the file, one a line; empty if nothing."),
    _SIMULATED,
    Column("replayed", "bool", "", "True if a device replayed an earlier recording."),
)  # fmt: skip

#: ``predictions.parquet`` of a training run: one row a test clip and target with a label.
RUN_PREDICTIONS: tuple[Column, ...] = (
    _CLIP,
    Column("fold", "int64", "", "The test fold: the model never saw this participant."),
    _PARTICIPANT,
    Column("target_name", "text", "", "Which target of the protocols, as in targets.parquet."),
    Column("target", "text", "", "The label of a target of classes; missing for others."),
    Column("prediction", "text", "", "The class that the model answers."),
    Column("target_value", "float32", "", "The label of a continuous target, on its scale; missing for others."),
    Column("prediction_value", "float32", "", "The model's answer, cut to the scale."),
    Column("p_CLASS", "float32", "share", "Probability of the class, one column a class; only where the target is classes."),
)  # fmt: skip

#: ``curves.csv`` of a training run: one row a fold and epoch. Losses have no unit.
RUN_CURVES: tuple[Column, ...] = (
    Column("fold", "int64", "", "Number of the fold."),
    Column("epoch", "int64", "", "Number of the epoch, from 1."),
    Column("learning_rate", "float64", "", "Learning rate at the end of the epoch."),
    Column("seconds", "float64", "s", "Time that the epoch took."),
    Column("train_task", "float64", "", "Loss of the targets over the training participants."),
    Column("train_NAME", "float64", "", "A further part of the model's loss, one column a part; only where it has some."),
    Column("train_total", "float64", "", "The loss that is minimised: all parts, weighted."),
    Column("val_loss", "float64", "", "Loss of the targets over the validation participants."),
    Column("val_TARGET_FIGURE", "float64", "", "A figure of a target over the validation participants, such as uar."),
    Column("val_score", "float64", "", "What chooses the epoch; higher is better."),
)  # fmt: skip

#: Keys of ``metrics.json`` of a training run.
RUN_METRICS: tuple[Column, ...] = (
    Column("protocol", "text", "", "Names of the protocols, with commas between."),
    Column("protocols", "list of text", "", "The same as a list."),
    Column("model", "text", "", "Name of the model."),
    Column("simulated", "bool", "", "True if any clip of the export was simulated."),
    Column("n_folds", "int", "", "Folds of the export."),
    Column("finished_folds", "list of int", "", "Folds that the figures cover."),
    Column(
        "folds",
        "list of objects",
        "",
        "Of each fold: seed, epochs, best_epoch, best_score, clips, parameters, device, seconds.",
    ),
    Column("targets", "object", "", "By target, the figures below; a figure that is not defined is null."),
    Column("targets.NAME.pooled", "object", "", "Figures over the test predictions of all folds together."),
    Column(
        "targets.NAME.intervals", "object", "", "Of each of these: low, high, level of a bootstrap over participants."
    ),
    Column("targets.NAME.folds", "object", "", "The same figures by fold."),
    Column("targets.NAME.fold_intervals", "object", "", "Their intervals; null where a fold has one participant."),
    Column("targets.NAME.mean_of_folds", "object", "", "Mean of the folds' figures."),
    Column("targets.NAME.agreeing", "object", "", "Figures over the clips whose ER and FER emotions agree."),
    Column("targets.NAME.agreeing_intervals", "object", "", "Their intervals."),
    Column("targets.NAME.masked", "object", "", "Figures over the clips whose ER and FER emotions differ."),
    Column("targets.NAME.masked_intervals", "object", "", "Their intervals."),
    Column(
        "targets.NAME.confusion", "list of lists", "", "Classes only: clips by label (row) and prediction (column)."
    ),
    Column("targets.NAME.classes", "list of text", "", "Classes only: their names, in the order of the confusion."),
    Column(
        "targets.NAME.calibration",
        "object",
        "",
        "Classes only: temperatures by fold, fitted on validation clips; before and after scaling by them ece, adaptive_ece, "
        "brier, nll, their intervals and a reliability table; change, after less before with its interval.",
    ),
)
