"""What each world is like: one row of strengths a world, all from the same generator."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class WorldSettings:
    """Settings of a world. Strengths are in standard deviations of the chunk noise unless said otherwise; 0 plants nothing.

    Parameters
    ----------
    meaning : str
        Where the information is, for tables.
    people, clips : int
        Participants, and clips of all of them together.
    masking : float
        Share of the clips whose shown emotion differs from the felt one.
    averages : float
        Felt emotion in averages of eye features over the clip.
    course : float
        Felt emotion in the pupil's course over quarters of the clip, whose average stays the same.
    shape, rhythm, lag : float
        Felt emotion in the order of events: slow shapes, rhythms of random phase, and which of two features leads.
    places, durations : float
        Felt emotion in where fixations lie (0 to 1) and in how long they last (log seconds).
    interaction : float
        Felt emotion in products and thresholds of averages, of which each alone says little.
    burst : float
        Felt emotion in three chunks at an unknown time.
    hiding : float
        Whether the clip is masked, whatever is felt, in averages of eye features.
    leak : float
        Felt emotion in two frames of a masked face, as a share of an expression.
    subject_offset, subject_scale : float
        How people differ in level and (log) in size of eye features.
    clip_noise, chunk_noise : float
        What changes from clip to clip and from chunk to chunk.
    face_width : int
        Features of a face frame.
    expression, identity, face_noise : float
        Strength of the shown emotion, of who it is, and of chance in a face frame.
    face_clip_noise : float
        Chance in a face that stays during the clip.
    eye_missing, eye_absent, face_absent, er_unlabelled, fer_unlabelled : float
        Shares: of clips with missing stretches, of clips without any eye data, without faces, without labels.
    uneven_people : float
        How much people differ in which emotions they feel (log odds): then a person's own average is no fair baseline.
    """

    meaning: str
    people: int = 121
    clips: int = 1303
    masking: float = 0.386
    averages: float = 0.0
    course: float = 0.0
    shape: float = 0.0
    rhythm: float = 0.0
    lag: float = 0.0
    places: float = 0.0
    durations: float = 0.0
    interaction: float = 0.0
    burst: float = 0.0
    hiding: float = 0.0
    leak: float = 0.0
    subject_offset: float = 0.9
    subject_scale: float = 0.25
    clip_noise: float = 0.6
    chunk_noise: float = 1.0
    face_width: int = 64
    expression: float = 1.0
    identity: float = 0.7
    face_noise: float = 0.7
    face_clip_noise: float = 0.8
    eye_missing: float = 0.15
    eye_absent: float = 0.01
    face_absent: float = 0.01
    er_unlabelled: float = 0.0
    fer_unlabelled: float = 0.0
    uneven_people: float = 0.0


_AVERAGES = WorldSettings("a person's own averages, and the pupil's course", averages=0.33, course=0.45)

#: The worlds by name. "averages" has the size of the EMER dataset (121 people, 1,303 clips), with 377 to 75 clips a class.
WORLDS: dict[str, WorldSettings] = {
    "averages": _AVERAGES,
    "order": WorldSettings("the order of events in the clip alone", shape=0.25, rhythm=0.4, lag=0.45),
    "fixations": WorldSettings("places and durations of fixations alone", places=0.35, durations=0.2),
    "interactions": WorldSettings("products and thresholds of averages", interaction=1.2, averages=0.15),
    "faces": WorldSettings("the face; eyes weak, little masking", masking=0.1, averages=0.2, leak=0.3),
    "small": replace(_AVERAGES, meaning="as averages, 24 people and 240 clips", people=24, clips=240),
    "missing": replace(
        _AVERAGES,
        meaning="as averages, much eye data and many labels missing",
        eye_missing=0.6,
        eye_absent=0.12,
        face_absent=0.1,
        er_unlabelled=0.3,
        fer_unlabelled=0.3,
    ),
    "bursts": WorldSettings("three chunks at an unknown time", burst=2.0),
    "identity": replace(
        _AVERAGES, meaning="as averages, wide face features full of identity", face_width=512, identity=2.0
    ),
    "hiding": WorldSettings(
        "eyes say that the face hides, frames of it what", masking=0.45, averages=0.25, hiding=1.0, leak=0.6
    ),
    "uneven": replace(
        _AVERAGES,
        meaning="as averages, people feel differently often and hardly differ else",
        uneven_people=1.0,
        subject_offset=0.2,
    ),
    "mixed": WorldSettings(
        "a little of everything",
        averages=0.18,
        course=0.2,
        shape=0.12,
        rhythm=0.25,
        places=0.15,
        durations=0.1,
        interaction=0.5,
        burst=0.9,
        hiding=0.3,
        leak=0.2,
    ),
}
