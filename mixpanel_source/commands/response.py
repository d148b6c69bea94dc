"""What Mixpanel has answered to a request of the user's own, and how it becomes a table."""

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

from .. import constants
from ..catalog import ENDPOINTS, Endpoint
from ..decode.columns import readable_name
from ..decode.framing import iter_rows
from ..decode.json_values import dump_json, repair_row
from ..decode.value_types import Row
from ..errors import ConfigError, RequestError
from ..jobs.pipeline import open_beside, pipeline_lock, reset_local_state, unwrap_errors

NAME = "mixpanel_request"
"""Of the source, so that nothing of it mixes with what the jobs know."""
CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True)
class ApiResponse:
    """What Mixpanel has answered, whole."""

    endpoint: Endpoint
    _file: IO[bytes]

    def chunks(self) -> Iterator[bytes]:
        """The body as it came, decompressed."""
        self._file.seek(0)
        while chunk := self._file.read(CHUNK_BYTES):
            yield chunk

    def rows(self) -> Iterator[Row]:
        """The rows that it holds: its lines, or those `find_rows` finds.

        Raises:
            RequestError: it is neither JSON nor lines of it.
        """
        if self.endpoint.name == "export":
            yield from (repair_row(row, Counter()) for row in iter_rows(self.chunks()))
            return
        try:
            body = b"".join(self.chunks())
            reply = json.loads(body.decode("utf-8", "surrogateescape"))
        except ValueError as error:
            raise RequestError(
                f"{describe(self.endpoint)}: the reply is not JSON, so it holds no rows. Leave "
                "--table out to see it."
            ) from error
        for row in find_rows(reply, self.endpoint.rows):
            yield repair_row(dump_json(row).encode("utf-8", "surrogatepass"), Counter())


def describe(endpoint: Endpoint) -> str:
    """What is asked, for messages."""
    # neither the path nor the parameters: they may hold values
    return "request" if endpoint.name == "request" else f"request {endpoint.name}"


def find_rows(reply: Any, key: str | None) -> list[Row]:  # noqa: ANN401 - any JSON value
    """The rows in a reply: what is under `key`, or the first list of objects, or all of it.

    Args:
        reply: as JSON has it.
        key: where the endpoint has its rows; None if anywhere.
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
    """Refuse names of tables that are ours or dlt's, or that a database would spell otherwise.

    Raises:
        ConfigError: naming what is valid.
    """
    if not re.fullmatch(r"(?=.{1,53}$)[a-z][a-z0-9]*(_[a-z0-9]+)*", table):
        raise ConfigError(
            f"--table is {table!r}; it must be lower-case letters, digits and single underscores, "
            "at most 53, such as top_events_of_today."
        )
    if table in {*constants.TABLES, *(one.name for one in ENDPOINTS)}:
        raise ConfigError(
            f"--table is {table}, which a sync loads; it must be a name of its own, such as "
            f"my_{table}."
        )


def load_response(answer: ApiResponse, table: str, pipeline: dlt.Pipeline) -> int:
    """Replace a table by the rows of an answer; returns how many there are.

    Args:
        answer: what to load; lists and objects in its rows become JSON.
        table: name of the table, see `check_table`.
        pipeline: of the jobs; the answer goes where their tables are, by a pipeline of its own, so
            that what they know of these stays as it is.

    Raises:
        ConfigError: the table is one of ours.
        RequestError: the answer holds no rows.
    """
    check_table(table)
    number = 0

    def named_rows() -> Iterator[Row]:
        nonlocal number
        columns: dict[str, str] = {}
        for row in answer.rows():
            number += 1
            yield {_column(name, columns): value for name, value in row.items()}

    rows = dlt.resource(named_rows, name=table, write_disposition="replace")
    beside = open_beside(pipeline, "request")
    with pipeline_lock(beside), unwrap_errors():
        reset_local_state(beside)
        beside.run(_source(rows), loader_file_format="parquet")
    return number


@dlt.source(name=NAME, section=NAME, max_table_nesting=0, spec=BaseConfiguration)
def _source(rows: DltResource) -> DltResource:
    # what looks like an instant stays the text that it is
    dlt.current.source_schema().remove_type_detection("iso_timestamp")
    return rows


def _column(name: str, columns: dict[str, str]) -> str:
    """The column for a key; of keys that would share one, each gets its own."""
    if name not in columns:
        readable = readable_name(name)
        taken = columns.values()
        others = (f"{readable}_{number}" for number in range(2, len(columns) + 3))
        columns[name] = next(c for c in (readable, *others) if c not in taken)
    return columns[name]
