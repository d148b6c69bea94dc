"""A sync that is killed and run again ends with the tables of one that was never killed.

`make torture` does the same with a hundred kills.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.torture import torture

# most of the time goes into starting processes, which takes long on a busy machine
pytestmark = pytest.mark.timeout(180)


def test_duckdb_survives_kills(tmp_path: Path) -> None:
    """Killed at random instants, nothing is lost in DuckDB and nothing is there twice."""
    url = str(tmp_path / "killed.duckdb")
    done = torture(tmp_path, "duckdb", url, kills=6, days=12, seed=3)
    assert done.kills.total() == 6


def test_postgres_survives_kills(tmp_path: Path, postgres: str) -> None:
    """Killed at random instants, nothing is lost in PostgreSQL and nothing is there twice."""
    done = torture(tmp_path, "postgres", postgres, kills=4, days=12, seed=4)
    assert done.kills.total() == 4
