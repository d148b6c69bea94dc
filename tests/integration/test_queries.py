"""Queries read the loaded tables and nothing else: no file, no network, and they write nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pytest

from mixpanel_source.commands.query import open_queries
from mixpanel_source.destinations.duckdb import queries as duckdb_queries
from mixpanel_source.destinations.duckdb.queries import DuckDbQueries, describe
from mixpanel_source.destinations.duckdb.query_process import Reply, Request
from mixpanel_source.destinations.duckdb.query_process import run as run_here
from mixpanel_source.destinations.postgres import queries as postgres_queries
from mixpanel_source.destinations.postgres.queries import PostgresQueries, check_statement
from mixpanel_source.destinations.queries import QueryLimits
from mixpanel_source.errors import BusyError, ConfigError, MixpanelError
from tests.support.lab import Lab
from tests.support.postgres import execute

LIMITS = QueryLimits()

DUCKDB_ATTEMPTS = (
    "INSERT INTO export VALUES ('x', 1)",
    "UPDATE export SET event = 'x'",
    "DELETE FROM export",
    "DROP TABLE export",
    "CREATE TABLE other (i int)",
    "CREATE TEMP TABLE other (i int)",
    "CREATE OR REPLACE VIEW v AS SELECT 1",
    "ALTER TABLE export ADD COLUMN i int",
    "TRUNCATE export",
    "SELECT 1; DROP TABLE export",
    "EXPLAIN ANALYZE INSERT INTO export VALUES ('x', 1)",
    "EXPLAIN ANALYZE CREATE TEMP TABLE other AS SELECT 1",
    "EXPLAIN (ANALYZE) CHECKPOINT",
    "EXPLAIN ANALYZE/**/COPY export TO 'stolen.csv'",
    "IMPORT DATABASE 'stolen'",
    "COPY export TO 'stolen.csv'",
    "COPY (SELECT 1) TO '/dev/tcp/127.0.0.1/{port}'",
    "EXPORT DATABASE 'stolen'",
    "ATTACH 'stolen.duckdb'",
    "ATTACH 'http://127.0.0.1:{port}/x.duckdb'",
    "SELECT * FROM 'secret.csv'",
    "SELECT * FROM read_csv('secret.csv')",
    "SELECT * FROM read_text('secret.csv')",
    "SELECT * FROM read_blob('secret.csv')",
    "SELECT * FROM read_json('secret.csv')",
    "SELECT * FROM sniff_csv('secret.csv')",
    "SELECT * FROM glob('*')",
    "SELECT * FROM query('FROM read_text(''secret.csv'')')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('FROM ''secret.csv'''))",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM leak",
    "SELECT getenv('HOME')",
    "SELECT * FROM read_parquet('http://127.0.0.1:{port}/x.parquet')",
    "SELECT * FROM read_csv('https://127.0.0.1:{port}/x.csv')",
    "SELECT * FROM pandas_scan(140000)",
    "SELECT * FROM arrow_scan(1, 2, 3)",
    "SELECT * FROM arrow_scan_dumb/* /* */ */(1, 2, 3)",
    'SELECT * FROM "python_map_function" (1)',
    "SELECT * FROM query('SELECT * FROM pandas' || '_scan(140000)')",
    "SELECT * FROM query_table('export')",
    "SELECT * FROM enable_logging(storage := 'file', storage_path := 'logs')",
    "SELECT * FROM enable_profiling(save_location = 'profile.json')",
    "SELECT * FROM truncate_duckdb_logs()",
    "SELECT write_log('x')",
    "SELECT * FROM read_duckdb('small.duckdb')",
    'SELECT * FROM U&"pandas\\005fscan"(140000)',
    "INSTALL httpfs",
    "LOAD httpfs",
    "SELECT * FROM postgres_scan('host=127.0.0.1 port={port}', 'public', 'x')",
    "SELECT * FROM sqlite_scan('x.db', 'x')",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "RESET lock_configuration",
    "PRAGMA enable_external_access",
    "CALL pragma_version()",
    "CHECKPOINT",
    "SELECT * FROM force_checkpoint()",
    "VACUUM",
    "USE memory",
    "PREPARE p AS SELECT 1",
    "BEGIN",
    "",
)

POSTGRES_ATTEMPTS = (
    "INSERT INTO export VALUES ('x')",
    "INSERT INTO export VALUES ('x') RETURNING event",
    "WITH gone AS (DELETE FROM export RETURNING event) SELECT * FROM gone",
    "UPDATE export SET event = 'x'",
    "DROP TABLE export",
    "CREATE TABLE other (i int)",
    "CREATE TEMP TABLE other (i int)",
    "SELECT * INTO other FROM export",
    "TRUNCATE export",
    "SELECT 1; DROP TABLE export",
    "SELECT 1; COMMIT; DROP TABLE export",
    "COMMIT; DROP TABLE export; --",
    "SELECT 1) q; DROP TABLE export; --",
    "SELECT * FROM export FOR UPDATE",
    "EXPLAIN ANALYZE INSERT INTO export VALUES ('x')",
    "COPY export TO '{stolen}'",
    "COPY (SELECT 1) TO PROGRAM 'touch {stolen}'",
    "COPY export FROM PROGRAM 'echo x'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT PG_READ_FILE/**/('/etc/passwd')",
    "SELECT lo_import/* /* */ */('/etc/passwd')",
    "SELECT \"pg_read_file\"('/etc/passwd')",
    "SELECT U&\"pg\\005fread_file\"('/etc/passwd')",
    "SELECT pg_catalog.pg_read_binary_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT * FROM pg_stat_file('/etc/passwd')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_export(1, '{stolen}')",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT query_to_xml('SELECT pg_read_file(''/etc/passwd'')', true, true, '')",
    "SELECT query_to_xml('SELECT pg_' || 'read_file(''/etc/passwd'')', true, true, '')",
    "SELECT * FROM ts_stat('SELECT pg_read_file(''/etc/passwd'')')",
    "SELECT set_config('transaction_read_only', 'off', false)",
    "SELECT set_config('role', 'postgres', true)",
    "SET TRANSACTION READ WRITE",
    "SET statement_timeout = 0",
    "RESET ROLE",
    "SHOW data_directory",
    "SELECT current_setting('data_directory')",
    "/* /* */ SELECT */ SHOW data_directory",
    "SELECT * FROM pg_authid",
    "SELECT * FROM pg_shadow",
    "SELECT * FROM pg_stat_activity",
    "SELECT pg_terminate_backend(1)",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_sleep(60)",
    "SELECT nextval('numbers')",
    "SELECT setval('numbers', 1)",
    "SELECT dblink_exec('host=127.0.0.1 port={port}', 'DROP TABLE export')",
    "SELECT run_text('DROP TABLE export')",
    "DO $$ BEGIN DROP TABLE export; END $$",
    "CALL run()",
    "NOTIFY other",
    "LOCK TABLE export",
    "PREPARE p AS SELECT 1",
    "DECLARE c CURSOR FOR SELECT 1",
    "VACUUM",
    "",
)


@pytest.fixture
def file() -> Path:
    """A DuckDB file with a table, and a file beside it that nothing may read."""
    Path("secret.csv").write_text("secret\nhunter2\n")
    path = Path("small.duckdb").resolve()
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE export AS SELECT 'Order' AS event, 1.5 AS price")
    return path


def ask(file: Path, sql: str, **limits: Any) -> Reply:
    """The reply to a query, in this process."""
    request: Request = {
        "file": str(file),
        "schema": "main",
        "sql": sql,
        "rows": 10,
        "seconds": 10,
        "size": 10_000,
        "memory_bytes": 200_000_000,
    }
    request.update(limits)  # type: ignore[typeddict-item] # fields of it
    return run_here(request)


def test_duckdb_refuses_all_but_reading(file: Path, tmp_path: Path) -> None:
    """No attempt succeeds, reaches a server, makes a file or changes the database."""
    leak = {"secret": ["hunter2"]}  # a variable that DuckDB must not find
    before = sorted(tmp_path.iterdir()), file.read_bytes()
    assert len(DUCKDB_ATTEMPTS) >= 20
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        for attempt in DUCKDB_ATTEMPTS:
            reply = ask(file, attempt.format(port=server.getsockname()[1]))
            assert "refused" in reply or "error" in reply, attempt
            assert "hunter2" not in str(reply), attempt
        with pytest.raises(BlockingIOError):
            server.accept()
    assert (sorted(tmp_path.iterdir()), file.read_bytes()) == before
    assert leak


READING = (
    "SELECT event FROM export",
    "WITH e AS (SELECT event FROM export) SELECT event FROM e;",
    "FROM export SELECT event",
    "-- the events\nSELECT event FROM main.export",
    "SELECT event FROM small.export",
)


@pytest.mark.parametrize("sql", READING)
def test_duckdb_answers(file: Path, sql: str) -> None:
    """Queries in DuckDB's dialect are answered, with names of the schema or without."""
    assert ask(file, sql)["rows"] == [["Order"]]


