"""The set-up script: what it takes for up to date, what it builds anew, what it tells the user."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).resolve().parent.parent
SCRIPT = PROJECT / "tools" / "bootstrap.py"


def _load(script: Path) -> ModuleType:
    if str(script.parent) not in sys.path:
        sys.path.append(str(script.parent))
    spec = importlib.util.spec_from_file_location("bootstrap_under_test", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bootstrap(tmp_path: Path) -> ModuleType:
    """Load the script with an empty folder as the project's root."""
    module = _load(SCRIPT)
    module.ROOT = tmp_path
    (tmp_path / "constraints").mkdir()
    for name in ("py310.txt", "py311.txt"):
        (tmp_path / "constraints" / name).write_text("torch==2.13.0\n", encoding="utf-8")
    (tmp_path / "setup.cfg").write_text(
        "[options]\ninstall_requires = numpy\n[tool:pytest]\ntimeout = 1\n", encoding="utf-8"
    )
    return module


def _installed(bootstrap: ModuleType, extras: list[str]) -> Path:
    """Lay out what a finished run leaves behind."""
    folder = bootstrap.ROOT / ".venv"
    python = bootstrap.interpreter(folder)
    python.parent.mkdir(parents=True)
    python.touch()
    stamp = {"digest": bootstrap.requirements_digest((3, 11)), "extras": extras, "python": [3, 11]}
    (folder / bootstrap.STAMP).write_text(json.dumps(stamp), encoding="utf-8")
    return folder


