"""Of many profiles a job writes only those that have changed, and the table is the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import pytest

from mixpanel_sandbox import Project
from mixpanel_source import constants, forget, open_pipeline
from mixpanel_source.destinations.registry import target_of
from tests.support.lab import Lab, open_lab

PROFILES = constants.COMPARED_PROFILES_MIN + 10


@pytest.fixture
def many(any_pipeline: dlt.Pipeline) -> Iterator[Lab]:
    """As many profiles as are compared, loaded once."""
    yield from open_many(any_pipeline)


@pytest.fixture
def many_in_duckdb() -> Iterator[Lab]:
    """The same in DuckDB."""
    yield from open_many(open_pipeline())


def open_many(pipeline: dlt.Pipeline) -> Iterator[Lab]:
    """Serve enough profiles for a comparison, and load them once."""
    project = Project()
    for number in range(PROFILES):
        project.add_profile(f"u{number}", {"$name": f"Name {number}", "points": number})
    with open_lab(project, pipeline, page_size=5_000) as lab:
        lab.sync("engage")
        yield lab


def sync(lab: Lab, **settings: Any) -> int:
    """Sync, check the table, and return the number of rows that were staged, with tombstones."""
    result = lab.sync("engage", **settings)
    assert result.failures == {}
    assert result.rows == {"engage": len(lab.project.profiles)}
    lab.assert_profiles_kept()
    return staged_rows(lab)


def staged_rows(lab: Lab) -> int:
    """The rows of the last load package, tombstones included."""
    trace: Any = lab.pipeline.last_trace
    return int(trace.last_normalize_info.row_counts.get("engage", 0))


def execute(lab: Lab, statement: str) -> None:
    """Run SQL on the table."""
    with lab.pipeline.sql_client() as client:
        client.execute_sql(statement.format(table=client.make_qualified_table_name("engage")))


def change(lab: Lab, profile: int, points: int) -> None:
    """Change a profile."""
    lab.project.profiles[profile] = (
        b'{"$distinct_id":"u%d","$properties":{"$name":"Name %d","points":%d}}'
        % (profile, profile, points)
    )


def test_only_changes_are_written(many: Lab) -> None:
    """Changed, new and deleted profiles are written; each old row takes a tombstone."""
    assert sync(many) == 0
    change(many, 10, -1)
    many.project.add_profile("new", {"$name": "New", "score": 1.5})
    del many.project.profiles[20:22]
    # u10 and new; tombstones for u10 as it was, u20 and u21
    assert sync(many) == 2 + 3
    assert sync(many) == 0


def test_same_profile_in_other_bytes(many_in_duckdb: Lab) -> None:
    """A profile that is spelled in another way is written again, over its own row."""
    lab = many_in_duckdb
    lab.project.profiles[7] = b'{"$distinct_id":"u7","$properties":{"points": 7,"$name":"Name 7"}}'
    assert sync(lab) == 1
    assert sync(lab) == 0


def test_profile_served_twice_changes_its_mind(many_in_duckdb: Lab) -> None:
    """Of two profiles with an id the last one counts, in a comparison too."""
    lab = many_in_duckdb
    lab.project.profiles.append(b'{"$distinct_id":"u3","$properties":{"$name":"Again"}}')
    lab.sync("engage")
    assert staged_rows(lab) == 1 + 1
    [row] = [row for row in lab.rows("engage") if row["distinct_id"] == "u3"]
    assert row["mp_name"] == "Again"
    assert len(lab.rows("engage")) == PROFILES


def test_rows_deleted_by_hand_come_back(many: Lab) -> None:
    """The table is asked what it holds, so it is mended."""
    execute(many, "DELETE FROM {table} WHERE distinct_id IN ('u5', 'u6')")
    assert sync(many) == 2


def test_rows_added_by_hand_go(many_in_duckdb: Lab) -> None:
    """A row that no profile has is deleted; if it repeats a row, all are replaced."""
    lab = many_in_duckdb
    key = "0123456789abcdef" * 2
    execute(lab, f"INSERT INTO {{table}} (distinct_id, profile_key) VALUES ('x', '{key}')")
    assert sync(lab) == 1
    execute(lab, "INSERT INTO {table} FROM {table} WHERE distinct_id = 'u5'")
    assert sync(lab) == PROFILES


@pytest.mark.parametrize("key", ["NULL", "''", "'0123'", f"'{'x' * 32}'", f"'{'0' * 64}'"])
def test_rows_without_a_key_go(many: Lab, key: str) -> None:
    """A row that was added by hand with anything else as its key makes all rows be replaced."""
    execute(many, f"INSERT INTO {{table}} (distinct_id, profile_key) VALUES ('x', {key})")
    assert sync(many) == PROFILES


def test_many_changes_replace_all(many_in_duckdb: Lab) -> None:
    """Beyond a tenth it is faster to replace all rows."""
    for profile in range(PROFILES // 10):
        change(many_in_duckdb, profile, -1)
    assert sync(many_in_duckdb) == 2 * (PROFILES // 10)
    for profile in range(PROFILES // 10 + 1):
        change(many_in_duckdb, profile, -2)
    assert sync(many_in_duckdb) == PROFILES


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"?")])
def test_lost_keys_are_found_again(many_in_duckdb: Lab, damage: Any) -> None:
    """Without its file of keys a machine writes all profiles, and knows their keys then."""
    damage(target_of(many_in_duckdb.pipeline).profile_keys_file)
    assert sync(many_in_duckdb) == PROFILES
    assert sync(many_in_duckdb) == 0


def test_changed_byte_in_the_file_of_keys(many_in_duckdb: Lab) -> None:
    """A file that a power cut or a disk has changed is not used."""
    file = target_of(many_in_duckdb.pipeline).profile_keys_file
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert sync(many_in_duckdb) == PROFILES


@pytest.mark.parametrize(
    "settings", [{"properties": "both"}, {"max_columns": 10}, {"engage_where": "true"}]
)
def test_other_settings_replace_all(many_in_duckdb: Lab, settings: dict[str, Any]) -> None:
    """What makes rows look different makes them be written."""
    lab = many_in_duckdb
    lab.sync("engage", **settings)
    assert staged_rows(lab) == PROFILES


def test_updates_alone_in_between(many_in_duckdb: Lab) -> None:
    """After loads that did not compare, the first comparison writes all profiles."""
    many_in_duckdb.sync("engage", engage_full_days=7)
    assert sync(many_in_duckdb) == PROFILES
    assert sync(many_in_duckdb) == 0


def test_crash_before_the_load(many: Lab) -> None:
    """Changes in a package that was never loaded are written by the next job."""
    change(many, 10, -1)
    many.leave_pending_package("engage")
    assert sync(many) == 2
    assert sync(many) == 0


def test_forgotten_person(many_in_duckdb: Lab) -> None:
    """A person forgotten between two loads stays away."""
    file = target_of(many_in_duckdb.pipeline).profile_keys_file
    assert file.stat().st_mode & 0o777 == 0o600
    forget(["u9"], clock=many_in_duckdb.clock)
    assert not file.exists()
    many_in_duckdb.sync("engage")
    ids = {row["distinct_id"] for row in many_in_duckdb.rows("engage")}
    assert len(ids) == PROFILES - 1
    assert "u9" not in ids
    many_in_duckdb.sync("engage")
    assert len(many_in_duckdb.rows("engage")) == PROFILES - 1


def test_mask_leaves_no_digests(many_in_duckdb: Lab) -> None:
    """With a mask all profiles are written, and no file tells what they were."""
    for _ in range(2):
        many_in_duckdb.sync("engage", mask={"$name": "drop"}, mask_key="k" * 32)
        assert staged_rows(many_in_duckdb) == PROFILES
        assert not target_of(many_in_duckdb.pipeline).profile_keys_file.exists()
