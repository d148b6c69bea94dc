"""What a load into DuckDB takes of the machine."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mixpanel_source import open_pipeline
from mixpanel_source.destinations.duckdb import resources


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Files with a million rows."""
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": pa.nulls(1_000_000, pa.bool_())}), path)
    return [str(path)]


@pytest.mark.parametrize(
    ("processors", "gigabytes", "limits"),
    [
        (8, 64.0, ("250000000B", 2)),
        (1, 64.0, ("250000000B", 1)),
        (8, 0.9, ("241591910B", 2)),
        (8, 0.25, ("134217728B", 1)),
    ],
)
def test_resources_follow_the_machine(
    files: list[str],
    monkeypatch: pytest.MonkeyPatch,
    processors: int,
    gigabytes: float,
    limits: tuple[str, int],
) -> None:
    """Memory is a share of the machine's, up to a maximum; threads have rows and memory each."""
    monkeypatch.setattr(resources, "available_processors", lambda: processors)
    monkeypatch.setattr(resources, "machine_bytes", lambda: int(gigabytes * 1024**3))
    assert resources.resources_for(files, columns=100) == limits
    assert resources.resources_for([], columns=100).threads == 1


def test_wide_tables_get_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory follows the number of columns, up to half of the machine's."""
    monkeypatch.setattr(resources, "machine_bytes", lambda: 3 * 1024**3)
    assert resources.resources_for([], columns=700) == ("1120000000B", 1)
    assert resources.resources_for([], columns=2_000) == (f"{3 * 1024**3 // 2}B", 1)


def test_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of a container is less than the machine has; without one, the machine counts."""
    whole = resources.machine_bytes()
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(resources, "_CGROUP_LIMITS", [limit])
    assert resources.machine_bytes() >= whole
    limit.write_text("max\n")
    assert resources.machine_bytes() >= whole
    limit.write_text("1000000\n")
    assert resources.machine_bytes() == 1_000_000


def test_limits_end_with_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user has configured stays, and what was limited is as before afterwards."""
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS__GLOBAL_CONFIG", '{"threads": 3}')
    pipeline = open_pipeline()
    query = "SELECT current_setting('threads'), current_setting('memory_limit')"
    with pipeline.sql_client() as client:
        [before] = client.execute_sql(query) or ()
        with resources.limited_resources(client, [], columns=9):
            assert client.execute_sql(query) == [(3, "238.4 MiB")]
        assert client.execute_sql(query) == [before]
