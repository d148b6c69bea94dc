"""Tables that are a list of objects: one reply each, replaced as a whole.

Columns of the reply that `catalog.tables` does not name are loaded too, as dlt finds them.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
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
from ..decode.reply_values import take_list, unexpected
from ..decode.row_shape import NOT_A_LIST, NOT_AN_OBJECT, RejectedRow, find_entry_problem
from ..destinations.replacement import Replacement
from ..errors import AuthError, MixpanelError, ReplyError, RequestError, UnavailableError
from .context import LoadContext
from .dlt_items import rows_for
from .emit import closing_items
from .load_log import WindowLoad
from .package import LoadPackage
from .rejected import Rejected, RejectedWriter

logger = logging.getLogger("mixpanel_source")

RUNS = "data_pipeline_runs"
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
        self.rejected: dict[str, list[Rejected]] = defaultdict(list)
        """Table -> entries that are set aside."""
        self.refused: dict[str, MixpanelError] = {}
        """Tables beside the selected one that could not be read, and why."""
        self.size = 0
        self.requests = 0

    def rows(self, name: str) -> list[Row]:
        """The objects that an endpoint lists; other entries are rejected.

        Args:
            name: of the endpoint.

        Raises:
            TruncatedError: the reply is not JSON.
            ReplyError: it is not a list.
        """
        return self.objects(name, self._fetch(name, None, partial(_take_rows, name)))

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

    def reply(self, name: str, params: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - any JSON value
        """What an endpoint answers, without its envelope.

        Raises:
            TruncatedError: the reply is not JSON.
            ReplyError: it has another envelope.
        """
        return self._fetch(name, params, partial(_open_envelope, name))

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

    def _fetch(
        self, name: str, params: Mapping[str, str] | None, take: Callable[[Any], Any]
    ) -> Any:  # noqa: ANN401 - any JSON value
        request = list_request(self._table, name, params)
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
        subject = list_request(self._table, name).label
        return ReplyError(f"the reply is not {expected}.", subject=subject)


def _open_envelope(name: str, body: Any) -> Any:  # noqa: ANN401 - any JSON value
    key = endpoint(name).rows
    # some lists are documented in an envelope and come without it
    if key is None or isinstance(body, list):
        return body
    if not isinstance(body, dict) or key not in body:
        raise unexpected(f"an object with {key}")
    return body[key]


def _take_rows(name: str, body: Any) -> list[Any]:  # noqa: ANN401 - any JSON value
    return take_list(_open_envelope(name, body), f"a list of {name}")


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
    found = read(fetcher)
    for table, failure in fetcher.refused.items():
        if not package.leave_out(table, failure):
            raise failure
        logger.warning("%s The other tables continue.", failure)
    for table, entries in found.items():
        yield from _iter_table(
            context,
            package,
            fetcher=fetcher,
            table=table,
            entries=entries,
            columns=columns[table],
        )
    yield from closing_items(package, {})


def _iter_table(
    context: LoadContext,
    package: LoadPackage,
    *,
    fetcher: ListFetcher,
    table: str,
    entries: list[Row],
    columns: Mapping[str, str],
) -> Iterator[TDataItems]:
    rows = []
    for entry in entries:
        if problem := find_entry_problem(entry, columns):
            fetcher.reject(table, entry, problem)
        else:
            rows.append(entry)
    replacement = Replacement(keep=next(iter(columns)))
    yield rows_for(
        rows or [replacement.tombstone_row()],
        table,
        write_disposition=replacement.write_disposition,
        columns={name: {"data_type": data_type} for name, data_type in columns.items()},
    )
    load = fetcher.take_window_load(table, len(rows))
    writer = RejectedWriter(load, context.forgotten)
    yield from writer.iter_items(fetcher.rejected.pop(table, ()))
    package.add(load)


def _columns(table: Table) -> dict[str, dict[str, str]]:
    """Table -> column -> dlt's type."""
    return {
        name: dict(pair.split() for pair in columns.split(", ")) for name, columns in table.columns
    }


def _read_lists(names: list[str], fetcher: ListFetcher) -> TableRows:
    """Each table is the list of the endpoint of its name; one that is refused stops no other."""
    selected, *beside = names
    found = {selected: fetcher.rows(selected)}
    for name in beside:
        try:
            found[name] = fetcher.rows(name)
        except AuthError:
            raise
        except (RequestError, UnavailableError) as failure:
            fetcher.refused[name] = failure
    return found


def _read_lexicon(fetcher: ListFetcher) -> TableRows:
    rows: list[Row] = []
    for entity in fetcher.rows("lexicon"):
        schema = {} if entity.get("schemaJson") is None else entity["schemaJson"]
        if not isinstance(schema, dict):
            fetcher.reject("lexicon", entity, "schemaJson is not an object")
            continue
        properties = {} if schema.get("properties") is None else schema["properties"]
        if not isinstance(properties, dict):
            fetcher.reject("lexicon", entity, "properties is not an object")
            continue
        of = {"entity_type": entity.get("entityType"), "entity": entity.get("name")}
        rows.append({**of, **_describe("", schema)})
        for name, description in properties.items():
            if isinstance(description, dict):
                rows.append({**of, **_describe(name, description)})
            else:
                fetcher.reject("lexicon", {**of, "property": name, "": description}, NOT_AN_OBJECT)
    return {"lexicon": rows}


def _describe(name: str, description: Row) -> Row:
    """The columns of a property; its name is empty for the entity itself."""
    metadata = description.get("metadata")
    own = metadata.get("com.mixpanel") if isinstance(metadata, dict) else None
    # what is of another shape is in `definition`
    facts: Row = own if isinstance(own, dict) else {}
    return {
        "property": name,
        "type": description.get("type"),
        "description": description.get("description"),
        "display_name": facts.get("displayName"),
        "is_hidden": facts.get("hidden"),
        "is_dropped": facts.get("dropped"),
        "tags": facts.get("tags"),
        "definition": {key: v for key, v in description.items() if key != "properties"},
    }


def _read_projects(fetcher: ListFetcher) -> TableRows:
    reply = fetcher.take_object("projects", fetcher.reply("projects"))
    projects = fetcher.take_object("projects", reply.get("projects", {}))
    rows: list[Row] = []
    for id_, row in projects.items():
        if isinstance(row, dict):
            rows.append({"project_id": id_, **row})
        else:
            fetcher.reject("projects", {id_: row}, NOT_AN_OBJECT)
    return {"projects": rows}


def _read_data_pipelines(fetcher: ListFetcher) -> TableRows:
    by_project = fetcher.take_object("data_pipelines", fetcher.reply("data_pipelines"))
    listed = by_project.get(str(fetcher.project_id), [])
    jobs = fetcher.objects("data_pipelines", fetcher.take_list("data_pipelines", listed))
    runs = [
        run for job in jobs if isinstance(job.get("name"), str) for run in _iter_runs(fetcher, job)
    ]
    return {"data_pipelines": jobs, RUNS: runs}


def _iter_runs(fetcher: ListFetcher, job: Row) -> Iterator[Row]:
    reply = fetcher.take_object(RUNS, fetcher.reply(RUNS, {"name": job["name"]}))
    for state, listed in reply.items():
        if not isinstance(listed, list):
            fetcher.reject(RUNS, {state: listed}, NOT_A_LIST)
            continue
        for position, run in enumerate(listed):
            if isinstance(run, dict):
                of = {"pipeline": job["name"], "state": state, "position": position}
                yield {**of, **run}
            else:
                fetcher.reject(RUNS, {state: run}, NOT_AN_OBJECT)


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
