"""The SQL with which dlt merges in warehouses that no test can run: `python -m` prints it.

dlt's modules import the drivers of their databases. Of those that are not installed, stand-ins are
imported, of which nothing is called: what dlt generates depends on its own classes alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from inspect import signature
from types import ModuleType, SimpleNamespace
from typing import Any

import dlt
from dlt.common.schema import Schema

from mixpanel_source.destinations.registry import find_destination
from mixpanel_source.destinations.replacement import Kept, Replacement
from mixpanel_source.tables import rejected
from mixpanel_source.tables.events import loading as events
from mixpanel_source.tables.profiles import cohort_members, users

WAREHOUSES = {
    "bigquery": "BigQuery",
    "clickhouse": "ClickHouse",
    "databricks": "Databricks",
    "redshift": "Redshift",
    "snowflake": "Snowflake",
}
"""dlt's name of a destination -> how it begins the names of its classes."""
EXPORT: dict[str, tuple[Any, Any]] = {
    "event_date": ("date", {}),
    "event_key": ("text", {}),
    "event": ("text", {}),
}
DRIVERS = ("clickhouse_connect", "clickhouse_driver", "databricks", "google", "snowflake")
KINDS: dict[str, tuple[str, Replacement, dict[str, tuple[Any, Any]]]] = {
    "days": ("export", events.REPLACEMENT, EXPORT),
    "days with kept ones": ("export", events.REPLACEMENT, EXPORT),
    "parts": (
        "_mixpanel_rejected",
        rejected.REPLACE_PART,
        {"table_name": ("text", {}), "part": ("text", {}), "reason": ("text", {})},
    ),
    "a table": ("engage", users.REPLACE_ALL, {"distinct_id": ("text", {})}),
    "history": (
        "cohort_members",
        cohort_members.REPLACEMENT,
        {
            "cohort_id": ("bigint", {}),
            "distinct_id": ("text", {}),
            cohort_members.MEMBER_KEY: ("text", {"x-row-version": True}),
            "_dlt_valid_from": ("timestamp", {"x-valid-from": True}),
            "_dlt_valid_to": ("timestamp", {"x-valid-to": True}),
        },
    ),
}
"""Kind of replacement -> a table that is replaced so, and columns of it: type and hints."""
CONFIG = SimpleNamespace(
    autodetect_schema=False,
    dataset_table_separator="___",
    insert_api="copy_into",
    table_engine_type="merge_tree",
)
"""What the clients read of their configurations."""
BOUNDARY = "2026-11-20T12:00:00Z"


class _Anything(type):
    """A class that has every attribute."""

    def __getattr__(cls, name: str) -> type:
        return _make(name)


def _make(name: str) -> type:
    if name.startswith("__"):
        raise AttributeError(name)
    return _Anything(name, (_Object,), {})


class _Object(Exception):  # noqa: N818 - some are errors, some are not
    """What a driver has; of some, dlt makes instances."""

    def __init__(self, *_values: Any, **_named: Any) -> None:
        """Take any arguments."""


class _StandIns(MetaPathFinder, Loader):
    """Finds drivers that are not installed."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:  # noqa: ARG002 - as overridden
        is_driver = fullname.partition(".")[0] in DRIVERS
        return ModuleSpec(fullname, self, is_package=True) if is_driver else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = ModuleType(spec.name)
        module.__getattr__ = _make  # type: ignore[method-assign] # as PEP 562 has it
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to execute."""


def main() -> None:
    """Print the SQL for each warehouse and kind of replacement."""
    sys.meta_path.append(_StandIns())
    for warehouse in WAREHOUSES:
        for kind in KINDS:
            print(f"-- {warehouse}: {kind}")  # noqa: T201 - a test reads it
            for statement in merge_sql(warehouse, kind):
                print(statement)  # noqa: T201 - as above


def merge_sql(warehouse: str, kind: str) -> Iterator[str]:
    """Yields the statements with which a warehouse replaces rows."""
    module = import_module(f"dlt.destinations.impl.{warehouse}.{warehouse}")
    factory: Any = find_destination(warehouse).build(warehouse)
    if isinstance(factory, str):
        factory = getattr(dlt.destinations, warehouse)()
    capabilities = factory._raw_capabilities()
    sql_client = _sql_client(getattr(module, f"{WAREHOUSES[warehouse]}SqlClient"), capabilities)
    table = _declare(kind, sql_client.make_qualified_table_name("export"))
    client: Any = object.__new__(factory.client_class)
    client.schema, client.capabilities = Schema("mixpanel"), capabilities
    client.config = CONFIG
    client.schema.update_table(table, normalize_identifiers=False)
    prepared = client.prepare_load_table(table["name"])
    prepared["x-boundary-timestamp"] = BOUNDARY
    merge = getattr(module, f"{WAREHOUSES[warehouse]}MergeJob")
    for statement in merge.generate_sql([prepared], sql_client):
        yield " ".join(statement.split()).rstrip(";") + ";"


def _sql_client(kind: Any, capabilities: Any) -> Any:
    """A SQL client that connects to nothing."""
    names = {"dataset_name": "mixpanel", "staging_dataset_name": "mixpanel_staging"}
    given = {
        "credentials": SimpleNamespace(database="lake", catalog="lake", project_id="lake"),
        "known_table_names": [],
        "config": CONFIG,
        "capabilities": capabilities,
        **names,
    }
    wanted = signature(kind).parameters
    return kind(**{name: value for name, value in given.items() if name in wanted})


def _declare(kind: str, kept_table: str) -> Any:
    """The schema of a table with the replacement of a kind."""
    name, replacement, columns = KINDS[kind]
    if kind == "days with kept ones":
        kept = Kept("event_date", [date(2026, 11, 18)], "event_key", kept_table)
        replacement = replace(replacement, kept=kept)
    table = dlt.resource(
        [], name=name, write_disposition=replacement.write_disposition
    ).compute_table_schema()
    for column, (data_type, hints) in columns.items():
        declared = table["columns"].get(column, {})
        table["columns"][column] = {**declared, "name": column, "data_type": data_type, **hints}
    return table


if __name__ == "__main__":
    main()
