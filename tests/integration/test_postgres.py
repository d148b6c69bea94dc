"""PostgreSQL keeps every text, or is refused before the first request."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import dlt
import pytest

from mixpanel_sandbox import Project
from mixpanel_source import open_pipeline
from mixpanel_source.cli.app import main
from mixpanel_source.errors import ConfigError
from tests.support.lab import Lab, open_lab
from tests.support.postgres import execute
from tests.support.projects import YESTERDAY, add_event, make_project
from tests.support.tables import select_all

TEXTS = {"", "Zürich", "日本", "\N{GRINNING FACE}", "it's \\N"}


@pytest.fixture
def project() -> Project:
    """A day of texts that most encodings cannot hold."""
    project = make_project(YESTERDAY)
    for number, text in enumerate(sorted(TEXTS)):
        add_event(project, YESTERDAY, 10 + number, place=text)
    return project


@pytest.fixture
def lab(project: Project, postgres: str) -> Iterator[Lab]:  # noqa: ARG001 - is in the environment
    """The project, to be loaded to Postgres."""
    with open_lab(project, open_pipeline("postgres")) as opened:
        yield opened


@pytest.mark.parametrize("where", ["environment", "role", "credentials"])
def test_encoding_of_the_connection(
    where: str, project: Project, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text is stored as it is, whatever encoding a client would use by default."""
    if where == "environment":
        monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    elif where == "role":
        database = postgres.rpartition("/")[2]
        execute(postgres, f"ALTER ROLE postgres IN DATABASE {database} SET client_encoding=WIN1252")
    else:
        url = f"{postgres}?client_encoding=LATIN1"
        monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", url)
    with open_lab(project, open_pipeline("postgres")) as lab:
        assert lab.sync("export").failures == {}
        places = {row["place"] for row in select_all(lab.pipeline, "export")}
    assert places == {*TEXTS, None}


@pytest.mark.parametrize("encoding", ["LATIN1", "WIN1252", "EUC_JP", "SQL_ASCII"])
def test_encoding_of_the_database(
    encoding: str, project: Project, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that cannot hold all text is refused before the first request."""
    url = f"{postgres}_{encoding.lower()}"
    name = url.rpartition("/")[2]
    execute(postgres, f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", url)
    with open_lab(project, open_pipeline("postgres")) as lab:
        with pytest.raises(ConfigError, match=f"encoding {encoding}, .* ENCODING 'UTF8'"):
            lab.sync("export")
        assert lab.sandbox.requests == []
    execute(postgres, f"DROP DATABASE {name} WITH (FORCE)")


def test_connection_of_another_pipeline(
    project: Project, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipeline that was opened with dlt alone is refused if its connection changes texts."""
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    pipeline = dlt.pipeline("own", destination="postgres", dataset_name="own")
    with open_lab(project, pipeline) as lab:
        with pytest.raises(ConfigError, match="with the encoding LATIN1"):
            lab.sync("export")
        assert lab.sandbox.requests == []
    monkeypatch.delenv("PGCLIENTENCODING")
    pipeline = dlt.pipeline(
        "own", destination=dlt.destinations.postgres(postgres), dataset_name="own"
    )
    with open_lab(project, pipeline) as lab:
        assert lab.sync("export").failures == {}


def test_missing_driver(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ADBC, empty texts would become null: refused before the first request."""
    monkeypatch.setitem(sys.modules, "adbc_driver_manager", None)
    with pytest.raises(ConfigError, match=r"pip install 'mixpanel-source\[postgres\]'"):
        lab.sync("export")
    assert lab.sandbox.requests == []


@pytest.mark.parametrize(
    ("destination", "install"),
    [
        ("postgres", "mixpanel-source[postgres]"),
        # the packages of these are not installed for tests
        ("snowflake", "dlt[snowflake]"),
        ("clickhouse", "dlt[clickhouse]"),
    ],
)
def test_missing_packages(
    destination: str,
    install: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A destination whose packages are missing ends with exit code 2 and what to install."""
    credentials = f"DESTINATION__{destination.upper()}__CREDENTIALS"
    monkeypatch.setenv(credentials, f"{destination}://user:password@localhost/database")
    for module in ("psycopg2", "mixpanel_source.destinations.postgres.copy"):
        monkeypatch.setitem(sys.modules, module, None)
    assert main(["status", "--destination", destination]) == 2
    assert f"pip install '{install}'" in capsys.readouterr().err
