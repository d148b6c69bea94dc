"""Settings of the package for tests: as arguments, environment variables and files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

from mixpanel_sandbox import Sandbox
from tests.support.projects import ANCHOR

PREFIX = "SOURCES__MIXPANEL__"

UNLIMITED: dict[str, Any] = {
    "queries_per_hour": None,
    "exports_per_hour": None,
    "exports_per_second": None,
    "schemas_per_minute": None,
}
"""Options of a sandbox without limits over time; a stopped clock would never let them pass."""


def settings_for(sandbox: Sandbox) -> dict[str, Any]:
    """Return the settings that read everything a sandbox serves, without client-side pacing."""
    return {
        "username": sandbox.username,
        "secret": sandbox.secret,
        "project_id": sandbox.project.project_id,
        "base_url": sandbox.url,
        "export_base_url": sandbox.url,
        "ingestion_base_url": sandbox.url,
        "anchor_date": min(sandbox.project.events, default=ANCHOR),
        "requests_per_second": 1000,
        "requests_per_hour": 0,
        "retry_base_seconds": 0.01,
    }


def as_environment(settings: Mapping[str, Any], *, prefix: str = PREFIX) -> dict[str, str]:
    """Return settings as environment variables, which commands and scripts read."""
    return {f"{prefix}{name.upper()}": str(value) for name, value in settings.items()}


def set_environment(
    monkeypatch: pytest.MonkeyPatch, settings: Mapping[str, Any], *, prefix: str = PREFIX
) -> None:
    """Put settings into the environment of the running test."""
    for name, value in as_environment(settings, prefix=prefix).items():
        monkeypatch.setenv(name, value)


def write_dlt_file(directory: Path, name: str, text: str) -> None:
    """Write `.dlt/<name>` below a directory and make dlt read it."""
    path = directory / ".dlt" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    Container()[PluggableRunContext].reload_providers()