def test_duckdb_describes(file: Path) -> None:
    """What describes tables and queries is a query too."""
    assert ask(file, "DESCRIBE export")["rows"][0][:2] == ["event", "VARCHAR"]
    assert ask(file, "SHOW TABLES")["rows"] == [["export"]]
    assert "rows" in ask(file, "SUMMARIZE export")
    assert "rows" in ask(file, "EXPLAIN SELECT * FROM export")
    assert "rows" in ask(file, "EXPLAIN ANALYZE SELECT * FROM export")


def test_values_are_json(file: Path) -> None:
    """Values of all types become JSON, and whole numbers stay whole."""
    reply = ask(
        file,
        "SELECT 170141183460469231731687303715884105727, 1.50::decimal(9,2), 'nan'::double, "
        "TIMESTAMPTZ '2026-01-02 03:04:05+01', DATE '2026-01-02', [1, NULL], {'a': 'x'}, "
        "'ab'::blob, INTERVAL 1 DAY, NULL, true, '{\"a\": 0.12345678901234567890}'::json",
    )
    assert json.loads(json.dumps(reply))["rows"] == [
        [
            170141183460469231731687303715884105727,
            1.5,
            "nan",
            "2026-01-02T02:04:05+00:00",
            "2026-01-02",
            [1, None],
            {"a": "x"},
            "6162",
            "1 day, 0:00:00",
            None,
            True,
            '{"a": 0.12345678901234567890}',
        ]
    ]


