"""The forgotten persons of a dataset: the table `_mixpanel_forgotten`.

It is in the dataset, so that it is kept as long as the data, on whatever machine a job runs. No
load writes to it; `commands.forget` does.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import dlt
from dlt.destinations.exceptions import DatabaseUndefinedRelation, DestinationConnectionError

from ..decode.forgotten import NOBODY, SALT_BYTES, ForgottenIds, hash_id
from ..destinations.registry import destination_of
from ..sql import quote_text

FORGOTTEN_TABLE = "_mixpanel_forgotten"


def read_forgotten(pipeline: dlt.Pipeline) -> ForgottenIds:
    """The forgotten persons of the dataset that a pipeline loads.

    Raises:
        MixpanelError: the destination cannot be reached.
    """
    if getattr(pipeline, "destination", None) is None:  # the pipeline extracts only
        return NOBODY
    target = destination_of(pipeline)
    if not target.deletes_rows or not target.exists:
        return NOBODY
    try:
        with pipeline.sql_client() as client:
            return ForgottenIds(_select_hashes(client))
    except DatabaseUndefinedRelation:
        return NOBODY
    except DestinationConnectionError as error:
        raise target.connection_error(error) from error


def remember_forgotten(client: Any, ids: Iterable[str], *, now: datetime) -> int:  # noqa: ANN401 - any SQL client
    """Add persons to the table, which is created if it does not exist.

    Args:
        client: in a transaction of its own.
        ids: of the persons, each once.
        now: an aware instant.

    Returns:
        The number of persons that were not in the table.
    """
    table = client.make_qualified_table_name(FORGOTTEN_TABLE)
    client.execute_sql(
        f"CREATE TABLE IF NOT EXISTS {table} (id_hash varchar NOT NULL, salt varchar NOT NULL, "
        "forgotten_at timestamp with time zone NOT NULL)"
    )
    hashes = _select_hashes(client)
    known = ForgottenIds(hashes).find(ids)
    salt = hashes[0][0] if hashes else secrets.token_bytes(SALT_BYTES)
    at = quote_text(now.isoformat())
    rows = [
        f"({quote_text(hash_id(id_, salt))}, {quote_text(salt.hex())}, {at})"
        for id_ in ids
        if id_ not in known
    ]
    if rows:
        client.execute_sql(f"INSERT INTO {table} VALUES {', '.join(rows)}")  # noqa: S608 - hashes and our own names
    return len(rows)


def _select_hashes(client: Any) -> list[tuple[bytes, str]]:  # noqa: ANN401 - any SQL client
    table = client.make_qualified_table_name(FORGOTTEN_TABLE)
    rows = client.execute_sql(f"SELECT salt, id_hash FROM {table}") or ()  # noqa: S608 - our own name
    return [(bytes.fromhex(salt), digest) for salt, digest in rows]
