"""Labs for the tests of the jobs."""

from __future__ import annotations

from collections.abc import Iterator

import dlt
import pytest

from tests.integration.jobs import Lab, make_project, open_lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A week of a small project, to be loaded to DuckDB."""
    with open_lab(make_project()) as opened:
        yield opened


@pytest.fixture(params=["duckdb", "postgres"])
def any_lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A week of a small project, to be loaded to each of the destinations."""
    with open_lab(make_project(), open_destination(request)) as opened:
        yield opened


def open_destination(request: pytest.FixtureRequest) -> dlt.Pipeline | None:
    """The pipeline to the destination that a fixture is parametrised with."""
    if request.param == "duckdb":
        return None
    url: str = request.getfixturevalue("postgres")
    return dlt.pipeline(
        "mixpanel", destination=dlt.destinations.postgres(url), dataset_name="mixpanel"
    )
