"""`mixpanel-source sandbox`.

The only module that imports `mixpanel_sandbox`, and only once it runs.
"""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ConfigError
from ..exit_codes import DONE
from ..parser import Commands, add_command

if TYPE_CHECKING:
    from mixpanel_sandbox import Project, Sandbox

PORT = 8088
DAYS = 30
"""Days of events in a made-up project, up to yesterday."""


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    summary = "Serve a local Mixpanel, made up or from --data, until interrupted."
    parser = add_command(commands, "sandbox", run, summary=summary)
    parser.add_argument("--port", type=int, default=PORT, help=f"(default: {PORT})")
    parser.add_argument("--data", type=Path, metavar="DIR", help="serve the project in DIR")
    parser.add_argument(
        "--target",
        action="store_true",
        help="serve an empty project in Europe as well, for mixpanel-destination to write to",
    )
    parser.add_argument(
        "--plan",
        choices=("free", "growth"),
        default="growth",
        help="the project's plan; free has no API for profiles, cohorts and reports "
        "(default: growth)",
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="KIND[:KEY=VALUE,...]",
        help="what goes wrong, such as 500:request=3 or slow:table=export,seconds=5; an unknown "
        "KIND or KEY lists the valid ones; may be repeated",
    )


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    from mixpanel_sandbox import Project, Sandbox, parse_fault

    try:
        project = Project.from_directory(options.data) if options.data else _made_up_project()
        faults = [parse_fault(text) for text in options.fault]
    except (ValueError, OSError) as error:
        raise ConfigError(str(error)) from error
    project.plan = options.plan
    others = [_empty_project(project)] if options.target else []
    with Sandbox(project, others=others, port=options.port, faults=faults, log=print) as sandbox:
        print(_settings(sandbox, project), flush=True)
        for target in others:
            print(_target_settings(sandbox, target), flush=True)
        with suppress(KeyboardInterrupt):
            sandbox.serve_forever()
    return DONE


def unlimited_sandbox() -> Sandbox:
    """A sandbox with a made-up project and without quotas."""
    from mixpanel_sandbox import Sandbox

    return Sandbox(
        _made_up_project(), queries_per_hour=None, exports_per_hour=None, exports_per_second=None
    )


def _made_up_project() -> Project:
    from datetime import datetime, timezone

    from mixpanel_sandbox import made_up_project

    from ...windows import DAY

    today = datetime.now(timezone.utc).date()
    return made_up_project(last_day=today - DAY, days=DAYS)


def _empty_project(project: Project) -> Project:
    from mixpanel_sandbox import Project

    return Project(project_id=project.project_id + 1, name="Empty", region="eu")


def _settings(sandbox: Sandbox, project: Project) -> str:
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


def _target_settings(sandbox: Sandbox, project: Project) -> str:
    """What to set in a shell to write to a project of the sandbox."""
    url = sandbox.url_of(project.region)
    values = {
        "USERNAME": sandbox.username,
        "SECRET": sandbox.secret,
        "TOKEN": project.token,
        "PROJECT_ID": project.project_id,
        "REGION": project.region,
        "BASE_URL": url,
        "EXPORT_BASE_URL": url,
        "INGESTION_BASE_URL": url,
    }
    lines = [f"export DESTINATION__MIXPANEL__{name}={value}" for name, value in values.items()]
    return "\n".join(["# to write to the empty project:", *lines])
