"""The command line: `mixpanel-source ...`.

Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 75 stopped for now, run again later.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import settings
from .errors import AuthError, BusyError, ConfigError, MixpanelError, PausedError

if TYPE_CHECKING:
    from dlt import Pipeline

    from .sandbox import Project, Sandbox
    from .sync import Report

DONE, FAILED, WRONG_USAGE, LATER = 0, 1, 2, os.EX_TEMPFAIL

SUMMARY = "Load Mixpanel events, profiles and cohorts into DuckDB, Postgres or elsewhere."
DEMO_DAYS = 30
DEMO_QUERY = (
    "SELECT event, count(*) AS events, count(DISTINCT distinct_id) AS users "
    "FROM mixpanel.export GROUP BY event ORDER BY events DESC LIMIT 10"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    options = build_parser().parse_args(arguments)
    # lines of progress are for people, and go where they do not mix with the result
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    logging.getLogger("mixpanel_source").setLevel(logging.DEBUG if options.debug else logging.INFO)
    # nobody is told that the pipeline runs, and what dlt logs, values of events at times, stays off
    # the screen: what matters of it comes as an error
    os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
    os.environ.setdefault("RUNTIME__LOG_LEVEL", "CRITICAL")
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except MixpanelError as error:
        if options.debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        print("stopped; run the same command again to go on.", file=sys.stderr)
        return FAILED


def exit_code(error: MixpanelError) -> int:
    """The exit code for what went wrong."""
    if isinstance(error, ConfigError | AuthError):
        return WRONG_USAGE
    return LATER if isinstance(error, BusyError | PausedError) else FAILED


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    target = argparse.ArgumentParser(add_help=False)
    target.add_argument(
        "--destination", default="duckdb", help="any destination of dlt (default: duckdb)"
    )
    target.add_argument(
        "--dataset", default=settings.DATASET_NAME, help="dataset, or schema (default: mixpanel)"
    )
    target.add_argument(
        "--pipeline",
        default=settings.PIPELINE_NAME,
        help="name of the pipeline (default: mixpanel)",
    )
    target.add_argument(
        "--max-wait",
        type=float,
        default=settings.QUOTA_PATIENCE_SECONDS,
        metavar="SECONDS",
        help="longest wait for the quota; after that stop, with exit code 75 (default: 21600)",
    )
    target.add_argument("--json", action="store_true", help="print the result as JSON")
    tables = argparse.ArgumentParser(add_help=False)
    tables.add_argument(
        "--tables",
        type=lambda text: [name.strip() for name in text.split(",") if name.strip()],
        default=list(settings.DEFAULT_TABLES),
        help=f"out of {','.join(settings.TABLES)} (default: {','.join(settings.DEFAULT_TABLES)})",
    )

    parser = argparse.ArgumentParser(prog="mixpanel-source", description=SUMMARY)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(
        name: str, run: Callable[[argparse.Namespace], int], parents: Sequence[Any] = ()
    ) -> argparse.ArgumentParser:
        summary = (run.__doc__ or "").strip()
        command = commands.add_parser(
            name, parents=[common, *parents], help=summary, description=summary
        )
        command.set_defaults(run=run)
        return command

    add("sync", run_sync, [tables, target])
    command = add("backfill", run_backfill, [target])
    command.add_argument(
        "--range", required=True, metavar="FIRST,LAST", help="two days, both inclusive"
    )
    add("check", run_check, [tables])
    command = add("sandbox", run_sandbox)
    command.add_argument("--port", type=int, default=8088, help="(default: 8088)")
    command.add_argument("--data", type=Path, metavar="DIR", help="serve the project in DIR")
    command.add_argument("--plan", choices=("free", "growth"), default="growth")
    command.add_argument("--fault", action="append", default=[], metavar="KIND[:KEY=VALUE,...]")
    add("demo", run_demo)
    return parser


def run_sync(options: argparse.Namespace) -> int:
    """Bring the tables up to date; safe to run at any time."""
    with swift_imports():
        from .sync import check_tables, sync

    check_tables(options.tables)
    report = sync(options.tables, pipeline=_pipeline(options), max_wait_s=options.max_wait)
    return _finish(report, as_json=options.json)


def run_backfill(options: argparse.Namespace) -> int:
    """Load the events of a range of days; the cursor of syncs stays where it is."""
    from .config import parse_range

    with swift_imports():
        from .sync import backfill

    parse_range("range", options.range)
    report = backfill(options.range, pipeline=_pipeline(options), max_wait_s=options.max_wait)
    return _finish(report, as_json=options.json)


def run_check(options: argparse.Namespace) -> int:
    """Find out whether the tables would load, at a request each."""
    with swift_imports():
        from .check import check
        from .sync import check_tables

    check_tables(options.tables)
    found = check(options.tables)
    for table, error in found.items():
        print(f"{table}: {error or 'will load'}")
    return FAILED if any(found.values()) else DONE


def run_sandbox(options: argparse.Namespace) -> int:
    """Serve a local Mixpanel until interrupted."""
    from .sandbox import Project, Sandbox, parse_fault

    try:
        project = Project.from_directory(options.data) if options.data else _made_up_project()
        faults = [parse_fault(text) for text in options.fault]
    except (ValueError, OSError) as error:
        raise ConfigError(str(error)) from error
    project.plan = options.plan
    with Sandbox(project, port=options.port, faults=faults, log=print) as sandbox:
        print(_sandbox_settings(sandbox, project), flush=True)
        with suppress(KeyboardInterrupt):
            sandbox.serve_forever()
    return DONE


def run_demo(_options: argparse.Namespace) -> int:
    """Load a made-up project into mixpanel.duckdb; no account needed."""
    from .sandbox import Sandbox
    from .sync import sync

    project = _made_up_project()
    with Sandbox(
        project, queries_per_hour=None, exports_per_hour=None, exports_per_second=None
    ) as sandbox:
        report = sync(
            settings.TABLES,
            username=sandbox.username,
            secret=sandbox.secret,
            project_id=project.project_id,
            base_url=sandbox.url,
            export_base_url=sandbox.url,
            anchor_date=min(project.events),
            # our own server needs no sparing
            requests_per_second=100,
            requests_per_hour=0,
        )
    code = _finish(report, as_json=False)
    print(
        "\nThese were made-up events. To see which of them happened most:\n"
        f'  {sys.executable} -c "import duckdb; '
        f"duckdb.connect('{settings.DUCKDB_FILE}').sql('{DEMO_QUERY}').show()\"\n"
        "To load your own project: copy .dlt/secrets.toml.example to .dlt/secrets.toml, fill it\n"
        "in, and make room, for a dataset holds one project:\n"
        f"  rm {settings.DUCKDB_FILE} && mixpanel-source check && mixpanel-source sync"
    )
    return code


@contextmanager
def swift_imports() -> Iterator[None]:
    """Import without looking for garbage: there is none, and looking takes a sixth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _pipeline(options: argparse.Namespace) -> Pipeline:
    from .sync import open_pipeline

    return open_pipeline(options.destination, dataset=options.dataset, name=options.pipeline)


