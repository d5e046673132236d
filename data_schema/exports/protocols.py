"""The seven protocols, declared once.

A protocol says what is predicted, by which clips, and how it is judged. The list follows from the
labels of the EMER dataset: the felt emotion (ER) and the shown expression (FER), each
as 3 polarities, 7 emotions, and valence with arousal; and the expression's intensity.

References
----------
Liu et al., arXiv 2512.16485 (seven multimodal protocols; ER and FER labels).
Schuller et al. (2011), "Recognising realistic emotions and affect in speech", Speech
Communication 53: weighted and unweighted average recall (WAR, UAR).
Lin (1989), "A concordance correlation coefficient to evaluate reproducibility",
Biometrics 45: CCC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_schema.vocabularies import EMOTIONS, POLARITIES

if TYPE_CHECKING:
    import pandas as pd

CLASS_METRICS: tuple[str, ...] = ("war", "uar", "weighted_f1", "macro_f1")
CONTINUOUS_METRICS: tuple[str, ...] = ("mae", "mse", "rmse", "ccc", "pearson")


@dataclass(frozen=True)
class Inclusion:
    """Which clips take part in a protocol, beside that all of its targets are there.

    A tie, a skip and a missing answer are missing targets, so such clips are left out. Simulated clips never stand beside real
    ones: where an export has both, the simulated ones are left out, so that no result about people rests on them.

    Parameters
    ----------
    min_raters : int
        Raters behind the label; a self-report is one. An adjudicator's decision stands for any number.
    min_clips_per_class : int
        A class with fewer clips cannot be learned and tested, which a reader of the export is told; 0 for continuous targets.
    """

    min_raters: int = 1
    min_clips_per_class: int = 0

    def in_words(self) -> str:
        """Return the rule for the reference page."""
        said = f"all targets, by {self.min_raters} rater{'' if self.min_raters == 1 else 's'} or more"
        return said + (f"; too few below {self.min_clips_per_class} a class" if self.min_clips_per_class else "")


@dataclass(frozen=True)
class Protocol:
    """What is predicted and how it is judged.

    Parameters
    ----------
    name : str
        As typed on the command line.
    task : str
        ``er`` (felt) or ``fer`` (shown).
    targets : tuple of str
        Columns of ``targets.parquet``. A clip takes part if all of them are there.
    kind : str
        ``classes`` or ``continuous``.
    classes : tuple of str
        In the order of class indices; empty for continuous targets.
    metrics : tuple of str
        Computed over a whole fold; the first one is reported first.
    meaning : str
        One sentence.
    inclusion : Inclusion
        Which clips take part.
    """

    name: str
    task: str
    targets: tuple[str, ...]
    kind: str
    classes: tuple[str, ...]
    metrics: tuple[str, ...]
    meaning: str
    inclusion: Inclusion = Inclusion()


#: One clip to train, validate and test each, and as many again, since one is no measurement (our choice).
_MIN_CLIPS_PER_CLASS = 6


def _classes(name: str, task: str, target: str, classes: tuple[str, ...], meaning: str) -> Protocol:
    inclusion = Inclusion(min_clips_per_class=_MIN_CLIPS_PER_CLASS)
    return Protocol(name, task, (f"{task}_{target}",), "classes", classes, CLASS_METRICS, meaning, inclusion)


def _continuous(name: str, task: str, targets: tuple[str, ...], meaning: str) -> Protocol:
    columns = tuple(f"{task}_{target}" for target in targets)
    return Protocol(name, task, columns, "continuous", (), CONTINUOUS_METRICS, meaning)


_ALL = (
    _classes("er-3", "er", "polarity", POLARITIES, "Polarity of the felt emotion."),
    _classes("er-7", "er", "emotion", EMOTIONS, "The felt emotion, seven classes."),
    _classes("fer-3", "fer", "polarity", POLARITIES, "Polarity of the shown expression."),
    _classes("fer-7", "fer", "emotion", EMOTIONS, "The shown expression, seven classes."),
    _continuous("er-va", "er", ("valence", "arousal"), "Valence and arousal of the felt emotion, -1 to 1."),
    _continuous("fer-va", "fer", ("valence", "arousal"), "Valence and arousal of the shown expression, -1 to 1."),
    _continuous("fer-intensity", "fer", ("intensity",), "Intensity of the shown expression, 0 to 3."),
)

#: The protocols by name, in the order of reports.
PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in _ALL}


@dataclass(frozen=True)
class ProtocolClips:
    """The clips of a protocol.

    Parameters
    ----------
    clip_ids : tuple of str
        In the order of the targets.
    left_out : dict of str to int
        Why clips do not take part, and how many; the first reason of a clip counts.
    per_class : dict of str to int
        Clips of each class, in the order of classes; empty for continuous targets.
    problems : tuple of str
        What a reader should know before trusting a result; sentences.
    """

    clip_ids: tuple[str, ...]
    left_out: dict[str, int]
    per_class: dict[str, int]
    problems: tuple[str, ...]


def protocol_clips(
    protocol: Protocol, targets: pd.DataFrame, simulated: Mapping[str, bool], min_raters: int | None = None
) -> ProtocolClips:
    """Choose the clips that take part in a protocol.

    Parameters
    ----------
    protocol : Protocol
    targets : DataFrame
        As ``targets.parquet``.
    simulated : mapping of str to bool
        Of each clip, whether a device of its recording was simulated or replayed.
    min_raters : int, optional
        Another number of raters than the protocol's.
    """
    least = protocol.inclusion.min_raters if min_raters is None else min_raters
    names = targets["clip_id"].astype(str)
    is_simulated = names.map(lambda name: bool(simulated.get(name, False))).astype(bool)
    complete = targets[list(protocol.targets)].notna().all(axis=1)
    decided = targets[f"{protocol.task}_decided_by"].notna()
    reasons = {
        "no label, a skip or a tie": ~complete,
        f"fewer than {least} raters": ~decided & (targets[f"{protocol.task}_n_raters"] < least),
        "simulated, beside real ones": is_simulated & bool((complete & ~is_simulated).any()),
    }
    kept, left_out = complete | True, {}
    for reason, applies in reasons.items():
        left_out[reason] = int((kept & applies).sum())
        kept &= ~applies
    counts: dict[str, int] = {}
    if protocol.classes:
        found = targets.loc[kept, protocol.targets[0]].value_counts()
        counts = {name: int(found.get(name, 0)) for name in protocol.classes}
    few = {name: n for name, n in counts.items() if n < protocol.inclusion.min_clips_per_class}
    problems = []
    if few:
        said = ", ".join(f"{name} {n}" for name, n in few.items())
        problems.append(
            f"{protocol.name}: too few clips to learn and test ({protocol.inclusion.min_clips_per_class} a class): {said}."
        )
    return ProtocolClips(
        tuple(names[kept]), {reason: n for reason, n in left_out.items() if n}, counts, tuple(problems)
    )
