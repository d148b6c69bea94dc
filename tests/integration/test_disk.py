"""Full disks, locked and unreachable databases: one line per error, and a rerun recovers."""

from __future__ import annotations

import base64
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dlt
import pytest

from mixpanel_sandbox import Project, Sandbox
from mixpanel_source import cli, open_pipeline
from mixpanel_source.destinations.registry import target_of
from mixpanel_source.errors import BusyError, MixpanelError
from mixpanel_source.jobs.lock import pipeline_lock
from mixpanel_source.tables.package import TablePart
from tests.support.fidelity import assert_same, read_rows, served_events
from tests.support.lab import Lab, open_lab
from tests.support.postgres import execute
from tests.support.projects import ANCHOR, YESTERDAY, add_event, make_project
from tests.support.settings import as_environment, settings_for
from tests.support.slow import slow_except

HELD_BY_ANOTHER = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print(); input()"
WITH_LIMIT = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
from mixpanel_source import cli
sys.exit(cli.main(sys.argv[2:]))
"""
"""A process with a maximum file size, which acts like a full disk."""
ROOM_BYTES = 2_000_000


def run_backfill(sandbox: Sandbox, *, limit: int = 10**9) -> tuple[int, str]:
    """Backfill all days of a project in a process; returns its exit code and stderr."""
    first, last = min(sandbox.project.events), max(sandbox.project.events)
    done = subprocess.run(
        [
            *(sys.executable, "-c", WITH_LIMIT, str(limit)),
            *("backfill", "--range", f"{first},{last}"),
        ],
        env={**os.environ, **as_environment(settings_for(sandbox))},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def complaints(stderr: str) -> list[str]:
    """The lines of stderr that do not report progress."""
    return [line for line in stderr.splitlines() if not line.startswith("export 20")]


def incompressible(size: int) -> str:
    """Random text of a given length, which compression hardly makes smaller."""
    return base64.b64encode(random.Random(7).randbytes(size * 3 // 4)).decode()  # noqa: S311


@pytest.mark.slow
def test_full_disk() -> None:
    """A day that does not fit fails, earlier days stay; with room, a rerun loads all days."""
    project = make_project(ANCHOR, YESTERDAY)
    middle = sorted(project.events)[3]
    for number in range(10):
        add_event(project, middle, 10 + number, blob=incompressible(ROOM_BYTES // 4))
    with Sandbox(project, exports_per_hour=None, exports_per_second=None) as sandbox:
        code, stderr = run_backfill(sandbox, limit=ROOM_BYTES)
        (error,) = complaints(stderr)
        assert code == cli.FAILED
        assert error.startswith("error: The spool directory ")
        assert error.endswith(
            "cannot be written: File too large. Make room, or set DLT_DATA_DIR to a directory on "
            "another disk."
        )
        assert_loaded(project, before=str(middle))
        assert run_backfill(sandbox)[0] == cli.DONE
    assert_loaded(project)


def assert_loaded(project: Project, *, before: str = "9999") -> None:
    """`mixpanel.duckdb` holds exactly the events of the days before `before`."""
    served = (row for row in served_events(project) if str(row.day) < before)
    assert_same(served, read_rows(open_pipeline(), "export"))


@pytest.mark.parametrize(
    "place",
    slow_except(["spool"], ("spool", "../..", "..", "", "dlt", "dlt/mixpanel")),
    ids=["spool", "data", "ours", "target", "pipelines", "working"],
)
def test_file_in_place_of_a_directory(place: str) -> None:
    """The error names the path; once the file is removed, a rerun loads all days."""
    directory = target_of(open_pipeline()).directory
    shutil.rmtree(directory.parents[1])
    path = Path(os.path.normpath(directory / place))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("in the way")
    project = make_project()
    with Sandbox(project, exports_per_hour=None, exports_per_second=None) as sandbox:
        code, stderr = run_backfill(sandbox)
        (error,) = complaints(stderr)
        assert code == cli.FAILED
        assert str(path) in error
        path.unlink()
        assert run_backfill(sandbox)[0] == cli.DONE
    assert_loaded(project)


@contextmanager
def held_database(path: Path) -> Iterator[None]:
    """Another process has a DuckDB file open for writing."""
    with subprocess.Popen(
        [sys.executable, "-c", HELD_BY_ANOTHER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


def test_duckdb_open_in_another_process(lab: Lab, tmp_path: Path) -> None:
    """A locked DuckDB file is reported before any request to Mixpanel."""
    lab.sync("export")
    with held_database(tmp_path / "mixpanel.duckdb"):
        with pytest.raises(
            BusyError, match=r"open in another process, python\S* \(process \d+\)"
        ) as raised:
            lab.sync("export", max_wait_s=0)
        assert lab.exported == []
    assert_one_line(raised.value)
    assert lab.sync("export").failures == {}
    lab.assert_events_kept()


def test_duckdb_opened_by_another_process_during_a_sync(tmp_path: Path) -> None:
    """A DuckDB file locked while fetching is reported; a rerun fetches nothing twice."""
    requests: list[str] = []
    held = ExitStack()

    def hold(line: str) -> None:
        if not requests:
            held.enter_context(held_database(tmp_path / "mixpanel.duckdb"))
        requests.append(line)

    with open_lab(make_project(), log=hold) as lab:
        with held:
            failure = lab.sync("export").failures[TablePart("export")]
        assert_one_line(failure)
        assert "open in another process" in str(failure)
        assert failure.exit_code == cli.LATER
        assert lab.sync("export").failures == {}
        assert lab.exported == []
        lab.assert_events_kept()


def assert_one_line(failure: MixpanelError) -> None:
    """The message is one line, without a traceback."""
    assert "\n" not in str(failure)
    assert "Traceback" not in str(failure)
    assert "<class" not in str(failure)


@pytest.mark.parametrize("last_request", [1, 8], ids=["while fetching", "before loading"])
def test_postgres_refuses_connections_during_a_sync(
    postgres: str, postgres_server: str, last_request: int
) -> None:
    """The error is reported and state does not move; a rerun loads what was fetched."""
    name = postgres.rpartition("/")[2]
    admin = f"{postgres_server}/postgres"
    requests: list[str] = []

    def shut(line: str) -> None:
        requests.append(line)
        if len(requests) == last_request:
            execute(admin, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            execute(
                admin,
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
            )

    pipeline = dlt.pipeline(
        "mixpanel", destination=dlt.destinations.postgres(postgres), dataset_name="mixpanel"
    )
    with open_lab(make_project(), pipeline, log=shut) as lab:
        failure = lab.sync("export").failures[TablePart("export")]
        assert_one_line(failure)
        assert "locked the dataset mixpanel for this job was lost" in str(failure)
        assert not lab.pipeline.has_pending_data
        execute(admin, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert lab.sync("export").failures == {}
        assert lab.exported == []
        lab.assert_events_kept()
        assert not lab.pipeline.has_pending_data


def remove(*parts: str) -> Callable[[Path], None]:
    """Returns a function that removes parts of a working directory."""

    def damage(directory: Path) -> None:
        for path in (path for part in parts for path in directory.parent.glob(part)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        remove("mixpanel/state.json"),
        remove("mixpanel/load/normalized/*/*"),
        *(
            pytest.param(remove(*parts), marks=pytest.mark.slow)
            for parts in (
                ("mixpanel/schemas/*",),
                ("mixpanel/schemas",),
                ("mixpanel/schemas/*", "mixpanel/state.json"),
                ("mixpanel/load",),
                ("mixpanel/load/normalized/*/schema.json",),
                ("mixpanel/load/normalized/*/load_package_state.json",),
                ("mixpanel/load/.version",),
                ("mixpanel/normalize",),
                ("mixpanel/*",),
                ("mixpanel",),
            )
        ),
    ],
    ids=[
        *("state", "package", "each schema", "schemas", "schemas and state", "load"),
        *("its schema", "its state", "load version", "normalize", "content", "all"),
    ],
)
def test_damaged_working_directory_is_recreated(lab: Lab, damage: Callable[[Path], None]) -> None:
    """A sync recovers from any files missing after a kill."""
    lab.sync("export")
    lab.leave_pending_package("export")
    damage(Path(lab.pipeline.working_dir))
    # as a new process would
    lab.pipeline = open_pipeline()
    assert lab.sync("export").failures == {}
    lab.assert_events_kept()


def test_files_of_a_job_under_way_are_left_alone(lab: Lab) -> None:
    """They may be inconsistent for an instant; without a job they are removed as damaged."""
    lab.sync("export")
    directory = Path(lab.pipeline.working_dir)
    kept = directory / "kept"
    kept.touch()
    with pipeline_lock(lab.pipeline):
        for schema in directory.glob("schemas/*.json"):
            schema.write_bytes(b"")
        with pytest.raises(BusyError, match="is changing its files"):
            open_pipeline()
        assert kept.exists()
    lab.pipeline = open_pipeline()
    assert not kept.exists()
    assert lab.sync("export").failures == {}
    lab.assert_events_kept()


def half(content: bytes) -> bytes:
    """The first half."""
    return content[: len(content) // 2]


def nothing(_content: bytes) -> bytes:
    """An empty file."""
    return b""


def zeros(content: bytes) -> bytes:
    """As many zeros."""
    return bytes(len(content))


@pytest.mark.parametrize(
    ("pattern", "damage"),
    [
        pytest.param("state.json", half, marks=pytest.mark.slow),
        pytest.param("schemas/*.json", zeros, marks=pytest.mark.slow),
        pytest.param("load/normalized/*/new_jobs/*.parquet", half, marks=pytest.mark.slow),
        ("spool/*.json*", half),
        pytest.param("*", nothing, marks=pytest.mark.slow),
        ("*", zeros),
    ],
)
def test_damaged_files_are_replaced(
    lab: Lab, tmp_path: Path, pattern: str, damage: Callable[[bytes], bytes]
) -> None:
    """After a power cut that damaged some files, a sync gives the same rows."""
    lab.overrides["anchor_date"] = YESTERDAY
    lab.sync("export")
    lab.leave_pending_package("export")
    data = tmp_path / "dlt-data"
    damaged = [path for path in data.rglob("*") if path.is_file() and path.match(pattern)]
    assert damaged
    for path in damaged:
        path.write_bytes(damage(path.read_bytes()))
    lab.pipeline = open_pipeline()
    assert lab.sync("export").failures == {}
    lab.assert_events_kept(YESTERDAY)
