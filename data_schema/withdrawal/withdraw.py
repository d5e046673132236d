"""Carry a withdrawal out: plan, lock, journal, remove, search, record."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from data_schema.errors import StudyError
from data_schema.locks import sole_writer
from data_schema.publishing.pseudonyms import load_pseudonyms, pseudonyms_path, save_pseudonyms
from data_schema.publishing.scan import Progress, search
from data_schema.study.folder import StudyFolder
from data_schema.withdrawal.documents import clean_delimited, clean_json, clean_lines, clean_parquet
from data_schema.withdrawal.exports import clean_export
from data_schema.withdrawal.journal import JOURNAL_NAME, Journal, finish, read_journal, read_records
from data_schema.withdrawal.label_logs import clean_postgres, clean_sqlite
from data_schema.withdrawal.plan import Action, Plan, make_plan, refuse_unknown, word_entries
from data_schema.withdrawal.runs import clean_run
from data_schema.withdrawal.traces import Traces

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What a withdrawal did.

    Parameters
    ----------
    plan : Plan
    record : dict
        What ``withdrawals.json`` says of it.
    n_files, n_bytes : int
        What the final search went through.
    unopened : list of str
        Files that look like a container and could not be looked into.
    """

    plan: Plan
    record: dict[str, Any]
    n_files: int
    n_bytes: int
    unopened: list[str]


def plan_withdrawal(
    study: StudyFolder, code: str, *, delete_models: bool = False, progress: Progress | None = None
) -> Plan:
    """Say what a withdrawal would do; an unfinished one is taken up.

    Raises
    ------
    UsageError
        If nothing of the participant is in the study.
    StudyError
        If another participant's withdrawal has not ended.
    """
    journal = _own_journal(study, code)
    known = journal.traces if journal is not None else None
    plan = make_plan(study, code, known=known, delete_models=delete_models, progress=progress)
    if journal is not None:
        begun = [Action(kind, path) for kind, path in journal.actions if Action(kind, path) not in plan.actions]
        plan.actions[:0] = [action for action in begun if action.kind != "by hand"]
    elif not plan.actions:
        raise refuse_unknown(study, code, [str(item.get("date", "")) for item in read_records(study.root)])
    return plan


def withdraw_participant(
    study: StudyFolder,
    code: str,
    *,
    delete_models: bool = False,
    keep_mentions: bool = False,
    progress: Progress | None = None,
    step: Callable[[Action], None] | None = None,
) -> Outcome:
    """Remove a participant from a study, and make sure of it.

    After a crash the same call goes on. Everybody else's folds stay as they are.

    Parameters
    ----------
    study : StudyFolder
    code : str
        The study's own code.
    delete_models : bool
        Remove training runs instead of marking them as stale.
    keep_mentions : bool
        Go on although somebody wrote the code into recordings of others; they are left as they are, and the record says so.
    progress : callable, optional
        Of the two searches.
    step : callable, optional
        Called before each action.

    Raises
    ------
    UsageError
        If nothing of the participant is in the study.
    StudyError
        If a program works in the study, a file has to be mended by hand, or something is left at the end. In the first two
        cases nothing was changed.
    """
    with sole_writer(study.root / "withdrawal", "another withdrawal is running. Wait until it has ended."):
        plan = plan_withdrawal(study, code, delete_models=delete_models, progress=progress)
        by_hand = [action.path for action in plan.actions if action.kind == "by hand"]
        if by_hand:
            raise StudyError(
                f"{', '.join(by_hand)}: names the participant and cannot be changed by a program. Mend or delete it, then "
                "withdraw again; nothing was changed."
            )
        mentions = {action.path for action in plan.actions if action.kind == "mention"}
        if mentions and not keep_mentions:
            raise StudyError(
                f"{', '.join(sorted(mentions))}: somebody wrote the code into a recording of somebody else, and to change that "
                "would void all labels of it. Leave these words there with --keep-mentions, or delete the recording; nothing "
                "was changed."
            )
        _refuse_labels_in_bundles(study, plan)
        with _nobody_else(study):
            journal = read_journal(study.root) or Journal(
                code, plan.traces.published, list(plan.traces.opaque), [], common=plan.traces.common
            )
            journal.actions = [[action.kind, action.path] for action in plan.actions]
            journal.delete_models = delete_models
            journal.save(study.root)
            for action in plan.actions:
                if step is not None:
                    step(action)
                if action.kind != "mention":
                    _carry_out(study, action, plan.traces, journal)
                    journal.save(study.root)
        _remove_empty(study, plan)
        outcome = search(study.root, plan.traces.identifiers, progress, _everything(study))
        left = [str(finding) for finding in outcome.findings if finding.file not in mentions]
        left += [f"{name}: an entry" for name in word_entries(study, plan.traces, _everything(study))]
        if left:
            shown = "\n".join(f"  {line}" for line in left[:10])
            raise StudyError(
                f"the study still names the participant:\n{shown}\nDelete or mend these files and run the same command "
                "again: it goes on. Until then the withdrawal is not finished."
            )
        return Outcome(plan, finish(study.root, journal), outcome.n_files, outcome.n_bytes, outcome.unopened)


def _own_journal(study: StudyFolder, code: str) -> Journal | None:
    journal = read_journal(study.root)
    if journal is not None and journal.code != code:
        raise StudyError(
            f"{study.root / JOURNAL_NAME}: the withdrawal of another participant has not ended. Finish it first: emer withdraw "
            f"{study.root} {journal.code}"
        )
    return journal


