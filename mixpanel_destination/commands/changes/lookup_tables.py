"""Replaces the rows of a lookup table.

Source: https://developer.mixpanel.com/reference/replace-lookup-table
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, NamedTuple

from mixpanel_source.errors import ConfigError, RequestError

from ...api.call import Call
from ...api.client import Client
from ...endpoints import endpoint
from .base import Outcome, Plan, Work, count, fill_path, read_list, read_text, refusal, some

BYTES_MAX = 100 * 1024 * 1024
ROWS_MAX = 5_000_000
"""Maximum rows of all lookup tables of a project."""
PROBLEMS_SHOWN = 10


class Table(NamedTuple):
    """The content of a file."""

    text: bytes
    rows: int
    key: str
    """Name of the first column."""


def replace(table: str, source: str) -> Work:
    """Replace all rows of a lookup table by those of a CSV file, whose first column is the key.

    Args:
        table: id or name of the table, which is created in Mixpanel's own pages only.
        source: the file, or `-`.

    Raises:
        ConfigError: Mixpanel would refuse the file.
    """
    content = read_table(source)

    def plan(client: Client) -> Plan:
        number, name = _find(client, table)
        rows = count(content.rows, "row")
        lines = [
            f"Replace all rows of the lookup table {name} by {rows} of {source}, with the key "
            f"{content.key}. The rows it has now cannot be read back."
        ]
        return Plan(lines=lines, send=lambda: _send(client, number, content))

    return Work(label="lookup-table replace", plan=plan)


def read_table(source: str) -> Table:
    """Read a file and check it as Mixpanel does.

    Raises:
        ConfigError: its header or its keys are not unique, a key is empty, a row has another number
            of fields, or it is too large.
    """
    text = read_text(source)
    encoded = text.encode()
    if len(encoded) > BYTES_MAX:
        raise ConfigError(f"{source} is larger than {BYTES_MAX // 1024 // 1024} MB.")
    try:
        rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = next(rows, [])
        _check_header(source, header)
        keys: dict[str, int] = {}
        problems = [*_first_problems(rows, keys, len(header))]
    except csv.Error:
        raise ConfigError(f"{source} is not CSV: a quote is not closed.") from None
    if problems:
        raise ConfigError(f"{source} is refused: {'; '.join(problems)}.")
    if len(keys) > ROWS_MAX:
        raise ConfigError(f"{source} has more than {ROWS_MAX:,} rows.")
    return Table(encoded, len(keys), header[0])


def _check_header(source: str, header: list[str]) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if not any(header):
        raise ConfigError(f"{source} has no header.")
    if twice:
        raise ConfigError(f"{source} has columns twice: {some(twice)}.")
    if not all(name.strip() for name in header):
        raise ConfigError(f"{source} has a column without a name.")


def _first_problems(rows: Iterator[list[str]], keys: dict[str, int], columns: int) -> Iterator[str]:
    """The first problems of the rows, by the line they are in; fills `keys`."""
    found = 0
    for number, row in enumerate(rows, 2):
        problem = _problem(row, keys, columns)
        if problem:
            yield f"row {number} {problem}"
            found += 1
        if found == PROBLEMS_SHOWN:
            return
        if row:
            keys.setdefault(row[0], number)


def _problem(row: list[str], keys: dict[str, int], columns: int) -> str:
    if len(row) != columns:
        return f"has {len(row)} fields, not {columns}"
    if not row[0]:
        return "has an empty key"
    if row[0] in keys:
        return f"has the key of row {keys[row[0]]}"
    return ""


def _find(client: Client, table: str) -> tuple[str, str]:
    found = read_list(client, "/lookup-tables", label="lookup tables", host="ingestion")
    listed: list[Any] = found.get("results") or [] if isinstance(found, dict) else []
    names = {str(one.get("id")): str(one.get("name")) for one in listed if isinstance(one, dict)}
    matching = [number for number, name in names.items() if table in {number, name}]
    if not matching:
        raise ConfigError(
            f"there is no lookup table {table}; there are: {some([*names.values()]) or 'none'}. "
            "New ones are created in Lexicon, on Mixpanel's pages."
        )
    if len(matching) > 1:
        raise ConfigError(f"several lookup tables are called {table}: give the id of one.")
    return matching[0], f"{names[matching[0]]} ({matching[0]})"


def _send(client: Client, number: str, content: Table) -> Outcome:
    known = endpoint("replace-lookup-table")
    call = Call(
        path=fill_path(known.path, client.settings.project_id, {"id": number}),
        label="lookup-table replace",
        method=known.method,
        host=known.host,
        body=content.text,
        content_type="text/csv",
        compressed=True,
    )
    reply = client.send(call)
    if reply.status == HTTPStatus.BAD_REQUEST:
        body = reply.json()
        records = body.get("failed_records") if isinstance(body, dict) else None
        if isinstance(records, list) and records:
            refused = "; ".join(f"row {_row(one)}: {_message(client, one)}" for one in records)
            raise RequestError(
                f"nothing was replaced. Mixpanel refuses {refused}.", subject=call.label
            )
    if reply.status >= HTTPStatus.BAD_REQUEST:
        raise refusal(client, reply, call)
    return Outcome(text=f"replaced by {count(content.rows, 'row')}", facts={"rows": content.rows})


def _row(record: Any) -> object:  # noqa: ANN401 - any JSON value
    index = record.get("index") if isinstance(record, dict) else None
    # counted from the header, which is row 1 of the file
    return index + 1 if isinstance(index, int) else "?"


def _message(client: Client, record: Any) -> str:  # noqa: ANN401 - any JSON value
    return client.words(str(record.get("message") if isinstance(record, dict) else record))
