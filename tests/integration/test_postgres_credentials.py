"""Addresses of PostgreSQL: what libpq takes works, the rest is refused with a valid form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from psycopg2.extensions import parse_dsn

from mixpanel_sandbox import Project
from mixpanel_source import cli, open_pipeline
from mixpanel_source.destinations.registry import destination_of
from mixpanel_source.errors import ConfigError
from mixpanel_source.jobs.dlt_errors import destination_errors
from mixpanel_source.jobs.pipeline import location, make_pipeline
from tests.support.lab import load

VARIABLE = "DESTINATION__POSTGRES__CREDENTIALS"
SECRET = "hunter2-XyZ"


def forms_of(url: str) -> Iterator[str]:
    """Ways to write an address without a password."""
    parts = urlsplit(url)
    server = f"{parts.hostname}:{parts.port}"
    yield f"postgresql://{parts.username}@{server}{parts.path}"
    yield f"postgres://{parts.username}@{server}{parts.path}?sslmode=prefer"
    yield f"postgresql+psycopg2://{parts.username}@{server}{parts.path}"
    yield f" POSTGRESQL://{server}{parts.path}?user={parts.username} \n"
    dsn = f"host={parts.hostname} port={parts.port} user={parts.username} dbname={parts.path[1:]}"
    yield dsn
    yield f"{dsn} options='-c statement_timeout=60000'"
    yield f"postgresql://{parts.username}@{server},127.0.0.1:1{parts.path}"


def test_forms_that_connect(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password is not needed, and the address may have any form that libpq takes."""
    for form in forms_of(postgres):
        monkeypatch.setenv(VARIABLE, form)
        pipeline = open_pipeline("postgres")
        with destination_of(pipeline).connect() as client:
            assert client is not None
            assert client.sql_client.execute_sql("SELECT 1") == [(1,)]
        assert urlsplit(postgres).path[1:] in location(pipeline)


def test_load_without_a_password(
    project: Project, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every connection of a load does without it."""
    monkeypatch.setenv(VARIABLE, next(forms_of(postgres)))
    result = load(project, open_pipeline("postgres"))
    assert result.rows["export"] > 0


PARTS: list[tuple[str, dict[str, str]]] = [
    ("postgresql:///db?host=/var/run/postgresql", {"host": "/var/run/postgresql", "dbname": "db"}),
    ("postgresql://u@%2Frun%2Fpg/db", {"user": "u", "host": "/run/pg"}),
    ("postgresql:///db", {"dbname": "db"}),
    ("postgresql://u:p%40%20%2B@[::1]:5/db", {"password": "p@ +", "host": "::1", "port": "5"}),
    ("postgresql://u:a?b@h/db", {"password": "a?b", "host": "h"}),
    ("postgresql://h1:1,h2:2/db", {"host": "h1,h2", "port": "1,2"}),
    ("service=x dbname=db", {"service": "x", "dbname": "db"}),
    ("host=h dbname=db options='-c a=b'", {"options": "-c a=b"}),
    ("postgresql://h/db?connect_timeout=3&application_name=a+b", {"connect_timeout": "3"}),
]


@pytest.mark.parametrize(("address", "parts"), PARTS, ids=repr)
def test_parts(monkeypatch: pytest.MonkeyPatch, address: str, parts: dict[str, str]) -> None:
    """The driver receives what the address says."""
    monkeypatch.setenv(VARIABLE, address)
    pipeline = make_pipeline("mixpanel", "postgres", "mixpanel")
    config: Any = pipeline.destination_client().config
    sent = parse_dsn(config.credentials.to_native_representation())
    assert {name: sent.get(name) for name in parts} == parts


REFUSED: list[tuple[str, str]] = [
    (SECRET, "cannot be read as credentials of postgres"),
    (f"mysql://u:{SECRET}@h/db", "cannot be read as credentials of postgres"),
    (f"postgresql://u:{SECRET}@h:port/db", "cannot be read as credentials of postgres"),
    (f"postgresql://u:{SECRET}@h/db?nope=1", "cannot be read as credentials of postgres"),
    (f"postgresql://u:{SECRET}@h/db?connect_timeout=x", "cannot be read as credentials"),
    (f"postgresql://u:a@{SECRET}@h/db", "percent-encoded"),
    (f"postgresql://u:a/{SECRET}@h/db", "percent-encoded"),
    (f'{{"host": "h", "password": "{SECRET}"}}', "cannot be read as credentials of postgres"),
    ("", "cannot be read as credentials of postgres"),
    (f"postgresql://u:{SECRET}@h", "has no database. Give a complete address, such as postgresql"),
    (f"postgres://u:{SECRET}@h/", "has no database"),
    (f"host=h user=u password={SECRET}", "has no database"),
]


@pytest.mark.parametrize("variable", [VARIABLE, "DESTINATION__CREDENTIALS"])
@pytest.mark.parametrize(("address", "words"), REFUSED, ids=repr)
def test_refused(monkeypatch: pytest.MonkeyPatch, variable: str, address: str, words: str) -> None:
    """The message names the variable that is set, and shows a valid form, never the address."""
    monkeypatch.setenv(variable, address)
    with pytest.raises(ConfigError) as raised, destination_errors("postgres"):
        make_pipeline("mixpanel", "postgres", "mixpanel").destination_client()
    message = str(raised.value)
    assert message.startswith(variable)
    assert words in message
    assert "postgresql://user:password@host:5432/database" in message
    assert SECRET not in message


@pytest.mark.parametrize("command", ["sync", "status", "plan"])
def test_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """They end with 2."""
    for name in ("USERNAME", "SECRET", "PROJECT_ID"):
        monkeypatch.setenv(f"SOURCES__MIXPANEL__{name}", "1")
    monkeypatch.setenv(VARIABLE, f"postgresql://u:{SECRET}@h")
    assert cli.main([command, "--destination", "postgres"]) == cli.WRONG_USAGE
    error = capsys.readouterr().err
    assert "has no database" in error
    assert SECRET not in error


@pytest.mark.parametrize("address", ["postgresql://u:p@h/db", "mysql://u@h/db", "snowflake://a/b"])
def test_address_of_another_database(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """DuckDB does not take an address of another database for the name of a file."""
    monkeypatch.setenv("DESTINATION__CREDENTIALS", address)
    with pytest.raises(ConfigError, match="are an address of another kind of database"):
        open_pipeline()
