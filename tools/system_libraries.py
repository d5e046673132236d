"""Which Debian package brings a shared library that a failed import lacks.

The libraries below are those that the wheels of OpenCV and PyQt5 need and do not
bring themselves (read off their ELF headers). Standard library alone, Python >= 3.8.
"""

from __future__ import annotations

import ctypes
import glob
import os
import re
import shutil
import subprocess
from typing import List, Optional

# Debian package that holds a shared library named by a failed import.
DEBIAN_PACKAGE = {
    "libGL.so.1": "libgl1",
    "libGLU.so.1": "libglu1-mesa",
    "libEGL.so.1": "libegl1",
    "libOpenGL.so.0": "libopengl0",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libasound.so.2": "libasound2",
    "libportaudio.so.2": "libportaudio2",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxcb.so.1": "libxcb1",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-xinerama.so.0": "libxcb-xinerama0",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-render.so.0": "libxcb-render0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libX11.so.6": "libx11-6",
    "libXext.so.6": "libxext6",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
    "libgomp.so.1": "libgomp1",
}

#: What the first failed import of a module tells one at a time, known in advance.
NEEDED_BY = {
    "cv2": (
        "libGL.so.1", "libglib-2.0.so.0", "libgthread-2.0.so.0", "libSM.so.6", "libICE.so.6", "libX11.so.6",
        "libXext.so.6", "libxcb.so.1",
    ),
    "PyQt5": (
        "libGL.so.1", "libEGL.so.1", "libglib-2.0.so.0", "libgthread-2.0.so.0", "libdbus-1.so.3", "libfontconfig.so.1",
        "libfreetype.so.6", "libxkbcommon.so.0", "libxkbcommon-x11.so.0", "libX11-xcb.so.1", "libxcb-icccm.so.4",
        "libxcb-image.so.0", "libxcb-keysyms.so.1", "libxcb-randr.so.0", "libxcb-render-util.so.0",
        "libxcb-xinerama.so.0", "libxcb-xkb.so.1",
    ),
    "psychopy": ("libportaudio.so.2", "libasound.so.2"),
}  # fmt: skip

#: What the tests of windows and cameras call, and the Debian packages that bring it. A command with
#: arguments is there if it prints anything.
PACKAGES_OF_PROGRAM = {
    "Xvfb": ("xvfb", "libgl1-mesa-dri", "libglu1-mesa", "libegl1"),
    "xdotool": ("xdotool",),
    "ffmpeg": ("ffmpeg",),
    "fc-list :lang=zh": ("fontconfig", "fonts-wqy-microhei"),
    "initdb": ("postgresql",),
}
#: Where Debian keeps programs that are on nobody's PATH, since several versions may be installed.
FOLDERS_OF_PROGRAM = {"initdb": "/usr/lib/postgresql/*/bin"}


def has_program(command: str) -> bool:
    """Tell whether a program is there; one with arguments must print something."""
    words = command.split()
    folder = FOLDERS_OF_PROGRAM.get(words[0])
    if folder is not None and glob.glob(os.path.join(folder, words[0])):
        return True
    if shutil.which(words[0]) is None:
        return False
    if len(words) == 1:
        return True
    return bool(subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.strip())


def named_library(reason: str) -> Optional[str]:
    """Return the shared library that an error message names, such as libGL.so.1."""
    found = re.search(r"(lib[\w.+-]+\.so(?:\.\d+)*)", reason)
    return found.group(1) if found else None


def is_loadable(library: str) -> bool:
    """Tell whether the system's loader finds a library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def packages_for_windows() -> List[str]:
    """Return the Debian packages of libraries that PyQt5 and PsychoPy load when a window opens, and that are missing."""
    needed = NEEDED_BY["PyQt5"] + NEEDED_BY["psychopy"]
    return sorted({DEBIAN_PACKAGE[name] for name in needed if not is_loadable(name)})


def missing_packages(module: str, reason: str) -> List[str]:
    """Return the Debian packages that a failed import asks for, those it would ask for next included.

    Parameters
    ----------
    module : str
        The module whose import failed, such as ``PyQt5.QtWidgets``.
    reason : str
        The last line of its error. Empty result if it names no library that we know.
    """
    named = named_library(reason)
    if named is None or named not in DEBIAN_PACKAGE:
        return []
    others = [name for name in NEEDED_BY.get(module.partition(".")[0], ()) if not is_loadable(name)]
    return sorted({DEBIAN_PACKAGE[name] for name in [named, *others]})
