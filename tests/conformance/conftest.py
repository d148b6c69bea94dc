"""Records the outcome of each case, where `RECORD_CONFORMANCE` is set."""

from __future__ import annotations

import os

import pytest

from tests.conformance import results
from tests.conformance.cases import CASES, Case

_outcomes: dict[Case, str] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Take down how a phase of a test ended; the test has passed if all have."""
    case = CASES.get(report.nodeid.partition("[")[2].removesuffix("]"))
    if case and _outcomes.get(case, "passed") == "passed":
        _outcomes[case] = report.outcome


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the outcomes, once the workers have reported theirs."""
    is_worker = hasattr(session.config, "workerinput")
    if _outcomes and os.environ.get("RECORD_CONFORMANCE") and not is_worker:
        results.record(_outcomes)
