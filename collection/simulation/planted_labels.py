"""Let simulated annotators label the clips of a planted world.

They say what imperfect people would say of what was planted (:mod:`data_schema.labels.raters`): the ER pass of what is felt,
the FER pass of what is shown. Each has a label file of their own, as people have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from collection.simulation.cast import PlannedClip
from collection.simulation.world import World
from data_schema.clips.index import clip_id
from data_schema.labels.raters import PlantedTruth, SimulatedRater, rater_details, rater_id
from data_schema.labels.store import LabelStore
from data_schema.session.layout import PLANTED, decode_text
from data_schema.session.reader import open_session
from data_schema.study import StudyFolder
from data_schema.vocabularies import TASKS, AnnotatorKind

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class _Judged:
    """A clip that is to be labelled.

    Parameters
    ----------
    name, sha256 : str
        The clip, and the hash of its session file.
    has_face : bool
        False where no annotator sees a face.
    truths : dict of str to PlantedTruth
        By task.
    """

    name: str
    sha256: str
    has_face: bool
    truths: dict[str, PlantedTruth]


def write_labels(
    study: StudyFolder,
    world: World,
    cast: Mapping[str, list[PlannedClip]],
    hashes: Mapping[str, str],
    progress: Progress | None = None,
) -> int:
    """Write the label files of a world's annotators.

    Parameters
    ----------
    study : StudyFolder
        With its sessions.
    world : World
    cast : mapping of str to list of PlannedClip
        By participant.
    hashes : mapping of str to str
        SHA-256 of the session file, by clip.
    progress : callable, optional
        Called with steps done, participants and annotators together, and who is done.

    Returns
    -------
    int
        Labels of all annotators.
    """
    if not world.annotators:
        return 0
    clips = [clip for code, planned in cast.items() for clip in _read_truths(study, code, planned, hashes)]
    n_labels = 0
    for number in range(1, world.annotators + 1):
        rater = SimulatedRater.draw(rater_id(number), world.seed, world.rater_noise)
        n_labels += _write_file(study, rater, clips)
        if progress:
            done = world.participants + number
            progress(done, world.participants + world.annotators, f"labels of {rater.annotator_id}")
    return n_labels


def _write_file(study: StudyFolder, rater: SimulatedRater, clips: list[_Judged]) -> int:
    emotions = study.config.labels.emotions
    said = [
        rater.judge(clip.name, clip.sha256, task, clip.truths[task], emotions=emotions, has_face=clip.has_face)
        for task in TASKS
        for clip in clips
    ]
    labels = [label for label in said if label is not None]
    with LabelStore.open(
        study.labels_dir / f"{rater.annotator_id}.sqlite",
        rater.annotator_id,
        AnnotatorKind.SIMULATED.value,
        study_title=study.config.study.title,
        emotions=emotions,
        details=rater_details(rater),
    ) as store:
        store.add_many(labels)
    return len(labels)


def _read_truths(study: StudyFolder, code: str, clips: list[PlannedClip], hashes: Mapping[str, str]) -> list[_Judged]:
    """Read back what was planted in those clips of a participant that are to be labelled."""
    with open_session(study.session_path(code, "01")) as session:
        rows = session.table(PLANTED.path)[:]
        has_video = session.video is not None
    felt, shown = decode_text(rows["felt_emotion"]), decode_text(rows["shown_emotion"])
    places = {int(number): at for at, number in enumerate(rows["trial_id"])}
    judged = []
    for clip in clips:
        if not clip.labelled:
            continue
        at, name = places[clip.trial_id], clip_id(code, "01", clip.trial_id)
        row, intensity = rows[at], float(rows[at]["intensity"])
        er = PlantedTruth(str(felt[at]), float(row["valence"]), float(row["arousal"]), intensity)
        fer = PlantedTruth(str(shown[at]), float(row["shown_valence"]), float(row["shown_arousal"]), intensity)
        judged.append(_Judged(name, hashes[name], has_video and not clip.covered, {"er": er, "fer": fer}))
    return judged