def test_a_finished_environment_is_not_touched_again(bootstrap: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    _installed(bootstrap, ["dev", "train"])
    assert bootstrap.main(["test"]) == 0
    assert bootstrap.main(["demo"]) == 0, "the tests' environment holds all that the demo needs"
    assert "up to date" in capfd.readouterr().err


def test_demo_environment_is_not_enough_for_the_tests(bootstrap: ModuleType) -> None:
    folder = _installed(bootstrap, ["train"])
    assert bootstrap.is_current(folder, bootstrap.ENVIRONMENTS["demo"])
    assert not bootstrap.is_current(folder, bootstrap.ENVIRONMENTS["test"])


def test_changed_requirements_are_noticed_and_test_settings_are_not(bootstrap: ModuleType) -> None:
    folder = _installed(bootstrap, ["dev", "train"])
    config = bootstrap.ROOT / "setup.cfg"
    config.write_text(config.read_text(encoding="utf-8").replace("timeout = 1", "timeout = 2"), encoding="utf-8")
    assert bootstrap.is_current(folder, bootstrap.ENVIRONMENTS["test"])
    config.write_text(config.read_text(encoding="utf-8").replace("numpy", "numpy\n    h5py"), encoding="utf-8")
    assert not bootstrap.is_current(folder, bootstrap.ENVIRONMENTS["test"])


def test_changed_pins_and_a_moved_project_are_noticed(bootstrap: ModuleType, tmp_path: Path) -> None:
    before = bootstrap.requirements_digest((3, 11))
    (bootstrap.ROOT / "constraints" / "py311.txt").write_text("torch==2.14.0\n", encoding="utf-8")
    assert bootstrap.requirements_digest((3, 11)) != before
    pins_changed = bootstrap.requirements_digest((3, 11))
    moved = tmp_path.parent / f"{tmp_path.name}-moved"
    tmp_path.rename(moved)
    bootstrap.ROOT = moved
    assert bootstrap.requirements_digest((3, 11)) != pins_changed


def test_an_interrupted_installation_is_built_anew(bootstrap: ModuleType) -> None:
    folder = _installed(bootstrap, ["dev", "train"])
    (folder / bootstrap.UNFINISHED).touch()
    assert not bootstrap.is_current(folder, bootstrap.ENVIRONMENTS["test"])
    assert bootstrap.must_rebuild(folder, (3, 11))


def test_a_broken_interpreter_is_built_anew(bootstrap: ModuleType) -> None:
    folder = _installed(bootstrap, [])
    python = bootstrap.interpreter(folder)
    python.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    python.chmod(0o755)
    assert bootstrap.must_rebuild(folder, (3, 11))


def test_a_missing_python_is_named_with_the_install_line(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("EMER_PYTHON", raising=False)
    monkeypatch.setattr(bootstrap, "python_candidates", lambda version: [])
    assert bootstrap.main(["lab"]) == bootstrap.EXIT_NO_PYTHON
    said = capsys.readouterr().err
    assert "3.10" in said
    assert "pyenv install 3.10" in said


def test_a_shim_that_refuses_to_run_is_passed_over(bootstrap: ModuleType, tmp_path: Path) -> None:
    shim = tmp_path / "python3.11"
    shim.write_text("#!/bin/sh\necho 'version 3.11 is not installed' >&2\nexit 127\n", encoding="utf-8")
    shim.chmod(0o755)
    assert bootstrap.probe_python(str(shim)) is None
    assert bootstrap.probe_python(str(tmp_path / "nothing")) is None
    assert bootstrap.probe_python(sys.executable) == sys.version_info[:2]


def test_a_missing_system_library_is_named_with_its_package(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = "ImportError: libGL.so.1: cannot open shared object file: No such file or directory"
    monkeypatch.setenv("EMER_NO_APT", "1")
    monkeypatch.setattr(bootstrap, "first_failure", lambda python, probes: ("cv2", reason))
    with pytest.raises(bootstrap.BootstrapError, match=r"sudo apt-get install -y .*libgl1"):
        bootstrap.ensure_imports(Path(sys.executable), ("cv2",), bootstrap.ROOT / "log")


def test_all_libraries_of_a_module_are_named_at_once(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without root one command must do, not one run of the script for each library."""
    libraries = bootstrap.system_libraries
    monkeypatch.setattr(libraries, "is_loadable", lambda name: name in {"libX11.so.6", "libxcb.so.1"})
    packages = libraries.missing_packages("cv2", "ImportError: libGL.so.1: cannot open shared object file")
    assert {"libgl1", "libglib2.0-0", "libsm6"} <= set(packages)
    assert "libx11-6" not in packages
    assert libraries.missing_packages("cv2", "ImportError: no such thing") == []
    assert all(name in libraries.DEBIAN_PACKAGE for names in libraries.NEEDED_BY.values() for name in names)


def test_a_failed_import_that_no_package_mends_is_an_error_not_a_loop(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        bootstrap, "first_failure", lambda python, probes: ("cv2", "ImportError: libnever.so.9: cannot open")
    )
    with pytest.raises(bootstrap.BootstrapError, match=r"libnever\.so\.9"):
        bootstrap.ensure_imports(Path(sys.executable), ("cv2",), bootstrap.ROOT / "log")


def test_a_failed_step_shows_its_last_lines_and_its_log(bootstrap: ModuleType, tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-c", "import sys; print('no space left'); sys.exit(7)"]
    with pytest.raises(bootstrap.BootstrapError, match=r"exit code 7(.|\n)*no space left(.|\n)*log"):
        bootstrap.run_step(command, "a step", log)
    assert "no space left" in log.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("metadata", "cuda"),
    [
        ({"version": "2.13.0", "requires_dist": ["nvidia-cublas==13.1; platform_system == 'Linux'"]}, True),
        ({"version": "2.13.0+cpu", "requires_dist": ["sympy"]}, False),
        ({"version": "2.13.0", "requires_dist": ["sympy"]}, False),
    ],
)
def test_a_cuda_build_is_told_apart_before_it_is_downloaded(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, metadata: dict, cuda: bool
) -> None:
    report = json.dumps({"install": [{"metadata": metadata}]})
    answer = subprocess.CompletedProcess([], 0, stdout=report, stderr="")
    monkeypatch.setattr(bootstrap.subprocess, "run", lambda *args, **kwargs: answer)
    assert bootstrap.takes_cuda_build(Path(sys.executable), "torch==2.13.0") is cuda


@pytest.mark.parametrize("script", [SCRIPT, SCRIPT.with_name("system_libraries.py")], ids=lambda path: path.name)
def test_the_script_needs_no_more_than_python_3_8_and_the_standard_library(script: Path) -> None:
    tree = ast.parse(script.read_text(encoding="utf-8"), feature_version=(3, 8))
    modules = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name) or ""
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    assert {name.partition(".")[0] for name in modules} <= {*sys.stdlib_module_names, "system_libraries"}


def test_a_second_run_is_fast() -> None:
    """Measured on this very project: the stamp alone decides."""
    loaded = _load(SCRIPT)
    environment = loaded.ENVIRONMENTS["test"]
    if not loaded.is_current(PROJECT / environment.folder, environment):
        pytest.skip("the tests' environment is not up to date: run `make test`")
    done = subprocess.run([sys.executable, str(SCRIPT), "test"], capture_output=True, text=True, timeout=60)
    assert "up to date" in done.stderr
    assert float(re.findall(r"\[\s*([\d.]+) s\]", done.stderr)[-1]) < 1.0


def test_constraints_pin_every_requirement_exactly() -> None:
    for name in ("py310.txt", "py311.txt"):
        lines = [
            line
            for line in (PROJECT / "constraints" / name).read_text(encoding="utf-8").splitlines()
            if line and not line.startswith("#")
        ]
        assert lines
        assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[\w.!]+", line)] == []
    assert "torch==2.13.0" in (PROJECT / "constraints" / "py311.txt").read_text(encoding="utf-8").split()
    assert not re.search(r"^torch==", (PROJECT / "constraints" / "py310.txt").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")
def test_missing_programs_of_the_window_tests_are_named(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMER_NO_APT", "1")
    monkeypatch.setenv("PATH", str(tmp_path))
    programs = bootstrap.ENVIRONMENTS["lab"].programs
    with pytest.raises(bootstrap.BootstrapError, match=r"sudo apt-get install .*ffmpeg.*fonts-wqy.*xdotool.*xvfb"):
        bootstrap.ensure_programs(programs, tmp_path / "log")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")
def test_a_missing_postgresql_is_named_and_brings_no_windows(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    libraries = bootstrap.system_libraries
    monkeypatch.setenv("EMER_NO_APT", "1")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(libraries, "FOLDERS_OF_PROGRAM", {"initdb": str(tmp_path / "*")})
    monkeypatch.setattr(libraries, "packages_for_windows", lambda: ["libxcb-icccm4"])
    programs = bootstrap.ENVIRONMENTS["test"].programs
    with pytest.raises(bootstrap.BootstrapError, match="install -y --no-install-recommends postgresql$"):
        bootstrap.ensure_programs(programs, tmp_path / "log")
    (tmp_path / "15").mkdir()
    (tmp_path / "15" / "initdb").touch()
    bootstrap.ensure_programs(programs, tmp_path / "log")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")
def test_libraries_that_only_an_open_window_loads_are_named(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMER_NO_APT", "1")
    libraries = bootstrap.system_libraries
    monkeypatch.setattr(libraries, "has_program", lambda name: True)
    monkeypatch.setattr(libraries, "is_loadable", lambda name: name != "libxcb-icccm.so.4")
    with pytest.raises(bootstrap.BootstrapError, match="libxcb-icccm4"):
        bootstrap.ensure_programs(("Xvfb",), tmp_path / "log")
