"""Who a study is, and its secret: what opaque names and admission codes are made from.

``annotation/identity.json`` in the study folder is written once, when it is first needed, and never leaves the
study. Without the secret nobody can tell which clip an opaque name stands for, or compute an admission code.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
import uuid
from dataclasses import dataclass
from pathlib import Path

from data_schema.atomic import partial_path, write_atomically
from data_schema.errors import StudyError
from data_schema.study import StudyFolder

IDENTITY_NAME = "identity.json"
_STUDY_ID = re.compile(r"[0-9a-f]{32}\Z")
_SECRET = re.compile(r"[0-9a-f]{64}\Z")
#: Letters of a code: 8 of 32 kinds are 40 bits, which the slow hash in the bundle makes too many to try.
CODE_LENGTH = 8


@dataclass(frozen=True, repr=False)
class StudyIdentity:
    """A study's name for machines, and its secret.

    Parameters
    ----------
    study_id : str
        Random, 32 hexadecimal digits. Stands in bundles and label files.
    secret : bytes
        32 random bytes that never leave the study folder.
    """

    study_id: str
    secret: bytes

    def __repr__(self) -> str:
        # Without the secret: a repr ends in logs.
        return f"StudyIdentity({self.study_id!r})"

    def digest(self, *parts: object) -> bytes:
        """Return 32 bytes that only this study can compute from `parts`."""
        # As JSON, so that ("a", "bc") and ("ab", "c") differ.
        return hmac.new(self.secret, json.dumps([str(part) for part in parts]).encode(), hashlib.sha256).digest()

    def opaque(self, *parts: object) -> str:
        """Return a name of 20 letters and digits for `parts`; it says nothing about them."""
        # Begins with a letter: it names files and clips.
        return "c" + self.digest("name", *parts).hex()[:19]

    def admission_code(self, annotator_id: str, task: str) -> str:
        """Return the code that admits an annotator to a pass, such as ``K7QD-2MXA``."""
        text = base64.b32encode(self.digest("admission", annotator_id, task)).decode()[:CODE_LENGTH]
        return f"{text[:4]}-{text[4:]}"


def plain_code(code: str) -> str:
    """Return a code as it is compared: without spaces and hyphens, upper case, look-alikes read as letters."""
    text = "".join(code.split()).replace("-", "").upper()
    return text.replace("0", "O").replace("1", "I").replace("8", "B")


def study_identity(study: StudyFolder) -> StudyIdentity:
    """Return the study's identity; made at the first call.

    Raises
    ------
    StudyError
        If the file is damaged or cannot be written.
    """
    path = study.annotation_dir / IDENTITY_NAME
    try:
        if not path.is_file():
            _create(path)
        return _read(path)
    except OSError as error:
        raise StudyError(
            f"{path}: {error.strerror or error}. Check that the study folder can be read and written to."
        ) from error


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "about": "Names this study in bundles, and keeps the secret of their names. Never hand it out, never change it.",
        "study_id": uuid.uuid4().hex,
        "secret": secrets.token_hex(32),
    }
    partial = partial_path(path)
    try:
        write_atomically(partial, (json.dumps(content, indent=1) + "\n").encode())
        # Of two processes that need it for the first time, one wins: a second secret would make other names.
        with contextlib.suppress(FileExistsError):
            try:
                os.link(partial, path)
            except FileExistsError:
                raise
            except OSError:  # no hard links on this drive
                if not path.exists():
                    partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _read(path: Path) -> StudyIdentity:
    try:
        content = json.loads(path.read_bytes())
        study_id, secret = str(content["study_id"]), str(content["secret"])
    except (ValueError, KeyError, TypeError):
        study_id = secret = ""
    if not _STUDY_ID.match(study_id) or not _SECRET.match(secret):
        raise StudyError(
            f"{path}: damaged; expected a study_id and a secret. Bring it back from the backup: with a new one, "
            "bundles that are out could not be merged any more."
        )
    return StudyIdentity(study_id, bytes.fromhex(secret))
