"""Errors that a user can act on.

Every message says what is wrong, where, what was found, what was expected and
what to do next. The command line prints the message alone and exits with
``exit_code``; a traceback is reserved for our own mistakes.

::

    EmerError                       1   the data or the machine is at fault
    ├── UsageError                  2   the command was called wrongly
    ├── MissingExtraError           2   an optional dependency is not installed
    ├── StudyError                  1   the study folder
    │   └── ConfigError             1   study.toml
    ├── SessionFileError            1   a session file (carries path and HDF5 path)
    │   └── SessionVersionError     1   written by a newer toolkit
    ├── ClockError                  1   a clock model cannot be fitted
    ├── DeviceError                 1   a tracker or a camera
    ├── RecordingError              1   the recorder
    ├── MediaError                  1   a video that cannot be decoded
    ├── LabelError                  1   a label or a label file
    ├── ExportError                 1   clips, folds, exports
    ├── DataImportError             1   a recording of another system
    ├── WorkerError                 1   worker processes and clusters
    └── TrainingError               1   training, checkpoints, evaluation
"""

from __future__ import annotations

from pathlib import Path


class EmerError(Exception):
    """Root of everything that the command line reports without a traceback."""

    exit_code: int = 1


class UsageError(EmerError):
    """The command was called wrongly."""

    exit_code = 2


class MissingExtraError(EmerError):
    """A verb needs an extra that is not installed.

    Parameters
    ----------
    extra : str
        Name of the extra in ``setup.cfg``.
    module : str
        The module whose import failed.
    purpose : str
        What the user wanted to do.
    """

    exit_code = 2

    def __init__(self, extra: str, module: str, purpose: str) -> None:
        self.extra = extra
        self.module = module
        self.purpose = purpose
        super().__init__(
            f"{purpose} needs the module '{module}', which is not installed. "
            f'Install it with: pip install "emer-toolkit[{extra}]"'
        )

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str, str]]:
        """Be sent to another process, as errors of workers are."""
        return type(self), (self.extra, self.module, self.purpose)


class StudyError(EmerError):
    """The study folder is incomplete or contradicts itself."""


class ConfigError(StudyError):
    """``study.toml`` cannot be used."""


class SessionFileError(EmerError):
    """A session file cannot be read, checked or repaired.

    Parameters
    ----------
    path : Path
        The file.
    message : str
        What is wrong and what to do next.
    hdf5_path : str, optional
        The dataset or group inside the file.
    """

    def __init__(self, path: Path | str, message: str, hdf5_path: str | None = None) -> None:
        self.path = Path(path)
        self.hdf5_path = hdf5_path
        self.message = message
        where = f"{self.path.name}: {hdf5_path}: " if hdf5_path else f"{self.path.name}: "
        super().__init__(where + message)

    def __reduce__(self) -> tuple[type[SessionFileError], tuple[Path, str, str | None]]:
        """Be sent to another process, as errors of workers are."""
        return type(self), (self.path, self.message, self.hdf5_path)


class SessionVersionError(SessionFileError):
    """The file was written by a newer version of the toolkit."""


class ClockError(EmerError):
    """A clock model cannot be fitted to the data given."""


class DeviceError(EmerError):
    """A device is missing, silent or misbehaves."""


class RecordingError(EmerError):
    """The recorder cannot start or had to stop."""


class MediaError(EmerError):
    """A video file cannot be decoded."""


class LabelError(EmerError):
    """A label or a label file is not valid."""


class ExportError(EmerError):
    """Clips, folds or an export are incomplete or inconsistent."""


class DataImportError(EmerError):
    """A recording of another system cannot be turned into a session file."""


class WorkerError(EmerError):
    """Worker processes end on their own, or a cluster does not answer."""


class TrainingError(EmerError):
    """Training, a checkpoint or an evaluation failed for a reason the user can mend."""
