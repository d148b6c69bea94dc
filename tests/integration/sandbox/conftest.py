"""Fixtures of the tests of the sandbox."""

from __future__ import annotations

from datetime import date

import pytest

from mixpanel_sandbox import Project
from tests.integration.sandbox.projects import small_project
from tests.support.clock import Clock, noon


@pytest.fixture
def project() -> Project:
    """Project that `sandbox` serves, which the test may change."""
    return small_project()


@pytest.fixture
def sandbox_clock() -> Clock:
    """Clock of `sandbox`, at noon UTC of 2026-11-20."""
    return Clock(noon(date(2026, 11, 20)))
