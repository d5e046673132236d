"""Tell whether a machine is ready for the toolkit, and what to do where it is not."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import av

from data_schema.errors import EmerError
from data_schema.study.folder import find_study

#: Modules of each extra, and what they are for.
_EXTRAS: dict[str, tuple[tuple[str, ...], str]] = {
    "lab": (("psychopy", "tobii_research"), "recording with a screen and a Tobii tracker"),
    "annotate": (("PyQt5", "qtpy"), "the annotation window"),
    "train": (("torch", "lightning", "torchmetrics", "sklearn", "safetensors"), "training"),
}


@dataclass(frozen=True)
class Health:
    """One finding: ``good``, ``note`` (an option that is not installed) or ``error``."""

    level: str
    what: str
    message: str

    def as_text(self) -> str:
        """Return one line for people."""
        return f"{self.level:<6}{self.what}: {self.message}"


def examine(study: Path | None = None) -> list[Health]:
    """Examine this machine, and a study's needs if one is named.

    Parameters
    ----------
    study : Path, optional
        A study folder.
    """
    findings = [_python(), _encoder(), _clock(), *_extras()]
    findings += _study(study) if study is not None else []
    return findings


def _python() -> Health:
    version = platform.python_version()
    if not (3, 10) <= sys.version_info[:2] <= (3, 12):
        return Health("error", "Python", f"{version}; use CPython 3.10 to 3.12")
    return Health("good", "Python", version)


def _encoder() -> Health:
    try:
        av.CodecContext.create("libx264", "w")
    except (ValueError, av.error.FFmpegError) as error:
        return Health("error", "encoder", f"libx264 is missing from PyAV ({error}); install av from PyPI")
    return Health("good", "encoder", f"libx264 through PyAV {av.__version__}")


def _clock() -> Health:
    resolution_us = time.get_clock_info("monotonic").resolution * 1e6
    if resolution_us > 1000:
        return Health(
            "error", "clock", f"the monotonic clock ticks every {resolution_us:.0f} us; at most 1000 is usable"
        )
    return Health("good", "clock", f"monotonic, resolution {resolution_us:g} us")


def _extras() -> list[Health]:
    findings = []
    for extra, (modules, purpose) in _EXTRAS.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        if extra == "lab" and sys.version_info[:2] != (3, 10) and missing == ["tobii_research"]:
            findings.append(Health("note", extra, "psychopy is there; the Tobii SDK exists for CPython 3.10 only"))
        elif missing:
            line = f'not installed ({", ".join(missing)}); for {purpose}: pip install "emer-toolkit[{extra}]"'
            findings.append(Health("note", extra, line))
        else:
            findings.append(Health("good", extra, f"installed, for {purpose}"))
    return findings


def _study(path: Path) -> list[Health]:
    try:
        study = find_study(path)
        config = study.config
        study.check_stimuli()
    except EmerError as error:
        return [Health("error", "study", str(error).replace("\n", "; "))]
    findings = [Health("good", "study", f"'{config.study.title}', {len(config.trial_stimuli)} stimuli")]
    findings += [_stimulus(study.stimulus_path(stimulus)) for stimulus in config.stimuli]
    findings = [finding for finding in findings if finding.level == "error"] or findings[:1]
    if not os.access(study.root, os.W_OK):
        findings.append(Health("error", "study", f"{study.root} cannot be written; give yourself the right to"))
    free_gb = shutil.disk_usage(study.root).free / 1e9
    said = f"{free_gb:.1f} GB free, the study asks for at least {config.recording.min_free_gb:g} GB"
    if free_gb < config.recording.min_free_gb:
        findings.append(Health("error", "disk", f"{said}; free some, or lower [recording] min_free_gb"))
    else:
        findings.append(Health("good", "disk", said))
    return findings


def _stimulus(path: Path) -> Health:
    """Decode the first frame of a stimulus."""
    try:
        with av.open(str(path)) as container:
            next(container.decode(video=0))
    except (av.error.FFmpegError, OSError, StopIteration, IndexError):
        return Health(
            "error", "stimulus", f"stimuli/{path.name} is no video that can be decoded; put the clip there anew"
        )
    return Health("good", "stimulus", path.name)
