"""The study folder: where each thing lies."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from data_schema.errors import StudyError, UsageError
from data_schema.study.config import StudyConfig, load_config
from data_schema.study.sections import Stimulus
from data_schema.wording import quoted

CONFIG_NAME = "study.toml"
#: In a training run: it learnt from somebody who has withdrawn since.
WITHDRAWN_NAME = "withdrawn.json"
_CODE = re.compile(r"[A-Za-z0-9]{1,32}")
_SESSION_FILE = re.compile(
    r"^sub-(?P<participant>[A-Za-z0-9]+)_ses-(?P<session>[A-Za-z0-9]+)(?:_run-(?P<run>[0-9]{2,4}))?$"
)


class SessionName(NamedTuple):
    """What the name of a session file says.

    A session is one file, run 1. One that was resumed after a crash or an abort goes on
    in further files beside it, run 2 and so on: a file that was closed is never written again.
    """

    participant: str
    session: str
    run: int = 1

    @property
    def stem(self) -> str:
        """Name of the file without its suffix; the first run is not numbered."""
        run = f"_run-{self.run:02d}" if self.run > 1 else ""
        return f"sub-{self.participant}_ses-{self.session}{run}"


class StudyFolder:
    """Paths of one study.

    Parameters
    ----------
    root : Path
        The folder that holds ``study.toml``.

    Raises
    ------
    StudyError
        If the folder has no ``study.toml``.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        if not self.config_path.is_file():
            new = not self.root.exists()
            hint = f"make one with: emer init {quoted(self.root)}" if new else "go to the folder that holds it"
            raise StudyError(f"{self.root}: no {CONFIG_NAME} here. Name a study folder, or {hint}.")

    def __repr__(self) -> str:
        return f"StudyFolder({str(self.root)!r})"

    @property
    def config_path(self) -> Path:
        """``study.toml``."""
        return self.root / CONFIG_NAME

    @cached_property
    def config(self) -> StudyConfig:
        """The checked configuration, read once."""
        return load_config(self.config_path)

    def with_config(self, config: StudyConfig) -> StudyFolder:
        """Return the same folder with another configuration, such as the one that a session began with."""
        folder = StudyFolder(self.root)
        folder.__dict__["config"] = config
        return folder

    @property
    def stimuli_dir(self) -> Path:
        """The clips that are shown."""
        return self.root / "stimuli"

    @property
    def sessions_dir(self) -> Path:
        """The recordings."""
        return self.root / "sessions"

    @property
    def labels_dir(self) -> Path:
        """One SQLite file per annotator."""
        return self.root / "labels"

    @property
    def annotation_dir(self) -> Path:
        """Who labels what, gold labels' results, and the keys of bundles; never handed to an annotator."""
        return self.root / "annotation"

    @property
    def derived_dir(self) -> Path:
        """The signals of each clip, stored with what made them: one file a session."""
        return self.root / "derived"

    @property
    def exports_dir(self) -> Path:
        """Exports."""
        return self.root / "exports"

    @property
    def models_dir(self) -> Path:
        """Training runs."""
        return self.root / "models"

    @property
    def reports_dir(self) -> Path:
        """Reports."""
        return self.root / "reports"

    @property
    def clip_index_path(self) -> Path:
        """The clip table that everything later refers to."""
        return self.root / "clips.parquet"

    @property
    def folds_path(self) -> Path:
        """The frozen assignment of participants to folds."""
        return self.root / "folds.json"

    def session_path(self, participant: str, session: str, run: int = 1) -> Path:
        """Return where a run of a participant's session lies or will lie.

        Raises
        ------
        UsageError
            If a code is not made of letters and digits alone.
        """
        check_code(participant, "participant")
        check_code(session, "session")
        name = SessionName(participant, session, run)
        return self.sessions_dir / f"sub-{participant}" / f"ses-{session}" / f"{name.stem}.h5"

    def session_files(self) -> list[Path]:
        """Return all session files, sorted by participant, session and run."""
        found = ((parse_session_name(path), path) for path in self.sessions_dir.glob("sub-*/ses-*/sub-*_ses-*.h5"))
        return [path for _, path in sorted((name, path) for name, path in found if name is not None)]

    def run_files(self, participant: str, session: str) -> list[Path]:
        """Return the files of one session, its first run first; empty if it was never recorded."""
        folder = self.session_path(participant, session).parent
        found = ((parse_session_name(path), path) for path in folder.glob("sub-*_ses-*.h5"))
        wanted = (participant, session)
        return [path for _, path in sorted((name, path) for name, path in found if name and name[:2] == wanted)]

    def label_files(self) -> list[Path]:
        """Return all label files, sorted by name."""
        return sorted(self.labels_dir.glob("*.sqlite"))

    def label_places(self) -> list[Path | str]:
        """Return where labels lie: the label files, and the database if the study has one."""
        database = self.config.labels.database
        return [*self.label_files(), *([database] if database else [])]

    def stimulus_path(self, stimulus: Stimulus | str) -> Path:
        """Return the file of a stimulus.

        Raises
        ------
        StudyError
            If the stimulus is not declared or its file is missing.
        """
        if isinstance(stimulus, str):
            known = {item.id: item for item in self.config.stimuli}
            if stimulus not in known:
                raise StudyError(f"{CONFIG_NAME}: no [[stimuli]] has the id '{stimulus}'. Known: {', '.join(known)}.")
            stimulus = known[stimulus]
        path = self.stimuli_dir / stimulus.file
        if not path.is_file():
            raise StudyError(
                f"{CONFIG_NAME}: stimulus '{stimulus.id}' names the file stimuli/{stimulus.file}, which does not "
                f"exist. Put the clip there or mend the name."
            )
        return path

    def check_stimuli(self) -> None:
        """Check that the study has stimuli and that each file exists.

        Raises
        ------
        StudyError
            With one line per missing file.
        """
        if not self.config.stimuli:
            raise StudyError(f"{CONFIG_NAME}: there are no [[stimuli]]. Add one table per clip.")
        problems = []
        for stimulus in self.config.stimuli:
            try:
                self.stimulus_path(stimulus)
            except StudyError as error:
                problems.append(str(error))
        if problems:
            raise StudyError("\n".join(problems))


def find_study(path: Path | str | None = None) -> StudyFolder:
    """Return the study at `path`, or at the current folder or one of its parents.

    Raises
    ------
    StudyError
        If there is none.
    """
    if path is not None:
        return StudyFolder(path)
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / CONFIG_NAME).is_file():
            return StudyFolder(folder)
    raise StudyError(
        f"no {CONFIG_NAME} in {here} or above it. Go into a study folder, name one, or make one: emer init FOLDER"
    )


def check_code(code: str, what: str) -> None:
    """Check a participant's or a session's code.

    Raises
    ------
    UsageError
        If it holds anything but letters and digits.
    """
    if not _CODE.fullmatch(code):
        raise UsageError(
            f"the {what} code '{code}' is not usable: use 1 to 32 letters and digits, such as P001 or 01. "
            f"It names files and must say nothing about the person."
        )


def parse_session_name(path: Path) -> SessionName | None:
    """Return participant, session and run from a session file's name, or None."""
    match = _SESSION_FILE.match(path.stem)
    if match is None:
        return None
    name = SessionName(match["participant"], match["session"], int(match["run"] or 1))
    # One spelling only, so that no two files can be the same run: run-01 and run-002 are nobody's names.
    return name if name.stem == path.stem else None
