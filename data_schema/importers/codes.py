"""Which participant and session a recording is: codes that the operator gives, never names from the file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from data_schema.errors import DataImportError, UsageError
from data_schema.importers.survey import RecordingSurvey
from data_schema.importers.trials import read_rows
from data_schema.study.folder import check_code

_KEYS = ("file", "participant_name", "recording_name")


@dataclass(frozen=True)
class Codes:
    """Participant and session codes of recordings.

    Parameters
    ----------
    participant, session : str
        Codes of the one recording that is imported; empty if `table` says them.
    table : tuple of dict
        Rows of a mapping with the columns participant and session, and any of file, participant_name, recording_name.
    """

    participant: str = ""
    session: str = ""
    table: tuple[dict[str, str], ...] = ()

    @classmethod
    def read(cls, path: Path) -> Codes:
        """Read a mapping from a CSV file.

        Raises
        ------
        DataImportError
            If a column is missing.
        UsageError
            If a code holds anything but letters and digits.
        """
        rows = read_rows(path)
        header = set(rows[0])
        missing = [name for name in ("participant", "session") if name not in header]
        if missing or not header.intersection(_KEYS):
            raise DataImportError(
                f"{path.name}: expected the columns participant, session and at least one of {', '.join(_KEYS)}; "
                f"got: {', '.join(rows[0])}."
            )
        stripped = tuple({name: value.strip() for name, value in row.items()} for row in rows)
        for row in stripped:
            check_code(row["participant"], "participant")
            check_code(row["session"], "session")
        return cls(table=stripped)

    def of(self, path: Path, recording: RecordingSurvey, n_recordings: int) -> tuple[str, str]:
        """Return participant and session code of a recording.

        Parameters
        ----------
        path : Path
            File that it stands in.
        recording : RecordingSurvey
        n_recordings : int
            Recordings that are imported in this call.

        Raises
        ------
        UsageError
            If no code is given, or one for several recordings.
        """
        if not self.table:
            if not self.participant or not self.session:
                raise UsageError(
                    f"{path.name}: say whose recording this is: --participant P001 --session 01, or --codes FILE for several."
                )
            if n_recordings > 1:
                raise UsageError(
                    f"{n_recordings} recordings cannot all be participant {self.participant}, session {self.session}. {_TEMPLATE}"
                )
            check_code(self.participant, "participant")
            check_code(self.session, "session")
            return self.participant, self.session
        facts = {
            "file": path.name,
            "participant_name": recording.participant_name,
            "recording_name": recording.recording_name,
        }
        fits = [row for row in self.table if all(row.get(key, "") in ("", facts[key]) for key in _KEYS)]
        found = sorted({(row["participant"], row["session"]) for row in fits})
        if len(found) == 1:
            return found[0]
        listed = ", ".join(f"{key} = {value}" for key, value in facts.items() if value)
        if not found:
            raise UsageError(f"--codes has no row for the recording with {listed}. Add one.")
        raise UsageError(f"--codes has {len(found)} different rows for the recording with {listed}. Leave one.")


_TEMPLATE = (
    "Write a CSV file with the columns participant_name, recording_name (or file), participant, session, one row a recording, "
    "and name it with --codes. `--dry-run` lists what is in the files. Keep that file outside the study folder: it names people."
)
