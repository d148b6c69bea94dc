"""The query of a view over several projects."""

from __future__ import annotations

import duckdb

from mixpanel_source.views.union import build_union


def test_columns_of_all_projects() -> None:
    """Columns that one project lacks are null, differing types become text, `project` is free."""
    connection = duckdb.connect()
    for name, values in {
        "a": "'it''s' AS event, 1 AS price, 7 AS project",
        "b": "'x' AS event, 'dear' AS price, true AS is_new",
    }.items():
        connection.execute(f"CREATE TABLE {name} AS SELECT {values}")
    columns = {
        "it's a": {"event": "varchar", "price": "integer", "project": "integer"},
        "b": {"event": "varchar", "price": "varchar", "is_new": "boolean"},
    }
    query = build_union({"it's a": "a", "b": "b"}, columns, first=["price", "gone"])
    result = connection.execute(query)
    assert [column[0] for column in result.description] == [
        "project",
        "price",
        "event",
        "property_project",
        "is_new",
    ]
    assert sorted(result.fetchall()) == [
        ("b", "dear", "x", None, True),
        ("it's a", "1", "it's", 7, None),
    ]
