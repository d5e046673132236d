"""The dispatcher of ``emer``.

Verbs are entry points of the group ``emer.commands``: each package registers its
own in ``setup.cfg``, so that the contract holds the dispatcher without importing
upwards. A verb's module is imported only for its own call or for the help page,
and imports nothing heavy until it runs.
"""

from __future__ import annotations

from data_schema.cli.dispatch import main, run

__all__ = ["main", "run"]
