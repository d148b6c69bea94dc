"""Faulty replies to writing requests."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..messages import Response, json_bytes, reason_phrase

Record = dict[str, Any]

STATUS_0 = json_bytes({"error": "some data points are invalid", "status": 0})
"""Body of a failure with status 200."""


def ingestion_error(status: int, error: str) -> bytes:
    """Return the body of an error of the ingestion host."""
    return json_bytes({"code": status, "error": error, "status": reason_phrase(status)})


def edit_failures(response: Response, edit: Callable[[Record], object]) -> Response:
    """Return a response with its `failed_records` edited."""
    body = json.loads(b"".join(response.blocks))
    records = body.get("failed_records", ())
    edited = [edit(record) if isinstance(record, dict) else record for record in records]
    if edited:
        body["failed_records"] = edited
    return replace(response, blocks=(json_bytes(body),))


def name_with_dollar(record: Record) -> Record:
    """Return a record whose id is called `$insert_id`."""
    return {"$insert_id" if name == "insert_id" else name: record[name] for name in record}


def drop_id(record: Record) -> Record:
    """Return a record without the id."""
    return {name: record[name] for name in record if name != "insert_id"}
