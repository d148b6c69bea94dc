"""What is small enough for a reply each: read anew every time, and replaced as a whole.

One function a resource says which endpoints are asked and which table each reply goes to. Columns
that a reply has and that are not named here come as well, as dlt finds them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import dlt
from dlt.common.typing import TDataItems
from dlt.extract import DltResource

from ..api.client import Reply, Request
from ..catalog import endpoint
from ..config.model import Config
from ..decode.json_values import Repairs
from ..errors import TruncatedError
from .context import Job, claim_dataset
from .emit import beside, closing_items, replace_all
from .load_log import WindowLoad

Row = dict[str, Any]
Tables = dict[str, list[Row]]
Columns = Mapping[str, Any]


class ListFetcher:
    """Asks one endpoint after the other, and adds up what it took."""

    def __init__(self, config: Config, job: Job) -> None:
        """Ask with the client of `job`."""
        self._client = job.client(config)
        self._patience_s = job.patience_s
        self.project_id = config.project_id
        self.fetched_at: float | None = None
        self.repairs: Repairs = Counter()
        self.size = 0
        self.requests = 0

    def rows(self, name: str) -> list[Row]:
        """The objects that an endpoint lists.

        Raises:
            TruncatedError: the reply is no such list.
        """
        rows = self.reply(name)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise TruncatedError(f"{name}: the reply is not a list of {name}")
        return rows

    def reply(self, name: str, params: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - what Mixpanel says
        """What an endpoint answers, out of its envelope.

        Raises:
            TruncatedError: the reply is not JSON, or has another envelope.
        """
        body = self._client.send(
            build_request(name, params), self._read, patience_s=self._patience_s
        )
        rows = endpoint(name).rows
        # some lists are said to be wrapped, and come bare
        if rows is None or isinstance(body, list):
            return body
        if not isinstance(body, dict) or rows not in body:
            raise TruncatedError(f"{name}: the reply is not one with {rows}")
        return body[rows]

    def _read(self, reply: Reply) -> Any:  # noqa: ANN401 - as above
        said = reply.json()
        self.repairs += reply.repairs
        self.size += reply.size
        self.requests += reply.tries
        self.fetched_at = self.fetched_at or reply.started_at
        return said


def build_request(name: str, params: Mapping[str, str] | None = None) -> Request:
    """The request to an endpoint that needs no more than these parameters."""
    return Request(name, endpoint(name), params or {})


def _one_table(name: str, asking: ListFetcher) -> Tables:
    return {name: asking.rows(name)}


def _annotations(asking: ListFetcher) -> Tables:
    return {name: asking.rows(name) for name in ("annotations", "annotation_tags")}


def _lexicon(asking: ListFetcher) -> Tables:
    entities = asking.rows("lexicon")
    return {"lexicon": [row for entity in entities for row in _iter_entity(entity)]}


def _iter_entity(entity: Row) -> Iterator[Row]:
    """An event or a profile, with an empty `property`, and then each of its properties."""
    schema: Row = entity.get("schemaJson") or {}
    of = {"entity_type": entity.get("entityType"), "entity": entity.get("name")}
    described: dict[str, Row] = {"": schema, **(schema.get("properties") or {})}
    for name, one in described.items():
        ours: Row = (one.get("metadata") or {}).get("com.mixpanel") or {}
        yield {
            **of,
            "property": name,
            "type": one.get("type"),
            "description": one.get("description"),
            "display_name": ours.get("displayName"),
            "is_hidden": ours.get("hidden"),
            "is_dropped": ours.get("dropped"),
            "tags": ours.get("tags"),
            "definition": {key: value for key, value in one.items() if key != "properties"},
        }


def _projects(asking: ListFetcher) -> Tables:
    projects = asking.reply("projects").get("projects", {})
    return {"projects": [{"project_id": int(id_), **one} for id_, one in projects.items()]}


def _data_pipelines(asking: ListFetcher) -> Tables:
    by_project = asking.reply("data_pipelines")
    jobs: list[Row] = by_project.get(str(asking.project_id), [])
    runs = [
        {"pipeline": job["name"], "state": state, "position": position, **run}
        for job in jobs
        for state, listed in asking.reply("data_pipeline_runs", {"name": job["name"]}).items()
        for position, run in enumerate(listed)
    ]
    return {"data_pipelines": jobs, "data_pipeline_runs": runs}


@dataclass(frozen=True)
class ListTable:
    """A resource of this kind."""

    read: Callable[[ListFetcher], Tables]
    """Gives the rows of each table, the resource's own first."""
    columns: Mapping[str, Columns]
    """Table -> the columns that are always there; the first of them is null in no row."""


