"""Import PsychoPy as a recording PC needs it: quiet, without a network, and without files in the home folder."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import io
import logging
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from data_schema.errors import DeviceError, MissingExtraError

logger = logging.getLogger(__name__)

#: Where PsychoPy looks for the user's folder, by operating system.
_HOME_VARIABLE = "APPDATA" if sys.platform == "win32" else "HOME"


@contextlib.contextmanager
def _borrowed_home() -> Iterator[None]:
    """Let PsychoPy keep its preferences in a folder of its own while it is imported.

    It reads them at import alone. Preferences that someone once clicked together in
    PsychoPy's own editor must not change how a study is shown.
    """
    before = os.environ.get(_HOME_VARIABLE)
    home = Path(tempfile.gettempdir()) / f"emer-psychopy-{os.getpid()}"
    home.mkdir(parents=True, exist_ok=True)
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ[_HOME_VARIABLE] = str(home)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_HOME_VARIABLE, None)
        else:
            os.environ[_HOME_VARIABLE] = before


def import_psychopy() -> ModuleType:
    """Return the package ``psychopy`` with ``visual`` imported.

    Raises
    ------
    MissingExtraError
        If PsychoPy is not installed.
    DeviceError
        If there is no screen to import it with.
    """
    if "psychopy.visual" in sys.modules:
        return sys.modules["psychopy"]
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        raise DeviceError(
            "There is no screen: the variable DISPLAY is empty. Start this on the recording PC's own desktop, "
            "under Xvfb, or rehearse without windows: --headless"
        )
    try:
        with _borrowed_home(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            # Deprecations inside PsychoPy are no business of whoever runs a session.
            warnings.simplefilter("ignore")
            psychopy = importlib.import_module("psychopy")
            _switch_network_off(psychopy)
            importlib.import_module("psychopy.visual")
            # Both are imported by the first window and the first clip otherwise, the home folder given back.
            importlib.import_module("psychopy.visual.movies")
            importlib.import_module("psychopy.hardware")
    except ImportError as error:
        if error.name and error.name.partition(".")[0] != "psychopy":
            raise MissingExtraError("lab", error.name, "The participant's screen") from error
        raise MissingExtraError("lab", "psychopy", "The participant's screen") from error
    except Exception as error:
        raise DeviceError(
            f"PsychoPy does not start on this screen: {type(error).__name__}: {error}. "
            "Check that a desktop with OpenGL 2 is there, or rehearse without windows: --headless"
        ) from error
    psychopy.logging.console.setLevel(psychopy.logging.CRITICAL)
    return psychopy


def _switch_network_off(psychopy: ModuleType) -> None:
    """Tell PsychoPy to look for no updates and to send no statistics."""
    connections = psychopy.prefs.connections
    for key in ("allowUsageStats", "checkForUpdates", "autoProxy"):
        connections[key] = False
