"""Set up the virtual environments of the toolkit, from nothing but a Python.

    python tools/bootstrap.py demo     .venv      base + train
    python tools/bootstrap.py test     .venv      base + train + dev
    python tools/bootstrap.py lab      .venv-lab  base + lab + annotate + test (Python 3.10, no torch)
    python tools/bootstrap.py faces    .venv-faces  base + mediapipe + test (NumPy below 2, no torch)

Runs on any CPython >= 3.8 and uses the standard library alone. A second run
finds the stamp of the first and returns at once; a run that was interrupted is
noticed and starts afresh. Settings, all optional, from the environment:

    EMER_PYTHON        the interpreter to build the environment with
    EMER_TORCH_WHEEL   a torch wheel on this machine
    EMER_TORCH_INDEX   a package index with CPU builds of torch, as pytorch.org names it
    EMER_NO_APT        set to 1: never install system packages, only name them
"""

from __future__ import annotations

import argparse
import configparser
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

import system_libraries

ROOT = Path(__file__).resolve().parent.parent
STAMP = "emer-bootstrap.json"
UNFINISHED = "emer-bootstrap.unfinished"
WINDOWS = os.name == "nt"
HEARTBEAT_S = 15.0  # a silent step says every so often that it is alive
EXIT_NO_PYTHON = 3  # told apart by `make test-lab`, which is optional

Version = Tuple[int, int]


class Environment(NamedTuple):
    """One virtual environment: where it lies, what is in it, what must import."""

    folder: str
    pythons: Tuple[Version, ...]  # in order of preference
    extras: Tuple[str, ...]
    probes: Tuple[str, ...]
    programs: Tuple[str, ...] = ()  # that its tests call, by name; Linux alone
    pins: str = ""  # its own file in constraints/; by default that of the Python version


BASE_PROBES = ("numpy", "h5py", "pandas", "pyarrow", "av", "cv2", "pydantic", "sqlalchemy", "typer")
# 3.11 first: every dependency but the Tobii SDK has wheels for it. 3.10 is the SDK's only version.
ENVIRONMENTS: Dict[str, Environment] = {
    "demo": Environment(".venv", ((3, 11), (3, 12), (3, 10)), ("train",), BASE_PROBES + ("torch",)),
    "test": Environment(
        ".venv",
        ((3, 11), (3, 12), (3, 10)),
        ("dev", "train"),
        BASE_PROBES + ("torch", "pytest"),
        ("initdb",),  # a PostgreSQL that the tests start themselves
    ),
    "lab": Environment(
        ".venv-lab",
        ((3, 10),),
        ("annotate", "lab", "test"),
        BASE_PROBES + ("PyQt5.QtWidgets", "psychopy", "pytest"),
        # A screen that is not there, someone who clicks and types on it, a camera on the network, Chinese letters.
        ("Xvfb", "xdotool", "ffmpeg", "fc-list :lang=zh"),
    ),
    "faces": Environment(
        ".venv-faces",
        ((3, 11), (3, 10), (3, 12)),
        ("mediapipe", "test"),
        BASE_PROBES + ("mediapipe", "pytest"),
        pins="faces",
    ),
}


