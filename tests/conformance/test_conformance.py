"""Runs every scenario on every destination."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from mixpanel_source import open_pipeline
from tests.conformance.adapters import ADAPTERS, Adapter
from tests.conformance.scenarios import FIRST, SCENARIOS, small_project
from tests.support.lab import Lab, open_lab
from tests.support.settings import set_environment

CASES = [(adapter, name) for adapter in ADAPTERS for name in SCENARIOS if name not in adapter.lacks]


def marks(adapter: Adapter, name: str) -> list[pytest.MarkDecorator]:
    """What is known of a case before it runs."""
    found = [] if name in adapter.quick else [pytest.mark.slow]
    if name == "kills":
        # most of the time goes into starting processes
        found.append(pytest.mark.timeout(300))
    missing = [p for p in adapter.packages if importlib.util.find_spec(p) is None]
    if missing:
        found.append(pytest.mark.skip(reason=f"{', '.join(missing)} not installed"))
    return found


@pytest.fixture
def conformance_lab(
    adapter: Adapter,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Lab]:
    """A small project, and a pipeline to an empty place of the adapter."""
    if adapter.fixture:
        request.getfixturevalue(adapter.fixture)
    for variable, value in adapter.settings(tmp_path).items():
        monkeypatch.setenv(variable, value)
    with open_lab(small_project(), open_pipeline(adapter.destination)) as lab:
        lab.overrides = {"anchor_date": FIRST}
        set_environment(monkeypatch, lab.settings)
        yield lab


@pytest.mark.parametrize(
    ("adapter", "name"),
    [
        pytest.param(
            adapter,
            name,
            id=f"{adapter.name}-{name}".replace(" ", "-"),
            marks=marks(adapter, name),
        )
        for adapter, name in CASES
    ],
)
def test_scenario(name: str, conformance_lab: Lab) -> None:
    """The destination passes the scenario."""
    SCENARIOS[name](conformance_lab)
