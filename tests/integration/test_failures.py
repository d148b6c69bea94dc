"""What a message shows of a failure of a database: its kind and names, and no value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import adbc_driver_postgresql.dbapi
import duckdb
import psycopg2
import pyarrow as pa
import pytest

from mixpanel_source import open_pipeline
from mixpanel_source.destinations.failures import Failure, find_failure, hide_values
from mixpanel_source.destinations.registry import destination_of
from mixpanel_source.errors import MixpanelError
from tests.support.lab import Lab
from tests.support.postgres import execute
from tests.support.projects import YESTERDAY, add_event

SECRET = """it's "Zürich's" 'secret'"""
QUOTED = SECRET.replace("'", "''")
NUMBER = 4242


def failure_of(connection: object, statement: str) -> Failure:
    """The failure of a statement."""
    with pytest.raises((psycopg2.Error, duckdb.Error)) as error:
        connection.cursor().execute(statement)  # type: ignore[attr-defined]
    failure = find_failure(error.value)
    assert failure is not None
    return failure


@pytest.fixture
def connection(postgres: str) -> Iterator[psycopg2.extensions.connection]:
    """A connection to a database with a table that refuses much."""
    with closing(psycopg2.connect(postgres)) as opened:
        opened.autocommit = True
        opened.cursor().execute(
            "CREATE TABLE rows (id bigint NOT NULL, place varchar UNIQUE, short varchar(3), "
            "price smallint CONSTRAINT is_positive CHECK (price > 0), "
            "parent varchar CONSTRAINT of_parent REFERENCES rows (place)); "
            f"INSERT INTO rows VALUES (1, '{QUOTED}')"
        )
        yield opened


def test_failures_of_postgres(connection: psycopg2.extensions.connection, postgres: str) -> None:
    """SQLSTATE, table, column and constraint are shown; values, quoted or not, are hidden."""
    with closing(psycopg2.connect(postgres)) as other:
        other.cursor().execute("LOCK TABLE rows")
        locked = failure_of(connection, "SET lock_timeout = 1; SELECT * FROM rows")
    texts = [
        str(locked),
        *(
            str(failure_of(connection, statement))
            for statement in (
                f"INSERT INTO rows VALUES (NULL, '{QUOTED}')",
                f"INSERT INTO rows VALUES (2, '{QUOTED}')",
                f"INSERT INTO rows (id, price, short) VALUES (2, -{NUMBER}, 'x')",
                f"INSERT INTO rows (id, parent) VALUES (2, '{QUOTED} 2')",
                f"INSERT INTO rows (id, place) VALUES ('{QUOTED}', '')",
                f"INSERT INTO rows (id, short) VALUES (2, '{QUOTED}')",
                "INSERT INTO rows (id, price) VALUES (2, 4242 * 4242)",
                f"SELECT CAST('{QUOTED}' AS timestamp)",
                f"UPDATE rows SET owner = '{QUOTED}'",
                "SELECT * FROM nothing",
                "SET statement_timeout = 1; SELECT pg_sleep(1)",
                "SET statement_timeout = 0; SET transaction_read_only = on; DELETE FROM rows",
                "CREATE ROLE reader; SET ROLE reader; SELECT * FROM rows",
            )
        ),
    ]
    expected = [
        "LockNotAvailable, SQLSTATE 55P03",
        "NotNullViolation, SQLSTATE 23502, table rows, column id",
        "UniqueViolation, SQLSTATE 23505, table rows, constraint rows_place_key",
        "CheckViolation, SQLSTATE 23514, table rows, constraint is_positive",
        "ForeignKeyViolation, SQLSTATE 23503, table rows, constraint of_parent",
        "invalid input syntax for type bigint: ... (InvalidTextRepresentation, SQLSTATE 22P02)",
        "StringDataRightTruncation, SQLSTATE 22001",
        "smallint out of range (NumericValueOutOfRange, SQLSTATE 22003)",
        "InvalidDatetimeFormat, SQLSTATE 22007",
        'column "owner" of relation "rows" does not exist (UndefinedColumn, SQLSTATE 42703)',
        'relation "nothing" does not exist (UndefinedTable, SQLSTATE 42P01)',
        "canceling statement due to statement timeout (QueryCanceled, SQLSTATE 57014)",
        "ReadOnlySqlTransaction, SQLSTATE 25006",
        "permission denied for table rows (InsufficientPrivilege, SQLSTATE 42501)",
    ]
    for text, part in zip(texts, expected, strict=True):
        assert part in text
        assert "secret" not in text
        assert str(NUMBER) not in text