def _made_up_project() -> Project:
    from datetime import datetime, timezone

    from .sandbox import made_up_project
    from .windows import DAY

    today = datetime.now(timezone.utc).date()
    return made_up_project(last_day=today - DAY, days=DEMO_DAYS)


def _sandbox_settings(sandbox: Sandbox, project: Project) -> str:
    """What to set in a shell to read from the sandbox."""
    values = {
        "USERNAME": sandbox.username,
        "SECRET": sandbox.secret,
        "PROJECT_ID": project.project_id,
        "BASE_URL": sandbox.url,
        "EXPORT_BASE_URL": sandbox.url,
        "ANCHOR_DATE": min(project.events, default=None),
    }
    lines = [f"export SOURCES__MIXPANEL__{name}={value}" for name, value in values.items() if value]
    return "\n".join(["# a local Mixpanel is running; in another shell:", *lines])


def _finish(report: Report, *, as_json: bool) -> int:
    """Print what a job did."""
    from .sync import location

    requests = sum(window.requests for window in report.windows)
    repaired = sum(window.repairs.total() for window in report.windows)
    if as_json:
        summary = {
            "rows": dict(report.rows),
            "requests": requests,
            "values_repaired": repaired,
            "seconds": round(report.seconds, 1),
            "destination": location(report.pipeline),
            "dataset": report.pipeline.dataset_name,
            "failures": {table: str(error) for table, error in report.failures.items()},
        }
        print(json.dumps(summary))
    else:
        for table, rows in report.rows.items():
            print(f"{table}: {rows:,} rows")
        print(
            f"{sum(report.rows.values()):,} rows in {report.seconds:.1f} s, {requests} requests, "
            f"{repaired:,} values repaired; in {location(report.pipeline)}"
        )
    for error in report.failures.values():
        print(f"error: {error}", file=sys.stderr)
    codes = {exit_code(error) for error in report.failures.values()}
    return min(codes, default=DONE)


if __name__ == "__main__":
    sys.exit(main())
