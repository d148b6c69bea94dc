"""The contenders: raw DuckDB as the limit, this project, and plain dlt; other tools are in `peers`.

A contender is a command, run in a new and empty directory each time.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import duckdb
import psycopg2

from mixpanel_source.destinations.ducklake.extensions import load_extensions, needed_extensions
from tests.support.postgres import execute

from .data import Manifest
from .server import CHANGED

ROOT = Path(__file__).parent.parent
BINARIES = Path(sys.executable).parent
BASE_URL = "SOURCES__MIXPANEL__BASE_URL"
DUCKDB_FILE = "bench.duckdb"
LAKES = {"delta": "Delta", "iceberg": "Iceberg", "parquet": "Parquet"}
"""Destination -> its label."""


@dataclass(frozen=True)
class Setup:
    """Inputs of a run: data, server, directories."""

    data: Path
    manifest: Manifest
    url: str
    """Base URL of the data server."""
    authority: Path
    """CA certificate to trust when the server replaces Mixpanel's hosts."""
    directory: Path
    """Working directory of the run, empty at its start."""
    tools: Path
    """Virtual environments of the peers."""
    postgres: str = ""
    """URL of a Postgres server, without a database name."""


@dataclass(frozen=True)
class Plan:
    """How to run a contender and count the rows it loaded."""

    command: list[str | Path]
    count: Callable[[], int]
    """Returns the number of rows after the run."""
    env: Mapping[str, str] = field(default_factory=dict)
    before: tuple[list[str | Path], ...] = ()
    """Commands to run first, not measured."""
    output: Path | None = None
    """File for stdout; None discards it."""
    size: Callable[[], int] | None = None
    """Returns the bytes that the rows take up after the run."""


@dataclass(frozen=True)
class Contender:
    """A way to load the data."""

    name: str
    description: str
    """Source, destination and method, in a few words."""
    plan: Callable[[Setup], Plan]
    omits: str = ""
    """What this project does and the contender does not."""
    max_events: int | None = None
    """Maximum number of events to run it on; None is unlimited."""
    deduplicates: bool = True
    """Whether it drops duplicate events."""
    profiles: bool = False
    """Whether it loads profiles instead of events."""
    install: Callable[[Path], object] | None = None
    """Creates its virtual environment below the given directory; raises if it fails."""

    def expected(self, manifest: Manifest) -> int:
        """Return the number of rows a correct run ends with."""
        if self.profiles:
            return manifest.profiles
        return manifest.rows if self.deduplicates else manifest.lines


def plan_rounds(
    contenders: Sequence[Contender], sizes: Sequence[int]
) -> dict[int, list[Contender]]:
    """Assign contenders to sizes.

    A contender with a maximum is run on a single size, the largest one up to its maximum, together
    with all contenders without a maximum, so that speeds are compared at the same size.

    Returns:
        Size -> contenders.
    """
    largest = max(sizes)
    limits = {
        contender: min(largest, contender.max_events or largest)
        for contender in contenders
        if contender.max_events is not None or contender.profiles
    }
    return {
        size: [contender for contender in contenders if limits.get(contender, size) == size]
        for size in sorted({*sizes, *limits.values()})
    }


def base_env(setup: Setup) -> dict[str, str]:
    """Return a minimal environment, independent of the settings of the machine."""
    return {
        "PATH": f"{BINARIES}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(setup.directory),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
    }


def count_duckdb(path: Path, table: str) -> int:
    """Count the rows of a table in a DuckDB file."""
    with duckdb.connect(str(path), read_only=True) as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - fixed names
    return int(row[0]) if row else 0


def count_ducklake(catalog: Path, table: str) -> int:
    """Count the rows of a table in a lake with a catalog in SQLite."""
    with duckdb.connect() as connection:
        load_extensions(connection, needed_extensions("sqlite", ""))
        connection.execute(f"ATTACH 'ducklake:sqlite:{catalog}' AS lake")
        row = connection.execute(f"SELECT count(*) FROM lake.{table}").fetchone()  # noqa: S608 - fixed names
    return int(row[0]) if row else 0


def count_postgres(url: str, table: str) -> int:
    """Count the rows of a table in a Postgres database."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 - fixed names
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def count_files(directory: Path) -> int:
    """Count the rows of all Parquet files below a directory."""
    files = f"{directory}/**/*.parquet"
    with duckdb.connect() as connection:
        row = connection.execute("SELECT count(*) FROM read_parquet($1)", [files]).fetchone()
    return int(row[0]) if row else 0


def size_on_disk(path: Path) -> int:
    """The bytes of a file, or of all files below a directory."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(file.stat().st_size for file in files)


def size_in_postgres(url: str, table: str) -> int:
    """The bytes of a table in a Postgres database, with its indexes."""
    query = f"SELECT pg_total_relation_size('{table}')"
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def plan_limit(setup: Setup, *, unique: str = "delete") -> Plan:
    """Plan raw DuckDB on the files of the server."""
    file = setup.directory / DUCKDB_FILE
    return Plan(
        [sys.executable, "-m", "benchmarks.limit", setup.data, file, "--unique", unique],
        partial(count_duckdb, file, "export"),
        base_env(setup),
        size=partial(size_on_disk, file),
    )


