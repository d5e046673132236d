"""Find everything in a study that belongs to a participant, and say what becomes of it. Nothing is changed here."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from data_schema.errors import ExportError, StudyError, UsageError
from data_schema.exports.folds import load_folds
from data_schema.exports.manifest import MANIFEST_NAME, is_export
from data_schema.files import read_table
from data_schema.publishing.folder import MARKER_NAME
from data_schema.publishing.identifiers import Identifier, common_words
from data_schema.publishing.pseudonyms import load_pseudonyms, pseudonyms_path
from data_schema.publishing.scan import Progress, search
from data_schema.study.folder import CONFIG_NAME, WITHDRAWN_NAME, StudyFolder, check_code
from data_schema.withdrawal.documents import json_entries
from data_schema.withdrawal.journal import JOURNAL_NAME, RECORDS_NAME
from data_schema.withdrawal.mentions import mentioning_recordings
from data_schema.withdrawal.runs import is_run
from data_schema.withdrawal.traces import Traces

#: What becomes of files, in the order in which it is done: what can be made again goes before what cannot, exports after
#: the clips and labels that their manifest speaks of, and what knows the participant's other names goes last.
KINDS: dict[str, str] = {
    "publication": "delete: it was made with the participant; make it again and replace the copies that are out",
    "report": "delete: its figures are over all participants; make it again",
    "bundle": "delete: it holds the participant's clips; make it again, and ask back those that are out",
    "delete": "delete",
    "model": "delete: it learnt from the participant",
    "run": "remove rows and names; mark it as stale, since weights cannot forget: train it again",
    "labels": "remove all that annotators said of the participant's clips, and overwrite it in the file",
    "database": "remove all that annotators said of the participant's clips, and write the tables anew",
    "rows": "remove rows",
    "export": "remove shards, rows and fold; write data card and manifest anew",
    "lines": "remove lines",
    "entries": "remove entries",
    "mention": "keep: recordings of others in which somebody wrote the code; to change them would void all labels of them",
    "by hand": "cannot be changed by a program: mend or delete it yourself",
}
_REPORTS = frozenset(
    {".html", ".json", ".csv", ".parquet", ".png", ".svg", ".jpg", ".mp4", ".npz", ".npy", ".pdf", ".tex"}
)
_TEXTS = frozenset({".txt", ".log", ".md", ".jsonl", ".ndjson", ".yaml", ".yml", ".ini", ".srt"})
#: Folders that hold what the study is made of.
_MATERIAL = frozenset({"stimuli", "texts", "questionnaires"})
_SQLITE_SIDES = ("-wal", "-shm", "-journal")
_BUNDLE_FORMAT = "emer-bundle"
_BENCHMARK_FORMAT = "emer-benchmark"
_GRAPH_FORMAT = "emer-onnx"


@dataclass(frozen=True)
class Action:
    """What becomes of one file or folder.

    Parameters
    ----------
    kind : str
        One of :data:`KINDS`.
    path : str
        Relative to the study, with forward slashes; the address of a database.
    """

    kind: str
    path: str


@dataclass
class Plan:
    """All that is to be done.

    Parameters
    ----------
    traces : Traces
    actions : list of Action
        In the order of :data:`KINDS`.
    elsewhere : list of str
        What people have to do outside the study folder.
    perhaps : list of str
        Texts that nothing happens to, and in which a code such as P1 or S01 stands as a word that may mean something else.
    """

    traces: Traces
    actions: list[Action]
    elsewhere: list[str] = field(default_factory=list)
    perhaps: list[str] = field(default_factory=list)


def make_plan(
    study: StudyFolder,
    code: str,
    *,
    known: Traces | None = None,
    delete_models: bool = False,
    progress: Progress | None = None,
) -> Plan:
    """Find what belongs to a participant.

    Parameters
    ----------
    study : StudyFolder
    code : str
    known : Traces, optional
        What an unfinished withdrawal already knew.
    delete_models : bool
        Remove training runs instead of marking them as stale.
    progress : callable, optional

    Raises
    ------
    UsageError
        If the code is none, or the study writes it otherwise.
    StudyError
        If the code of somebody else differs in capitals alone.
    """
    check_code(code, "participant")
    if known is None:
        _check_spelling(study, code)
    traces = known or find_traces(study, code)
    root = study.root
    actions: list[Action] = []
    taken: list[Path] = []

    def take(kind: str, path: Path) -> None:
        actions.append(Action(kind, path.relative_to(root).as_posix()))
        taken.append(path)

    for path in _named(root, traces):
        # What the study is made of is no participant's: such a name is chance, or a mistake that somebody has to look at.
        take("by hand" if path.relative_to(root).parts[0] in _MATERIAL else "delete", path)
    for kind, folder in _special(root):
        if any(folder.is_relative_to(place) for place in taken):
            continue
        if _holds(root, folder, traces):
            take("model" if kind == "run" and delete_models else kind, folder)
        elif kind == "run" and (folder / WITHDRAWN_NAME).is_file():
            taken.append(folder)
    rest = [path for path in _rest(study, traces) if not any(path.is_relative_to(place) for place in taken)]
    report = search(root, traces.identifiers, progress, rest)
    mentioned = {finding.file for finding in report.findings} | set(word_entries(study, traces, rest))
    reports = set(_reports(study))
    for name in sorted(mentioned):
        kind = "report" if root / name in reports else _treatment(root / name)
        if kind:
            take(kind, root / name)
    database = study.config.labels.database
    # Asked only where there is somebody to remove: a code that nobody has is found out without it.
    if actions:
        for path in _reports(study):
            if not any(path.is_relative_to(place) for place in taken):
                take("report", path)
        for path in _graphs(study):
            take("model", path)
        for path in _untraceable(study, [*taken]):
            take("publication", path)
        for path in mentioning_recordings(study, traces):
            if not any(path.is_relative_to(place) for place in taken):
                take("mention", path)
        if database:
            actions.append(Action("database", database))
    order = list(KINDS)
    actions.sort(key=lambda action: (order.index(action.kind), action.path))
    untouched = [path for path in rest if not any(path.is_relative_to(place) for place in taken)]
    return Plan(traces, actions, _elsewhere(study, actions), _perhaps(root, traces, untouched))


def _perhaps(root: Path, traces: Traces, paths: Iterable[Path]) -> list[str]:
    if not traces.is_word or traces.code.isalpha() or traces.code.isdigit():
        return []
    texts = [path for path in paths if path.suffix in (*_TEXTS, ".json", ".csv", ".tsv", ".html")]
    found = search(root, [Identifier("participant", traces.code)], None, texts).findings
    return sorted({finding.file for finding in found})


def _check_spelling(study: StudyFolder, code: str) -> None:
    """Refuse a code that differs from a known one in capitals alone: no search can tell these two apart."""
    known = {*known_participants(study), *load_pseudonyms(pseudonyms_path(study)).participants}
    twins = sorted(name for name in known if name != code and name.casefold() == code.casefold())
    if twins and code not in known:
        raise UsageError(f"{code}: the study writes this code as {' or '.join(twins)}. Write it in the same way.")
    if twins:
        raise StudyError(
            f"{code}: the study has {twins[0]}, too, and what belongs to whom cannot be told by capitals alone: {twins[0]} would "
            f"be removed as well. Move the recordings of {twins[0]} out of the study, withdraw {code}, and bring them back "
            "under a code of their own; nothing was changed."
        )


def _untraceable(study: StudyFolder, taken: list[Path]) -> Iterator[Path]:
    """Yield publications in which no code occurs that is known today: the list of their codes was lost, so anybody may be in."""
    pseudonyms = load_pseudonyms(pseudonyms_path(study)).participants
    codes = {*pseudonyms, *pseudonyms.values(), *known_participants(study)}
    sought = [Identifier("participant", code) for code in sorted(codes)]
    for kind, folder in _special(study.root):
        if kind != "publication" or any(folder.is_relative_to(place) for place in taken):
            continue
        if not search(study.root, sought, None, [folder, *folder.rglob("*")]).findings:
            yield folder


def word_entries(study: StudyFolder, traces: Traces, paths: Iterable[Path]) -> list[str]:
    """Return the JSON files in which a code that may be any word stands for the participant: a search cannot tell."""
    if not traces.is_word:
        return []
    documents = [path for path in paths if path.suffix == ".json" and path.is_file()]
    return [path.relative_to(study.root).as_posix() for path in documents if json_entries(path, traces)]


def find_traces(study: StudyFolder, code: str) -> Traces:
    """Return what stands for a participant: the published code, opaque names of clips in bundles, places in queues."""
    common = code.casefold() in common_words(study)
    own = Traces(code, common=common)
    published = load_pseudonyms(pseudonyms_path(study)).participants.get(code, "")
    opaque: set[str] = set()
    for path in sorted((study.annotation_dir / "bundles").glob("*.json")):
        try:
            items = json.loads(path.read_text(encoding="utf-8")).get("items", [])
        except (ValueError, AttributeError):
            continue
        for item in items:
            if own.mentioned(str(item.get("clip_id", ""))):
                opaque.update(str(item[key]) for key in ("name", "item_id") if item.get(key))
    assignments = study.annotation_dir / "assignments.parquet"
    if assignments.is_file():
        table = read_table(
            assignments, ("item_id", "clip_id"), "table of assignments", "Bring it back from the backup."
        )
        mine = table["clip_id"].map(lambda text: own.mentioned(str(text))).astype(bool)
        opaque.update(str(text) for text in table.loc[mine, "item_id"])
    return Traces(code, published if published != code else "", tuple(sorted(opaque)), common)


def known_participants(study: StudyFolder) -> list[str]:
    """Return the participants that the study has recordings or folds of, sorted."""
    names = {path.name.removeprefix("sub-") for path in study.sessions_dir.glob("sub-*") if path.is_dir()}
    if study.folds_path.is_file():
        with contextlib.suppress(ExportError):
            names |= set(load_folds(study.folds_path).assignment)
    return sorted(names)


def _named(root: Path, traces: Traces) -> Iterator[Path]:
    """Yield files and folders whose own name names the participant, the outermost only, outside of exports and runs."""
    special = [folder for _, folder in _special(root)]
    stack = [root]
    while stack:
        for path in sorted(stack.pop().iterdir()):
            if traces.mentioned(path.name):
                yield path
            elif path.is_dir() and not path.is_symlink() and path not in special:
                stack.append(path)


def _special(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield the folders that are treated as a whole."""
    for path in sorted(root.rglob(MARKER_NAME)):
        yield "publication", path.parent
    for path in sorted(root.rglob(MANIFEST_NAME)):
        if is_export(path.parent):
            unfinished = path.parent.suffix in (".partial", ".replaced")
            yield "delete" if unfinished else "export", path.parent
        elif _is_bundle(path):
            yield "bundle", path.parent
    for path in sorted(root.rglob("*.partial")):
        if path.is_dir() and not (path / MANIFEST_NAME).is_file():
            yield "delete", path
    for path in sorted(root.rglob("config.json")):
        if is_run(path.parent):
            yield "run", path.parent