def _columns(*listed: str) -> Columns:
    """Columns out of `name type, name type`, as SQL has them, with dlt's types."""
    pairs = (one.split() for text in listed for one in text.split(", "))
    return {name: {"data_type": data_type} for name, data_type in pairs}


LISTS = {
    "cohorts": ListTable(
        partial(_one_table, "cohorts"),
        {
            "cohorts": _columns(
                "id bigint, project_id bigint, name text, description text, count bigint",
                "is_visible bigint, created timestamp, data_group_id text",
            )
        },
    ),
    "annotations": ListTable(
        _annotations,
        {
            "annotations": _columns(
                "id bigint, project_id bigint, date text, description text, user json",
                "tags json",
            ),
            "annotation_tags": _columns(
                "id bigint, name text, project_id bigint, has_annotations bool"
            ),
        },
    ),
    "lexicon": ListTable(
        _lexicon,
        {
            "lexicon": _columns(
                "property text, entity_type text, entity text, type text, description text",
                "display_name text, is_hidden bool, is_dropped bool, tags json",
                "definition json",
            )
        },
    ),
    "projects": ListTable(
        _projects,
        {
            "projects": _columns(
                "project_id bigint, name text, organization_id bigint, timezone text",
                "domain text, role json, permissions json",
            )
        },
    ),
    "data_pipelines": ListTable(
        _data_pipelines,
        {
            "data_pipelines": _columns(
                "name text, dispatcher text, last_dispatched text, frequency text",
                "sync_enabled text",
            ),
            "data_pipeline_runs": _columns(
                "pipeline text, state text, position bigint, name text, project_id bigint",
                "run_at text, last_finish text, from_date text, to_date text",
            ),
        },
    ),
    "lookup_tables": ListTable(
        partial(_one_table, "lookup_tables"), {"lookup_tables": _columns("id text, name text")}
    ),
}
"""Name of the resource -> what it reads."""


def list_resource(name: str, config: Config, job: Job) -> DltResource:
    """One of `LISTS` as a resource, not selected unless asked for."""
    # without columns of its own, which would be those of the other tables too
    return dlt.resource(_iter_items, name=name, file_format="parquet", selected=False)(
        name, config, job
    )


def _iter_items(name: str, config: Config, job: Job) -> Iterator[TDataItems]:
    claim_dataset(config)
    asking = ListFetcher(config, job)
    snapshot = LISTS[name]
    for table, rows in snapshot.read(asking).items():
        columns = snapshot.columns[table]
        key = next(iter(columns))
        yield beside(
            rows or [{key: None}], table, write_disposition=replace_all(key), columns=columns
        )
        job.report(_report(table, rows, asking))
    for table in snapshot.columns:
        yield from closing_items(table, job, {})


def _report(table: str, rows: list[Row], asking: ListFetcher) -> WindowLoad:
    """What is said of a table; what it took is said with the first."""
    report = WindowLoad.of_snapshot(
        table,
        rows=len(rows),
        size=asking.size,
        requests=asking.requests,
        fetched_at=asking.fetched_at or 0.0,
    )
    report.repairs, asking.repairs = asking.repairs, Counter()
    asking.size = asking.requests = 0
    return report


def count_requests(name: str) -> int:
    """Requests of a sync that count against the quota."""
    return 1 if endpoint(name).quota else 0
