"""The seam between what a load decides and where its work is done.

An engine fetches windows and turns them into items for dlt. What is fetched, which rows are
replaced and which columns a table has is decided by the process that runs the job, whatever the
engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from dlt.common.typing import TDataItems

from ..decode.columns import ColumnMap
from ..decode.parallel import Check
from .emit import TableFormat, iter_items
from .load_log import WindowLoad

if TYPE_CHECKING:
    from .context import LoadContext
    from .events.fetching import FetchedWindow, WindowFetch


class Engine(Protocol):
    """Does the work of a job on events."""

    @property
    def ahead(self) -> int:
        """Number of windows to prefetch."""

    def begin(self, context: LoadContext, columns: ColumnMap) -> None:
        """Begin a load package of events, from within its resource.

        Args:
            context: of the run.
            columns: of the table.
        """

    def fetch(self, order: WindowFetch, check: Check) -> FetchedWindow:
        """Fetch a window; called on the thread of a prefetch, too.

        Args:
            order: what to fetch.
            check: called now and then; raises to stop.

        Raises:
            MixpanelError: it could not be fetched.
        """

    def iter_items(
        self, fetched: FetchedWindow, table_format: TableFormat, load: WindowLoad
    ) -> Iterator[TDataItems]:
        """Yields the rows of a window as items for dlt; see `emit.iter_items`."""

    def close(self) -> None:
        """End all work."""


class LocalEngine:
    """Does the work in the process of the job, on several threads."""

    ahead = 1

    def begin(self, context: LoadContext, columns: ColumnMap) -> None:
        """Prepare nothing."""

    def fetch(self, order: WindowFetch, check: Check) -> FetchedWindow:
        """Fetch a window."""
        return order.fetch(check)

    def iter_items(
        self, fetched: FetchedWindow, table_format: TableFormat, load: WindowLoad
    ) -> Iterator[TDataItems]:
        """Decode a window."""
        return iter_items(fetched, table_format, load)

    def close(self) -> None:
        """End nothing."""
