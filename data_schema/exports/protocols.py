"""The seven protocols, declared once.

A protocol says what is predicted and how it is judged. The list follows from the
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

from dataclasses import dataclass

from data_schema.vocabularies import EMOTIONS, POLARITIES

CLASS_METRICS: tuple[str, ...] = ("war", "uar", "weighted_f1", "macro_f1")
CONTINUOUS_METRICS: tuple[str, ...] = ("mae", "mse", "rmse", "ccc", "pearson")


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
    """

    name: str
    task: str
    targets: tuple[str, ...]
    kind: str
    classes: tuple[str, ...]
    metrics: tuple[str, ...]
    meaning: str


def _classes(name: str, task: str, target: str, classes: tuple[str, ...], meaning: str) -> Protocol:
    return Protocol(name, task, (f"{task}_{target}",), "classes", classes, CLASS_METRICS, meaning)


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
