"""Requests to endpoints that list objects."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from ...api.reply import Reply
from ...api.request import Request
from ...catalog.endpoints import endpoint
from ...decode.json_values import Repairs
from ...decode.reply_values import take_list, unexpected
from ...decode.row_shape import NOT_AN_OBJECT, RejectedRow
from ...errors import MixpanelError, ReplyError
from ..context import LoadContext
from ..load_log import WindowLoad
from ..package import LoadPackage
from ..rejected import Rejected

Row = dict[str, Any]
TableRows = dict[str, list[Row]]
"""Table -> its rows."""
PAGES_MAX = 1_000
"""Maximum pages of a list."""


class Listed(NamedTuple):
    """What a reply lists."""

    entries: list[Any]
    next_cursor: str | None
    """Requests the next page; None on the last one."""


class ListFetcher:
    """Requests lists for one table, one after another, and adds up what they cost."""

    def __init__(self, context: LoadContext, package: LoadPackage) -> None:
        """Prepare; nothing is sent."""
        self._client = context.client
        self._patience_s = context.patience_s(package)
        self.table = package.table
        self.project_id = context.config.project_id
        self.workspace_id = context.config.workspace_id
        self.fetched_at: float | None = None
        self.repairs: Repairs = Counter()
        self.rejected: dict[str, list[Rejected]] = defaultdict(list)
        """Table -> entries that are set aside."""
        self.refused: dict[str, MixpanelError] = {}
        """Tables beside the selected one that could not be read, and why."""
        self.size = 0
        self.requests = 0

    def rows(
        self,
        name: str,
        params: Mapping[str, str] | None = None,
        *,
        path_params: Mapping[str, str] | None = None,
    ) -> list[Row]:
        """The objects that an endpoint lists, on all pages; other entries are rejected.

        Args:
            name: of the endpoint.
            params: of the query string.
            path_params: values for the placeholders of its path.

        Raises:
            TruncatedError: the reply is not JSON.
            ReplyError: it is not a list, or its pages do not end.
        """
        entries: list[Any] = []
        params = dict(params or {})
        cursors: set[str] = set()
        while True:
            request = list_request(self.table, name, params, path_params)
            listed = self._send(request, partial(_take_page, name))
            entries += listed.entries
            cursor = listed.next_cursor
            if cursor is None:
                return self.objects(name, entries)
            if cursor in cursors or len(cursors) == PAGES_MAX:
                raise ReplyError(
                    "the pages of the list do not end, so none is loaded.", subject=request.label
                )
            cursors.add(cursor)
            params["cursor"] = cursor

    def take_list(self, name: str, value: object) -> list[Any]:
        """The value as a list.

        Raises:
            ReplyError: it is none; `name` is that of the endpoint.
        """
        if not isinstance(value, list):
            raise self._unexpected(name, f"a list of {name}")
        return value

    def take_object(self, name: str, value: object) -> Row:
        """The value as an object.

        Raises:
            ReplyError: it is none; `name` is that of the endpoint.
        """
        if not isinstance(value, dict):
            raise self._unexpected(name, f"an object with {name}")
        return value

    def objects(self, table: str, entries: Iterable[object]) -> list[Row]:
        """Those of the entries that are objects; the others are rejected."""
        rows: list[Row] = []
        for entry in entries:
            if isinstance(entry, dict):
                rows.append(entry)
            else:
                self.reject(table, entry, NOT_AN_OBJECT)
        return rows

    def reject(self, table: str, entry: object, reason: str) -> None:
        """Set an entry of a list aside, to be stored with the rows of a table."""
        self.rejected[table].append(Rejected.of_value(RejectedRow(reason, entry)))

    def reply(
        self,
        name: str,
        params: Mapping[str, str] | None = None,
        *,
        path_params: Mapping[str, str] | None = None,
    ) -> Any:  # noqa: ANN401 - any JSON value
        """What an endpoint answers, without its envelope; the arguments are those of `rows`.

        Raises:
            TruncatedError: the reply is not JSON.
            ReplyError: it has another envelope.
        """
        request = list_request(self.table, name, params, path_params)
        return self._send(request, partial(_open_envelope, name))

    def take_window_load(self, table: str, rows: int) -> WindowLoad:
        """The entry for the load log; what the requests cost is in the first one."""
        load = WindowLoad.of_reading(
            table,
            rows=rows,
            size=self.size,
            requests=self.requests,
            fetched_at=self.fetched_at or 0.0,
        )
        load.repairs, self.repairs = self.repairs, Counter()
        self.size = self.requests = 0
        return load

    def _send(self, request: Request, take: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - any JSON value
        return self._client.send(request, partial(self._read, take), patience_s=self._patience_s)

    def _read(self, take: Callable[[Any], Any], reply: Reply) -> Any:  # noqa: ANN401 - any JSON value
        body = reply.json()
        reply.check_rows(body)
        taken = take(body)
        self.repairs += reply.repairs
        self.size += reply.size
        self.requests += reply.tries
        self.fetched_at = self.fetched_at or reply.started_at
        return taken

    def _unexpected(self, name: str, expected: str) -> ReplyError:
        subject = list_request(self.table, name).label
        return ReplyError(f"the reply is not {expected}.", subject=subject)


def _open_envelope(name: str, body: Any) -> Any:  # noqa: ANN401 - any JSON value
    key = endpoint(name).rows
    # some lists are documented in an envelope and come without it
    if key is None or isinstance(body, list):
        return body
    if not isinstance(body, dict) or key not in body:
        raise unexpected(f"an object with {key}")
    return body[key]


def _take_page(name: str, body: Any) -> Listed:  # noqa: ANN401 - any JSON value
    entries = take_list(_open_envelope(name, body), f"a list of {name}")
    pagination = body.get("pagination") if isinstance(body, dict) else None
    cursor = pagination.get("next_cursor") if isinstance(pagination, dict) else None
    return Listed(entries, str(cursor) if cursor else None)


def list_request(
    table: str,
    name: str,
    params: Mapping[str, str] | None = None,
    path_params: Mapping[str, str] | None = None,
) -> Request:
    """The request to an endpoint that lists something for a table."""
    detail = "" if name == table else name
    return Request(
        endpoint(name),
        table,
        detail=detail,
        params=dict(params or {}),
        path_params=path_params or {},
    )
