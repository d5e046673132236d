"""Where a label file lies, and which SQLite journal is safe there.

A write-ahead log (WAL) commits with one fsync and lets readers read while a
writer writes, but all its processes must share memory, which a network drive
does not give (https://www.sqlite.org/wal.html, "WAL does not work over a network
filesystem"). A rollback journal works everywhere and is slower. So WAL is used
only where the drive is known to be local; what is unknown counts as a network.

* Linux: the file system of the longest mount point in ``/proc/self/mounts``.
* Windows: a UNC path, or ``GetDriveTypeW`` of the drive.
* Elsewhere: unknown, therefore the rollback journal.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import sys
from pathlib import Path

#: File systems whose storage belongs to this machine.
LOCAL_FILE_SYSTEMS = frozenset(
    "ext2 ext3 ext4 xfs btrfs zfs f2fs bcachefs jfs reiserfs overlay tmpfs ramfs "
    "vfat exfat msdos ntfs ntfs3 fuseblk hfsplus apfs ecryptfs".split()
)
#: GetDriveTypeW: DRIVE_REMOVABLE 2, DRIVE_FIXED 3, DRIVE_REMOTE 4, DRIVE_CDROM 5, DRIVE_RAMDISK 6.
_LOCAL_DRIVE_TYPES = frozenset({2, 3, 6})
_MOUNTS = Path("/proc/self/mounts")
_OCTAL = re.compile(r"\\([0-7]{3})")


def is_local_disk(path: Path) -> bool:
    """Tell whether `path` (which need not exist) is known to lie on a disk of this machine."""
    if sys.platform == "win32":
        import ctypes

        anchor = path.resolve().anchor
        is_share = anchor.startswith("\\\\")
        return not is_share and int(ctypes.windll.kernel32.GetDriveTypeW(anchor)) in _LOCAL_DRIVE_TYPES
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return False
    return file_system_of(path, mounts) in LOCAL_FILE_SYSTEMS


def journal_mode_for(path: Path) -> str:
    """Return SQLite's journal mode for a file at `path`: ``wal`` or ``delete`` (rollback)."""
    return "wal" if is_local_disk(path) else "delete"


def fold_journal(path: Path) -> bool:
    """Bring what a write-ahead log holds into the label file itself, so that a copy of that one file holds all.

    Who sends a file while a program has it open sends the file alone: without this its newest rows would stay behind
    in the ``-wal`` file. Waits for nobody and changes no row; with a rollback journal there is nothing to do.

    Returns
    -------
    bool
        True if the file alone now holds all. False if it could not be written (its drive is full or away) or is read
        at this moment: the rows are safe in the log beside it, and closing the file brings them in.
    """
    if not path.is_file():
        return False
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=0.0)) as raw:
            # PASSIVE takes no lock that a writer would meet (https://www.sqlite.org/pragma.html#pragma_wal_checkpoint).
            busy, in_log, brought = raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    except sqlite3.Error:
        return False
    return bool(busy == 0 and brought == in_log)


def file_system_of(path: Path, mounts: str) -> str:
    """Return the type of the file system that holds `path`.

    Parameters
    ----------
    path : Path
        A file or folder; links are followed.
    mounts : str
        Text of ``/proc/self/mounts``: device, mount point, type, ... a line.
        The last of several mounts at one point counts.

    Returns
    -------
    str
        Such as ``ext4`` or ``nfs4``; empty if no mount point holds the path.
    """
    resolved = path.resolve()
    best_length, best_type = -1, ""
    for line in mounts.splitlines():
        parts = line.split()
        if len(parts) < 3:
            continue
        point = Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), parts[1]))
        if (point == resolved or point in resolved.parents) and len(point.parts) >= best_length:
            best_length, best_type = len(point.parts), parts[2]
    return best_type
