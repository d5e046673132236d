"""The layout of a session file, declared once.

Writer, reader, validator, repair, synthetic builder and the reference page in
the docs are all generated from :data:`TABLES` and :data:`BLOBS`.

Rules that come from HDF5's single-writer multiple-reader mode (SWMR):

* everything is created before recording starts, nothing afterwards;
* text is fixed-length UTF-8, tables are flat;
* a table that grows fast (`FAST`) is compressed and written in whole chunks; a
  partly filled compressed chunk would be rewritten at a new place at each flush
  and the old place is lost under SWMR. A table of single events (`SLOW`) is
  uncompressed, so that each row can be flushed at once.

Times are integer microseconds. ``t_system_us`` is the host's monotonic clock,
the one that the Tobii SDK's system time uses; ``t_device_us`` is a device's own.
"""

from __future__ import annotations

from data_schema.session.declaration import (
    Attribute,
    Blob,
    Column,
    Growth,
    Table,
    decode_text,
    encode_text,
    make_row,
)

__all__ = [
    "Attribute",
    "Blob",
    "Column",
    "Growth",
    "Table",
    "decode_text",
    "encode_text",
    "make_row",
]

FORMAT_NAME = "emer-session"
#: major.minor. A reader opens every older version and the same major version.
FORMAT_VERSION = (1, 1)


def _eye_gaze_columns(eye: str) -> tuple[Column, ...]:
    return (
        Column(
            f"{eye}_gaze_norm",
            "<f4",
            "share of the display area",
            f"Gaze point of the {eye} eye, x right, y down; (0, 0) is the top left corner.",
            (2,),
            f"{eye}_gaze_point_on_display_area",
        ),
        Column(
            f"{eye}_gaze_user_mm",
            "<f4",
            "mm",
            f"Gaze point of the {eye} eye in the user coordinate system.",
            (3,),
            f"{eye}_gaze_point_in_user_coordinate_system",
        ),
        Column(f"{eye}_gaze_valid", "u1", "", "1 if the gaze point is valid.", (), f"{eye}_gaze_point_validity"),
        Column(f"{eye}_pupil_mm", "<f4", "mm", f"Pupil diameter of the {eye} eye.", (), f"{eye}_pupil_diameter"),
        Column(f"{eye}_pupil_valid", "u1", "", "1 if the pupil diameter is valid.", (), f"{eye}_pupil_validity"),
        Column(
            f"{eye}_origin_user_mm",
            "<f4",
            "mm",
            f"Position of the {eye} eye in the user coordinate system.",
            (3,),
            f"{eye}_gaze_origin_in_user_coordinate_system",
        ),
        Column(f"{eye}_origin_valid", "u1", "", "1 if the eye position is valid.", (), f"{eye}_gaze_origin_validity"),
    )


def _device_stamps() -> tuple[Column, ...]:
    return (
        Column("t_device_us", "<i8", "us", "The tracker's own clock.", (), "device_time_stamp"),
        Column(
            "t_system_us", "<i8", "us", "Host monotonic clock, as the SDK stamped the sample.", (), "system_time_stamp"
        ),
    )


_RECEIVED = Column("t_received_us", "<i8", "us", "Host monotonic clock when our callback ran.")
_TRIAL = Column(
    "trial_id", "<i4", "", "Number of the trial in this session, from 1; 0 outside trials, negative in practice trials."
)
_T_SYSTEM = Column("t_system_us", "<i8", "us", "Host monotonic clock.")

