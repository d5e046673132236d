"""Start a console, and the file in which it finds the session."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_schema.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collection.live import LiveAddress

logger = logging.getLogger(__name__)

#: In the study folder; holds keys, so only its owner may read it.
ADDRESS_FILE_NAME = ".emer-console.json"

#: Times that the file is given its name on Windows while it is read, and real seconds between two.
_REPLACE_TRIES, _REPLACE_EVERY_S = 10, 0.02

#: Consoles that outlived their session. They are nobody's children to wait for; kept so
#: that Python does not complain of a process that it forgot.
_left_open: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Addresses:
    """What an address file says: where the session's feed is, and the recorder's if there is one."""

    session: tuple[str, str]
    recorder: tuple[str, str] | None
    pid: int


def write_address_file(path: Path, session: LiveAddress, recorder: LiveAddress | None) -> None:
    """Write the addresses, readable by this user alone, in one step."""
    content = {
        "session": {"address": session.address, "key_hex": session.key_hex},
        "recorder": None if recorder is None else {"address": recorder.address, "key_hex": recorder.key_hex},
        "pid": os.getpid(),
    }
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    # The mode is given when the file is made: there is no moment in which others can read the keys.
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(content, file)
    try:
        _replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _replace(temporary: Path, path: Path) -> None:
    """Give the file its name; Windows refuses that for the moment in which a console reads the old one."""
    for _ in range(_REPLACE_TRIES):
        try:
            temporary.replace(path)
        except PermissionError:
            time.sleep(_REPLACE_EVERY_S)
        else:
            return
    temporary.replace(path)


def read_address_file(path: Path) -> Addresses:
    """Read the addresses.

    Raises
    ------
    UsageError
        If there is no session, or the file is not ours.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        session, recorder = content["session"], content.get("recorder")
        return Addresses(
            (session["address"], session["key_hex"]),
            (recorder["address"], recorder["key_hex"]) if recorder else None,
            int(content["pid"]),
        )
    except FileNotFoundError:
        raise UsageError(
            f"{path}: no session runs in this study, so there is nothing to show. Start one with: emer record run"
        ) from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: is no file of a running session; delete it and start the session again") from error


def remove_address_file(path: Path) -> None:
    """Remove the file if it is this process's own; idempotent."""
    with contextlib.suppress(UsageError, OSError):
        if read_address_file(path).pid == os.getpid():
            path.unlink()


def participants_screen(study: Path) -> int:
    """Return the number of the participant's monitor in a study, 0 if it cannot be read.

    Only this one number is read: checking the whole study would double the console's start.
    """
    try:
        data = tomllib.loads((study / "study.toml").read_text(encoding="utf-8"))
        return int(data.get("screen", {}).get("number", 0))
    except (OSError, ValueError, TypeError, AttributeError):
        return 0


def console_environment() -> dict[str, str]:
    """Return this process's environment without what would lead Qt astray.

    Importing cv2 points Qt at OpenCV's own plugins, with which PyQt5 aborts; psychopy
    may have chosen PyQt6.
    """
    environment = dict(os.environ)
    for name in ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_PLUGIN_PATH"):
        if "cv2" in environment.get(name, "") or "PyQt6" in environment.get(name, ""):
            del environment[name]
    environment["QT_API"] = "pyqt5"
    environment["PYTHONUTF8"] = "1"
    return environment


def forget_other_qt() -> None:
    """Take out of this process's environment what would lead Qt astray; call it before QApplication is made."""
    clean = console_environment()
    for name in set(os.environ) - set(clean):
        del os.environ[name]


class ConsoleStarter:
    """Start consoles as processes of their own.

    Parameters
    ----------
    address_file : Path
        What the console is told; its log is written beside it.
    """

    def __init__(self, address_file: Path) -> None:
        self._address_file = address_file
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Number of the console's process; None if none was started or it has ended."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> bool:
        """Start a console; False if the one that was started last still runs."""
        if self.pid is not None:
            return False
        # A group of its own: Ctrl-C in the session's terminal is not meant for it.
        if sys.platform == "win32":
            apart: dict[str, Any] = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        else:
            apart = {"start_new_session": True}
        command = [sys.executable, "-m", "collection.console", "--address-file", str(self._address_file)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=console_environment(), **apart,
        )  # fmt: skip
        logger.info("console started as process %d", self._process.pid)
        return True

    def leave(self) -> None:
        """Let the console live on by itself."""
        if self.pid is not None and self._process is not None:
            _left_open.append(self._process)
        self._process = None
