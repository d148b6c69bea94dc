"""Loads on a Ray cluster are those of one process, with a worker killed too; on real Ray."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from mixpanel_sandbox import Fault, Project, Sandbox
from mixpanel_source import JobResult, backfill, cli, open_pipeline, sync
from mixpanel_source.engines import registry
from mixpanel_source.errors import ConfigError, ServerError
from mixpanel_source.tables.package import TablePart
from tests.support.projects import add_event
from tests.support.settings import UNLIMITED, settings_for
from tests.support.tables import select_all

ray = pytest.importorskip("ray")
deltalake = pytest.importorskip("deltalake")
pytest.importorskip("pyiceberg")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    # of Ray, about files and sockets of its processes
    pytest.mark.filterwarnings("default::ResourceWarning", "default::FutureWarning"),
    pytest.mark.filterwarnings("default::pytest.PytestUnraisableExceptionWarning"),
]

TODAY = datetime.now(timezone.utc).date()
DAYS = [TODAY - timedelta(days=back) for back in range(9, 1, -1)]
RANGE = f"{DAYS[0]},{DAYS[-1]}"
EXPORT = TablePart("export")


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """A local cluster of two workers, which all tests share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=100_000_000,
        )
        yield
        ray.shutdown()


@pytest.fixture
def project() -> Project:
    """Days with properties of their own, types that change, duplicates, and an empty day."""
    project = Project()
    for number, day in enumerate(DAYS):
        for minute in range(40):
            values: dict[str, Any] = {
                "drifts": minute if number % 2 else f"text {minute}",
                f"only {number}": minute,
                "Plan": minute,
                "plan ": [minute],
            }
            if number > 2:
                values |= {"price": minute + 0.5, "$plan": "late", "flag": minute % 2 == 0}
            add_event(project, day, minute, **values)
        add_event(project, day, 3, mp_processing_time_ms=1)
    project.events[DAYS[4]].clear()
    project.events[DAYS[5]].append(b'{"event":null,"properties":null}')
    return project


@pytest.fixture
def sandbox(project: Project) -> Iterator[Sandbox]:
    """Serves the project."""
    with Sandbox(project, **UNLIMITED) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def lakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where lakes are."""
    for name in ("delta", "iceberg"):
        monkeypatch.setenv(f"DESTINATION__{name.upper()}__BUCKET_URL", str(tmp_path / "lakes"))
    return tmp_path / "lakes"


def load(
    sandbox: Sandbox, engine: str, destination: str = "delta", **settings: Any
) -> tuple[JobResult, dict[str, list[Any]]]:
    """Load all days into a dataset of the engine's name; returns what is in the tables."""
    pipeline = open_pipeline(destination, dataset=f"of_{engine}", name=f"of_{engine}")
    given = {"retries": 0, **settings_for(sandbox), **settings}
    result = backfill(RANGE, pipeline=pipeline, engine=engine, **given)
    return result, tables_of(pipeline)


def tables_of(pipeline: Any) -> dict[str, list[Any]]:
    """Table -> its rows, without what differs between two loads."""
    tables = {}
    # a failed job leaves no local state
    pipeline.sync_destination()
    known = pipeline.default_schema.tables
    names = ("export", "_mixpanel_columns", "_mixpanel_loads", "_mixpanel_rejected")
    for table in filter(known.__contains__, names):
        rows = [
            {name: value for name, value in row.items() if "_dlt" not in name and "_at" not in name}
            for row in select_all(pipeline, table)
        ]
        texts = [json.dumps(row, default=str, sort_keys=True) for row in rows]
        tables[table] = sorted(texts)
    return tables


def windows(sandbox: Sandbox) -> Counter[str]:
    """Day -> requests."""
    return Counter(
        record.params["from_date"] for record in sandbox.requests if "from_date" in record.params
    )