def plan_ours(
    setup: Setup, *, destination: str = "duckdb", workers: int = 1, compiled: bool = True
) -> Plan:
    """Plan `mixpanel-source backfill` of all days."""
    program: list[str | Path] = [BINARIES / "mixpanel-source"]
    if not compiled:
        program = [sys.executable, "-m", "benchmarks.row_path"]
    env = {**_our_env(setup), "SOURCES__MIXPANEL__WORKERS": str(workers)}
    if destination == "postgres":
        url = _new_database(setup)
        env["DESTINATION__POSTGRES__CREDENTIALS"] = url
        count = partial(count_postgres, url, "mixpanel.export")
        size = partial(size_in_postgres, url, "mixpanel.export")
    elif destination in LAKES:
        lake = setup.directory / "lake"
        size = partial(size_on_disk, lake / "mixpanel/export")
        env[f"DESTINATION__{destination.upper()}__BUCKET_URL"] = str(lake)
        # a first load leaves no files of earlier versions
        count = partial(count_files, lake / "mixpanel/export")
    elif destination == "ducklake":
        count = partial(count_ducklake, setup.directory / "ducklake.sqlite", "mixpanel.export")
        size = partial(size_on_disk, setup.directory / "ducklake.files/mixpanel/export")
    else:
        size = partial(size_on_disk, setup.directory / DUCKDB_FILE)
        count = partial(count_duckdb, setup.directory / DUCKDB_FILE, "mixpanel.export")
    command = ["backfill", "--range", setup.manifest.range, "--destination", destination]
    return Plan([*program, *command], count, env, size=size)


def plan_our_profiles(setup: Setup, *, again: str | None = None, destination: str) -> Plan:
    """Plan `mixpanel-source sync` of the profiles.

    Args:
        setup: Inputs of the run.
        again: Not the first sync, but a second one, which reads from this path of the server.
        destination: dlt's name of it.
    """
    command: list[str | Path] = [BINARIES / "mixpanel-source", "sync", "--tables", "engage"]
    command += ["--destination", destination]
    env = _our_env(setup)
    if destination == "postgres":
        url = _new_database(setup)
        env["DESTINATION__POSTGRES__CREDENTIALS"] = url
        count = partial(count_postgres, url, "mixpanel.engage")
    else:
        count = partial(count_duckdb, setup.directory / DUCKDB_FILE, "mixpanel.engage")
    if again is None:
        return Plan(command, count, env)
    second: list[str | Path] = ["env", f"{BASE_URL}={setup.url}{again}", *command]
    return Plan(second, count, env, before=(command,))


def plan_plain_dlt(setup: Setup) -> Plan:
    """Plan dlt with its defaults and a dict per event."""
    return Plan(
        [sys.executable, "-m", "benchmarks.plain_dlt", setup.url, setup.manifest.range],
        partial(count_duckdb, setup.directory / DUCKDB_FILE, "mixpanel.export"),
        {**base_env(setup), **_dlt_env(setup)},
    )


def _our_env(setup: Setup) -> dict[str, str]:
    settings = {
        "USERNAME": "bench",
        "SECRET": "bench",
        "PROJECT_ID": "1",
        "BASE_URL": setup.url,
        "EXPORT_BASE_URL": setup.url,
        # measure without waiting for Mixpanel's quota
        "REQUESTS_PER_SECOND": "1000",
        "REQUESTS_PER_HOUR": "0",
    }
    variables = {f"SOURCES__MIXPANEL__{name}": value for name, value in settings.items()}
    return {**base_env(setup), **_dlt_env(setup), **variables}


def _dlt_env(setup: Setup) -> dict[str, str]:
    return {
        "DLT_DATA_DIR": str(setup.directory / "dlt"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "DESTINATION__DUCKDB__CREDENTIALS": str(setup.directory / DUCKDB_FILE),
    }


def _new_database(setup: Setup) -> str:
    name = "bench"
    execute(f"{setup.postgres}/postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    execute(f"{setup.postgres}/postgres", f"CREATE DATABASE {name}")
    return f"{setup.postgres}/{name}"


_LIMIT_LESS = "no network, no state, nothing replaced; the type of each property is given"
LIMIT = Contender(
    "limit",
    "files on disk -> DuckDB table, by DuckDB alone: all inserted, then duplicates deleted",
    plan_limit,
    omits=_LIMIT_LESS,
)
LIMIT_WINDOW = Contender(
    "limit-window",
    "files on disk -> DuckDB table, by DuckDB alone: one statement with a window function",
    partial(plan_limit, unique="window"),
    omits=_LIMIT_LESS,
)
OURS = (
    *(
        Contender(
            f"us-{destination}-{workers}",
            f"HTTP -> {label} table, merged by day; workers = {workers}",
            partial(plan_ours, destination=destination, workers=workers),
        )
        for destination, label in (
            ("duckdb", "DuckDB"),
            ("postgres", "Postgres"),
            ("ducklake", "DuckLake"),
            *LAKES.items(),
        )
        for workers in (1, 2)
    ),
    Contender(
        "us-row-path",
        "HTTP -> DuckDB table, merged by day; without compiled code, workers = 2",
        partial(plan_ours, workers=2, compiled=False),
    ),
    *(
        Contender(
            f"us-engage-{destination}-{name}",
            f"profiles, HTTP -> {label} table, {what}",
            partial(plan_our_profiles, again=again, destination=destination),
            profiles=True,
        )
        for destination, label in (("duckdb", "DuckDB"), ("postgres", "Postgres"))
        for name, what, again in (
            ("first", "first sync", None),
            ("same", "second sync: no profile has changed", ""),
            ("changed", "second sync: 1 % of the profiles have changed", CHANGED),
        )
    ),
)
PLAIN_DLT = Contender(
    "plain-dlt",
    "HTTP -> DuckDB table, a dict per event through dlt with its defaults, merged by key",
    plan_plain_dlt,
    omits="responses not verified, no quota, default names and types of dlt",
    max_events=50_000,
)