GAZE = Table(
    "/eye/gaze",
    "Gaze samples of the eye tracker, with all fields of the SDK's gaze sample. Invalid numbers are NaN.",
    (*_device_stamps(), _RECEIVED, *_eye_gaze_columns("left"), *_eye_gaze_columns("right")),
    Growth.FAST,
    "t_system_us",
)
OPENNESS = Table(
    "/eye/openness",
    "Eye openness: the diameter of the largest sphere that fits between the lids.",
    (
        *_device_stamps(),
        Column("left_openness_mm", "<f4", "mm", "Openness of the left eye.", (), "left_eye_openness_value"),
        Column("left_valid", "u1", "", "1 if the left value is valid.", (), "left_eye_validity"),
        Column("right_openness_mm", "<f4", "mm", "Openness of the right eye.", (), "right_eye_openness_value"),
        Column("right_valid", "u1", "", "1 if the right value is valid.", (), "right_eye_validity"),
    ),
    Growth.FAST,
    "t_system_us",
)
USER_POSITION = Table(
    "/eye/user_position",
    "Where the head is in the track box (user position guide).",
    (
        Column("t_received_us", "<i8", "us", "Host monotonic clock when our callback ran; the SDK gives no stamp."),
        Column(
            "left_position_norm",
            "<f4",
            "share of the track box",
            "Left eye, 0 to 1 on each axis; 0.5 is best.",
            (3,),
            "left_user_position",
        ),
        Column("left_valid", "u1", "", "1 if valid.", (), "left_user_position_validity"),
        Column("right_position_norm", "<f4", "share of the track box", "Right eye.", (3,), "right_user_position"),
        Column("right_valid", "u1", "", "1 if valid.", (), "right_user_position_validity"),
    ),
    Growth.FAST,
    "t_received_us",
)
TIME_SYNC = Table(
    "/eye/time_sync",
    "Time synchronisation pairs: host request, device stamp, host response.",
    (
        Column("t_request_us", "<i8", "us", "Host clock when the request left.", (), "system_request_time_stamp"),
        Column("t_device_us", "<i8", "us", "Device clock when it was answered.", (), "device_time_stamp"),
        Column("t_response_us", "<i8", "us", "Host clock when the answer arrived.", (), "system_response_time_stamp"),
    ),
    Growth.SLOW,
    "t_request_us",
)
NOTIFICATIONS = Table(
    "/eye/notifications",
    "Notifications of the tracker: connection lost or restored, faults, changed display area or rate.",
    (
        _T_SYSTEM,
        Column("kind", "S48", "", "Name of the notification, as in the SDK."),
        Column("message", "S256", "", "What the tracker said."),
    ),
    Growth.SLOW,
    "t_system_us",
)
FRAMES = Table(
    "/face/frames",
    "One row a camera frame; the encoded frame is in /face/packets.",
    (
        Column("t_capture_us", "<i8", "us", "Host monotonic clock at capture."),
        Column("t_device_us", "<i8", "us", "The camera's own stamp; -1 if it has none."),
        Column("pts", "<i8", "time base of the stream", "Presentation time stamp in the encoded stream."),
        Column("packet_offset", "<i8", "bytes", "First byte of the frame in /face/packets."),
        Column("packet_size", "<i4", "bytes", "Number of bytes of the frame."),
        Column("keyframe", "u1", "", "1 if decoding can start here."),
        Column("missed_before", "<i4", "frames", "Frames that the camera or the queue lost just before this one."),
    ),
    Growth.FAST,
    "t_capture_us",
)
PRESENTATIONS = Table(
    "/stimulus/presentations",
    "One row a clip shown (written when it ended).",
    (
        _TRIAL,
        Column("stimulus_id", "S64", "", "Identifier of the stimulus in study.toml."),
        Column("target_emotion", "S16", "", "Emotion that the stimulus is meant to induce."),
        Column("t_onset_us", "<i8", "us", "Host clock of the first flip."),
        Column("t_offset_us", "<i8", "us", "Host clock of the last flip."),
        Column("duration_expected_s", "<f8", "s", "Duration of the file."),
        Column("n_flips", "<i4", "flips", "Screen refreshes while it played."),
        Column("n_flips_late", "<i4", "flips", "Refreshes that came more than half a period late."),
        Column("completed", "u1", "", "1 if it played to its end."),
        Column("duration_actual_s", "<f8", "s", "From the first flip to one period after the last.", since=(1, 1)),
        Column("n_flips_dropped", "<i4", "flips", "Refreshes in which no flip came.", since=(1, 1)),
        Column("ended_early", "u1", "", "1 if more than one frame at its end was not shown.", since=(1, 1)),
        Column("stimulus_sha256", "S64", "", "SHA-256 of the file that was shown, hexadecimal.", since=(1, 1)),
    ),
    Growth.SLOW,
    "t_onset_us",
)
FLIPS = Table(
    "/stimulus/flips",
    "One row a screen refresh while a clip played.",
    (
        _TRIAL,
        Column("t_flip_us", "<i8", "us", "Host clock when the refresh happened."),
        Column("t_due_us", "<i8", "us", "Host clock when it was due."),
        Column("clip_time_us", "<i8", "us", "Time inside the clip that was shown (pts)."),
        Column("n_dropped_before", "<i4", "flips", "Refreshes just before in which no flip came.", since=(1, 1)),
    ),
    Growth.FAST,
    "t_flip_us",
)
LUMINANCE = Table(
    "/stimulus/luminance",
    "Luminance of the stimuli over time, one row a frame of the file, computed once from the file: pupils follow light.",
    (
        Column("stimulus_id", "S64", "", "Identifier of the stimulus in study.toml."),
        Column("clip_time_us", "<i8", "us", "Time inside the clip (pts)."),
        Column("luminance", "<f4", "0 to 1", "Mean relative luminance of the frame (linear light, BT.709 weights)."),
    ),
    Growth.FAST,
    since=(1, 1),
)
RESPONSES = Table(
    "/responses/items",
    "One row an answer of the participant.",
    (
        _TRIAL,
        Column("scale", "S32", "", "What was asked: an emotion, valence, arousal, familiarity, attention, ..."),
        Column("value", "<f8", "the scale's", "The answer as a number; NaN for text."),
        Column("text", "S256", "", "The answer as text, where it is text."),
        Column("t_shown_us", "<i8", "us", "Host clock when the question appeared."),
        Column("t_answered_us", "<i8", "us", "Host clock of the answer."),
        Column("questionnaire", "S32", "", "Identifier of the questionnaire; empty for the self-report.", since=(1, 1)),
        Column("occasion", "S16", "", "When it was asked: before, after; empty for the self-report.", since=(1, 1)),
    ),
    Growth.SLOW,
    "t_answered_us",
)
RESPONSE_TEXTS = Table(
    "/responses/texts",
    "One row a free text of the participant.",
    (
        _TRIAL,
        Column("scale", "S32", "", "What was asked."),
        Column("text", "S4096", "", "The text, at most 1,000 characters."),
        Column("t_shown_us", "<i8", "us", "Host clock when the question appeared."),
        Column("t_answered_us", "<i8", "us", "Host clock of the answer."),
        Column("questionnaire", "S32", "", "Identifier of the questionnaire; empty for the self-report."),
        Column("occasion", "S16", "", "When it was asked: before, after; empty for the self-report."),
    ),
    Growth.SLOW,
    "t_answered_us",
    since=(1, 1),
)
CONSENT = Table(
    "/participant/consent",
    "One row a scope of consent, as the participant decided before the recording began; the last row of a scope holds.",
    (
        _T_SYSTEM,
        Column("scope", "S16", "", "video, gaze or sharing."),
        Column("granted", "u1", "", "1 if the participant agreed."),
        Column("way", "S16", "", "screen (asked here), paper (the operator says so) or simulated."),
        Column("language", "S8", "", "Language of the text."),
        Column("text_sha256", "S64", "", "SHA-256 of the text that was shown (UTF-8), hexadecimal; empty for paper."),
    ),
    Growth.SLOW,
    "t_system_us",
    since=(1, 1),
)
FACTS = Table(
    "/participant/facts",
    "What the operator wrote down about the participant; nothing that identifies a person.",
    (
        _T_SYSTEM,
        Column("key", "S32", "", "vision_aid, dominant_eye, age_years, gender, note, ..."),
        Column("value", "S256", "", "As entered."),
    ),
    Growth.SLOW,
    "t_system_us",
    since=(1, 1),
)
PREFLIGHT = Table(
    "/preflight/checks",
    "One row a check made before the session.",
    (
        _T_SYSTEM,
        Column("check", "S48", "", "What was checked."),
        Column("level", "S8", "", "good, note, warning or error."),
        Column("value", "<f8", "", "A number that belongs to it; NaN if there is none."),
        Column("message", "S256", "", "One sentence for people."),
        Column("override_reason", "S256", "", "Why the operator went on in spite of an error; empty if nobody did."),
    ),
    Growth.SLOW,
    "t_system_us",
    since=(1, 1),
)
CALIBRATION_ATTEMPTS = Table(
    "/calibration/attempts",
    "One row a calibration or validation attempt.",
    (
        _T_SYSTEM,
        Column("attempt_id", "<i4", "", "Number of the attempt, from 1."),
        Column("kind", "S16", "", "calibration, validation or recheck."),
        Column("status", "S32", "", "What the tracker answered."),
        Column(
            "chosen", "u1", "", "1 if it was in use when the row was written; a later marker calibration_chosen wins."
        ),
        Column("blob_offset", "<i8", "bytes", "First byte of the calibration data in /calibration/data; -1 if none."),
        Column("blob_size", "<i4", "bytes", "Its length."),
        Column("t_end_us", "<i8", "us", "Host clock when it ended.", since=(1, 1)),
        Column("eyes", "S8", "", "both, left or right.", since=(1, 1)),
        Column("n_points", "<i4", "", "Targets that were to be shown.", since=(1, 1)),
        Column("validates", "<i4", "", "Attempt that a validation or recheck tests; 0 if none.", since=(1, 1)),
        Column("gate", "S16", "", "Of a validation: passed, failed or overridden; empty otherwise.", since=(1, 1)),
        Column("note", "S256", "", "The operator's reason, where one was given.", since=(1, 1)),
    ),
    Growth.SLOW,
    "t_system_us",
)
CALIBRATION_POINTS = Table(
    "/calibration/points",
    "One row a target, eye and sample of a calibration.",
    (
        Column("attempt_id", "<i4", "", "Number of the attempt."),
        Column("eye", "S8", "", "left or right."),
        Column("target_norm", "<f4", "share of the display area", "Where the target was.", (2,)),
        Column("gaze_norm", "<f4", "share of the display area", "Where the eye looked.", (2,)),
        Column("validity", "i1", "", "-1 invalid and not used, 0 valid but not used, 1 valid and used."),
    ),
)
VALIDATION_POINTS = Table(
    "/calibration/validation",
    "One row a validation target and eye.",
    (
        Column("attempt_id", "<i4", "", "Number of the attempt."),
        Column("eye", "S8", "", "left or right."),
        Column("target_norm", "<f4", "share of the display area", "Where the target was.", (2,)),
        Column("accuracy_deg", "<f4", "deg", "Mean offset of gaze from the target."),
        Column("precision_rms_s2s_deg", "<f4", "deg", "Root mean square of sample-to-sample distances."),
        Column("precision_sd_deg", "<f4", "deg", "Standard deviation of gaze."),
        Column("data_loss", "<f4", "share", "Share of samples without gaze."),
        Column("offset_deg", "<f4", "deg", "Mean offset of gaze, right and down positive.", (2,), since=(1, 1)),
        Column("bcea_deg2", "<f4", "deg2", "Bivariate contour ellipse area, 68 %.", since=(1, 1)),
        Column("n_samples", "<i4", "samples", "Samples in the window, valid or not.", since=(1, 1)),
        Column("t_from_us", "<i8", "us", "Start of the window in /eye/gaze.", since=(1, 1)),
        Column("t_until_us", "<i8", "us", "End of the window in /eye/gaze.", since=(1, 1)),
    ),
)
CALIBRATION_TARGETS = Table(
    "/calibration/targets",
    "One row a target shown for calibration or validation.",
    (
        Column("attempt_id", "<i4", "", "Number of the attempt."),
        Column("target_norm", "<f4", "share of the display area", "Where the target was.", (2,)),
        Column("t_shown_us", "<i8", "us", "Host clock of the flip from which it stood still."),
        Column("t_collected_us", "<i8", "us", "Host clock when its data were complete."),
        Column("outcome", "S16", "", "collected, failed, redone or skipped."),
    ),
    since=(1, 1),
)
SECOND_FRAMES = Table(
    "/camera_2/frames",
    "One row a frame of the second camera; the encoded frame is in /camera_2/packets.",
    FRAMES.columns,
    Growth.FAST,
    "t_capture_us",
    since=(1, 1),
)
LSL_STREAMS = Table(
    "/lsl/streams",
    "One row a stream of the Lab Streaming Layer that is recorded.",
    (
        _T_SYSTEM,
        Column("stream", "<i2", "", "Number of the stream in this file, from 1."),
        Column("name", "S64", "", "Name that the stream announces."),
        Column("type", "S32", "", "Its content type, such as EEG or Markers."),
        Column("source_id", "S64", "", "Its source identifier."),
        Column("n_channels", "<i4", "", "Channels."),
        Column("nominal_rate_hz", "<f8", "Hz", "Announced rate; 0 if it is irregular."),
        Column("channels_json", "S2048", "", "Labels, types and units of the channels, where the stream says them."),
    ),
    Growth.SLOW,
    "t_system_us",
    since=(1, 1),
)
LSL_SAMPLES = Table(
    "/lsl/samples",
    "Numbers of recorded LSL streams; a sample of more than eight channels takes several rows.",
    (
        Column("stream", "<i2", "", "Number of the stream."),
        Column("first_channel", "<i2", "", "Channel of the first value, from 0."),
        Column("t_lsl_us", "<i8", "us", "The sender's stamp, in the sender's clock."),
        _T_SYSTEM,
        Column("values", "<f8", "the stream's", "Eight channels; NaN beyond the last.", (8,)),
    ),
    Growth.FAST,
    "t_system_us",
    monotonic=False,
    since=(1, 1),
)
LSL_TEXTS = Table(
    "/lsl/texts",
    "Texts of recorded LSL streams, such as another system's markers.",
    (
        Column("stream", "<i2", "", "Number of the stream."),
        Column("t_lsl_us", "<i8", "us", "The sender's stamp, in the sender's clock."),
        _T_SYSTEM,
        Column("text", "S256", "", "The first channel."),
    ),
    Growth.SLOW,
    "t_system_us",
    monotonic=False,
    since=(1, 1),
)
LSL_OFFSETS = Table(
    "/lsl/clock_offsets",
    "Measured offsets between the sender's clock of an LSL stream and the host clock.",
    (
        Column("stream", "<i2", "", "Number of the stream."),
        _T_SYSTEM,
        Column("offset_us", "<f8", "us", "Host clock minus sender's clock."),
    ),
    Growth.SLOW,
    "t_system_us",
    monotonic=False,
    since=(1, 1),
)
MARKERS = Table(
    "/events/markers",
    "Everything else that happened: steps of the protocol, operator actions, faults, dropped data, the end.",
    (
        _T_SYSTEM,
        _TRIAL,
        Column("kind", "S48", "", "What happened (see data_schema.session.markers)."),
        Column("value", "<f8", "", "A number that belongs to it; NaN if there is none."),
        Column("message", "S256", "", "One sentence for people."),
    ),
    Growth.SLOW,
    "t_system_us",
    monotonic=False,
)
ANCHORS = Table(
    "/clock/anchors",
    "Pairs of host monotonic and UTC time.",
    (
        _T_SYSTEM,
        Column("t_utc_us", "<i8", "us since 1970-01-01", "UTC at the same moment."),
        Column("uncertainty_us", "<i8", "us", "Half the time that the double reading took."),
    ),
    Growth.SLOW,
    "t_system_us",
)
PLANTED = Table(
    "/simulation/planted",
    "Only in simulated recordings: what was planted for each trial. Empty in real ones; never exported for training.",
    (
        _TRIAL,
        Column("felt_emotion", "S16", "", "Emotion that the simulated participant feels."),
        Column("shown_emotion", "S16", "", "Emotion that the simulated face shows."),
        Column("masked", "u1", "", "1 if the face was made to hide the feeling."),
        Column("valence", "<f4", "-1 to 1", "Felt valence."),
        Column("arousal", "<f4", "-1 to 1", "Felt arousal."),
        Column("shown_valence", "<f4", "-1 to 1", "Valence that the face shows."),
        Column("shown_arousal", "<f4", "-1 to 1", "Arousal that the face shows."),
        Column("intensity", "<f4", "0 to 3", "Intensity of the shown expression."),
    ),
)