class BootstrapError(Exception):
    """A step failed for a reason that the user can act on."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


LOG = "emer-bootstrap.log"
STARTED = time.monotonic()


def say(message: str) -> None:
    """Print one line of progress with the time since the start."""
    print("[{:5.1f} s] {}".format(time.monotonic() - STARTED, message), file=sys.stderr, flush=True)


# ---------------------------------------------------------------- Python


def version_text(version: Version) -> str:
    return "{}.{}".format(*version)


def probe_python(command: str) -> Optional[Version]:
    """Return the version of a CPython that can make virtual environments, or None."""
    code = "import sys, venv, ensurepip; print(sys.implementation.name, *sys.version_info[:2])"
    try:
        done = subprocess.run([command, "-c", code], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = done.stdout.split()
    if done.returncode != 0 or len(words) != 3 or words[0] != "cpython":
        return None
    return int(words[1]), int(words[2])


def python_candidates(version: Version) -> List[str]:
    """Name the commands that may be a CPython of one version, best first."""
    text = version_text(version)
    found: List[str] = []
    if sys.version_info[:2] == version and sys.prefix == sys.base_prefix:
        found.append(sys.executable)
    # A version manager's shim may be on PATH and refuse to run, so its versions folder is read as well.
    pyenv = Path(os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))) / "versions"
    by_patch = sorted(pyenv.glob(text + "*"), key=lambda p: [int(n) for n in re.findall(r"\d+", p.name)], reverse=True)
    found += [str(folder / "bin" / "python") for folder in by_patch]
    found += [path for path in [shutil.which("python" + text)] if path]
    found += ["/usr/bin/python" + text, "/usr/local/bin/python" + text, "/opt/homebrew/bin/python" + text]
    if WINDOWS:
        base = Path(os.environ.get("LOCALAPPDATA", "")) / "Programs" / "Python"
        found.append(str(base / "Python{}{}".format(*version) / "python.exe"))
    found += [path for path in [shutil.which("python3"), shutil.which("python")] if path]
    return found


def find_python(versions: Sequence[Version]) -> Tuple[str, Version]:
    """Find an interpreter of the first version that is on this machine."""
    chosen = os.environ.get("EMER_PYTHON")
    if chosen:
        version = probe_python(chosen)
        if version not in versions:
            raise BootstrapError(
                "EMER_PYTHON={} is not a CPython {} with venv and ensurepip. Unset it or name another.".format(
                    chosen, " or ".join(map(version_text, versions))
                ),
                EXIT_NO_PYTHON,
            )
        return chosen, version
    for wanted in versions:
        for command in python_candidates(wanted):
            if probe_python(command) == wanted:
                return command, wanted
    text = version_text(versions[0])
    raise BootstrapError(
        "No CPython {} with venv and ensurepip was found (looked on PATH, in /usr/bin and in pyenv's versions). "
        "Install one, for example with\n    sudo apt-get install -y python{}-venv\nor\n    pyenv install {}\n"
        "or name one: EMER_PYTHON=/path/to/python".format(" or ".join(map(version_text, versions)), text, text),
        EXIT_NO_PYTHON,
    )


# ---------------------------------------------------------------- stamp


def constraints_file(version: Version, pins: str = "") -> Path:
    """Return the pins of an environment, or for a Python version: 3.10 has its own, since many packages dropped it."""
    return ROOT / "constraints" / ((pins or ("py310" if version == (3, 10) else "py311")) + ".txt")


def requirements_digest(version: Version, pins: str = "") -> str:
    """Hash what decides the content of an environment: requirements, entry points, pins, place."""
    parser = configparser.ConfigParser()
    parser.read(str(ROOT / "setup.cfg"), encoding="utf-8")
    digest = hashlib.sha256()
    for section in sorted(parser.sections()):
        if section == "metadata" or section.startswith("options"):
            digest.update(repr((section, sorted(parser.items(section)))).encode())
    digest.update(constraints_file(version, pins).read_bytes())
    digest.update(str(ROOT).encode())  # scripts and the editable install hold the folder's path
    return digest.hexdigest()


def interpreter(folder: Path) -> Path:
    return folder / "Scripts" / "python.exe" if WINDOWS else folder / "bin" / "python"


def read_stamp(folder: Path) -> Dict[str, object]:
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def is_current(folder: Path, environment: Environment) -> bool:
    """Tell whether an environment holds all that is asked for, from its stamp alone."""
    stamp = read_stamp(folder)
    version = tuple(stamp.get("python", ()))  # type: ignore[arg-type]
    return (
        version in environment.pythons
        and set(environment.extras) <= set(stamp.get("extras", ()))  # type: ignore[call-overload]
        and stamp.get("digest") == requirements_digest(version, environment.pins)
        and interpreter(folder).exists()
        and not (folder / UNFINISHED).exists()
    )


# ---------------------------------------------------------------- steps


def run_step(command: Sequence[str], title: str, log: Path) -> None:
    """Run a long command: full output to a log, its milestones and a heartbeat to the screen."""
    say(title)
    milestone = re.compile(r"^\s*(?:Downloading \S+ \((?:\d{2,}\.?\d*|[\d.]+) [MG]B\)|Installing collected packages)")
    started = spoken = time.monotonic()
    tail: List[str] = []
    environment = dict(os.environ, PYTHONUNBUFFERED="1", PYTHONIOENCODING="utf-8")
    with log.open("a", encoding="utf-8") as sink:
        sink.write("$ {}\n".format(" ".join(command)))
        process = subprocess.Popen(
            list(command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            encoding="utf-8",
            errors="replace",
            cwd=str(ROOT),
        )

        def read() -> None:
            nonlocal spoken
            for line in process.stdout or ():
                sink.write(line)
                tail.append(line.rstrip())
                del tail[:-25]
                if milestone.match(line):
                    size = re.search(r"\(([\d.]+) ([MG])B\)", line)
                    if size and size.group(2) == "M" and float(size.group(1)) < 10:
                        continue
                    text = line.strip()
                    if text.startswith("Installing"):
                        text = "unpacking {} packages".format(text.count(",") + 1)
                    say("  " + text)
                    spoken = time.monotonic()

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            while reader.is_alive():
                reader.join(timeout=0.5)
                if time.monotonic() - spoken > HEARTBEAT_S:
                    say("  still at it ({:.0f} s)".format(time.monotonic() - started))
                    spoken = time.monotonic()
            code = process.wait()
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise
        finally:
            if process.stdout is not None:
                process.stdout.close()
    if code != 0:
        raise BootstrapError(
            "{} failed (exit code {}). The last lines:\n    {}\nThe whole log: {}. Run the same command again; "
            "what was downloaded is kept.".format(title, code, "\n    ".join(tail), log)
        )


def has_nvidia_gpu() -> bool:
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia/version").exists()


def install_torch(python: Path, version: Version, log: Path) -> None:
    """Install torch alone and first, so that a machine without a GPU gets a CPU build where there is one.

    On Linux x86_64 the package index holds the CUDA build under the plain version number.
    """
    if importable(python, "torch") is None:
        return
    pin = next(
        (
            line.split()[0]
            for line in constraints_file(version).read_text(encoding="utf-8").splitlines()
            if line.startswith("torch==")
        ),
        "torch",
    )
    pip = [
        str(python),
        "-m",
        "pip",
        "install",
        "--no-input",
        "--progress-bar",
        "off",
        "-c",
        str(constraints_file(version)),
    ]
    wheel, index = os.environ.get("EMER_TORCH_WHEEL"), os.environ.get("EMER_TORCH_INDEX")
    if wheel:
        run_step([*pip, wheel], "torch from EMER_TORCH_WHEEL", log)
        return
    if index:
        run_step([*pip, "--index-url", index, pin], "torch from EMER_TORCH_INDEX", log)
        return
    if sys.platform.startswith("linux") and not has_nvidia_gpu() and takes_cuda_build(python, pin):
        say(
            "note: this machine shows no NVIDIA GPU, but the configured package index offers only the CUDA build of "
            "{} for it: about 3 GB to download and 5.3 GB on disk, against 0.2 GB for a CPU build. To avoid that, "
            "stop now (Ctrl-C) and set EMER_TORCH_INDEX to the CPU index that pytorch.org names under "
            "'Get started', or EMER_TORCH_WHEEL to a wheel. Going on with the CUDA build, which runs on the CPU "
            "as well.".format(pin)
        )
    run_step([*pip, pin], "install {}".format(pin), log)


def takes_cuda_build(python: Path, pin: str) -> bool:
    """Ask pip which build it would take, without installing it."""
    command = [str(python), "-m", "pip", "install", "--dry-run", "--no-deps", "--quiet", "--report", "-", pin]
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        metadata = json.loads(done.stdout)["install"][0]["metadata"]
    except (ValueError, KeyError, IndexError):
        return False
    wanted = " ".join(metadata.get("requires_dist", []))
    return "+cpu" not in metadata.get("version", "") and ("nvidia-" in wanted or "cuda-" in wanted)


# ---------------------------------------------------------------- system libraries


def importable(python: Path, module: str) -> Optional[str]:
    """Import a module in the environment; return None, or why that failed."""
    done = subprocess.run([str(python), "-c", "import " + module], capture_output=True, text=True)
    if done.returncode == 0:
        return None
    return (done.stderr.strip().splitlines() or ["exit code {}".format(done.returncode)])[-1]


def first_failure(python: Path, probes: Sequence[str]) -> Optional[Tuple[str, str]]:
    """Import all probes in one process; on failure find the first that fails, and why."""
    if importable(python, ", ".join(probes)) is None:
        return None
    for module in probes:
        reason = importable(python, module)
        if reason is not None:
            return module, reason
    return None


def apt_install(packages: Sequence[str], log: Path) -> None:
    """Install Debian packages where that is allowed, else name the command."""
    command = "apt-get install -y --no-install-recommends " + " ".join(packages)
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    if shutil.which("apt-get") is None or not is_root or os.environ.get("EMER_NO_APT"):
        raise BootstrapError("System libraries are missing. Install them, then run this again:\n    sudo " + command)
    os.environ.setdefault("DEBIAN_FRONTEND", "noninteractive")
    run_step(["apt-get", "update", "-q"], "refresh the list of system packages", log)
    run_step(command.split() + ["-q"], "install system packages: " + " ".join(packages), log)


def ensure_imports(python: Path, probes: Sequence[str], log: Path) -> None:
    """Check that the environment imports; add the system libraries that it misses."""
    tried: Set[str] = set()
    while True:
        failure = first_failure(python, probes)
        if failure is None:
            return
        module, reason = failure
        packages = [name for name in system_libraries.missing_packages(module, reason) if name not in tried]
        if not packages:
            advice = ""
            library = system_libraries.named_library(reason)
            if library:
                advice = "\nFind the system package that holds {} and install it.".format(library)
            raise BootstrapError("{} was installed but does not import: {}{}".format(module, reason, advice))
        tried.update(packages)
        apt_install(packages, log)


def ensure_programs(programs: Sequence[str], log: Path) -> None:
    """Install the Debian packages of programs that tests call, and of libraries that their windows load, where they lack."""
    if not sys.platform.startswith("linux") or not programs:
        return
    packages = {
        package
        for name in programs
        if not system_libraries.has_program(name)
        for package in system_libraries.PACKAGES_OF_PROGRAM[name]
    }
    if "Xvfb" in programs:
        # Importing a window's library does not load what it needs to open one.
        packages.update(system_libraries.packages_for_windows())
    if packages:
        apt_install(sorted(packages), log)


# ---------------------------------------------------------------- the whole


def build(name: str, fresh: bool = False) -> None:
    """Bring one environment up to date."""
    environment = ENVIRONMENTS[name]
    folder = ROOT / environment.folder
    if fresh and folder.exists():
        shutil.rmtree(str(folder))
    if is_current(folder, environment):
        # The environment may be older than the machine, or come from a cache.
        ensure_programs(environment.programs, folder / LOG)
        say("{} is up to date ({})".format(environment.folder, ", ".join(environment.extras)))
        return
    command, version = find_python(environment.pythons)
    if folder.exists() and must_rebuild(folder, version):
        shutil.rmtree(str(folder))
    if not interpreter(folder).exists():
        say("create {} with Python {} ({})".format(environment.folder, version_text(version), command))
        subprocess.run([command, "-m", "venv", "--clear", str(folder)], check=True)
    if version != environment.pythons[0]:
        say(
            "note: Python {} was not found; with {} the pins were not tried as a whole".format(
                version_text(environment.pythons[0]), version_text(version)
            )
        )
    install(folder, version, environment)
    extras = sorted(set(environment.extras) | set(read_stamp(folder).get("extras", ())))  # type: ignore[call-overload]
    stamp = {"digest": requirements_digest(version, environment.pins), "extras": extras, "python": list(version)}
    (folder / STAMP).write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    say("{} is ready".format(environment.folder))


def must_rebuild(folder: Path, version: Version) -> bool:
    """Tell whether an existing folder is beyond use: half installed, moved, or of another Python."""
    if (folder / UNFINISHED).exists():
        say("the last installation into {} was interrupted; starting afresh".format(folder.name))
        return True
    done = (
        subprocess.run(
            [str(interpreter(folder)), "-c", "import sys, pip; print(*sys.version_info[:2]); print(sys.prefix)"],
            capture_output=True,
            text=True,
        )
        if interpreter(folder).exists()
        else None
    )
    lines = done.stdout.splitlines() if done is not None and done.returncode == 0 else []
    if lines != ["{} {}".format(*version), str(folder)]:
        say("{} is broken or belongs elsewhere; building it anew".format(folder.name))
        return True
    return False


def install(folder: Path, version: Version, environment: Environment) -> None:
    """Install the project and its extras under the pins, then prove that it imports."""
    python, log = interpreter(folder), folder / LOG
    unfinished = folder / UNFINISHED
    unfinished.touch()
    if "train" in environment.extras:
        install_torch(python, version, log)
    run_step(
        [
            str(python),
            "-m",
            "pip",
            "install",
            "--no-input",
            "--progress-bar",
            "off",
            "-c",
            str(constraints_file(version, environment.pins)),
            "-e",
            "{}[{}]".format(ROOT, ",".join(environment.extras)),
        ],
        "install emer-toolkit[{}] and its pinned dependencies".format(",".join(environment.extras)),
        log,
    )
    ensure_imports(python, environment.probes, log)
    ensure_programs(environment.programs, log)
    unfinished.unlink()


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Set up a virtual environment of the toolkit.")
    parser.add_argument("environment", choices=sorted(ENVIRONMENTS))
    parser.add_argument("--fresh", action="store_true", help="delete the environment first")
    parser.add_argument("--find-python", action="store_true", help="print the interpreter that would be used, and stop")
    arguments = parser.parse_args(argv)
    try:
        if arguments.find_python:
            print(find_python(ENVIRONMENTS[arguments.environment].pythons)[0])
        else:
            build(arguments.environment, fresh=arguments.fresh)
    except BootstrapError as error:
        print("\nbootstrap: {}".format(error), file=sys.stderr)
        return error.exit_code
    except subprocess.CalledProcessError as error:
        print("\nbootstrap: {} failed with exit code {}".format(error.cmd, error.returncode), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nbootstrap: stopped. Run the same command again; it starts afresh.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
