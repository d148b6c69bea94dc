"""Replacing a lookup table by a CSV file.

Source: https://developer.mixpanel.com/reference/replace-lookup-table
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from ..context import Context
from ..messages import Request, Response, api_error, json_response
from .bodies import read_bytes

MAX_BYTES = 100 * 1024 * 1024
MAX_REPORTED = 10
"""Maximum failed records in a response."""
INVALID = "Some data points in the request failed validation."


def replace_table(context: Context, request: Request) -> Response:
    """Replace all rows of a table, or none if a row is invalid.

    Raises:
        ApiError: 404, the table does not exist; 413, the file is too large; 429, it was replaced
            too often.
    """
    context.lookup_meter.count(1, 0, request)
    project, table = context.project, request.path_params["id"]
    if table not in {known["id"] for known in project.lookup_tables}:
        raise api_error(404, "lookup table not found", request)
    text = read_bytes(request, max_bytes=MAX_BYTES).decode(errors="replace")
    failed = [record for _, record in zip(range(MAX_REPORTED), _find_failures(text), strict=False)]
    if failed:
        body = {"code": 400, "error": INVALID, "status": "Bad Request", "failed_records": failed}
        return json_response(body, 400)
    project.lookup_contents[table] = text
    return json_response({"code": 200, "status": "OK"})


def _find_failures(text: str) -> Iterator[dict[str, object]]:
    rows = csv.reader(io.StringIO(text, newline=""))
    header = next(rows, [])
    if not header or len(set(header)) != len(header):
        yield {"index": 0, "message": "invalid header: columns must be unique"}
        return
    keys: set[str] = set()
    for index, row in enumerate(rows, 1):
        if len(row) != len(header):
            yield {"index": index, "message": "invalid row: wrong number of fields"}
        elif not row[0]:
            yield {"index": index, "message": "primary key is required and cannot be blank"}
        elif row[0] in keys:
            yield {"index": index, "message": "primary key must be unique"}
        keys.update(row[:1])
