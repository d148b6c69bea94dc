"""The cases of the conformance tests: each scenario on each destination."""

from __future__ import annotations

from typing import NamedTuple

from tests.conformance.adapters import ADAPTERS
from tests.conformance.scenarios import SCENARIOS


class Case(NamedTuple):
    """A scenario on a destination."""

    adapter: str
    """Name of the adapter."""
    scenario: str


CASES = {
    f"{adapter.name}-{scenario}".replace(" ", "-"): Case(adapter.name, scenario)
    for adapter in ADAPTERS
    for scenario in SCENARIOS
}
"""Id of the test -> its case."""
