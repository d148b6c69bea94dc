"""What Mixpanel's replies say about the rows of a request.

Pure. /import answers 400 and has stored the valid rows; /engage and /groups answer 200 and may have
stored none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple

from mixpanel_source.api.refusal_text import read_refusal
from mixpanel_source.errors import ServerError

from .call import Reply

_LIMIT = re.compile(r"limit of (\d+) bytes|(\d+) bytes")
_ID_NAMES = ("$insert_id", "insert_id", "insertId")


class Refused(NamedTuple):
    """Why a row was refused."""

    status: int
    """HTTP status of the reply; 0 for a row that was not sent."""
    field: str
    message: str
    """As Mixpanel has it."""


@dataclass
class Verdict:
    """What became of the rows of a request."""

    refused: dict[int, Refused] = field(default_factory=dict)
    """Position in the request -> why; all others are stored, unless `whole` or `limit` is set."""
    whole: Refused | None = None
    """Why nothing is stored, or why it is not known what is."""
    is_identity: bool = False
    """Whether it is because of identity events, without which the rest would be stored."""
    limit: int | None = None
    """Bytes that a request may have, where it had too many; 0 if Mixpanel does not say."""


def check_import(reply: Reply) -> None:
    """Check that a reply with status 200 comes from Mixpanel.

    Raises:
        ServerError: it is something else, such as a page of a proxy: nothing may be stored.
    """
    if reply.status == HTTPStatus.OK and not isinstance(reply.json(), dict):
        raise ServerError("status 200 with a reply that is not Mixpanel's.")


def check_update(reply: Reply) -> None:
    """The same for /engage and /groups, which also answer `1` or `0`."""
    if reply.status == HTTPStatus.OK and not isinstance(reply.json(), (dict, int)):
        raise ServerError("status 200 with a reply that is not Mixpanel's.")


def read_import(reply: Reply, insert_ids: Sequence[str]) -> Verdict:
    """What became of the events of a request to /import.

    Args:
        reply: as `check_import` has seen it.
        insert_ids: those of the events, in their order.
    """
    if reply.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Verdict(limit=_read_limit(reply))
    body = reply.json()
    body = body if isinstance(body, dict) else {}
    # with status 0 in a 200, as strict=0 has it, nothing is known by row
    if reply.status == HTTPStatus.OK and body.get("status") not in (0, "error"):
        return Verdict()
    records = body.get("failed_records")
    if not isinstance(records, list) or not records:
        return Verdict(whole=_whole(reply))
    if all(isinstance(record, str) for record in records):
        return Verdict(whole=Refused(reply.status, "event", records[0]), is_identity=True)
    return _read_records(records, insert_ids, reply)


def read_update(reply: Reply, ids: Sequence[str] = ()) -> Verdict:
    """What became of the updates of a request to /engage or /groups.

    Args:
        reply: as `check_update` has seen it.
        ids: of the profiles, in their order.
    """
    if reply.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Verdict(limit=_read_limit(reply))
    body = reply.json()
    status = body.get("status") if isinstance(body, dict) else body
    # the reference promises them with strict=1, and shows none
    records = body.get("failed_records") if isinstance(body, dict) else None
    if isinstance(records, list) and records:
        return _read_records(records, ids, reply)
    if reply.status == HTTPStatus.OK and status in (1, "OK", "ok"):
        return Verdict()
    return Verdict(whole=_whole(reply))


def _read_records(records: Sequence[Any], insert_ids: Sequence[str], reply: Reply) -> Verdict:
    refused: dict[int, Refused] = {}
    unknown: Refused | None = None
    for record in records:
        why = _read_record(record, reply.status)
        position = _position(record, insert_ids)
        if position is None:
            unknown = why
        else:
            refused[position] = why
    return Verdict(refused=refused, whole=unknown)


def _read_record(record: object, status: int) -> Refused:
    if not isinstance(record, dict):
        return Refused(status, "", str(record))
    return Refused(status, str(record.get("field") or ""), str(record.get("message") or ""))


def _position(record: object, insert_ids: Sequence[str]) -> int | None:
    """Where in the request the event of a record is: the index is surest, if it is there."""
    if not isinstance(record, dict):
        return None
    index = record.get("index")
    if isinstance(index, int) and 0 <= index < len(insert_ids):
        return index
    given = next((record[name] for name in _ID_NAMES if record.get(name)), None)
    positions = [n for n, insert_id in enumerate(insert_ids) if insert_id == given]
    return positions[0] if len(positions) == 1 else None


def _whole(reply: Reply) -> Refused:
    text = read_refusal(reply.body).text
    return Refused(reply.status, "", text or f"status {reply.status}")


def _read_limit(reply: Reply) -> int:
    found = _LIMIT.search(read_refusal(reply.body).text)
    return int(found[1] or found[2]) if found else 0
