"""Fixtures of all tests: an isolated dlt, a PostgreSQL, and a sandbox with what loads from it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import dlt
import pytest
from dlt.common.configuration.container import Container
from dlt.common.pipeline import PipelineContext
from dlt.common.runtime.run_context import RunContext, switched_run_context

from mixpanel_sandbox import Project, Sandbox
from mixpanel_source import open_pipeline
from mixpanel_source.api.clock import Clock
from mixpanel_source.decode.scan.__main__ import compile_scanner
from tests.support.dlt_speed import remember_answers
from tests.support.lab import Lab, open_lab
from tests.support.postgres import PostgresServer, execute
from tests.support.projects import make_project
from tests.support.s3 import make_bucket, run_server
from tests.support.settings import UNLIMITED, set_environment, settings_for

# dlt also looks settings up by their bare names, so a variable such as USERNAME or REGION of the
# developer would be read as a setting: all others are removed
KEPT_VARIABLES = ("PATH", "LANG", "LC_", "TMPDIR", "TZ", "VIRTUAL_ENV", "PYTHON", "PYTEST", "COV")

_database_numbers = count(1)
_bucket_numbers = count(1)

remember_answers()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what runs on DuckDB and on Postgres alike to `make test-all`, for Postgres.

    Tests marked `every_destination` run on both in `make test` too.
    """
    for item in items:
        parameters = getattr(item, "callspec", None)
        on_postgres = parameters and parameters.params.get("any_pipeline") == "postgres"
        if on_postgres and not item.get_closest_marker("every_destination"):
            item.add_marker(pytest.mark.slow)


class IsolatedRunContext(RunContext):
    """A run context of dlt that also isolates the global directory, which no variable moves."""

    @property
    def global_dir(self) -> str:
        """Directory of machine-wide settings and the telemetry id."""
        return str(Path(self.run_dir) / "dlt-global")


@pytest.fixture(scope="session", autouse=True)
def compiled_scanner() -> None:
    """Compile the scanner first, so that whether it is ready does not depend on the test."""
    compile_scanner()


@pytest.fixture(autouse=True)
def isolated_dlt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make a test, and the processes it starts, read and write below `tmp_path` only."""
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


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a PostgreSQL server of this test process, without a database."""
    with tempfile.TemporaryDirectory(prefix="mixpanel-source-") as directory:
        server = PostgresServer(Path(directory))
        try:
            yield server.start()
        finally:
            server.stop()


@pytest.fixture
def postgres(postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """URL of an empty PostgreSQL database, which is also in the environment for dlt."""
    name = f"test_{next(_database_numbers)}"
    execute(f"{postgres_server}/postgres", f"CREATE DATABASE {name}")
    url = f"{postgres_server}/{name}"
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", url)
    yield url
    execute(f"{postgres_server}/postgres", f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """URL of an S3 server of this test process."""
    with run_server() as url:
        yield url


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of an empty bucket, which is in the environment for the lakes."""
    name = f"bucket-{next(_bucket_numbers)}"
    for variable, value in make_bucket(s3_server, name).items():
        monkeypatch.setenv(variable, value)
    return name


@pytest.fixture
def project() -> Project:
    """Project that `sandbox` and the labs serve; a module that needs another overrides this."""
    return make_project()


@pytest.fixture
def sandbox_clock() -> Clock:
    """Clock of `sandbox`: the system clock, which commands and scripts read too."""
    return time


@pytest.fixture
def sandbox(
    project: Project, sandbox_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sandbox]:
    """Serve `project`, with the settings that read it in the environment."""
    with Sandbox(project, clock=sandbox_clock.time, **UNLIMITED) as running:
        set_environment(monkeypatch, settings_for(running))
        yield running


@pytest.fixture
def lab(project: Project) -> Iterator[Lab]:
    """Serve `project` to jobs that load it into DuckDB."""
    with open_lab(project) as opened:
        yield opened


@pytest.fixture
def configured_lab(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """`lab`, with its settings in the environment, where commands find them."""
    set_environment(monkeypatch, lab.settings)
    return lab


@pytest.fixture(params=["duckdb", "postgres"])
def any_pipeline(request: pytest.FixtureRequest) -> dlt.Pipeline:
    """A pipeline to an empty database of each kind."""
    if request.param == "postgres":
        request.getfixturevalue("postgres")
    return open_pipeline(request.param)


@pytest.fixture
def any_lab(project: Project, any_pipeline: dlt.Pipeline) -> Iterator[Lab]:
    """Serve `project` to jobs that load it into each kind of database."""
    with open_lab(project, any_pipeline) as opened:
        yield opened
