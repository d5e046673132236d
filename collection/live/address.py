"""Where a live server can be reached, and with which key."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LiveAddress:
    """Address of a live server; small enough for a command line, an environment variable or a file.

    Parameters
    ----------
    address : str
        Path of a Unix socket, or name of a Windows named pipe; this machine only.
    key_hex : str
        Key that both sides prove to know, hexadecimal. Whoever has it may listen and speak.
    """

    address: str
    key_hex: str

    @property
    def key(self) -> bytes:
        """The key as bytes."""
        return bytes.fromhex(self.key_hex)