def test_results_are_limited(file: Path) -> None:
    """By rows and by size; what is cut off is reported, and no row is cut."""
    rows = "SELECT i, repeat('x', 90) FROM range(1000) AS t(i)"
    exact = ask(file, "SELECT i FROM range(10) AS t(i)")
    assert (len(exact["rows"]), exact["truncated"]) == (10, False)
    by_rows = ask(file, rows)
    assert (len(by_rows["rows"]), by_rows["truncated"]) == (10, True)
    by_size = ask(file, rows, rows=None, size=1000)
    assert (len(by_size["rows"]), by_size["truncated"]) == (10, True)
    assert "Select fewer columns" in ask(file, rows, size=50)["refused"]


def test_time_is_limited(file: Path) -> None:
    """A query that takes too long is interrupted."""
    slow = "SELECT count(*) FROM range(1000000) a, range(1000000) b"
    assert ask(file, slow, seconds=0.2)["kind"] == "InterruptException"


def test_errors_quote_no_values(file: Path) -> None:
    """Names of the statement are shown, values of rows are not."""
    cast = ask(file, "SELECT CAST(event AS int) FROM export")
    assert "Order" in cast["error"]
    assert "Order" not in describe(cast["kind"], cast["error"])
    name = ask(file, "SELECT evnt FROM export")
    assert "event" in describe(name["kind"], name["error"])


@pytest.mark.slow
def test_query_that_cannot_be_interrupted_is_ended(file: Path) -> None:
    """DuckDB would fill gigabytes for minutes within one function."""
    queries = DuckDbQueries(file, "main")
    for sql in ("SELECT repeat('x', 2000000000)", "SELECT range(1000000000)"):
        with pytest.raises(MixpanelError, match=r"longer than 0\.1 seconds|more memory"):
            queries.run(sql, QueryLimits(seconds=0.1))


