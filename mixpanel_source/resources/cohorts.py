"""Cohort definitions: one request, replaced as a whole.

Source: https://developer.mixpanel.com/reference/cohorts-list.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dlt
import orjson
from dlt.common.typing import TDataItems
from dlt.extract import DltResource

from ..client import Reply, Request
from ..config import Config
from ..endpoints import endpoint
from ..errors import TruncatedError
from .session import Job, WindowReport, claim_dataset
from .tables import closing_items, replace_all

NAME = "cohorts"
COLUMNS: Any = {
    "id": {"data_type": "bigint"},
    "project_id": {"data_type": "bigint"},
    "name": {"data_type": "text"},
    "description": {"data_type": "text"},
    "count": {"data_type": "bigint"},
    "is_visible": {"data_type": "bigint"},
    "created": {"data_type": "timestamp"},
    "data_group_id": {"data_type": "text"},
}


def cohorts_resource(config: Config, job: Job) -> DltResource:
    """The resource `cohorts`, not selected unless asked for: it needs a paid plan."""
    return dlt.resource(
        _iter_items,
        name=NAME,
        write_disposition=replace_all("id"),
        columns=COLUMNS,
        file_format="parquet",
        selected=False,
    )(config, job)


def _iter_items(config: Config, job: Job) -> Iterator[TDataItems]:
    claim_dataset(config)
    cohorts, report = job.client(config).send(build_request(), _read, patience_s=job.patience_s)
    yield cohorts or [{"id": None}]
    job.report(report)
    yield from closing_items(NAME, job, {})


def build_request() -> Request:
    """The request for all cohorts."""
    return Request(NAME, endpoint(NAME))


def _read(reply: Reply) -> tuple[list[dict[str, Any]], WindowReport]:
    body = reply.body()
    try:
        cohorts = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise TruncatedError("the reply is not JSON") from error
    if not isinstance(cohorts, list):
        raise TruncatedError("the reply is not a list of cohorts")
    return cohorts, WindowReport.of_snapshot(
        NAME, rows=len(cohorts), size=len(body), requests=reply.tries, fetched_at=reply.started_at
    )
