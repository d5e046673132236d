"""A PostgreSQL of one's own: made in a temporary folder, reached by a Unix socket, gone afterwards.

The tests use it too. PostgreSQL refuses to run as root, so root starts it as the
user ``postgres``, whom Debian's package makes.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

_DEBIAN = Path("/usr/lib/postgresql")


class NoPostgresError(RuntimeError):
    """PostgreSQL is not installed."""


def binaries() -> Path:
    """Return the folder of PostgreSQL's programs, the newest where there are several."""
    found = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path is None:
        raise NoPostgresError("PostgreSQL is not installed. On Debian: apt-get install postgresql")
    return Path(on_path).parent


class PostgresServer:
    """A running server with the superuser ``admin`` and passwords for everyone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.password = secrets.token_hex(12)
        self._bin = binaries()
        self._as_other = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []

    def make(self) -> None:
        """Make the files of the server and start it."""
        password_file = self.folder / "password"
        password_file.write_text(self.password, encoding="utf-8")
        if self._as_other:
            for path in (self.folder, password_file):
                shutil.chown(path, "postgres", "postgres")
        self._run(
            "initdb", "-D", self._data, "-U", "admin", "--auth=scram-sha-256", f"--pwfile={password_file}",
            "--encoding=UTF8", "--no-locale",
        )  # fmt: skip
        self.start()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = f"-c listen_addresses='' -c unix_socket_directories='{self.folder}' -c max_connections=40"
        self._run("pg_ctl", "-D", self._data, "-w", "-s", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; ``immediate`` is as a power cut."""
        self._run("pg_ctl", "-D", self._data, "-w", "-s", "-m", mode, "stop")

    def sql(self, statements: str, database: str = "postgres") -> None:
        """Run statements as the superuser."""
        command = [str(self._bin / "psql"), "-h", str(self.folder), "-U", "admin", "-d", database, "-q"]
        environment = {**os.environ, "PGPASSWORD": self.password}
        done = subprocess.run(
            [*command, "-v", "ON_ERROR_STOP=1"], input=statements, env=environment, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise RuntimeError(done.stderr)

    def address(self, database: str, role: str = "") -> str:
        """Return the address of a database, with a role if one is given."""
        return f"postgresql://{role}{'@' if role else ''}/{database}?host={self.folder}"

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _run(self, program: str, *arguments: str) -> None:
        # Its own folder: another user may not enter the one that this process stands in.
        done = subprocess.run(
            [*self._as_other, str(self._bin / program), *arguments],
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stderr}")


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Start a server; stop it and remove its files at the end."""
    with tempfile.TemporaryDirectory(prefix="emer-pg-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = PostgresServer(folder)
        server.make()
        try:
            yield server
        finally:
            with contextlib.suppress(RuntimeError):  # stopped already
                server.stop("immediate")