def test_failures_of_copies(connection: psycopg2.extensions.connection, postgres: str) -> None:
    """What ADBC reports has the same fields, and the column of a COPY."""
    connection.cursor().execute("CREATE TABLE copies (id bigint NOT NULL, properties json)")
    rows = {
        "NotNull": ({"id": pa.nulls(1, pa.int64())}, "23502, table copies, column id"),
        "json": ({"id": [1], "properties": ['{"secret']}, "22P02, column properties"),
        "column": ({"owner": [1]}, 'Column "owner" does not exist in target table'),
    }
    for columns, expected in rows.values():
        with (
            adbc_driver_postgresql.dbapi.connect(postgres) as copying,
            copying.cursor() as cursor,
            pytest.raises(adbc_driver_postgresql.dbapi.Error) as error,
        ):
            cursor.adbc_ingest("copies", pa.table(columns), mode="append")
        text = str(find_failure(error.value))
        assert expected in text
        assert "secret" not in text


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("INSERT INTO rows (id) VALUES (NULL)", "failed: rows.id"),
        (
            f"INSERT INTO rows (id, place) VALUES (2, '{QUOTED}')",
            "ConstraintException, column place",
        ),
        (f"INSERT INTO rows (id, price) VALUES (2, -{NUMBER})", "failed on table rows"),
        (f"INSERT INTO rows (id) VALUES ('{QUOTED}')", "Could not convert string ... (Conversion"),
        ("INSERT INTO rows (id, small) VALUES (2, 4242)", "the destination type INT8"),
        (f"UPDATE rows SET owner = '{QUOTED}'", "update column owner not found"),
        ("SELECT * FROM nothing", "Table with name nothing does not exist"),
    ],
)
def test_failures_of_duckdb(statement: str, expected: str) -> None:
    """The message is shown up to the first value, and says the class."""
    with duckdb.connect() as database:
        database.execute(
            "CREATE TABLE rows (id bigint NOT NULL, place varchar UNIQUE, small tinyint, "
            "price bigint CHECK (price > 0))"
        )
        database.execute("INSERT INTO rows (id, place) VALUES (1, ?)", [SECRET])
        text = str(failure_of(database, statement))
    assert expected in text.replace('"', "")  # DuckDB 2 quotes the name
    assert "Exception" in text
    assert "secret" not in text
    assert str(NUMBER) not in text


def test_refused_load(any_lab: Lab) -> None:
    """A sync says which table was refused and why."""
    any_lab.sync("export")
    with any_lab.pipeline.sql_client() as client:
        table = client.make_qualified_table_name("export")
        client.execute_sql(f"CREATE UNIQUE INDEX one_each ON {table} (insert_id)")
    for number in (10, 11):
        add_event(any_lab.project, YESTERDAY, number, **{"$insert_id": "secret"})
    (failure,) = any_lab.sync("export").failures.values()
    assert "dlt could not load the data: the destination refused export: " in str(failure)
    # where DuckDB 1 says which constraint is violated, it has quoted the value already
    assert re.search("violat|Duplicate key", str(failure))
    assert "secret" not in str(failure)


def test_read_only_duckdb(tmp_path: Path) -> None:
    """A file that may not be written."""
    path = str(tmp_path / "warehouse.duckdb")
    duckdb.connect(path).close()
    with duckdb.connect(path, read_only=True) as database:
        text = str(failure_of(database, "CREATE TABLE rows (id bigint)"))
    assert "read-only mode" in text


def test_refused_connection(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's reason is shown, beside what to check."""
    execute(postgres, "CREATE ROLE busy LOGIN CONNECTION LIMIT 0")
    url = postgres.replace("postgres:postgres@", "busy:password@")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", url)
    with pytest.raises(MixpanelError, match="says: too many connections for role"):
        destination_of(open_pipeline("postgres")).acquire()
    execute(postgres, "DROP ROLE busy")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("it can't be cast: 'secret'", "it can't be cast: ..."),
        ('table "plan" and "secret"', 'table "plan" and ...'),
        ('value "plan" is secret', "value ..."),
        ('could not extend "/secret": No space left on device', "could not extend ... No space"),
        ("Type INT64 with value secret can't be cast", "Type INT64 with value ... can't"),
        ("key 17 of id_17 is 2026-01-02", "key ... of id_17 is ..."),
        ("first\nsecret", "first"),
        ("", ""),
    ],
)
def test_values_are_hidden(text: str, expected: str) -> None:
    """Only what names an object of the database is quoted."""
    hidden = hide_values(text)
    assert hidden.startswith(expected)
    assert "secret" not in hidden