def _is_bundle(manifest: Path) -> bool:
    return _is_of(manifest, _BUNDLE_FORMAT)


def _is_of(document: Path, name: str) -> bool:
    """Tell whether a JSON file says that it is of a format."""
    try:
        content = json.loads(document.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("format") == name


def _holds(root: Path, folder: Path, traces: Traces) -> bool:
    return bool(search(root, traces.identifiers, None, [folder, *folder.rglob("*")]).findings)


def _rest(study: StudyFolder, traces: Traces) -> Iterator[Path]:
    """Yield the files that may speak of the participant: all but the recordings of others, which know only their own."""
    own = {JOURNAL_NAME, RECORDS_NAME}
    for path in sorted(study.root.rglob("*")):
        recording = path.suffix == ".h5" and path.is_relative_to(study.sessions_dir)
        stimulus = path.is_relative_to(study.stimuli_dir)
        if path.is_file() and not recording and not stimulus and not (path.parent == study.root and path.name in own):
            yield path


def _reports(study: StudyFolder) -> Iterator[Path]:
    """Yield what was drawn or counted over all participants; what is named after one, such as a clip's map, is theirs alone."""
    if study.reports_dir.is_dir():
        for path in sorted(study.reports_dir.rglob("*")):
            if path.is_file() and path.suffix in _REPORTS and not path.name.startswith("sub-"):
                yield path
    for about in sorted(study.root.rglob("benchmark.json")):
        if _is_of(about, _BENCHMARK_FORMAT):
            folder = about.parent
            beside = [about, folder / "report.html", *folder.glob("*.csv"), *folder.glob("tables/*.tex")]
            yield from (path for path in beside if path.is_file() and not path.is_relative_to(study.reports_dir))


def _graphs(study: StudyFolder) -> Iterator[Path]:
    """Yield models that were written as graphs: they do not say from whom they learnt, and are made again from a run."""
    for graph in sorted(study.root.rglob("*.onnx")):
        about = graph.with_suffix(".json")
        if about.is_file() and _is_of(about, _GRAPH_FORMAT):
            yield from (graph, about)


def _treatment(path: Path) -> str:
    """Say what becomes of a file that names the participant, by what it is; empty for what goes with another file."""
    if path.name == CONFIG_NAME or path.is_symlink():
        return "by hand"
    if path.name.startswith(".") and path.name.endswith(".partial"):
        # What a killed program had begun to write, such as the journal of this withdrawal.
        return "delete"
    if any(path.name.endswith(side) for side in _SQLITE_SIDES):
        main = path.with_name(path.name.rpartition("-")[0])
        return "" if main.is_file() else "by hand"
    with path.open("rb") as file:
        head = file.read(16)
    if head == b"SQLite format 3\x00":
        return "labels"
    if path.suffix in (".html", ".htm"):
        return "report"
    if path.suffix == ".parquet" or (path.suffix in (".csv", ".tsv") and _is_utf8(path)):
        return "rows"
    if path.suffix == ".json" and _is_utf8(path):
        return "entries"
    return "lines" if path.suffix in _TEXTS and _is_utf8(path) else "by hand"


def _is_utf8(path: Path) -> bool:
    try:
        path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _elsewhere(study: StudyFolder, actions: list[Action]) -> list[str]:
    """Say what people have to do: what lies outside the study folder is out of a program's reach."""
    steps = ["backups of the study folder, and disks on which it once lay: overwriting on SSDs cannot be promised"]
    if any(action.kind == "bundle" for action in actions) or (study.annotation_dir / "bundles").is_dir():
        steps.append("bundles that annotators have: ask them to delete theirs")
    if any(action.kind == "publication" for action in actions):
        steps.append("published copies: replace them where they can be had, and say so in their changelog")
    if any(action.kind in ("run", "model") for action in actions):
        steps.append("models that were passed on, and papers with their figures")
    steps.append("the list that names participants, consent forms, mails and payments, wherever the lab keeps them")
    return steps


def refuse_unknown(study: StudyFolder, code: str, finished: list[str]) -> UsageError:
    """Return the error for a code of which nothing is in the study."""
    known = ", ".join(known_participants(study)) or "none"
    done = (
        f" If this participant withdrew before, it is done already: {len(finished)} withdrawals were finished, the last on "
        f"{finished[-1]}; their codes are not kept."
        if finished
        else ""
    )
    return UsageError(f"{code}: nothing of this participant is in the study. Participants that are: {known}.{done}")
