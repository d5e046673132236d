"""What goes over a live connection: one JSON object as UTF-8, sometimes followed by one piece of bytes.

Nothing is ever unpickled: a message from the other side is data, not a program.
"""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

Message = dict[str, Any]

#: Kinds of which only the newest matter: a slow listener loses these first.
TELEMETRY = frozenset({"status", "gaze", "head", "frame"})
#: Longest JSON text and longest piece of bytes that are accepted.
MAX_TEXT_BYTES = 4 << 20
MAX_PAYLOAD_BYTES = 8 << 20


def plain(value: Any) -> Any:
    """Return `value` in JSON's types: NaN and infinity become None, arrays lists, dataclasses objects."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, Path):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise TypeError(f"a live message cannot hold {type(value).__name__}")


def encode(message: Message, payload: bytes | None = None) -> bytes:
    """Return `message` as UTF-8 JSON; the length of `payload` goes with it as ``n_bytes``.

    Raises
    ------
    TypeError
        If it holds what JSON cannot, or has no kind.
    ValueError
        If it is too long.
    """
    if not isinstance(message.get("kind"), str):
        raise TypeError("a live message needs a 'kind'")
    whole = dict(message)
    whole.pop("n_bytes", None)
    if payload is not None:
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise ValueError(f"a live message holds {len(payload)} bytes, at most {MAX_PAYLOAD_BYTES} are allowed")
        whole["n_bytes"] = len(payload)
    text = json.dumps(plain(whole), ensure_ascii=False, allow_nan=False).encode("utf-8")
    if len(text) > MAX_TEXT_BYTES:
        raise ValueError(f"a live message is {len(text)} bytes long, at most {MAX_TEXT_BYTES} are allowed")
    return text


def decode(text: bytes) -> Message:
    """Return the message in `text`.

    Raises
    ------
    ValueError
        If it is no JSON object with a kind.
    """
    try:
        message = json.loads(text.decode("utf-8"))
    except RecursionError:
        raise ValueError("a live message is nested too deeply") from None
    if not isinstance(message, dict) or not isinstance(message.get("kind"), str):
        raise ValueError("a live message must be a JSON object with a 'kind'")
    return message