def _carry_out(study: StudyFolder, action: Action, traces: Traces, journal: Journal) -> None:
    """Do one action; doing it twice is as good as once."""
    path = study.root / action.path
    count = _CLEANERS.get(action.kind)
    if action.kind == "database":
        removed = clean_postgres(action.path, traces)
    elif action.kind == "export":
        removed = clean_export(study, path, traces)
    elif path == pseudonyms_path(study):
        removed = _forget_code(path, journal.code)
    elif count is not None:
        removed = count(path, traces) if path.exists() else 0
    else:
        removed = _delete(path)
    name = {"labels": "label rows", "database": "label rows", "export": "clips in exports", "run": "rows in runs"}
    key = name.get(action.kind, "rows and entries" if count is not None else "files")
    journal.counts[key] = journal.counts.get(key, 0) + removed


def _forget_code(path: Path, code: str) -> int:
    """Remove a participant from the list of published codes; it stays readable by its owner alone."""
    known = load_pseudonyms(path)
    if code not in known.participants and code not in known.shifts_days:
        return 0
    known.participants.pop(code, None)
    known.shifts_days.pop(code, None)
    save_pseudonyms(path, known)
    return 1


def _clean_rows(path: Path, traces: Traces) -> int:
    return (clean_parquet if path.suffix == ".parquet" else clean_delimited)(path, traces)


_CLEANERS: dict[str, Callable[[Path, Traces], int]] = {
    "run": clean_run,
    "labels": clean_sqlite,
    "rows": _clean_rows,
    "lines": clean_lines,
    "entries": clean_json,
}


def _delete(path: Path) -> int:
    """Delete a file or folder; return how many files that were."""
    if path.is_dir() and not path.is_symlink():
        n_files = sum(1 for item in path.rglob("*") if item.is_file())
        for item in path.rglob("*"):
            _allow(item)
        try:
            shutil.rmtree(path)
        except OSError as error:
            raise StudyError(
                f"{path}: cannot be deleted ({error.strerror or error}). Close programs that use it, and try again."
            ) from error
        return n_files
    if not path.exists() and not path.is_symlink():
        return 0
    try:
        _allow(path)
        path.unlink()
    except OSError as error:
        raise StudyError(
            f"{path}: cannot be deleted ({error.strerror or error}). Close programs that use it, and try again."
        ) from error
    return 1


def _allow(path: Path) -> None:
    """Windows deletes no file that is marked as read-only."""
    with contextlib.suppress(OSError):
        if not path.is_symlink() and not os.access(path, os.W_OK):
            path.chmod(path.stat().st_mode | stat.S_IWUSR)


def _refuse_labels_in_bundles(study: StudyFolder, plan: Plan) -> None:
    for action in plan.actions:
        labels = sorted((study.root / action.path).rglob("*.sqlite")) if action.kind == "bundle" else []
        if labels:
            raise StudyError(
                f"{action.path}: the bundle holds labels ({labels[0].name}), which would be deleted with it. Bring them home "
                f"(emer annotate merge {study.root} {action.path}), move that file elsewhere, and withdraw again; nothing was "
                "changed."
            )


@contextlib.contextmanager
def _nobody_else(study: StudyFolder) -> Iterator[None]:
    """Make sure that nobody works in the study, and keep annotators' windows out while the block runs.

    Exports lock themselves when they are cleaned; a lock beside something that is deleted cannot be held on Windows.

    Raises
    ------
    StudyError
        Naming what is in use.
    """
    with contextlib.ExitStack() as held:
        for path in sorted(study.root.rglob("*.lock")):
            if path.name == ".withdrawal.lock" or not path.is_file():
                continue
            lock = FileLock(path, timeout=0)
            try:
                lock.acquire()
            except Timeout:
                raise StudyError(
                    f"{_in_use(study, path)}. Close it, or wait until it has ended, and withdraw again; nothing was changed."
                ) from None
            except (OSError, NotImplementedError) as error:
                _log.warning(
                    "%s: the lock cannot be taken (%s); nobody can tell whether a program uses it", path, error
                )
                continue
            if path.parent == study.labels_dir:
                held.callback(lock.release)
            else:
                lock.release()
        yield


def _in_use(study: StudyFolder, lock: Path) -> str:
    name = lock.name.removeprefix(".").removesuffix(".lock")
    place = lock.relative_to(study.root).as_posix()
    if lock.is_relative_to(study.sessions_dir):
        return f"{name}: is being recorded or repaired at this moment"
    if name.endswith(".sqlite"):
        return f"{name}: an annotator's window or another program has these labels open ({place})"
    return f"{name}: a program is writing there at this moment ({place})"


def _remove_empty(study: StudyFolder, plan: Plan) -> None:
    """Remove the folders that deleting left empty."""
    for action in plan.actions:
        parent = (study.root / action.path).parent
        while (
            parent != study.root and parent.is_relative_to(study.root) and parent.is_dir() and not any(parent.iterdir())
        ):
            if parent.parent == study.root:
                break
            parent.rmdir()
            parent = parent.parent


def _everything(study: StudyFolder) -> Iterator[Path]:
    for path in sorted(study.root.rglob("*")):
        if path != study.root / JOURNAL_NAME:
            yield path
