"""Tables that are a list of objects: one reply each, replaced as a whole.

Columns of the reply that `catalog.tables` does not name are loaded too, as dlt finds them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial

from dlt.common.typing import TDataItems

from ...api.request import Request
from ...catalog.tables import Table, find_table
from ...config.model import Config
from ...decode.row_shape import find_entry_problem
from ...destinations.replacement import Replacement
from ...errors import AccessError, RequestError
from ..context import LoadContext
from ..dlt_items import rows_for
from ..emit import closing_items
from ..package import LoadPackage
from ..rejected import RejectedWriter
from .fetching import ListFetcher, Row, list_request
from .history import Versions, may_keep_history
from .managed import ACCOUNT, PARAMS, path_params
from .readers import READERS, read_lists

logger = logging.getLogger("mixpanel_source")


def iter_list(context: LoadContext, name: str) -> Iterator[TDataItems]:
    """Yields the items of the resource `name`, and of the tables beside it."""
    package = context.start_package(name)
    fetcher = ListFetcher(context, package)
    columns = _columns(find_table(name))
    read = READERS.get(name, partial(read_lists, [*columns]))
    try:
        found = read(fetcher)
    except RequestError as refusal:
        if not _is_expected(refusal, find_table(name)):
            raise
        logger.warning(
            "%s This address is not documented, so that may be as it should; the table is left as "
            "it was.",
            refusal,
        )
        return
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
    yield from closing_items(package)


def _is_expected(refusal: RequestError, table: Table) -> bool:
    """Whether an address that Mixpanel does not document was refused, or is not there."""
    return not table.endpoint.documented and type(refusal) in (AccessError, RequestError)


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
    number = len(rows)
    if may_keep_history(table, context.config):
        versions = Versions(table, replacement)
        replacement, rows = versions.replacement, versions.rows(rows, context.now())
        columns = {**columns, **versions.columns}
    yield rows_for(
        rows or [replacement.tombstone_row()],
        table,
        write_disposition=replacement.write_disposition,
        columns={name: {"data_type": data_type} for name, data_type in columns.items()},
    )
    load = fetcher.take_window_load(table, number)
    writer = RejectedWriter(load, context.forgotten)
    yield from writer.iter_items(fetcher.rejected.pop(table, ()))
    package.add(load)


def _columns(table: Table) -> dict[str, dict[str, str]]:
    """Table -> column -> dlt's type."""
    return {
        name: dict(pair.split() for pair in columns.split(", ")) for name, columns in table.columns
    }


def probe(name: str, config: Config, _now: datetime) -> Request:
    """The cheapest request that shows whether the table can be read."""
    found = path_params(name, config)
    if found is None:
        return list_request(name, ACCOUNT)
    return list_request(name, find_table(name).endpoint.name, PARAMS.get(name), found)


def count_requests(name: str) -> int:
    """Metered requests of a sync."""
    return 1 if find_table(name).endpoint.quota else 0
