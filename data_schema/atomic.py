"""Write a file so that after a crash or a power cut it is whole, the old one, or not there.

The content goes into a file beside the target, onto the disk (fsync), and only then gets the target's name. Without
the fsync a file system may store the new name before the content: the file is there after a power cut, and empty
(Pillai et al., All File Systems Are Not Created Equal, OSDI 2014).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path


def partial_path(path: Path) -> Path:
    """Return a name beside `path` that no other process uses, hidden and with the ending ``.partial``."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Parameters
    ----------
    path : Path
        Replaced if it exists; its folder must.
    content : bytes

    Raises
    ------
    OSError
        If it cannot be written. The old file is then as it was, and nothing is left beside it.
    """
    partial = partial_path(path)
    try:
        partial.write_bytes(content)
        replace_durably(partial, path)
    except BaseException:
        # The first error is the one to tell.
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def replace_durably(partial: Path, path: Path) -> None:
    """Give a finished file its name, after its content and before the name's folder went onto the disk.

    Raises
    ------
    OSError
        If the file cannot be forced onto the disk or renamed.
    """
    # Windows flushes only what was opened for writing.
    with partial.open("r+b") as file:
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def replace_folder(partial: Path, out: Path) -> None:
    """Give a finished folder its name; an earlier one of that name goes only then.

    Parameters
    ----------
    partial : Path
        The finished folder, beside `out`.
    out : Path
        Its place; a folder there is deleted with all that it holds.

    Raises
    ------
    OSError
        If it cannot be renamed, such as on Windows while a program has one of its files open. `out` is then as it was.
    """
    old = out.with_name(f"{out.name}.replaced")
    if old.exists():
        shutil.rmtree(old)
    if out.exists():
        out.rename(old)
    try:
        partial.rename(out)
    except OSError:
        if old.exists():
            old.rename(out)
        raise
    sync_folder(out.parent)
    if old.exists():
        shutil.rmtree(old)


def sync_folder(folder: Path) -> None:
    """Force the names in a folder onto the disk, where the system can: Windows opens no folders."""
    if os.name == "nt":
        return
    # Some network shares refuse it; the file itself is on the disk by then.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
