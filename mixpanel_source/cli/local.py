"""The commands that need no account: `sandbox` and `demo`."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from .. import constants
from ..catalog.tables import DEFAULT_TABLES
from ..errors import ConfigError
from .exit_codes import DONE
from .job import finish

if TYPE_CHECKING:
    from mixpanel_sandbox import Project, Sandbox

DEMO_DAYS = 30
DEMO_QUERY = (
    "SELECT event, count(*) AS events, count(DISTINCT distinct_id) AS users "
    "FROM mixpanel.export GROUP BY event ORDER BY events DESC LIMIT 10"
)


def run_sandbox(options: argparse.Namespace) -> int:
    """Serve a local Mixpanel until interrupted."""
    from mixpanel_sandbox import Project, Sandbox, parse_fault

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
    from mixpanel_sandbox import Sandbox

    from ..jobs.sync import sync

    project = _made_up_project()
    with Sandbox(
        project, queries_per_hour=None, exports_per_hour=None, exports_per_second=None
    ) as sandbox:
        report = sync(
            (*DEFAULT_TABLES, "cohorts"),
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
    code = finish(report)
    print(
        "\nThese were made-up events. To see which of them happened most:\n"
        f'  {sys.executable} -c "import duckdb; '
        f"duckdb.connect('{constants.DUCKDB_FILE}').sql('{DEMO_QUERY}').show()\"\n"
        "To load your own project: copy .dlt/secrets.toml.example to .dlt/secrets.toml, fill it\n"
        "in, and make room, for a dataset holds one project:\n"
        f"  rm {constants.DUCKDB_FILE} && mixpanel-source check && mixpanel-source sync"
    )
    return code


def _made_up_project() -> Project:
    from datetime import datetime, timezone

    from mixpanel_sandbox import made_up_project

    from ..windows import DAY

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
