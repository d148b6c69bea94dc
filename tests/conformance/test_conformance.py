"""Runs every scenario on every destination."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from mixpanel_source import open_pipeline
from tests.conformance.adapters import ADAPTERS, Adapter
from tests.conformance.cases import CASES
from tests.conformance.scenarios import FIRST, SCENARIOS, small_project
from tests.support.lab import Lab, open_lab
from tests.support.settings import set_environment

BY_NAME = {adapter.name: adapter for adapter in ADAPTERS}


def marks(adapter: Adapter, name: str) -> list[pytest.MarkDecorator]:
    """What is known of a case before it runs."""
    found = [] if name in adapter.quick else [pytest.mark.slow]
    if name == "kills" or adapter.fixture == "bucket":
        # most of the time goes into starting processes, or into the server of the bucket
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
        pytest.param(BY_NAME[adapter], name, id=id_, marks=marks(BY_NAME[adapter], name))
        for id_, (adapter, name) in CASES.items()
    ],
)
def test_scenario(name: str, conformance_lab: Lab) -> None:
    """The destination passes the scenario."""
    SCENARIOS[name](conformance_lab)
