"""Tables that are a list of objects: one reply each, replaced as a whole.

Columns of the reply that `catalog.tables` does not name are loaded too, as dlt finds them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from dlt.common.typing import TDataItems

from ..api.reply import Reply
from ..api.request import Request
from ..catalog.endpoints import endpoint
from ..catalog.tables import Table, find_table
from ..config.model import Config
from ..decode.json_values import Repairs
from ..destinations.replacement import Replacement
from ..errors import TruncatedError
from .context import LoadContext
from .dlt_items import rows_for
from .emit import closing_items
from .load_log import WindowLoad
from .package import LoadPackage

Row = dict[str, Any]
TableRows = dict[str, list[Row]]
"""Table -> its rows."""


class ListFetcher:
    """Requests lists for one table, one after another, and adds up what they cost."""

    def __init__(self, context: LoadContext, package: LoadPackage) -> None:
        """Prepare; nothing is sent."""
        self._client = context.client
        self._patience_s = context.patience_s(package)
        self._table = package.table
        self.project_id = context.config.project_id
        self.fetched_at: float | None = None
        self.repairs: Repairs = Counter()
        self.size = 0
        self.requests = 0

    def rows(self, name: str) -> list[Row]:
        """The objects that an endpoint lists.

        Args:
            name: of the endpoint.

        Raises:
            TruncatedError: the reply is not a list of objects.
        """
        rows = self.reply(name)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self._unexpected(name, f"a list of {name}")
        return rows

    def reply(self, name: str, params: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - any JSON value
        """What an endpoint answers, without its envelope.

        Raises:
            TruncatedError: the reply is not JSON, or has another envelope.
        """
        request = list_request(self._table, name, params)
        body = self._client.send(request, self._read, patience_s=self._patience_s)
        key = endpoint(name).rows
        # some lists are documented in an envelope and come without it
        if key is None or isinstance(body, list):
            return body
        if not isinstance(body, dict) or key not in body:
            raise self._unexpected(name, f"an object with {key}")
        return body[key]

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

    def _read(self, reply: Reply) -> Any:  # noqa: ANN401 - any JSON value
        body = reply.json()
        self.repairs += reply.repairs
        self.size += reply.size
        self.requests += reply.tries
        self.fetched_at = self.fetched_at or reply.started_at
        return body

    def _unexpected(self, name: str, expected: str) -> TruncatedError:
        subject = list_request(self._table, name).label
        return TruncatedError(f"the reply is not {expected}.", subject=subject)


def list_request(table: str, name: str, params: Mapping[str, str] | None = None) -> Request:
    """The request to an endpoint that lists something for a table."""
    detail = "" if name == table else name
    return Request(endpoint(name), table, detail=detail, params=params or {})


def iter_list(context: LoadContext, name: str) -> Iterator[TDataItems]:
    """Yields the items of the resource `name`, and of the tables beside it."""
    package = context.start_package(name)
    fetcher = ListFetcher(context, package)
    columns = _columns(find_table(name))
    read = _READERS.get(name, partial(_read_lists, [*columns]))
    for table, rows in read(fetcher).items():
        replacement = Replacement(keep=next(iter(columns[table])))
        yield rows_for(
            rows or [replacement.tombstone_row()],
            table,
            write_disposition=replacement.write_disposition,
            columns=columns[table],
        )
        package.add(fetcher.take_window_load(table, len(rows)))
    yield from closing_items(package, {})


def _columns(table: Table) -> dict[str, dict[str, Any]]:
    """Table -> its columns as dlt declares them."""
    return {
        name: {
            column: {"data_type": data_type}
            for column, data_type in (pair.split() for pair in columns.split(", "))
        }
        for name, columns in table.columns
    }


def _read_lists(names: list[str], fetcher: ListFetcher) -> TableRows:
    """Each table is the list of the endpoint of its name."""
    return {name: fetcher.rows(name) for name in names}


def _read_lexicon(fetcher: ListFetcher) -> TableRows:
    entities = fetcher.rows("lexicon")
    return {"lexicon": [row for entity in entities for row in _iter_entity(entity)]}


def _iter_entity(entity: Row) -> Iterator[Row]:
    """An event or a profile, with an empty `property`, then each of its properties."""
    schema: Row = entity.get("schemaJson") or {}
    of = {"entity_type": entity.get("entityType"), "entity": entity.get("name")}
    described: dict[str, Row] = {"": schema, **(schema.get("properties") or {})}
    for name, description in described.items():
        metadata: Row = (description.get("metadata") or {}).get("com.mixpanel") or {}
        yield {
            **of,
            "property": name,
            "type": description.get("type"),
            "description": description.get("description"),
            "display_name": metadata.get("displayName"),
            "is_hidden": metadata.get("hidden"),
            "is_dropped": metadata.get("dropped"),
            "tags": metadata.get("tags"),
            "definition": {key: v for key, v in description.items() if key != "properties"},
        }


def _read_projects(fetcher: ListFetcher) -> TableRows:
    projects = fetcher.reply("projects").get("projects", {})
    return {"projects": [{"project_id": int(id_), **row} for id_, row in projects.items()]}


def _read_data_pipelines(fetcher: ListFetcher) -> TableRows:
    by_project = fetcher.reply("data_pipelines")
    jobs: list[Row] = by_project.get(str(fetcher.project_id), [])
    runs = [
        {"pipeline": job["name"], "state": state, "position": position, **run}
        for job in jobs
        for state, listed in fetcher.reply("data_pipeline_runs", {"name": job["name"]}).items()
        for position, run in enumerate(listed)
    ]
    return {"data_pipelines": jobs, "data_pipeline_runs": runs}


_READERS: Mapping[str, Callable[[ListFetcher], TableRows]] = {
    "lexicon": _read_lexicon,
    "projects": _read_projects,
    "data_pipelines": _read_data_pipelines,
}
"""Table -> how its replies become rows, where they are more than a list of its rows."""


def probe(name: str, _config: Config, _now: datetime) -> Request:
    """The cheapest request that shows whether the table can be read."""
    return list_request(name, name)


def count_requests(name: str) -> int:
    """Metered requests of a sync."""
    return 1 if endpoint(name).quota else 0