def test_process_that_fails_is_reported(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the type of its error, without its text."""
    Path("duckdb.py").write_text("raise ImportError('hunter2')\n")
    places = os.pathsep.join([str(file.parent), *sys.path])
    monkeypatch.setattr(duckdb_queries, "_environment", lambda: {"PYTHONPATH": places})
    with pytest.raises(MixpanelError, match=r"process for the query failed \(ImportError\)"):
        DuckDbQueries(file, "main").run("SELECT 1", LIMITS)


def test_working_directory_is_no_place_for_modules(file: Path) -> None:
    """A file that has the name of a module is not run."""
    Path("duckdb.py").write_text("raise ImportError\n")
    assert DuckDbQueries(file, "main").run("SELECT 1 AS n", LIMITS).rows == [[1]]


def test_process_has_no_secrets(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that runs a query gets none of our variables, and its errors are explained."""
    seen: dict[str, Any] = {}
    real = subprocess.run

    def run(*arguments: Any, **options: Any) -> Any:
        seen.update(options["env"])
        return real(*arguments, **options)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setenv("SOURCES__MIXPANEL__SECRET", "hunter2")
    queries = DuckDbQueries(file, "main")
    assert queries.run("SELECT event FROM export", LIMITS).rows == [["Order"]]
    assert "hunter2" not in seen.values()
    assert not [name for name in seen if "MIXPANEL" in name]
    file.write_bytes(b"no database" * 1000)
    with pytest.raises(ConfigError, match="is not a DuckDB file"):
        queries.run("SELECT 1", LIMITS)
    file.unlink()
    with pytest.raises(ConfigError, match="Run mixpanel-source sync"):
        queries.run("SELECT 1", LIMITS)


@pytest.fixture
def postgres_query(postgres: str) -> PostgresQueries:
    """Queries of a superuser, in a database with a table, a sequence and functions with effects."""
    execute(postgres, "CREATE TABLE export AS SELECT 'Order' AS event, 1.5 AS price")
    execute(postgres, "CREATE SEQUENCE numbers")
    execute(
        postgres,
        "CREATE FUNCTION run_text(text) RETURNS int LANGUAGE plpgsql STABLE AS "
        "$$ BEGIN EXECUTE $1; RETURN 1; END $$",
    )
    execute(
        postgres,
        "CREATE FUNCTION dblink_exec(text, text) RETURNS text LANGUAGE sql AS $$ SELECT $1 $$",
    )
    return PostgresQueries(postgres, "public", lambda error: MixpanelError(str(error)))


@pytest.fixture
def stolen() -> Iterator[Path]:
    """A path where nothing is, and where the server may write, whichever user it runs as."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o777)
        yield Path(directory) / "stolen"


def contents(url: str) -> list[tuple[Any, ...]]:
    """Rows of `export`, and the names of all tables and the next number of the sequence."""
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM export WHERE event = 'Order'), "
            "(SELECT string_agg(tablename, ',') FROM pg_tables WHERE schemaname = 'public'), "
            "(SELECT is_called FROM numbers)"
        )
        rows = cursor.fetchall()
    connection.close()
    return rows


def test_postgres_refuses_all_but_reading(
    postgres_query: PostgresQueries, postgres: str, stolen: Path
) -> None:
    """No attempt succeeds, even for a superuser, and nothing changes."""
    before = contents(postgres)
    assert len(POSTGRES_ATTEMPTS) >= 20
    for attempt in POSTGRES_ATTEMPTS:
        with pytest.raises(MixpanelError) as refusal:
            postgres_query.run(attempt.format(port=1, stolen=stolen), LIMITS)
        assert "root:" not in str(refusal.value), attempt
    assert contents(postgres) == before
    assert not stolen.exists()


@pytest.mark.parametrize(
    "attempt",
    [
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_ls_dir('/')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT lo_export(1, '{stolen}')",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "SELECT nextval('numbers')",
        "SELECT pg_reload_conf()",
        "SELECT 1; COMMIT; DROP TABLE export",
    ],
)
def test_postgres_refuses_without_the_list(
    attempt: str, postgres_query: PostgresQueries, monkeypatch: pytest.MonkeyPatch, stolen: Path
) -> None:
    """The role, the transaction and the cursor each hold without the list of names."""
    monkeypatch.setattr(postgres_queries, "check_statement", lambda *_: None)
    with pytest.raises(MixpanelError):
        postgres_query.run(attempt.format(stolen=stolen), LIMITS)
    assert not stolen.exists()


def test_postgres_answers(postgres_query: PostgresQueries) -> None:
    """Queries are answered within their limits, with names and types."""
    result = postgres_query.run("-- it\n(SELECT event, price FROM export);", LIMITS)
    assert result.columns == ["event", "price"]
    assert result.types == ["text", "numeric"]
    assert result.rows == [["Order", 1.5]]
    many = postgres_query.run(
        "SELECT i, random() < 2, '{\"a\": 1.10}'::jsonb FROM generate_series(1, 5000) AS t(i)",
        QueryLimits(rows=3),
    )
    assert many.rows == [[number, True, '{"a": 1.10}'] for number in (1, 2, 3)]
    assert many.truncated
    every = postgres_query.run("SELECT * FROM generate_series(1, 2500)", QueryLimits(rows=None))
    assert (len(every.rows), every.truncated) == (2500, False)
    assert postgres_query.run("SELECT 1 WHERE false", LIMITS).rows == []
    assert postgres_query.run("EXPLAIN SELECT * FROM export", LIMITS).rows
    assert postgres_query.run("SELECT pg_size_pretty(8::bigint)", LIMITS).rows


def test_postgres_limits_time(postgres_query: PostgresQueries) -> None:
    """The server stops a query that takes too long."""
    slow = "SELECT count(*) FROM generate_series(1, 100000000)"
    with pytest.raises(MixpanelError, match=r"longer than 0\.2 seconds"):
        postgres_query.run(slow, QueryLimits(seconds=0.2))


def test_postgres_errors_quote_no_values(postgres_query: PostgresQueries) -> None:
    """Names of the statement are shown, values of rows are not."""
    with pytest.raises(MixpanelError) as refusal:
        postgres_query.run("SELECT CAST(event AS int) FROM export", LIMITS)
    assert "Order" not in str(refusal.value)
    with pytest.raises(MixpanelError, match='column "evnt" does not exist'):
        postgres_query.run("SELECT evnt FROM export", LIMITS)


def test_names_are_found_wherever_they_are() -> None:
    """In texts too, where a name is refused without need; plain words are not."""
    with pytest.raises(ConfigError, match="pg_read_file is refused"):
        check_statement("SELECT 'pg_read_file' -- a text", set)
    with pytest.raises(ConfigError, match="dblink is refused"):
        check_statement("WITH x AS (SELECT * FROM dblink('', '')) SELECT 1", lambda: {"dblink"})
    for call in ("dblink ('')", '"dblink"\n(1)', "dblink/* /* */ */('')", "dblink--\n('')"):
        with pytest.raises(ConfigError, match="dblink is refused"):
            check_statement(f"SELECT {call}", lambda: {"dblink"})
    check_statement("SELECT event, pg_typeof(event), random() FROM export", lambda: {"run"})
    check_statement("SELECT 'the dblink' AS event, price FROM dblink", lambda: {"dblink", "price"})
    with pytest.raises(ConfigError, match="run text is refused"):
        check_statement("SELECT \"run text\"('x')", lambda: {"run text"})


def test_query_finds_the_dataset(any_lab: Lab) -> None:
    """A pipeline's dataset is found by the same names as everywhere, with its properties."""
    any_lab.sync("export")
    kind = any_lab.pipeline.destination.destination_name
    queries = open_queries(kind, dataset="mixpanel", name="mixpanel")
    result = queries.run(
        "SELECT count(*) FROM mixpanel.export AS one JOIN export AS same USING (event_key)",
        LIMITS,
    )
    assert result.rows == [[24]]


def test_other_destinations_say_that_they_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but DuckDB and Postgres has such connections."""
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", "files")
    with pytest.raises(ConfigError, match="Queries are for duckdb and postgres"):
        open_queries("filesystem", dataset="mixpanel", name="mixpanel")


def test_file_in_use_is_reported(file: Path) -> None:
    """A job that is loading has the file; the query can be run again later."""
    holder = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(BusyError, match="open in another process"):
            DuckDbQueries(file, "main").run("SELECT 1", LIMITS)
        process.communicate(b"\n")
