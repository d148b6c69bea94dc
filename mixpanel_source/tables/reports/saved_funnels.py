"""The list of funnels saved in Mixpanel: the table `funnels`.

Source: https://developer.mixpanel.com/reference/funnels-list-saved.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from dlt.common.typing import TDataItems

from ...api.reply import Reply
from ...api.request import Request
from ...catalog.endpoints import endpoint
from ...decode.reply_values import text_of
from ...decode.row_shape import RejectedRow, find_entry_problem
from ...errors import ReplyError
from ..context import LoadContext
from ..load_log import WindowLoad
from ..package import LoadPackage, TablePart
from ..rejected import REPLACE_PART, Rejected, RejectedWriter
from .schemas import FUNNELS, REPLACE_FUNNELS

KNOWN = "funnels"
"""State of the resource: the ids of the saved funnels."""
_COLUMNS = {"funnel_id": "bigint"}
_SCHEMA = pa.schema([("funnel_id", pa.int64()), ("name", pa.string())])


def list_request() -> Request:
    """The request for the list."""
    return Request(endpoint(FUNNELS), FUNNELS, detail="list")


def iter_saved_funnels(
    context: LoadContext, package: LoadPackage, state: dict[str, Any]
) -> Iterator[TDataItems]:
    """Yields the list, once per run, and remembers the ids in `state`."""
    if TablePart(FUNNELS) in context.record.parts:
        return
    funnels, rejected, load = context.client.send(
        list_request(), _read, patience_s=context.patience_s(package)
    )
    state[KNOWN] = sorted(funnels)
    if funnels:
        yield pa.table([[*funnels], [*funnels.values()]], schema=_SCHEMA)
    else:
        yield REPLACE_FUNNELS.tombstones(_SCHEMA)
    writer = RejectedWriter(load, context.forgotten, REPLACE_PART)
    yield from writer.iter_items(map(Rejected.of_value, rejected))
    package.add(load)


def _read(reply: Reply) -> tuple[dict[int, str | None], list[RejectedRow], WindowLoad]:
    listed = reply.json()
    reply.check_rows(listed)
    if not isinstance(listed, list):
        raise ReplyError(
            "the reply is not a list of funnels. Nothing of it is loaded.",
            subject=list_request().label,
        )
    funnels: dict[int, str | None] = {}
    rejected = []
    for entry in listed:
        if problem := find_entry_problem(entry, _COLUMNS):
            rejected.append(RejectedRow(problem, entry))
        else:
            name = entry.get("name")
            funnels[int(entry["funnel_id"])] = None if name is None else text_of(name)
    load = WindowLoad.of_reading(
        FUNNELS,
        rows=len(funnels),
        size=reply.size,
        requests=reply.tries,
        fetched_at=reply.started_at,
    )
    return funnels, rejected, load
