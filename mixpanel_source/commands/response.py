"""The response to an ad-hoc request, and how it is loaded into a table."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import dlt
from dlt.common.configuration.specs import BaseConfiguration
from dlt.extract import DltResource

from ..catalog.endpoint import Endpoint
from ..catalog.endpoints import ENDPOINTS
from ..catalog.tables import TABLE_NAMES
from ..decode.column_names import readable_name
from ..decode.framing import iter_rows
from ..decode.json_values import dump_json, repair_row
from ..decode.value_types import Row
from ..errors import ConfigError, RequestError
from ..jobs.dlt_errors import unwrap_errors
from ..jobs.lock import pipeline_lock
from ..jobs.pipeline import open_beside, reset_local_state

NAME = "mixpanel_request"
"""Name of the dlt source, so that its state does not mix with that of the jobs."""
CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True)
class ApiResponse:
    """A complete response."""

    endpoint: Endpoint
    _file: IO[bytes]

    def chunks(self) -> Iterator[bytes]:
        """Yields the body, decompressed."""
        self._file.seek(0)
        while chunk := self._file.read(CHUNK_BYTES):
            yield chunk

    def rows(self) -> Iterator[Row]:
        """Yields its rows: the lines of an export, else what `find_rows` finds.

        Raises:
            RequestError: the response is neither JSON nor JSON lines.
        """
        if self.endpoint.name == "export":
            for line in iter_rows(self.chunks()):
                text = line if line.startswith(b"{") else b'{"value":%b}' % line
                yield repair_row(text, Counter())
            return
        try:
            body = b"".join(self.chunks())
            reply = json.loads(body.decode("utf-8", "surrogateescape"))
        except ValueError as error:
            raise RequestError(
                "the reply is not JSON, so it has no rows. Leave --table out to see it.",
                subject=describe(self.endpoint),
            ) from error
        for row in find_rows(reply, self.endpoint.rows):
            yield repair_row(dump_json(row).encode("utf-8", "surrogatepass"), Counter())


def describe(endpoint: Endpoint) -> str:
    """Label of the request, for messages."""
    # without path and parameters, which may contain values
    return "request" if endpoint.name == "request" else f"request {endpoint.name}"


def find_rows(reply: Any, key: str | None) -> list[Row]:  # noqa: ANN401 - any JSON value
    """The rows in a reply: the first list of objects in it, or else the reply itself.

    Args:
        reply: any JSON value.
        key: key of the reply that holds the rows; None to search all of it.
    """
    within = reply.get(key, reply) if isinstance(reply, dict) else reply
    rows = _first_list(within)
    if rows is None:
        rows = within if isinstance(within, list) else [within]
    return [row if isinstance(row, dict) else {"value": row} for row in rows]


def _first_list(value: Any) -> list[Any] | None:  # noqa: ANN401 - any JSON value
    if isinstance(value, list):
        return value if any(isinstance(item, dict) for item in value) else None
    below = value.values() if isinstance(value, dict) else ()
    return next((rows for rows in map(_first_list, below) if rows is not None), None)


def check_table(table: str) -> None:
    """Refuse names that a database would change, and names of tables that a sync loads.

    Raises:
        ConfigError: names what is valid.
    """
    if not re.fullmatch(r"(?=.{1,53}$)[a-z][a-z0-9]*(_[a-z0-9]+)*", table):
        raise ConfigError(
            f"--table is {table!r}; it must be lower-case letters, digits and single underscores, "
            "at most 53, such as top_events_of_today."
        )
    if table in {*TABLE_NAMES, *(endpoint.name for endpoint in ENDPOINTS)}:
        raise ConfigError(
            f"--table is {table}, which a sync loads; it must be another name, such as my_{table}."
        )


def load_response(response: ApiResponse, table: str, pipeline: dlt.Pipeline) -> int:
    """Replace a table with the rows of a response; returns how many there are.

    Args:
        response: what to load; lists and objects in its rows become JSON.
        table: name of the table, see `check_table`.
        pipeline: of the jobs. The rows go to the same dataset through a pipeline of their own, so
            the state of the jobs does not change.

    Raises:
        ConfigError: a sync loads a table of this name.
        RequestError: the response has no rows.
    """
    check_table(table)
    number = 0

    def named_rows() -> Iterator[Row]:
        nonlocal number
        columns: dict[str, str] = {}
        for row in response.rows():
            number += 1
            yield {_column(name, columns): value for name, value in row.items()}

    rows = dlt.resource(named_rows, name=table, write_disposition="replace")
    beside = open_beside(pipeline, "request")
    with pipeline_lock(beside), unwrap_errors():
        reset_local_state(beside)
        try:
            beside.run(_source(rows), loader_file_format="parquet")
        finally:
            # the load package holds what the response held
            reset_local_state(beside)
    return number


@dlt.source(name=NAME, section=NAME, max_table_nesting=0, spec=BaseConfiguration)
def _source(rows: DltResource) -> DltResource:
    # text that looks like a timestamp stays text
    dlt.current.source_schema().remove_type_detection("iso_timestamp")
    return rows


def _column(name: str, columns: dict[str, str]) -> str:
    """The column for a key; keys that would share a column get one each."""
    if name not in columns:
        readable = readable_name(name)
        taken = columns.values()
        others = (f"{readable}_{number}" for number in range(2, len(columns) + 3))
        columns[name] = next(c for c in (readable, *others) if c not in taken)
    return columns[name]