TABLES: tuple[Table, ...] = (
    GAZE, OPENNESS, USER_POSITION, TIME_SYNC, NOTIFICATIONS,
    FRAMES, SECOND_FRAMES,
    CONSENT, FACTS, PREFLIGHT,
    PRESENTATIONS, FLIPS, LUMINANCE, RESPONSES, RESPONSE_TEXTS,
    CALIBRATION_ATTEMPTS, CALIBRATION_TARGETS, CALIBRATION_POINTS, VALIDATION_POINTS,
    LSL_STREAMS, LSL_SAMPLES, LSL_TEXTS, LSL_OFFSETS,
    MARKERS, ANCHORS, PLANTED,
)  # fmt: skip

PACKETS = Blob(
    "/face/packets",
    "The encoded face video: the packets of /face/frames, one after the other.",
    ("codec", "extradata", "width_px", "height_px", "time_base", "pixel_format"),
)
SECOND_PACKETS = Blob("/camera_2/packets", "The encoded video of the second camera.", PACKETS.attributes, since=(1, 1))
CALIBRATION_DATA = Blob("/calibration/data", "Calibration data as the tracker gave it.", ())
BLOBS: tuple[Blob, ...] = (PACKETS, SECOND_PACKETS, CALIBRATION_DATA)

TABLE_BY_PATH: dict[str, Table] = {table.path: table for table in TABLES}
BLOB_BY_PATH: dict[str, Blob] = {blob.path: blob for blob in BLOBS}


#: Attributes of the root group.
ROOT_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("format", f"Always '{FORMAT_NAME}'."),
    Attribute("format_version", "major.minor"),
    Attribute("participant", "Pseudonym of the participant."),
    Attribute("session", "Name of the session."),
    Attribute("created_utc", "ISO 8601, when the file was made."),
    Attribute("simulated", "1 if any device of the recording was simulated or replayed."),
)
#: Attributes of the group /study.
STUDY_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("config_json", "The resolved study configuration."),
    Attribute("versions_json", "Versions of Python, the toolkit and its libraries."),
    Attribute("devices_json", "What each device said of itself."),
    Attribute("seeds_json", "Every seed that was used."),
)
