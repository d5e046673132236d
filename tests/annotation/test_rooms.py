"""Where Qt may be: in the views and in annotation/app.py, by qtpy alone, so that another Qt is a setting."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import annotation

ROOT = Path(annotation.__file__).parent
BINDINGS = {"PyQt5", "PyQt6", "PySide2", "PySide6"}


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def _packages(path: Path) -> set[str]:
    return {name.split(".")[0] for name in _imports(path)}


def test_only_views_and_the_application_know_qt() -> None:
    knowing = {path.relative_to(ROOT) for path in ROOT.rglob("*.py") if "qtpy" in _packages(path)}
    assert Path("app.py") in knowing
    assert {path for path in knowing if path.parts[0] not in ("views", "app.py")} == set()


def test_no_module_names_a_binding() -> None:
    assert {path.name for path in ROOT.rglob("*.py") if _packages(path) & BINDINGS} == set()


def test_nothing_without_qt_imports_a_view() -> None:
    """A desk that imported a view at its top could not be tested, or run, without Qt."""
    wrong = set()
    for path in ROOT.rglob("*.py"):
        if path.relative_to(ROOT).parts[0] in ("views", "app.py"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("annotation.views"):
                wrong.add(path.name)
    assert wrong == set()
