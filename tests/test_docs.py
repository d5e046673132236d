"""The pages say what is true: verbs, options, targets and links that they name exist."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import typer

PROJECT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    [*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md"), *(PROJECT / "constraints").glob("*.md")],
    key=lambda path: path.as_posix(),
)
ROLE_PAGES = ("operator.md", "annotator.md", "annotation_lead.md", "study_design.md", "researcher.md", "maintainer.md")
VERBS = sorted(point.name for point in entry_points(group="emer.commands"))
PACKAGES = ("annotation", "collection", "data_schema", "emer_model")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _name(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@lru_cache
def _command(verb: str) -> Any:
    (point,) = entry_points(group="emer.commands", name=verb)
    target = point.load()
    if isinstance(target, typer.Typer):
        return typer.main.get_group(target)
    app = typer.Typer()
    app.command(verb)(target)
    return typer.main.get_command(app)


def _shell_lines(path: Path) -> Iterator[list[str]]:
    """Yield the words of each line of a page's shell blocks."""
    for language, body in _FENCE.findall(_text(path)):
        if language in {"sh", "bash"}:
            for line in body.splitlines():
                words = shlex.split(line, comments=True)
                if words:
                    yield words


EMER_LINES = [(_name(page), words) for page in PAGES for words in _shell_lines(page) if words[0] == "emer"]
MAKE_LINES = [(_name(page), words) for page in PAGES for words in _shell_lines(page) if words[0] == "make"]


def _identifier(value: object) -> str:
    return value if isinstance(value, str) else "_".join(value)[:50]  # type: ignore[arg-type]


@pytest.mark.parametrize(("page", "words"), EMER_LINES, ids=_identifier)
def test_every_command_line_on_a_page_exists(page: str, words: list[str]) -> None:
    """Verb, sub-verb and options of each `emer` line are those of the program."""
    verb, rest = words[1], words[2:]
    assert verb in VERBS, f"{page}: emer has no verb '{verb}'"
    command = _command(verb)
    while hasattr(command, "commands"):
        assert rest, f"{page}: emer {verb} needs a verb of its own"
        assert rest[0] in command.commands, f"{page}: emer {verb} has no '{rest[0]}'"
        command, rest = command.commands[rest[0]], rest[1:]
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [word for word in rest if word.startswith("-") and word.partition("=")[0] not in options | {"--help"}]
    assert unknown == [], f"{page}: {' '.join(words)}"


def _with_sub_verbs(verb: str) -> Iterator[str]:
    yield verb
    for name in getattr(_command(verb), "commands", {}):
        yield f"{verb} {name}"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_and_its_sub_verbs_are_on_a_role_page(verb: str) -> None:
    pages = "\n".join(_text(PROJECT / "docs" / name) for name in ROLE_PAGES)
    missing = [words for words in _with_sub_verbs(verb) if not re.search(rf"\bemer {words}\b", pages)]
    assert missing == [], f"no role page shows `emer {'`, `emer '.join(missing)}`"


@pytest.mark.parametrize("package", PACKAGES)
def test_the_plan_of_the_house_names_every_room(package: str) -> None:
    rooms = {path.parent.name for path in (PROJECT / package).glob("*/__init__.py")}
    plan = _text(PROJECT / "docs" / "architecture.md")
    section = plan.split(f"\n## Inside {package}\n")[1].split("\n## ")[0]
    assert {room for room in rooms - {"commands"} if f"`{room}/`" not in section} == set()


def test_the_commands_of_the_figures_exist() -> None:
    text = _text(PROJECT / "docs" / "figures.md")
    lines = re.findall(r"python -m benchmarks((?: [a-z_]+)+)", text)
    named = {name for line in lines for name in line.split()} | set(
        re.findall(r"python -m benchmarks\.([a-z_]+)", text)
    )
    assert {name for name in named if not (PROJECT / "benchmarks" / f"{name}.py").exists()} == set()
    places = re.findall(r"`(tests/[^`]+)`", text)
    assert named and places and [place for place in places if not (PROJECT / place).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_python_on_a_page_names_what_exists(page: Path) -> None:
    """Blocks of Python compile, and their imports work."""
    for language, body in _FENCE.findall(_text(page)):
        if language == "python":
            tree = ast.parse(body)
            imports = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
            exec(compile(ast.Module(imports, []), _name(page), "exec"), {})


def test_markers_on_the_operators_page_are_those_of_the_recorder() -> None:
    from data_schema.session import markers

    named = set(re.findall(r"`((?:stream|samples|frames)_[a-z]+)`", _text(PROJECT / "docs" / "operator.md")))
    assert named
    assert {name for name in named if getattr(markers, name.upper(), None) != name} == set()


def test_the_pages_show_commands_at_all() -> None:
    assert len(EMER_LINES) > 10
    assert {"demo", "test"} <= {words[1] for page, words in MAKE_LINES if page == "README.md"}


def _make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", _text(PROJECT / "Makefile"), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_make_targets_named_on_a_page_exist(page: Path) -> None:
    named = set(re.findall(r"`(?:[A-Z_]+=\S+ )*make ([a-z-]+)", _text(page)))
    named |= {word for words in _shell_lines(page) if words[0] == "make" for word in words[1:] if "=" not in word}
    assert named - _make_targets() == set()


def test_make_help_lists_every_public_target() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", _text(PROJECT / "Makefile"), re.MULTILINE)
    assert phony is not None
    explained = set(re.findall(r"^([a-z-]+):[^#\n]*## \S", _text(PROJECT / "Makefile"), re.MULTILINE))
    assert set(phony.group(1).split()) - explained == {"pytest"}, "say what the target does after ##"


def _anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", _text(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_resolve(page: Path) -> None:
    broken = []
    prose = _FENCE.sub("", _text(page))
    for target in re.findall(r"!?\[[^\]]*\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in _anchors(path)):
            broken.append(target)
    assert broken == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [PROJECT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        for target in re.findall(r"\]\(([^)\s#]+)", _text(page)):
            if not re.match(r"[a-z]+:", target):
                path = (page.parent / target).resolve()
                waiting += path.glob("*.md") if path.is_dir() else [path]
    assert {_name(page) for page in set(PAGES) - seen} == set()


def test_decisions_are_numbered_without_gaps_and_listed() -> None:
    folder = PROJECT / "docs" / "decisions"
    numbers = [int(path.name[:4]) for path in sorted(folder.glob("[0-9]*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))
    listed = _text(folder / "README.md")
    assert [path.name for path in folder.glob("[0-9]*.md") if path.name not in listed] == []


@pytest.mark.parametrize("module", ["emotions", "skip reasons", "protocols"])
def test_words_on_the_pages_are_those_of_the_code(module: str) -> None:
    from data_schema import vocabularies
    from data_schema.exports.protocols import PROTOCOLS

    page, words = {
        "emotions": ("glossary.md", vocabularies.EMOTIONS),
        "skip reasons": ("annotator.md", vocabularies.SKIP_REASONS),
        "protocols": ("researcher.md", tuple(PROTOCOLS)),
    }[module]
    text = _text(PROJECT / "docs" / page)
    assert [word for word in words if word not in text] == []


def test_every_picture_of_a_screen_is_shown_and_exists() -> None:
    docs = PROJECT / "docs"
    text = (docs / "screens.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"\(images/screens/([^)]+)\)", text))
    assert shown == {path.name for path in (docs / "images" / "screens").glob("*.png")}
