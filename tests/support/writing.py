"""A project to write to: its sandbox, its settings in the environment, and the command."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from mixpanel_destination import cli
from mixpanel_destination.runs import ProjectRuns, RefusedRow, Send
from mixpanel_sandbox import Project, Sandbox
from tests.support.settings import set_environment

PREFIX = "DESTINATION__MIXPANEL__"
DAY_S = 86_400


def destination_settings(sandbox: Sandbox, project: Project | None = None) -> dict[str, Any]:
    """Return the settings that write to a project of a sandbox, without pace."""
    project = project or sandbox.project
    return {
        "username": sandbox.username,
        "secret": sandbox.secret,
        "token": project.token,
        "project_id": project.project_id,
        "base_url": sandbox.url,
        "export_base_url": sandbox.url,
        "ingestion_base_url": sandbox.url,
        "pace": 0,
    }


def make_event(number: int, **properties: Any) -> dict[str, Any]:
    """Return an event of yesterday, as a row."""
    yesterday = int(time.time()) // DAY_S * DAY_S - DAY_S
    values = {
        "time": yesterday + number % DAY_S,
        "distinct_id": f"u{number % 7}",
        "$insert_id": f"id-{number}",
        "price": number,
    }
    given = {**values, **properties}
    kept = {name: value for name, value in given.items() if value is not ...}
    return {"event": "Order", "properties": kept}


def write_lines(path: Path, rows: Iterable[Any]) -> Path:
    """Write rows as a file of JSON lines."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


@dataclass
class Writing:
    """Runs `mixpanel-destination` against a sandbox and looks at what it stored."""

    sandbox: Sandbox
    project: Project
    directory: Path
    _files: int = field(default=0)

    def run(self, *arguments: str | Path) -> int:
        """Run a command, and return its exit code."""
        return cli.main([str(argument) for argument in arguments])

    def import_(self, kind: str, rows: Iterable[Any] | Path, *options: str) -> int:
        """Import rows from a file, without a question."""
        source = rows if isinstance(rows, Path) else self.file(rows)
        project = f"--project-id={self.project.project_id}"
        return self.run("import", kind, "--from", source, project, "--yes", *options)

    def file(self, rows: Iterable[Any]) -> Path:
        """Write rows to a new file."""
        self._files += 1
        return write_lines(self.directory / f"rows-{self._files}.jsonl", rows)

    @property
    def posts(self) -> list[str]:
        """Paths of the requests that write."""
        return [record.path for record in self.sandbox.requests if record.method == "POST"]

    def events(self) -> list[dict[str, Any]]:
        """Return the stored events."""
        account = (self.sandbox.username, self.sandbox.secret)
        params = {"project_id": str(self.project.project_id)}
        # what was written becomes visible with the next request
        requests.get(f"{self.sandbox.url}/api/app/me", params, auth=account, timeout=10)
        return [json.loads(line) for lines in self.project.events.values() for line in lines]

    def find_secrets(self) -> list[Path]:
        """Return the files below the directory that hold the secret or the token."""
        secrets = (self.sandbox.secret.encode(), self.project.token.encode())
        files = [path for path in self.directory.rglob("*") if path.is_file()]
        return [path for path in files if any(secret in path.read_bytes() for secret in secrets)]

    @property
    def runs(self) -> ProjectRuns:
        """What is known of the runs on this machine."""
        return ProjectRuns(self.project.project_id)

    @property
    def last(self) -> Send:
        """The last run."""
        return self.runs.sends()[-1]

    def refused(self) -> list[RefusedRow]:
        """Return the refused rows of the last run."""
        return [*self.runs.log(self.last.run).refused()]


@contextmanager
def open_writing(
    monkeypatch: pytest.MonkeyPatch, directory: Path, project: Project, **options: Any
) -> Iterator[Writing]:
    """Serve a project to write to, with its settings in the environment."""
    with Sandbox(project, **options) as sandbox:
        set_environment(monkeypatch, destination_settings(sandbox), prefix=PREFIX)
        yield Writing(sandbox, project, directory)
