"""What is compared: the limit, this project, and the plain way to write it; peers are in `peers`.

A contender is one command, run in a directory of its own that is new each time.
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

from tests.conftest import execute

from .data import Manifest

ROOT = Path(__file__).parent.parent
BINARIES = Path(sys.executable).parent
DUCKDB_FILE = "bench.duckdb"


@dataclass(frozen=True)
class Site:
    """What a contender finds when it runs."""

    data: Path
    manifest: Manifest
    url: str
    """Of the server."""
    authority: Path
    """Certificate to trust when the server stands in for Mixpanel's own hosts."""
    directory: Path
    """Empty, for this run alone."""
    tools: Path
    """Where the environments of the peers are kept."""
    postgres: str = ""
    """URL of a Postgres server, before the name of a database."""


@dataclass(frozen=True)
class Plan:
    """How to run a contender on a site, and how to see what it loaded."""

    command: list[str | Path]
    count: Callable[[], int]
    """Rows that there are afterwards."""
    env: Mapping[str, str] = field(default_factory=dict)
    before: tuple[list[str | Path], ...] = ()
    """Commands to run first, which are not measured."""
    output: Path | None = None
    """Where stdout goes, if it matters."""


@dataclass(frozen=True)
class Contender:
    """One way to get the data."""

    name: str
    does: str
    """From where to where, in a few words."""
    plan: Callable[[Site], Plan]
    less: str = ""
    """What it does not do that this project does."""
    max_events: int | None = None
    """The most it is given; None is any number."""
    unique: bool = True
    """Whether it keeps an event once that is sent twice."""
    profiles: bool = False
    """Whether it loads profiles instead of events."""
    install: Callable[[Path], object] | None = None
    """Makes its environment below the directory of the tools; raises if it cannot."""

    def expected(self, manifest: Manifest) -> int:
        """Rows that there have to be in the end."""
        if self.profiles:
            return manifest.profiles
        return manifest.rows if self.unique else manifest.lines


def plan_rounds(
    contenders: Sequence[Contender], sizes: Sequence[int]
) -> dict[int, list[Contender]]:
    """Size -> the contenders to be run on it.

    One that takes only so much is run once, on as much of the largest size as it takes, and with it
    those that take any number of events: speeds are compared at one size.
    """
    largest = max(sizes)
    once = [one for one in contenders if one.max_events is not None or one.profiles]
    limits = {one: min(largest, one.max_events or largest) for one in once}
    return {
        size: [one for one in contenders if limits.get(one, size) == size]
        for size in sorted({*sizes, *limits.values()})
    }


def base_env(site: Site) -> dict[str, str]:
    """A small environment, so that nothing of the machine's own settings gets in."""
    return {
        "PATH": f"{BINARIES}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(site.directory),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
    }


def count_duckdb(path: Path, table: str) -> int:
    """Rows of a table in a DuckDB file."""
    with duckdb.connect(str(path), read_only=True) as connection:
        found = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
    return int(found[0]) if found else 0


def count_postgres(url: str, table: str) -> int:
    """Rows of a table in a Postgres database."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608
        found = cursor.fetchone()
    return int(found[0]) if found else 0


def plan_limit(site: Site, *, unique: str = "delete") -> Plan:
    """Raw DuckDB on the same files."""
    file = site.directory / DUCKDB_FILE
    return Plan(
        [sys.executable, "-m", "benchmarks.limit", site.data, file, "--unique", unique],
        partial(count_duckdb, file, "export"),
        base_env(site),
    )


def plan_ours(site: Site, *, destination: str = "duckdb", workers: int = 1) -> Plan:
    """`mixpanel-source backfill` of all days."""
    env = {**_our_env(site), "SOURCES__MIXPANEL__WORKERS": str(workers)}
    if destination == "postgres":
        url = _new_database(site)
        env["DESTINATION__POSTGRES__CREDENTIALS"] = url
        count = partial(count_postgres, url, "mixpanel.export")
    else:
        count = partial(count_duckdb, site.directory / DUCKDB_FILE, "mixpanel.export")
    command = ["backfill", "--range", site.manifest.range, "--destination", destination]
    return Plan([BINARIES / "mixpanel-source", *command], count, env)


def plan_our_profiles(site: Site, *, again: bool = False) -> Plan:
    """`mixpanel-source sync` of the profiles, for the first time or after it was done before."""
    command: list[str | Path] = [BINARIES / "mixpanel-source", "sync", "--tables", "engage"]
    return Plan(
        command,
        partial(count_duckdb, site.directory / DUCKDB_FILE, "mixpanel.engage"),
        _our_env(site),
        before=(command,) if again else (),
    )


def plan_plain_dlt(site: Site) -> Plan:
    """A dict per event through dlt, with its defaults."""
    return Plan(
        [sys.executable, "-m", "benchmarks.plain_dlt", site.url, site.manifest.range],
        partial(count_duckdb, site.directory / DUCKDB_FILE, "mixpanel.export"),
        {**base_env(site), **_dlt_env(site)},
    )


def _our_env(site: Site) -> dict[str, str]:
    settings = {
        "USERNAME": "bench",
        "SECRET": "bench",
        "PROJECT_ID": "1",
        "BASE_URL": site.url,
        "EXPORT_BASE_URL": site.url,
        # the quota is Mixpanel's, and not what is measured
        "REQUESTS_PER_SECOND": "1000",
        "REQUESTS_PER_HOUR": "0",
    }
    own = {f"SOURCES__MIXPANEL__{name}": value for name, value in settings.items()}
    return {**base_env(site), **_dlt_env(site), **own}


def _dlt_env(site: Site) -> dict[str, str]:
    return {
        "DLT_DATA_DIR": str(site.directory / "dlt"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "DESTINATION__DUCKDB__CREDENTIALS": str(site.directory / DUCKDB_FILE),
    }


def _new_database(site: Site) -> str:
    name = "bench"
    execute(f"{site.postgres}/postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    execute(f"{site.postgres}/postgres", f"CREATE DATABASE {name}")
    return f"{site.postgres}/{name}"


_LIMIT_LESS = "no network, no state, nothing replaced; told the type of each property beforehand"
LIMIT = Contender(
    "limit",
    "files on disk -> DuckDB table, by DuckDB alone: all inserted, then repeated rows deleted",
    plan_limit,
    less=_LIMIT_LESS,
)
LIMIT_WINDOW = Contender(
    "limit-window",
    "files on disk -> DuckDB table, by DuckDB alone: one statement with a window function",
    partial(plan_limit, unique="window"),
    less=_LIMIT_LESS,
)
OURS = (
    *(
        Contender(
            f"us-{destination}-{workers}",
            f"HTTP -> {label} table, merged by day; workers = {workers}",
            partial(plan_ours, destination=destination, workers=workers),
        )
        for destination, label in (("duckdb", "DuckDB"), ("postgres", "Postgres"))
        for workers in (1, 2)
    ),
    Contender(
        "us-engage",
        "profiles, HTTP -> DuckDB table, first sync",
        plan_our_profiles,
        profiles=True,
    ),
    Contender(
        "us-engage-again",
        "profiles, HTTP -> DuckDB table, second sync: all replaced",
        partial(plan_our_profiles, again=True),
        profiles=True,
    ),
)
PLAIN_DLT = Contender(
    "plain-dlt",
    "HTTP -> DuckDB table, a dict per event through dlt with its defaults, merged by key",
    plan_plain_dlt,
    less="replies not verified, no quota, names and types as dlt makes them",
    max_events=50_000,
)
