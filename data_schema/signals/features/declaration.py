"""What the features are called, what they mean, and where they come from; declared once.

The order of :data:`EYE_FEATURES` is that of the last axis of ``/eye`` in a training export, the order of
:data:`SUMMARY_FEATURES` that of a clip's summary. The reference page is generated from here.

References
----------
Each feature names its own; where none is named, the definition is the whole of it.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Raise it whenever a feature's numbers change: what was computed before is then computed anew.
FEATURE_VERSION = 2

#: Columns and rows of the grid over the screen on which entropies are computed: cells are about square on a wide screen,
#: and about 6 degrees wide at the usual distance (our choice).
ENTROPY_GRID: tuple[int, int] = (8, 5)

_IVT = "Olsen (2012)"
_PUPIL = "Mathôt et al. (2018)"
_ENTROPY = "Krejtz et al. (2014, 2015); Shiferaw et al. (2019)"
_K = "Krejtz et al. (2016)"
_BLINK = "Nyström et al. (2024)"

#: The sources that features name, in full.
FEATURE_SOURCES: dict[str, str] = {
    "Olsen (2012)": "The Tobii I-VT Fixation Filter: Algorithm description. Tobii Technology.",
    "Mathôt et al. (2018)": "Safe and sensible preprocessing and baseline correction of pupil-size data. Behavior Research "
    "Methods 50.",
    "Krejtz et al. (2014, 2015)": "Entropy-based statistical analysis of eye movement transitions, ETRA 2014; Gaze "
    "transition entropy, ACM Transactions on Applied Perception 13(1).",
    "Shiferaw et al. (2019)": "A review of gaze entropy as a measure of visual scanning efficiency. Neuroscience and "
    "Biobehavioral Reviews 96.",
    "Krejtz et al. (2016)": "Discerning ambient/focal attention with coefficient K. ACM Transactions on Applied "
    "Perception 13(3).",
    "Nyström et al. (2024)": "What is a blink? Classifying and characterizing blinks in eye openness signals. Behavior "
    "Research Methods.",
    "Bahill et al. (1975)": "The main sequence, a tool for studying human eye movements. Mathematical Biosciences 24.",
}


@dataclass(frozen=True)
class EyeFeature:
    """One named feature.

    Parameters
    ----------
    name : str
        Signal and statistic.
    unit : str
    definition : str
        One sentence.
    source : str
        Where the measure comes from, a key (or several) of :data:`FEATURE_SOURCES`; empty if it is plain statistics.
    """

    name: str
    unit: str
    definition: str
    source: str = ""


#: Statistics of each continuous signal: name, unit, definition.
STATISTICS = (
    ("mean", "{unit}", "Mean of {what} over the {span}'s valid samples."),
    ("sd", "{unit}", "Population standard deviation of {what} over the {span}'s valid samples (two or more)."),
    ("slope", "{unit}/s", "Least-squares slope of {what} over time in the {span} (three valid samples or more)."),
)
_CONTINUOUS = (
    ("gaze_x", "share of screen width", "horizontal gaze, 0 at the left edge", ""),
    ("gaze_y", "share of screen height", "vertical gaze, 0 at the top edge", ""),
    ("pupil_change", "mm", "pupil diameter minus the participant's median before stimuli in this session", _PUPIL),
    (
        "pupil_light_free_change",
        "mm",
        "pupil diameter without the share of the stimulus' luminance, where that is known, minus the median before stimuli",
        _PUPIL,
    ),
    ("velocity", "deg/s", "angular velocity of gaze (I-VT)", _IVT),
    ("eye_distance", "mm", "distance between the eyes and the origin of the tracker's coordinates", ""),
    ("openness", "mm", "eye openness, mean of the eyes", ""),
)
_GRID = f"a grid of {ENTROPY_GRID[0]} x {ENTROPY_GRID[1]} cells over the screen"
_SINGLE = (
    ("gaze_valid_share", "share", "Share of the {span}'s samples with gaze from either eye.", ""),
    ("pupil_valid_share", "share", "Share of the {span}'s samples with a trustworthy pupil diameter.", ""),
    ("openness_valid_share", "share", "Share of the {span}'s samples with eye openness.", ""),
    ("pupil_trial_change_mean", "mm", "Mean pupil diameter minus its median just before this stimulus.", _PUPIL),
    ("eye_disparity_mean", "share of screen width", "Mean of left minus right horizontal gaze.", ""),
    ("centre_distance_mean", "deg", "Mean angle between gaze and the screen's centre.", ""),
    ("dispersion", "deg", "Root mean square angle of gaze around its mean in the {span}.", ""),
    (
        "gaze_entropy",
        "bit",
        f"Entropy of where the {{span}}'s valid gaze samples lie on {_GRID} (gaze beside the screen counts to the nearest cell).",
        _ENTROPY,
    ),
    ("fixation_share", "share", "Share of the {span}'s time spent in fixations (I-VT).", _IVT),
    ("fixation_rate", "1/s", "Fixations that begin in the {span}, per second.", _IVT),
    ("fixation_duration_mean", "s", "Mean whole duration of the fixations that begin in the {span}.", _IVT),
    ("saccade_rate", "1/s", "Saccades that begin in the {span}, per second.", _IVT),
    ("saccade_duration_mean", "s", "Mean whole duration of the saccades that begin in the {span}.", _IVT),
    ("saccade_amplitude_mean", "deg", "Mean angle between the ends of the saccades that begin in the {span}.", _IVT),
    ("saccade_peak_velocity_mean", "deg/s", "Mean highest velocity of the saccades that begin in the {span}.", _IVT),
    ("blink_share", "share", "Share of the {span}'s time spent in blinks.", _BLINK),
    ("blink_rate", "1/s", "Blinks that begin in the {span}, per second.", _BLINK),
    ("blink_duration_mean", "s", "Mean whole duration of the blinks that begin in the {span}.", _BLINK),
)


def _declare(span: str) -> tuple[EyeFeature, ...]:
    """Return the features of a span of time, a chunk or the whole clip."""
    declared = [
        EyeFeature(f"{signal}_{statistic}", unit.format(unit=signal_unit), text.format(what=what, span=span), source)
        for signal, signal_unit, what, source in _CONTINUOUS
        for statistic, unit, text in STATISTICS
    ]
    single = [EyeFeature(name, unit, text.format(span=span), source) for name, unit, text, source in _SINGLE]
    return (*declared, *single)


#: All eye features of a chunk, in the order of the arrays.
EYE_FEATURES: tuple[EyeFeature, ...] = _declare("chunk")
EYE_FEATURE_NAMES: tuple[str, ...] = tuple(feature.name for feature in EYE_FEATURES)

#: Columns of a clip's fixation sequence.
FIXATION_FEATURES: tuple[EyeFeature, ...] = (
    EyeFeature("x_norm", "share of screen width", "Mean horizontal gaze of the fixation, 0 at the left edge."),
    EyeFeature("y_norm", "share of screen height", "Mean vertical gaze of the fixation, 0 at the top edge."),
    EyeFeature("onset_s", "s", "Start of the fixation after the start of the clip (0 if it began before)."),
    EyeFeature("duration_s", "s", "Duration of the fixation within the clip."),
)

_ORDINALS = ("first", "second", "third", "fourth")
_PUPIL_COURSE = (
    *(
        EyeFeature(
            f"pupil_change_quarter_{number}",
            "mm",
            f"Mean pupil diameter in the {word} quarter of the clip minus the participant's median before stimuli in this "
            "session.",
            _PUPIL,
        )
        for number, word in enumerate(_ORDINALS, start=1)
    ),
    EyeFeature(
        "pupil_peak",
        "mm",
        "Largest mean pupil diameter of a quarter of a second of the clip, minus the median just before this stimulus.",
        _PUPIL,
    ),
    EyeFeature("pupil_peak_latency", "s", "Time from the clip's start to the middle of that quarter of a second."),
    EyeFeature(
        "pupil_trough",
        "mm",
        "Smallest mean pupil diameter of a quarter of a second of the clip, minus the median just before this stimulus.",
        _PUPIL,
    ),
    EyeFeature("pupil_trough_latency", "s", "Time from the clip's start to the middle of that quarter of a second."),
)
_MOVEMENTS = (
    EyeFeature("fixation_count", "count", "Fixations that begin in the clip.", _IVT),
    EyeFeature(
        "fixation_duration_sd", "s", "Population standard deviation of their whole durations (two or more).", _IVT
    ),
    EyeFeature("fixation_duration_p10", "s", "Tenth percentile of their whole durations (five or more).", _IVT),
    EyeFeature("fixation_duration_median", "s", "Median of their whole durations.", _IVT),
    EyeFeature("fixation_duration_p90", "s", "Ninetieth percentile of their whole durations (five or more).", _IVT),
    EyeFeature("saccade_count", "count", "Saccades that begin in the clip.", _IVT),
    EyeFeature("saccade_amplitude_sd", "deg", "Population standard deviation of their amplitudes (two or more).", _IVT),
    EyeFeature("saccade_amplitude_median", "deg", "Median of their amplitudes.", _IVT),
    EyeFeature(
        "saccade_main_sequence_slope",
        "1/s",
        "Least-squares slope of peak velocity over amplitude, of saccades of 1 to 20 degrees (five or more, two degrees apart).",
        "Bahill et al. (1975)",
    ),
    EyeFeature("blink_count", "count", "Blinks that begin in the clip.", _BLINK),
    EyeFeature(
        "blink_duration_sd", "s", "Population standard deviation of their whole durations (two or more).", _BLINK
    ),
    EyeFeature("blink_duration_max", "s", "Longest of them.", _BLINK),
    EyeFeature(
        "scan_stationary_entropy",
        "bit",
        f"Entropy of how many fixations lie in each cell of {_GRID} (five fixations or more).",
        _ENTROPY,
    ),
    EyeFeature(
        "scan_transition_entropy",
        "bit",
        "Entropy of the next fixation's cell given the present one's, weighted by how often each is left (ten steps or "
        "more; a step may stay in its cell).",
        _ENTROPY,
    ),
    EyeFeature(
        "k_coefficient",
        "z",
        "Mean over fixations of the standardised duration minus the standardised amplitude of the saccade that follows; "
        "above 0 focal, below 0 ambient; standardised by all fixations of the session's clips, so missing until they are known.",
        _K,
    ),
    EyeFeature(
        "k_coefficient_change",
        "z",
        "The same in the clip's second half minus its first half, standardised by the fixations of the clip.",
        _K,
    ),
    EyeFeature(
        "k_pair_count", "count", "Fixations of the clip that a saccade follows: those that coefficient K is of.", _K
    ),
    EyeFeature("k_duration_mean", "s", "Mean duration of these fixations.", _K),
    EyeFeature("k_duration_sd", "s", "Population standard deviation of their durations.", _K),
    EyeFeature("k_amplitude_mean", "deg", "Mean amplitude of the saccades that follow them.", _K),
    EyeFeature("k_amplitude_sd", "deg", "Population standard deviation of these amplitudes.", _K),
)
_FACE = (
    EyeFeature(
        "face_found_share", "share", "Share of the clip's analysed camera frames with a face, found or followed."
    ),
    EyeFeature("face_size_mean", "px", "Mean distance between the eyes in the picture, over frames with a face."),
    EyeFeature(
        "face_sharpness_mean",
        "grey levels squared",
        "Mean variance of the Laplacian of the aligned face, over frames with a face.",
    ),
    EyeFeature("face_brightness_mean", "share", "Mean luma of the face, over frames with a face."),
    EyeFeature("head_yaw_mean", "deg", "Mean turn of the head to the side, over frames with a face."),
    EyeFeature("head_yaw_sd", "deg", "Population standard deviation of the turn to the side (two frames or more)."),
    EyeFeature("head_pitch_mean", "deg", "Mean nod of the head, over frames with a face."),
    EyeFeature("head_pitch_sd", "deg", "Population standard deviation of the nod (two frames or more)."),
    EyeFeature("head_roll_mean", "deg", "Mean tilt of the head, over frames with a face."),
    EyeFeature("head_roll_sd", "deg", "Population standard deviation of the tilt (two frames or more)."),
    EyeFeature(
        "head_speed",
        "deg/s",
        "Median speed of the head's turning: length of the change of yaw, pitch and roll between neighbouring analysed frames, "
        "per second.",
    ),
)

#: All summary features of a clip: the eye features over the whole clip, then what only a whole clip has.
SUMMARY_FEATURES: tuple[EyeFeature, ...] = (*_declare("clip"), *_PUPIL_COURSE, *_MOVEMENTS, *_FACE)
SUMMARY_FEATURE_NAMES: tuple[str, ...] = tuple(feature.name for feature in SUMMARY_FEATURES)