@pytest.mark.parametrize("destination", ["delta", "iceberg"])
def test_rows_are_those_of_one_process(sandbox: Sandbox, destination: str, lakes: Path) -> None:
    """Columns, types, duplicates and what is told of the load too; one request a window."""
    _, expected = load(sandbox, "local", destination)
    assert windows(sandbox) == Counter(map(str, DAYS))
    sandbox.forget_requests()
    result, tables = load(sandbox, "ray", destination)
    assert result.failures == {}
    assert windows(sandbox) == Counter(map(str, DAYS))
    assert tables == expected
    assert (result.requests, result.rows) == (8, {"export": 7 * 40})
    if destination == "delta":
        history = deltalake.DeltaTable(str(lakes / "of_ray" / "export")).history()
        assert [entry["operation"] for entry in history].count("WRITE") == 1
    assert not [*lakes.parent.rglob("written")]
    # again, when all columns are known; late events come, others are gone
    day = DAYS[0]
    del sandbox.project.events[day][5]
    add_event(sandbox.project, day, 50, late=True)
    _, expected = load(sandbox, "local", destination)
    _, tables = load(sandbox, "ray", destination)
    assert tables["export"] == expected["export"]


def test_worker_that_is_killed_costs_its_task(sandbox: Sandbox) -> None:
    """Its window is loaded by another worker, and all others by one request each."""
    _, expected = load(sandbox, "local")
    sandbox.forget_requests()
    sandbox.inject(Fault("stall", day=DAYS[3], seconds=6))
    killed = Thread(target=kill_a_worker, args=(sandbox, str(DAYS[3])))
    killed.start()
    result, tables = load(sandbox, "ray")
    killed.join()
    assert result.failures == {}
    assert tables == expected
    requests = windows(sandbox)
    assert requests.pop(str(DAYS[3])) == 2
    # the other worker may have been killed instead, while it did another window
    assert sum(requests.values()) - len(requests) <= 1


def kill_a_worker(sandbox: Sandbox, day: str) -> None:
    """Kill all workers that have a task, once a day was requested."""
    give_up_at = time.monotonic() + 60
    while day not in windows(sandbox) and time.monotonic() < give_up_at:
        time.sleep(0.05)
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                command = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if command.startswith(b"ray::load_window"):
                os.kill(int(process.name), signal.SIGKILL)


def test_failed_window_ends_the_load_as_ever(sandbox: Sandbox) -> None:
    """What came before it is loaded, and the next run continues there."""
    _, expected = load(sandbox, "local")
    sandbox.inject(Fault("502", day=DAYS[5]))
    result, tables = load(sandbox, "ray")
    assert isinstance(result.failures[EXPORT], ServerError)
    assert len(tables["export"]) == 4 * 40
    sandbox.forget_requests()
    result, tables = load(sandbox, "ray")
    assert result.failures == {}
    # those after it were fetched ahead, and are in the spool
    assert set(windows(sandbox)) <= {str(DAYS[5]), str(DAYS[6]), str(DAYS[7])}
    assert {*tables["export"]} == {*expected["export"]}


def test_quota_is_that_of_the_project(sandbox: Sandbox) -> None:
    """Workers together take no more requests than the hour allows, and one at a time."""
    result, tables = load(sandbox, "ray", requests_per_hour=3, max_wait_s=0)
    assert len(sandbox.requests) == 3
    assert result.exit_code == 75
    assert len(tables["export"]) == 3 * 40
    assert result.requests_left["export"] == 0


def test_sync_and_command(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tables that are no events are loaded as ever, and the command takes the engine."""
    for name, value in settings_for(sandbox).items():
        monkeypatch.setenv(f"SOURCES__MIXPANEL__{name.upper()}", str(value))
    arguments = ["sync", "--destination", "delta", "--engine", "ray", "--json"]
    assert cli.main([*arguments, "--engine-workers", "2"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"]["export"] == 7 * 40
    sandbox.forget_requests()
    settings = settings_for(sandbox)
    assert sync(pipeline=open_pipeline("delta"), engine="ray", **settings).failures == {}
    assert date.fromisoformat(min(windows(sandbox))) > DAYS[0]


def test_other_destinations_are_refused() -> None:
    """Before anything is started."""
    with pytest.raises(ConfigError, match="delta and iceberg"):
        registry.open_engine("ray", open_pipeline("duckdb"))
    with pytest.raises(ConfigError, match="local, ray"):
        registry.open_engine("spark", open_pipeline("delta"))
