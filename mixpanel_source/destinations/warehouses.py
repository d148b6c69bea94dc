"""Warehouses, into which dlt merges, with scopes that they understand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlt.common.destination.reference import TDestinationReferenceArg
from dlt.common.destination.typing import PreparedTableSchema
from dlt.destinations import bigquery, databricks

from .base import Destination
from .conditions import with_structs

if TYPE_CHECKING:
    from dlt.common.destination.client import JobClientBase as _Client
else:
    _Client = object

_SCOPE = "x-merge-destination-scope"


class BigQuery(Destination):
    """BigQuery.

    Source: https://cloud.google.com/bigquery/docs/reference/standard-sql/operators#in_operators.
    """

    @classmethod
    def build(cls, name: str) -> TDestinationReferenceArg:  # noqa: ARG003 - there is only one
        """BigQuery with scopes of structs."""
        return _BigQuery()


class Databricks(Destination):
    """Databricks, whose tables are Delta tables.

    Source: https://docs.databricks.com/aws/en/error-messages/error-classes, for
    `DELTA_UNSUPPORTED_MULTI_COL_IN_PREDICATE`.
    """

    @classmethod
    def build(cls, name: str) -> TDestinationReferenceArg:  # noqa: ARG003 - there is only one
        """Databricks with scopes of structs."""
        return _Databricks()


class ClickHouse(Destination):
    """ClickHouse."""

    @property
    def limits(self) -> str:
        """It has no transactions."""
        return (
            f"{super().limits} ClickHouse has no transactions: while a job loads, days that it "
            "replaces may be missing."
        )


class _StructScopes(_Client):
    """Has dlt delete by the scope that the warehouse understands."""

    def prepare_load_table(self, table_name: str) -> PreparedTableSchema:
        table: Any = super().prepare_load_table(table_name)
        if scope := table.get(_SCOPE):
            table[_SCOPE] = with_structs(scope)
        prepared: PreparedTableSchema = table
        return prepared


def _with_struct_scopes(client: type) -> Any:  # noqa: ANN401 - a class of dlt's, made here
    return type(client.__name__, (_StructScopes, client), {})


class _BigQuery(bigquery):
    @property
    def destination_type(self) -> str:
        return "dlt.destinations.bigquery"

    @property
    def client_class(self) -> Any:  # noqa: ANN401 - as above
        return _with_struct_scopes(super().client_class)


class _Databricks(databricks):
    @property
    def destination_type(self) -> str:
        return "dlt.destinations.databricks"

    @property
    def client_class(self) -> Any:  # noqa: ANN401 - as above
        return _with_struct_scopes(super().client_class)
