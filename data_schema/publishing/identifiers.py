"""What must not occur anywhere in a finished export."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from data_schema.publishing.dates import spellings

if TYPE_CHECKING:
    from data_schema.publishing.findings import StudyFindings
    from data_schema.publishing.pseudonyms import Pseudonyms
    from data_schema.study.folder import StudyFolder
    from data_schema.study.sections import PublishSection

#: Hosts that every machine is.
_ANYWHERE = ("localhost", "127.0.0.1", "0.0.0.0", "::1")
#: Shorter ones would be found by chance: a serial number '1', a file 'a.mp4'.
_MIN_DEVICE = 5
_MIN_FOLDER = 8
_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True)
class Identifier:
    """A text that tells who, where or when.

    Parameters
    ----------
    kind : str
        participant, annotator, device, date, host, path, text.
    text : str
    common : bool
        True for a code that a dataset also holds for other reasons: it counts after "sub-" and where people are listed alone.
    """

    kind: str
    text: str
    common: bool = False


def collect_identifiers(
    study: StudyFolder, settings: PublishSection, findings: StudyFindings, pseudonyms: Pseudonyms
) -> tuple[Identifier, ...]:
    """Collect what must not occur in a publication of a study, of all its participants, published or not.

    What the study publishes on purpose (``[publish]``, its title, its stimuli) is no identifier, but for participants' and
    annotators' codes, which are always sought where new ones are published.
    """
    chosen = _on_purpose(study, settings)
    found: set[Identifier] = set()
    common = common_words(study)
    if settings.pseudonyms == "new":
        found.update(Identifier("participant", name, name.casefold() in common) for name in findings.people)
        found.update(Identifier("annotator", name, name.casefold() in common) for name in findings.annotators)
    else:
        hidden = (name for name, person in findings.people.items() if not person.permission.published)
        found.update(Identifier("participant", name, name.casefold() in common) for name in hidden)
    devices = {text for file in findings.files for text in file.devices} | set(_configured(study))
    found.update(Identifier("device", text) for text in devices if len(text) >= _MIN_DEVICE and not _everywhere(text))
    days = {file.day for file in findings.files if file.day is not None}
    found.update(Identifier("date", text) for day in days for text in spellings(day))
    found.update(
        Identifier("host", text) for text in (platform.node(),) if len(text) >= _MIN_DEVICE and not _everywhere(text)
    )
    found.update(Identifier("path", text) for text in _places(study))
    if settings.free_text == "withhold":
        texts = {text for file in findings.files for text in file.texts} | set(findings.comments)
        found.update(Identifier("text", text) for text in texts)
    own = ("participant", "annotator")
    kept = (item for item in found if item.kind in own or item.text.casefold() not in chosen)
    return tuple(sorted(kept, key=lambda item: (item.kind, item.text)))


def common_words(study: StudyFolder) -> frozenset[str]:
    """Return the words in names of the study's stimuli and of our features, in small letters: p10 is a percentile, too."""
    from data_schema.signals.features import EYE_FEATURE_NAMES, SUMMARY_FEATURE_NAMES

    stimuli = (text for item in study.config.stimuli for text in (item.id, item.file))
    names = "\n".join((*stimuli, *EYE_FEATURE_NAMES, *SUMMARY_FEATURE_NAMES)).casefold()
    return frozenset(_WORD.findall(names))


def _on_purpose(study: StudyFolder, settings: PublishSection) -> str:
    """Return all that the study says of itself in public, as one text without capitals."""
    stimuli = (f"{item.id}\n{item.file}\n{item.licence}" for item in study.config.stimuli)
    public = (value for _, value in settings if isinstance(value, (str, tuple)))
    words = ("\n".join(value) if isinstance(value, tuple) else value for value in public)
    return "\n".join([study.config.study.title, *words, *stimuli]).casefold()


def _configured(study: StudyFolder) -> Iterator[str]:
    """Yield serial numbers and addresses of ``study.toml``."""
    config = study.config
    tracker = config.eye_tracker.kind.partition(":")[2]
    places = (tracker, config.eye_tracker.licence_file, config.camera.source, config.camera.second_source)
    yield from (text for text in (*places, config.labels.database) if text and text != "simulated")


def _everywhere(text: str) -> bool:
    return text.casefold() in _ANYWHERE


def _places(study: StudyFolder) -> Iterator[str]:
    root = study.root.resolve()
    yield str(root)
    yield root.as_posix()
    # A name of letters alone, such as "emotions", is a word that stands in any description.
    if len(root.name) >= _MIN_FOLDER and not root.name.isalpha():
        yield root.name
    home = Path.home()
    # /root and C:\ are everybody's; /home/NAME is somebody's.
    if len(home.parts) > 2:
        yield str(home)
